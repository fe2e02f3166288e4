import doctest

import pytest
from hypothesis import given, settings

from sourceline.ingest.formats import plain
from sourceline.types import BlockKind
from tests.texts import texts


def paragraphs(text: str) -> list[str]:
    return [text[mark.start : mark.end].strip() for mark in plain.marks(text)]


WRAPPED = "The council met on Monday and it\nvoted for the bridge, which will\nopen in the spring."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t\n\u00a0\n", []),
        ("One line", ["One line"]),
        ("\n\n  One.\n\n\nTwo.\n", ["One.", "Two."]),
        ("One.\n \t\nTwo.", ["One.", "Two."]),
        (WRAPPED, [WRAPPED]),
        (f"{WRAPPED}\n\n{WRAPPED}", [WRAPPED, WRAPPED]),
        (f"Minutes\n\n{WRAPPED}", ["Minutes", WRAPPED]),
        ("one.\u2028two.\u2029three.", ["one.\u2028two.\u2029three."]),
        ("page one\n\x0cpage two is longer", ["page one", "page two is longer"]),
    ],
)
def test_blank_lines_part_blocks_and_a_block_wrapped_to_a_width_is_one_paragraph(
    text: str, expected: list[str]
) -> None:
    assert paragraphs(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "A report has a paragraph a line.\nThis is another one, and it is long.",
        "Alice: Good morning to you.\nBob: Hello, Alice.\nAlice: Shall we begin?",
        "Forecasting\nAverages of past values are the forecast.",
        "- milk\n- bread and butter\n- tea",
    ],
)
def test_in_a_block_that_was_not_wrapped_each_line_is_a_paragraph(text: str) -> None:
    assert paragraphs(text) == text.split("\n")


@pytest.mark.parametrize("text", [WRAPPED, f"{WRAPPED}\n\nOne.\nTwo.\n", "One.\n\nTwo.\n\n\n Three. \nFour."])
@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_every_kind_of_line_end_parts_the_same_paragraphs(text: str, end: str) -> None:
    assert paragraphs(text.replace("\n", end)) == [one.replace("\n", end) for one in paragraphs(text)]


def test_all_marks_are_paragraphs() -> None:
    assert {mark.kind for mark in plain.marks(f"# No heading\n\n{WRAPPED}")} == {BlockKind.PARAGRAPH}


@settings(deadline=None)
@given(texts)
def test_marks_hold_all_the_text_in_order_and_do_not_overlap(text: str) -> None:
    marks = plain.marks(text)

    edges = [0, *(edge for mark in marks for edge in (mark.start, mark.end)), len(text)]
    assert edges == sorted(edges)
    assert all(text[mark.start : mark.end].strip() for mark in marks)
    outside = [text[end:start] for end, start in zip(edges[::2], edges[1::2], strict=True)]
    assert not "".join(outside).strip()


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(plain).failed == 0
