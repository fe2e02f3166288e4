"""Token vectors for late interaction.

A row a passage, and behind them a row for the title of each document, which any of its passages may rely on.

Files, raw little-endian arrays, so that they can be written as a stream and mapped: ``tokens.codes`` uint8, a row a
token: its vector by the snapshot's codec; ``tokens.ids`` uint16, or uint32 if the model has more tokens, and
``tokens.starts`` uint16, as in ``EncodedChunk``; ``tokens.offsets`` int64 (rows + 1), where each row's tokens begin. And
``tokens.idf.npy``, float32 by token id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, cast

import faiss
import numpy as np
import numpy.typing as npt

from sourceline.durable import HashedFile
from sourceline.encoders.base import Encoding, Float32, Int32, l2_normalize
from sourceline.encoders.ranking_head import RankingHead
from sourceline.ingest.chunking import Chunk

Codes = npt.NDArray[np.uint8]
# bfloat16 is the upper half of float32, so that to decode it is to shift: FAISS takes a twelfth of the time that it
# takes for float16, which was half of late interaction's.
TWO_BYTES, QUANTISED, BYTES = "bfloat16", "pq", "int8"


class Codec(Protocol):
    """Turns vectors (n, dimension) into codes (n, ``code_size``) and back, in compiled code."""

    @property
    def code_size(self) -> int:
        """Bytes of a code."""

    def compute_codes(self, vectors: Float32) -> Codes:
        """Return the codes of vectors."""

    def decode(self, codes: Codes) -> Float32:
        """Return the vectors of codes."""


def codec_name(head: RankingHead, compact: bool) -> str:
    """Return which codec keeps the token vectors of a head: by its codebook if it has one, else a byte a number."""
    if not compact:
        return TWO_BYTES
    return BYTES if head.codebook is None else QUANTISED


def open_codec(name: str, head: RankingHead) -> Codec:
    """Return a codec by its name.

    Raises:
        ValueError: there is none of this name, or the head lacks what it needs.
    """
    if name == TWO_BYTES:
        return faiss.ScalarQuantizer(head.dim, faiss.ScalarQuantizer.QT_bf16)
    if name == BYTES:
        return _bytes(head.dim, 1.0)
    if name == QUANTISED and head.codebook is not None:
        quantiser = faiss.ProductQuantizer(head.dim, len(head.codebook), 8)
        faiss.copy_array_to_vector(np.ascontiguousarray(head.codebook).ravel(), quantiser.centroids)
        return cast(Codec, quantiser)  # the stubs describe the wrapped C++ functions; these are the wrappers
    raise ValueError(f"there is no codec {name!r} for this ranking head")


def _bytes(dim: int, most: float) -> faiss.ScalarQuantizer:
    """Return a quantiser of numbers between ``-most`` and ``most`` to a byte each."""
    quantiser = faiss.ScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit_uniform)
    faiss.copy_array_to_vector(np.array([-most, 2 * most], dtype=np.float32), quantiser.trained)
    return quantiser


Float16 = npt.NDArray[np.float16]
UInt16 = npt.NDArray[np.uint16]
UInt32 = npt.NDArray[np.uint32]
# The id of the token that a passage without one is given, so that every row has something to compare.
NO_TOKEN = 0xFFFFFFFF
FAR = 0xFFFF


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """Tokens and vectors of consecutive passages, without the headings among them.

    ``counts`` (passages,): the tokens of each, at least 1. Of each token: ``ids`` (tokens,); ``starts`` (tokens,),
    where it stands in its passage, in code points, 65,535 if farther; ``codes`` (tokens, code size), its vector as the
    head makes it. ``vectors`` (passages, dimension): the passages' own, of length one, or zero.
    """

    counts: UInt32
    ids: UInt32
    starts: UInt16
    codes: Codes
    vectors: Float16

    def pack(self) -> bytes:
        """Return the block as bytes."""
        sizes = np.array([len(self.counts), len(self.ids)], dtype="<u4")
        tokens = self.counts.astype("<u4"), self.ids.astype("<u4"), self.starts.astype("<u2")
        arrays = sizes, *tokens, self.codes, self.vectors.astype("<f2")
        return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def unpack(data: bytes, code_size: int, dim: int) -> EncodedChunk:
    """Return the block that was packed.

    Raises:
        ValueError: the data is not of such a block.
    """
    passages, tokens = map(int, np.frombuffer(data, "<u4", 2))
    at = 8

    def take(kind: str, *shape: int) -> npt.NDArray[Any]:
        nonlocal at
        taken = np.frombuffer(data, kind, int(np.prod(shape)), at).reshape(shape)
        at += taken.nbytes
        return taken

    found = EncodedChunk(
        take("<u4", passages),
        take("<u4", tokens),
        take("<u2", tokens),
        take("u1", tokens, code_size),
        take("<f2", passages, dim),
    )
    if at != len(data):
        raise ValueError("there is more in it than a block")
    return found


def encode_chunk(part: Chunk, encodings: Sequence[Encoding], head: RankingHead, codec: Codec) -> EncodedChunk:
    """Return the block of a part of a document from the encodings of its windows."""
    ids, starts, states = _kept(part, encodings)
    rows = []
    for start, end in part.spans:
        first, last = np.searchsorted(starts, [start, end])
        rows.append((ids[first:last], starts[first:last] - start, states[first:last]))
    rows = [row if len(row[0]) else _nothing(states.shape[1]) for row in rows]
    all_ids, all_starts, vectors = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return EncodedChunk(
        np.array([len(row[0]) for row in rows], dtype=np.uint32),
        all_ids.astype(np.uint32),
        np.minimum(all_starts, FAR).astype(np.uint16),
        codec.compute_codes(head.project_passage(vectors)),
        l2_normalize(np.stack([states.mean(axis=0) for _, _, states in rows])).astype(np.float16),
    )


def _kept(part: Chunk, encodings: Sequence[Encoding]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Float32]:
    """Return the ids, the starts within the part and the vectors of the tokens that the part's windows keep."""
    kept = []
    for window, encoding in zip(part.windows, encodings, strict=True):
        starts = encoding.tokens.spans[:, 0].astype(np.int64) + window.shift
        keep = (starts >= window.keep_start) & (starts < window.keep_end)
        kept.append((encoding.tokens.ids[keep].astype(np.int64), starts[keep], encoding.vectors[keep]))
    ids, starts, states = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return ids, starts, states


