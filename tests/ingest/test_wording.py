"""What a passage says, for whoever reads it alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceline.ingest.wording import row_in_words, wording

COLUMNS = ("Owner", "Task", "Due")


@pytest.mark.parametrize(
    ("row", "columns", "sentence"),
    [
        ("| Bo | Order rope | 9 June |", COLUMNS, "The owner is Bo, the task is Order rope, the due is 9 June."),
        ("Bo | Order rope | 9 June", COLUMNS, "The owner is Bo, the task is Order rope, the due is 9 June."),
        ("Bo,Order rope,9 June", COLUMNS, "The owner is Bo, the task is Order rope, the due is 9 June."),
        ('"Lind, Bo";Order rope;', COLUMNS, "The owner is Lind, Bo, the task is Order rope."),
        ("Bo\tOrder\\|rope\t9 June", COLUMNS, "The owner is Bo, the task is Order\\|rope, the due is 9 June."),
        ("| Oil \\| gas | 4 |", ("What", "EUR"), "The what is Oil / gas, the EUR is 4."),
        ("| | 4 | |", ("", "EUR", "Note"), "The EUR is 4."),
        ("| 4 | old |", ("", "State"), "4, the state is old."),
        ("Bo, who came late", COLUMNS, "Owner | Task | Due: Bo, who came late"),
    ],
)
def test_a_row_is_a_sentence_of_its_columns(row: str, columns: tuple[str, ...], sentence: str) -> None:
    assert row_in_words(row, columns) == sentence
    assert wording(row, (), columns) == sentence


def test_gaps_are_not_said() -> None:
    assert wording("The crane <!-- ha --> is [old](https://x.org).", ((10, 21), (25, 26), (29, 45))) == (
        "The crane   is  old ."
    )
    assert wording("It is.") == "It is."


@given(st.text(), st.lists(st.text(), min_size=1, max_size=5))
def test_no_row_is_too_odd(row: str, columns: list[str]) -> None:
    assert row_in_words(row, columns)
