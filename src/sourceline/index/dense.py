"""FAISS over sentence vectors: exact inner product, which is the cosine, as the vectors have length one."""

from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

from sourceline.encoding.encoder import Float32
from sourceline.index.rows import Rows
from sourceline.types import Neighbor

FILE = "dense.faiss"


class DenseWriter:
    """Collects sentence vectors in row order and writes the index."""

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexFlatIP(dimension)

    def add(self, vectors: Float32) -> None:
        """Append vectors: (n, dimension) float32 of length one."""
        self._index.add(vectors)

    def write(self, folder: Path) -> None:
        """Write the index file."""
        faiss.write_index(self._index, str(folder / FILE))


class DenseIndex:
    """The sentence vectors of one generation."""

    def __init__(self, folder: Path) -> None:
        """Open the index. Its checksum must have been verified: FAISS loads damaged files without a word."""
        self._index = faiss.read_index(str(folder / FILE))

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    def search(self, vector: Float32, n: int, within: Rows | None) -> list[Neighbor]:
        """Return the up to ``n`` rows with the greatest cosine to ``vector`` (dimension,), best first, ties by row."""
        n = min(n, len(self) if within is None else len(within))
        if n == 0:
            return []
        parameters = None
        if within is not None:
            bitmap = within.bitmap(len(self))  # FAISS keeps only a pointer to it
            selector = faiss.IDSelectorBitmap(len(self), faiss.swig_ptr(bitmap))
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]  # SWIG takes any
        scores, rows = (one[0] for one in self._index.search(vector[None, :], n + 1, params=parameters))
        if rows[n] >= 0 and scores[n] == scores[n - 1]:
            # Several rows tie for the last place, and FAISS keeps any of them: take all, to keep the first.
            below = float(np.nextafter(scores[n], np.float32(-np.inf)))
            _, scores, rows = self._index.range_search(vector[None, :], below, params=parameters)
        found = [Neighbor(int(row), float(score)) for row, score in zip(rows, scores, strict=True) if row >= 0]
        return sorted(found, key=lambda neighbor: (-neighbor.score, neighbor.row))[:n]

    def scores(self, vector: Float32, rows: Sequence[int]) -> Float32:
        """Return the cosines of ``vector`` with these rows: (rows,) float32."""
        return self.vectors(rows) @ vector

    def vectors(self, rows: Sequence[int]) -> Float32:
        """Return the vectors of these rows: (rows, dimension) float32."""
        stored: Float32 = self._index.reconstruct_batch(np.asarray(rows, dtype=np.int64))
        return stored
