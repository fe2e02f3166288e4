from pathlib import Path

import pytest

from sourceline.evaluation.baselines import baselines, reciprocal_rank_fusion, sourceline
from sourceline.evaluation.evaluate import open_searcher
from sourceline.search.query import encode_query
from sourceline.search.searcher import Searcher

QUESTION = "Which minister did Pezeshkian meet in Tehran?"


@pytest.mark.parametrize(
    ("rankings", "expected"),
    [
        ([], []),
        ([[3, 1, 2]], [3, 1, 2]),
        # 1: 1/62 + 1/61; 5: 1/61; 7: 1/62
        ([[5, 1], [1, 7]], [1, 5, 7]),
        # 9 and 4 have 1/61 each, 8 and 6 1/62 each
        ([[9, 8], [4, 6]], [4, 9, 6, 8]),
        # 2/63 for the third of both is more than 1/61 for a first
        ([[1, 2, 3], [4, 5, 3]], [3, 1, 4, 2, 5]),
    ],
)
def test_ranks_are_fused_with_ties_by_row(rankings: list[list[int]], expected: list[int]) -> None:
    assert reciprocal_rank_fusion(rankings) == expected


@pytest.fixture(scope="module")
def searcher(seed_index: Path) -> Searcher:
    return open_searcher(seed_index)


def test_each_system_ranks_as_its_part_of_the_index_does(searcher: Searcher) -> None:
    query = encode_query(searcher.encoder, QUESTION)
    systems = [sourceline(searcher), *baselines(searcher.snapshot)]
    rankings = {system.name: list(system.rank(query, 5, None)) for system in systems}
    bm25 = [scored.row for scored in searcher.snapshot.bm25.search(QUESTION, 100, None)]
    dense = [scored.row for scored in searcher.snapshot.dense.search(query.vector, 100, None)]
    assert rankings == {
        "Sourceline": list(searcher.rank(query, 5, None).rows[:5]),
        "BM25": bm25[:5],
        "dense": dense[:5],
        "dense + BM25, RRF": reciprocal_rank_fusion([dense, bm25])[:5],
    }
    assert len({tuple(rows) for rows in rankings.values()}) > 1


def test_each_system_stays_within_a_row_filter(searcher: Searcher) -> None:
    query = encode_query(searcher.encoder, QUESTION)
    for system in (sourceline(searcher), *baselines(searcher.snapshot)):
        assert list(system.rank(query, 10, searcher.filter_documents(["meeting.txt"])))
        assert list(system.rank(query, 10, searcher.filter_documents(["other.txt"]))) == []
