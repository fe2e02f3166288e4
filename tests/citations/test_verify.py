import random
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sourceline.citations.verify import MAX_PLACES
from sourceline.errors import QuestionError
from sourceline.types import CheckedQuote, QuoteKind, QuoteStatus
from tests.conftest import SEEDS, Rebuild
from tests.support.quotes import Checker, checker_of
from tests.support.work import require_linear, soon

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
import verify as benchmark

VERBATIM, REFORMATTED, ALTERED, ABSENT, TOO_SHORT = QuoteStatus
STANDS = (VERBATIM, REFORMATTED)

FIGURES = """The tank holds 10² litres of water at −5 degrees in winter. The fee rose by ½ of the old one.
He paid €5 for the rope. The level rose by 10% in the second year.

The minister re-signed the refurbish-
ment pact last week. Will they come to the harbour tomorrow? The committee did not approve the plan in June.
We could, she said, "do without it" for a year... Nobody voted for the new bridge.
The Résumé was not a resume of the talks. Put it back to two hundred and ten from May.
The bill came to 1,140 euros, which is a fifth less. The cheaper firm can't begin before the summer holidays.
"""
MINUTES = """Ilse Kern: Good morning, everybody, and thank you for coming so early.
Bo Lind: He will not sign the certificate in June unless the ring is replaced. I had the inspector on the quay.
Ilse Kern: What does a new slewing ring cost?
Bo Lind: Thirty-one thousand kroner with the fitting, and the delivery takes eleven weeks.
Ilse Kern: That is good to hear.
Bo Lind: That is good to hear.
"""
MAIL = """The harbour was dredged in the spring of last year.

> The ferry runs every day from May, on
> holidays as well. The growth of the first year was
> 5 % of the total sum.
"""
MARKED = "The [report on the crane](crane.md) was read to the **whole** board in May.\n"
CHINESE = "会议于星期一在旧海关大楼举行。委员会没有批准起重机,因为钢材价格再次上涨。\n"


def fill(folder: Path) -> None:
    folder.mkdir()
    shutil.copyfile(SEEDS / "meeting.txt", folder / "meeting.txt")
    files = {"figures.txt": FIGURES, "minutes.txt": MINUTES, "mail.txt": MAIL, "marked.md": MARKED, "zh.txt": CHINESE}
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checker]:
    with checker_of(fill, tmp_path_factory.mktemp("quotes")) as checker:
        yield checker


def changes(quote: CheckedQuote) -> list[tuple[str, str]]:
    return [(difference.quoted, difference.text) for difference in quote.differences]


# Verbatim and reformatted

LONG_TERM = "The meeting focused on long-term cooperation."
TWO = "He said their actions increase instability. According to him, these policies aim to divide Muslim countries."


