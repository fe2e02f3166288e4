"""Above a number of rows only the nearest lists are searched: what is found nearly always, and what always."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sourceline.encoders.base import Float32, l2_normalize
from sourceline.index import dense
from sourceline.index.dense import PROBED, DenseIndex, DenseWriter
from sourceline.index.row_filter import RowFilter

DIMENSION, ROWS = 96, 4_000
RANDOM = np.random.default_rng(5)


def near(places: Float32) -> Float32:
    """Return vectors of length one near these places, as float16 holds them."""
    noise = 0.05 * RANDOM.normal(size=places.shape)
    return l2_normalize((places + noise).astype(np.float32)).astype(np.float16).astype(np.float32)


# Sentences about a hundred matters. Every 50th is the same one; some say nothing at all.
MATTERS = l2_normalize(RANDOM.normal(size=(100, DIMENSION)).astype(np.float32))
VECTORS = near(MATTERS[RANDOM.integers(0, 100, ROWS)])
VECTORS[::50] = VECTORS[0]
VECTORS[77::1_000] = 0
QUESTIONS = l2_normalize(near(VECTORS[RANDOM.integers(1, 50, 40)]))
FILTERS = {
    "few": RowFilter.of([range(9, 15)]),
    "scattered": RowFilter.of(range(at, at + 3) for at in range(0, ROWS, 40)),
    "many": RowFilter.of([range(100, 3_900)]),
    "all but one": RowFilter.of([range(17), range(18, ROWS)]),
    "all": RowFilter.of([range(ROWS)]),
}


def indexed(folder: Path, vectors: Float32, before: DenseIndex | None = None) -> DenseIndex:
    folder.mkdir(exist_ok=True)
    with DenseWriter(folder, DIMENSION, before) as writer:
        for start in range(0, len(vectors), 999):
            writer.add(vectors[start : start + 999].astype(np.float16))
        writer.write()
    return DenseIndex(folder)


@pytest.fixture(scope="module")
def small_limit() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dense, "APPROXIMATE_ABOVE", 1_000)
        yield


@pytest.fixture(scope="module")
def index(small_limit: None, tmp_path_factory: pytest.TempPathFactory) -> DenseIndex:
    made = indexed(tmp_path_factory.mktemp("lists"), VECTORS)
    assert made.approximate
    return made


def centers(index: DenseIndex) -> Float32:
    found = index.centers()
    assert found is not None
    return found


def test_as_many_lists_as_the_square_root_of_the_rows_asks_for(index: DenseIndex) -> None:
    assert (len(index), index.dim, len(centers(index))) == (ROWS, DIMENSION, int(4 * ROWS**0.5))
    assert len(centers(index)) > 4 * PROBED


def test_up_to_the_limit_search_is_exact(small_limit: None, tmp_path: Path) -> None:
    few = indexed(tmp_path, VECTORS[:1_000])
    assert not few.approximate
    assert few.centers() is None
    np.testing.assert_array_equal(few.vectors(range(1_000)), VECTORS[:1_000])


def test_vectors_are_stored_nearly_as_they_are_and_nothing_stays_nothing(index: DenseIndex) -> None:
    stored = index.vectors(range(ROWS))
    assert np.abs(stored - VECTORS).max() <= 0.5 / 255 + 1e-4
    assert not stored[77::1_000].any()


def test_nearly_all_that_exact_search_finds_is_found(index: DenseIndex) -> None:
    shares = []
    for question in QUESTIONS:
        cosines = VECTORS @ question
        best = np.flatnonzero(cosines >= np.sort(cosines)[-100])  # more than 100 if some tie
        found = [neighbor.row for neighbor in index.search(question, 100, None)]
        shares.append(len(set(found) & set(best.tolist())) / 100)
    assert np.mean(shares) >= 0.95


@pytest.mark.parametrize("exactly", [True, False])
@pytest.mark.parametrize("name", FILTERS)
def test_below_a_filter_there_are_as_many_as_were_asked_for_if_there_are_so_many(
    index: DenseIndex, monkeypatch: pytest.MonkeyPatch, name: str, exactly: bool
) -> None:
    monkeypatch.setattr(dense, "FEW", ROWS if exactly else 0)
    row_filter = FILTERS[name]
    for question in QUESTIONS[:5]:
        for n in (1, 10, 300, ROWS + 1):
            rows = [neighbor.row for neighbor in index.search(question, n, row_filter)]
            assert len(rows) == len(set(rows)) == min(n, len(row_filter))
            assert all(row in row_filter for row in rows)
    assert len(index.search(QUESTIONS[0], ROWS + 1, None)) == ROWS
    assert index.search(QUESTIONS[0], 10, RowFilter.of([])) == []


@pytest.mark.parametrize("name", ["few", "scattered"])
def test_a_filter_of_few_rows_is_searched_exactly(index: DenseIndex, name: str) -> None:
    rows = [row for wanted in FILTERS[name].ranges for row in wanted]
    for question in QUESTIONS:
        cosines = index.vectors(range(ROWS)) @ question
        found = index.search(question, 5, FILTERS[name])
        expected = sorted((round(float(cosines[row]), 5) for row in rows), reverse=True)[:5]
        assert [round(neighbor.score, 5) for neighbor in found] == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("few", [0, ROWS])
@pytest.mark.parametrize("row_filter", [None, FILTERS["all but one"], FILTERS["scattered"]])
def test_equal_sentences_are_in_the_order_of_their_rows_even_where_they_are_cut(
    index: DenseIndex, monkeypatch: pytest.MonkeyPatch, few: int, row_filter: RowFilter | None
) -> None:
    monkeypatch.setattr(dense, "FEW", few)
    equal = [row for row in range(0, ROWS, 50) if row_filter is None or row in row_filter]
    for n in range(1, len(equal) + 1):
        assert [neighbor.row for neighbor in index.search(VECTORS[0], n, row_filter)] == equal[:n]


def test_a_rebuild_keeps_the_lists_and_what_is_in_them(index: DenseIndex, tmp_path: Path) -> None:
    again = indexed(tmp_path, index.vectors(range(ROWS)), index)
    np.testing.assert_array_equal(centers(again), centers(index))
    np.testing.assert_array_equal(again.vectors(range(ROWS)), index.vectors(range(ROWS)))
    more = indexed(tmp_path, np.concatenate([VECTORS, VECTORS]), index)
    np.testing.assert_array_equal(centers(more), centers(index))


def test_lists_that_have_become_too_few_are_made_anew(index: DenseIndex, tmp_path: Path) -> None:
    assert len(centers(indexed(tmp_path, np.concatenate([VECTORS] * 5), index))) == int(4 * (5 * ROWS) ** 0.5)


def test_the_same_vectors_give_the_same_file(index: DenseIndex, tmp_path: Path) -> None:
    for name in ("a", "b"):
        indexed(tmp_path / name, VECTORS)
    assert (tmp_path / "a" / "dense.faiss").read_bytes() == (tmp_path / "b" / "dense.faiss").read_bytes()
