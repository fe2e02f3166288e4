"""Writes documents into a database, publishes snapshots of them, and removes what no snapshot holds."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from sourceline.encoders.base import Int64
from sourceline.errors import BuildError
from sourceline.ids import form_hash
from sourceline.index.bm25 import stems
from sourceline.index.multivector import NO_TOKEN, EncodedChunk
from sourceline.index.passage_store import DocumentEntry, gaps_between, searchable, speakers_of, text_key
from sourceline.index.postgres.database import Connection, array
from sourceline.index.postgres.snapshot import PLACE, encoded, halfvecs, vector_of
from sourceline.index.postgres.words import entries_of
from sourceline.ingest.chunking import ChunkedDocument
from sourceline.ingest.questions import asks
from sourceline.ingest.wording import wording

_PASSAGES = (
    *("document", "ordinal", "row", "id", "start", "end", "gap", "text", "line", "paragraph", "section", "page"),
    *("speaker", "time_start", "time_end", "columns", "gaps", "asks", "form"),
)
_PARTS = ("passages", "rows", "tokens", "chunks")  # what a document has, beside the postings
_BATCH = 1_000  # documents whose tokens are counted at once
_REMOVED = 100  # documents that are removed at once
# In how many rows of some documents each word stands: they are added, or with -1 taken away.
_COUNT_WORDS = """
SELECT word, %s * count(*) AS change FROM (
    SELECT DISTINCT document, row, unnest(string_to_array(words, ' ')) AS word
    FROM rows WHERE document = ANY(%s::bigint[])
) AS held WHERE word <> '' GROUP BY word
"""
_UPDATE_WORDS = f"""
WITH delta AS (
    SELECT word, sum(change)::bigint AS change
    FROM ({_COUNT_WORDS} UNION ALL {_COUNT_WORDS}) AS changes GROUP BY word HAVING sum(change) <> 0
), ended AS (
    UPDATE words SET until = %s FROM delta WHERE words.word = delta.word AND words.until IS NULL
    RETURNING words.word, words.rows
)
INSERT INTO words (word, since, rows)
SELECT delta.word, %s, coalesce(ended.rows, 0) + delta.change
FROM delta LEFT JOIN ended ON ended.word = delta.word WHERE coalesce(ended.rows, 0) + delta.change > 0
"""


class PostgresWriter:
    """Writes documents, in the caller's transaction; ``keys`` are those of the documents by id."""

    def __init__(self, connection: Connection, config: str) -> None:
        """Take a connection and the digest of the config."""
        self._connection, self._config = connection, config
        self.keys: dict[str, int] = {}

    def copy_from_before(self, entries: Sequence[DocumentEntry]) -> None:
        """Raise: a document that did not change stays where it is."""
        raise AssertionError(f"{entries[0].id} is in the database already")

    def add(
        self,
        chunked: ChunkedDocument,
        keys: Sequence[tuple[bytes, int]],
        encoded: Iterable[EncodedChunk],
        title: EncodedChunk,
    ) -> None:
        """Write a document, the keys of its chunks with how many rows each has, these encoded, and its title."""
        document, passages = chunked.document, chunked.passages
        for passage in passages:
            if document.text[passage.start : passage.end] != passage.text:
                raise BuildError(f"{document.id}: a passage is not verbatim; this is a defect of Sourceline")
        key = int(self._connection.value("SELECT nextval(pg_get_serial_sequence('documents', 'key'))"))
        said = [wording(passage.text, passage.gaps, passage.location.columns) for passage in passages]
        answers = [(passage, text) for passage, text in zip(passages, said, strict=True) if not passage.heading]
        words = [stems(searchable(text, passage.location.speaker, 0).text) for passage, text in answers]
        asking = [asks(wording(passage.text, passage.gaps)) for passage in passages]
        self._write_passages(key, chunked, asking)
        first = tokens = 0
        asks_row = [is_asking for passage, is_asking in zip(passages, asking, strict=True) if not passage.heading]
        for chunk in encoded:
            rows = range(first, first + len(chunk.counts))
            same = [text_key(answers[row][0].text) for row in rows]
            self._write_rows(key, rows, chunk, words, same, asks_row)
            first, tokens = rows.stop, tokens + len(chunk.ids)
        self._connection.copy(
            "postings",
            ("document", "word", "entries"),
            ((key, word, entries) for word, entries in entries_of(words)),
            ("int8", "text", "bytea"),
        )
        starts = accumulate((count for _, count in keys), initial=0)
        self._connection.copy(
            "chunks",
            ("document", "key", "first_row", "rows"),
            ((key, chunk, start, count) for (chunk, count), start in zip(keys, starts, strict=False)),
            ("int8", "bytea", "int4", "int4"),
        )
        values = {
            "key": key,
            "id": document.id,
            "config": self._config,
            "sha256": document.sha256,
            "title": document.title,
            "tail": document.text[passages[-1].end :] if passages else document.text,
            "date": document.date,
            "speakers": json.dumps(speakers_of(passages), ensure_ascii=False),
            "passages": len(passages),
            "rows": len(answers),
            "chunks": len(keys),
            "tokens": tokens,
            "length": sum(map(len, words)),
            "title_codes": title.codes.tobytes(),
            "title_starts": title.starts.astype("<u2").tobytes(),
            "title_ids": title.ids.astype("<u4").tobytes(),
        }
        self._connection.run(
            f"INSERT INTO documents ({', '.join(values)}) OVERRIDING SYSTEM VALUE "
            f"VALUES ({', '.join(['%s'] * len(values))})",
            *values.values(),
        )
        self.keys[document.id] = key

    def _write_passages(self, key: int, chunked: ChunkedDocument, asking: Sequence[bool]) -> None:
        text, passages = chunked.document.text, chunked.passages
        rows = accumulate((not passage.heading for passage in passages), initial=0)
        self._connection.copy(
            "passages",
            _PASSAGES,
            (
                (
                    *(key, passage.ordinal, None if passage.heading else row, passage.id, passage.start, passage.end),
                    *(text[start:end], passage.text, passage.location.line, passage.location.paragraph),
                    *(passage.location.section, passage.location.page, passage.location.speaker),
                    *((time.start, time.end) if (time := passage.location.time) else (None, None)),
                    json.dumps(columns, ensure_ascii=False) if (columns := passage.location.columns) else None,
                    json.dumps(passage.gaps) if passage.gaps else None,
                    *(is_asking, form_hash(passage.text)),
                )
                for passage, (start, end), row, is_asking in zip(
                    passages, gaps_between(passages), rows, asking, strict=False
                )
            ),
        )

    def _write_rows(
        self,
        key: int,
        rows: range,
        chunk: EncodedChunk,
        words: Sequence[Sequence[str]],
        same: Sequence[bytes],
        asking: Sequence[bool],
    ) -> None:
        ends = chunk.counts.cumsum().tolist()
        bounds = list(zip([0, *ends], ends, strict=False))
        self._connection.copy(
            "rows",
            ("document", "row", "words", "vector"),
            (
                (key, row, " ".join(words[row]), vector)
                for row, vector in zip(rows, halfvecs(chunk.vectors), strict=True)
            ),
            ("int8", "int4", "text", "bytea"),
        )
        starts, ids = chunk.starts.astype("<u2"), chunk.ids.astype("<u4")
        self._connection.copy(
            "tokens",
            ("document", "row", "asks", "same", "codes", "starts", "ids"),
            (
                (
                    *(key, row, asking[row], hashed),
                    *(part[a:b].tobytes() for part in (chunk.codes, starts, ids)),
                )
                for row, hashed, (a, b) in zip(rows, same, bounds, strict=True)
            ),
            ("int8", "int4", "bool", "bytea", "bytea", "bytea", "bytea"),
        )