@pytest.mark.parametrize(
    ("text", "status", "document", "says"),
    [
        (LONG_TERM, VERBATIM, "meeting.txt", LONG_TERM),
        (f"“{LONG_TERM}”", VERBATIM, "meeting.txt", LONG_TERM),
        (f"„{LONG_TERM}“", VERBATIM, "meeting.txt", LONG_TERM),
        (f"« {LONG_TERM} »", VERBATIM, "meeting.txt", LONG_TERM),
        (f"He said “{LONG_TERM.replace('The', 'the')}”", REFORMATTED, "meeting.txt", LONG_TERM),
        ("“Focused on long-term cooperation,” he said.", REFORMATTED, "meeting.txt", LONG_TERM[12:-1]),
        ("“the meeting … cooperation”", REFORMATTED, "meeting.txt", LONG_TERM[:-1]),
        (f"»{LONG_TERM}«", VERBATIM, "meeting.txt", LONG_TERM),
        (f"‘{LONG_TERM}’", VERBATIM, "meeting.txt", LONG_TERM),
        (f"'{LONG_TERM}'", VERBATIM, "meeting.txt", LONG_TERM),
        (f'"{LONG_TERM}"', VERBATIM, "meeting.txt", LONG_TERM),
        (f'"{LONG_TERM[:-1]}," he said.', REFORMATTED, "meeting.txt", LONG_TERM[:-1]),
        ("“deeply emotional and spiritual”", VERBATIM, "meeting.txt", "deeply emotional and spiritual"),
        ("It is “a key goal.”", VERBATIM, "meeting.txt", "a key goal."),
        ("They want “closer engagement.”", REFORMATTED, None, None),
        (f"“{TWO}”", VERBATIM, "meeting.txt", TWO),
        ("“increase instability. According to him”", VERBATIM, "meeting.txt", "increase instability. According to him"),
        ("The meeting\nfocused on  long-term coop\u00aderation.", REFORMATTED, "meeting.txt", LONG_TERM),
        ("“The minister re-signed the refurbishment pact”", REFORMATTED, "figures.txt", None),
        ("“the refurbish-ment pact last week”", REFORMATTED, "figures.txt", "the refurbish-\nment pact last week"),
        ("“We could, she said, ‘do without it’ for a year…”", REFORMATTED, "figures.txt", None),
        ("“on holidays as well”", REFORMATTED, "mail.txt", "on\n> holidays as well"),
        ("“The report on the crane was read to the **whole** board in May.”", REFORMATTED, "marked.md", None),
        (MARKED.strip(), VERBATIM, "marked.md", MARKED.strip()),
        ("会议于星期一在旧海关大楼举行。", VERBATIM, "zh.txt", "会议于星期一在旧海关大楼举行。"),
    ],
)
def test_what_stands_in_a_document_is_found_with_its_place(
    check: Checker, text: str, status: QuoteStatus, document: str | None, says: str | None
) -> None:
    if document is None:
        assert check.one(text).status is not VERBATIM
        return
    quote = check.one(text)
    assert (quote.status, quote.stands, quote.differences) == (status, True, ())
    (place,) = quote.places
    assert place.passages[0].document_id == document
    assert text[quote.start : quote.end] == quote.text
    if says is not None:
        assert check.text(document)[place.start : place.end] == says


def test_a_sentence_that_stands_in_several_places_has_all_their_citations(check: Checker) -> None:
    quote = check.one("“That is good to hear.”")
    assert (quote.status, quote.place_count, len(set(quote.citations))) == (VERBATIM, 2, 2)
    assert [place.speakers for place in quote.places] == [("Ilse Kern",), ("Bo Lind",)]
    said = check.one("Bo Lind said: “That is good to hear.”")
    assert (said.speaker, said.wrong_speaker) == ("Bo Lind", ())
    assert [place.speakers for place in said.places] == [("Bo Lind",), ("Ilse Kern",)]  # the one that is meant first


@pytest.mark.parametrize(
    ("text", "omitted"),
    [
        ("“The meeting focused … cooperation.”", ["on long-term"]),
        ("“The meeting focused [...] cooperation.”", ["on long-term"]),
        ("“The meeting focused (…) cooperation.”", ["on long-term"]),
        ("“The meeting focused . . . cooperation.”", ["on long-term"]),
        ("“… focused on long-term cooperation …”", []),
        ("“Energy exports form a major part of bilateral trade. ... These visits support local markets.”", None),
        ("“[The report] focused on long-term cooperation.”", []),
        ("“The meeting [in Tehran] focused on [lasting] cooperation.”", ["", "long-term"]),
        ("“He [Pezeshkian] criticized the role of the United States … in regional affairs.”", ["", "and Israel"]),
    ],
)
def test_an_ellipsis_and_words_in_brackets_are_understood(check: Checker, text: str, omitted: list[str] | None) -> None:
    quote = check.one(text)
    assert quote.status is VERBATIM
    told = [difference.text for difference in quote.places[0].omitted]
    assert told == omitted if omitted is not None else "Religious tourism also drives economic activity." in told[0]


@pytest.mark.parametrize("text", ["“[T]alks signaled policy continuity”", "“[t]he meeting focused on long-term”"])
def test_a_letter_in_brackets_may_be_of_either_case(check: Checker, text: str) -> None:
    quote = check.one(text)
    # The second one cuts "long-term cooperation" in two at a blank, and "long-term" is whole.
    assert quote.status is REFORMATTED


# Altered


