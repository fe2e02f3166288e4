import re

import pytest
from hypothesis import given, settings

from sourceline.ingest.formats import csv
from tests.support.texts import texts

NAMES = ("Item", "Cost", "Who")


def rows(text: str) -> list[tuple[tuple[str, ...], str]]:
    return [(block.columns, text[block.start : block.end]) for block in csv.parse(text).blocks]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_know_the_names_of_their_columns_and_the_row_of_names_is_not_searched(delimiter: str, end: str) -> None:
    lines = [["Item", "Cost", "Who"], ["Crane", "9000", "Ilse Kern"], ["Rope: blue, new", "300", ""]]
    text = end.join(delimiter.join(f'"{field}"' if delimiter in field else field for field in line) for line in lines)

    last = (
        f'"Rope: blue, new"{delimiter}300{delimiter}'
        if delimiter == ","
        else f"Rope: blue, new{delimiter}300{delimiter}"
    )
    assert rows(text + end) == [(NAMES, f"Crane{delimiter}9000{delimiter}Ilse Kern"), (NAMES, last)]


@pytest.mark.parametrize("said", ["sep=;", '"sep=;"', "SEP=;"])
def test_the_line_that_tells_excel_what_separates_the_fields_is_no_row(said: str) -> None:
    assert rows(f"{said}\r\nItem;Cost;Who\r\nCrane, red;9,000;Bo, Ilse\r\n") == [(NAMES, "Crane, red;9,000;Bo, Ilse")]


def test_titles_may_stand_above_the_names_of_the_columns() -> None:
    text = "Budget 2026,,\n,,\nItem,Cost,Who\nCrane,9000,county\nRope,300,\n"
    assert rows(text) == [((), "Budget 2026,,"), (NAMES, "Crane,9000,county"), (NAMES, "Rope,300,")]


def test_a_first_row_that_may_be_names_is_searched_too() -> None:
    assert rows("Name;Role\nIlse Kern;chair\n") == [((), "Name;Role"), (("Name", "Role"), "Ilse Kern;chair")]


@pytest.mark.parametrize(
    "text",
    [
        "Name;Role\nIlse Kern;chair\nBo Lind;clerk\n",
        "vessel\tskipper\nElse\tMia Öst\nGull\tJan\n",
        "Plot,Holder,2026\nNorth,Moss,paid\nSouth,Hale,owes\nEast,Coe,paid\n",
    ],
)
def test_a_row_of_words_above_two_others_is_not_searched(text: str) -> None:
    first, *others = text.splitlines()
    names = tuple(re.split(r"[;,\t]", first))

    assert rows(text) == [(names, line) for line in others]


@pytest.mark.parametrize(
    "text",
    [
        "Reeve;Ida Roth\nClerk;Ulf Berg\nCook;Bo Lind\n",
        "Crane;red\nRope;blue\nBoat;red\n",
        "Room 4;Hall\nAttic;Store\nCellar;Bar\n",
        "It is red.;It is old\nRope;blue\nBoat;red\n",
    ],
)
def test_a_row_of_values_above_two_others_is_searched(text: str) -> None:
    assert [row for _, row in rows(text)] == text.splitlines()


@pytest.mark.parametrize(
    "first", ["Crane;9000", "4.3.2026;red", "Chair:;Ilse Kern", "It is red.;It is old", "a@b.de;x", "a;a"]
)
def test_a_first_row_of_facts_names_no_column(first: str) -> None:
    assert rows(f"{first}\nRope;300\n") == [((), first), ((), "Rope;300")]


def test_a_quoted_field_may_go_on_over_lines_and_hold_quotes() -> None:
    assert rows('Item;Cost\nCrane;"9000\neuros; ""at most"""\nRope;300\n') == [
        (("Item", "Cost"), 'Crane;"9000\neuros; ""at most"""'),
        (("Item", "Cost"), "Rope;300"),
    ]


@pytest.mark.parametrize("row", ['"Crane;9000', 'Crane 27";9000', 'Crane;"9000" euros', '"Crane"s;"9000'])
def test_a_quote_that_is_none_hides_no_other_row(row: str) -> None:
    names = ("Item", "Cost")

    assert rows(f"Item;Cost\nFence;1\n{row}\nRope;300\nBoat;2\n") == [
        *((names, text) for text in ("Fence;1", row, "Rope;300", "Boat;2"))
    ]


def test_a_very_long_row_is_one_paragraph() -> None:
    row = "words;" * 100_000

    assert rows(f"{row}\nRope;300") == [((), row), ((), "Rope;300")]


def test_empty_rows_are_passed_over() -> None:
    assert rows("\n;;\n\nCrane;9000;\n \n") == [((), "Crane;9000;")]
    assert rows("") == []


@settings(deadline=None)
@given(texts)
def test_the_text_is_the_files_own_and_blocks_are_in_order(text: str) -> None:
    parsed = csv.parse(text)

    assert parsed.text == text
    edges = [0, *(edge for block in parsed.blocks for edge in (block.start, block.end)), len(text)]
    assert edges == sorted(edges)
    assert all(text[block.start : block.end].strip() for block in parsed.blocks)
