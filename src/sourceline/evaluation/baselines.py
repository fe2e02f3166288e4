"""Ways to rank, measured side by side: Sourceline, and the simple ones that it must beat."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sourceline.encoders.ranking_head import identity_head
from sourceline.evaluation.metrics import SOURCELINE
from sourceline.index.row_filter import RowFilter
from sourceline.index.snapshot import Snapshot
from sourceline.indexing.config import IndexConfig
from sourceline.search.late_interaction import late_interaction
from sourceline.search.query import QueryEncoding
from sourceline.search.searcher import CANDIDATES, Searcher
from sourceline.types import ScoredRow

# Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009) with their constant, over this many of each list.
RRF, FUSED = 60, 100

Rank = Callable[[QueryEncoding, int, RowFilter | None], Sequence[int]]


@dataclass(frozen=True, slots=True)
class System:
    """A named way to rank: ``rank(question, k, within)`` returns up to ``k`` rows, best first."""

    name: str
    rank: Rank


def systems(searcher: Searcher) -> list[System]:
    """Return Sourceline and the baselines, on one snapshot."""
    return [sourceline(searcher), *baselines(searcher.snapshot)]


def sourceline(searcher: Searcher, name: str = SOURCELINE) -> System:
    """Return what a searcher shows."""
    return System(name, lambda asked, k, row_filter: searcher.rank(asked, k, row_filter).rows[:k])


def baselines(snapshot: Snapshot) -> list[System]:
    """Return BM25, the sentence vectors, and their fusion by rank."""

    def lexical(asked: QueryEncoding, k: int, row_filter: RowFilter | None) -> list[int]:
        return _rows(snapshot.lexical.search(asked.text, k, row_filter))

    def dense(asked: QueryEncoding, k: int, row_filter: RowFilter | None) -> list[int]:
        return _rows(snapshot.dense.search(asked.vector, k, row_filter))

    def fused(asked: QueryEncoding, k: int, row_filter: RowFilter | None) -> list[int]:
        return fuse([dense(asked, FUSED, row_filter), lexical(asked, FUSED, row_filter)])[:k]

    return [System("BM25", lexical), System("dense", dense), System("dense + BM25, RRF", fused)]


def fuse(lists: Sequence[Sequence[int]]) -> list[int]:
    """Return the rows of ranked lists by Σ 1 / (60 + rank), ties by row."""
    scores: defaultdict[int, float] = defaultdict(float)
    for rows in lists:
        for rank, row in enumerate(rows, start=1):
            scores[row] += 1 / (RRF + rank)
    return sorted(scores, key=lambda row: (-scores[row], row))


def _rows(neighbors: Sequence[ScoredRow]) -> list[int]:
    return [neighbor.row for neighbor in neighbors]


def ablations(searcher: Searcher, rebuild: Callable[[IndexConfig], Searcher]) -> list[System]:
    """Return Sourceline without each stage of its ranking.

    Args:
        searcher: the whole.
        rebuild: builds the same documents in another way, for stages that are in the index.
    """
    index, head = searcher.snapshot, searcher.snapshot.head
    equal = replace(head, question=np.zeros_like(head.question))
    alone = replace(head, biases=np.array([head.biases[0], -np.inf], dtype=np.float32))
    flat = replace(head, passage=np.zeros_like(head.passage), biases=np.array([np.inf, head.biases[1]], np.float32))
    return [
        sourceline(searcher.with_head(equal), "without weights of question tokens"),
        sourceline(rebuild(IndexConfig(flat)), "without weights of passage tokens"),
        sourceline(searcher.with_head(alone), "without what stands around"),
        sourceline(rebuild(IndexConfig(titles=False)), "without titles"),
        sourceline(rebuild(IndexConfig(identity_head(searcher.encoder.dim))), "without the head"),
        _among(
            searcher, lambda asked, row_filter: index.dense.search(asked.vector, CANDIDATES, row_filter), "without BM25"
        ),
        _among(
            searcher,
            lambda asked, row_filter: index.lexical.search(asked.asking, CANDIDATES, row_filter),
            "without dense",
        ),
        *(sourceline(rebuild(IndexConfig(window=size)), f"windows of {size:,} characters") for size in (400, 1_200)),
        sourceline(rebuild(IndexConfig(window=0)), "sentences encoded alone"),
    ]


def _among(
    searcher: Searcher, search: Callable[[QueryEncoding, RowFilter | None], Sequence[ScoredRow]], name: str
) -> System:
    """Return late interaction over the candidates of one search."""

    def rank(asked: QueryEncoding, k: int, row_filter: RowFilter | None) -> list[int]:
        rows = sorted(neighbor.row for neighbor in search(asked, row_filter))
        if not rows:
            return []
        scores = late_interaction(asked, searcher.snapshot, rows).scores
        return [rows[at] for at in np.argsort(-scores, kind="stable")[:k]]

    return System(name, rank)
