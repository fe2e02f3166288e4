"""One snapshot in a database, open to be searched: ``PassageIndex`` over a connection.

The list of documents is in memory, as the embedded index has it; with it rows and passages are numbered as there, in
the order of the documents, while the database knows them by the key of their document and where they stand in it. So a
build moves no numbers. A row whose document is not of this snapshot is left out of what a query finds.
"""

import copy
import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from struct import iter_unpack, pack
from typing import Any, NamedTuple, Self

import numpy as np

from sourceline.encoders.base import Float32, Int32, Int64
from sourceline.encoders.ranking_head import RankingHead, parse_ranking_head
from sourceline.errors import DamagedError, MismatchError, NoSnapshotError
from sourceline.ids import form_hash
from sourceline.index.bm25 import COMMON, COMMON_WORDS_ABOVE, MAX_REQUIRED, max_score, stems
from sourceline.index.multivector import Codec, EncodedChunk, Float16, TokenVectors, idf, open_codec
from sourceline.index.passage_store import (
    SELECTOR_CHARACTERS,
    DocumentEntry,
    DocumentTable,
    NumberedPassage,
    StoredPassage,
    Stretch,
    Surroundings,
    context_of,
    in_its_text,
    numbered_of,
    passage_of,
    stretch_bounds,
    wording_of,
)
from sourceline.index.postgres.database import REBUILD, Connection, Database, array
from sourceline.index.postgres.words import Bm25
from sourceline.index.row_filter import RowFilter
from sourceline.index.snapshot import FORMAT, HEAD, LedgerExtent, Manifest
from sourceline.types import Passage, PassageInContext, ScoredRow

# A filter that leaves at most so many rows is searched exactly.
EXACT_UP_TO = 20_000
# So few rows are searched exactly without a filter, too.
EXACT_BELOW = 2_000
# So many more candidates are asked for than wanted: some may be of documents that are not of this snapshot.
_SPARE = 10
_VISIBLE = "since <= %s AND (until IS NULL OR until > %s)"
_DOCUMENT = "key, id, title, sha256, passages, rows, chunks, date, speakers"
_NEIGHBOR = """(
    SELECT n.text FROM passages n
    WHERE n.document = p.document AND n.ordinal = p.ordinal {}
        AND (n.paragraph = p.paragraph OR n.speaker = p.speaker OR ({}.asks AND n.row IS NOT NULL))
)"""
_NEIGHBORS = f"{_NEIGHBOR.format('- 1', 'n')} AS before, {_NEIGHBOR.format('+ 1', 'p')} AS after"
_COLUMNS = """
    p.document, p.id, p.ordinal, p.start, p."end", p.gap, p.text, p.line, p.paragraph, p.section, p.page, p.speaker,
    p.time_start, p.time_end, p.columns, p.gaps, p.row
"""
_PASSAGE = f"SELECT {_COLUMNS}, {_NEIGHBORS} FROM passages p"
_PASSAGES_ALONE = f"SELECT {_COLUMNS} FROM passages p"
# Where a row is, as a number that has an index. A condition on one table, which a partition on another server is given;
# that of a join with the places is not.
PLACE = "(document << 32 | row)"
_WANTED = f"{PLACE} = ANY(%s::bigint[])"
_ROWS = f"{_PASSAGE} WHERE {_WANTED}"
_TOKENS = f"SELECT document, row, asks, same, codes, starts FROM tokens WHERE {_WANTED}"
_TITLES = "SELECT key, NULL, NULL, NULL, title_codes, title_starts FROM documents WHERE key = ANY(%s::bigint[])"
# Places as bytes, see `_places`: an array or a row for each takes the driver ten times as long.
_SENT = "int8send(document) || int4send({})"
_SAME = f"""
SELECT same, string_agg({_SENT.format("row")}, '') AS places FROM tokens WHERE same = ANY({{}}) GROUP BY same
"""
# The places of those that say the same are sent once: of a line that stands there thousands of times, they are long.
_CANDIDATES = f"""
WITH read AS MATERIALIZED ({_TOKENS}),
held AS MATERIALIZED ({_SAME.format("ARRAY(SELECT same FROM read)")})
SELECT read.*, CASE WHEN row_number() OVER (PARTITION BY same) = 1 THEN places END FROM read JOIN held USING (same)
"""
_VECTORS = f"SELECT document, row, vector, words FROM rows WHERE {_WANTED}"
# Of each word in how many rows it stands, and, unless that are too many, where. Both aggregates see the same order.
_POSTINGS = f"""
WITH known AS MATERIALIZED (SELECT word, rows FROM words WHERE word = ANY(%s) AND {_VISIBLE}),
held AS MATERIALIZED (
    SELECT word, string_agg({_SENT.format("length(entries) / 8")}, '') AS places, string_agg(entries, '') AS entries
    FROM postings WHERE word = ANY(ARRAY(SELECT word FROM known WHERE rows <= %s)) GROUP BY word
)
SELECT known.word, rows, places, entries FROM known LEFT JOIN held ON held.word = known.word
"""
_SURROUNDINGS = f"""
WITH here AS MATERIALIZED (SELECT ordinal FROM passages WHERE document = %s AND {PLACE} = %s)
SELECT row, text, line, paragraph, section, page, speaker, time_start, time_end, columns, gaps,
    ordinal = (SELECT ordinal FROM here) AS here
FROM passages WHERE document = %s
    AND ordinal >= (SELECT ordinal FROM here) - %s AND ordinal <= (SELECT ordinal FROM here) + %s
ORDER BY ordinal
"""


