import datetime
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sourceline.ingest.formats import markdown
from sourceline.ingest.sentences import split_passages
from sourceline.types import BlockKind, Passage
from tests.support.texts import document, texts
from tests.support.work import require_linear, soon


def read(text: str) -> list[str]:
    """Return the text of the blocks, a heading with a hash in front."""
    sign = {BlockKind.HEADING: "# ", BlockKind.PARAGRAPH: ""}
    return [sign[block.kind] + text[block.start : block.end].strip() for block in markdown.parse(text).blocks]


CASES = {
    "headings": ("# One\n\n  ## Two ##\nText.\n\n###### Six", ["# One", "# Two", "Text.", "# Six"]),
    "setext headings": ("One\n===\n\nTwo\nlines\n---\nText.", ["# One", "# Two\nlines", "Text."]),
    "empty headings": ("#\n\n# #\n\nText.", ["Text."]),
    "no heading": ("#hashtag and 1 < 2 #", ["#hashtag and 1 < 2 #"]),
    "paragraphs": (
        "One\nstill one.\n\n   Two.\n\nThree  \nbroken\\\nhard.",
        ["One\nstill one.", "Two.", "Three  \nbroken\\\nhard."],
    ),
    "bullets": ("- one\n* two\n+ three\n", ["one", "two", "three"]),
    "numbers": ("1. one\n2) two\n10. ten\n", ["one", "two", "ten"]),
    "loose list": ("- one\n\n  more of it\n\n- two\n  goes on\n", ["one", "more of it", "two\n  goes on"]),
    "nested list": ("- a\n  - b\n    1. c\n       - d\n- e", ["a", "b", "c", "d", "e"]),
    "nested list by tabs": ("- a\n\t- b\n\t\t- c\n", ["a", "b", "c"]),
    "list in one line": ("- - 1. deep", ["deep"]),
    "lazy line": ("- one\ngoes on\n> quote\ngoes on", ["one\ngoes on", "quote\ngoes on"]),
    "tasks": ("- [ ] open\n- [x] done", ["open", "done"]),
    "equal items": ("- a\n- a\n- a", ["a", "a", "a"]),
    "heading in a list": ("- # One\n  text", ["# One", "text"]),
    "quote": ("> one\n> goes on\n>\n> two", ["one\n> goes on", "two"]),
    "nested quotes": ("> > one\n>\n> - two\n>   > three", ["one", "two", "three"]),
    "setext heading in a quote": ("> One\n> ===\n> text", ["# One", "text"]),
    "table": (
        "| a | b |\n|---|--:|\n| x \\| y | `z \\| w` |\n| | |\nlast",
        ["| x \\| y | `z \\| w` |", "| | |", "last"],
    ),
    "table without edges": ("a | b\n--|--\nc | d\n\nText.", ["c | d", "Text."]),
    "table in a quote": ("> | a | b |\n> |---|---|\n> | c | d |", ["| c | d |"]),
    "fence": ("```python\na = 1\n\nb = 2\n```\nText.", ["a = 1", "b = 2", "Text."]),
    "fence of tildes around backticks": ("~~~~\n```\na\n~~~\n~~~~\nb", ["```", "a", "~~~", "b"]),
    "fence not closed": ("Text.\n\n```\na\nb\n", ["Text.", "a", "b"]),
    "fence not closed, no line end": ("```\na\nb", ["a", "b"]),
    "fence in a quote, not closed": ("> ```\n> a\n> b", ["a", "b"]),
    "fence in a list": ("- ```\n  a\n  ```\n- b", ["a", "b"]),
    "empty fences": ("```\n```\n\n```", []),
    "indented code": ("Text.\n\n    a\n\n    b\n\tc\n", ["Text.", "a", "b", "c"]),
    "html": ("<div>\n<p>One.\n</div>\n\nTwo.", ["One.", "Two."]),
    "html, no line end": ("<div>One.", ["One."]),
    "rules": ("One.\n\n---\n\n***\nTwo.\n___\n", ["One.", "Two."]),
    "html with words marked": ("<p>The crane was\n<b>repaired</b>.</p>", ["The crane was\n<b>repaired</b>."]),
    "html table": ("<table><tr><td>a</td><td>b</td></tr>\n<tr><td>c</td></tr></table>", ["a</td><td>b", "c"]),
    "scripts and styles": ("<style>\na {}\n</style>\n\n<div><script>a</script>One.</div>", ["One."]),
    "comments": ("One.\n\n<!-- a -->\n\n<!--\nb\n\nc\n-->\n\nTwo. <!-- d -->\n", ["One.", "Two."]),
    "comment above text": ("<!-- a\nb --> One.\nTwo.", ["One.\nTwo."]),
    "comment above text of several paragraphs": ("<!-- a\n\nb --> One.\nTwo.", ["One.\nTwo."]),
    "comment in front of a line": ("One\n<!-- a --> two\nthree.", ["One\n<!-- a --> two\nthree."]),
    "comment in a list": ("- <!-- a --> one\n- two <!-- b\n  c -->\n", ["one", "two"]),
    "comment in a quote": ("> one <!-- a\n> b --> two\n>\n> <!-- c -->\n", ["one <!-- a\n> b --> two"]),
    "comment in html": ("<div>One.<!-- a\nb --></div>", ["One."]),
    "comment over blocks": ("One <!-- a\n\n- b\n\n# c\n\n--> two.\n", ["One", "two."]),
    "comment never closed": ("One. <!-- a\nb\n\nTwo. <!-- c --> Three.", ["One.", "Two. <!-- c --> Three."]),
    "comment never closed in a line of its own": ("One.\n\n<!-- a\n\nb\n", ["One."]),
    "comment in code": ("```\n<!-- a -->\n```\n\n`<!-- b -->`", ["<!-- a -->", "`<!-- b -->`"]),
    "heading with a comment": ("# One <!-- a -->\n\n## Two {#two .x}\n\n# {#a}", ["# One", "# Two"]),
    "footnotes": (
        "One.[^1]\n\n[^1]: Half\n[^long]: Two.\n\n    Three.\n",
        ["One.[^1]", "[^1]: Half", "[^long]: Two.", "Three."],
    ),
    "notes": ("> [!NOTE]\n> one\n> two\n\n> [!warning]- A title\n> three", ["one\n> two", "A title", "three"]),
    "notes by exclamation marks": ('!!! note\n    one\n\n!!! tip "A title"\n    two', ["one", "A title", "two"]),
    "notes by colons": ("::: warning\none\n:::\n\n:::tip\n- two\n:::\n", ["one", "two"]),
    "definitions": ("Crane\n: one\n: two\n\nRope\n\n: three\n", ["Crane\n: one", "two", "Rope\n\n: three"]),
    "label above text": ("- Crane:\nThe repair was approved.\n- Rope", ["Crane:\nThe repair was approved.", "Rope"]),
    "table of a head alone": ("| a | b |\n|---|---|\n", ["| a | b |"]),
    "table in a list": ("- one\n\n  | a | b |\n  |---|---|\n  | c | d |\n", ["one", "| c | d |"]),
    "text between rules": ("---\n\nOne.\n\n---\n\nTwo.", ["One.", "Two."]),
    "text right between rules": ("---\nOne. A thing: two.\n---\nThree.", ["One. A thing: two.", "Three."]),
    "sentence with a colon between rules": ("---\nOne: a thing.\n---\nTwo.", ["One: a thing.", "Two."]),
    "paragraph right above a rule": (
        "One.\n\nThe board met. It\nagreed.\n---\nTwo.",
        ["One.", "The board met. It\nagreed.", "Two."],
    ),
    "list between rules": ("---\n- one\n- two\n---\nThree.", ["one", "two", "Three."]),
    "front matter with a mistake": ("---\ntitle: a: b\nx: y\n---\nOne.", ["One."]),
    "front matter that ends in dots": ("---\nx: y\n...\nOne.", ["One."]),
    "link definitions": ("See [here].\n\n[here]: /there 'Title'\n", ["See [here]."]),
    "front matter": ("---\ntitle: T\ntags:\n  - x\n---\n# One\n", ["# T", "# One"]),
    "front matter, nothing else": ("---\ntitle: T\n---", ["# T"]),
    "empty front matter": ("---\n---\nOne.\n\n---\n\nTwo.", ["One.", "Two."]),
    "no front matter": ("One.\n\n---\ntitle: T\n---\n", ["One.", "# title: T"]),
    "wide white space": ("\u2028\n\u00a0one\n\x0ctwo\u3000\n", ["one\n\x0ctwo"]),
    "marker like text": ("1. 1 apple\n2. \\# 2\n- *a*\n", ["1 apple", "\\# 2", "*a*"]),
    "nothing": ("\n \n\t\n", []),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_blocks_are_what_stands_there_without_the_markers_in_front(text: str, expected: list[str]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize("end", ["\r\n", "\r"])
@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_every_kind_of_line_end_reads_the_same(text: str, expected: list[str], end: str) -> None:
    assert read(text.replace("\n", end)) == [block.replace("\n", end) for block in expected]


def passages(text: str) -> list[Passage]:
    return list(split_passages(document(text, "m.md")))


def sentences(text: str) -> list[str]:
    return [passage.text for passage in passages(text)]


FRONT_MATTER = """---
title: 'Harbour board'
date: 2026-05-04
layout: secret
Attendees:
  - Ilse Kern
  - name: Bo Lind
    role: chair
authors: [Anna, "Cem"]
present: >-
  Ilse,
  Bo
participants:
---

# Crane
"""


def test_a_title_that_is_written_with_escapes_is_text() -> None:
    assert markdown.parse('---\ntitle: "A \\0 B \\ud800"\n---\nOne.').title == "A \ufffd B \ufffd"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_front_matter_gives_title_and_date_and_its_people_can_be_cited(end: str) -> None:
    parsed = markdown.parse(FRONT_MATTER.replace("\n", end))
    assert (parsed.title, parsed.date) == ("Harbour board", datetime.date(2026, 5, 4))
    assert [parsed.text[block.start : block.end].replace("\r\n", "\n") for block in parsed.blocks] == [
        "Harbour board",
        "date: 2026-05-04",
        "Attendees:\n  - Ilse Kern\n  - name: Bo Lind\n    role: chair",
        'authors: [Anna, "Cem"]',
        "present: >-\n  Ilse,\n  Bo",
        "Crane",
    ]
    assert [block.kind is BlockKind.HEADING for block in parsed.blocks] == [True, False, False, False, False, True]


def test_people_in_front_matter_are_one_passage() -> None:
    assert "Attendees:\n  - Ilse Kern\n  - name: Bo Lind\n    role: chair" in sentences(FRONT_MATTER)


@pytest.mark.parametrize(
    "inside",
    [
        "title: " + "[" * 9_000,
        "title: " + "{" * 9_000,
        "a: &a [x]\n" + "b: [*a, *a]\n" * 1_000,
        "title: \x07",
        "!!python/x: y",
    ],
)
def test_hostile_front_matter_is_an_end_in_itself(inside: str) -> None:
    assert markdown.parse(f"---\n{inside}\n---\nOne.\n").title is None


def test_rows_are_passages_that_know_the_names_of_their_columns() -> None:
    text = "| Owner | **Task** | [Due](u) |\n|:--|:-:|--|\n| Bo | Order rope. Now. | 9 \\| 10 June |\n| Ilse |\n"
    assert [(passage.text, passage.location.columns, passage.heading) for passage in passages(text)] == [
        ("| Bo | Order rope. Now. | 9 \\| 10 June |", ("Owner", "Task", "Due"), False),
        ("| Ilse |", ("Owner", "Task", "Due"), False),
    ]


def test_a_table_without_names_has_no_columns() -> None:
    assert [(p.text, p.location.columns) for p in passages("| | |\n|--|--|\n| a | b |\n")] == [("| a | b |", ())]


def test_a_long_row_is_split_into_its_sentences() -> None:
    text = f"| a | b |\n|---|---|\n| x | {'The crane was repaired in June. ' * 20}|\n"
    assert len(passages(text)) == 20
    assert {passage.location.columns for passage in passages(text)} == {("a", "b")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The fee <!-- was 90. --> is 60. <!-- no. -->\nNext.", ["The fee <!-- was 90. --> is 60.", "Next."]),
        ("See [it](https://x.org/a.b?c). Then.", ["See [it](https://x.org/a.b?c).", "Then."]),
        ("See [it](x.org/a.b?c 'Title. B'). Then.", ["See [it](x.org/a.b?c 'Title. B').", "Then."]),
        ("[Crane repaired.](u) Then. ![Alt.](v)", ["[Crane repaired.](u)", "Then.", "![Alt.](v)"]),
        ("See [it][a. B]. Then.\n\n[a. B]: u", ["See [it][a. B].", "Then."]),
        ("See <https://x.org/a.b>. Then.\n\n<https://x.org>", ["See <https://x.org/a.b>.", "Then."]),
        ("The <b title='A. B'>crane</b>. Then.", ["The <b title='A. B'>crane</b>.", "Then."]),
        ("[![Build](b.svg)](https://ci.org)", ["[![Build](b.svg)](https://ci.org)"]),
        ("![](crane-was-repaired.png)\n\nThen.", ["Then."]),
        ("> One is.\n> Two goes\n> on.", ["One is.", "Two goes\n> on."]),
        ("**Crane.** The repair costs 9. **Yes.** No.", ["**Crane.** The repair costs 9.", "**Yes.**", "No."]),
        ("The fee rises.[^1] The chair left.\n\n[^1]: Half", ["The fee rises.[^1]", "The chair left.", "[^1]: Half"]),
    ],
)  # fmt: skip
def test_what_is_not_said_ends_no_sentence_and_is_none(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "pieces",
    [
        "<!--",
        "a <!-- b\n\n",
        "<?",
        "<![CDATA[",
        '<a b="',
        "<div><!-- x\n\n",
        "<p>a <b>b</b></p>\n",
        "> <p>a\n> b\n",
        "- <!-- a\n",
        "[a](",
        "[[a]](b) ",
        "> a <!-- b\n> c --> d\n",
    ],
)
def test_markup_without_end_takes_as_much_work_as_it_is_long(pieces: str) -> None:
    require_linear(lambda times: markdown.parse(pieces * times), 100)
    with soon():
        markdown.parse(pieces * 5_000)


@pytest.mark.parametrize("marker", ["> ", "- ", "1. "])
def test_deep_nesting_loses_no_text(marker: str) -> None:
    assert read(marker * 45 + "deep") == ["deep"]


def test_a_list_of_many_levels_loses_no_item() -> None:
    assert read("".join("  " * level + f"- level {level}\n" for level in range(45))) == [
        f"level {level}" for level in range(45)
    ]


@pytest.mark.parametrize("piece", ["[", "![](", "*a ", "<", "` ", "_*"])
def test_brackets_and_stars_without_end_are_text(piece: str) -> None:
    assert read(piece * 50_000) == [(piece * 50_000).strip()]


@pytest.mark.parametrize("marker", ["> ", "- ", "1. "])
def test_nesting_without_end_is_not_followed(marker: str) -> None:
    assert read(marker * 50_000 + "deep") == []


@settings(deadline=None, max_examples=400)
@given(texts)
@example("\x1c\nA")
def test_blocks_are_in_order_do_not_overlap_and_hold_text(text: str) -> None:
    blocks = markdown.parse(text).blocks

    edges = [0, *(edge for block in blocks for edge in (block.start, block.end)), len(text)]
    assert edges == sorted(edges)
    assert all(text[block.start : block.end].strip() for block in blocks)


@settings(deadline=None)
@given(texts)
def test_no_word_is_lost_but_in_fences_definitions_tables_html_and_front_matter(text: str) -> None:
    text = re.sub(r"```|~~~|\]:|<|\|", "", text).removeprefix("---")
    inside = "".join(text[block.start : block.end] for block in markdown.parse(text).blocks)

    assert [character for character in inside if character.isalpha()] == [c for c in text if c.isalpha()]


_FRAGMENTS = [
    *("<!-- SECRET -->", "<!--\nSECRET\n-->", "<!-- SECRET\n\n- SECRET -->", "<b>", "</b>", "<div>", "</div>", "<p>\n"),
    *("\n", "\n\n", "\r\n", "> ", "- ", "# ", "1. ", "*", "One. ", "word "),
    *("[^1]: ", "\nTerm\n: ", "[x](y) ", "[ ] ", "> [!NOTE]\n"),
]
_commented = st.lists(
    st.sampled_from(_FRAGMENTS),
    max_size=24,
).map("".join)


@settings(deadline=None, max_examples=500)
@given(_commented)
def test_no_word_of_a_comment_is_read(text: str) -> None:
    for block in markdown.parse(text).blocks:
        edges = [block.start, *(edge for gap in block.gaps for edge in gap), block.end]
        assert edges == sorted(edges)
        read = [text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
        assert "SECRET" not in "".join(read)
    for passage in passages(text):
        assert passage.text == text[passage.start : passage.end]
        assert not passage.text.startswith("<!--")
        assert not passage.text.endswith("-->")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Text below.\\\nSecond line.\n", ["Text below.", "Second line."]),
        ("> It is up.\\\n> It is red.\n", ["It is up.", "It is red."]),
        ("- The rope is new!\\\n  Is it?\\\n  It is.\n", ["The rope is new!", "Is it?", "It is."]),
    ],
)
def test_the_backslash_of_a_hard_break_begins_no_passage(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected
