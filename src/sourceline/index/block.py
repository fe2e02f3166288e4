"""A block: consecutive passages as the index keeps them, made of what is encoded together.

Blocks are what a build takes over: from the generation before, if the text is the same, or from the cache, if a build
was interrupted. So they hold codes, which are small, and not the encoder's vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sourceline.encoding.encoder import Encoding, Float32, unit
from sourceline.encoding.head import Head
from sourceline.index.codec import Codec, Codes
from sourceline.index.cut import Part

Float16 = npt.NDArray[np.float16]
UInt16 = npt.NDArray[np.uint16]
UInt32 = npt.NDArray[np.uint32]
# The id of the token that a passage without one is given, so that every row has something to compare.
NO_TOKEN = 0xFFFFFFFF
FAR = 0xFFFF


@dataclass(frozen=True, slots=True)
class Block:
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


def unpack(data: bytes, code_size: int, dimension: int) -> Block:
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

    found = Block(
        take("<u4", passages),
        take("<u4", tokens),
        take("<u2", tokens),
        take("u1", tokens, code_size),
        take("<f2", passages, dimension),
    )
    if at != len(data):
        raise ValueError("there is more in it than a block")
    return found


def make_block(part: Part, encodings: Sequence[Encoding], head: Head, codec: Codec) -> Block:
    """Return the block of a part of a document from the encodings of its windows."""
    ids, starts, states = _kept(part, encodings)
    rows = []
    for start, end in part.spans:
        first, last = np.searchsorted(starts, [start, end])
        rows.append((ids[first:last], starts[first:last] - start, states[first:last]))
    rows = [row if len(row[0]) else _nothing(states.shape[1]) for row in rows]
    all_ids, all_starts, vectors = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return Block(
        np.array([len(row[0]) for row in rows], dtype=np.uint32),
        all_ids.astype(np.uint32),
        np.minimum(all_starts, FAR).astype(np.uint16),
        codec.compute_codes(head.of_passage(vectors)),
        unit(np.stack([states.mean(axis=0) for _, _, states in rows])).astype(np.float16),
    )


def _kept(part: Part, encodings: Sequence[Encoding]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Float32]:
    """Return the ids, the starts within the part and the vectors of the tokens that the part's windows keep."""
    kept = []
    for window, encoding in zip(part.windows, encodings, strict=True):
        starts = encoding.tokens.spans[:, 0].astype(np.int64) + window.shift
        keep = (starts >= window.keep_start) & (starts < window.keep_end)
        kept.append((encoding.tokens.ids[keep].astype(np.int64), starts[keep], encoding.vectors[keep]))
    ids, starts, states = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return ids, starts, states


def _nothing(dimension: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Float32]:
    """Return the one token of a passage that has none."""
    return np.array([NO_TOKEN]), np.array([0]), np.zeros((1, dimension), dtype=np.float32)


def no_block(dimension: int, head: Head, codec: Codec) -> Block:
    """Return the block of a title that is not there: one token that matches nothing."""
    ids, starts, states = _nothing(dimension)
    codes = codec.compute_codes(head.of_passage(states))
    none = np.zeros((1, dimension), dtype=np.float16)
    return Block(np.ones(1, np.uint32), ids.astype(np.uint32), starts.astype(np.uint16), codes, none)
