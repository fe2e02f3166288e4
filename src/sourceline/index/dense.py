"""FAISS over sentence vectors by inner product, which is the cosine, as the vectors have length one.

A small corpus is searched exactly, with one or two bytes per component. Above ``APPROXIMATE_ABOVE`` rows the vectors
stand in lists of near ones (IVF) with one byte per component, and a question searches the nearest lists: exact search
reads all vectors, so that it is bound by memory bandwidth.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import faiss
import numpy as np
import numpy.typing as npt

from sourceline.encoders.base import Float32, Int64
from sourceline.index.row_filter import RowFilter
from sourceline.types import ScoredRow

FILE = "dense.faiss"
APPROXIMATE_ABOVE = 20_000
# Lists for n rows: this times √n. A question searches PROBED of them, or this share if it is more.
LISTS, PROBED, PROBED_SHARE = 4, 32, 1 / 64
# A filter that leaves at most so many rows is searched exactly.
EXACT_UP_TO = 20_000
# The components of unit vectors with hundreds of dimensions lie within ±_LARGEST, all but a few, which are clipped.
_LARGEST = 0.5
_ROUNDING = 1e-5  # FAISS adds up in another order when it searches a range
_TRAINING = 50  # vectors per list
_BATCH = 65_536
_RAW = "dense.raw"
_NEW = -1  # instead of a row of the index before


class DenseWriter:
    """Collects sentence vectors in row order and writes the index.

    ``compact`` says whether few vectors take one byte per component, too. The lists are those of the index ``before``,
    if that has about as many as are wanted.
    """

    def __init__(self, folder: Path, dim: int, before: "DenseIndex | None" = None, compact: bool = False) -> None:
        self._folder = folder
        self._dim = dim
        self._before = before
        self._compact = compact
        self._raw = (folder / _RAW).open("wb")
        self._origins: list[Int64] = []  # for each row, the same row of the index before, or _NEW

    def add(self, vectors: npt.NDArray[np.float16]) -> None:
        """Append vectors: (n, dim) float16 of length one."""
        self._raw.write(vectors.astype("<f2").tobytes())
        self._origins.append(np.full(len(vectors), _NEW))

    def copy_from_before(self, rows: range) -> None:
        """Append rows of the index before."""
        self._origins.append(np.arange(rows.start, rows.stop))

    def __enter__(self) -> Self:
        """Use as a context manager to close the file, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._raw.close()

    def write(self) -> None:
        """Write the index file."""
        self._raw.close()
        origins = np.concatenate([np.zeros(0, np.int64), *self._origins])
        if len(origins) > APPROXIMATE_ABOVE:
            index = self._approximate(origins)
        else:
            index = self._fill(self._empty_row(), origins)
        faiss.write_index(index, str(self._folder / FILE))
        (self._folder / _RAW).unlink()

    def _approximate(self, origins: Int64) -> faiss.Index:
        lists = int(LISTS * len(origins) ** 0.5)
        centers = self._before.centers() if self._before else None
        if self._before and centers is not None and lists / 2 <= len(centers) <= lists * 2:
            index = self._empty_lists(centers)
            self._before.copy_lists(origins, index)
            new = np.flatnonzero(origins == _NEW)
            for at, vectors in zip(range(0, len(new), _BATCH), self._batches(origins[new]), strict=True):
                index.add_with_ids(vectors, new[at : at + _BATCH])
            return index
        return self._fill(self._empty_lists(self._train_centers(origins, lists)), origins)

    def _fill(self, index: faiss.Index, origins: Int64) -> faiss.Index:
        for vectors in self._batches(origins):
            index.add(vectors)
        return index

    def _empty_row(self) -> faiss.IndexScalarQuantizer:
        """Return an index without vectors that has no lists."""
        kind = faiss.ScalarQuantizer.QT_8bit_uniform if self._compact else faiss.ScalarQuantizer.QT_fp16
        index = faiss.IndexScalarQuantizer(self._dim, kind, faiss.METRIC_INNER_PRODUCT)
        if self._compact:
            _set_range(index)
        return index

    def _empty_lists(self, centers: Float32) -> faiss.IndexIVF:
        """Return an index without vectors whose lists have these centers."""
        quantizer = faiss.IndexFlatIP(self._dim)
        quantizer.add(centers)
        by_residual = False  # each vector itself, not as a residual
        index = faiss.IndexIVFScalarQuantizer(
            quantizer,
            self._dim,
            len(centers),
            faiss.ScalarQuantizer.QT_8bit_uniform,
            faiss.METRIC_INNER_PRODUCT,
            by_residual,
        )
        _set_range(index)
        index.own_fields = False
        self._quantizer = quantizer  # FAISS only points to it
        return index

    def _train_centers(self, origins: Int64, count: int) -> Float32:
        rows = len(origins)
        sample = np.random.default_rng(0).choice(rows, min(rows, _TRAINING * count), replace=False)
        sampled = np.isin(np.arange(rows), sample)
        batches = zip(range(0, rows, _BATCH), self._batches(origins), strict=True)
        vectors = [batch[sampled[at : at + _BATCH]] for at, batch in batches]
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(os.cpu_count() or 1)
        try:
            kmeans = faiss.Kmeans(self._dim, count, niter=10, seed=0, spherical=True, min_points_per_centroid=1)
            kmeans.train(np.concatenate(vectors))
        finally:
            faiss.omp_set_num_threads(threads)
        return np.asarray(kmeans.centroids, dtype=np.float32)

    def _batches(self, origins: Int64) -> Iterator[Float32]:
        """Yield the vectors of rows, in order: new ones from the raw file, all others from the index before."""
        with (self._folder / _RAW).open("rb") as raw:
            for start in range(0, len(origins), _BATCH):
                batch = origins[start : start + _BATCH]
                new = batch == _NEW
                vectors = np.empty((len(batch), self._dim), np.float32)
                stored = np.fromfile(raw, "<f2", int(new.sum()) * self._dim)
                vectors[new] = stored.reshape(-1, self._dim)
                if self._before and not new.all():
                    vectors[~new] = self._before.vectors(batch[~new])
                yield vectors


