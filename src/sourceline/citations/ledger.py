"""The record of every citation ever issued. Append-only; lives outside the snapshots; never forgets.

One SQLite file in write-ahead mode, so that lookups never wait for a build. ``issued`` has one row for each id, as it
was when the id was first issued. ``resolutions`` has one row each time a build found an id gone: the newest one holds,
and only while the id is not in the snapshot that is served (a sentence can come back).
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sourceline.durable import sync
from sourceline.errors import LedgerError
from sourceline.types import CitationStatus, Context, Location, Passage, PassageInContext

FILE = "ledger.sqlite"
VERSION = 2  # in SQLite's user_version
_SCHEMA = f"""
CREATE TABLE issued (
    id TEXT PRIMARY KEY, snapshot TEXT NOT NULL, document TEXT NOT NULL, title TEXT NOT NULL,
    ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    line INTEGER NOT NULL, paragraph INTEGER NOT NULL, section TEXT,
    text TEXT NOT NULL, prefix TEXT NOT NULL, suffix TEXT NOT NULL, text_hash INTEGER NOT NULL,
    heading INTEGER NOT NULL DEFAULT 0,
    context_before TEXT NOT NULL DEFAULT '', context_after TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX issued_text ON issued (text_hash);
CREATE TABLE resolutions (
    number INTEGER PRIMARY KEY, citation TEXT NOT NULL, snapshot TEXT NOT NULL, status TEXT NOT NULL, successor TEXT
);
CREATE INDEX resolutions_citation ON resolutions (citation);
PRAGMA user_version = {VERSION};
"""
# From version 1 (user_version 0), whose ``before`` and ``after`` were characters.
_UPGRADE = (
    "ALTER TABLE issued RENAME COLUMN generation TO snapshot",
    "ALTER TABLE issued RENAME COLUMN before TO prefix",
    "ALTER TABLE issued RENAME COLUMN after TO suffix",
    "ALTER TABLE issued ADD COLUMN context_before TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE issued ADD COLUMN context_after TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE fates RENAME TO resolutions",
    "ALTER TABLE resolutions RENAME COLUMN generation TO snapshot",
    "DROP INDEX fates_citation",
    "CREATE INDEX resolutions_citation ON resolutions (citation)",
    f"PRAGMA user_version = {VERSION}",
)
# Of each citation in the chain the successor that the newest build named. UNION stops at a cycle.
_SUCCESSORS = """
WITH RECURSIVE chain (id) AS (
    VALUES (?)
    UNION
    SELECT (SELECT successor FROM resolutions WHERE citation = chain.id ORDER BY number DESC LIMIT 1) FROM chain
    WHERE chain.id IS NOT NULL
)
SELECT id FROM chain WHERE id IS NOT NULL
"""
# Columns by name, so that a damaged ledger that lacks one fails loudly.
_ISSUED = """
SELECT id, document, title, ordinal, start, end, line, paragraph, section, text, prefix, suffix, text_hash, heading,
    context_before, context_after
FROM issued
"""
_BATCH = 500
_RESTORE = "restore it from a backup"


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a build recorded for a missing citation: ``moved`` or ``changed``, with its ``successor``, or ``removed``.

    A lookup recomputes the status from the texts; the recorded one is for people and for checks.
    """

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

        An id that was issued before keeps its first row. To be called before the snapshot is published: an id that a
        reader can see must be in the ledger.

        Raises:
            LedgerError: the ledger cannot be written; nothing was.
        """
        with self._open(writable=True) as connection, connection:
            columns = ", ".join(["?"] * 17)
            connection.executemany(
                f"INSERT OR IGNORE INTO issued VALUES ({columns})", (_issued_row(p, snapshot) for p in issued)
            )
            connection.executemany(
                "INSERT INTO resolutions (citation, snapshot, status, successor) VALUES (?, ?, ?, ?)",
                ((r.citation, snapshot, r.status.value, r.successor) for r in resolutions),
            )

    def issued(self, citation: str) -> PassageInContext | None:
        """Return a citation as it was when first issued; None if it never was.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        with self._open() as connection:
            row = connection.execute(f"{_ISSUED} WHERE id = ?", (citation,)).fetchone()
        return None if row is None else _issued(row)

    def resolution(self, citation: str) -> Resolution | None:
        """Return what the newest build that found this id gone says of it.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        query = "SELECT status, successor FROM resolutions WHERE citation = ? ORDER BY number DESC LIMIT 1"
        with self._open() as connection:
            row = connection.execute(query, (citation,)).fetchone()
        if row is None:
            return None
        if row["status"] not in {*CitationStatus}:
            raise LedgerError(f"{self._path} is damaged: {citation} has no status: {_RESTORE}")
        return Resolution(citation, CitationStatus(row["status"]), row["successor"])

    def successors(self, citation: str) -> list[str]:
        """Return the chain of successors of a citation, by the newest resolution of each.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        with self._open() as connection:
            return [row["id"] for row in connection.execute(_SUCCESSORS, (citation,))][1:]

    def with_texts(self, texts: Iterable[str]) -> Iterator[PassageInContext]:
        """Yield every citation ever issued for exactly one of these texts.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        remaining = list(dict.fromkeys(texts))
        with self._open() as connection:
            for start in range(0, len(remaining), _BATCH):
                batch = remaining[start : start + _BATCH]
                placeholders = ",".join("?" * len(batch))
                query = f"{_ISSUED} WHERE text_hash IN ({placeholders}) ORDER BY id"
                same_hash = map(_issued, connection.execute(query, [*map(_text_hash, batch)]))
                exact = set(batch)
                yield from (cited for cited in same_hash if cited.passage.text in exact)

    def check(self) -> int:
        """Read the whole file; return the number of citations.

        Raises:
            LedgerError: it is damaged.
        """
        with self._open() as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise LedgerError(f"{self._path} is damaged: {verdict}: {_RESTORE}")
            return sum(1 for _ in map(_issued, connection.execute(_ISSUED)))

    @contextmanager
    def _open(self, writable: bool = False) -> Iterator[sqlite3.Connection]:
        """Open a connection for one operation; an index without a ledger reads as an empty one."""
        exists = self._path.exists()
        try:
            if writable and not exists:
                self._create()
            with closing(sqlite3.connect(self._path if writable or exists else ":memory:", timeout=10)) as connection:
                connection.row_factory = sqlite3.Row
                if not writable and not exists:
                    connection.executescript(_SCHEMA)
                _upgrade(connection)  # first, so that nothing else is written to a file that is no ledger
                if writable:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: SQLite quotes what it read
            raise LedgerError(f"the record of citations, {self._path}, cannot be used: {error}") from error

    def _create(self) -> None:
        """Create an empty ledger atomically: one without its tables is damaged, not half made by a crash."""
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


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring a ledger of an older version to this one's tables, in one transaction."""
    if _version(connection) > VERSION:
        raise LedgerError("the record of citations is of a newer version of Sourceline: use that, or another index")
    if _version(connection) >= VERSION:
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) >= VERSION:
            return  # another process was faster
        if "heading" not in {row["name"] for row in connection.execute("PRAGMA table_info (issued)")}:
            connection.execute("ALTER TABLE issued ADD COLUMN heading INTEGER NOT NULL DEFAULT 0")
        for statement in _UPGRADE:
            connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _text_hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def _issued_row(cited: PassageInContext, snapshot: str) -> tuple[str | int | None, ...]:
    p = cited.passage
    return (
        *(p.id, snapshot, p.document_id, cited.title, p.ordinal, p.start, p.end),
        *(p.location.line, p.location.paragraph, p.location.section),
        *(p.text, cited.prefix, cited.suffix, _text_hash(p.text), p.heading),
        *(cited.context.before, cited.context.after),
    )


def _issued(row: sqlite3.Row) -> PassageInContext:
    text = row["text"]
    if not isinstance(text, str) or _text_hash(text) != row["text_hash"]:
        raise LedgerError(
            f"the record of citations is damaged: the text of {row['id']} is not as it was cited: {_RESTORE}"
        )
    passage = Passage(
        id=row["id"],
        document_id=row["document"],
        ordinal=row["ordinal"],
        start=row["start"],
        end=row["end"],
        text=text,
        location=Location(row["line"], row["paragraph"], row["section"]),
        heading=row["heading"] == 1,
    )
    context = Context(row["context_before"], row["context_after"])
    return PassageInContext(passage, row["title"], context, row["prefix"], row["suffix"])
