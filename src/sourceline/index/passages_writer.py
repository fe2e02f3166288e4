"""Writes the documents and passages of a generation to SQLite; ``passages`` reads them.

No text is there twice: a document's is that of its passages, with the ``gap`` in front of each, and the ``tail``.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Self

from sourceline.index.passages import FILE
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


class PassagesWriter:
    """Writes documents and their passages in order."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / FILE)
        self._connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")
        self._documents = self._passages = self._rows = 0
        self._twins = TwinsFinder()

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
        p, row, twin = passage, None, None
        if not p.heading:
            row, twin = self._rows, self._twins.add(p.text, self._rows)
            self._rows += 1
        self._passages += 1
        return (
            *(self._passages - 1, row, p.id, self._documents, p.ordinal, p.start, p.end, gap, p.text),
            *(p.location.line, p.location.paragraph, p.location.section, twin),
        )

    def write(self) -> None:
        """Commit and close."""
        firsts = ((row,) for row in sorted(self._twins.firsts))
        self._connection.executemany("UPDATE passages SET twin = row WHERE row = ?", firsts)
        self._connection.commit()
        self._connection.close()


def _gaps(passages: Sequence[Passage]) -> Iterator[tuple[int, int]]:
    """Yield where the text stands that lies in front of each passage, behind the one before."""
    end = 0
    for passage in passages:
        yield end, passage.start
        end = passage.end
