import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceline.encoders.base import Float32, l2_normalize
from sourceline.encoders.ranking_head import identity_head
from sourceline.index.multivector import (
    NO_TOKEN,
    TWO_BYTES,
    EncodedChunk,
    MultiVectorIndex,
    MultiVectorWriter,
    idf,
    open_codec,
)

DIMENSION, VOCABULARY = 64, 1_000
LENGTHS = [3, 1, 0, 7, 2]
CODEC = open_codec(TWO_BYTES, identity_head(DIMENSION))


def block(ids: Sequence[int], seed: int = 0) -> EncodedChunk:
    """Return a made-up passage of these tokens."""
    random = np.random.default_rng(seed)
    count = len(ids) or 1
    vectors = l2_normalize(random.normal(size=(count, DIMENSION)).astype(np.float32)) * bool(len(ids))
    starts = np.cumsum(random.integers(1, 9, count)) if len(ids) else np.zeros(1)
    numbers = np.array(list(ids) or [NO_TOKEN], np.uint32)
    none = np.zeros((1, 4), np.float16)
    return EncodedChunk(
        np.array([count], np.uint32), numbers, starts.astype(np.uint16), CODEC.compute_codes(vectors), none
    )


def vectors_of(block: EncodedChunk) -> Float32:
    return CODEC.decode(block.codes)


def write(folder: Path, blocks: list[EncodedChunk], vocabulary: int = VOCABULARY) -> int:
    with MultiVectorWriter(folder, vocabulary) as writer:
        for one in blocks:
            writer.add(one)
        return writer.write()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def rows() -> list[EncodedChunk]:
    return [block(range(length), seed) for seed, length in enumerate(LENGTHS)]


@pytest.fixture
def tokens(tmp_path: Path, rows: list[EncodedChunk]) -> MultiVectorIndex:
    assert write(tmp_path, rows) == 14  # the row without a token has one all the same
    return MultiVectorIndex(tmp_path, CODEC)


def test_every_row_and_token_is_counted(tokens: MultiVectorIndex) -> None:
    assert (len(tokens), tokens.tokens) == (5, 14)


@pytest.mark.parametrize("wanted", [[0], [4], [0, 1, 3, 4], [3, 0], [4, 4, 1]])
def test_what_is_gathered_is_what_was_written(
    tokens: MultiVectorIndex, rows: list[EncodedChunk], wanted: list[int]
) -> None:
    gathered = tokens.gather(wanted)

    np.testing.assert_array_equal(gathered.vectors, np.concatenate([vectors_of(rows[one]) for one in wanted]))
    np.testing.assert_array_equal(gathered.places, np.concatenate([rows[one].starts for one in wanted]))
    assert gathered.starts.tolist() == np.cumsum([0, *(LENGTHS[one] for one in wanted[:-1])]).tolist()


def test_each_row_can_be_taken_out_of_what_was_gathered(tokens: MultiVectorIndex, rows: list[EncodedChunk]) -> None:
    wanted = [3, 0, 4]
    gathered = tokens.gather(wanted)

    for number, one in enumerate(wanted):
        part = gathered.part(number)
        np.testing.assert_array_equal(gathered.vectors[part], vectors_of(rows[one]))
        np.testing.assert_array_equal(gathered.places[part], rows[one].starts)


def test_a_row_without_a_token_has_one_that_matches_nothing(tokens: MultiVectorIndex) -> None:
    gathered = tokens.gather([1, 2, 3])
    part = gathered.part(1)

    assert gathered.vectors[part].tolist() == [[0.0] * DIMENSION]
    assert gathered.places[part].tolist() == [0]


def test_titles_have_rows_behind_all_passages_and_count_for_no_idf(tmp_path: Path) -> None:
    titles = [block([1, 2], 7), block([], 0), block([5], 8)]
    with MultiVectorWriter(tmp_path, VOCABULARY) as writer:
        writer.add_title(titles[0])  # as they come, between the passages
        writer.add(block([3, 5]))
        writer.add_title(titles[1])
        writer.add(block([5]))
        writer.add_title(titles[2])
        assert writer.write() == 3 + 2 + 1 + 1
    tokens = MultiVectorIndex(tmp_path, CODEC)

    assert len(tokens) == 5
    expected = np.concatenate([vectors_of(title) for title in titles])
    np.testing.assert_array_equal(tokens.gather([2, 3, 4]).vectors, expected)
    assert tokens.idf(np.array([3, 5, 0], np.int32)).tolist() == idf(np.array([1, 2, 0]), 2)[:3].tolist()


