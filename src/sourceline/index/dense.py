"""FAISS over sentence vectors by inner product, which is the cosine, as the vectors have length one.

Exact while the corpus is small. Above ``APPROXIMATE_ABOVE`` rows, lists of near vectors (IVF), of which a question
searches the nearest few, with a byte a number: exact search reads all vectors, and takes as long as memory is slow.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import faiss
import numpy as np
import numpy.typing as npt

from sourceline.encoding.encoder import Float32
from sourceline.index.rows import Rows
from sourceline.types import Neighbor

FILE = "dense.faiss"
APPROXIMATE_ABOVE = 20_000
# Lists for n rows: this times √n. A question searches PROBED of them, or this share if it is more.
LISTS, PROBED, PROBED_SHARE = 4, 32, 1 / 64
# A filter that leaves at most so many rows is searched exactly.
FEW = 20_000
# Numbers of unit vectors of hundreds of dimensions lie between these, all but a few, which are cut.
_MOST = 0.5
_TRAINING = 50  # vectors a list
_BATCH = 65_536
_RAW = "dense.raw"


class DenseWriter:
    """Collects sentence vectors in row order and writes the index."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._folder = folder
        self._dimension = dimension
        self._raw = (folder / _RAW).open("wb")

    def add(self, vectors: npt.NDArray[np.float16]) -> None:
        """Append vectors: (n, dimension) float16 of length one."""
        self._raw.write(vectors.astype("<f2").tobytes())

    def __enter__(self) -> Self:
        """Use as a context manager to close the file, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._raw.close()

    def write(self, before: "DenseIndex | None" = None) -> None:
        """Write the index file. The lists are those of the index ``before``, if it has about as many as are wanted."""
        self._raw.close()
        file = self._folder / _RAW
        rows = file.stat().st_size // (2 * self._dimension)
        index = self._lists(file, rows, before) if rows > APPROXIMATE_ABOVE else faiss.IndexFlatIP(self._dimension)
        for vectors in self._batches(file):
            index.add(vectors)
        faiss.write_index(index, str(self._folder / FILE))
        file.unlink()

    def _lists(self, file: Path, rows: int, before: "DenseIndex | None") -> faiss.Index:
        wanted = int(LISTS * rows**0.5)
        centers = before.centers() if before else None
        if centers is None or not wanted / 2 <= len(centers) <= wanted * 2:
            centers = self._centers(file, rows, wanted)
        nearest = faiss.IndexFlatIP(self._dimension)
        nearest.add(centers)
        index = faiss.IndexIVFScalarQuantizer(
            *(nearest, self._dimension, len(centers), faiss.ScalarQuantizer.QT_8bit_uniform),
            *(faiss.METRIC_INNER_PRODUCT, False),  # each vector by itself, not by its difference to the center
        )
        faiss.copy_array_to_vector(np.array([-_MOST, 2 * _MOST], dtype=np.float32), index.sq.trained)
        index.is_trained = True
        index.own_fields = False
        self._nearest = nearest  # which FAISS only points to
        return index

    def _centers(self, file: Path, rows: int, count: int) -> Float32:
        raw = np.memmap(file, dtype="<f2", mode="r").reshape(-1, self._dimension)
        sample = np.random.default_rng(0).choice(rows, min(rows, _TRAINING * count), replace=False)
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(os.cpu_count() or 1)
        try:
            means = faiss.Kmeans(self._dimension, count, niter=10, seed=0, spherical=True, min_points_per_centroid=1)
            means.train(raw[np.sort(sample)].astype(np.float32))
        finally:
            faiss.omp_set_num_threads(threads)
        return np.asarray(means.centroids, dtype=np.float32)

    def _batches(self, file: Path) -> Iterator[Float32]:
        if not file.stat().st_size:  # which cannot be mapped
            return
        raw = np.memmap(file, dtype="<f2", mode="r").reshape(-1, self._dimension)
        for start in range(0, len(raw), _BATCH):
            yield raw[start : start + _BATCH].astype(np.float32)


class DenseIndex:
    """The sentence vectors of one generation."""

    def __init__(self, folder: Path) -> None:
        """Open the index. Its checksum must have been verified: FAISS loads damaged files without a word."""
        self._index = faiss.read_index(str(folder / FILE))
        self._lists = self._index if isinstance(self._index, faiss.IndexIVF) else None
        if self._lists is not None:
            self._lists.make_direct_map(True)  # so that a row's vector can be found

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    @property
    def approximate(self) -> bool:
        """Whether a search looks at the nearest lists only."""
        return self._lists is not None

    def centers(self) -> Float32 | None:
        """Return the centers of the lists, (lists, dimension), or None if there are none."""
        if self._lists is None:
            return None
        found: Float32 = self._lists.quantizer.reconstruct_n(0, self._lists.nlist)
        return found

    def search(self, vector: Float32, n: int, within: Rows | None) -> list[Neighbor]:
        """Return the up to ``n`` rows with the greatest cosine to ``vector`` (dimension,), best first, ties by row.

        All of them are found, and if there are fewer than ``n`` these are all; the order is exact among what is
        found. An approximate index can miss one that another list holds.
        """
        n = min(n, len(self) if within is None else len(within))
        if n == 0:
            return []
        if self._lists is not None and within is not None and len(within) <= FEW:
            return self._search_few(vector, n, within)
        probed = self._probed(within)
        found = self._search(vector, n, within, probed)
        if self._lists is not None and len(found) < n and probed < self._lists.nlist:
            found = self._search(vector, n, within, self._lists.nlist)
        return found

    def _search(self, vector: Float32, n: int, within: Rows | None, probed: int) -> list[Neighbor]:
        given: dict[str, object] = {}
        if within is not None:
            bitmap = within.bitmap(len(self))  # FAISS keeps only a pointer to it
            given["sel"] = faiss.IDSelectorBitmap(len(self), faiss.swig_ptr(bitmap))
        kind = faiss.SearchParameters
        if self._lists is not None:
            kind, given["nprobe"] = faiss.SearchParametersIVF, probed
        parameters = kind(**given) if given else None
        scores, rows = (one[0] for one in self._index.search(vector[None, :], n + 1, params=parameters))
        if rows[n] >= 0 and scores[n] == scores[n - 1]:
            # Several rows tie for the last place, and FAISS keeps any of them: take all, to keep the first.
            below = float(np.nextafter(scores[n], np.float32(-np.inf)))
            _, scores, rows = self._index.range_search(vector[None, :], below, params=parameters)
        return _ranked(rows, scores, n)

    def _search_few(self, vector: Float32, n: int, within: Rows) -> list[Neighbor]:
        rows = np.concatenate([np.arange(wanted.start, wanted.stop) for wanted in within.ranges])
        return _ranked(rows, self.vectors(rows.tolist()) @ vector, n)

    def _probed(self, within: Rows | None) -> int:
        """Return how many lists to search: the more, the fewer of their rows may be returned."""
        if self._lists is None:
            return 0
        lists = int(self._lists.nlist)
        wanted = max(PROBED, lists * PROBED_SHARE) * (1 if within is None else len(self) / len(within))
        return min(lists, int(wanted))

    def scores(self, vector: Float32, rows: Sequence[int]) -> Float32:
        """Return the cosines of ``vector`` with these rows: (rows,) float32."""
        # Not by `@`, which sums a row in another order if there are more of them.
        cosines: Float32 = np.einsum("ij,j->i", self.vectors(rows), vector)
        return cosines

    def vectors(self, rows: Sequence[int]) -> Float32:
        """Return the vectors of these rows: (rows, dimension) float32."""
        stored: Float32 = self._index.reconstruct_batch(np.asarray(rows, dtype=np.int64))
        return stored


def _ranked(rows: npt.NDArray[np.int64], scores: Float32, n: int) -> list[Neighbor]:
    found = [Neighbor(int(row), float(score)) for row, score in zip(rows, scores, strict=True) if row >= 0]
    return sorted(found, key=lambda neighbor: (-neighbor.score, neighbor.row))[:n]
