"""BM25 over postings: in which rows of a document a word stands, how often, and among how many.

The scores are tantivy's (k1 1.2, b .75, lengths in one byte), so that both engines find and rank the same.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from sourceline.encoders.base import Float32, Int64
from sourceline.index.bm25 import K1

B = 0.75
# The lengths that a byte stands for, to which Lucene and tantivy round down: exact up to 40, then an eighth apart.
_STEPS = (code if code < 8 else (code & 7 | 8) << (code >> 3) - 1 for code in range(232))
LENGTHS = np.array([*range(24), *(24 + step for step in _STEPS)], dtype=np.int64)
_MOST = 255  # occurrences in a row that are told apart
_TOGETHER = 250  # entries, so that they fit into an index, a third of whose page is the most that it takes


def entries_of(rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, bytes]]:
    """Yield the words of a document with their entries: of each row that holds it, in order, one number.

    That is the row in the document << 16 | how often it stands there << 8 | the code of the row's length, in 64 bits,
    little-endian. A word with many entries is yielded several times.
    """
    postings: dict[str, list[int]] = defaultdict(list)
    for row, words in enumerate(rows):
        code = int(np.searchsorted(LENGTHS, len(words), side="right")) - 1
        for word, count in Counter(words).items():
            postings[word].append(row << 16 | min(count, _MOST) << 8 | code)
    for word, entries in postings.items():
        for start in range(0, len(entries), _TOGETHER):
            yield word, np.array(entries[start : start + _TOGETHER], dtype="<i8").tobytes()


class Bm25:
    """The scores of a corpus of so many ``rows``, with so many words in all (``length``)."""

    def __init__(self, rows: int, length: int) -> None:
        self.rows = rows
        average = length / rows if rows else 1.0
        self._norms = (K1 * (1 - B + B * LENGTHS / average)).astype(np.float32)

    def weight(self, frequency: int) -> float:
        """Return the most that a word can give a row, which stands in so many of them."""
        return float(np.log1p((self.rows - frequency + 0.5) / (frequency + 0.5))) * (1 + K1)

    def parts(self, entries: Int64, weights: Float32) -> Float32:
        """Return what words give rows: ``entries`` as in postings, and the weight of the word of each."""
        counts = (entries >> 8 & 0xFF).astype(np.float32)
        parts: Float32 = weights * (counts / (counts + self._norms[entries & 0xFF]))
        return parts

    def score(self, words: Iterable[tuple[str, float]], row: Sequence[str]) -> float:
        """Return the score of a row, given its own words, for words with their weights."""
        norm = self._norms[np.searchsorted(LENGTHS, len(row), side="right") - 1]
        counts = Counter(row)
        return sum(
            weight * float(np.float32(count) / (np.float32(count) + norm))
            for word, weight in words
            if (count := min(counts[word], _MOST))
        )
