"""The systems that are measured: Sourceline, the simple ones that it must beat, and itself without each stage."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from sourceline.encoders.base import Float32, Reranker, RerankerInput
from sourceline.encoders.ranking_head import identity_head
from sourceline.evaluation.metrics import FAST, SOURCELINE
from sourceline.index.base import PassageIndex
from sourceline.index.row_filter import RowFilter
from sourceline.indexing.config import IndexConfig
from sourceline.search.late_interaction import late_interaction
from sourceline.search.query import QueryEncoding
from sourceline.search.ranking import RankedPassage, Ranking
from sourceline.search.reranking import ReadingConfig
from sourceline.search.searcher import CANDIDATES, Searcher
from sourceline.types import Mode, ScoredRow

# Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009) with the constant of the paper, over lists of this length.
RRF_CONSTANT = 60
FUSION_DEPTH = 100
# Of a fused list, so many passages are given to a cross-encoder, each alone.
READ_ALONE = 10
# The texts that were read last; those of one question are some twenty, and a question is asked on every core.
_REMEMBERED = 4_096

Retrieve = Callable[[QueryEncoding, int, RowFilter | None], Sequence[ScoredRow]]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Rows, best first, and the confidence that the first of them answers; None if the system has none."""

    rows: Sequence[int]
    confidence: float | None = None


Rank = Callable[[QueryEncoding, int, RowFilter | None], Ranked]


@dataclass(frozen=True, slots=True)
class System:
    """A named way to rank: ``rank(query, k, row_filter)`` returns up to ``k`` rows."""

    name: str
    rank: Rank


class RememberingReranker:
    """A reranker that reads the same text for the same question once, though several systems and settings ask it."""

    def __init__(self, reranker: Reranker) -> None:
        self.name, self.fingerprint = reranker.name, reranker.fingerprint

        def read(question: str, item: RerankerInput) -> Float32:
            return reranker.score(question, [item])[0]

        self._read = lru_cache(_REMEMBERED)(read)

    def score(self, question: str, inputs: Sequence[RerankerInput]) -> list[Float32]:
        """Return the scores of the sentences of each text, (sentences,) each."""
        return [self._read(question, item) for item in inputs]