def test_idf_is_worked_by_hand() -> None:
    # log(1 + (10 - n + .5) / (n + .5)) for n = 0, 1, 4, 10, and for ids never seen.
    expected = [math.log(22), math.log(11 / 1.5), math.log(11 / 4.5), math.log(11 / 10.5), math.log(22)]

    assert idf(np.array([0, 1, 4, 10]), 10).tolist() == pytest.approx(expected)


def test_idf_counts_passages_not_tokens(tmp_path: Path) -> None:
    write(tmp_path, [block([3, 3, 3, 5]), block([5]), block([]), block([1, 5])])

    found = MultiVectorIndex(tmp_path, CODEC).idf(np.array([3, 5, 1, 0, 4, 6, 30_000], np.int32))

    # Of 4 passages: token 3 in one, 5 in three, 1 in one, the others in none, be they below or above all that occur.
    once, thrice, never = math.log(5 / 1.5), math.log(5 / 3.5), math.log(5 / 0.5)
    assert found.tolist() == pytest.approx([once, thrice, once, never, never, never, never])


def test_an_index_of_nothing_but_rows_without_tokens_can_be_read(tmp_path: Path) -> None:
    assert write(tmp_path, [block([]), block([])]) == 2

    tokens = MultiVectorIndex(tmp_path, CODEC)

    assert tokens.gather([0, 1]).vectors.tolist() == [[0.0] * DIMENSION] * 2
    assert tokens.idf(np.array([7], np.int32)).tolist() == pytest.approx([math.log(2.5 / 0.5 + 1)])


def test_they_are_stored_as_little_endian_arrays(tmp_path: Path, rows: list[EncodedChunk]) -> None:
    write(tmp_path, rows)

    assert files(tmp_path) == {"tokens.codes", "tokens.offsets", "tokens.ids", "tokens.starts", "tokens.idf.npy"}
    upper_halves = np.fromfile(tmp_path / "tokens.codes", "<u2").astype("<u4")
    vectors = (upper_halves << 16).view("<f4").reshape(14, DIMENSION)
    np.testing.assert_array_equal(vectors[5:12], vectors_of(rows[3]))
    assert np.fromfile(tmp_path / "tokens.offsets", "<i8").tolist() == [0, 3, 4, 5, 12, 14]
    assert np.fromfile(tmp_path / "tokens.ids", "<u2").tolist() == [0, 1, 2, 0, 0xFFFF, *range(7), 0, 1]
    np.testing.assert_array_equal(np.fromfile(tmp_path / "tokens.starts", "<u2")[12:], rows[4].starts)


@pytest.mark.parametrize(("vocabulary", "size"), [(0xFFFE, 2), (0xFFFF, 4), (250_000, 4)])
def test_ids_take_the_bytes_that_the_vocabulary_needs(tmp_path: Path, vocabulary: int, size: int) -> None:
    written = [block([0, vocabulary - 1]), block([]), block([vocabulary - 1])]
    write(tmp_path, written, vocabulary)

    assert (tmp_path / "tokens.ids").stat().st_size == 4 * size
    tokens = MultiVectorIndex(tmp_path, CODEC)
    for row, one in enumerate(written):
        assert same(tokens.block(range(row, row + 1), one.vectors), one)
    # The last passages of a snapshot are a block as well.
    both = tokens.block(range(1, 3), np.zeros((2, 4), np.float16))
    assert (both.counts.tolist(), both.ids.tolist()) == ([1, 1], [NO_TOKEN, vocabulary - 1])
    known, never = tokens.idf(np.array([vocabulary - 1, 1], np.int32)).tolist()
    assert (known, never) == pytest.approx((math.log1p(1.5 / 2.5), math.log1p(3.5 / 0.5)))


def same(one: EncodedChunk, other: EncodedChunk) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in EncodedChunk.__dataclass_fields__)


@given(st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=6), min_size=1, max_size=6))
def test_passages_in_one_block_are_those_in_several(passages: list[list[int]]) -> None:
    blocks = [block(ids, seed) for seed, ids in enumerate(passages)]
    joined = EncodedChunk(
        *(np.concatenate([getattr(b, name) for b in blocks]) for name in EncodedChunk.__dataclass_fields__)
    )
    with TemporaryDirectory() as one, TemporaryDirectory() as several:
        write(Path(one), [joined])
        write(Path(several), blocks)
        for name in files(Path(one)):
            assert (Path(one) / name).read_bytes() == (Path(several) / name).read_bytes()
