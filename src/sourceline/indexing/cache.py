"""Encoded chunks that are not published yet, so that a build that was interrupted goes on where it stopped.

The cache is removed once the snapshot is published: from then on the next build copies its chunks from there.
"""

import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Self

from safetensors import SafetensorError
from safetensors.numpy import load, save

from sourceline.index.multivector import EncodedChunk

_TABLE = "CREATE TABLE chunks (key BLOB PRIMARY KEY, checksum INTEGER NOT NULL, data BLOB NOT NULL) STRICT"
# Any other error (no space, no permission) is not fixed by removing the file.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY}


class ChunkCache:
    """Encoded chunks by key. What is damaged reads as absent."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "chunks.sqlite"
        try:
            self._connection = _open(path)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter: SQLite quotes what it read
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _DAMAGED:
                raise
            path.unlink()  # only a cache
            self._connection = _open(path)

    def __enter__(self) -> Self:
        """Use as a context manager to close it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._connection.close()

    def get(self, key: bytes) -> EncodedChunk | None:
        """Return a chunk."""
        row = self._connection.execute("SELECT checksum, data FROM chunks WHERE key = ?", (key,)).fetchone()
        if row is None or _checksum(key, row[1]) != row[0]:
            return None
        try:
            return EncodedChunk(**load(row[1]))
        except (SafetensorError, TypeError):
            return None  # damaged in a way that the checksum does not show

    def put(self, chunks: Iterable[tuple[bytes, EncodedChunk]]) -> None:
        """Keep chunks; they survive a build that is interrupted later."""
        rows = ((key, save(asdict(chunk))) for key, chunk in chunks)
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO chunks VALUES (?, ?, ?)",
                ((key, _checksum(key, data), data) for key, data in rows),
            )


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.text_factory = bytes  # what is damaged need not be UTF-8
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        tables = "SELECT sql FROM sqlite_master WHERE type = 'table'"
        if not connection.execute(tables).fetchall():
            connection.execute(_TABLE)
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        connection.execute("PRAGMA user_version = 1")  # a damaged header can say that it must not be written to
        if verdict != b"ok" or connection.execute(tables).fetchall() != [(_TABLE.encode(),)]:
            raise sqlite3.DatabaseError("the cache is damaged")
    except BaseException:
        connection.close()
        raise
    return connection


def _checksum(key: bytes, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(key))