def _nothing(dim: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Float32]:
    """Return the one token of a passage that has none."""
    return np.array([NO_TOKEN]), np.array([0]), np.zeros((1, dim), dtype=np.float32)


def empty_chunk(dim: int, head: RankingHead, codec: Codec) -> EncodedChunk:
    """Return the block of a title that is not there: one token that matches nothing."""
    ids, starts, states = _nothing(dim)
    codes = codec.compute_codes(head.project_passage(states))
    none = np.zeros((1, dim), dtype=np.float16)
    return EncodedChunk(np.ones(1, np.uint32), ids.astype(np.uint32), starts.astype(np.uint16), codes, none)


CODES, IDS, STARTS, OFFSETS, IDF = "tokens.codes", "tokens.ids", "tokens.starts", "tokens.offsets", "tokens.idf.npy"

NO_VECTORS = np.zeros((0, 0), dtype=np.float16)


class MultiVectorWriter:
    """Writes blocks in row order."""

    def __init__(self, folder: Path, vocabulary: int) -> None:
        """Open the files; ``vocabulary`` is how many tokens the model knows: ids are below it."""
        self._folder = folder
        self._vocabulary = vocabulary
        self._kind = "<u2" if vocabulary < 0xFFFF else "<u4"
        self._codes = HashedFile(folder / CODES)
        self._ids = (folder / IDS).open("wb")
        self._starts = (folder / STARTS).open("wb")
        self._counts: list[UInt32] = []
        self._titles: list[EncodedChunk] = []
        self._passages_with = np.zeros(vocabulary, dtype=np.int64)

    def __enter__(self) -> Self:
        """Use as a context manager to close the files, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        for file in (self._codes, self._ids, self._starts):
            file.close()

    def add(self, block: EncodedChunk) -> None:
        """Append the passages of a block."""
        self._count(block)
        self._write(block)

    def take(self, before: "MultiVectorIndex", rows: range) -> None:
        """Append consecutive passages of another index; their codes, most of it, are copied file to file."""
        block = before.block(rows)
        self._count(block)
        self._write_all_but_codes(block)
        self._codes.copy(*before.place(rows))

    def _count(self, block: EncodedChunk) -> None:
        """Count in how many passages each token stands."""
        rows = np.repeat(np.arange(len(block.counts)), block.counts)
        known = block.ids != NO_TOKEN
        pairs = np.sort(rows[known] * self._vocabulary + block.ids[known])  # five times as fast as np.unique
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        self._passages_with += np.bincount(pairs % self._vocabulary, minlength=self._vocabulary)

    def add_title(self, block: EncodedChunk) -> None:
        """Take the title of the next document, or of the next ones; all titles stand behind all passages."""
        self._titles.append(block)

    def _write(self, block: EncodedChunk) -> None:
        self._write_all_but_codes(block)
        if block.codes.size:
            self._codes.write(np.ascontiguousarray(block.codes).data)

    def _write_all_but_codes(self, block: EncodedChunk) -> None:
        self._ids.write(block.ids.astype(self._kind).data)  # what is no token becomes the greatest number
        self._starts.write(np.ascontiguousarray(block.starts, dtype="<u2").data)
        self._counts.append(block.counts)

    def write(self) -> int:
        """Finish the files; return the number of tokens."""
        passages = sum(len(counts) for counts in self._counts)
        for title in self._titles:
            self._write(title)
        self._ids.close()
        self._starts.close()
        offsets = np.concatenate([[0], *self._counts]).cumsum()
        offsets.astype("<i8").tofile(self._folder / OFFSETS)
        np.save(self._folder / IDF, idf(self._passages_with, passages))
        return int(offsets[-1])

    def hashed(self) -> dict[str, tuple[int, str]]:
        """Return size and SHA-256 of the codes, most of a snapshot, once they are on the disk."""
        return {CODES: self._codes.settled()}


def idf(passages_with: npt.NDArray[np.int64], passages: int) -> Float32:
    """Return ``log(1 + (N - n + .5) / (n + .5))`` (Robertson & Spärck Jones) by token id; the last is for new ids."""
    counts = np.append(passages_with, 0)
    return np.log1p((passages - counts + 0.5) / (counts + 0.5)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """The tokens of several rows: vectors (tokens, dimension), where each row begins, and the tokens' own starts."""

    vectors: Float32
    starts: npt.NDArray[np.int64]
    places: Int32

    def part(self, number: int) -> slice:
        """Return which tokens are those of one of the rows, by its place among those asked for."""
        end = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.vectors)
        return slice(self.starts[number], end)


