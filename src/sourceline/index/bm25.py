"""BM25 (k1 1.2, b .75) over sentences with English stems, by tantivy.

A sentence is found by the name of who says it as well, a table's row by the names of its columns.
"""

import math
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import tantivy

from sourceline.encoders.base import Float32
from sourceline.errors import SnapshotError
from sourceline.index.passage_store import SearchableText
from sourceline.index.row_filter import RowFilter
from sourceline.types import ScoredRow

FOLDER = "bm25"
K1 = 1.2  # tantivy's, which cannot be set
_ANALYZER = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    .filter(tantivy.Filter.remove_long(64))
    .filter(tantivy.Filter.lowercase())
    .filter(tantivy.Filter.ascii_fold())
    .filter(tantivy.Filter.stemmer("english"))
    .build()
)
_SCHEMA = (
    tantivy.SchemaBuilder()
    .add_text_field("text", tokenizer_name="english", index_option="freq")
    .add_unsigned_field("row", indexed=True, fast=True)
    .add_unsigned_field("document", indexed=True)
    .add_text_field("speaker", tokenizer_name="raw", index_option="basic")
    .build()
)
MAX_REQUIRED = 100  # words that a passage must hold
_WRITER_BYTES = 256_000_000
_LOCKS, _READING_LOCK = ".tantivy-", ".tantivy-meta.lock"  # the lock files of tantivy, and the one that a reader takes
# A filter of more documents than this is applied to what is found: 5,000 documents as terms take 115 ms, 256 take 5.
MAX_DOCUMENTS = 256
# Above so many passages, a word that stands in more than this share of them finds no candidates: "the" decides nothing,
# but its list is as long as the corpus (of 6.1 ms a question at a million sentences, these words took 5.2).
COMMON_WORDS_ABOVE, COMMON = 20_000, 1 / 5


class BM25Writer:
    """Collects sentences in row order and writes the index."""

    def __init__(self, folder: Path) -> None:
        (folder / FOLDER).mkdir()
        self._folder = folder / FOLDER
        index = tantivy.Index(_SCHEMA, path=str(self._folder))
        index.register_tokenizer("english", _ANALYZER)
        self._writer = index.writer(heap_size=_WRITER_BYTES, num_threads=1)
        self._rows = 0

    def add(self, texts: Sequence[SearchableText]) -> None:
        """Append sentences."""
        for text in texts:
            document = tantivy.Document()
            document.add_text("text", _composed(text.text))
            document.add_unsigned("row", self._rows)
            document.add_unsigned("document", text.document)
            if text.speaker:
                document.add_text("speaker", text.speaker)
            self._writer.add_document(document)
            self._rows += 1

    def __enter__(self) -> Self:
        """Use as a context manager to stop writing, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop: tantivy's threads would go on writing into a folder that is being removed."""
        del self._writer

    def write(self) -> None:
        """Commit, and leave only the files that belong to the index."""
        self._writer.commit()
        self._writer.wait_merging_threads()
        mode = self._folder.stat().st_mode & 0o666
        for file in self._folder.iterdir():
            if file.name.startswith(_LOCKS):
                file.unlink()
            else:
                file.chmod(mode)  # as the umask says: tantivy lets nobody else read some of its files


