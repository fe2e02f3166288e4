"""The record of every citation ever issued. Append-only; lives outside the snapshots; never forgets.

One SQLite file in write-ahead mode, so that lookups never wait for a build. ``issued`` has one row for each id, as it
was when the id was first issued. ``resolutions`` has one row each time a build found an id gone: the newest one holds,
and only while the id is not in the snapshot that is served (a sentence can come back).
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sourceline.durable import sync
from sourceline.errors import LedgerError
from sourceline.ids import form_hash, text_hash
from sourceline.text import nfc, same_but_typography
from sourceline.types import CitationStatus, Context, Location, Passage, PassageInContext, Time

FILE = "ledger.sqlite"
# In SQLite's user_version. Also to be raised, with an upgrade of ``form_hash``, if ``plain_typography`` changes.
VERSION = 3
_SCHEMA = f"""
CREATE TABLE issued (
    id TEXT PRIMARY KEY, snapshot TEXT NOT NULL, document TEXT NOT NULL, title TEXT NOT NULL,
    ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    line INTEGER NOT NULL, paragraph INTEGER NOT NULL, section TEXT,
    text TEXT NOT NULL, prefix TEXT NOT NULL, suffix TEXT NOT NULL, text_hash INTEGER NOT NULL,
    heading INTEGER NOT NULL DEFAULT 0,
    context_before TEXT NOT NULL DEFAULT '', context_after TEXT NOT NULL DEFAULT '',
    page INTEGER, speaker TEXT, time_start REAL, time_end REAL, columns TEXT, form_hash INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX issued_form ON issued (form_hash);
CREATE TABLE resolutions (
    number INTEGER PRIMARY KEY, citation TEXT NOT NULL, snapshot TEXT NOT NULL, status TEXT NOT NULL, successor TEXT
);
CREATE INDEX resolutions_citation ON resolutions (citation);
PRAGMA user_version = {VERSION};
"""
# From version 1 (user_version 0), whose ``before`` and ``after`` were characters.
_FROM_1 = (
    "ALTER TABLE issued RENAME COLUMN generation TO snapshot",
    "ALTER TABLE issued RENAME COLUMN before TO prefix",
    "ALTER TABLE issued RENAME COLUMN after TO suffix",
    "ALTER TABLE issued ADD COLUMN context_before TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE issued ADD COLUMN context_after TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE fates RENAME TO resolutions",
    "ALTER TABLE resolutions RENAME COLUMN generation TO snapshot",
    "DROP INDEX fates_citation",
    "CREATE INDEX resolutions_citation ON resolutions (citation)",
)
# From version 2, which found texts again only if they were the same in every character.
_FROM_2 = (
    "ALTER TABLE issued ADD COLUMN page INTEGER",
    "ALTER TABLE issued ADD COLUMN speaker TEXT",
    "ALTER TABLE issued ADD COLUMN time_start REAL",
    "ALTER TABLE issued ADD COLUMN time_end REAL",
    "ALTER TABLE issued ADD COLUMN columns TEXT",
    "ALTER TABLE issued ADD COLUMN form_hash INTEGER NOT NULL DEFAULT 0",
    # What is no text is damage, which is found when the row is read.
    "UPDATE issued SET form_hash = form_hash(text) WHERE typeof(text) = 'text'",
    "DROP INDEX issued_text",
    "CREATE INDEX issued_form ON issued (form_hash)",
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
_LATEST_SUCCESSOR = """
SELECT id, (SELECT successor FROM resolutions WHERE citation = id ORDER BY number DESC LIMIT 1) AS successor FROM issued
"""
_FOUND_GONE = "SELECT citation FROM resolutions"
# Columns by name, so that a damaged ledger that lacks one fails loudly.
_ISSUED = """
SELECT id, document, title, ordinal, start, end, line, paragraph, section, text, prefix, suffix, text_hash, heading,
    context_before, context_after, page, speaker, time_start, time_end, columns, form_hash
FROM issued
"""
_INSERT = """
INSERT OR IGNORE INTO issued (
    id, snapshot, document, title, ordinal, start, end, line, paragraph, section, text, prefix, suffix, text_hash,
    heading, context_before, context_after, page, speaker, time_start, time_end, columns, form_hash
) VALUES (
    :id, :snapshot, :document, :title, :ordinal, :start, :end, :line, :paragraph, :section, :text, :prefix, :suffix,
    :text_hash, :heading, :context_before, :context_after, :page, :speaker, :time_start, :time_end, :columns, :form_hash
)
"""
_BATCH = 500
_RESTORE = "restore it from a backup"


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a build recorded for a missing citation: ``moved`` or ``changed``, with its ``successor``, or ``removed``.

    It is ``current`` if nothing became of the sentence but that ``successor`` is its id now. Otherwise a lookup
    recomputes the status from the texts, and the recorded one is for people and for checks.
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
            connection.executemany(_INSERT, (_issued_row(p, snapshot) for p in issued))
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
        """Yield every citation ever issued for one of these texts, whatever its typography.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        by_form: dict[int, list[str]] = defaultdict(list)
        for text in dict.fromkeys(texts):
            by_form[form_hash(text)].append(text)
        forms = list(by_form)
        with self._open() as connection:
            for start in range(0, len(forms), _BATCH):
                batch = forms[start : start + _BATCH]
                placeholders = ",".join("?" * len(batch))
                query = f"{_ISSUED} WHERE form_hash IN ({placeholders}) ORDER BY id"
                for row in connection.execute(query, batch):
                    cited = _issued(row)
                    if any(same_but_typography(cited.passage.text, text) for text in by_form[row["form_hash"]]):
                        yield cited

    def latest_successors(self, citations: Sequence[str]) -> dict[str, str | None]:
        """Return those of these ids that were issued, each with the successor that the newest resolution names.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        successors: dict[str, str | None] = {}
        with self._open() as connection:
            for start in range(0, len(citations), _BATCH):
                batch = citations[start : start + _BATCH]
                rows = connection.execute(f"{_LATEST_SUCCESSOR} WHERE id IN ({','.join('?' * len(batch))})", batch)
                successors |= {row["id"]: row["successor"] for row in rows}
        return successors

    def standing(self) -> dict[str, list[PassageInContext]]:
        """Return the citations that no build found gone, by document and in their order there.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        documents: dict[str, list[PassageInContext]] = defaultdict(list)
        with self._open() as connection:
            for row in connection.execute(f"{_ISSUED} WHERE id NOT IN ({_FOUND_GONE}) ORDER BY document, ordinal, id"):
                documents[nfc(row["document"])].append(_issued(row))
        return documents

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
        connection.create_function("form_hash", 1, form_hash, deterministic=True)
        for statement in (*(_FROM_1 if _version(connection) == 0 else ()), *_FROM_2):
            connection.execute(statement)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _issued_row(cited: PassageInContext, snapshot: str) -> dict[str, str | int | float | None]:
    passage, location = cited.passage, cited.passage.location
    return {
        "id": passage.id,
        "snapshot": snapshot,
        "document": passage.document_id,
        "title": cited.title,
        "ordinal": passage.ordinal,
        "start": passage.start,
        "end": passage.end,
        "line": location.line,
        "paragraph": location.paragraph,
        "section": location.section,
        "text": passage.text,
        "prefix": cited.prefix,
        "suffix": cited.suffix,
        "text_hash": text_hash(passage.text),
        "heading": passage.heading,
        "context_before": cited.context.before,
        "context_after": cited.context.after,
        "page": location.page,
        "speaker": location.speaker,
        "time_start": location.time.start if location.time else None,
        "time_end": location.time.end if location.time else None,
        "columns": json.dumps(location.columns, ensure_ascii=False) if location.columns else None,
        "form_hash": form_hash(passage.text),
    }


def _issued(row: sqlite3.Row) -> PassageInContext:
    text = row["text"]
    if not isinstance(text, str) or text_hash(text) != row["text_hash"]:
        raise LedgerError(
            f"the record of citations is damaged: the text of {row['id']} is not as it was cited: {_RESTORE}"
        )
    try:
        columns = tuple(map(str, json.loads(row["columns"] or "[]")))
    except (ValueError, TypeError) as error:
        raise LedgerError(
            f"the record of citations is damaged: the place of {row['id']} is not as it was cited: {_RESTORE}"
        ) from error
    passage = Passage(
        id=row["id"],
        document_id=row["document"],
        ordinal=row["ordinal"],
        start=row["start"],
        end=row["end"],
        text=text,
        location=Location(
            line=row["line"],
            paragraph=row["paragraph"],
            section=row["section"],
            page=row["page"],
            speaker=row["speaker"],
            time=None if row["time_start"] is None else Time(row["time_start"], row["time_end"]),
            columns=columns,
        ),
        heading=row["heading"] == 1,
    )
    context = Context(row["context_before"], row["context_after"])
    return PassageInContext(passage, row["title"], context, row["prefix"], row["suffix"])
