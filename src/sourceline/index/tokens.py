"""Token vectors for late interaction: float16 while they are few, product-quantised when they are many.

A row a passage, and behind them a row for the title of each document, which any of its passages may rely on.

Files: ``tokens.codes`` uint8, a row a token: the vector as float16, or its product quantisation by ``tokens.pq`` if
that file is there; ``tokens.offsets`` int64 (rows + 1), where each row's tokens begin; ``tokens.spans`` int32
(tokens, 2), where each token stands in its passage; ``tokens.idf.npy`` float32 by token id. The first three are raw
little-endian arrays, so that they can be written as a stream and mapped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np
import numpy.typing as npt

from sourceline.encoding.encoder import Float32, Int32

CODES, QUANTISER = "tokens.codes", "tokens.pq"
OFFSETS, SPANS, IDF = "tokens.offsets", "tokens.spans", "tokens.idf.npy"
# Above this many tokens (at 192 dimensions 96 MB as float16) they are quantised, to 64 bytes a token.
QUANTISE_ABOVE = 250_000
PIECES = 64
_TRAINING_TOKENS = 65_536
_BATCH = 65_536


class TokensWriter:
    """Collects token vectors in row order and writes the files."""

    def __init__(self, folder: Path, dimension: int, quantise_above: int = QUANTISE_ABOVE) -> None:
        self._folder = folder
        self._dimension = dimension
        self._quantise_above = quantise_above
        self._vectors = (folder / CODES).open("wb")
        self._spans = (folder / SPANS).open("wb")
        self._offsets = [0]
        self._passages_with: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._passages = 0

    def __enter__(self) -> Self:
        """Use as a context manager to close the files, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._vectors.close()
        self._spans.close()

    def add(self, ids: Int32, spans: Int32, vectors: Float32) -> None:
        """Append one passage: token ids (n,), spans in the passage (n, 2), vectors (n, dimension).

        A row with no token gets one that matches nothing, so that every row has something to compare.
        """
        self._passages += 1
        if len(ids):
            top = int(ids.max()) + 1
            if top > len(self._passages_with):
                self._passages_with = np.pad(self._passages_with, (0, top - len(self._passages_with)))
            self._passages_with[np.unique(ids)] += 1
        else:
            spans, vectors = np.zeros((1, 2), np.int32), np.zeros((1, self._dimension), np.float32)
        self._add(spans, vectors)

    def add_title(self, vectors: Float32 | None) -> None:
        """Append the title of the next document, behind all passages: vectors (n, dimension); None for no title."""
        if vectors is None or not len(vectors):
            vectors = np.zeros((1, self._dimension), np.float32)
        self._add(np.zeros((len(vectors), 2), np.int32), vectors)

    def _add(self, spans: Int32, vectors: Float32) -> None:
        self._vectors.write(vectors.astype("<f2").tobytes())
        self._spans.write(spans.astype("<i4").tobytes())
        self._offsets.append(self._offsets[-1] + len(spans))

    def write(self) -> int:
        """Finish the files; return the number of tokens."""
        self._vectors.close()
        self._spans.close()
        np.array(self._offsets, dtype="<i8").tofile(self._folder / OFFSETS)
        np.save(self._folder / IDF, idf(self._passages_with, self._passages))
        if self._offsets[-1] > self._quantise_above and self._dimension % PIECES == 0:
            self._quantise()
        return self._offsets[-1]

    def _quantise(self) -> None:
        exact = self._folder / CODES
        vectors = np.memmap(exact, dtype="<f2", mode="r").reshape(-1, self._dimension)
        sample = np.random.default_rng(0).choice(len(vectors), min(len(vectors), _TRAINING_TOKENS), replace=False)
        quantiser = faiss.ProductQuantizer(self._dimension, PIECES, 8)
        quantiser.train(vectors[np.sort(sample)].astype(np.float32))
        target = str(self._folder / QUANTISER)
        faiss.write_ProductQuantizer(quantiser, target)  # type: ignore[attr-defined]  # missing in FAISS's stubs
        quantised = self._folder / "tokens.quantised"
        with quantised.open("wb") as file:
            for start in range(0, len(vectors), _BATCH):
                file.write(quantiser.compute_codes(vectors[start : start + _BATCH].astype(np.float32)).tobytes())
        quantised.replace(exact)


def idf(passages_with: npt.NDArray[np.int64], passages: int) -> Float32:
    """Return ``log(1 + (N - n + .5) / (n + .5))`` (Robertson & Spärck Jones) by token id; the last is for new ids."""
    counts = np.append(passages_with, 0)
    return np.log1p((passages - counts + 0.5) / (counts + 0.5)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The tokens of several rows: vectors (tokens, dimension), spans (tokens, 2), and where each row begins."""

    vectors: Float32
    spans: Int32
    starts: npt.NDArray[np.int64]

    def of(self, number: int) -> tuple[Float32, Int32]:
        """Return the vectors and spans of one of the rows, by its place among those asked for."""
        end = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.vectors)
        part = slice(self.starts[number], end)
        return self.vectors[part], self.spans[part]


class TokenIndex:
    """The token vectors of one generation."""

    def __init__(self, folder: Path, dimension: int) -> None:
        """Map the files. Their checksums must have been verified."""
        self._offsets = np.fromfile(folder / OFFSETS, dtype="<i8")
        self._spans = _map(folder / SPANS, "<i4", 2)
        self._idf: Float32 = np.load(folder / IDF, allow_pickle=False)
        # Both decode in compiled code; numpy takes three times as long for float16, eight times for the other.
        if (folder / QUANTISER).exists():
            file = str(folder / QUANTISER)
            self._codec = faiss.read_ProductQuantizer(file)  # type: ignore[attr-defined]  # missing in FAISS's stubs
        else:
            self._codec = faiss.ScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16)
        self._codes = _map(folder / CODES, "u1", self._codec.code_size)

    def __len__(self) -> int:
        """Return the number of rows: passages and titles."""
        return len(self._offsets) - 1

    @property
    def tokens(self) -> int:
        """The number of tokens."""
        return len(self._codes)

    def idf(self, ids: Int32) -> Float32:
        """Return the inverse document frequency of each token id, over passages."""
        return self._idf[np.minimum(ids, len(self._idf) - 1)]

    def gather(self, rows: Sequence[int]) -> Gathered:
        """Return the tokens of these rows (at least one row)."""
        firsts, lasts = self._offsets[list(rows)], self._offsets[[row + 1 for row in rows]]
        lengths = lasts - firsts
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        positions = np.arange(lengths.sum()) + np.repeat(firsts - starts, lengths)
        return Gathered(self._codec.decode(self._codes[positions]), self._spans[positions], starts)


def _map(path: Path, kind: str, columns: int) -> npt.NDArray[Any]:
    if not path.stat().st_size:  # which cannot be mapped
        return np.zeros((0, columns), dtype=kind)
    # A plain view of the map: numpy's own subclass makes each access slower.
    return np.asarray(np.memmap(path, dtype=kind, mode="r")).reshape(-1, columns)
