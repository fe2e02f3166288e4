import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceline.index.multivector import EncodedChunk, unpack

DIMENSION, SIZE = 4, 3


@st.composite
def blocks(draw: st.DrawFn) -> EncodedChunk:
    counts = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    tokens = sum(counts)
    return EncodedChunk(
        np.array(counts, np.uint32),
        random.integers(0, 1 << 32, tokens).astype(np.uint32),
        random.integers(0, 1 << 16, tokens).astype(np.uint16),
        random.integers(0, 256, (tokens, SIZE)).astype(np.uint8),
        random.normal(size=(len(counts), DIMENSION)).astype(np.float16),
    )


@given(blocks())
def test_what_is_packed_is_unpacked(block: EncodedChunk) -> None:
    found = unpack(block.pack(), SIZE, DIMENSION)
    for name in EncodedChunk.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(found, name), getattr(block, name))
        assert getattr(found, name).dtype == getattr(block, name).dtype


@given(blocks(), st.data())
def test_what_is_cut_or_too_long_is_refused(block: EncodedChunk, data: st.DataObject) -> None:
    packed = block.pack()
    wrong = data.draw(st.sampled_from([packed[: data.draw(st.integers(0, len(packed) - 1))], packed + b"\0"]))
    with pytest.raises(ValueError, match=r"buffer|block"):
        unpack(wrong, SIZE, DIMENSION)
