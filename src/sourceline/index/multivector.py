"""Token vectors for late interaction: several vectors for each passage.

There is a row for each passage that can answer, and behind them a row for the title of each document.

The files are raw little-endian arrays, so that they can be written as a stream and mapped into memory: ``tokens.codes``
uint8, one row per token, its vector as the snapshot's codec keeps it; ``tokens.ids`` uint16, or uint32 if the model has
more tokens, and ``tokens.starts`` uint16, as in ``EncodedChunk``; and ``tokens.offsets`` int64 (rows + 1), where each
row's tokens begin. Beside them ``tokens.idf.npz`` holds ``idf``, float32 by token id, compressed: it has a number for
each token that the model knows, and a small corpus has few of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, cast

import faiss
import numpy as np
import numpy.typing as npt

from sourceline.durable import HashedFile
from sourceline.encoders.base import Float32, Int32, Int64
from sourceline.encoders.ranking_head import RankingHead

Float16 = npt.NDArray[np.float16]
UInt16 = npt.NDArray[np.uint16]
UInt32 = npt.NDArray[np.uint32]
Codes = npt.NDArray[np.uint8]

CODES, IDS, STARTS, OFFSETS, IDF = "tokens.codes", "tokens.ids", "tokens.starts", "tokens.offsets", "tokens.idf.npz"
# The id of the token that a passage without one is given, so that every row has something to compare.
NO_TOKEN = 0xFFFFFFFF
# bfloat16 is the upper half of float32, so that decoding is a shift: FAISS takes a twelfth of its time for float16.
BFLOAT16, PQ, INT8 = "bfloat16", "pq", "int8"
# A smaller file is read: a mapped one that is truncated meanwhile ends the process (SIGBUS). Larger ones are mapped, so
# that processes share them.
IN_MEMORY = 4 << 20
_NO_VECTORS = np.zeros((0, 0), dtype=np.float16)


class Codec(Protocol):
    """Turns vectors (n, dim) into codes (n, ``code_size``) and back, in FAISS.

    It depends on the ranking head alone, never on the corpus: a passage has the same codes in every snapshot, so that
    they can be copied from one to the next.
    """

    @property
    def code_size(self) -> int:
        """Bytes of a code."""

    def compute_codes(self, vectors: Float32) -> Codes:
        """Return the codes of vectors."""

    def decode(self, codes: Codes) -> Float32:
        """Return the vectors of codes."""


def codec_name(head: RankingHead, compact: bool) -> str:
    """Return the codec of token vectors: by the head's codebook if it has one, else one or two bytes per component."""
    if head.codebook is not None:
        return PQ
    return INT8 if compact else BFLOAT16


def open_codec(name: str, head: RankingHead) -> Codec:
    """Return a codec by its name.

    Raises:
        ValueError: there is none of this name, or the head lacks what it needs.
    """
    if name == BFLOAT16:
        return faiss.ScalarQuantizer(head.dim, faiss.ScalarQuantizer.QT_bf16)
    if name == INT8:
        scalar = faiss.ScalarQuantizer(head.dim, faiss.ScalarQuantizer.QT_8bit_uniform)
        faiss.copy_array_to_vector(np.array([-1, 2], dtype=np.float32), scalar.trained)  # from -1, 2 wide
        return scalar
    if name == PQ and head.codebook is not None and head.code_gain is not None:
        return ProductCodec(head.codebook, float(head.code_gain[0]))
    raise ValueError(f"there is no codec {name!r} for this ranking head")


