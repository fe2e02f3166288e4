"""Tables in text (.csv): each row is a paragraph that knows the names of its columns."""

import csv
import io
import re
from collections.abc import Iterator, Sequence

from sourceline.ingest.formats.extraction import is_header, names_columns
from sourceline.types import Block, BlockKind, ParsedFile

# By how often programs write them. csv.Sniffer also takes letters and colons for one.
_DELIMITERS = (",", ";", "\t", "|")
_SAMPLED_ROWS = 20
# A quoted field that goes on for more lines was never closed.
_MAX_LINES = 1_000
_LONGEST_LINE = 100_000  # the module refuses fields of more than 131,072 characters

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_SAID = re.compile(r"\ufeff?\"?sep=(?P<delimiter>[^\w\r\n\"])\"?(?:\r\n|\r|\n)", re.IGNORECASE)
Row = tuple[int, int, list[str]]  # where it starts and ends, and its fields


def parse(text: str) -> ParsedFile:
    """Return a paragraph for each row of a table. A first row that surely names the columns is shown and not searched.

    Rows of one field above it are titles. The line `sep=;`, which tells Excel what separates the fields, is no row.
    Fields are separated by commas, semicolons, tabs or bars, and may be quoted. A quote that is never closed is one of
    the field, so that it hides no other row.
    """
    said = _SAID.match(text)
    lines = [match.span() for match in _LINE.finditer(text, said.end() if said else 0) if match.group()]
    delimiter = said["delimiter"] if said else _delimiter(text, lines[:_SAMPLED_ROWS])
    rows = [row for row in _rows(text, lines, delimiter) if any(field.strip() for field in row[2])]
    head = next((at for at, (_, _, fields) in enumerate(rows) if len(list(filter(str.strip, fields))) > 1), 0)
    sample = [[field.strip() for field in fields] for _, _, fields in rows[head : head + _SAMPLED_ROWS]]
    columns = tuple(sample[0]) if len(sample) > 1 and names_columns(sample[0]) else ()
    names = head if columns and is_header(sample) else None
    return ParsedFile(
        text,
        tuple(
            Block(BlockKind.PARAGRAPH, start, end, columns=columns if number > head else ())
            for number, (start, end, _) in enumerate(rows)
            if number != names
        ),
    )


def _delimiter(text: str, lines: Sequence[tuple[int, int]]) -> str:
    """Return what separates the fields: what makes most rows of more than one field equally long."""

    def score(delimiter: str) -> tuple[int, int]:
        counts = [len(fields) for _, _, fields in _rows(text, lines, delimiter) if len(fields) > 1]
        usual = max(counts, key=counts.count, default=0)
        return counts.count(usual), usual

    return max(_DELIMITERS, key=score)


def _rows(text: str, lines: Sequence[tuple[int, int]], delimiter: str) -> Iterator[Row]:
    at = 0
    while at < len(lines):
        start, end = lines[at]
        fields = _fields(text[start:end], delimiter)
        last = at
        if fields is None:  # a quoted field goes on, to the next line with an odd number of quotes
            candidates = range(at + 1, min(at + _MAX_LINES, len(lines)))
            closing = (line for line in candidates if text.count('"', *lines[line]) % 2)
            if (line := next(closing, None)) and (fields := _fields(text[start : lines[line][1]], delimiter)):
                last, end = line, lines[line][1]
            else:
                fields = text[start:end].split(delimiter)
        yield start, start + len(text[start:end].rstrip("\r\n")), fields
        at = last + 1


def _fields(row: str, delimiter: str) -> list[str] | None:
    """Return the fields of a row, None if it ends within a quoted one."""
    if '"' not in row or len(row) > _LONGEST_LINE:
        return row.rstrip("\r\n").split(delimiter)
    try:
        (fields,) = csv.reader(io.StringIO(row, newline=""), delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):  # not closed, or text behind what is quoted; or more rows than one
        return None
    return fields