def sourceline(searcher: Searcher) -> list[System]:
    """Return Sourceline, and Sourceline without reading if the searcher reads; both with their confidence."""

    def system(name: str, mode: Mode) -> System:
        def rank(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> Ranked:
            ranking = searcher.rank(query, k, row_filter, mode)
            if not (scores := searcher.component_scores(query, ranking, 1)):
                return Ranked((), 0.0)
            return Ranked(ranking.rows[:k], searcher.confidence(query, ranking, scores[0], row_filter))

        return System(name, rank)

    systems = [system(SOURCELINE, Mode.READ)]
    return [*systems, system(FAST, Mode.FAST)] if searcher.reranker else systems


def baselines(snapshot: PassageIndex) -> list[System]:
    """Return BM25, the sentence vectors, and both fused by rank."""

    def bm25(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> Ranked:
        return Ranked(_rows(snapshot.bm25.search(query.text, k, row_filter)))

    def dense(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> Ranked:
        return Ranked(_rows(snapshot.dense.search(query.vector, k, row_filter)))

    def fused(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> Ranked:
        return Ranked(_fused(query, k, row_filter, snapshot))

    return [System("BM25", bm25), System("dense", dense), System("dense + BM25, RRF", fused)]


def cross_encoder(snapshot: PassageIndex, reranker: Reranker) -> System:
    """Return what is often built: the first passages of the fused list, each read alone, in the order of their scores.

    What stands behind them stays in its order.
    """

    def rank(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> Ranked:
        rows = _fused(query, max(k, READ_ALONE), row_filter, snapshot)
        first, rest = rows[:READ_ALONE], rows[READ_ALONE:]
        if not first:
            return Ranked(())
        stored = snapshot.passages.rows(first)
        texts = [stored[row].passage.text for row in first]
        read = reranker.score(query.text, [RerankerInput(text, ((0, len(text)),)) for text in texts])
        order = np.argsort(-np.concatenate(read), kind="stable")
        return Ranked([*(first[at] for at in order), *rest][:k])

    return System(f"dense + BM25, first {READ_ALONE} by {reranker.name}", rank)


def _fused(query: QueryEncoding, k: int, row_filter: RowFilter | None, snapshot: PassageIndex) -> list[int]:
    dense = _rows(snapshot.dense.search(query.vector, FUSION_DEPTH, row_filter))
    bm25 = _rows(snapshot.bm25.search(query.text, FUSION_DEPTH, row_filter))
    return reciprocal_rank_fusion([dense, bm25])[:k]


def reciprocal_rank_fusion(rankings: Sequence[Sequence[int]]) -> list[int]:
    """Return the rows of several rankings by Σ 1 / (60 + rank), ties by row."""
    scores: defaultdict[int, float] = defaultdict(float)
    for rows in rankings:
        for rank, row in enumerate(rows, start=1):
            scores[row] += 1 / (RRF_CONSTANT + rank)
    return sorted(scores, key=lambda row: (-scores[row], row))


def ablations(searcher: Searcher, rebuild: Callable[[IndexConfig], Searcher]) -> list[System]:
    """Return Sourceline without each stage of its ranking and each part of its reading, and with other chunks.

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

    def variant(name: str, searcher: Searcher) -> System:
        return System(name, lambda query, k, row_filter: Ranked(searcher.rank(query, k, row_filter).rows[:k]))

    systems = [
        variant("without question token weights", searcher.variant(head=no_question_weights)),
        variant("without passage token weights", rebuild(IndexConfig(no_passage_weights))),
        variant("without context", searcher.variant(head=no_context)),
        variant("without titles", rebuild(IndexConfig(titles=False))),
        variant("without the ranking head", rebuild(IndexConfig(identity_head(searcher.encoder.dim)))),
        _with_candidates_of(retrieve_dense, searcher, "without BM25 candidates"),
        _with_candidates_of(retrieve_bm25, searcher, "without dense candidates"),
        variant("chunks of 400 characters", rebuild(IndexConfig(chunk_characters=400))),
        variant("chunks of 1,200 characters", rebuild(IndexConfig(chunk_characters=1_200))),
        variant("each sentence encoded alone", rebuild(IndexConfig(chunk_characters=0))),
    ]
    if searcher.reranker is None:
        return systems
    alone = ReadingConfig(chunks=READ_ALONE, more=0, chunk_characters=0, with_before_characters=0, close=0)
    if calibration := searcher.reader_calibration:
        # So little weight that it orders nothing but what was not read.
        only = searcher.variant(reader_calibration=replace(calibration, late_weight=1e-6))
        systems.append(variant("reader alone", only))
    return [
        *systems,
        variant("1 chunk read", searcher.variant(reading=ReadingConfig(chunks=1, more=0))),
        variant("2 chunks read", searcher.variant(reading=ReadingConfig(more=0))),
        variant("4 chunks read", searcher.variant(reading=ReadingConfig(chunks=4, more=0))),
        variant(f"{READ_ALONE} sentences read, each alone", searcher.variant(reading=alone)),
        variant("without reading close ones again", searcher.variant(reading=ReadingConfig(close=0))),
        variant("without sentences beside the candidates", searcher.variant(reading=ReadingConfig(beside=False))),
        variant("without titles in chunks read", searcher.variant(reading=ReadingConfig(titles=False))),
    ]


def _with_candidates_of(retrieve: Retrieve, searcher: Searcher, name: str) -> System:
    """Return Sourceline over the candidates of a single retriever."""

    def rank(query: QueryEncoding, k: int, row_filter: RowFilter | None) -> Ranked:
        rows = sorted(_rows(retrieve(query, CANDIDATES, row_filter)))
        if not rows:
            return Ranked(())
        late = late_interaction(query, searcher.snapshot, rows)
        scores: list[float] = late.scores.tolist()
        order = sorted(range(len(rows)), key=lambda at: (-scores[at], rows[at]))
        passages = tuple(RankedPassage(rows[at], scores[at], scores[at]) for at in order)
        return Ranked(searcher.read(query, Ranking(passages, (late.similarities,)), row_filter).rows[:k])

    return System(name, rank)


def _rows(scored: Sequence[ScoredRow]) -> list[int]:
    return [item.row for item in scored]
