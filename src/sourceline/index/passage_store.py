"""Twins: passages whose texts say the same, such as a report that was syndicated twice. They are shown once."""

import hashlib
import sqlite3
import unicodedata
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sourceline.types import Document, Location, Passage, PassageInContext

_PLAIN = str.maketrans(dict.fromkeys("\"'“”„‟«»‹›‘’‚‛") | dict.fromkeys("‐‑‒–—―−", "-"))


def same(text: str) -> str:
    """Return what twins have in common: the text without case, kinds of quotes, dashes and spaces, and closing marks.

    Marks within stay, for "$5" is not "€5" and "-5" is not "5". A text of closing marks alone is its own.

    >>> same("“Trade  grew”"), same("trade grew."), same("?!")
    ('trade grew', 'trade grew', '?!')
    """
    if text.isascii():  # the same in less time: most texts are
        folded = text.lower().replace('"', "").replace("'", "")
    else:
        folded = unicodedata.normalize("NFKC", text).casefold().translate(_PLAIN)
        folded = unicodedata.normalize("NFKC", folded)  # a mark may stand behind another letter now
    return " ".join(folded.split()).rstrip(" .,;:!?") or text


class DuplicateFinder:
    """Finds twins among the texts of a snapshot that is being written.

    ``duplicates``: of each row that has a twin the first row that says the same, which can be itself.
    """

    def __init__(self) -> None:
        self._first: dict[bytes, int] = {}
        self.duplicates: dict[int, int] = {}

    def add(self, text: str, row: int) -> None:
        """Take the text of the next row."""
        first = self._first.setdefault(hashlib.sha256(same(text).encode()).digest()[:16], row)
        if first != row:
            self.duplicates[row] = self.duplicates[first] = first


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
class StoredPassage:
    """A passage as a hit shows it.

    ``duplicate_of`` is None if no other says the same, else the first row of those that do; ``before`` and ``after`` are the
    passages beside it, headings too, or "" at an edge of the document.
    """

    passage: Passage
    title: str
    duplicate_of: int | None
    before: str
    after: str


class PassageStore:
    """The passages of one snapshot. Safe to read from many threads."""

    def __init__(self, folder: Path, connections: int) -> None:
        """Open ``connections`` connections at once: a snapshot that is served may be deleted under it.

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
            duplicates = connection.execute(
                "SELECT row, twin FROM passages WHERE twin IS NOT NULL ORDER BY row"
            ).fetchall()
        self._firsts = np.array([entry.rows.start for entry in self.documents], dtype=np.int64)
        self._twins = np.array(duplicates, dtype=np.int64).reshape(-1, 2)

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

    def rows(self, rows: Sequence[int]) -> dict[int, StoredPassage]:
        """Return passages by row, as hits show them; rows that there are not are left out."""
        return {
            row: StoredPassage(_passage(values), values[10], duplicate_of, before or "", after or "")
            for *values, row, duplicate_of, before, after in self._select(f"{_SHOWN} WHERE p.row IN ({{}})", rows)
        }

    def duplicates(self, rows: Collection[int]) -> dict[int, int]:
        """Return for each of these rows that has twins the first row of them all."""
        wanted = np.fromiter(rows, dtype=np.int64, count=len(rows))
        with_twin, firsts = self._twins.T
        at = np.searchsorted(with_twin, wanted)
        found = at < len(with_twin)
        found[found] = with_twin[at[found]] == wanted[found]
        return dict(zip(wanted[found].tolist(), firsts[at[found]].tolist(), strict=True))

    def with_duplicates(self, duplicates: Collection[int]) -> list[tuple[int, int, str]]:
        """Return the first row, the row and the id of all passages that are twins of these first rows, in order."""
        return sorted(self._select("SELECT twin, row, id FROM passages WHERE twin IN ({})", duplicates))

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

    def standing(self, citation: str) -> PassageInContext | None:
        """Return the passage with this id in its place."""
        with self._connection() as connection:
            found = connection.execute(f"{_PASSAGE} WHERE p.id = ?", (citation,)).fetchone()
            if found is None:
                return None
        passage = _passage(found)
        entry = self.entry(passage.document_id)
        assert entry  # each passage is of a document
        return stand(passage, entry.title, self.text_of(entry))

    def find_texts(self, texts: set[str]) -> list[PassageInContext]:
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
    """Return by which URI SQLite opens the file of a snapshot, to read it."""
    # immutable: a published file never changes, so no lock is taken and nothing is written beside it.
    return f"{(folder / FILE).absolute().as_uri()}?mode=ro&immutable=1"


def _close(pool: SimpleQueue[sqlite3.Connection]) -> None:
    while not pool.empty():
        pool.get().close()


def stand(passage: Passage, title: str, text: str) -> PassageInContext:
    """Return a passage with the text around it, taken from its document's text."""
    before = text[max(0, passage.start - CONTEXT) : passage.start]
    return PassageInContext(passage, title, before, text[passage.end : passage.end + CONTEXT])


def _passage(values: Sequence[Any]) -> Passage:
    id_, document_id, ordinal, start, end, text, line, paragraph, section, heading = values[:10]
    location = Location(line, paragraph, section)
    return Passage(id_, document_id, ordinal, start, end, text, location, bool(heading))


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


class PassageStoreWriter:
    """Writes documents and their passages in order."""

    def __init__(self, folder: Path, before: Path | None = None) -> None:
        """Make the file; ``before``: the folder of the snapshot from which documents can be taken over."""
        self._connection = sqlite3.connect(folder / FILE, uri=True)
        self._connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")
        if before:
            self._connection.execute("ATTACH ? AS before", (uri_of(before),))
        self._documents = self._passages = self._rows = 0
        self._twins = DuplicateFinder()
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
        """Append consecutive documents of the snapshot before as they are; return the texts of their answers."""
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
        self._stored |= {row: duplicate_of for row, _, duplicate_of in taken if duplicate_of is not None}
        return [text for _, text, _ in taken]

    def write(self) -> None:
        """Commit and close."""
        duplicates, stored = self._twins.duplicates, self._stored
        others = [row for row in sorted({*duplicates, *stored}) if duplicates.get(row) != stored.get(row)]
        self._connection.executemany(
            "UPDATE passages SET twin = ? WHERE row = ?", ((duplicates.get(row), row) for row in others)
        )
        self._connection.commit()
        self._connection.close()


def _gaps(passages: Sequence[Passage]) -> Iterator[tuple[int, int]]:
    """Yield where the text stands that lies in front of each passage, behind the one before."""
    end = 0
    for passage in passages:
        yield end, passage.start
        end = passage.end