class MultiVectorIndex:
    """The token vectors of one snapshot."""

    def __init__(self, folder: Path, codec: Codec) -> None:
        """Map the files. Their checksums must have been verified."""
        self._folder = folder
        self._offsets = np.fromfile(folder / OFFSETS, dtype="<i8")
        self._starts: UInt16 = _map(folder / STARTS, "<u2", 1)[:, 0]
        size = (folder / IDS).stat().st_size // max(1, len(self._starts))
        self._ids: npt.NDArray[Any] = _map(folder / IDS, f"<u{size or 2}", 1)[:, 0]
        self._idf: Float32 = np.load(folder / IDF, allow_pickle=False)
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

    def gather(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> TokenVectors:
        """Return the tokens of these rows (at least one row)."""
        wanted = np.asarray(rows, dtype=np.int64)
        firsts = self._offsets[wanted]
        lengths = self._offsets[wanted + 1] - firsts
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        positions = np.arange(lengths.sum()) + np.repeat(firsts - starts, lengths)
        places = self._starts[positions].astype(np.int32)
        return TokenVectors(self._codec.decode(self._codes[positions]), starts, places)

    def place(self, rows: range) -> tuple[Path, int, int]:
        """Return the file with the codes of consecutive rows, and between which of its bytes they stand."""
        first, last = (int(self._offsets[row]) * self._codec.code_size for row in (rows.start, rows.stop))
        return self._folder / CODES, first, last

    def block(self, rows: range, vectors: npt.NDArray[np.float16] = NO_VECTORS) -> EncodedChunk:
        """Return the block of consecutive rows as it was written, with these vectors or without."""
        first, last = self._offsets[rows.start], self._offsets[rows.stop]
        ids = self._ids[first:last].astype(np.uint32)
        ids[ids == np.iinfo(self._ids.dtype).max] = NO_TOKEN
        counts = np.diff(self._offsets[rows.start : rows.stop + 1]).astype(np.uint32)
        return EncodedChunk(counts, ids, self._starts[first:last], self._codes[first:last], vectors)


def _map(path: Path, kind: str, columns: int) -> npt.NDArray[Any]:
    if not path.stat().st_size:  # which cannot be mapped
        return np.zeros((0, columns), dtype=kind)
    # A plain view of the map: numpy's own subclass makes each access slower.
    return np.asarray(np.memmap(path, dtype=kind, mode="r")).reshape(-1, columns)
