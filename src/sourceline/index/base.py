"""The passage index: what searching, citing and verifying need of a snapshot, whatever engine holds it.

``Snapshot`` (``index/snapshot.py``) has it in files, ``PostgresSnapshot`` (``index/postgres/``) in a database. Rows and
passages are numbered alike in both: in the order of the documents, without gaps.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, Self

from sourceline.encoders.base import Float32, Int32, Int64
from sourceline.encoders.ranking_head import RankingHead
from sourceline.index.multivector import EncodedChunk, TokenVectors
from sourceline.index.passage_store import DocumentEntry, NumberedPassage, StoredPassage, Stretch, Surroundings
from sourceline.index.row_filter import RowFilter
from sourceline.index.snapshot import Manifest
from sourceline.types import Passage, PassageInContext, ScoredRow


class DenseSearch(Protocol):
    """The sentence vectors."""

    def search(self, vector: Float32, n: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        """Return the up to ``n`` rows with the greatest cosine to ``vector`` (dim,), best first, ties by row."""

    def scores(self, vector: Float32, rows: Sequence[int]) -> Float32:
        """Return the cosines of ``vector`` with these rows: (rows,) float32."""

    def vectors(self, rows: Sequence[int] | Int64) -> Float32:
        """Return the vectors of these rows: (rows, dim) float32."""


class WordSearch(Protocol):
    """The sentences' words, scored by BM25."""

    def search(self, text: str, n: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        """Return the up to ``n`` rows with the greatest score for the words of ``text``, best first, ties by row."""

    def search_all(self, text: str, n: int) -> list[int]:
        """Return up to ``n`` rows that hold every word of ``text``, in any form."""

    def scores(self, text: str, rows: Sequence[int]) -> Float32:
        """Return the scores of these rows for the words of ``text``: (rows,) float32, 0 without a match."""

    def max_score(self, text: str) -> float:
        """Return an upper bound of the score of any passage for the words of ``text``."""


class TokenSearch(Protocol):
    """The token vectors. Behind the rows stands one for the title of each document, in their order."""

    def idf(self, ids: Int32) -> Float32:
        """Return the inverse document frequency of each token id, over passages."""

    def gather(self, rows: Sequence[int] | Int64) -> TokenVectors:
        """Return the tokens of these rows (at least one row)."""


class Passages(Protocol):
    """The documents and their passages."""

    @property
    def documents(self) -> list[DocumentEntry]:
        """The documents, by id."""

    @property
    def speakers(self) -> tuple[str, ...]:
        """Everybody who speaks in a document, each once, in the order of the documents."""

    @property
    def speakers_by_name(self) -> tuple[str, ...]:
        """Everybody who speaks in a document, by name; of names that differ in case or typography alone, one."""

    @property
    def row_count(self) -> int:
        """The number of rows: of passages that can answer."""

    def __len__(self) -> int:
        """Return the number of passages, headings included."""

    def documents_of(self, rows: Int64) -> Int64:
        """Return the number of the document in which each of these rows stands."""

    def document_of(self, number: int) -> DocumentEntry:
        """Return the document in which the passage with this number stands."""

    def asking(self, rows: Collection[int]) -> set[int]:
        """Return which of these rows ask a question instead of telling something."""

    def speakers_named(self, names: Collection[str]) -> list[str]:
        """Return the speakers with these names, as they stand in the documents."""

    def rows_of_speakers(self, speakers: Collection[str]) -> Int64:
        """Return the rows, ascending, of what these speakers say."""

    def rows(self, rows: Sequence[int]) -> dict[int, StoredPassage]:
        """Return passages by row; rows that do not exist are left out."""

    def surroundings(self, row: int, reach: int) -> Surroundings:
        """Return the passages of the document around a row, up to ``reach`` on each side."""

    def duplicates(self, rows: Collection[int]) -> dict[int, int]:
        """Map each of these rows that has duplicates to the first of them, which can be itself."""

    def count_duplicates(self, firsts: Collection[int]) -> int:
        """Return how many rows say the same as one of these first rows, these included."""

    def with_duplicates(self, firsts: Collection[int]) -> list[tuple[int, int, str]]:
        """Return the first row, the row and the id of all passages that say the same as these first rows, in order."""

    def of_document(self, entry: DocumentEntry) -> list[Passage]:
        """Return a document's passages in order, headings included."""

    def answers_of(self, entry: DocumentEntry) -> dict[int, Passage]:
        """Return a document's passages that can answer, by row, in order."""

    def in_context(self, entry: DocumentEntry) -> list[PassageInContext]:
        """Return a document's passages in order, headings included, each with its surroundings."""

    def each_in_context(self, entry: DocumentEntry) -> Iterator[PassageInContext]:
        """Yield what ``in_context`` returns."""

    def text_of(self, entry: DocumentEntry) -> str:
        """Return a document's text."""

    def stretch(self, entry: DocumentEntry, start: int, limit: int) -> Stretch:
        """Return whole passages from the one at an offset on, as many as end within ``limit`` characters behind it."""

    def entry(self, document_id: str) -> DocumentEntry | None:
        """Return a document by its id."""

    def find(self, citations: Sequence[str]) -> PassageInContext | None:
        """Return the first of these citations that is in this snapshot, with its surroundings."""

    def numbered(self, numbers: range) -> list[NumberedPassage]:
        """Return consecutive passages, as far as there are any."""

    def with_ids(self, ids: Collection[str]) -> dict[str, NumberedPassage]:
        """Return those of these passages that are in this snapshot, by id."""

    def numbers_of_rows(self, rows: Collection[int]) -> list[int]:
        """Return the numbers of the passages in these rows, in the same order."""

    def find_texts(self, texts: set[str]) -> list[PassageInContext]:
        """Return all passages that may differ from one of these texts in typography alone, and few others."""

    def chunk(self, key: bytes) -> range | None:
        """Return the rows of a chunk with this key; any will do, for all of them hold the same."""


class PassageIndex(Protocol):
    """A snapshot that is open to be searched. Immutable."""

    @property
    def id(self) -> str:
        """The snapshot's id."""

    @property
    def manifest(self) -> Manifest:
        """What the snapshot says of itself."""

    @property
    def head(self) -> RankingHead:
        """What was learnt on top of the encoder."""

    @property
    def dense(self) -> DenseSearch:
        """The sentence vectors."""

    @property
    def bm25(self) -> WordSearch:
        """The words."""

    @property
    def tokens(self) -> TokenSearch:
        """The token vectors."""

    @property
    def passages(self) -> Passages:
        """The documents and passages."""

    def reading(self) -> AbstractContextManager["PassageIndex"]:
        """Return what a request reads from, as long as it runs: one view, whatever is published meanwhile."""

    def with_head(self, head: RankingHead) -> Self:
        """Return the same with another ranking head, to measure what that is worth."""

    def chunk(self, rows: range) -> EncodedChunk:
        """Return consecutive rows, at least one, as they were written."""
