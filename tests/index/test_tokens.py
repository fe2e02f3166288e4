import math
from pathlib import Path

import numpy as np
import pytest

from sourceline.encoding.encoder import Float32, Int32, unit
from sourceline.index.tokens import PIECES, TokenIndex, TokensWriter, idf

DIMENSION = 64
LENGTHS = [3, 1, 0, 7, 2]
Row = tuple[Int32, Int32, Float32]


def row(length: int, seed: int, dimension: int = DIMENSION) -> Row:
    """Return ids, spans and unit vectors of a made-up passage."""
    random = np.random.default_rng(seed)
    starts = np.cumsum(random.integers(1, 9, length))
    spans = np.stack([starts, starts + 1], axis=1).astype(np.int32)
    vectors = unit(random.normal(size=(length, dimension)).astype(np.float32))
    return random.integers(0, 50, length).astype(np.int32), spans, vectors


def ids(*numbers: int) -> Row:
    return np.array(numbers, np.int32), *row(len(numbers), 0)[1:]


def write(folder: Path, rows: list[Row], dimension: int = DIMENSION, quantise_above: int = 10_000) -> int:
    writer = TokensWriter(folder, dimension, quantise_above)
    for one in rows:
        writer.add(*one)
    return writer.write()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def rows() -> list[Row]:
    return [row(length, seed) for seed, length in enumerate(LENGTHS)]


@pytest.fixture
def tokens(tmp_path: Path, rows: list[Row]) -> TokenIndex:
    assert write(tmp_path, rows) == 14  # the row without a token has one all the same
    return TokenIndex(tmp_path, DIMENSION)


def test_every_row_and_token_is_counted(tokens: TokenIndex) -> None:
    assert (len(tokens), tokens.tokens) == (5, 14)


@pytest.mark.parametrize("wanted", [[0], [4], [0, 1, 3, 4], [3, 0], [4, 4, 1]])
def test_what_is_gathered_is_what_was_written_rounded_to_float16(
    tokens: TokenIndex, rows: list[Row], wanted: list[int]
) -> None:
    gathered = tokens.gather(wanted)

    rounded = np.concatenate([rows[one][2].astype(np.float16).astype(np.float32) for one in wanted])
    np.testing.assert_array_equal(gathered.vectors, rounded)
    np.testing.assert_array_equal(gathered.spans, np.concatenate([rows[one][1] for one in wanted]))
    assert gathered.starts.tolist() == np.cumsum([0, *(LENGTHS[one] for one in wanted[:-1])]).tolist()


def test_each_row_can_be_taken_out_of_what_was_gathered(tokens: TokenIndex, rows: list[Row]) -> None:
    wanted = [3, 0, 4]
    gathered = tokens.gather(wanted)

    for number, one in enumerate(wanted):
        vectors, spans = gathered.of(number)
        np.testing.assert_array_equal(vectors, rows[one][2].astype(np.float16))
        np.testing.assert_array_equal(spans, rows[one][1])


def test_a_row_without_a_token_has_one_that_matches_nothing(tokens: TokenIndex) -> None:
    vectors, spans = tokens.gather([1, 2, 3]).of(1)

    assert vectors.tolist() == [[0.0] * DIMENSION]
    assert spans.tolist() == [[0, 0]]


def test_titles_have_rows_behind_all_passages_and_count_for_no_idf(tmp_path: Path) -> None:
    with TokensWriter(tmp_path, DIMENSION) as writer:
        writer.add(*ids(3, 5))
        writer.add(*ids(5))
        titles = [row(2, 7)[2], row(1, 8)[2]]
        for title in (titles[0], None, titles[1], titles[0][:0]):
            writer.add_title(title)
        assert writer.write() == 3 + 2 + 1 + 1 + 1
    tokens = TokenIndex(tmp_path, DIMENSION)

    assert len(tokens) == 6
    gathered = tokens.gather([2, 3, 4, 5])
    nothing = np.zeros((1, DIMENSION))
    np.testing.assert_array_equal(
        gathered.vectors, np.concatenate([titles[0], nothing, titles[1], nothing]).astype(np.float16)
    )
    assert gathered.spans.tolist() == [[0, 0]] * 5
    assert tokens.idf(np.array([3, 5, 0], np.int32)).tolist() == idf(np.array([1, 2, 0]), 2)[:3].tolist()


def test_idf_is_worked_by_hand() -> None:
    # log(1 + (10 - n + .5) / (n + .5)) for n = 0, 1, 4, 10, and for ids never seen.
    expected = [math.log(22), math.log(11 / 1.5), math.log(11 / 4.5), math.log(11 / 10.5), math.log(22)]

    assert idf(np.array([0, 1, 4, 10]), 10).tolist() == pytest.approx(expected)


