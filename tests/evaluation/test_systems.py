from pathlib import Path

import pytest

from sourceline.evaluation.baselines import fuse, systems
from sourceline.search.opening import open_searcher
from sourceline.search.query import encode_query
from sourceline.types import DEFAULT_MODEL, Backend

QUESTION = "Which minister did Pezeshkian meet in Tehran?"


@pytest.mark.parametrize(
    ("lists", "expected"),
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
def test_ranks_are_fused_with_ties_by_row(lists: list[list[int]], expected: list[int]) -> None:
    assert fuse(lists) == expected


def test_each_system_ranks_as_its_part_of_the_index_does(seed_index: Path) -> None:
    searcher = open_searcher(seed_index, DEFAULT_MODEL, Backend.ONNX)
    asked = encode_query(searcher.encoder, QUESTION)
    found = {system.name: list(system.rank(asked, 5, None)) for system in systems(searcher)}
    lexical = [neighbor.row for neighbor in searcher.snapshot.lexical.search(QUESTION, 100, None)]
    dense = [neighbor.row for neighbor in searcher.snapshot.dense.search(asked.vector, 100, None)]
    assert found == {
        "Sourceline": list(searcher.rank(asked, 5, None).rows[:5]),
        "BM25": lexical[:5],
        "dense": dense[:5],
        "dense + BM25, RRF": fuse([dense, lexical])[:5],
    }
    assert len({tuple(rows) for rows in found.values()}) > 1


def test_each_system_stays_within_the_rows(seed_index: Path) -> None:
    searcher = open_searcher(seed_index, DEFAULT_MODEL, Backend.ONNX)
    asked = encode_query(searcher.encoder, QUESTION)
    for system in systems(searcher):
        assert list(system.rank(asked, 10, searcher.rows_of(["meeting.txt"])))
        assert list(system.rank(asked, 10, searcher.rows_of(["other.txt"]))) == []
