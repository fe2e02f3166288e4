"""What a passage says, for whoever reads it alone: without its gaps, a table's row as a sentence."""

import csv
from collections.abc import Sequence

_DELIMITERS = "|,;\t"


def wording(text: str, gaps: Sequence[tuple[int, int]] = (), columns: Sequence[str] = ()) -> str:
    """Return what a passage says.

    >>> wording("See [it](x.md) there.", ((4, 5), (7, 14)))
    'See  it  there.'
    """
    starts = [0, *(last for _, last in gaps)]
    ends = [*(first for first, _ in gaps), len(text)]
    words = " ".join(text[start:end] for start, end in zip(starts, ends, strict=True))
    return row_in_words(words, columns) if columns else words


def row_in_words(text: str, columns: Sequence[str]) -> str:
    """Return a row as a sentence of its columns' names and values; without empty cells.

    >>> row_in_words("| Bo | Order rope | 9 June |", ("Owner", "Task", "Due"))
    'The owner is Bo, the task is Order rope, the due is 9 June.'
    """
    cells = _cells(text, len(columns))
    if cells is None:
        return f"{' | '.join(columns)}: {text}"
    filled = [(name, cell) for name, cell in zip(columns, cells, strict=True) if cell]
    said = [f"the {_inside(name)} is {cell}" if name else cell for name, cell in filled]
    sentence = ", ".join(said)
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _cells(text: str, count: int) -> list[str] | None:
    """Return the cells of a row of so many, whatever stands between them; None if there are not so many."""
    row = text.strip()
    barred = row.replace("\\|", "/")
    barred = barred.removeprefix("|").removesuffix("|") if barred.startswith("|") else barred
    for delimiter in _DELIMITERS:
        line = (barred if delimiter == "|" else row).replace("\n", " ").replace("\r", " ")
        try:
            cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        except csv.Error:  # a field of more than 131,072 characters
            return None
        if len(cells) == count:
            return [" ".join(cell.split()) for cell in cells]
    return None


def _inside(name: str) -> str:
    """Return a column's name as it stands inside a sentence: "Owner" with a small letter, "EUR" as it is."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name
