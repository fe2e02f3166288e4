from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sourceline.encoders.base import Float32, l2_normalize
from sourceline.index.dense import DenseIndex, DenseWriter
from sourceline.index.row_filter import RowFilter

DIMENSION = 24
RANDOM = np.random.default_rng(7)
# What float16 holds is what is stored.
VECTORS = l2_normalize(RANDOM.normal(size=(60, DIMENSION)).astype(np.float32)).astype(np.float16).astype(np.float32)
QUESTION = l2_normalize(RANDOM.normal(size=DIMENSION).astype(np.float32))
SOME = RowFilter.of([range(3, 9), range(20, 21), range(40, 58)])


def indexed(folder: Path, *parts: Float32) -> DenseIndex:
    with DenseWriter(folder, parts[0].shape[1]) as writer:
        for part in parts:
            writer.add(part.astype(np.float16))
        writer.write()
    return DenseIndex(folder)


def rows_of(row_filter: RowFilter | None, total: int) -> list[int]:
    return list(range(total)) if row_filter is None else [row for wanted in row_filter.ranges for row in wanted]


def best(cosines: Float32, rows: Sequence[int]) -> list[int]:
    return sorted(rows, key=lambda row: (-cosines[row], row))


def test_what_was_added_is_what_is_stored_in_the_order_of_the_rows(tmp_path: Path) -> None:
    index = indexed(tmp_path, VECTORS[:25], VECTORS[25:26], VECTORS[26:])

    assert (len(index), index.dim) == (60, DIMENSION)
    np.testing.assert_array_equal(index.vectors([59, 0, 25, 0]), VECTORS[[59, 0, 25, 0]])


@pytest.mark.parametrize("row_filter", [None, SOME])
@pytest.mark.parametrize("n", [1, 2, 10, 24, 25, 26, 59, 60, 61, 1000])
def test_search_finds_what_plain_numpy_finds(tmp_path: Path, n: int, row_filter: RowFilter | None) -> None:
    cosines = VECTORS @ QUESTION
    expected = best(cosines, rows_of(row_filter, 60))[:n]

    found = indexed(tmp_path, VECTORS).search(QUESTION, n, row_filter)

    assert [neighbor.row for neighbor in found] == expected
    assert [neighbor.score for neighbor in found] == pytest.approx(cosines[expected].tolist(), abs=1e-6)


def test_a_score_is_the_cosine(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]], dtype=np.float32)

    found = indexed(tmp_path, vectors).search(np.array([0.8, 0.6], np.float32), 4, None)

    assert [(one.row, round(one.score, 3)) for one in found] == [(1, 0.96), (0, 0.8), (2, 0.6), (3, -0.8)]


@pytest.mark.parametrize("row_filter", [None, RowFilter.of([range(2, 7), range(9, 30), range(35, 60)])])
def test_equal_vectors_are_in_the_order_of_their_rows_even_where_they_are_cut(
    tmp_path: Path, row_filter: RowFilter | None
) -> None:
    kind = np.random.default_rng(3).integers(0, 4, 60)
    cosines = (VECTORS[:4] @ QUESTION)[kind]
    expected = best(cosines, rows_of(row_filter, 60))
    index = indexed(tmp_path, VECTORS[kind])

    for n in range(1, 62):
        assert [neighbor.row for neighbor in index.search(QUESTION, n, row_filter)] == expected[:n]


def test_all_vectors_equal_gives_the_first_rows(tmp_path: Path) -> None:
    found = indexed(tmp_path, np.repeat(VECTORS[:1], 40, axis=0)).search(VECTORS[0], 5, None)

    assert [neighbor.row for neighbor in found] == [0, 1, 2, 3, 4]
    assert [neighbor.score for neighbor in found] == pytest.approx([1.0] * 5, abs=1e-3)


def test_fewer_rows_than_asked_for_gives_those_that_there_are_and_never_minus_one(tmp_path: Path) -> None:
    index = indexed(tmp_path, VECTORS[:3])

    assert sorted(neighbor.row for neighbor in index.search(QUESTION, 100, None)) == [0, 1, 2]
    assert [neighbor.row for neighbor in index.search(-VECTORS[1], 100, RowFilter.of([range(1, 2)]))] == [1]


def test_nothing_asked_for_or_nothing_allowed_finds_nothing(tmp_path: Path) -> None:
    index = indexed(tmp_path, VECTORS)

    assert index.search(QUESTION, 0, None) == []
    assert index.search(QUESTION, 5, RowFilter.of([])) == []


def test_an_index_without_rows_finds_nothing(tmp_path: Path) -> None:
    index = indexed(tmp_path, VECTORS[:0])

    assert len(index) == 0
    assert index.search(QUESTION, 5, None) == []


def test_scores_are_the_cosines_of_the_rows_in_the_order_asked_for(tmp_path: Path) -> None:
    rows = [59, 4, 0, 4]

    scores = indexed(tmp_path, VECTORS).scores(QUESTION, rows)

    assert scores.tolist() == pytest.approx((VECTORS[rows] @ QUESTION).tolist(), abs=1e-6)
