"""Token vectors for late interaction: float16 while they are few, product-quantised when they are many.

Files: ``tokens.vectors`` float16 (tokens, dimension), or ``tokens.codes`` uint8 (tokens, PIECES) with
``tokens.centroids.npy`` float32 (PIECES, 256, dimension / PIECES); ``tokens.offsets`` int64 (rows + 1), where each row's
tokens begin; ``tokens.spans`` int32 (tokens, 2), where each token stands in its passage; ``tokens.idf.npy`` float32 by
token id. The plain files are raw little-endian arrays, so that they can be written as a stream and mapped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from sourceline.encoding.encoder import Float32, Int32
from sourceline.types import Span

# Above this many tokens (at 384 dimensions 192 MB as float16) they are quantised: 32 bytes a token measured no loss.
QUANTISE_ABOVE = 250_000
PIECES = 32
_TRAINING_TOKENS = 65_536
_CHUNK = 65_536


class TokensWriter:
    """Collects token vectors in row order and writes the files."""

    def __init__(self, folder: Path, dimension: int, quantise_above: int = QUANTISE_ABOVE) -> None:
        self._folder = folder
        self._dimension = dimension
        self._quantise_above = quantise_above
        self._vectors = (folder / "tokens.vectors").open("wb")
        self._spans = (folder / "tokens.spans").open("wb")
        self._offsets = [0]
        self._passages_with: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def add(self, ids: Int32, spans: Int32, vectors: Float32) -> None:
        """Append one row: token ids (n,), spans in the passage (n, 2), vectors of length one (n, dimension).

        A row with no token gets one that matches nothing, so that every row has something to compare.
        """
        if len(ids):
            top = int(ids.max()) + 1
            if top > len(self._passages_with):
                self._passages_with = np.pad(self._passages_with, (0, top - len(self._passages_with)))
            self._passages_with[np.unique(ids)] += 1
        else:
            spans, vectors = np.zeros((1, 2), np.int32), np.zeros((1, self._dimension), np.float32)
        self._vectors.write(vectors.astype("<f2").tobytes())
        self._spans.write(spans.astype("<i4").tobytes())
        self._offsets.append(self._offsets[-1] + len(spans))

    def write(self) -> int:
        """Finish the files; return the number of tokens."""
        self._vectors.close()
        self._spans.close()
        np.array(self._offsets, dtype="<i8").tofile(self._folder / "tokens.offsets")
        rows = len(self._offsets) - 1
        np.save(self._folder / "tokens.idf.npy", idf(self._passages_with, rows))
        if self._offsets[-1] > self._quantise_above and self._dimension % PIECES == 0:
            self._quantise()
        return self._offsets[-1]

    def _quantise(self) -> None:
        source = self._folder / "tokens.vectors"
        vectors = np.memmap(source, dtype="<f2", mode="r").reshape(-1, self._dimension)
        sample = np.random.default_rng(0).choice(len(vectors), min(len(vectors), _TRAINING_TOKENS), replace=False)
        quantiser = faiss.ProductQuantizer(self._dimension, PIECES, 8)
        quantiser.train(vectors[np.sort(sample)].astype(np.float32))
        centroids = faiss.vector_to_array(quantiser.centroids).reshape(PIECES, 256, -1)
        np.save(self._folder / "tokens.centroids.npy", centroids)
        with (self._folder / "tokens.codes").open("wb") as file:
            for start in range(0, len(vectors), _CHUNK):
                file.write(quantiser.compute_codes(vectors[start : start + _CHUNK].astype(np.float32)).tobytes())
        del vectors
        source.unlink()


def idf(passages_with: npt.NDArray[np.int64], passages: int) -> Float32:
    """Return ``log(1 + (N - n + .5) / (n + .5))`` by token id (Robertson & Spärck Jones), one more for ids never seen."""
    counts = np.append(passages_with, 0)
    return np.log1p((passages - counts + 0.5) / (counts + 0.5)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The tokens of several rows in one array: (tokens, dimension) float32, and where each row's begin."""

    vectors: Float32
    starts: npt.NDArray[np.int64]


class TokenIndex:
    """The token vectors of one generation."""

    def __init__(self, folder: Path, dimension: int) -> None:
        """Map the files."""
        self._offsets = np.fromfile(folder / "tokens.offsets", dtype="<i8")
        self._spans = np.memmap(folder / "tokens.spans", dtype="<i4", mode="r").reshape(-1, 2)
        self._idf: Float32 = np.load(folder / "tokens.idf.npy", allow_pickle=False)
        self._centroids: Float32 | None = None
        if (folder / "tokens.codes").exists():
            centroids = np.load(folder / "tokens.centroids.npy", allow_pickle=False)
            self._centroids = centroids.reshape(PIECES * 256, -1)
            self._stored = np.memmap(folder / "tokens.codes", dtype=np.uint8, mode="r").reshape(-1, PIECES)
        else:
            self._stored = np.memmap(folder / "tokens.vectors", dtype="<f2", mode="r").reshape(-1, dimension)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._offsets) - 1

    @property
    def tokens(self) -> int:
        """The number of tokens."""
        return len(self._stored)

    def idf(self, ids: Int32) -> Float32:
        """Return the inverse document frequency of each token id, over passages."""
        return self._idf[np.minimum(ids, len(self._idf) - 1)]

    def gather(self, rows: Sequence[int]) -> Gathered:
        """Return the token vectors of these rows (at least one row)."""
        firsts, lasts = self._offsets[list(rows)], self._offsets[[row + 1 for row in rows]]
        lengths = lasts - firsts
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        positions = np.arange(lengths.sum()) + np.repeat(firsts - starts, lengths)
        stored = self._stored[positions]
        if self._centroids is None:
            return Gathered(stored.astype(np.float32), starts)
        pieces = self._centroids[stored + 256 * np.arange(PIECES)]
        return Gathered(pieces.reshape(len(positions), -1), starts)

    def spans(self, row: int) -> list[Span]:
        """Return where each token of a row stands in its passage."""
        found = self._spans[self._offsets[row] : self._offsets[row + 1]]
        return [Span(int(start), int(end)) for start, end in found]
