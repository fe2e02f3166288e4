"""Ways to rank, measured side by side: Sourceline, and the simple ones that it must beat."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sourceline.evaluation.figures import SOURCELINE
from sourceline.index.generation import Generation
from sourceline.index.rows import Rows
from sourceline.retrieval.question import EncodedQuestion
from sourceline.retrieval.search import Searcher
from sourceline.types import Neighbor

# Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009) with their constant, over this many of each list.
RRF, FUSED = 60, 100

Rank = Callable[[EncodedQuestion, int, Rows | None], Sequence[int]]


@dataclass(frozen=True, slots=True)
class System:
    """A named way to rank: ``rank(question, k, within)`` returns up to ``k`` rows, best first."""

    name: str
    rank: Rank


def systems(searcher: Searcher) -> list[System]:
    """Return Sourceline and the baselines, on one generation."""
    return [sourceline(searcher), *baselines(searcher.generation)]


def sourceline(searcher: Searcher, name: str = SOURCELINE) -> System:
    """Return what a searcher shows."""
    return System(name, lambda asked, k, within: searcher.rank(asked, k, within).rows[:k])


def baselines(generation: Generation) -> list[System]:
    """Return BM25, the sentence vectors, and their fusion by rank."""

    def lexical(asked: EncodedQuestion, k: int, within: Rows | None) -> list[int]:
        return _rows(generation.lexical.search(asked.text, k, within))

    def dense(asked: EncodedQuestion, k: int, within: Rows | None) -> list[int]:
        return _rows(generation.dense.search(asked.vector, k, within))

    def fused(asked: EncodedQuestion, k: int, within: Rows | None) -> list[int]:
        return fuse([dense(asked, FUSED, within), lexical(asked, FUSED, within)])[:k]

    return [System("BM25", lexical), System("dense", dense), System("dense + BM25, RRF", fused)]


def fuse(lists: Sequence[Sequence[int]]) -> list[int]:
    """Return the rows of ranked lists by Σ 1 / (60 + rank), ties by row."""
    scores: defaultdict[int, float] = defaultdict(float)
    for rows in lists:
        for rank, row in enumerate(rows, start=1):
            scores[row] += 1 / (RRF + rank)
    return sorted(scores, key=lambda row: (-scores[row], row))


def _rows(neighbors: Sequence[Neighbor]) -> list[int]:
    return [neighbor.row for neighbor in neighbors]
