"""Exact search below the limit, and above it lists of near vectors, of which the nearest are searched."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from sourceline.encoders.base import Float32, l2_normalize
from sourceline.index import dense
from sourceline.index.dense import PROBED, DenseIndex, DenseWriter
from sourceline.index.row_filter import RowFilter
from sourceline.types import ScoredRow

RANDOM = np.random.default_rng(7)
DIM = 24


def near(places: Float32) -> Float32:
    """Return vectors of length one near these places, as float16 holds them."""
    noise = 0.05 * RANDOM.normal(size=places.shape)
    return l2_normalize((places + noise).astype(np.float32)).astype(np.float16).astype(np.float32)


# What float16 holds is what is stored.
VECTORS = l2_normalize(RANDOM.normal(size=(60, DIM)).astype(np.float32)).astype(np.float16).astype(np.float32)
QUERY = l2_normalize(RANDOM.normal(size=DIM).astype(np.float32))
SCATTERED = RowFilter.from_ranges([range(3, 9), range(20, 21), range(40, 58)])

MANY, MANY_DIM = 4_000, 96
# Sentences about a hundred subjects. Every 50th is the same one; some say nothing at all.
SUBJECTS = l2_normalize(RANDOM.normal(size=(100, MANY_DIM)).astype(np.float32))
MANY_VECTORS = near(SUBJECTS[RANDOM.integers(0, 100, MANY)])
MANY_VECTORS[::50] = MANY_VECTORS[0]
MANY_VECTORS[77::1_000] = 0
QUERIES = l2_normalize(near(MANY_VECTORS[RANDOM.integers(1, 50, 40)]))
FILTERS = {
    "few": RowFilter.from_ranges([range(9, 15)]),
    "scattered": RowFilter.from_ranges(range(at, at + 3) for at in range(0, MANY, 40)),
    "many": RowFilter.from_ranges([range(100, 3_900)]),
    "all but one": RowFilter.from_ranges([range(17), range(18, MANY)]),
    "all": RowFilter.from_ranges([range(MANY)]),
}


def write_and_open(
    folder: Path, *parts: Float32, before: DenseIndex | None = None, compact: bool = False
) -> DenseIndex:
    folder.mkdir(exist_ok=True)
    with DenseWriter(folder, parts[0].shape[1], before, compact) as writer:
        for part in parts:
            writer.add(part.astype(np.float16))
        writer.write()
    return DenseIndex(folder)


def in_parts(vectors: Float32) -> list[Float32]:
    return [vectors[start : start + 999] for start in range(0, len(vectors), 999)]


def rows_of(hits: Sequence[ScoredRow]) -> list[int]:
    return [hit.row for hit in hits]


def passing(row_filter: RowFilter | None, total: int) -> list[int]:
    return [row for row in range(total) if row_filter is None or row in row_filter]


def ranked(cosines: Float32, rows: Sequence[int]) -> list[int]:
    """Return the rows in the order that a search promises: the greatest cosine first, ties by row."""
    return sorted(rows, key=lambda row: (-cosines[row], row))


def centers_of(index: DenseIndex) -> Float32:
    centers = index.centers()
    assert centers is not None
    return centers


@pytest.fixture(scope="module")
def small_limit() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dense, "APPROXIMATE_ABOVE", 1_000)
        yield


@pytest.fixture(scope="module")
def lists(small_limit: None, tmp_path_factory: pytest.TempPathFactory) -> DenseIndex:
    """The many vectors in lists of near ones."""
    index = write_and_open(tmp_path_factory.mktemp("lists"), *in_parts(MANY_VECTORS))
    assert index.centers() is not None
    return index


def test_vectors_are_stored_exactly_and_in_the_order_in_which_they_were_added(tmp_path: Path) -> None:
    index = write_and_open(tmp_path, VECTORS[:25], VECTORS[25:26], VECTORS[26:])

    assert (len(index), index.dim) == (60, DIM)
    assert index.centers() is None
    assert index.centers() is None
    np.testing.assert_array_equal(index.vectors([59, 0, 25, 0]), VECTORS[[59, 0, 25, 0]])


@pytest.mark.parametrize("row_filter", [None, SCATTERED])
@pytest.mark.parametrize("n", [1, 2, 10, 24, 25, 26, 59, 60, 61, 1000])
def test_exact_search_agrees_with_plain_numpy(tmp_path: Path, n: int, row_filter: RowFilter | None) -> None:
    cosines = VECTORS @ QUERY
    expected = ranked(cosines, passing(row_filter, 60))[:n]

    hits = write_and_open(tmp_path, VECTORS).search(QUERY, n, row_filter)

    assert rows_of(hits) == expected
    assert [hit.score for hit in hits] == pytest.approx(cosines[expected].tolist(), abs=1e-6)


def test_a_score_is_the_cosine(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]], dtype=np.float32)

    hits = write_and_open(tmp_path, vectors).search(np.array([0.8, 0.6], np.float32), 4, None)

    assert [(hit.row, round(hit.score, 3)) for hit in hits] == [(1, 0.96), (0, 0.8), (2, 0.6), (3, -0.8)]


@pytest.mark.parametrize("row_filter", [None, RowFilter.from_ranges([range(2, 7), range(9, 30), range(35, 60)])])
def test_equal_vectors_are_in_row_order_even_where_n_cuts_among_them(
    tmp_path: Path, row_filter: RowFilter | None
) -> None:
    kind = np.random.default_rng(3).integers(0, 4, 60)
    expected = ranked((VECTORS[:4] @ QUERY)[kind], passing(row_filter, 60))
    index = write_and_open(tmp_path, VECTORS[kind])

    for n in range(1, 62):
        assert rows_of(index.search(QUERY, n, row_filter)) == expected[:n]


@pytest.mark.parametrize(("compact", "farthest", "size"), [(False, 0, 2), (True, 1 / 510, 1)])
def test_a_component_takes_two_bytes_or_compactly_one(
    tmp_path: Path, compact: bool, farthest: float, size: int
) -> None:
    vectors = MANY_VECTORS[:300]

    index = write_and_open(tmp_path / "first", vectors, compact=compact)

    stored = index.vectors(range(300))
    assert np.abs(stored - vectors).max() <= farthest + 1e-7
    assert not stored[77].any()  # a sentence that says nothing
    assert 0 < (tmp_path / "first/dense.faiss").stat().st_size - 300 * MANY_DIM * size < 200
    for number, question in enumerate(QUERIES):
        hits = index.search(question, 20, None)
        assert rows_of(hits) == ranked(index.scores(question, range(300)), range(300))[:20], number
        assert [hit.score for hit in hits] == pytest.approx((vectors @ question)[rows_of(hits)].tolist(), abs=0.01)
    write_and_open(tmp_path / "again", stored, compact=compact)
    assert (tmp_path / "again/dense.faiss").read_bytes() == (tmp_path / "first/dense.faiss").read_bytes()


def test_of_nothing_but_equal_vectors_the_first_rows_are_returned(tmp_path: Path) -> None:
    hits = write_and_open(tmp_path, np.repeat(VECTORS[:1], 40, axis=0)).search(VECTORS[0], 5, None)

    assert rows_of(hits) == [0, 1, 2, 3, 4]
    assert [hit.score for hit in hits] == pytest.approx([1.0] * 5, abs=1e-3)


def test_if_n_is_more_than_there_are_rows_all_are_returned_and_never_row_minus_one(tmp_path: Path) -> None:
    index = write_and_open(tmp_path, VECTORS[:3])

    assert sorted(rows_of(index.search(QUERY, 100, None))) == [0, 1, 2]
    assert rows_of(index.search(-VECTORS[1], 100, RowFilter.from_ranges([range(1, 2)]))) == [1]


def test_zero_results_or_a_filter_of_no_rows_return_nothing(tmp_path: Path) -> None:
    index = write_and_open(tmp_path, VECTORS)

    assert index.search(QUERY, 0, None) == []
    assert index.search(QUERY, 5, RowFilter.from_ranges([])) == []


def test_an_index_without_rows_returns_nothing(tmp_path: Path) -> None:
    index = write_and_open(tmp_path, VECTORS[:0])

    assert len(index) == 0
    assert index.search(QUERY, 5, None) == []


def test_scores_of_given_rows_are_their_cosines_in_the_given_order(tmp_path: Path) -> None:
    rows = [59, 4, 0, 4]

    scores = write_and_open(tmp_path, VECTORS).scores(QUERY, rows)

    assert scores.tolist() == pytest.approx((VECTORS[rows] @ QUERY).tolist(), abs=1e-6)


def test_up_to_the_limit_an_index_is_exact(small_limit: None, tmp_path: Path) -> None:
    index = write_and_open(tmp_path, MANY_VECTORS[:1_000])

    assert index.centers() is None
    np.testing.assert_array_equal(index.vectors(range(1_000)), MANY_VECTORS[:1_000])


def test_above_the_limit_there_are_four_lists_for_the_square_root_of_the_rows(lists: DenseIndex) -> None:
    assert (len(lists), lists.dim, len(centers_of(lists))) == (MANY, MANY_DIM, int(4 * MANY**0.5))
    assert len(centers_of(lists)) > 4 * PROBED


def test_lists_keep_vectors_to_within_half_a_step_of_a_byte_and_zero_stays_zero(lists: DenseIndex) -> None:
    stored = lists.vectors(range(MANY))

    assert np.abs(stored - MANY_VECTORS).max() <= 0.5 / 255 + 1e-4
    assert not stored[77::1_000].any()


def test_searching_the_nearest_lists_returns_95_of_100_that_exact_search_returns(lists: DenseIndex) -> None:
    shares = []
    for query in QUERIES:
        cosines = MANY_VECTORS @ query
        best = np.flatnonzero(cosines >= np.sort(cosines)[-100])  # more than 100 if some tie
        shares.append(len({*rows_of(lists.search(query, 100, None))} & {*best.tolist()}) / 100)

    assert np.mean(shares) >= 0.95


@pytest.mark.parametrize("exactly", [True, False])
@pytest.mark.parametrize("name", FILTERS)
def test_a_filtered_search_of_lists_returns_n_rows_if_so_many_pass(
    lists: DenseIndex, monkeypatch: pytest.MonkeyPatch, name: str, exactly: bool
) -> None:
    monkeypatch.setattr(dense, "EXACT_UP_TO", MANY if exactly else 0)
    row_filter = FILTERS[name]

    for query in QUERIES[:5]:
        for n in (1, 10, 300, MANY + 1):
            rows = rows_of(lists.search(query, n, row_filter))
            assert len(rows) == len({*rows}) == min(n, len(row_filter))
            assert all(row in row_filter for row in rows)
    assert len(lists.search(QUERIES[0], MANY + 1, None)) == MANY
    assert lists.search(QUERIES[0], 10, RowFilter.from_ranges([])) == []


@pytest.mark.parametrize("name", ["few", "scattered"])
def test_a_filter_that_few_rows_pass_is_searched_exactly(lists: DenseIndex, name: str) -> None:
    rows = passing(FILTERS[name], MANY)

    for query in QUERIES:
        cosines = lists.vectors(range(MANY)) @ query
        expected = sorted((round(float(cosines[row]), 5) for row in rows), reverse=True)[:5]
        scores = [round(hit.score, 5) for hit in lists.search(query, 5, FILTERS[name])]
        assert scores == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("exact_up_to", [0, MANY])
@pytest.mark.parametrize("row_filter", [None, FILTERS["all but one"], FILTERS["scattered"]])
def test_equal_vectors_in_lists_are_in_row_order_even_where_n_cuts_among_them(
    lists: DenseIndex, monkeypatch: pytest.MonkeyPatch, exact_up_to: int, row_filter: RowFilter | None
) -> None:
    monkeypatch.setattr(dense, "EXACT_UP_TO", exact_up_to)
    equal = [row for row in passing(row_filter, MANY) if row % 50 == 0]

    for n in range(1, len(equal) + 1):
        assert rows_of(lists.search(MANY_VECTORS[0], n, row_filter)) == equal[:n]


def test_an_index_takes_over_the_lists_of_the_one_before(lists: DenseIndex, tmp_path: Path) -> None:
    again = write_and_open(tmp_path / "again", *in_parts(lists.vectors(range(MANY))), before=lists)
    twice = write_and_open(tmp_path / "twice", MANY_VECTORS, MANY_VECTORS, before=lists)

    np.testing.assert_array_equal(centers_of(again), centers_of(lists))
    np.testing.assert_array_equal(again.vectors(range(MANY)), lists.vectors(range(MANY)))
    np.testing.assert_array_equal(centers_of(twice), centers_of(lists))


def test_lists_that_have_become_too_few_are_trained_anew(lists: DenseIndex, tmp_path: Path) -> None:
    index = write_and_open(tmp_path, *[MANY_VECTORS] * 5, before=lists)

    assert len(centers_of(index)) == int(4 * (5 * MANY) ** 0.5)


def test_the_same_vectors_give_the_same_file(small_limit: None, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_and_open(tmp_path / name, MANY_VECTORS)

    assert (tmp_path / "a" / "dense.faiss").read_bytes() == (tmp_path / "b" / "dense.faiss").read_bytes()