@pytest.mark.parametrize(
    ("text", "differing"),
    [
        ("The meeting focused on short-term cooperation.", [("short", "long")]),
        ("Dozens of pilgrims cross borders each year.", [("Dozens", "Millions")]),
        ("The committee did approve the plan in June.", [("", "not")]),
        ("“The committee did … approve the plan in June.”", [("…", "not")]),
        ("“The committee [will] approve the plan in June.”", [("[will]", "did not")]),
        ("“approve the plan in June”", [("", "not")]),
        ("“voted for the new bridge”", [("", "Nobody")]),
        ("“The cheaper firm can … begin before the summer holidays”", None),
        ("The tank holds 102 litres of water at −5 degrees in winter.", [("102", "10²")]),
        ("The tank holds 10² litres of water at -5 degrees in winter.", [("-", "−")]),
        ("The tank holds 10² litres of water at 5 degrees in winter.", [("", "−")]),
        ("The tank holds 10² litres of water at − 5 degrees in winter.", [("− 5", "−5")]),
        ("“5 degrees in winter”", [("", "−")]),
        ("“The level rose by 10”", [("", "%")]),
        ("The fee rose by 1/2 of the old one.", [("1/2", "½")]),
        ("He paid $5 for the rope.", [("$", "€")]),
        ("“140 euros, which is a fifth less”", [("", "1,")]),
        ("The bill came to 1.140 euros, which is a fifth less.", [(".", ",")]),
        ("“Put it back to two hundred”", [("", "and ten")]),
        ("The minister resigned the refurbishment pact last week.", [("resigned", "re-signed")]),
        ("“signed the refurbishment pact last week”", [("", "re-")]),
        ("The resume was not a resume of the talks.", [("resume", "Résumé")]),
        ("Will they come to the harbour tomorrow.", [(".", "?")]),
        ("“Will they come to the harbour tomorrow,” he asked.", [(",", "?")]),
        ("“He will not sign the certificate in June.”", [(".", "unless the ring is replaced.")]),
        ("“pezeshkian described the relationship as deeply emotional”", [("pezeshkian", "Pezeshkian")]),
        ("“The Meeting focused on long-term cooperation.”", [("Meeting", "meeting")]),
        ("The growth of the first year was 5 % of the total sum.", [("", ">")]),
        ("The committee did not approve the plan \u202ein June.", [("\u202e", "")]),
        (
            "“He said their actions increase instability. These policies aim to divide Muslim countries.”",
            [("These", "According to him, these")],
        ),
        (
            "The meeting focused on long-term cooperation and policy continuity despite regional uncertainty.",
            [("and policy continuity despite regional uncertainty", "")],
        ),
    ],
)
def test_what_differs_is_told_in_both_texts(check: Checker, text: str, differing: list[tuple[str, str]] | None) -> None:
    quote = check.one(text)
    assert (quote.status, quote.stands, len(quote.places)) == (ALTERED, False, 1)
    assert quote.similarity is not None
    assert 0.6 <= quote.similarity <= 1
    assert quote.differences
    document = check.text(quote.places[0].passages[0].document_id)
    for difference in quote.differences:
        assert text[difference.quote.start : difference.quote.end] == difference.quoted
        assert document[difference.source.start : difference.source.end] == difference.text
    if differing is not None:
        assert changes(quote) == differing


def test_a_negation_in_front_of_the_quotation_may_stand_outside_of_it(check: Checker) -> None:
    assert check.one("They did not “approve the plan in June”.").status is VERBATIM
    assert check.one("They wanted to “approve the plan in June”.").status is ALTERED


@pytest.mark.parametrize(
    "text", ["Penguins live in the south and feed mostly on fish.", "“A comet will pass the isle.”"]
)
def test_what_nobody_says_is_absent(check: Checker, text: str) -> None:
    quote = check.one(text)
    assert (quote.status, quote.similarity, quote.differences) == (ABSENT, None, ())


@pytest.mark.parametrize("text", ["Yes.", "The crane.", "“The crane”", "long-term"])
def test_few_words_are_not_checked_unless_they_are_a_sentence(check: Checker, text: str) -> None:
    assert check.one(text).status is TOO_SHORT
    assert check(text).stands


# Who says it


