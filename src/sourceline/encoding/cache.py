"""Encodings kept from one build to the next, keyed by encoder and text, so that only new text is encoded."""

import hashlib
import sqlite3
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sourceline.encoding.encoder import Encoding, Tokens


class EncodingCache:
    """Encodings by text, of one encoder. Vectors are kept as float16; what is damaged reads as absent.

    A build reads every encoding from here, new or old, so that a rebuild gives the same vectors as a first build.
    """

    def __init__(self, folder: Path, fingerprint: str, dimension: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._dimension = dimension
        path = folder / f"{fingerprint}.sqlite"
        try:
            self._connection = self._open(path)
        except sqlite3.OperationalError:
            raise  # no space, no permission: removing the file would not help
        except sqlite3.DatabaseError:
            path.unlink()  # damaged, but only a cache
            self._connection = self._open(path)

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
        row = self._connection.execute(
            "SELECT tokens, checksum, data FROM encodings WHERE key = ?", (_key(text),)
        ).fetchone()
        if row is None or zlib.crc32(row[2]) != row[1] or len(row[2]) != row[0] * (12 + 2 * self._dimension):
            return None
        count, _, data = row
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

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            connection.execute(
                "CREATE TABLE IF NOT EXISTS encodings "
                "(key BLOB PRIMARY KEY, tokens INTEGER NOT NULL, checksum INTEGER NOT NULL, data BLOB NOT NULL)"
            )
        except sqlite3.Error:
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
    return _key(text), len(encoding.tokens.ids), zlib.crc32(data), data
