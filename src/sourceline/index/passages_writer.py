"""Writes the documents and passages of a generation to SQLite; ``passages`` reads them.

No text is there twice: a document's is that of its passages, with the ``gap`` in front of each, and the ``tail``.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Self

from sourceline.index.passages import FILE, DocumentEntry, uri_of
from sourceline.index.twins import TwinsFinder
from sourceline.types import Document, Passage

_SCHEMA = """
CREATE TABLE documents (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, sha256 TEXT NOT NULL, tail TEXT NOT NULL,
    first INTEGER NOT NULL, passages INTEGER NOT NULL, first_row INTEGER NOT NULL, rows INTEGER NOT NULL,
    parts INTEGER NOT NULL
);
CREATE TABLE passages (
    number INTEGER PRIMARY KEY, row INTEGER UNIQUE, id TEXT NOT NULL UNIQUE, document INTEGER NOT NULL,
    ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, gap TEXT NOT NULL,
    text TEXT NOT NULL, line INTEGER NOT NULL, paragraph INTEGER NOT NULL, section TEXT, twin INTEGER
);
CREATE INDEX passages_twin ON passages (twin, row, id) WHERE twin IS NOT NULL;
CREATE TABLE parts (first_row INTEGER PRIMARY KEY, key BLOB NOT NULL, rows INTEGER NOT NULL);
CREATE INDEX parts_key ON parts (key);
"""
# All that has a number is taken over in order, and shifted: by how many more or fewer stand in front of it now.
_TAKE_DOCUMENTS = """
INSERT INTO documents
SELECT number + :document, id, title, sha256, tail, first + :number, passages, first_row + :row, rows, parts
FROM before.documents WHERE number >= :start AND number < :stop ORDER BY number
"""
_TAKE_PASSAGES = """
INSERT INTO passages
SELECT number + :number, row + :row, id, document + :document, ordinal, start, end, gap, text, line, paragraph, section,
    twin + :row
FROM before.passages WHERE number >= :start AND number < :stop ORDER BY number
"""
_TAKE_PARTS = """
INSERT INTO parts SELECT first_row + :row, key, rows
FROM before.parts WHERE first_row >= :start AND first_row < :stop ORDER BY first_row
"""


class PassagesWriter:
    """Writes documents and their passages in order."""

    def __init__(self, folder: Path, before: Path | None = None) -> None:
        """Make the file; ``before``: the folder of the generation from which documents can be taken over."""
        self._connection = sqlite3.connect(folder / FILE, uri=True)
        self._connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")
        if before:
            self._connection.execute("ATTACH ? AS before", (uri_of(before),))
        self._documents = self._passages = self._rows = 0
        self._twins = TwinsFinder()
        self._stored: dict[int, int] = {}  # the first twins of rows as they were taken over

    def __enter__(self) -> Self:
        """Use as a context manager to close the file, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._connection.close()

    def add(
        self, document: Document, passages: Sequence[Passage], parts: Sequence[tuple[bytes, int]] = (), count: int = 0
    ) -> None:
        """Append a document and all its passages.

        ``parts``: the keys of its parts, in order, with how many rows each has; ``count``: how many parts it has.
        """
        first, first_row, text = self._passages, self._rows, document.text
        gaps = [text[start:end] for start, end in _gaps(passages)]
        self._connection.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", map(self._numbered, passages, gaps)
        )
        counts = (first, len(passages), first_row, self._rows - first_row, count)
        tail = text[passages[-1].end :] if passages else text
        self._connection.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self._documents, document.id, document.title, document.sha256, tail, *counts),
        )
        starts = accumulate((rows for _, rows in parts), initial=first_row)
        self._connection.executemany(
            "INSERT INTO parts VALUES (?, ?, ?)",
            [(start, key, rows) for (key, rows), start in zip(parts, starts, strict=False)],
        )
        self._documents += 1

    def _numbered(self, passage: Passage, gap: str) -> tuple[str | int | None, ...]:
        """Give the next passage its number and, if it can be an answer, its row; return what is stored of it."""
        p, row = passage, None
        if not p.heading:
            row = self._rows
            self._twins.add(p.text, row)
            self._rows += 1
        self._passages += 1
        return (
            *(self._passages - 1, row, p.id, self._documents, p.ordinal, p.start, p.end, gap, p.text),
            *(p.location.line, p.location.paragraph, p.location.section, None),
        )

    def take(self, entries: Sequence[DocumentEntry]) -> list[str]:
        """Append consecutive documents of the generation before as they are; return the texts of their answers."""
        first, last = entries[0], entries[-1]
        start, rows = self._rows, range(first.rows.start, last.rows.stop)
        shift = {"document": self._documents - first.number, "row": start - rows.start}
        shift["number"] = self._passages - first.numbers.start
        for statement, wanted in (
            (_TAKE_DOCUMENTS, range(first.number, last.number + 1)),
            (_TAKE_PASSAGES, range(first.numbers.start, last.numbers.stop)),
            (_TAKE_PARTS, rows),
        ):
            self._connection.execute(statement, shift | {"start": wanted.start, "stop": wanted.stop})
        self._documents += len(entries)
        self._passages += last.numbers.stop - first.numbers.start
        self._rows += len(rows)
        taken = self._connection.execute(
            "SELECT row, text, twin FROM passages WHERE row >= ? AND row < ? ORDER BY row", (start, self._rows)
        ).fetchall()
        for row, text, _ in taken:
            self._twins.add(text, row)
        self._stored |= {row: twin for row, _, twin in taken if twin is not None}
        return [text for _, text, _ in taken]

    def write(self) -> None:
        """Commit and close."""
        twins, stored = self._twins.twins, self._stored
        others = [row for row in sorted({*twins, *stored}) if twins.get(row) != stored.get(row)]
        self._connection.executemany(
            "UPDATE passages SET twin = ? WHERE row = ?", ((twins.get(row), row) for row in others)
        )
        self._connection.commit()
        self._connection.close()


def _gaps(passages: Sequence[Passage]) -> Iterator[tuple[int, int]]:
    """Yield where the text stands that lies in front of each passage, behind the one before."""
    end = 0
    for passage in passages:
        yield end, passage.start
        end = passage.end
