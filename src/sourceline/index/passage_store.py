"""The documents and passages of a snapshot, in SQLite.

Every passage has a number, in document order; those that can answer (all but the headings) have a row as well. No text
is stored twice: a document's text is that of its passages, with the ``gap`` in front of each, and the ``tail``.
"""

import datetime
import hashlib
import json
import sqlite3
import weakref
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, Self

import numpy as np

from sourceline.encoders.base import Int64
from sourceline.errors import SnapshotError
from sourceline.ids import form_hash
from sourceline.ingest.questions import asks
from sourceline.ingest.wording import wording
from sourceline.text import is_utf8, normalize_text
from sourceline.types import Context, Document, Location, Passage, PassageInContext, Time

FILE = "passages.sqlite"
SELECTOR_CHARACTERS = 64  # of the document's text on either side of a cited passage
_BATCH = 1_000  # values that one statement asks for
_SCHEMA = """
CREATE TABLE documents (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, sha256 TEXT NOT NULL, tail TEXT NOT NULL,
    first INTEGER NOT NULL, passages INTEGER NOT NULL, first_row INTEGER NOT NULL, rows INTEGER NOT NULL,
    chunks INTEGER NOT NULL, date TEXT, speakers TEXT NOT NULL
);
CREATE TABLE passages (
    number INTEGER PRIMARY KEY, row INTEGER UNIQUE, id TEXT NOT NULL UNIQUE, document INTEGER NOT NULL,
    ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, gap TEXT NOT NULL,
    text TEXT NOT NULL, line INTEGER NOT NULL, paragraph INTEGER NOT NULL, section TEXT, page INTEGER, speaker TEXT,
    time_start REAL, time_end REAL, columns TEXT, gaps TEXT, asks INTEGER NOT NULL, form INTEGER NOT NULL,
    duplicate_of INTEGER
);
CREATE INDEX passages_speaker ON passages (speaker, row) WHERE speaker IS NOT NULL;
CREATE INDEX passages_asking ON passages (row) WHERE asks;
CREATE INDEX passages_duplicate ON passages (duplicate_of, row, id) WHERE duplicate_of IS NOT NULL;
CREATE TABLE chunks (first_row INTEGER PRIMARY KEY, key BLOB NOT NULL, rows INTEGER NOT NULL);
CREATE INDEX chunks_key ON chunks (key);
"""
# The passage before or after in the same paragraph or turn; and a question beside what may be its answer.
_NEIGHBOR = """(
    SELECT n.text FROM passages n
    WHERE n.number = p.number {} AND n.document = p.document
        AND (n.paragraph = p.paragraph OR n.speaker = p.speaker OR ({}.asks AND n.row IS NOT NULL))
)"""
_COLUMNS = """
    p.id, d.id AS document_id, p.ordinal, p.start, p.end, p.gap, p.text, p.line, p.paragraph, p.section, p.page,
    p.speaker, p.time_start, p.time_end, p.columns, p.gaps, p.row, p.duplicate_of, d.title
"""
_FROM = "FROM passages p JOIN documents d ON d.number = p.document"
_NEIGHBORS = f"{_NEIGHBOR.format('- 1', 'n')} AS before, {_NEIGHBOR.format('+ 1', 'p')} AS after"
_PASSAGE = f"SELECT {_COLUMNS}, {_NEIGHBORS} {_FROM}"
_PASSAGES_ALONE = f"SELECT {_COLUMNS} {_FROM} WHERE p.number >= ? AND p.number < ? ORDER BY p.number"
_NUMBERED = f"SELECT {_COLUMNS}, p.number {_FROM} WHERE {{}} ORDER BY p.number"
_NUMBERS_OF_ROWS = "SELECT row, number FROM passages WHERE row IN ({})"
_SURROUNDINGS = """
SELECT n.row, n.text, n.line, n.paragraph, n.section, n.page, n.speaker, n.time_start, n.time_end, n.columns, n.gaps,
    d.title,
    n.number = p.number AS here
FROM passages p JOIN passages n ON n.number BETWEEN p.number - :reach AND p.number + :reach AND n.document = p.document
JOIN documents d ON d.number = p.document
WHERE p.row = :row ORDER BY n.number
"""
# Copied in order, with everything that is numbered shifted by how many more or fewer stand in front of it now.
_COPY_DOCUMENTS = """
INSERT INTO documents
SELECT number + :document, id, title, sha256, tail, first + :number, passages, first_row + :row, rows, chunks, date,
    speakers
FROM before.documents WHERE number >= :start AND number < :stop ORDER BY number
"""
_COPY_PASSAGES = """
INSERT INTO passages
SELECT number + :number, row + :row, id, document + :document, ordinal, start, end, gap, text, line, paragraph, section,
    page, speaker, time_start, time_end, columns, gaps, asks, form, duplicate_of + :row
FROM before.passages WHERE number >= :start AND number < :stop ORDER BY number
"""
_COPY_CHUNKS = """
INSERT INTO chunks SELECT first_row + :row, key, rows
FROM before.chunks WHERE first_row >= :start AND first_row < :stop ORDER BY first_row
"""


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """A document of the index, without its text.

    ``numbers`` are those of its passages, ``rows`` those of the ones that can answer; ``chunks`` counts its chunks;
    ``number`` is its position among the documents; ``speakers`` are those who speak in it, in the order in which they
    first do.
    """

    id: str
    title: str
    sha256: str
    numbers: range
    rows: range
    chunks: int
    number: int
    date: datetime.date | None
    speakers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as a hit shows it. ``duplicate_of`` is the first row that says the same, None if no other row does."""

    passage: Passage
    title: str
    context: Context
    duplicate_of: int | None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The passages of a document around one of them, in order, headings included.

    ``texts`` is what they say (see ``wording``), ``speakers`` who says it. ``rows`` has None for a heading; ``at`` is
    where the one in question stands among them.
    """

    title: str
    section: str | None
    rows: tuple[int | None, ...]
    texts: tuple[str, ...]
    speakers: tuple[str | None, ...]
    at: int


