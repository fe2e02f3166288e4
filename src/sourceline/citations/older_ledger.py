"""Reads the ledgers of indexes before format 9, each an SQLite file, so that their citations go on resolving."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sourceline.citations.ledger import Resolution
from sourceline.errors import LedgerError
from sourceline.ids import text_hash
from sourceline.types import CitationStatus, Context, Location, Passage, PassageInContext, Time

FILE = "ledger.sqlite"
_LATEST_VERSION = 3  # in SQLite's user_version; the first had 0
_RESTORE = "restore it from a backup"


class OlderLedger:
    """A ledger in SQLite. Builds that were never published have left rows in it, which ``published`` leaves out."""

    def __init__(self, index: Path, published: str | None) -> None:
        """Of this index folder; rows of builds after the snapshot ``published`` are no part of it."""
        self._path, self._published = index / FILE, published

    def exists(self) -> bool:
        """Return whether there is one."""
        return self._path.exists()

    def issued(self) -> Iterator[PassageInContext]:
        """Yield every citation as it was when first issued.

        Raises:
            LedgerError: the ledger is damaged or cannot be read.
        """
        with self._open() as connection:
            snapshot = "snapshot" if _version(connection) else "generation"
            for row in connection.execute("SELECT * FROM issued ORDER BY document, ordinal, id"):
                if self._was_published(row[snapshot]):
                    yield _issued(row)

    def resolutions(self) -> Iterator[Resolution]:
        """Yield what builds found to have become of citations, oldest first.

        Raises:
            LedgerError: the ledger is damaged or cannot be read.
        """
        with self._open() as connection:
            table, snapshot = ("resolutions", "snapshot") if _version(connection) else ("fates", "generation")
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY number"):
                if row["status"] not in {*CitationStatus}:
                    raise LedgerError(f"{self._path} is damaged: {row['citation']} has no status: {_RESTORE}")
                if self._was_published(row[snapshot]):
                    yield Resolution(row["citation"], CitationStatus(row["status"]), row["successor"])

    def set_aside(self) -> None:
        """Rename the file, whose content is in the new ledger, so that it is not read again."""
        if self._path.exists():
            self._path.rename(self._path.with_name(f"{FILE}.old"))

    def _was_published(self, snapshot: str) -> bool:
        return self._published is None or snapshot <= self._published

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=10)) as connection:
                connection.row_factory = sqlite3.Row
                (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
                if verdict != "ok":
                    raise LedgerError(f"{self._path} is damaged: {verdict}: {_RESTORE}")
                if _version(connection) > _LATEST_VERSION:
                    raise LedgerError(f"{self._path} is of another version of Sourceline: use that, or another index")
                yield connection
        except (sqlite3.Error, ValueError, KeyError, IndexError) as error:
            # ValueError: SQLite quotes bytes that are no text, or columns are no JSON. Others: a column is missing.
            raise LedgerError(f"{self._path} is damaged: {error}: {_RESTORE}") from error


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _issued(row: sqlite3.Row) -> PassageInContext:
    text = row["text"]
    if not isinstance(text, str) or text_hash(text) != row["text_hash"]:
        raise LedgerError(
            f"the record of citations is damaged: the text of {row['id']} is not as it was cited: {_RESTORE}"
        )
    # Of the first version, ``before`` and ``after`` were characters; headings, pages, speakers and times came later.
    values: Mapping[str, Any] = dict.fromkeys(
        ("page", "speaker", "time_start", "time_end", "columns", "heading", "context_before", "context_after")
    ) | dict(zip(row.keys(), row, strict=True))
    passage = Passage(
        id=values["id"],
        document_id=values["document"],
        ordinal=values["ordinal"],
        start=values["start"],
        end=values["end"],
        text=text,
        location=Location(
            line=values["line"],
            paragraph=values["paragraph"],
            section=values["section"],
            page=values["page"],
            speaker=values["speaker"],
            time=None if values["time_start"] is None else Time(values["time_start"], values["time_end"]),
            columns=tuple(map(str, json.loads(values["columns"] or "[]"))),
        ),
        heading=values["heading"] == 1,
    )
    context = Context(values["context_before"] or "", values["context_after"] or "")
    if "prefix" in values:
        return PassageInContext(passage, values["title"], context, values["prefix"], values["suffix"])
    return PassageInContext(passage, values["title"], context, values["before"], values["after"])