@pytest.mark.parametrize(
    "attributed",
    [
        "{}: “{}”",
        "{} said: “{}”",
        "{} told the board that “{}”",
        "According to {}, “{}”",
        "{}, the harbour master, said “{}”",
    ],
)
@pytest.mark.parametrize(
    ("name", "wrong"),
    [("Bo Lind", ()), ("Lind", ()), ("Mr Lind", ()), ("Ilse Kern", ("Bo Lind",)), ("Mr Holm", ("Bo Lind",))],
)
def test_somebody_else_than_who_is_named_is_told(
    check: Checker, attributed: str, name: str, wrong: tuple[str, ...]
) -> None:
    quote = check.one(attributed.format(name, "He will not sign the certificate in June unless the ring is replaced."))
    assert (quote.status, quote.speaker, quote.wrong_speaker) == (VERBATIM, name, wrong)
    assert quote.stands is not bool(wrong)


@pytest.mark.parametrize(("name", "wrong"), [("Bo Lind", ()), ("Ilse Kern", ("Bo Lind",))])
def test_somebody_else_than_who_is_named_is_told_of_what_is_altered_too(
    check: Checker, name: str, wrong: tuple[str, ...]
) -> None:
    quote = check.one(f"{name}: “He will not sign the certificate in July unless the ring is replaced.”")
    assert (quote.status, quote.wrong_speaker, quote.stands) == (ALTERED, wrong, False)


@pytest.mark.parametrize(
    "text",
    [
        "“He will not sign the certificate in June,” said Ilse Kern.",
        "“He will not sign the certificate in June”, Ms Kern said.",
        "“He will not sign the certificate in June” (Ilse Kern)",
        "“He will not sign the certificate in June” — Ilse Kern",
        "“He will not sign the certificate in June,” said Ilse Kern. The crane is old.",
        "“He will not sign the certificate in June,” replied Dr. I. Kern. “The crane is old.”",
        "Ilse Kern: He will not sign the certificate in June unless the ring is replaced.",
        "He will not sign the certificate in June unless the ring is replaced, said Ilse Kern.",
    ],
)
def test_a_name_is_found_wherever_it_stands(check: Checker, text: str) -> None:
    assert check(text).quotes[0].wrong_speaker == ("Bo Lind",)


def test_both_halves_of_a_quotation_are_of_who_is_named_between_them(check: Checker) -> None:
    text = "“He will not sign the certificate in June,” said Kern, “unless the ring is replaced.”"
    assert [(q.speaker, q.wrong_speaker) for q in check(text).quotes] == [("Kern", ("Bo Lind",))] * 2


def test_who_speaks_in_the_next_sentence_does_not_say_what_is_quoted_before(check: Checker) -> None:
    text = "He added that “he will not sign the certificate in June”. Ilse Kern said that “the old crane is dangerous”."
    assert [quote.speaker for quote in check(text).quotes] == [None, "Ilse Kern"]


@pytest.mark.parametrize("who", ["He said", "The chair said", "The minister told us"])
def test_whom_nobody_knows_is_not_judged(check: Checker, who: str) -> None:
    quote = check.one(f"{who}: “He will not sign the certificate in June unless the ring is replaced.”")
    assert (quote.status, quote.wrong_speaker) == (VERBATIM, ())
    # The report does not tell who speaks.
    assert check.one(f"Bo Lind said: “{LONG_TERM}”").wrong_speaker == ()


# What is checked


def test_each_quotation_is_checked_and_each_sentence_without_one(check: Checker) -> None:
    text = (
        f"It rained all day in the old town. Lind called it “dead” and said “{LONG_TERM}” "
        "Trade facilitation remains a key goal."
    )
    quotes = check(text).quotes
    assert [(quote.kind, quote.text, quote.status) for quote in quotes] == [
        (QuoteKind.SENTENCE, "It rained all day in the old town.", ABSENT),
        (QuoteKind.QUOTATION, LONG_TERM, VERBATIM),
        (QuoteKind.SENTENCE, "Trade facilitation remains a key goal.", VERBATIM),
    ]
    assert not check(text).stands


def test_a_sentence_with_a_word_in_quotation_marks_is_a_sentence_if_a_document_has_it(check: Checker) -> None:
    text = 'We could, she said, "do without it" for a year...'
    assert check.one(text).status is VERBATIM
    short = check('Lind called it "quite dead" in May.').quotes
    assert [(quote.text, quote.status) for quote in short] == [("quite dead", TOO_SHORT)]