def test_idf_counts_passages_not_tokens(tmp_path: Path) -> None:
    write(tmp_path, [ids(3, 3, 3, 5), ids(5), ids(), ids(1, 5)])

    found = TokenIndex(tmp_path, DIMENSION).idf(np.array([3, 5, 1, 0, 4, 6, 30_000], np.int32))

    # Of 4 passages: token 3 in one, 5 in three, 1 in one, the others in none, be they below or above all that occur.
    once, thrice, never = math.log(5 / 1.5), math.log(5 / 3.5), math.log(5 / 0.5)
    assert found.tolist() == pytest.approx([once, thrice, once, never, never, never, never])


def test_an_index_of_nothing_but_rows_without_tokens_can_be_read(tmp_path: Path) -> None:
    assert write(tmp_path, [ids(), ids()]) == 2

    tokens = TokenIndex(tmp_path, DIMENSION)

    assert tokens.gather([0, 1]).vectors.tolist() == [[0.0] * DIMENSION] * 2
    assert tokens.idf(np.array([7], np.int32)).tolist() == pytest.approx([math.log(2.5 / 0.5 + 1)])


def test_few_tokens_are_stored_as_little_endian_arrays(tmp_path: Path, rows: list[Row]) -> None:
    write(tmp_path, rows, quantise_above=14)

    assert files(tmp_path) == {"tokens.codes", "tokens.offsets", "tokens.spans", "tokens.idf.npy"}
    vectors = np.fromfile(tmp_path / "tokens.codes", "<f2").reshape(14, DIMENSION)
    np.testing.assert_array_equal(vectors[5:12], rows[3][2].astype(np.float16))
    assert np.fromfile(tmp_path / "tokens.offsets", "<i8").tolist() == [0, 3, 4, 5, 12, 14]
    np.testing.assert_array_equal(np.fromfile(tmp_path / "tokens.spans", "<i4").reshape(14, 2)[12:], rows[4][1])


# Words come back in other sentences: 500 tokens that are 40 vectors, each a little changed by what stands beside it.
def natural_rows() -> list[Row]:
    random = np.random.default_rng(11)
    words = random.normal(size=(40, DIMENSION))
    rows = []
    for seed in range(50):
        numbers = random.integers(0, 40, 10)
        vectors = unit((words[numbers] + 0.2 * random.normal(size=(10, DIMENSION))).astype(np.float32))
        rows.append((numbers.astype(np.int32), row(10, seed)[1], vectors))
    return rows


def test_many_tokens_are_quantised_and_stay_close(tmp_path: Path) -> None:
    rows = natural_rows()
    exact, quantised = tmp_path / "exact", tmp_path / "quantised"
    exact.mkdir()
    quantised.mkdir()
    write(exact, rows, quantise_above=500)
    write(quantised, rows, quantise_above=499)

    assert files(quantised) == {*files(exact), "tokens.pq"}
    assert (quantised / "tokens.codes").stat().st_size == 500 * PIECES
    assert (exact / "tokens.codes").stat().st_size == 500 * DIMENSION * 2
    everything = range(50)
    near, same = (TokenIndex(folder, DIMENSION).gather(everything) for folder in (quantised, exact))
    cosines = (unit(near.vectors) * unit(same.vectors)).sum(axis=1)
    assert cosines.min() > 0.97
    np.testing.assert_array_equal(near.spans, same.spans)
    np.testing.assert_array_equal(near.starts, same.starts)
    for name in ("tokens.offsets", "tokens.spans", "tokens.idf.npy"):
        assert (quantised / name).read_bytes() == (exact / name).read_bytes()


def test_a_quantised_row_is_the_same_whichever_rows_are_asked_for_with_it(tmp_path: Path) -> None:
    write(tmp_path, natural_rows(), quantise_above=0)
    tokens = TokenIndex(tmp_path, DIMENSION)

    np.testing.assert_array_equal(tokens.gather([31, 7, 2]).of(1)[0], tokens.gather([7]).vectors)


def test_what_matches_nothing_matches_hardly_anything_when_it_is_quantised(tmp_path: Path) -> None:
    with TokensWriter(tmp_path, DIMENSION, quantise_above=0) as writer:
        for one in natural_rows():
            writer.add(*one)
        writer.add_title(None)
        writer.write()

    assert np.linalg.norm(TokenIndex(tmp_path, DIMENSION).gather([50]).vectors) < 0.1


def test_quantising_is_deterministic(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, natural_rows(), quantise_above=0)

    for name in files(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_vectors_that_cannot_be_cut_into_equal_pieces_are_never_quantised(tmp_path: Path) -> None:
    one = row(5, 1, dimension=33)
    write(tmp_path, [one], dimension=33, quantise_above=0)

    assert "tokens.pq" not in files(tmp_path)
    np.testing.assert_array_equal(TokenIndex(tmp_path, 33).gather([0]).vectors, one[2].astype(np.float16))
