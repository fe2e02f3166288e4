"""Every citation ever issued, and what became of it. Append-only; lives outside the snapshots; never forgets.

One SQLite file in write-ahead mode, so that lookups never wait for a build. ``issued`` has one row for each id, as it
was when the id was first given out. ``resolutions`` has one row each time that a build found an id gone: the newest one
holds, and only while the id is not in the snapshot that is served (a sentence can come back).
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sourceline.durable import sync
from sourceline.errors import LedgerError
from sourceline.types import CitationStatus, Location, Passage, PassageInContext

FILE = "ledger.sqlite"
_SCHEMA = """
CREATE TABLE issued (
    id TEXT PRIMARY KEY, snapshot TEXT NOT NULL, document TEXT NOT NULL, title TEXT NOT NULL,
    ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    line INTEGER NOT NULL, paragraph INTEGER NOT NULL, section TEXT,
    text TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, text_hash INTEGER NOT NULL,
    heading INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX issued_text ON issued (text_hash);
CREATE TABLE fates (
    number INTEGER PRIMARY KEY, citation TEXT NOT NULL, snapshot TEXT NOT NULL, status TEXT NOT NULL, successor TEXT
);
CREATE INDEX fates_citation ON fates (citation);
"""
_BATCH = 500
_RESTORE = "restore it from a backup"


@dataclass(frozen=True, slots=True)
class Issued:
    """A citation as it was first given out, by the build of ``snapshot``."""

    standing: PassageInContext
    snapshot: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a build found to have become of a citation: ``moved`` or ``changed`` into ``successor``, or ``removed``."""

    citation: str
    status: CitationStatus
    successor: str | None


class Ledger:
    """The record of citations of one index folder."""

    def __init__(self, index: Path) -> None:
        self._path = index / FILE

    def exists(self) -> bool:
        """Return whether a citation was ever recorded."""
        return self._path.exists()

    def record(self, snapshot: str, issued: Iterable[PassageInContext], resolutions: Iterable[Resolution]) -> None:
        """Append what a build issues and what it found gone, in one transaction, flushed to the disk.

        An id that was issued before keeps its first row. To be called before the snapshot is published: an id that
        a reader can see must be in the ledger.

        Raises:
            LedgerError: the ledger cannot be written; nothing was.
        """
        with self._open(writable=True) as connection, connection:
            _add_heading(connection)
            connection.executemany(
                "INSERT OR IGNORE INTO issued VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (_issued_row(standing, snapshot) for standing in issued),
            )
            connection.executemany(
                "INSERT INTO fates (citation, snapshot, status, successor) VALUES (?, ?, ?, ?)",
                (
                    (resolution.citation, snapshot, resolution.status.value, resolution.successor)
                    for resolution in resolutions
                ),
            )

    def issued(self, citation: str) -> Issued | None:
        """Return a citation as it was first given out; None if it never was.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        with self._open() as connection:
            found = connection.execute("SELECT * FROM issued WHERE id = ?", (citation,)).fetchone()
        return None if found is None else _issued(found)

    def resolution(self, citation: str) -> Resolution | None:
        """Return what the newest build that found this id gone says of it."""
        with self._open() as connection:
            found = connection.execute(
                "SELECT status, successor FROM fates WHERE citation = ? ORDER BY number DESC LIMIT 1",
                (citation,),
            ).fetchone()
        if found is None:
            return None
        if found[0] not in {*CitationStatus}:
            raise LedgerError(f"{self._path} is damaged: {citation} has no status: {_RESTORE}")
        return Resolution(citation, CitationStatus(found[0]), found[1])

    def with_texts(self, texts: Iterable[str]) -> Iterator[PassageInContext]:
        """Yield every citation ever issued for exactly one of these texts."""
        wanted = list(dict.fromkeys(texts))
        with self._open() as connection:
            for start in range(0, len(wanted), _BATCH):
                batch = wanted[start : start + _BATCH]
                marks = ",".join("?" * len(batch))
                rows = connection.execute(
                    f"SELECT * FROM issued WHERE text_hash IN ({marks}) ORDER BY id",
                    [_text_hash(t) for t in batch],
                )
                known = set(batch)
                yield from (found.standing for found in map(_issued, rows) if found.standing.passage.text in known)

    def check(self) -> int:
        """Read the whole file; return the number of citations.

        Raises:
            LedgerError: it is damaged.
        """
        with self._open() as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise LedgerError(f"{self._path} is damaged: {verdict}: {_RESTORE}")
            (count,) = connection.execute("SELECT count(*) FROM issued").fetchone()
        return int(count)

    @contextmanager
    def _open(self, writable: bool = False) -> Iterator[sqlite3.Connection]:
        """Open a connection for one operation; an index without a ledger reads as an empty one."""
        exists = self._path.exists()
        try:
            if writable and not exists:
                self._create()
            connection = sqlite3.connect(self._path if writable or exists else ":memory:", timeout=10)
            try:
                if writable:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.execute("PRAGMA synchronous = FULL")
                elif not exists:
                    connection.executescript(_SCHEMA)
                yield connection
            finally:
                connection.close()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: SQLite quotes what it read
            raise LedgerError(f"the record of citations, {self._path}, cannot be used: {error}") from error

    def _create(self) -> None:
        """Let an empty ledger appear whole: one without its tables is damaged, not one that a crash left half made."""
        new = self._path.with_name(f".{FILE}.new")
        try:
            new.unlink(missing_ok=True)
            with closing(sqlite3.connect(new)) as connection:
                connection.executescript(f"PRAGMA journal_mode = OFF; {_SCHEMA}")
            sync(new)
            new.replace(self._path)
            sync(self._path.parent)
        except OSError as error:
            raise LedgerError(f"the record of citations, {self._path}, cannot be made: {error.strerror}") from error


def _add_heading(connection: sqlite3.Connection) -> None:
    """Give a ledger the column that it lacks if it was begun before there were headings."""
    if "heading" not in {column[1] for column in connection.execute("PRAGMA table_info (issued)")}:
        connection.execute("ALTER TABLE issued ADD COLUMN heading INTEGER NOT NULL DEFAULT 0")


def _text_hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def _issued_row(standing: PassageInContext, snapshot: str) -> tuple[str | int | None, ...]:
    p = standing.passage
    return (
        *(p.id, snapshot, p.document_id, standing.title, p.ordinal, p.start, p.end),
        *(p.location.line, p.location.paragraph, p.location.section),
        *(p.text, standing.before, standing.after, _text_hash(p.text), p.heading),
    )


def _issued(row: tuple[Any, ...]) -> Issued:
    (
        id_,
        snapshot,
        document,
        title,
        ordinal,
        start,
        end,
        line,
        paragraph,
        section,
        text,
        before,
        after,
        text_hash,
        *heading,  # nothing in a ledger that no build has added to since there are headings
    ) = row
    if not isinstance(text, str) or _text_hash(text) != text_hash:
        raise LedgerError(f"the record of citations is damaged: the text of {id_} is not as it was cited: {_RESTORE}")
    passage = Passage(id_, document, ordinal, start, end, text, Location(line, paragraph, section), heading == [1])
    return Issued(PassageInContext(passage, title, before, after), snapshot)