class StoredChunks:
    """The chunks that any document in the database holds, whether or not it was published."""

    def __init__(self, connection: Connection, code_size: int) -> None:
        """Take a connection, and how many bytes the code of a token has."""
        self._connection, self._code_size = connection, code_size

    def get(self, key: bytes) -> EncodedChunk | None:
        """Return a chunk."""
        chunk = self._connection.rows("SELECT document, first_row, rows FROM chunks WHERE key = %s LIMIT 1", key)
        if not chunk:
            return None
        document, first, count = chunk[0]
        place = document << 32 | first
        # Two statements rather than a join, of which a partition on another server is told nothing.
        tokens, vectors = (
            self._connection.rows(
                f"SELECT {columns} FROM {table} WHERE document = %s AND {PLACE} >= %s AND {PLACE} < %s ORDER BY row",
                *(document, place, place + count),
            )
            for table, columns in (("tokens", "codes, starts, ids"), ("rows", "vector"))
        )
        halves = np.stack([vector_of(stored) for (stored,) in vectors]).astype(np.float16)
        return encoded([(codes, starts, ids) for codes, starts, ids in tokens], self._code_size, halves)

    def put(self, chunks: Iterable[tuple[bytes, EncodedChunk]]) -> None:
        """Do nothing: a document is kept once it was written."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What all documents of a snapshot hold, and in how many rows each token stands."""

    documents: int
    passages: int
    rows: int
    chunks: int
    tokens: int
    length: int
    token_rows: Int64


