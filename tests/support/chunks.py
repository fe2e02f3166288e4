"""Encoded chunks that are made up."""

from collections.abc import Sequence

import numpy as np

from sourceline.encoders.base import l2_normalize
from sourceline.index.multivector import NO_TOKEN, Codec, EncodedChunk


def made_up_chunk(passages: Sequence[Sequence[int]], codec: Codec, dim: int, seed: int = 0) -> EncodedChunk:
    """Return a chunk of passages with these token ids; one without ids has the token that matches nothing.

    Args:
        passages: the token ids of each passage.
        codec: keeps the token vectors.
        dim: the length of a token vector, and of a sentence vector.
        seed: another one gives other vectors and starts.
    """
    random = np.random.default_rng(seed)
    ids = [id_ for passage in passages for id_ in passage or [NO_TOKEN]]
    known = np.array(ids) != NO_TOKEN
    vectors = l2_normalize(random.normal(size=(len(ids), dim)).astype(np.float32)) * known[:, None]
    sentences = l2_normalize(random.normal(size=(len(passages), dim)).astype(np.float32))
    return EncodedChunk(
        counts=np.array([len(passage) or 1 for passage in passages], np.uint32),
        ids=np.array(ids, np.uint32),
        starts=(random.integers(0, 99, len(ids)) * known).astype(np.uint16),
        codes=codec.compute_codes(vectors),
        vectors=sentences.astype(np.float16),
    )


def same_chunk(chunk: EncodedChunk | None, other: EncodedChunk) -> bool:
    """Return whether two chunks hold the same arrays, with the same types."""
    return chunk is not None and all(
        np.array_equal(getattr(chunk, name), getattr(other, name))
        and getattr(chunk, name).dtype == getattr(other, name).dtype
        for name in EncodedChunk.__dataclass_fields__
    )
