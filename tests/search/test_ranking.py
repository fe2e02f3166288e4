import numpy as np
import pytest

from sourceline.encoders.base import Float32
from sourceline.index.multivector import TokenVectors
from sourceline.search.late_interaction import TokenSimilarities
from sourceline.search.ranking import RankedPassage, Ranking


def similarities(rows: list[int], products: list[list[float]]) -> TokenSimilarities:
    """Return those of rows of one token each, whose vector has the length one."""
    vectors: Float32 = np.ones((len(rows), 1), dtype=np.float32)
    starts = np.array([10 * row for row in rows], dtype=np.int32)
    tokens = TokenVectors(vectors, np.arange(len(rows)), starts)
    nothing: Float32 = np.zeros((0, 0), dtype=np.float32)
    return TokenSimilarities(nothing, nothing, np.array(rows), tokens, np.array(products, dtype=np.float32))


def test_the_rows_are_those_of_the_passages_in_their_order() -> None:
    assert Ranking().rows == ()
    assert Ranking((RankedPassage(7, 0.9, 0.9), RankedPassage(2, 0.5, 0.5))).rows == (7, 2)


def test_a_ranking_was_read_if_one_of_its_passages_was() -> None:
    unread, read = RankedPassage(7, 0.9, 0.9), RankedPassage(2, 0.5, 0.5, -3.0)
    assert [Ranking(p).was_read for p in ((), (unread,), (unread, read), (read,))] == [False, False, True, True]


def test_the_cosines_of_a_row_are_found_in_whichever_similarities_have_it() -> None:
    ranking = Ranking((), (similarities([1, 4], [[0.5, 0.25], [0.75, 0]]), similarities([2, 4], [[1, -1], [9, 9]])))
    for row, expected in [(1, [0.5, 0.25]), (2, [1, -1]), (4, [0.75, 0])]:
        cosines, starts = ranking.cosines_of(row)
        assert (cosines.tolist(), starts.tolist()) == ([expected], [10 * row])
    for row in (0, 3, 5):
        with pytest.raises(KeyError):
            ranking.cosines_of(row)
    with pytest.raises(KeyError):
        Ranking().cosines_of(0)
