import pytest
from hypothesis import given, settings

from sourceline.ingest.formats import markdown
from sourceline.types import BlockKind
from tests.support.texts import texts


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
def test_blocks_are_in_order_do_not_overlap_and_hold_text(text: str) -> None:
    blocks = markdown.parse(text).blocks

    edges = [0, *(edge for block in blocks for edge in (block.start, block.end)), len(text)]
    assert edges == sorted(edges)
    assert all(text[block.start : block.end].strip() for block in blocks)


@settings(deadline=None)
@given(texts)
def test_no_word_is_lost_but_in_fences_definitions_and_front_matter(text: str) -> None:
    text = text.replace("```", "").replace("~~~", "").replace("]:", "").removeprefix("---")
    inside = "".join(text[block.start : block.end] for block in markdown.parse(text).blocks)

    assert [character for character in inside if character.isalpha()] == [c for c in text if c.isalpha()]