class ProductCodec:
    """Product quantization (Jégou et al. 2011): a byte for each piece of a vector, the number of the nearest centroid.

    FAISS compares pieces of four numbers at once, and those of three one by one, in thirty times the time. So it gets
    them with a zero behind, which changes no distance.
    """

    def __init__(self, codebook: Float32, gain: float) -> None:
        """Take the centroids, (pieces, 256, length of a piece), and the factor that lengthens decoded vectors."""
        self._pieces, self._length = int(codebook.shape[0]), int(codebook.shape[2])
        self._behind = ((0, 0), (0, 0), (0, -self._length % 4))
        self._decoder = _product_quantizer(np.float32(gain) * codebook)
        self._encoder = _product_quantizer(np.pad(codebook, self._behind))

    @property
    def code_size(self) -> int:
        """Bytes of a code: the number of pieces."""
        return self._pieces

    def compute_codes(self, vectors: Float32) -> Codes:
        """Return the codes of vectors."""
        pieces = vectors.reshape(len(vectors), self._pieces, self._length)
        padded = np.pad(pieces, self._behind)
        return self._encoder.compute_codes(padded.reshape(len(vectors), self._pieces * padded.shape[2]))

    def decode(self, codes: Codes) -> Float32:
        """Return the vectors of codes."""
        return self._decoder.decode(codes)


def _product_quantizer(codebook: Float32) -> Codec:
    pieces, _, length = codebook.shape
    quantizer = faiss.ProductQuantizer(pieces * length, pieces, 8)
    faiss.copy_array_to_vector(np.ascontiguousarray(codebook).ravel(), quantizer.centroids)
    return cast(Codec, quantizer)  # the stubs describe the wrapped C++ functions; these are the wrappers


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """Tokens and vectors of consecutive passages, without the headings among them: what a chunk adds to the index.

    ``counts`` (passages,) has the tokens of each passage, at least 1. For each token: ``ids`` (tokens,); ``starts``
    (tokens,), its offset into its passage in code points, at most 65,535; ``codes`` (tokens, code size), its vector.
    ``vectors`` (passages, dim) are the sentence vectors, of length one or zero.
    """

    counts: UInt32
    ids: UInt32
    starts: UInt16
    codes: Codes
    vectors: Float16


