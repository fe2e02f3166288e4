"""Token vectors for late interaction.

A row a passage, and behind them a row for the title of each document, which any of its passages may rely on.

Files, raw little-endian arrays, so that they can be written as a stream and mapped: ``tokens.codes`` uint8, a row a
token: its vector by the generation's codec; ``tokens.ids`` uint16, or uint32 if the model has more tokens, and
``tokens.starts`` uint16, as in ``Block``; ``tokens.offsets`` int64 (rows + 1), where each row's tokens begin. And
``tokens.idf.npy``, float32 by token id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sourceline.durable import HashedFile
from sourceline.encoding.encoder import Float32, Int32
from sourceline.index.block import NO_TOKEN, Block, UInt16, UInt32
from sourceline.index.codec import Codec, Codes

CODES, IDS, STARTS, OFFSETS, IDF = "tokens.codes", "tokens.ids", "tokens.starts", "tokens.offsets", "tokens.idf.npy"

NO_VECTORS = np.zeros((0, 0), dtype=np.float16)


class TokensWriter:
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
        self._titles: list[Block] = []
        self._passages_with = np.zeros(vocabulary, dtype=np.int64)

    def __enter__(self) -> Self:
        """Use as a context manager to close the files, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        for file in (self._codes, self._ids, self._starts):
            file.close()

    def add(self, block: Block) -> None:
        """Append the passages of a block."""
        self._count(block)
        self._write(block)

    def take(self, before: "TokenIndex", rows: range) -> None:
        """Append consecutive passages of another index; their codes, most of it, are copied file to file."""
        block = before.block(rows)
        self._count(block)
        self._write_all_but_codes(block)
        self._codes.copy(*before.place(rows))

    def _count(self, block: Block) -> None:
        """Count in how many passages each token stands."""
        rows = np.repeat(np.arange(len(block.counts)), block.counts)
        known = block.ids != NO_TOKEN
        pairs = np.sort(rows[known] * self._vocabulary + block.ids[known])  # five times as fast as np.unique
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        self._passages_with += np.bincount(pairs % self._vocabulary, minlength=self._vocabulary)

    def add_title(self, block: Block) -> None:
        """Take the title of the next document, or of the next ones; all titles stand behind all passages."""
        self._titles.append(block)

    def _write(self, block: Block) -> None:
        self._write_all_but_codes(block)
        if block.codes.size:
            self._codes.write(np.ascontiguousarray(block.codes).data)

    def _write_all_but_codes(self, block: Block) -> None:
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
        """Return size and SHA-256 of the codes, most of a generation, once they are on the disk."""
        return {CODES: self._codes.settled()}


def idf(passages_with: npt.NDArray[np.int64], passages: int) -> Float32:
    """Return ``log(1 + (N - n + .5) / (n + .5))`` (Robertson & Spärck Jones) by token id; the last is for new ids."""
    counts = np.append(passages_with, 0)
    return np.log1p((passages - counts + 0.5) / (counts + 0.5)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The tokens of several rows: vectors (tokens, dimension), where each row begins, and the tokens' own starts."""

    vectors: Float32
    starts: npt.NDArray[np.int64]
    places: Int32

    def part(self, number: int) -> slice:
        """Return which tokens are those of one of the rows, by its place among those asked for."""
        end = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.vectors)
        return slice(self.starts[number], end)


class TokenIndex:
    """The token vectors of one generation."""

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

    def gather(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> Gathered:
        """Return the tokens of these rows (at least one row)."""
        wanted = np.asarray(rows, dtype=np.int64)
        firsts = self._offsets[wanted]
        lengths = self._offsets[wanted + 1] - firsts
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        positions = np.arange(lengths.sum()) + np.repeat(firsts - starts, lengths)
        places = self._starts[positions].astype(np.int32)
        return Gathered(self._codec.decode(self._codes[positions]), starts, places)

    def place(self, rows: range) -> tuple[Path, int, int]:
        """Return the file with the codes of consecutive rows, and between which of its bytes they stand."""
        first, last = (int(self._offsets[row]) * self._codec.code_size for row in (rows.start, rows.stop))
        return self._folder / CODES, first, last

    def block(self, rows: range, vectors: npt.NDArray[np.float16] = NO_VECTORS) -> Block:
        """Return the block of consecutive rows as it was written, with these vectors or without."""
        first, last = self._offsets[rows.start], self._offsets[rows.stop]
        ids = self._ids[first:last].astype(np.uint32)
        ids[ids == np.iinfo(self._ids.dtype).max] = NO_TOKEN
        counts = np.diff(self._offsets[rows.start : rows.stop + 1]).astype(np.uint32)
        return Block(counts, ids, self._starts[first:last], self._codes[first:last], vectors)


def _map(path: Path, kind: str, columns: int) -> npt.NDArray[Any]:
    if not path.stat().st_size:  # which cannot be mapped
        return np.zeros((0, columns), dtype=kind)
    # A plain view of the map: numpy's own subclass makes each access slower.
    return np.asarray(np.memmap(path, dtype=kind, mode="r")).reshape(-1, columns)
