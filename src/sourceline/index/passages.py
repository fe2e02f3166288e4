"""The passages themselves, and the documents they stand in, in SQLite.

All passages have a number, in document order; those that can be answers, all but the headings, have a row as well.
"""

import sqlite3
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from sourceline.types import Location, Passage, Standing

FILE = "passages.sqlite"
CONTEXT = 64  # characters of the document's text that are kept around a passage
_BATCH = 1_000  # rows that one statement asks for
_COLUMNS = "p.id, d.id, p.ordinal, p.start, p.end, p.text, p.line, p.paragraph, p.section, p.row IS NULL, d.title"
_FROM = "FROM passages p JOIN documents d ON d.number = p.document"
_BESIDE = "(SELECT b.text FROM passages b WHERE b.number = p.number {} AND b.document = p.document)"
_PASSAGE = f"SELECT {_COLUMNS} {_FROM}"
_SHOWN = f"SELECT {_COLUMNS}, p.row, p.twin, {_BESIDE.format('- 1')}, {_BESIDE.format('+ 1')} {_FROM}"


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """A document of the index without its text; the ``numbers`` of its passages, and the ``rows`` of the answers.

    ``parts``: in how many parts it was encoded; ``number``: its place among the documents.
    """

    id: str
    title: str
    sha256: str
    numbers: range
    rows: range
    parts: int
    number: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage as a hit shows it.

    ``twin`` is None if no other says the same, else the first row of those that do; ``before`` and ``after`` are the
    passages beside it, headings too, or "" at an edge of the document.
    """

    passage: Passage
    title: str
    twin: int | None
    before: str
    after: str


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
        uri = uri_of(folder)
        for _ in range(connections):
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            self._pool.put(connection)
            connection.execute("SELECT count(*) FROM documents").fetchone()
        with self._connection() as connection:
            self.documents = [
                DocumentEntry(
                    *(id_, title, sha256, range(first, first + count), range(first_row, first_row + rows)),
                    *(parts, number),
                )
                for id_, title, sha256, first, count, first_row, rows, parts, number in connection.execute(
                    "SELECT id, title, sha256, first, passages, first_row, rows, parts, number FROM documents "
                    "ORDER BY number"
                )
            ]
            most = (
                "SELECT coalesce(max(number), -1) + 1, (SELECT coalesce(max(row), -1) + 1 FROM passages) FROM passages"
            )
            self._passages, self._rows = map(int, connection.execute(most).fetchone())
            # Every question asks for twins, of all its candidates; few passages have one.
            twins = connection.execute("SELECT row, twin FROM passages WHERE twin IS NOT NULL ORDER BY row").fetchall()
        self._firsts = np.array([entry.rows.start for entry in self.documents], dtype=np.int64)
        self._twins = np.array(twins, dtype=np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        """Return the number of passages, headings too."""
        return self._passages

    def documents_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the number of the document in which each of these rows stands."""
        return np.searchsorted(self._firsts, rows, side="right") - 1

    @property
    def row_count(self) -> int:
        """The number of rows: of the passages that can be answers."""
        return self._rows

    def rows(self, rows: Sequence[int]) -> dict[int, Shown]:
        """Return passages by row, as hits show them; rows that there are not are left out."""
        return {
            row: Shown(_passage(values), values[10], twin, before or "", after or "")
            for *values, row, twin, before, after in self._select(f"{_SHOWN} WHERE p.row IN ({{}})", rows)
        }

    def twins(self, rows: Collection[int]) -> dict[int, int]:
        """Return for each of these rows that has twins the first row of them all."""
        wanted = np.fromiter(rows, dtype=np.int64, count=len(rows))
        with_twin, firsts = self._twins.T
        at = np.searchsorted(with_twin, wanted)
        found = at < len(with_twin)
        found[found] = with_twin[at[found]] == wanted[found]
        return dict(zip(wanted[found].tolist(), firsts[at[found]].tolist(), strict=True))

    def with_twins(self, twins: Collection[int]) -> list[tuple[int, int, str]]:
        """Return the first row, the row and the id of all passages that are twins of these first rows, in order."""
        return sorted(self._select("SELECT twin, row, id FROM passages WHERE twin IN ({})", twins))

    def of_document(self, entry: DocumentEntry) -> list[Passage]:
        """Return a document's passages in order, headings too."""
        with self._connection() as connection:
            found = connection.execute(
                f"{_PASSAGE} WHERE p.number >= ? AND p.number < ? ORDER BY p.number",
                (entry.numbers.start, entry.numbers.stop),
            ).fetchall()
        return [_passage(values) for values in found]

    def of_rows(self, entry: DocumentEntry) -> dict[int, Passage]:
        """Return a document's passages that can be answers, by row, in order."""
        return dict(zip(entry.rows, (p for p in self.of_document(entry) if not p.heading), strict=True))

    def part(self, key: bytes) -> range | None:
        """Return the rows of a part with this key; any will do, for all of them hold the same."""
        found = self._select("SELECT first_row, first_row + rows FROM parts WHERE key IN ({}) LIMIT 1", [key])
        return range(*found[0]) if found else None

    def text_of(self, entry: DocumentEntry) -> str:
        """Return a document's text: that of its passages, and what stands between them."""
        with self._connection() as connection:
            found = connection.execute(
                "SELECT gap, text FROM passages WHERE number >= ? AND number < ? ORDER BY number",
                (entry.numbers.start, entry.numbers.stop),
            ).fetchall()
            (tail,) = connection.execute("SELECT tail FROM documents WHERE id = ?", (entry.id,)).fetchone()
        return "".join([*(piece for pieces in found for piece in pieces), tail])

    def standing(self, citation: str) -> Standing | None:
        """Return the passage with this id in its place."""
        with self._connection() as connection:
            found = connection.execute(f"{_PASSAGE} WHERE p.id = ?", (citation,)).fetchone()
            if found is None:
                return None
        passage = _passage(found)
        entry = self.entry(passage.document_id)
        assert entry  # each passage is of a document
        return stand(passage, entry.title, self.text_of(entry))

    def standing_texts(self, texts: set[str]) -> list[Standing]:
        """Return all passages with exactly one of these texts. Reads all there are: for builds and rare look-ups."""
        found = sorted(self._select("SELECT number, id FROM passages WHERE text IN ({})", texts))
        return [standing for standing in (self.standing(id_) for _, id_ in found) if standing]

    def entry(self, document_id: str) -> DocumentEntry | None:
        """Return a document by its id."""
        found = self._select("SELECT number FROM documents WHERE id IN ({})", [document_id])
        return self.documents[found[0][0]] if found else None

    def _select(self, statement: str, values: Collection[int | str | bytes]) -> list[Any]:
        """Return what a statement finds for these values, however many."""
        wanted, found = list(values), []
        with self._connection() as connection:
            for start in range(0, len(wanted), _BATCH):
                batch = wanted[start : start + _BATCH]
                found += connection.execute(statement.format(",".join("?" * len(batch))), batch).fetchall()
        return found

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = self._pool.get()
        try:
            yield connection
        finally:
            self._pool.put(connection)


def uri_of(folder: Path) -> str:
    """Return by which URI SQLite opens the file of a generation, to read it."""
    # immutable: a published file never changes, so no lock is taken and nothing is written beside it.
    return f"{(folder / FILE).absolute().as_uri()}?mode=ro&immutable=1"


def _close(pool: SimpleQueue[sqlite3.Connection]) -> None:
    while not pool.empty():
        pool.get().close()


def stand(passage: Passage, title: str, text: str) -> Standing:
    """Return a passage with the text around it, taken from its document's text."""
    before = text[max(0, passage.start - CONTEXT) : passage.start]
    return Standing(passage, title, before, text[passage.end : passage.end + CONTEXT])


def _passage(values: Sequence[Any]) -> Passage:
    id_, document_id, ordinal, start, end, text, line, paragraph, section, heading = values[:10]
    location = Location(line, paragraph, section)
    return Passage(id_, document_id, ordinal, start, end, text, location, bool(heading))