@dataclass(frozen=True, slots=True)
class SearchableText:
    """What a row is found by: what it says, with who says it in front, the number of its document, and who says it."""

    text: str
    document: int
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive passages of a document with the text in front of each, and behind the last of the document.

    ``start`` is where ``text`` begins in the document, which has ``length`` characters.
    """

    start: int
    text: str
    passages: tuple[Passage, ...]
    length: int


@dataclass(frozen=True, slots=True)
class NumberedPassage:
    """A passage with its number and the title of its document; ``gap`` is what stands in front of it there."""

    number: int
    passage: Passage
    title: str
    gap: str


class Record(Protocol):
    """A row of a table, as a database's driver returns it."""

    def __getitem__(self, name: str, /) -> Any:
        """Return the value of a column."""


class DocumentTable:
    """The documents of a snapshot in memory, and what follows from these alone."""

    def __init__(self, documents: list[DocumentEntry]) -> None:
        """Take the documents, by id."""
        self.documents = documents
        self._first_rows = np.array([entry.rows.start for entry in documents], dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of passages, headings included."""
        return self.documents[-1].numbers.stop if self.documents else 0

    @property
    def row_count(self) -> int:
        """The number of rows: of passages that can answer."""
        return self.documents[-1].rows.stop if self.documents else 0

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Everybody who speaks in a document, each once, in the order of the documents."""
        return tuple(dict.fromkeys(speaker for entry in self.documents for speaker in entry.speakers))

    @cached_property
    def speakers_by_name(self) -> tuple[str, ...]:
        """Everybody who speaks in a document, by name, as a filter tells them apart: however they are written, once."""
        named: dict[str, str] = {}
        for speaker in self.speakers:
            named.setdefault(normalize_text(speaker), speaker)
        return tuple(named[name] for name in sorted(named))

    def documents_of(self, rows: Int64) -> Int64:
        """Return the number of the document in which each of these rows stands."""
        return np.searchsorted(self._first_rows, rows, side="right") - 1

    def speakers_named(self, names: Collection[str]) -> list[str]:
        """Return the speakers with these names, as they stand in the documents, which may write one in several ways."""
        wanted = {normalize_text(name) for name in names}
        return [speaker for speaker in self.speakers if normalize_text(speaker) in wanted]

    def document_of(self, number: int) -> DocumentEntry:
        """Return the document in which the passage with this number stands."""
        at = bisect_right(self.documents, number, key=lambda entry: entry.numbers.start) - 1
        while number not in self.documents[at].numbers:  # one without passages begins with the same number
            at -= 1
        return self.documents[at]


class PassageStore(DocumentTable):
    """The passages of one snapshot. Safe to read from many threads.

    Everything that reads raises SnapshotError if the file was written to under it, as far as SQLite notices that.
    """

    def __init__(self, folder: Path, connections: int) -> None:
        """Open ``connections`` connections at once: a snapshot that is served may be deleted meanwhile.

        Raises:
            sqlite3.Error: the file is not a database.
        """
        self._pool: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        # A connection refers to itself, so that it would stay open until garbage collection.
        weakref.finalize(self, _close, self._pool)
        for _ in range(connections):
            connection = sqlite3.connect(_uri(folder), uri=True, check_same_thread=False)
            connection.row_factory = sqlite3.Row
            self._pool.put(connection)
            connection.execute("SELECT count(*) FROM documents").fetchone()
        with self._connection() as connection:
            super().__init__([_entry(row) for row in connection.execute("SELECT * FROM documents ORDER BY number")])
            count = "SELECT coalesce(max(number), -1) + 1, coalesce(max(row), -1) + 1 FROM passages"
            self._passages, self._rows = map(int, connection.execute(count).fetchone())
            # Every question asks for the duplicates of all its candidates, and few passages have one.
            query = "SELECT row, duplicate_of FROM passages WHERE duplicate_of IS NOT NULL ORDER BY row"
            duplicates = [tuple(row) for row in connection.execute(query)]
            query = "SELECT row FROM passages WHERE asks AND row IS NOT NULL ORDER BY row"
            asking = [row["row"] for row in connection.execute(query)]
        self._duplicates = np.array(duplicates, dtype=np.int64).reshape(-1, 2)
        self._asking = np.array(asking, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of passages, headings included."""
        return self._passages

    @property
    def row_count(self) -> int:
        """The number of rows: of passages that can answer."""
        return self._rows

    def asking(self, rows: Collection[int]) -> set[int]:
        """Return which of these rows ask a question instead of telling something."""
        row_array = np.fromiter(rows, dtype=np.int64, count=len(rows))
        at = np.minimum(np.searchsorted(self._asking, row_array), max(0, len(self._asking) - 1))
        return set(row_array[self._asking[at] == row_array].tolist()) if len(self._asking) else set()

    def rows_of_speakers(self, speakers: Collection[str]) -> Int64:
        """Return the rows, ascending, of what these speakers say, named as in ``DocumentEntry.speakers``."""
        query = "SELECT row FROM passages WHERE speaker IN ({}) AND row IS NOT NULL"
        return np.sort(np.array([row["row"] for row in self._select(query, speakers)], dtype=np.int64))

    def rows(self, rows: Sequence[int]) -> dict[int, StoredPassage]:
        """Return passages by row; rows that do not exist are left out."""
        return {
            row["row"]: StoredPassage(passage_of(row), row["title"], context_of(row), row["duplicate_of"])
            for row in self._select(f"{_PASSAGE} WHERE p.row IN ({{}})", rows)
        }

    def surroundings(self, row: int, reach: int) -> Surroundings:
        """Return the passages of the document around a row, up to ``reach`` on each side.

        Raises:
            IndexError: there is no such row.
        """
        with self._connection() as connection:
            passages = connection.execute(_SURROUNDINGS, {"row": row, "reach": reach}).fetchall()
        if not passages:
            raise IndexError(f"there is no row {row}")
        at = next(at for at, passage in enumerate(passages) if passage["here"])
        return Surroundings(
            title=passages[at]["title"],
            section=passages[at]["section"],
            rows=tuple(passage["row"] for passage in passages),
            texts=tuple(map(wording_of, passages)),
            speakers=tuple(passage["speaker"] for passage in passages),
            at=at,
        )

    def duplicates(self, rows: Collection[int]) -> dict[int, int]:
        """Map each of these rows that has duplicates to the first of them, which can be itself."""
        row_array = np.fromiter(rows, dtype=np.int64, count=len(rows))
        known, firsts = self._duplicates.T
        at = np.searchsorted(known, row_array)
        has_duplicates = at < len(known)
        has_duplicates[has_duplicates] = known[at[has_duplicates]] == row_array[has_duplicates]
        return dict(zip(row_array[has_duplicates].tolist(), firsts[at[has_duplicates]].tolist(), strict=True))

    def count_duplicates(self, firsts: Collection[int]) -> int:
        """Return how many rows say the same as one of these first rows, these included."""
        return int(np.isin(self._duplicates[:, 1], list(firsts)).sum())

    def with_duplicates(self, firsts: Collection[int]) -> list[tuple[int, int, str]]:
        """Return the first row, the row and the id of all passages that say the same as these first rows, in order."""
        query = "SELECT duplicate_of, row, id FROM passages WHERE duplicate_of IN ({})"
        return sorted(tuple(row) for row in self._select(query, firsts))

    def of_document(self, entry: DocumentEntry) -> list[Passage]:
        """Return a document's passages in order, headings included."""
        with self._connection() as connection:
            return [passage_of(row) for row in connection.execute(_PASSAGES_ALONE, _bounds(entry.numbers))]

    def answers_of(self, entry: DocumentEntry) -> dict[int, Passage]:
        """Return a document's passages that can answer, by row, in order."""
        return dict(zip(entry.rows, (p for p in self.of_document(entry) if not p.heading), strict=True))

    def in_context(self, entry: DocumentEntry) -> list[PassageInContext]:
        """Return a document's passages in order, headings included, each with its surroundings."""
        return list(self.each_in_context(entry))

    def each_in_context(self, entry: DocumentEntry) -> Iterator[PassageInContext]:
        """Yield what ``in_context`` returns, which of a long document takes much more memory than its text."""
        text = self.text_of(entry)
        for first in range(entry.numbers.start, entry.numbers.stop, _BATCH):
            with self._connection() as connection:
                query = f"{_PASSAGE} WHERE p.number >= ? AND p.number < ? ORDER BY p.number"
                rows = connection.execute(query, (first, min(first + _BATCH, entry.numbers.stop))).fetchall()
            yield from (in_its_text(row, text) for row in rows)

    def text_of(self, entry: DocumentEntry) -> str:
        """Return a document's text."""
        query = "SELECT gap, text FROM passages WHERE number >= ? AND number < ? ORDER BY number"
        with self._connection() as connection:
            pieces = connection.execute(query, _bounds(entry.numbers))
            return "".join([*(part for piece in pieces for part in piece), _tail(connection, entry)])

    def stretch(self, entry: DocumentEntry, start: int, limit: int) -> Stretch:
        """Return whole passages from the one at an offset on, as many as end within ``limit`` characters behind it.

        There is at least one, unless the offset is the end of the document. Takes time for what is returned, however
        long the document is.
        """
        numbers = entry.numbers
        with self._connection() as connection:

            def end_of(number: int) -> int:
                return _value(connection, "SELECT end FROM passages WHERE number = ?", number)

            tail = _tail(connection, entry)
            length = len(tail) + (end_of(numbers[-1]) if numbers else 0)
            if start >= length:
                return Stretch(length, "", (), length)
            first, stop = stretch_bounds(numbers, start, limit, end_of)
            rows = connection.execute(_PASSAGES_ALONE, _bounds(numbers[first:stop])).fetchall()
            begins = end_of(numbers[first - 1]) if first else 0
        pieces = [part for row in rows for part in (row["gap"], row["text"])]
        text = "".join([*pieces, tail] if stop >= len(numbers) else pieces)
        return Stretch(begins, text, tuple(passage_of(row) for row in rows), length)

    def entry(self, document_id: str) -> DocumentEntry | None:
        """Return a document by its id."""
        if not is_utf8(document_id):  # every id is, and SQLite rejects lone surrogates
            return None
        rows = self._select("SELECT number FROM documents WHERE id IN ({})", [document_id])
        return self.documents[rows[0]["number"]] if rows else None

    def find(self, citations: Sequence[str]) -> PassageInContext | None:
        """Return the first of these citations that is in this snapshot, with its surroundings."""
        rows = {row["id"]: row for row in self._select(f"{_PASSAGE} WHERE p.id IN ({{}})", citations)}
        row = next((rows[citation] for citation in citations if citation in rows), None)
        if row is None:
            return None
        entry = self.entry(row["document_id"])
        assert entry  # every passage is in a document
        prefix, suffix = self._beside(entry, row["ordinal"])
        return PassageInContext(passage_of(row), row["title"], context_of(row), prefix, suffix)

    def numbered(self, numbers: range) -> list[NumberedPassage]:
        """Return consecutive passages, as far as there are any."""
        with self._connection() as connection:
            rows = connection.execute(_NUMBERED.format("p.number >= ? AND p.number < ?"), _bounds(numbers)).fetchall()
        return [numbered_of(row) for row in rows]

    def with_ids(self, ids: Collection[str]) -> dict[str, NumberedPassage]:
        """Return those of these passages that are in this snapshot, by id."""
        return {row["id"]: numbered_of(row) for row in self._select(_NUMBERED.format("p.id IN ({})"), ids)}

    def numbers_of_rows(self, rows: Collection[int]) -> list[int]:
        """Return the numbers of the passages in these rows, in the same order."""
        numbers = {row["row"]: row["number"] for row in self._select(_NUMBERS_OF_ROWS, rows)}
        return [numbers[row] for row in rows if row in numbers]

    def find_texts(self, texts: set[str]) -> list[PassageInContext]:
        """Return all passages that may differ from one of these texts in typography alone, and few others.

        Reads the whole table: for builds and rare lookups.
        """
        rows = self._select("SELECT number, id FROM passages WHERE form IN ({})", {*map(form_hash, texts)})
        ids = [row["id"] for row in sorted(rows, key=lambda row: row["number"])]
        return [passage for passage in (self.find([citation]) for citation in ids) if passage]

    def chunk(self, key: bytes) -> range | None:
        """Return the rows of a chunk with this key; any will do, for all of them hold the same."""
        rows = self._select("SELECT first_row, first_row + rows FROM chunks WHERE key IN ({}) LIMIT 1", [key])
        return range(*rows[0]) if rows else None

    def _beside(self, entry: DocumentEntry, ordinal: int) -> tuple[str, str]:
        """Return the characters right before and after a passage, without reading more than these."""
        here = entry.numbers[ordinal]
        before, after = "", ""
        with self._connection() as connection:
            query = "SELECT gap, text, number FROM passages WHERE number BETWEEN ? AND ? ORDER BY number"
            for gap, text, number in connection.execute(f"{query} DESC", (entry.numbers.start, here)):
                before = gap + (text if number < here else "") + before
                if len(before) >= SELECTOR_CHARACTERS:
                    break
            for gap, text, _ in connection.execute(query, (here + 1, entry.numbers[-1])):
                after += gap + text
                if len(after) >= SELECTOR_CHARACTERS:
                    break
            else:
                after += _tail(connection, entry)
        return before[-SELECTOR_CHARACTERS:], after[:SELECTOR_CHARACTERS]

    def _select(self, query: str, values: Collection[int | str | bytes]) -> list[sqlite3.Row]:
        """Return what a query with one IN clause finds for these values, however many."""
        remaining, rows = list(values), []
        with self._connection() as connection:
            for start in range(0, len(remaining), _BATCH):
                batch = remaining[start : start + _BATCH]
                rows += connection.execute(query.format(",".join("?" * len(batch))), batch).fetchall()
        return rows

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = self._pool.get()
        try:
            yield connection
        except sqlite3.DatabaseError as error:  # no query is wrong, so the file is
            raise SnapshotError(f"the passages cannot be read ({error}): run `sourceline rebuild-index`") from error
        finally:
            self._pool.put(connection)


class PassageStoreWriter:
    """Writes documents and their passages in order."""

    def __init__(self, folder: Path, before: Path | None = None) -> None:
        """Create the file; ``before`` is the folder of a snapshot from which documents can be copied."""
        self._connection = sqlite3.connect(folder / FILE, uri=True)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")
        if before:
            self._connection.execute("ATTACH ? AS before", (_uri(before),))
        self._documents = self._passages = self._rows = 0
        self._duplicates = DuplicateFinder()
        self._copied: dict[int, int] = {}  # duplicates as they were copied, by row

    def __enter__(self) -> Self:
        """Use as a context manager to close the file, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._connection.close()

    def add(
        self, document: Document, passages: Sequence[Passage], chunks: Sequence[tuple[bytes, int]] = ()
    ) -> list[SearchableText]:
        """Append a document, all its passages, and the keys of its chunks in order with how many rows each has.

        Returns what the passages that can answer are found by.
        """
        first, first_row, text = self._passages, self._rows, document.text
        gaps = [text[start:end] for start, end in gaps_between(passages)]
        self._connection.executemany(
            f"INSERT INTO passages VALUES ({', '.join('?' * 20)}, NULL)",
            (self._number(passage, gap) for passage, gap in zip(passages, gaps, strict=True)),
        )
        tail = text[passages[-1].end :] if passages else text
        rows = self._rows - first_row
        self._connection.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(self._documents, document.id, document.title, document.sha256, tail),
                *(first, len(passages), first_row, rows, len(chunks)),
                document.date.isoformat() if document.date else None,
                json.dumps(speakers_of(passages), ensure_ascii=False),
            ),
        )
        starts = accumulate((count for _, count in chunks), initial=first_row)
        self._connection.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?)",
            [(start, key, count) for (key, count), start in zip(chunks, starts, strict=False)],
        )
        answers = [passage for passage in passages if not passage.heading]
        texts = [
            searchable(
                wording(passage.text, passage.gaps, passage.location.columns),
                passage.location.speaker,
                self._documents,
            )
            for passage in answers
        ]
        self._documents += 1
        return texts

    def _number(self, passage: Passage, gap: str) -> tuple[str | int | None, ...]:
        """Give the next passage its number and, if it can answer, its row; return what is stored of it."""
        number, row = self._passages, None
        self._passages += 1
        if not passage.heading:
            row = self._rows
            self._duplicates.add(passage.text, row)
            self._rows += 1
        location, time = passage.location, passage.location.time
        return (
            *(number, row, passage.id, self._documents, passage.ordinal, passage.start, passage.end, gap, passage.text),
            *(location.line, location.paragraph, location.section, location.page, location.speaker),
            *((time.start, time.end) if time else (None, None)),
            json.dumps(location.columns, ensure_ascii=False) if location.columns else None,
            json.dumps(passage.gaps) if passage.gaps else None,
            *(asks(wording(passage.text, passage.gaps)), form_hash(passage.text)),
        )

    def copy_from_before(self, entries: Sequence[DocumentEntry]) -> list[SearchableText]:
        """Append consecutive documents of the snapshot before; return what their rows are found by."""
        first, last = entries[0], entries[-1]
        start, rows = self._rows, range(first.rows.start, last.rows.stop)
        numbers = range(first.numbers.start, last.numbers.stop)
        shift = {
            "document": self._documents - first.number,
            "number": self._passages - numbers.start,
            "row": start - rows.start,
        }
        for statement, source in (
            (_COPY_DOCUMENTS, range(first.number, last.number + 1)),
            (_COPY_PASSAGES, numbers),
            (_COPY_CHUNKS, rows),
        ):
            self._connection.execute(statement, shift | {"start": source.start, "stop": source.stop})
        self._documents += len(entries)
        self._passages += len(numbers)
        self._rows += len(rows)
        copied = self._connection.execute(
            "SELECT * FROM passages WHERE row >= ? AND row < ? ORDER BY row", (start, self._rows)
        ).fetchall()
        for passage in copied:
            self._duplicates.add(passage["text"], passage["row"])
            if passage["duplicate_of"] is not None:
                self._copied[passage["row"]] = passage["duplicate_of"]
        return [searchable(wording_of(passage), passage["speaker"], passage["document"]) for passage in copied]

    def write(self) -> None:
        """Commit and close."""
        first_rows, copied = self._duplicates.first_rows, self._copied
        changed = [row for row in sorted({*first_rows, *copied}) if first_rows.get(row) != copied.get(row)]
        self._connection.executemany(
            "UPDATE passages SET duplicate_of = ? WHERE row = ?", ((first_rows.get(row), row) for row in changed)
        )
        self._connection.commit()
        self._connection.close()


def text_key(text: str) -> bytes:
    """Return a hash of what a passage says: duplicates have the same."""
    return hashlib.sha256(normalize_text(text).encode()).digest()[:16]


class DuplicateFinder:
    """Finds passages that say the same, such as a report that was syndicated twice. They are shown once.

    ``first_rows`` holds, for each row that has a duplicate, the first row that says the same, which can be itself.
    """

    def __init__(self) -> None:
        self._first: dict[bytes, int] = {}
        self.first_rows: dict[int, int] = {}

    def add(self, text: str, row: int) -> None:
        """Record the next row's text."""
        first = self._first.setdefault(text_key(text), row)
        if first != row:
            self.first_rows[row] = self.first_rows[first] = first


def _uri(folder: Path) -> str:
    # immutable: a published file never changes, so that no lock is taken and nothing is written beside it.
    return f"{(folder / FILE).absolute().as_uri()}?mode=ro&immutable=1"


def _close(pool: SimpleQueue[sqlite3.Connection]) -> None:
    while not pool.empty():
        pool.get().close()


def gaps_between(passages: Sequence[Passage]) -> Iterator[tuple[int, int]]:
    """Yield the offsets of the text in front of each passage, behind the one before."""
    end = 0
    for passage in passages:
        yield end, passage.start
        end = passage.end


def stretch_bounds(numbers: range, start: int, limit: int, end_of: Callable[[int], int]) -> tuple[int, int]:
    """Return which of a document's passages, [first, stop), make the stretch that begins at an offset.

    ``end_of`` returns where the passage with a number ends. It is asked for few of them.
    """
    # What is behind the last passage belongs to it.
    first = min(bisect_right(numbers, start, key=end_of), max(0, len(numbers) - 1))
    return first, max(bisect_right(numbers, start + limit, first, key=end_of), first + 1)


def _bounds(numbers: range) -> tuple[int, int]:
    return numbers.start, numbers.stop


def _tail(connection: sqlite3.Connection, entry: DocumentEntry) -> str:
    """Return what stands behind the last passage of a document."""
    (tail,) = connection.execute("SELECT tail FROM documents WHERE number = ?", (entry.number,)).fetchone()
    assert isinstance(tail, str)
    return tail


def _value(connection: sqlite3.Connection, query: str, number: int) -> int:
    (value,) = connection.execute(query, (number,)).fetchone()
    return int(value)


def _entry(row: sqlite3.Row) -> DocumentEntry:
    return DocumentEntry(
        id=row["id"],
        title=row["title"],
        sha256=row["sha256"],
        numbers=range(row["first"], row["first"] + row["passages"]),
        rows=range(row["first_row"], row["first_row"] + row["rows"]),
        chunks=row["chunks"],
        number=row["number"],
        date=datetime.date.fromisoformat(row["date"]) if row["date"] else None,
        speakers=tuple(json.loads(row["speakers"])),
    )


def passage_of(row: Record) -> Passage:
    """Return the passage that a row of the table ``passages`` holds."""
    return Passage(
        id=row["id"],
        document_id=row["document_id"],
        ordinal=row["ordinal"],
        start=row["start"],
        end=row["end"],
        text=row["text"],
        location=location_of(row),
        heading=row["row"] is None,
        gaps=gaps_of(row),
    )


def numbered_of(row: Record) -> NumberedPassage:
    """Return the same with its number."""
    return NumberedPassage(row["number"], passage_of(row), row["title"], row["gap"])


def location_of(row: Record) -> Location:
    """Return where a passage stands."""
    return Location(
        line=row["line"],
        paragraph=row["paragraph"],
        section=row["section"],
        page=row["page"],
        speaker=row["speaker"],
        time=None if row["time_start"] is None else Time(row["time_start"], row["time_end"]),
        columns=tuple(json.loads(row["columns"])) if row["columns"] else (),
    )


def searchable(text: str, speaker: str | None, document: int) -> SearchableText:
    """Return what a row is found by."""
    return SearchableText(f"{speaker}: {text}" if speaker else text, document, speaker)


def gaps_of(row: Record) -> tuple[tuple[int, int], ...]:
    """Return the gaps within a passage."""
    return tuple((first, last) for first, last in json.loads(row["gaps"])) if row["gaps"] else ()


def wording_of(row: Record) -> str:
    """Return what a passage says."""
    return wording(row["text"], gaps_of(row), location_of(row).columns)


def speakers_of(passages: Sequence[Passage]) -> list[str]:
    """Return who speaks in these passages, each once."""
    return list(dict.fromkeys(passage.location.speaker for passage in passages if passage.location.speaker))


def context_of(row: Record) -> Context:
    """Return the context of a passage."""
    return Context(row["before"] or "", row["after"] or "")


def in_its_text(row: Record, text: str) -> PassageInContext:
    """Return a passage with its surroundings; ``text`` is its document's."""
    passage = passage_of(row)
    prefix = text[max(0, passage.start - SELECTOR_CHARACTERS) : passage.start]
    suffix = text[passage.end : passage.end + SELECTOR_CHARACTERS]
    return PassageInContext(passage, row["title"], context_of(row), prefix, suffix)
