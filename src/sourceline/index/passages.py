"""The passages themselves, and the documents they stand in, in SQLite."""

import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Self

from sourceline.types import Document, Location, Passage, Standing

FILE = "passages.sqlite"
# How much of the document's text around a passage is kept with it, in characters.
CONTEXT = 64
_SCHEMA = """
CREATE TABLE documents (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, sha256 TEXT NOT NULL, text TEXT NOT NULL,
    first INTEGER NOT NULL, count INTEGER NOT NULL
);
CREATE TABLE passages (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL, text TEXT NOT NULL,
    line INTEGER NOT NULL, paragraph INTEGER NOT NULL, section TEXT
);
"""
_PASSAGE = """
SELECT p.id, d.id, p.ordinal, p.start, p.end, p.text, p.line, p.paragraph, p.section, d.title, p.row
FROM passages p JOIN documents d ON d.number = p.document
"""


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """A document of the index without its text; ``rows`` are its passages'."""

    id: str
    title: str
    sha256: str
    rows: range


class PassagesWriter:
    """Writes documents and their passages in row order."""

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / FILE)
        self._connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")
        self._documents = 0
        self._rows = 0

    def __enter__(self) -> Self:
        """Use as a context manager to close the file, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._connection.close()

    def add(self, document: Document, passages: Sequence[Passage]) -> None:
        """Append a document and all its passages."""
        self._connection.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                self._documents,
                document.id,
                document.title,
                document.sha256,
                document.text,
                self._rows,
                len(passages),
            ),
        )
        self._connection.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    row,
                    p.id,
                    self._documents,
                    p.ordinal,
                    p.start,
                    p.end,
                    p.text,
                    p.location.line,
                    p.location.paragraph,
                    p.location.section,
                )
                for row, p in enumerate(passages, start=self._rows)
            ),
        )
        self._documents += 1
        self._rows += len(passages)

    def write(self) -> None:
        """Commit and close."""
        self._connection.commit()
        self._connection.close()


class Passages:
    """The passages of one generation. Safe to read from many threads."""

    def __init__(self, folder: Path, connections: int) -> None:
        """Open ``connections`` connections at once: a generation that is served may be deleted under it.

        Raises:
            sqlite3.Error: the file is not a database.
        """
        self._pool: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        # A connection refers to itself, so that it would stay open until the garbage collector comes by.
        weakref.finalize(self, _close, self._pool)
        # immutable: a published file never changes, so no lock is taken and nothing is written beside it.
        uri = f"{(folder / FILE).absolute().as_uri()}?mode=ro&immutable=1"
        for _ in range(connections):
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            self._pool.put(connection)
            connection.execute("SELECT count(*) FROM documents").fetchone()
        with self._connection() as connection:
            self._rows = int(connection.execute("SELECT count(*) FROM passages").fetchone()[0])
            self.documents = [
                DocumentEntry(id_, title, sha256, range(first, first + count))
                for id_, title, sha256, first, count in connection.execute(
                    "SELECT id, title, sha256, first, count FROM documents ORDER BY number"
                )
            ]

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def rows(self, rows: Sequence[int]) -> dict[int, tuple[Passage, str]]:
        """Return passages and their documents' titles by row; rows that there are not are left out."""
        marks = ",".join("?" * len(rows))
        with self._connection() as connection:
            found = connection.execute(f"{_PASSAGE} WHERE p.row IN ({marks})", tuple(rows)).fetchall()
        return {values[10]: (_passage(values), values[9]) for values in found}

    def of_document(self, entry: DocumentEntry) -> list[Passage]:
        """Return a document's passages in order."""
        with self._connection() as connection:
            found = connection.execute(
                f"{_PASSAGE} WHERE p.row >= ? AND p.row < ? ORDER BY p.row",
                (entry.rows.start, entry.rows.stop),
            ).fetchall()
        return [_passage(values) for values in found]

    def text_of(self, entry: DocumentEntry) -> str:
        """Return a document's text."""
        with self._connection() as connection:
            (text,) = connection.execute("SELECT text FROM documents WHERE id = ?", (entry.id,)).fetchone()
        return str(text)

    def standing(self, citation: str) -> Standing | None:
        """Return the passage with this id in its place."""
        with self._connection() as connection:
            found = connection.execute(f"{_PASSAGE} WHERE p.id = ?", (citation,)).fetchone()
            if found is None:
                return None
            passage = _passage(found)
            document = (passage.document_id,)
            (text,) = connection.execute("SELECT text FROM documents WHERE id = ?", document).fetchone()
        return stand(passage, found[9], text)

    def standing_texts(self, texts: set[str]) -> list[Standing]:
        """Return all passages with exactly one of these texts. Reads every row: for builds and rare look-ups."""
        with self._connection() as connection:
            found = connection.execute("SELECT id, text FROM passages ORDER BY row")
            ids = [id_ for id_, text in found if text in texts]
        return [standing for standing in map(self.standing, ids) if standing]

    def entry(self, document_id: str) -> DocumentEntry | None:
        """Return a document by its id."""
        with self._connection() as connection:
            found = connection.execute("SELECT number FROM documents WHERE id = ?", (document_id,)).fetchone()
        return None if found is None else self.documents[found[0]]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = self._pool.get()
        try:
            yield connection
        finally:
            self._pool.put(connection)


def _close(pool: SimpleQueue[sqlite3.Connection]) -> None:
    while not pool.empty():
        pool.get().close()


def stand(passage: Passage, title: str, text: str) -> Standing:
    """Return a passage with the text around it, taken from its document's text."""
    before = text[max(0, passage.start - CONTEXT) : passage.start]
    return Standing(passage, title, before, text[passage.end : passage.end + CONTEXT])


def _passage(values: tuple) -> Passage:  # type: ignore[type-arg]  # a row of _PASSAGE
    id_, document_id, ordinal, start, end, text, line, paragraph, section = values[:9]
    return Passage(id_, document_id, ordinal, start, end, text, Location(line, paragraph, section))