class MultiVectorWriter:
    """Writes encoded chunks in row order."""

    def __init__(self, folder: Path, vocabulary: int) -> None:
        """Open the files; token ids are below ``vocabulary``."""
        self._folder = folder
        self._vocabulary = vocabulary
        self._id_type = "<u2" if vocabulary < 0xFFFF else "<u4"
        self._codes = HashedFile(folder / CODES)
        self._ids = (folder / IDS).open("wb")
        self._starts = (folder / STARTS).open("wb")
        self._counts: list[UInt32] = []
        self._titles: list[EncodedChunk] = []
        self._document_frequencies = np.zeros(vocabulary, dtype=np.int64)

    def __enter__(self) -> Self:
        """Use as a context manager to close the files, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        for file in (self._codes, self._ids, self._starts):
            file.close()

    def add(self, chunk: EncodedChunk) -> None:
        """Append the passages of a chunk."""
        self._count(chunk)
        self._write(chunk)

    def add_title(self, chunk: EncodedChunk) -> None:
        """Queue the titles of the next documents. All titles stand behind all passages."""
        self._titles.append(chunk)

    def copy_from(self, other: "MultiVectorIndex", rows: range) -> None:
        """Append consecutive passages of another index; their codes, most of it, are copied from file to file."""
        chunk = other.chunk(rows)
        self._count(chunk)
        self._write_all_but_codes(chunk)
        self._codes.copy_from(*other.codes_at(rows))

    def _count(self, chunk: EncodedChunk) -> None:
        """Count in how many passages each token stands."""
        rows = np.repeat(np.arange(len(chunk.counts)), chunk.counts)
        known = chunk.ids != NO_TOKEN
        pairs = np.sort(rows[known] * self._vocabulary + chunk.ids[known])  # five times as fast as np.unique
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        self._document_frequencies += np.bincount(pairs % self._vocabulary, minlength=self._vocabulary)

    def _write(self, chunk: EncodedChunk) -> None:
        self._write_all_but_codes(chunk)
        if chunk.codes.size:
            self._codes.write(np.ascontiguousarray(chunk.codes).data)

    def _write_all_but_codes(self, chunk: EncodedChunk) -> None:
        self._ids.write(chunk.ids.astype(self._id_type).data)  # NO_TOKEN becomes the greatest number of the type
        self._starts.write(np.ascontiguousarray(chunk.starts, dtype="<u2").data)
        self._counts.append(chunk.counts)

    def write(self) -> int:
        """Finish the files; return the number of tokens."""
        passages = sum(len(counts) for counts in self._counts)
        for title in self._titles:
            self._write(title)
        self._ids.close()
        self._starts.close()
        offsets = np.concatenate([[0], *self._counts]).cumsum()
        offsets.astype("<i8").tofile(self._folder / OFFSETS)
        np.savez_compressed(self._folder / IDF, idf=idf(self._document_frequencies, passages))
        return int(offsets[-1])

    def hashed(self) -> dict[str, tuple[int, str]]:
        """Return size and SHA-256 of the codes, most of a snapshot, once they are on the disk."""
        return {CODES: self._codes.finish()}


def idf(document_frequencies: Int64, passages: int) -> Float32:
    """Return ``log(1 + (N - n + .5) / (n + .5))`` (Robertson & Spärck Jones) by token id; the last is for new ids."""
    counts = np.append(document_frequencies, 0)
    return np.log1p((passages - counts + 0.5) / (counts + 0.5)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """The tokens of several rows: ``vectors`` (tokens, dim) and ``starts`` (tokens,), the offsets into their passages.

    ``row_starts`` (rows,) says where each row begins.
    """

    vectors: Float32
    row_starts: Int64
    starts: Int32

    def row(self, number: int) -> slice:
        """Return the tokens of the row at this position in the gathered order."""
        end = self.row_starts[number + 1] if number + 1 < len(self.row_starts) else len(self.vectors)
        return slice(self.row_starts[number], end)


class MultiVectorIndex:
    """The token vectors of one snapshot."""

    def __init__(self, folder: Path, codec: Codec) -> None:
        """Read the files, map the large ones. Their checksums must have been verified."""
        self._folder = folder
        self._offsets = np.fromfile(folder / OFFSETS, dtype="<i8")
        self._starts: UInt16 = _map(folder / STARTS, "<u2", 1)[:, 0]
        id_size = (folder / IDS).stat().st_size // max(1, len(self._starts))
        self._ids: npt.NDArray[Any] = _map(folder / IDS, f"<u{id_size or 2}", 1)[:, 0]
        with np.load(folder / IDF, allow_pickle=False) as file:
            self._idf: Float32 = file["idf"]
        self._codec = codec
        self._codes: Codes = _map(folder / CODES, "u1", codec.code_size)

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

    def gather(self, rows: Sequence[int] | Int64) -> TokenVectors:
        """Return the tokens of these rows (at least one row)."""
        row_array = np.asarray(rows, dtype=np.int64)
        firsts = self._offsets[row_array]
        lengths = self._offsets[row_array + 1] - firsts
        row_starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        positions = np.arange(lengths.sum()) + np.repeat(firsts - row_starts, lengths)
        starts = self._starts[positions].astype(np.int32)
        return TokenVectors(self._codec.decode(self._codes[positions]), row_starts, starts)

    def codes_at(self, rows: range) -> tuple[Path, int, int]:
        """Return the file with the codes of consecutive rows, and the bytes between which they stand."""
        first, last = (int(self._offsets[row]) * self._codec.code_size for row in (rows.start, rows.stop))
        return self._folder / CODES, first, last

    def chunk(self, rows: range, vectors: Float16 = _NO_VECTORS) -> EncodedChunk:
        """Return consecutive rows as they were written, with these sentence vectors or without."""
        first, last = self._offsets[rows.start], self._offsets[rows.stop]
        ids = self._ids[first:last].astype(np.uint32)
        ids[ids == np.iinfo(self._ids.dtype).max] = NO_TOKEN
        counts = np.diff(self._offsets[rows.start : rows.stop + 1]).astype(np.uint32)
        return EncodedChunk(counts, ids, self._starts[first:last], self._codes[first:last], vectors)


def _map(path: Path, dtype: str, columns: int) -> npt.NDArray[Any]:
    if path.stat().st_size <= IN_MEMORY:
        return np.fromfile(path, dtype).reshape(-1, columns)
    # A plain view of the map: numpy's own subclass makes each access slower.
    return np.asarray(np.memmap(path, dtype=dtype, mode="r")).reshape(-1, columns)