def test_a_text_without_words_has_nothing_to_check(check: Checker) -> None:
    for text in ("", " \n\n ", "“”", '"', "…", "[...]", "—", "\0"):
        assert check(text).quotes == ()
        assert check(text).stands


def test_a_sentence_that_was_changed_since_is_told(
    tmp_path: Path, index: Path, documents: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("Fares rise by 7 percent in July. Nobody objected.\n")
    rebuild(documents, index)
    (old,) = Checker(index)("Fares rise by 7 percent in July.").quotes
    (documents / "a.txt").write_text("Fares rise by 9 percent in July. Nobody objected.\n")
    rebuild(documents, index)
    quote = Checker(index).one("Fares rise by 7 percent in July.")
    assert (quote.status, changes(quote), quote.earlier) == (ALTERED, [("7", "9")], old.citations)


def test_a_limit_is_kept_and_half_a_pair_is_refused(check: Checker) -> None:
    assert len(check(f"{LONG_TERM} Thank you.", limit=2).quotes) == 2
    with pytest.raises(QuestionError, match="2 quotations and sentences; at most 1 "):
        check(f"{LONG_TERM} Thank you.", limit=1)
    with pytest.raises(QuestionError, match="half of a surrogate pair"):
        check("\ud800 was here before")


# Whatever is quoted


@given(data=st.data())
def test_a_sentence_quoted_exactly_is_verbatim(check: Checker, data: st.DataObject) -> None:
    citation, text = data.draw(st.sampled_from(check.passages()))
    quote = check(text).quotes[0]
    assume(quote.text == text)  # one with quotation marks of its own, or that is two sentences by itself
    assert (quote.status, quote.start, quote.end) == (VERBATIM, 0, len(text))
    assert citation in quote.citations


@given(data=st.data())
def test_a_sentence_of_which_a_word_is_another_never_stands(check: Checker, data: st.DataObject) -> None:
    _, text = data.draw(st.sampled_from([passage for passage in check.passages() if len(passage[1].split()) >= 4]))
    words = text.split()
    at = data.draw(st.integers(1, len(words) - 2))
    word = data.draw(st.sampled_from(["not", "7", "seven", "never", "Baghdad", "no", "-", "%", "re", "10²"]))
    change = data.draw(st.sampled_from(["replaced", "dropped", "added"]))
    rest = {"replaced": [word, *words[at + 1 :]], "dropped": words[at + 1 :], "added": [word, *words[at:]]}[change]
    changed = [*words[:at], *rest]
    assume(changed != words and words[at : at + 1] != words[at + 1 : at + 2])
    # Without the first word behind the mark of a mail (">"), what is left is a part of the sentence, which stands.
    assume(change != "dropped" or any(map(str.isalnum, " ".join(words[:at]))))
    quoted = data.draw(st.sampled_from(["{}", "“{}”", '"{}"'])).format(" ".join(changed))
    assert not any(q.stands and len(q.text.split()) > len(changed) / 2 for q in check(quoted).quotes)


SETTINGS = [
    lambda text: text.replace("'", "’").replace('"', "”"),
    lambda text: text.replace(" ", "\u00a0"),
    lambda text: text.replace(" ", "\r\n", 1),
    lambda text: text.replace(" ", "\u2009 "),
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: unicodedata.normalize("NFC", text),
    lambda text: re.sub(r"([a-z]{3})([a-z]{3})", "\\1\u00ad\\2", text),
    lambda text: text.replace("-", "\u2011"),
    lambda text: text.replace("...", "…"),
    lambda text: text.replace("fi", "ﬁ"),
    lambda text: f"\ufeff{text}\u200b",
]


@given(data=st.data())
def test_a_sentence_in_other_typography_stands(check: Checker, data: st.DataObject) -> None:
    plain = [text for _, text in check.passages() if '"' not in text and "\n" not in text and "[" not in text]
    text = data.draw(st.sampled_from(plain))
    set_anew = data.draw(st.sampled_from(SETTINGS))(text)
    quote = check(f"«{set_anew}»").quotes[0]
    assume(len(text.split()) >= 3 or text[0] >= "\u4e00")
    assert quote.status in STANDS


@given(data=st.data())
def test_a_part_of_a_sentence_stands_at_its_offsets(check: Checker, data: st.DataObject) -> None:
    _, text = data.draw(st.sampled_from([passage for passage in check.passages() if len(passage[1].split()) >= 6]))
    words = text.split(" ")
    first = data.draw(st.integers(0, len(words) - 4))
    part = " ".join(words[first : data.draw(st.integers(first + 4, len(words)))])
    assume(not re.search(r'["\[\]*>]', part))
    quote = check(f"“{part}”").quotes[0]
    assert quote.status in (VERBATIM, ALTERED)
    place = quote.places[0]
    if quote.status is VERBATIM:
        document = check.text(place.passages[0].document_id)
        assert document[place.start : place.end] == part
    else:  # a negation or a part of a number stands beside it
        assert all(not difference.quoted for difference in quote.differences)


# Hostile text


@pytest.mark.parametrize(
    "unit",
    [
        '"',
        "“",
        "“”",
        "“a b c” ",
        "' a",
        '"a ',
        "[T]",
        "A said “",
        "…",
        "[x] ",
        "> ",
        "\n",
        "a. ",
        "not ",
        "\0",
        "1,",
        "[",
        "\u0301",
    ],
)
def test_the_work_grows_with_the_text_and_no_more(check: Checker, unit: str) -> None:
    require_linear(lambda times: check(unit * times), 15)
    with soon():
        check(unit * 200)


@pytest.mark.parametrize("mark", ['"', "“", "«", "'", "„"])
def test_ten_thousand_quotation_marks_take_a_moment(check: Checker, mark: str) -> None:
    for unit in (mark, f"{mark} ", f"a {mark}"):
        with soon():
            check(unit * 10_000)


@given(st.text(st.sampled_from('a“”"[]…. ,\n‘’«»\u0301\u00ad5−%>T'), max_size=60))
@example("[T]")
@example("“[T]”")
@example("“… [x] … [y]”")
def test_no_text_makes_an_error_and_offsets_are_exact(check: Checker, text: str) -> None:
    for quote in check(text).quotes:
        assert text[quote.start : quote.end] == quote.text
        assert len(quote.places) <= MAX_PLACES


# The labelled set


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[benchmark.Result]:
    with checker_of(benchmark.copy_documents, tmp_path_factory.mktemp("labelled")) as checker:
        return [benchmark.check(labelled, checker) for labelled in benchmark.read_labelled()]


def test_the_set_has_every_kind_and_most_of_it_is_written_by_hand(results: list[benchmark.Result]) -> None:
    assert len(results) >= 300
    assert sum(not result.labelled.id.startswith("made-") for result in results) >= 120
    assert len({result.labelled.text for result in results}) == len(results)


def test_no_altered_quotation_stands(results: list[benchmark.Result]) -> None:
    wrong = [r.labelled.text for r in results if not r.labelled.is_true and r.status in STANDS]
    assert wrong == []


def test_true_quotations_stand(results: list[benchmark.Result]) -> None:
    true = [result for result in results if result.labelled.is_true]
    missed = [result.labelled.text for result in true if result.status not in STANDS]
    assert len(missed) <= 0.01 * len(true), missed


def test_whoever_is_named_wrongly_is_found_and_nobody_else(results: list[benchmark.Result]) -> None:
    assert [r.labelled.text for r in results if r.wrong_speaker != r.labelled.wrong_speaker] == []


def test_altered_is_told_from_absent(results: list[benchmark.Result]) -> None:
    altered = [r for r in results if r.labelled.status is ALTERED]
    assert sum(r.status is ALTERED for r in altered) >= 0.9 * len(altered)
    absent = [r for r in results if r.labelled.status is ABSENT]
    assert all(r.status is ABSENT for r in absent)


def test_the_tables_add_up(results: list[benchmark.Result]) -> None:
    lines = benchmark.tables(results).splitlines()
    counts = [list(map(int, line.split("|")[2:7])) for line in lines[2 : lines.index("")]]
    assert sum(count for count, *_ in counts) == len(results)
    assert all(total == sum(parts) for total, *parts in counts)


def test_a_generated_quotation_is_the_same_each_time() -> None:
    chance, again = random.Random(1), random.Random(1)
    words = ["harbour", "crane"]
    text = "The chair closed the meeting of the board at ten past eight."
    made = benchmark._other_word(text, "", chance, words)
    assert made == benchmark._other_word(text, "", again, words)
    assert made != text