class DenseIndex:
    """The sentence vectors of one snapshot."""

    def __init__(self, folder: Path) -> None:
        """Open the index. Its checksum must have been verified: FAISS loads damaged files silently."""
        self._index = faiss.read_index(str(folder / FILE))
        self._lists = self._index if isinstance(self._index, faiss.IndexIVF) else None
        if self._lists is not None:
            self._lists.make_direct_map(True)  # so that a row's vector can be found

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    def centers(self) -> Float32 | None:
        """Return the centers of the lists, (lists, dim), or None if there are none."""
        if self._lists is None:
            return None
        centers: Float32 = self._lists.quantizer.reconstruct_n(0, self._lists.nlist)
        return centers

    def copy_lists(self, origins: Int64, target: faiss.IndexIVF) -> None:
        """Copy rows of this index into the same lists of one with the same centers, with the same codes.

        Finding the nearest list of each row again takes longest, and from the stored 8 bits it might be another.

        Args:
            origins: for each row of the target, the row of this index, or -1.
            target: the index to fill.
        """
        assert self._lists is not None
        copied = np.flatnonzero(origins >= 0)
        rows = np.full(len(self), -1)
        rows[origins[copied]] = copied
        source_lists, target_lists, size = self._lists.invlists, target.invlists, self._lists.code_size
        assert source_lists is not None
        assert target_lists is not None
        for number in range(self._lists.nlist):
            if count := source_lists.list_size(number):
                ids = rows[faiss.rev_swig_ptr(source_lists.get_ids(number), count)]
                codes = faiss.rev_swig_ptr(source_lists.get_codes(number), count * size).reshape(count, size)[ids >= 0]
                ids = ids[ids >= 0]
                target_lists.add_entries(number, len(ids), faiss.swig_ptr(ids), faiss.swig_ptr(codes))
        target.ntotal = len(copied)

    def search(self, vector: Float32, n: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        """Return the up to ``n`` rows with the greatest cosine to ``vector`` (dim,), best first, ties by row.

        Fewer than ``n`` are returned only if there are no more. The order is exact among what is found; an approximate
        index can miss a row that another list holds.
        """
        n = min(n, len(self) if row_filter is None else len(row_filter))
        if n == 0:
            return []
        if self._lists is not None and row_filter is not None and len(row_filter) <= EXACT_UP_TO:
            return self._search_exactly(vector, n, row_filter)
        probed = self._lists_to_probe(row_filter)
        rows = self._search(vector, n, row_filter, probed)
        if self._lists is not None and len(rows) < n and probed < self._lists.nlist:
            rows = self._search(vector, n, row_filter, self._lists.nlist)
        return rows

    def _search(self, vector: Float32, n: int, row_filter: RowFilter | None, probed: int) -> list[ScoredRow]:
        options: dict[str, object] = {}
        if row_filter is not None:
            bitmap = row_filter.bitmap(len(self))  # FAISS keeps only a pointer to it
            options["sel"] = faiss.IDSelectorBitmap(len(self), faiss.swig_ptr(bitmap))
        parameters_type = faiss.SearchParameters
        if self._lists is not None:
            parameters_type, options["nprobe"] = faiss.SearchParametersIVF, probed
        parameters = parameters_type(**options) if options else None
        scores, rows = (array[0] for array in self._index.search(vector[None, :], n + 1, params=parameters))
        if rows[n] >= 0 and scores[n] == scores[n - 1]:
            # Several rows tie for the last place, and FAISS keeps any of them: take all, to keep the first.
            below = float(scores[n]) - _ROUNDING
            _, scores, rows = self._index.range_search(vector[None, :], below, params=parameters)
        return _ranked(rows, scores, n)

    def _search_exactly(self, vector: Float32, n: int, row_filter: RowFilter) -> list[ScoredRow]:
        rows = np.concatenate([np.arange(rows.start, rows.stop) for rows in row_filter.ranges])
        return _ranked(rows, self.vectors(rows.tolist()) @ vector, n)

    def _lists_to_probe(self, row_filter: RowFilter | None) -> int:
        """Return how many lists to search: the fewer rows pass the filter, the more."""
        if self._lists is None:
            return 0
        lists = int(self._lists.nlist)
        probed = max(PROBED, lists * PROBED_SHARE) * (1 if row_filter is None else len(self) / len(row_filter))
        return min(lists, int(probed))

    def scores(self, vector: Float32, rows: Sequence[int]) -> Float32:
        """Return the cosines of ``vector`` with these rows: (rows,) float32."""
        # Not by `@`, which sums a row in another order if there are more of them.
        cosines: Float32 = np.einsum("ij,j->i", self.vectors(rows), vector)
        return cosines

    def vectors(self, rows: Sequence[int] | Int64) -> Float32:
        """Return the vectors of these rows: (rows, dim) float32."""
        vectors: Float32 = self._index.reconstruct_batch(np.asarray(rows, dtype=np.int64))
        return vectors


def _set_range(index: faiss.IndexScalarQuantizer | faiss.IndexIVFScalarQuantizer) -> None:
    """Let one byte stand for the components from -_LARGEST, 2 * _LARGEST wide."""
    faiss.copy_array_to_vector(np.array([-_LARGEST, 2 * _LARGEST], dtype=np.float32), index.sq.trained)
    index.is_trained = True


def _ranked(rows: Int64, scores: Float32, n: int) -> list[ScoredRow]:
    scored = [ScoredRow(int(row), float(score)) for row, score in zip(rows, scores, strict=True) if row >= 0]
    return sorted(scored, key=lambda hit: (-hit.score, hit.row))[:n]
