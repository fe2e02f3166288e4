import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sourceline.ids import citation_id
from sourceline.ingest.sentences import sentence_spans, split_passages
from sourceline.types import Location
from tests.support.texts import document, lost_lines, texts
from tests.support.work import require_linear, soon


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text, 0, len(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He came. She went.", ["He came.", "She went."]),
        ("  He came.\n\tShe went. \n", ["He came.", "She went."]),
        ("Dr. Smith met J. R. Jones at 5 p.m. on Monday.", ["Dr. Smith met J. R. Jones at 5 p.m. on Monday."]),
        ("Is it? Yes! It is…", ["Is it?", "Yes!", "It is…"]),
        ("He came. ---", ["He came. ---"]),
        ("* * * He came.", ["* * * He came."]),
        ('He asked: "Is it open?" She said no.', ['He asked: "Is it open?"', "She said no."]),
        ('"Is it open?" Ms. Kern asked. No.', ['"Is it open?" Ms. Kern asked.', "No."]),
        ("他问：“开了吗？”没有人知道。", ["他问：“开了吗？”", "没有人知道。"]),
        ("It fell.² It rose.³", ["It fell.²", "It rose.³"]),
        ("¹", ["¹"]),
        (
            "It took 2 hrs. 15 min. to mend the 3 m. Nobody came.",
            ["It took 2 hrs. 15 min. to mend the 3 m.", "Nobody came."],
        ),
        ("Trade grew by 7.5 percent.", ["Trade grew by 7.5 percent."]),
        ("Плохо. Хорошо. 好的。很好。", ["Плохо.", "Хорошо.", "好的。", "很好。"]),
        ("", []),
        ("?! … --- 👍 \u200d", []),
    ],
)
def test_text_is_split_into_sentences_and_what_has_no_letter_or_digit_is_none(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize("space", ["\u00a0", "\u2009", "\u2028", "\u3000", "\x85"])
def test_wide_white_space_before_a_full_stop_is_read(space: str) -> None:
    assert sentences(f"We take Plan B{space}. It is good.") == [f"We take Plan B{space}.", "It is good."]


def test_sentence_spans_are_offsets_into_the_whole_text() -> None:
    assert list(sentence_spans("Not this. He came. She went. Nor this.", 10, 28)) == [(10, 18), (19, 28)]


def test_a_passage_says_where_it_stands() -> None:
    text = "Preface.\n\n# Part\n# One #\n\nHe came. She\nwent.\n\n- He came.\n"

    passages = split_passages(document(text, "a/b.md"))

    assert [(p.text, p.location) for p in passages] == [
        ("Preface.", Location(1, 1, None)),
        ("Part", Location(3, 2, "Part")),
        ("One", Location(4, 3, "One")),
        ("He came.", Location(6, 4, "One")),
        ("She\nwent.", Location(6, 4, "One")),
        ("He came.", Location(9, 5, "One")),
    ]
    assert [p.document_id for p in passages] == ["a/b.md"] * 6
    assert [p.id for p in passages if p.text == "He came."] == [
        citation_id("a/b.md", "He came.", 0),
        citation_id("a/b.md", "He came.", 1),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_count_whatever_ends_them(end: str) -> None:
    passages = split_passages(document(end.join(["One.", "", "Two.", "Three is longer. Four."])))

    assert [(p.text, p.location.line) for p in passages] == [
        ("One.", 1),
        ("Two.", 3),
        ("Three is longer.", 4),
        ("Four.", 4),
    ]


def test_the_headings_of_a_plain_text_are_the_sections_of_what_follows() -> None:
    text = "The report\n\nIt is long.\n\nEarly life\n\nShe was born. What happened then?\n"

    assert [(p.text, p.heading, p.location.section) for p in split_passages(document(text))] == [
        ("The report", True, "The report"),
        ("It is long.", False, "The report"),
        ("Early life", True, "Early life"),
        ("She was born.", False, "Early life"),
        ("What happened then?", False, "Early life"),
    ]


def test_a_heading_of_two_sentences_is_two_headings() -> None:
    passages = split_passages(document("# It rained. What now?\n\nNothing.\n", "a.md"))

    assert [(p.text, p.heading, p.location.section) for p in passages] == [
        ("It rained.", True, "It rained. What now?"),
        ("What now?", True, "It rained. What now?"),
        ("Nothing.", False, "It rained. What now?"),
    ]


def test_edits_elsewhere_leave_an_id_unchanged() -> None:
    before = {p.text: p.id for p in split_passages(document("He came. She went. They stayed."))}
    after = {p.text: p.id for p in split_passages(document("Now:\n\nHe came.\nNobody spoke.\n\nThey stayed."))}

    assert after["He came."] == before["He came."]
    assert after["They stayed."] == before["They stayed."]


def test_a_word_without_end_is_one_passage() -> None:
    (passage,) = split_passages(document("x" * 100_000))

    assert (passage.start, passage.end) == (0, 100_000)


@settings(deadline=None, max_examples=300)
@given(texts)
@example("The council met on Monday. \u0301e\u0301")
def test_passages_are_verbatim_in_order_apart_and_trimmed(text: str) -> None:
    for id_ in ("x.txt", "x.md"):
        source = document(text, id_)
        passages = split_passages(source)

        assert all(text[p.start : p.end] == p.text == p.text.strip() != "" for p in passages)
        edges = [edge for p in passages for edge in (p.start, p.end)]
        assert edges == sorted(edges)
        assert [p.ordinal for p in passages] == list(range(len(passages)))
        assert len({p.id for p in passages}) == len(passages)
        for p in passages:
            text_before = text[: p.start].replace("\r\n", "\n").replace("\r", "\n")
            assert p.location.line == text_before.count("\n") + 1
            block = source.blocks[p.location.paragraph - 1]
            assert block.start <= p.start < p.end <= block.end


@settings(deadline=None, max_examples=300)
@given(texts)
def test_every_letter_and_digit_of_a_plain_text_is_in_a_passage_but_those_of_a_page(text: str) -> None:
    assert lost_lines(text, [(p.start, p.end) for p in split_passages(document(text))]) == []


pieces = st.sampled_from(
    [
        *("Ms. ", "Dr. Kern ", "9 a.m. ", "Monday ", "No. 5 ", "vol. ", "z. B. ", "am 3. ", "Oktober ", "J. R. "),
        *("etc. ", "members.1 ", "fee.[^1] ", "[^1]: ", '27" ', '"', "“It is.” ", "(a) ", "(See above.) ", "2. "),
        *("2.1 ", "- ", "He ", "Page 2 of 3\n", "12\n", "\n\f", "Harbour board\n", "\n", "\n\n", "went. ", "Anna: "),
        *("The crane will be mended ", "in June by a firm from ", "。", "会议", "हुई। "),
        *("نعم. ", "».", "\r\n", "1. 1. ", "? ", "… "),
    ]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(pieces, max_size=30).map("".join), st.sampled_from(["en", "de", "fr", "es", "zh", "ar", "hi", "ja"]))
def test_whatever_is_mended_sentences_are_in_order_and_lose_nothing(text: str, language: str) -> None:
    spans = list(sentence_spans(text, 0, len(text), language))
    passages = split_passages(document(text))

    inside = "".join(text[start:end] for start, end in spans)
    assert [c for c in inside if c.isalnum()] == [c for c in text if c.isalnum()]
    assert lost_lines(text, [(p.start, p.end) for p in passages]) == []
    for places in (spans, [(p.start, p.end) for p in passages]):
        edges = [edge for place in places for edge in place]
        assert edges == sorted(edges)
    assert all(text[p.start : p.end] == p.text == p.text.strip() for p in passages)


def test_what_stands_in_a_gap_ends_no_sentence() -> None:
    text = "It was Page 2. The end of it.\n\nnear. Then."
    start, end = text.index("Page"), text.index("near")

    spans = sentence_spans(text, 0, len(text), gaps=[(start, end)])

    assert [text[first:last] for first, last in spans] == [text[:-6], "Then."]


@pytest.mark.parametrize("unit", ["会议。", "“", "e.g. ", "1. ", '?" A', "A.¹ "])
def test_a_long_paragraph_takes_as_much_work_as_it_is_long(unit: str) -> None:
    def split(characters: int) -> None:
        sentences(unit * (characters // len(unit)))

    require_linear(split, 3_000)
    with soon():
        split(120_000)


def test_a_paragraph_longer_than_what_is_read_at_a_time_is_split_like_a_short_one() -> None:
    one = "The council met in the old hall, as it does. Mr. Lind (who was late) said “It is open. Come in.” and sat. "
    assert len(sentences(one * 200)) == 200 * len(sentences(one))


def test_many_abbreviations_in_a_row_take_no_time() -> None:
    assert len(sentences("Ms. J. " * 20_000)) == 1