class BM25Index:
    """The sentences' terms of one snapshot.

    Every search raises SnapshotError if a file was written to under it, as far as tantivy notices that.
    """

    def __init__(self, folder: Path) -> None:
        """Open the index.

        Raises:
            SnapshotError: tantivy cannot read it.
            OSError: it is on a file system that cannot be written, and there is no room for temporary files.
        """
        with _lockable(folder / FOLDER) as path, _telling_damage():
            index = tantivy.Index.open(str(path))
            index.register_tokenizer("english", _ANALYZER)
            self._searcher = index.searcher()

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._searcher.num_docs

    def search(self, text: str, n: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        """Return the up to ``n`` rows with the greatest BM25 score for the words of ``text``, best first, ties by row.

        The words are passed as terms: no character of a question is query syntax. Among many passages the score leaves
        out COMMON words, unless there are no others.
        """
        words = _words(text)
        if len(self) > COMMON_WORDS_ABOVE:
            words = [word for word in words if self._document_frequency(word) <= COMMON * len(self)] or words
        query = _any_word(words)
        if row_filter is None:
            return self._search(query, n)
        if not row_filter.ranges:
            return []
        query = _limited(query, *_conditions(row_filter))
        # Widened until enough of what is found passes: as many times as wide as few rows pass, to begin with.
        limit = n * math.ceil(len(self) / len(row_filter))
        while True:
            hits = self._search(query, limit)
            passing = [hit for hit in hits if hit.row in row_filter]
            if len(passing) >= n or len(hits) < limit:
                return passing[:n]
            limit *= 4

    def search_all(self, text: str, n: int) -> list[int]:
        """Return up to ``n`` rows that hold every word of ``text``, in any form; none if there is no word in it.

        Of a text of more than MAX_REQUIRED words the first ones count.
        """
        words = _words(text)[:MAX_REQUIRED]
        if not words:
            return []
        terms = [(tantivy.Occur.Must, tantivy.Query.term_query(_SCHEMA, "text", word, "freq")) for word in words]
        return [scored.row for scored in self._search(tantivy.Query.boolean_query(terms), n)]

    def scores(self, text: str, rows: Sequence[int]) -> Float32:
        """Return the BM25 scores of these rows for the words of ``text``: (rows,) float32, 0 without a match."""
        # Terms one by one: tantivy walks the whole column for a set.
        rows_only = _any([tantivy.Query.term_query(_SCHEMA, "row", row) for row in rows])
        query = _limited(_any_word(_words(text)), rows_only)
        scores = {scored.row: scored.score for scored in self._search(query, len(rows))}
        return np.array([scores.get(row, 0.0) for row in rows], dtype=np.float32)

    def max_score(self, text: str) -> float:
        """Return an upper bound of the BM25 score of any passage: Σ idf · (k1 + 1) over the words of ``text``."""
        return max_score(len(self), [self._document_frequency(word) for word in _words(text)])

    def _document_frequency(self, word: str) -> int:
        with _telling_damage():
            return self._searcher.doc_freq("text", word)

    def _search(self, query: tantivy.Query, n: int) -> list[ScoredRow]:
        if n == 0:
            return []
        with _telling_damage():
            hits = self._searcher.search(query, limit=n, count=False).hits
            rows = self._searcher.fast_field_values("row", [address for _, address in hits])
            scored = [ScoredRow(int(row or 0), float(score)) for (score, _), row in zip(hits, rows, strict=True)]
            if any(hit.row >= len(self) for hit in scored):
                raise ValueError("it names a row that there is not")
        return sorted(scored, key=lambda hit: (-hit.score, hit.row))


def max_score(rows: int, frequencies: Sequence[int]) -> float:
    """Return the most that words can give a passage, each of which stands in so many of all rows."""
    return sum(math.log1p((rows - n + 0.5) / (n + 0.5)) for n in frequencies) * (1 + K1)


@contextmanager
def _telling_damage() -> Iterator[None]:
    """Turn what tantivy raises for a file that is not as it wrote it into a SnapshotError."""
    try:
        yield
    except BaseException as error:  # a panic of its Rust is no Exception, and of a class that cannot be imported
        if not isinstance(error, ValueError) and type(error).__name__ != "PanicException":
            raise
        told = " ".join(str(error).split())
        raise SnapshotError(f"the index of words cannot be read ({told}): run `sourceline rebuild-index`") from error


@contextmanager
def _lockable(folder: Path) -> Iterator[Path]:
    """Yield a folder with the files of an index in which tantivy can make its lock file, which it does even to read.

    That is the index's own, or, if it cannot be written (a read-only mount, another user's), one of links to its files.
    Once tantivy has them open, the links are needed no more.
    """
    if _can_lock(folder):
        yield folder
        return
    links = Path(tempfile.mkdtemp(prefix="sourceline-links-"))
    try:
        for file in folder.absolute().iterdir():
            if not file.name.startswith(_LOCKS):
                (links / file.name).symlink_to(file)
        yield links
    finally:
        # The thread in which tantivy watches for commits may take the lock while the folder is being removed: once, for
        # then it finds no index any more.
        shutil.rmtree(links, ignore_errors=True)
        if links.exists():
            shutil.rmtree(links)


def _can_lock(folder: Path) -> bool:
    # The lock file is there from the build on, so that a full disk is no obstacle.
    try:
        os.close(os.open(folder / _READING_LOCK, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666))
    except OSError:
        return False
    return True


def _composed(text: str) -> str:
    """Return the text with each accent in its letter: the tokenizer treats a combining accent as a word boundary."""
    return unicodedata.normalize("NFC", text)


def stems(text: str) -> list[str]:
    """Return the stems of a text as they are indexed, in its order."""
    return list(_ANALYZER.analyze(_composed(text)))


def _words(text: str) -> list[str]:
    """Return the stems of a text, each once, in its order."""
    return list(dict.fromkeys(stems(text)))


def _any_word(words: list[str]) -> tantivy.Query:
    return _any([tantivy.Query.term_query(_SCHEMA, "text", word, "freq") for word in words])


def _any(queries: list[tantivy.Query]) -> tantivy.Query:
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])


def _conditions(row_filter: RowFilter) -> list[tantivy.Query]:
    """Return conditions that all rows of a filter meet, and few others, as far as they are looked up fast."""
    numbers = row_filter.documents if len(row_filter.documents) <= MAX_DOCUMENTS else ()
    documents = [tantivy.Query.term_query(_SCHEMA, "document", number) for number in numbers]
    speakers = [tantivy.Query.term_query(_SCHEMA, "speaker", name) for name in row_filter.speakers]
    return [_any(queries) for queries in (documents, speakers) if queries]


def _limited(query: tantivy.Query, *conditions: tantivy.Query) -> tantivy.Query:
    """Return the query limited to what meets all conditions, which add nothing to the scores."""
    unscored = [(tantivy.Occur.Must, tantivy.Query.const_score_query(condition, 0.0)) for condition in conditions]
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, query), *unscored])