def make_visible(connection: Connection, number: int, added: Sequence[int], removed: Sequence[int]) -> None:
    """Let documents be part of a snapshot or not, and count their words."""
    added_keys, removed_keys = array(added), array(removed)
    connection.run("UPDATE documents SET until = %s WHERE key = ANY(%s::bigint[])", number, removed_keys)
    connection.run("UPDATE documents SET since = %s WHERE key = ANY(%s::bigint[])", number, added_keys)
    connection.run(_UPDATE_WORDS, 1, added_keys, -1, removed_keys, number, number)


def count(
    connection: Connection, added: Sequence[int], removed: Sequence[int], before: Int64 | None, vocabulary: int
) -> Counts:
    """Return the counts of what is visible now; ``before`` is ``token_rows`` of the snapshot before."""
    columns = "passages", "rows", "chunks", "tokens", "length"
    sums = ", ".join(f"coalesce(sum({column}), 0)::bigint" for column in columns)
    query = f"SELECT count(*), {sums} FROM documents WHERE since IS NOT NULL AND until IS NULL"
    token_rows = np.zeros(vocabulary, np.int64) if before is None else before.copy()
    for keys, sign in ((added, 1), (removed, -1)):
        for start in range(0, len(keys), _BATCH):
            batch = array(keys[start : start + _BATCH])
            found = connection.rows("SELECT ids FROM tokens WHERE document = ANY(%s::bigint[])", batch)
            for (ids,) in found:
                unique = np.unique(np.frombuffer(ids, "<u4"))
                token_rows[unique[unique != NO_TOKEN]] += sign
    documents, passages, rows, chunks, tokens, length = map(int, connection.rows(query)[0])
    return Counts(documents, passages, rows, chunks, tokens, length, token_rows)


def remove_unused(connection: Connection, oldest: int) -> int:
    """Remove what no snapshot from ``oldest`` on holds; return how many documents that were."""
    connection.run("DELETE FROM snapshots WHERE number < %s", oldest)
    connection.run("DELETE FROM words WHERE until <= %s", oldest)
    unused = connection.rows("SELECT key FROM documents WHERE since IS NULL OR until <= %s", oldest)
    keys = [key for (key,) in unused]
    for start in range(0, len(keys), _REMOVED):
        batch = array(keys[start : start + _REMOVED])
        with connection.transaction():
            # Whose index begins with the word.
            held = "SELECT DISTINCT unnest(string_to_array(words, ' ')) FROM rows WHERE document = ANY(%s::bigint[])"
            words = [word for (word,) in connection.rows(held, batch)]
            connection.run("DELETE FROM postings WHERE word = ANY(%s) AND document = ANY(%s::bigint[])", words, batch)
            for table in _PARTS:
                connection.run(f"DELETE FROM {table} WHERE document = ANY(%s::bigint[])", batch)
            connection.run("DELETE FROM documents WHERE key = ANY(%s::bigint[])", batch)
    return len(keys)
