"""Encodings kept from one build to the next, keyed by encoder and text, so that only new text is encoded."""

import hashlib
import sqlite3
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sourceline.encoding.encoder import Encoding, Tokens

_TABLE = (
    "CREATE TABLE encodings "
    "(key BLOB PRIMARY KEY, tokens INTEGER NOT NULL, checksum INTEGER NOT NULL, data BLOB NOT NULL) STRICT"
)
# Any other error (no space, no permission) is not mended by removing the file.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY}


class EncodingCache:
    """Encodings by text, of one encoder. Vectors are kept as float16; what is damaged reads as absent.

    A build reads every encoding from here, new or old, so that a rebuild gives the same vectors as a first build.
    """

    def __init__(self, folder: Path, fingerprint: str, dimension: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._dimension = dimension
        path = folder / f"{fingerprint}.sqlite"
        try:
            self._connection = _open(path)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter: SQLite quotes what it read
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _DAMAGED:
                raise
            path.unlink()  # only a cache
            self._connection = _open(path)

    def __enter__(self) -> "EncodingCache":
        """Use as a context manager to close it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._connection.close()

    def missing(self, texts: Iterable[str]) -> list[str]:
        """Return those of the texts that have no encoding yet, each once, in order."""
        return [text for text in dict.fromkeys(texts) if self.get(text) is None]

    def get(self, text: str) -> Encoding | None:
        """Return the encoding of a text."""
        key = _key(text)
        row = self._connection.execute("SELECT tokens, checksum, data FROM encodings WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        count, checksum, data = row
        if _checksum(key, data) != checksum or len(data) != count * (12 + 2 * self._dimension):
            return None
        numbers = np.frombuffer(data, dtype="<i4", count=3 * count)
        vectors = np.frombuffer(data, dtype="<f2", offset=12 * count).reshape(count, self._dimension)
        tokens = Tokens(numbers[:count], numbers[count:].reshape(count, 2))
        return Encoding(tokens, vectors.astype(np.float32))

    def put(self, encodings: Iterable[tuple[str, Encoding]]) -> None:
        """Keep encodings; what is kept survives a build that is interrupted later."""
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO encodings VALUES (?, ?, ?, ?)",
                (_row(text, encoding) for text, encoding in encodings),
            )

    def keep_only(self, texts: Iterable[str]) -> None:
        """Forget the encodings of all other texts."""
        with self._connection:
            self._connection.execute("CREATE TEMP TABLE wanted (key BLOB PRIMARY KEY)")
            self._connection.executemany("INSERT OR IGNORE INTO wanted VALUES (?)", ((_key(text),) for text in texts))
            self._connection.execute("DELETE FROM encodings WHERE key NOT IN (SELECT key FROM wanted)")
            self._connection.execute("DROP TABLE wanted")


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


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _row(text: str, encoding: Encoding) -> tuple[bytes, int, int, bytes]:
    data = (
        encoding.tokens.ids.astype("<i4").tobytes()
        + encoding.tokens.spans.astype("<i4").tobytes()
        + encoding.vectors.astype("<f2").tobytes()
    )
    key = _key(text)
    return key, len(encoding.tokens.ids), _checksum(key, data), data


def _checksum(key: bytes, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(key))