class _Candidate(NamedTuple):
    """What a row is scored by."""

    asks: bool
    same: bytes
    codes: bytes
    starts: bytes


class _Searched(NamedTuple):
    """What a row is found by."""

    vector: Float32
    words: str


class _Postings(NamedTuple):
    """In which ``rows`` a word stands, with the ``entries`` of each as the database has them."""

    rows: Int64
    entries: Int64


class PostgresPassages(DocumentTable):
    """The documents and passages. What reads needs a connection: see ``bound``."""

    def __init__(self, entries: list[DocumentEntry], keys: Sequence[int]) -> None:
        """Take the documents, by id, and their keys in the database."""
        super().__init__(entries)
        self.keys = np.array(keys, dtype=np.int64)
        self._numbers = {key: number for number, key in enumerate(keys)}
        self._by_key = np.argsort(self.keys)
        self._sorted_keys = self.keys[self._by_key]
        self._by_id = {entry.id: entry.number for entry in entries}
        _ = self.speakers  # so that a request's copy has them
        self._connection: Connection | None = None
        self._read: dict[int, _Candidate] = {}
        self._titles: dict[int, tuple[bytes, bytes]] = {}
        self._same: dict[bytes, list[int]] = {}
        self._searched: dict[int, _Searched] = {}

    def bound(self, connection: Connection) -> Self:
        """Return the same over a connection. What a request has read of candidates is kept there."""
        passages = copy.copy(self)
        passages._connection = connection
        passages._read, passages._titles, passages._same, passages._searched = {}, {}, {}, {}
        return passages

    @property
    def connection(self) -> Connection:
        """The connection of the request."""
        assert self._connection, "reading() was not entered"
        return self._connection

    # Numbers and keys

    def row(self, key: int, row: int) -> int | None:
        """Return the number of a row, given as the database knows it; None if it is of no document here."""
        number = self._numbers.get(key)
        return None if number is None else self.documents[number].rows.start + row

    def first_rows(self, keys: Int64) -> Int64:
        """Return the first row of each of these documents, -1 of one that is not here."""
        if not len(self._sorted_keys):
            return np.full(len(keys), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self._sorted_keys, keys), len(self._sorted_keys) - 1)
        return np.where(self._sorted_keys[at] == keys, self._first_rows[self._by_key[at]], -1)

    def places(self, rows: Sequence[int] | Int64) -> str:
        """Return where the database has rows, see ``PLACE``, as a literal."""
        row_array = np.asarray(rows, dtype=np.int64)
        numbers = self.documents_of(row_array)
        return array((self.keys[numbers] << 32 | row_array - self._first_rows[numbers]).tolist())

    def key(self, entry: DocumentEntry) -> int:
        """Return the key of a document."""
        return int(self.keys[entry.number])

    def _here(self, records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the records of passages of this snapshot, with their numbers, and what stands in memory."""
        for record in records:
            number = self._numbers.get(record["document"])
            if number is not None:
                entry = self.documents[number]
                row = record["row"]
                yield record | {
                    "number": entry.numbers.start + record["ordinal"],
                    "row": None if row is None else entry.rows.start + row,
                    "document_id": entry.id,
                    "title": entry.title,
                }

    # What candidates are scored by

    def candidates(
        self, rows: Collection[int], titles: Collection[int] = (), duplicates: bool = False
    ) -> dict[int, _Candidate]:
        """Return what rows are scored by; each is read once in a request.

        Args:
            rows: whose tokens are wanted.
            titles: the numbers of documents whose titles are read as well.
            duplicates: whether to look for the rows that say the same, too.
        """
        missing = [row for row in rows if row not in self._read and 0 <= row < self.row_count]
        untitled = [int(self.keys[number]) for number in titles if number not in self._titles]
        found: list[tuple[Any, ...]] = []
        if untitled:
            found = self.connection.rows(f"{_TOKENS} UNION ALL {_TITLES}", self.places(missing), array(untitled))
        elif missing:
            found = self.connection.rows(_CANDIDATES if duplicates else _TOKENS, self.places(missing))
        for key, row, asks, same, codes, starts, *places in found:
            number = self._numbers[key]
            if row is None:
                self._titles[number] = codes, starts
                continue
            self._read[self.documents[number].rows.start + row] = _Candidate(asks, same, codes, starts)
            for stored in filter(None, places):
                self._same[same] = self._rows_at(stored)
        self._require_read(missing, self._read)
        return self._read

    def _require_read(self, rows: Sequence[int], read: Collection[int]) -> None:
        """Require that what is known of rows was found.

        Raises:
            DamagedError: it was not.
        """
        for row in rows:
            if row not in read:
                document = self.documents[int(self.documents_of(np.array([row]))[0])].id
                raise DamagedError(f"the database lacks rows of {document}: restore it from a backup")

    def titles(self, numbers: Collection[int]) -> dict[int, tuple[bytes, bytes]]:
        """Return the tokens of the titles of these documents, which ``candidates`` has read."""
        return {number: self._titles[number] for number in numbers}

    def asking(self, rows: Collection[int]) -> set[int]:
        """Return which of these rows ask a question instead of telling something."""
        read = self.candidates(rows)
        return {row for row in rows if row in read and read[row].asks}

    def _rows_at(self, stored: bytes) -> list[int]:
        """Return the rows of this snapshot that stand at these places, ascending."""
        rows = (self.row(key, row) for key, row in iter_unpack(">qi", stored))  # one place, as a rule
        return sorted(row for row in rows if row is not None)

    def _groups(self, rows: Collection[int]) -> dict[int, list[int]]:
        """Return, for each of these rows that has duplicates, all rows that say the same, itself among them."""
        read = self.candidates(rows, duplicates=True)
        there = [row for row in rows if row in read]
        if unknown := {read[row].same for row in there} - self._same.keys():
            for same, places in self.connection.rows(_SAME.format("%s"), list(unknown)):
                self._same[same] = self._rows_at(places)
        return {row: group for row in there if len(group := self._same[read[row].same]) > 1}

    def searched(self, rows: Sequence[int] | Int64) -> list[_Searched]:
        """Return what these rows are found by; each is read once in a request."""
        wanted = [int(row) for row in rows]
        if missing := [row for row in wanted if row not in self._searched]:
            for found in self.connection.rows(_VECTORS, self.places(missing)):
                self.remember(*found)
            self._require_read(missing, self._searched)
        return [self._searched[row] for row in wanted]

    def remember(self, key: int, row: int, vector: bytes, words: str) -> int | None:
        """Keep what a search has read of a row for this request; return its number, None if it is not here."""
        number = self.row(key, row)
        if number is not None:
            self._searched[number] = _Searched(vector_of(vector), words)
        return number

    def duplicates(self, rows: Collection[int]) -> dict[int, int]:
        """Map each of these rows that has duplicates to the first of them, which can be itself."""
        return {row: group[0] for row, group in self._groups(rows).items()}

    def count_duplicates(self, firsts: Collection[int]) -> int:
        """Return how many rows say the same as one of these first rows, these included."""
        return sum(map(len, self._groups(firsts).values()))

    def with_duplicates(self, firsts: Collection[int]) -> list[tuple[int, int, str]]:
        """Return the first row, the row and the id of all passages that say the same as these first rows, in order."""
        groups = self._groups(firsts)
        ids = self._ids([row for group in groups.values() for row in group])
        return sorted((first, row, ids[row]) for first, group in groups.items() for row in group)

    def _ids(self, rows: Sequence[int]) -> dict[int, str]:
        if not rows:
            return {}
        query = f"SELECT document, row, id FROM passages WHERE {_WANTED}"
        found = self.connection.rows(query, self.places(rows))
        return {number: id_ for key, row, id_ in found if (number := self.row(key, row)) is not None}

    # Passages

    def rows_of_speakers(self, speakers: Collection[str]) -> Int64:
        """Return the rows, ascending, of what these speakers say, named as in ``DocumentEntry.speakers``."""
        query = "SELECT document, row FROM passages WHERE speaker = ANY(%s) AND row IS NOT NULL"
        found = self.connection.rows(query, list(speakers))
        rows = (self.row(key, row) for key, row in found)
        return np.sort(np.array([row for row in rows if row is not None], dtype=np.int64))

    def rows(self, rows: Sequence[int]) -> dict[int, StoredPassage]:
        """Return passages by row; rows that do not exist are left out."""
        there = [row for row in rows if 0 <= row < self.row_count]
        if not there:
            return {}
        duplicates = self.duplicates(there)
        return {
            row["row"]: StoredPassage(passage_of(row), row["title"], context_of(row), duplicates.get(row["row"]))
            for row in self._here(self.connection.records(_ROWS, self.places(there)))
        }

    def surroundings(self, row: int, reach: int) -> Surroundings:
        """Return the passages of the document around a row, up to ``reach`` on each side.

        Raises:
            IndexError: there is no such row.
        """
        if not 0 <= row < self.row_count:
            raise IndexError(f"there is no row {row}")
        (number,) = self.documents_of(np.array([row]))
        entry = self.documents[number]
        key = self.key(entry)
        place = key << 32 | row - entry.rows.start
        passages = self.connection.records(_SURROUNDINGS, key, place, key, reach, reach)
        at = next(at for at, passage in enumerate(passages) if passage["here"])
        return Surroundings(
            title=entry.title,
            section=passages[at]["section"],
            rows=tuple(None if p["row"] is None else entry.rows.start + p["row"] for p in passages),
            texts=tuple(map(wording_of, passages)),
            speakers=tuple(passage["speaker"] for passage in passages),
            at=at,
        )

    def of_document(self, entry: DocumentEntry) -> list[Passage]:
        """Return a document's passages in order, headings included."""
        return [passage_of(row) for row in self._between(_PASSAGES_ALONE, entry, entry.numbers)]

    def answers_of(self, entry: DocumentEntry) -> dict[int, Passage]:
        """Return a document's passages that can answer, by row, in order."""
        return dict(zip(entry.rows, (p for p in self.of_document(entry) if not p.heading), strict=True))

    def in_context(self, entry: DocumentEntry) -> list[PassageInContext]:
        """Return a document's passages in order, headings included, each with its surroundings."""
        return list(self.each_in_context(entry))

    def each_in_context(self, entry: DocumentEntry) -> Iterator[PassageInContext]:
        """Yield what ``in_context`` returns."""
        text = self.text_of(entry)
        yield from (in_its_text(row, text) for row in self._between(_PASSAGE, entry, entry.numbers))

    def text_of(self, entry: DocumentEntry) -> str:
        """Return a document's text."""
        query = "SELECT gap || text FROM passages WHERE document = %s ORDER BY ordinal"
        pieces = self.connection.rows(query, self.key(entry))
        return "".join([*(piece for (piece,) in pieces), self._tail(entry)])

    def stretch(self, entry: DocumentEntry, start: int, limit: int) -> Stretch:
        """Return whole passages from the one at an offset on, as many as end within ``limit`` characters behind it."""
        numbers = entry.numbers

        def end_of(number: int) -> int:
            query = 'SELECT "end" FROM passages WHERE document = %s AND ordinal = %s'
            return int(self.connection.value(query, self.key(entry), number - numbers.start))

        tail = self._tail(entry)
        length = len(tail) + (end_of(numbers[-1]) if numbers else 0)
        if start >= length:
            return Stretch(length, "", (), length)
        first, stop = stretch_bounds(numbers, start, limit, end_of)
        rows = list(self._between(_PASSAGES_ALONE, entry, numbers[first:stop]))
        begins = end_of(numbers[first - 1]) if first else 0
        pieces = [part for row in rows for part in (row["gap"], row["text"])]
        text = "".join([*pieces, tail] if stop >= len(numbers) else pieces)
        return Stretch(begins, text, tuple(passage_of(row) for row in rows), length)

    def entry(self, document_id: str) -> DocumentEntry | None:
        """Return a document by its id."""
        number = self._by_id.get(document_id)
        return None if number is None else self.documents[number]

    def find(self, citations: Sequence[str]) -> PassageInContext | None:
        """Return the first of these citations that is in this snapshot, with its surroundings."""
        found = self._here(self.connection.records(f"{_PASSAGE} WHERE p.id = ANY(%s)", list(citations)))
        rows = {row["id"]: row for row in found}
        row = next((rows[citation] for citation in citations if citation in rows), None)
        if row is None:
            return None
        prefix, suffix = self._beside(self.document_of(row["number"]), row["ordinal"])
        return PassageInContext(passage_of(row), row["title"], context_of(row), prefix, suffix)

    def numbered(self, numbers: range) -> list[NumberedPassage]:
        """Return consecutive passages, as far as there are any."""
        passages: list[NumberedPassage] = []
        number = max(0, numbers.start)
        while number < min(numbers.stop, len(self)):
            entry = self.document_of(number)
            stop = min(numbers.stop, entry.numbers.stop)
            passages += map(numbered_of, self._between(_PASSAGES_ALONE, entry, range(number, stop)))
            number = stop
        return passages

    def with_ids(self, ids: Collection[str]) -> dict[str, NumberedPassage]:
        """Return those of these passages that are in this snapshot, by id."""
        found = self._here(self.connection.records(f"{_PASSAGES_ALONE} WHERE p.id = ANY(%s)", list(ids)))
        return {row["id"]: numbered_of(row) for row in sorted(found, key=lambda row: int(row["number"]))}

    def numbers_of_rows(self, rows: Collection[int]) -> list[int]:
        """Return the numbers of the passages in these rows, in the same order."""
        there = [row for row in rows if 0 <= row < self.row_count]
        if not there:
            return []
        query = f"SELECT document, row, ordinal FROM passages WHERE {_WANTED}"
        numbers = {}
        for key, row, ordinal in self.connection.rows(query, self.places(there)):
            entry = self.documents[self._numbers[key]]
            numbers[entry.rows.start + row] = entry.numbers.start + ordinal
        return [numbers[row] for row in there]

    def find_texts(self, texts: set[str]) -> list[PassageInContext]:
        """Return all passages that may differ from one of these texts in typography alone, and few others."""
        query = "SELECT document, ordinal, row, id FROM passages WHERE form = ANY(%s::bigint[])"
        found = self._here(self.connection.records(query, array({*map(form_hash, texts)})))
        ids = [row["id"] for row in sorted(found, key=lambda row: int(row["number"]))]
        return [passage for passage in (self.find([citation]) for citation in ids) if passage]

    def chunk(self, key: bytes) -> range | None:
        """Return the rows of a chunk with this key; any will do, for all of them hold the same."""
        for document, first, count in self.connection.rows(
            "SELECT document, first_row, rows FROM chunks WHERE key = %s", key
        ):
            if (start := self.row(document, first)) is not None:
                return range(start, start + count)
        return None

    def _between(self, query: str, entry: DocumentEntry, numbers: range) -> Iterator[dict[str, Any]]:
        """Yield passages of a document by their numbers, in order."""
        where = "WHERE p.document = %s AND p.ordinal >= %s AND p.ordinal < %s ORDER BY p.ordinal"
        first = entry.numbers.start
        bounds = (self.key(entry), numbers.start - first, numbers.stop - first)
        return self._here(self.connection.records(f"{query} {where}", *bounds))

    def _tail(self, entry: DocumentEntry) -> str:
        return str(self.connection.value("SELECT tail FROM documents WHERE key = %s", self.key(entry)))

    def _beside(self, entry: DocumentEntry, ordinal: int) -> tuple[str, str]:
        """Return the characters right before and after a passage."""
        # Every passage has a character, so that more of them are never needed.
        query = "SELECT gap, text, ordinal FROM passages WHERE document = %s AND ordinal BETWEEN %s AND %s"
        reach = (ordinal - SELECTOR_CHARACTERS, ordinal + SELECTOR_CHARACTERS)
        before, after, last = "", "", ordinal
        for gap, text, at in self.connection.rows(f"{query} ORDER BY ordinal", self.key(entry), *reach):
            if at < ordinal:
                before += gap + text
            elif at == ordinal:
                before += gap
            else:
                after += gap + text
            last = at
        if entry.numbers.start + last == entry.numbers[-1]:
            after += self._tail(entry)
        return before[-SELECTOR_CHARACTERS:], after[:SELECTOR_CHARACTERS]


class PostgresDense:
    """The sentence vectors, by HNSW of pgvector; what it finds is scored exactly."""

    def __init__(self, passages: PostgresPassages, dim: int) -> None:
        self._passages, self._dim = passages, dim

    def search(self, vector: Float32, n: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        """Return the up to ``n`` rows with the greatest cosine to ``vector`` (dim,), best first, ties by row.

        Fewer than ``n`` are returned only if there are no more. Many rows are searched approximately.
        """
        total = self._passages.row_count
        passing = total if row_filter is None else len(row_filter)
        n = min(n, passing)
        if n == 0:
            return []
        literal = _literal(vector)
        if passing <= (EXACT_BELOW if row_filter is None else EXACT_UP_TO):
            row_filter = row_filter or RowFilter.from_ranges([range(total)])
            return self._ranked(vector, self._exactly(literal, n, row_filter), n, row_filter)
        limit = n * -(-total // passing) + _SPARE
        while True:
            # A number, not a parameter: the plan depends on it. With ties, of which the first rows count.
            found = self._passages.connection.rows(
                f"SELECT document, row, vector, words FROM rows ORDER BY vector <#> %s::halfvec "
                f"FETCH FIRST {limit} ROWS WITH TIES",
                literal,
            )
            ranked = self._ranked(vector, found, n, row_filter)
            if len(ranked) == n or len(found) < limit:
                return ranked
            if row_filter is not None and limit > EXACT_UP_TO:
                return self._ranked(vector, self._exactly(literal, n, row_filter), n, row_filter)
            limit *= 4

    def _exactly(self, literal: str, n: int, row_filter: RowFilter) -> list[tuple[Any, ...]]:
        """Return the nearest of the rows that pass, without the index of vectors."""
        passages = self._passages
        if row_filter.speakers:
            passing = np.concatenate([np.arange(rows.start, rows.stop) for rows in row_filter.ranges])
            condition, value = _WANTED, passages.places(passing)
        else:
            starts = np.array([rows.start for rows in row_filter.ranges], dtype=np.int64)
            stops = np.array([rows.stop - 1 for rows in row_filter.ranges], dtype=np.int64)
            firsts, lasts = passages.documents_of(starts), passages.documents_of(stops)
            keys = np.concatenate([passages.keys[a : b + 1] for a, b in zip(firsts, lasts, strict=True)])
            condition, value = "document = ANY(%s::bigint[])", array(keys.tolist())
        return passages.connection.rows(
            # A sum has no index.
            f"SELECT document, row, vector, words FROM rows WHERE {condition} "
            f"ORDER BY (vector <#> %s::halfvec) + 0 FETCH FIRST {n} ROWS WITH TIES",
            value,
            literal,
        )

    def _ranked(
        self, vector: Float32, found: list[tuple[Any, ...]], n: int, row_filter: RowFilter | None
    ) -> list[ScoredRow]:
        there = [row for record in found if (row := self._passages.remember(*record)) is not None]
        rows = [row for row in there if row_filter is None or row in row_filter]
        scores = self.scores(vector, rows).tolist()
        hits = [ScoredRow(row, score) for row, score in zip(rows, scores, strict=True)]
        return sorted(hits, key=lambda hit: (-hit.score, hit.row))[:n]

    def scores(self, vector: Float32, rows: Sequence[int]) -> Float32:
        """Return the cosines of ``vector`` with these rows: (rows,) float32."""
        cosines: Float32 = np.einsum("ij,j->i", self.vectors(rows), vector)
        return cosines

    def vectors(self, rows: Sequence[int] | Int64) -> Float32:
        """Return the vectors of these rows: (rows, dim) float32."""
        vectors = [found.vector for found in self._passages.searched(rows)]
        return np.array(vectors, dtype=np.float32).reshape(-1, self._dim)


class PostgresWords:
    """The sentences' words, scored by BM25 as the embedded index scores them."""

    def __init__(self, passages: PostgresPassages, number: int, bm25: Bm25) -> None:
        """Take the passages, the number of the snapshot, and what scores."""
        self._passages, self._number, self._bm25 = passages, number, bm25
        self._known: dict[str, int] = {}
        self._postings: dict[str, _Postings] = {}

    def search(self, text: str, n: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        """Return the up to ``n`` rows with the greatest BM25 score for the words of ``text``, best first, ties by row.

        Among many passages the score leaves out common words, unless there are no others.
        """
        words, rows = list(dict.fromkeys(stems(text))), self._bm25.rows
        most = COMMON * rows if rows > COMMON_WORDS_ABOVE else rows
        self._read(words, most)
        words = [word for word in words if self._known[word] <= most] or words
        return self._scored(words, n, row_filter)

    def search_all(self, text: str, n: int) -> list[int]:
        """Return up to ``n`` rows that hold every word of ``text``, in any form; none if there is no word in it."""
        words = list(dict.fromkeys(stems(text)))[:MAX_REQUIRED]
        if not words or not all(self._frequencies(words).values()):
            return []
        return [scored.row for scored in self._scored(words, n, None, every=True)]

    def scores(self, text: str, rows: Sequence[int]) -> Float32:
        """Return the BM25 scores of these rows for the words of ``text``: (rows,) float32, 0 without a match."""
        words = list(dict.fromkeys(stems(text)))
        weights = [(word, self._bm25.weight(count)) for word, count in self._frequencies(words).items()]
        found = self._passages.searched(rows)
        return np.array([self._bm25.score(weights, row.words.split()) for row in found], dtype=np.float32)

    def max_score(self, text: str) -> float:
        """Return an upper bound of the BM25 score of any passage: Σ idf · (k1 + 1) over the words of ``text``."""
        return max_score(self._bm25.rows, list(self._frequencies(list(dict.fromkeys(stems(text)))).values()))

    def _frequencies(self, words: Sequence[str]) -> dict[str, int]:
        """Return in how many rows each of these words stands, in their order."""
        self._read(words, 0)
        return {word: self._known[word] for word in words}

    def _read(self, words: Sequence[str], most: float) -> None:
        """Read in how many rows each of these words stands and, if it is in no more than ``most``, in which."""
        if missing := [
            word
            for word in words
            if word not in self._known or (0 < self._known[word] <= most and word not in self._postings)
        ]:
            self._known |= dict.fromkeys(missing, 0)
            found = self._passages.connection.rows(_POSTINGS, missing, self._number, self._number, most)
            for word, count, places, entries in found:
                self._known[word] = count
                if places is not None:
                    self._postings[word] = self._rows_of(_places(places), np.frombuffer(entries, "<i8"))

    def _rows_of(self, places: Any, entries: Int64) -> _Postings:
        firsts = np.repeat(self._passages.first_rows(places["document"]), places["number"])
        here = firsts >= 0
        return _Postings((firsts + (entries >> 16))[here], entries[here])

    def _scored(self, words: list[str], n: int, row_filter: RowFilter | None, every: bool = False) -> list[ScoredRow]:
        """Return the best rows that hold one of these words, or each of them."""
        if not words or n == 0 or not self._bm25.rows:
            return []
        self._read(words, self._bm25.rows)
        held = [(self._known[word], self._postings[word]) for word in words if word in self._postings]
        if not held:
            return []
        counts = [len(postings.rows) for _, postings in held]
        weights = np.array([self._bm25.weight(frequency) for frequency, _ in held], dtype=np.float32)
        rows = np.concatenate([postings.rows for _, postings in held])
        entries = np.concatenate([postings.entries for _, postings in held])
        parts = self._bm25.parts(entries, np.repeat(weights, counts))
        scores = np.bincount(rows, parts, self._bm25.rows).astype(np.float32)
        if every:
            scores[np.bincount(rows, minlength=self._bm25.rows) < len(words)] = 0
        if row_filter is not None:
            passing = np.unpackbits(row_filter.bitmap(self._bm25.rows), count=self._bm25.rows, bitorder="little")
            scores *= passing
        best = np.flatnonzero(scores)
        if len(best) > n:
            least = np.partition(scores[best], -n)[-n]
            best = best[scores[best] >= least]
        order = np.lexsort((best, -scores[best]))[:n]
        return [ScoredRow(int(row), float(scores[row])) for row in best[order]]


class PostgresTokens:
    """The token vectors, those of the titles behind those of the rows."""

    def __init__(self, passages: PostgresPassages, codec: Codec, weights: Float32) -> None:
        """Take the passages, what decodes, and the inverse document frequency of each token id."""
        self._passages, self._codec, self._idf = passages, codec, weights

    def idf(self, ids: Int32) -> Float32:
        """Return the inverse document frequency of each token id, over passages."""
        return self._idf[np.minimum(ids, len(self._idf) - 1)]

    def gather(self, rows: Sequence[int] | Int64) -> TokenVectors:
        """Return the tokens of these rows (at least one row)."""
        passages, wanted = self._passages, [int(row) for row in rows]
        of_titles = [row - passages.row_count for row in wanted if row >= passages.row_count]
        read = passages.candidates(wanted, of_titles)
        titles = passages.titles(of_titles)
        held = [read[row][2:] if row < passages.row_count else titles[row - passages.row_count] for row in wanted]
        codes = np.frombuffer(b"".join(codes for codes, _ in held), np.uint8).reshape(-1, self._codec.code_size)
        starts = np.frombuffer(b"".join(starts for _, starts in held), "<u2").astype(np.int32)
        lengths = np.array([len(starts) // 2 for _, starts in held])
        return TokenVectors(self._codec.decode(codes), np.concatenate(([0], np.cumsum(lengths)[:-1])), starts)


@dataclass(frozen=True, slots=True)
class PostgresSnapshot:
    """A snapshot. ``reading`` returns it over a connection, which is when it can be searched."""

    database: Database
    number: int
    manifest: Manifest
    head: RankingHead
    dense: PostgresDense
    bm25: PostgresWords
    tokens: PostgresTokens
    passages: PostgresPassages

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self.manifest.id

    @contextmanager
    def reading(self) -> Iterator["PostgresSnapshot"]:
        """Yield the snapshot over a connection, in one transaction: what a build removes meanwhile stays there.

        Raises:
            SnapshotGoneError: two builds have published since it was opened, and it is kept no more.
            SnapshotError: the database does not answer, or has no connection free.
        """
        with self.database.reading(self.id) as connection:
            yield self.over(connection)

    def over(self, connection: Connection) -> "PostgresSnapshot":
        """Return the snapshot over a connection that reads already."""
        passages = self.passages.bound(connection)
        return replace(
            self,
            passages=passages,
            dense=PostgresDense(passages, self.manifest.dim),
            bm25=PostgresWords(passages, self.number, self.bm25._bm25),
            tokens=PostgresTokens(passages, self.tokens._codec, self.tokens._idf),
        )

    def with_head(self, head: RankingHead) -> "PostgresSnapshot":
        """Return the same with another ranking head, to measure what that is worth."""
        return replace(self, head=head)

    def chunk(self, rows: range) -> EncodedChunk:
        """Return consecutive rows, at least one, as they were written."""
        query = f"SELECT document, row, codes, starts, ids FROM tokens WHERE {_WANTED}"
        found = self.passages.connection.rows(query, self.passages.places(rows))
        held = sorted((self.passages.row(key, row), codes, starts, ids) for key, row, codes, starts, ids in found)
        return encoded(
            [values[1:] for values in held], self.tokens._codec.code_size, self.dense.vectors(rows).astype(np.float16)
        )


def encoded(tokens: Sequence[tuple[bytes, bytes, bytes]], code_size: int, vectors: Float16) -> EncodedChunk:
    """Return rows as they were encoded, of the codes, starts and ids of each as the database has them."""
    return EncodedChunk(
        counts=np.array([len(starts) // 2 for _, starts, _ in tokens], dtype=np.uint32),
        ids=np.frombuffer(b"".join(ids for _, _, ids in tokens), "<u4"),
        starts=np.frombuffer(b"".join(starts for _, starts, _ in tokens), "<u2"),
        codes=np.frombuffer(b"".join(codes for codes, _, _ in tokens), np.uint8).reshape(-1, code_size),
        vectors=vectors,
    )


def open_current(database: Database, connection: Connection) -> PostgresSnapshot:
    """Open the snapshot that is current.

    Raises:
        NoSnapshotError: nothing was published.
        MismatchError: it was written in another format.
    """
    number = connection.value("SELECT number FROM current")
    if number is None:
        raise NoSnapshotError(f"there is no index in {database.shown} yet: {REBUILD}")
    manifest = read_manifest(connection.value("SELECT manifest FROM snapshots WHERE number = %s", number))
    if manifest.format != FORMAT:
        raise MismatchError(f"snapshot {manifest.id} is in format {manifest.format}, not {FORMAT}: {REBUILD}")
    head = connection.value("SELECT data FROM files WHERE owner = %s AND name = %s", manifest.config, HEAD)
    return open_snapshot(database, connection, number, parse_ranking_head(head))


def open_snapshot(database: Database, connection: Connection, number: int, head: RankingHead) -> PostgresSnapshot:
    """Read a snapshot; ``head`` is its ranking head."""
    text, token_rows, length = connection.rows(
        "SELECT manifest, token_rows, length FROM snapshots WHERE number = %s", number
    )[0]
    manifest = read_manifest(text)
    passages = read_passages(connection, number)
    codec = open_codec(manifest.codec, head)
    weights = idf(np.frombuffer(token_rows, "<u4").astype(np.int64), manifest.rows)
    return PostgresSnapshot(
        database,
        number,
        manifest,
        head,
        PostgresDense(passages, manifest.dim),
        PostgresWords(passages, number, Bm25(manifest.rows, length)),
        PostgresTokens(passages, codec, weights),
        passages,
    )


def read_passages(connection: Connection, number: int) -> PostgresPassages:
    """Read the list of documents of a snapshot."""
    found = connection.records(f"SELECT {_DOCUMENT} FROM documents WHERE {_VISIBLE}", number, number)
    found.sort(key=lambda document: str(document["id"]))
    entries, passages, rows = [], 0, 0
    for at, document in enumerate(found):
        numbers = range(passages, passages + document["passages"])
        own = range(rows, rows + document["rows"])
        entries.append(
            DocumentEntry(
                id=document["id"],
                title=document["title"],
                sha256=document["sha256"],
                numbers=numbers,
                rows=own,
                chunks=document["chunks"],
                number=at,
                date=document["date"],
                speakers=tuple(json.loads(document["speakers"])),
            )
        )
        passages, rows = numbers.stop, own.stop
    return PostgresPassages(entries, [document["key"] for document in found])


def manifest_text(manifest: Manifest) -> str:
    """Return a manifest as it is stored."""
    return json.dumps(asdict(manifest))


def read_manifest(text: str) -> Manifest:
    """Return a manifest of what is stored."""
    body = json.loads(text)
    return Manifest(**{**body, "ledger": LedgerExtent(**body["ledger"])})


def _literal(vector: Float32) -> str:
    return f"[{','.join(map(repr, vector.tolist()))}]"


def _places(stored: bytes) -> Any:
    """Return places as the database sends them: the key of a ``document``, and a ``number`` in it, of each."""
    return np.frombuffer(stored, dtype=[("document", ">i8"), ("number", ">i4")]).astype(
        [("document", np.int64), ("number", np.int64)]
    )


def halfvecs(vectors: Float16) -> Iterator[bytes]:
    """Yield vectors as the server takes and sends a halfvec: the length, two bytes that are not used, the numbers."""
    head = pack(">hh", vectors.shape[1], 0)
    for vector in vectors.astype(">f2"):
        yield head + vector.tobytes()


def vector_of(stored: bytes) -> Float32:
    """Return a vector of what ``halfvecs`` yields."""
    return np.frombuffer(stored, ">f2", offset=4).astype(np.float32)
