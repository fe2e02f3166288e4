"""The systems that are measured: Sourceline, the simple ones that it must beat, and itself without each stage."""

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

# Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009) with the constant of the paper, over lists of this length.
RRF_CONSTANT = 60
FUSION_DEPTH = 100

Rank = Callable[[QueryEncoding, int, RowFilter | None], Sequence[int]]
Retrieve = Callable[[QueryEncoding, int, RowFilter | None], Sequence[ScoredRow]]


@dataclass(frozen=True, slots=True)
class System:
    """A named way to rank: ``rank(query, k, row_filter)`` returns up to ``k`` rows, best first."""

    name: str
    rank: Rank


def sourceline(searcher: Searcher, name: str = SOURCELINE) -> System:
    """Return a searcher as a system."""
    return System(name, lambda query, k, row_filter: searcher.rank(query, k, row_filter).rows[:k])


def baselines(snapshot: Snapshot) -> list[System]:
    """Return BM25, the sentence vectors, and both fused by rank."""

    def bm25(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> list[int]:
        return _rows(snapshot.bm25.search(query.text, k, row_filter))

    def dense(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> list[int]:
        return _rows(snapshot.dense.search(query.vector, k, row_filter))

    def fused(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> list[int]:
        rankings = [dense(query, FUSION_DEPTH, row_filter), bm25(query, FUSION_DEPTH, row_filter)]
        return reciprocal_rank_fusion(rankings)[:k]

    return [System("BM25", bm25), System("dense", dense), System("dense + BM25, RRF", fused)]


def reciprocal_rank_fusion(rankings: Sequence[Sequence[int]]) -> list[int]:
    """Return the rows of several rankings by Σ 1 / (60 + rank), ties by row."""
    scores: defaultdict[int, float] = defaultdict(float)
    for rows in rankings:
        for rank, row in enumerate(rows, start=1):
            scores[row] += 1 / (RRF_CONSTANT + rank)
    return sorted(scores, key=lambda row: (-scores[row], row))


def ablations(searcher: Searcher, rebuild: Callable[[IndexConfig], Searcher]) -> list[System]:
    """Return Sourceline without each stage of its ranking, and with chunks of other sizes.

    Args:
        searcher: the whole.
        rebuild: indexes the same documents with another configuration, for what is part of the index.
    """
    snapshot, head = searcher.snapshot, searcher.snapshot.head
    no_question_weights = replace(head, question=np.zeros_like(head.question))
    no_context = replace(head, biases=np.array([head.biases[0], -np.inf], dtype=np.float32))
    no_passage_weights = replace(
        head, passage=np.zeros_like(head.passage), biases=np.array([np.inf, head.biases[1]], dtype=np.float32)
    )

    def retrieve_dense(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        return snapshot.dense.search(query.vector, k, row_filter)

    def retrieve_bm25(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        return snapshot.bm25.search(query.question_part, k, row_filter)

    return [
        sourceline(searcher.with_head(no_question_weights), "without question token weights"),
        sourceline(rebuild(IndexConfig(no_passage_weights)), "without passage token weights"),
        sourceline(searcher.with_head(no_context), "without context"),
        sourceline(rebuild(IndexConfig(titles=False)), "without titles"),
        sourceline(rebuild(IndexConfig(identity_head(searcher.encoder.dim))), "without the ranking head"),
        _late_interaction_over(retrieve_dense, snapshot, "without BM25 candidates"),
        _late_interaction_over(retrieve_bm25, snapshot, "without dense candidates"),
        sourceline(rebuild(IndexConfig(chunk_characters=400)), "chunks of 400 characters"),
        sourceline(rebuild(IndexConfig(chunk_characters=1_200)), "chunks of 1,200 characters"),
        sourceline(rebuild(IndexConfig(chunk_characters=0)), "each sentence encoded alone"),
    ]


def _late_interaction_over(retrieve: Retrieve, snapshot: Snapshot, name: str) -> System:
    """Return late interaction over the candidates of a single retriever."""

    def rank(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> list[int]:
        rows = sorted(_rows(retrieve(query, CANDIDATES, row_filter)))
        if not rows:
            return []
        scores = late_interaction(query, snapshot, rows).scores
        return [rows[position] for position in np.argsort(-scores, kind="stable")[:k]]

    return System(name, rank)


def _rows(scored: Sequence[ScoredRow]) -> list[int]:
    return [item.row for item in scored]
