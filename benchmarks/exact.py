"""Compare an index's approximate dense search with exact search of the same vectors. Used by ``scale.py``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from sourceline.encoders.base import Float32
from sourceline.evaluation.dataset import Question
from sourceline.evaluation.evaluate import build_qrels, open_searcher
from sourceline.index.dense import DenseIndex
from sourceline.index.row_filter import RowFilter
from sourceline.index.snapshot import Snapshot
from sourceline.search.confidence import load_calibration
from sourceline.search.query import encode_query
from sourceline.search.searcher import CANDIDATES, Searcher
from sourceline.types import DEFAULT_MODEL, ScoredRow

_BATCH = 10_000  # vectors at once: with 1,000 questions 120 MB of scores and rows
# As many times a question's candidates are kept: where texts are repeated, a searcher asks for more.
_SPARE = 10


def approximation_loss(index: Path, questions: Sequence[Question], common: Sequence[Question]) -> dict[str, float]:
    """Return R@1 of an index with its own dense search and with exact search, and the recall of its own.

    Args:
        index: the index folder.
        questions: those that its documents answer.
        common: those of them that are asked at every size of the corpus.
    """
    searcher = open_searcher(index)
    assert isinstance(searcher.snapshot, Snapshot)
    every = {question.id: question for question in (*questions, *common)}
    vectors = {id_: encode_query(searcher.encoder, question.text).vector for id_, question in every.items()}
    exact = ExactDense(searcher.snapshot.dense, list(vectors.values()))
    snapshot = replace(searcher.snapshot, dense=cast(DenseIndex, exact))
    exact_searcher = Searcher(snapshot, searcher.encoder, load_calibration(DEFAULT_MODEL))
    qrels = build_qrels(list(every.values()), searcher.snapshot.passages)
    correct = {id_: is_correct(searcher, question, qrels[id_]) for id_, question in every.items()}
    correct_by_exact = {id_: is_correct(exact_searcher, question, qrels[id_]) for id_, question in every.items()}
    recalls = [recall(searcher.snapshot.dense, exact, vectors[question.id]) for question in questions]
    return {
        "questions": len(questions),
        "recall": round(float(np.mean(recalls)), 4),
        "R@1": round(float(np.mean([correct[question.id] for question in questions])), 4),
        "R@1 exact": round(float(np.mean([correct_by_exact[question.id] for question in questions])), 4),
        "R@1 common": round(float(np.mean([correct[question.id] for question in common])), 4),
    }


def is_correct(searcher: Searcher, question: Question, grades: dict[str, int]) -> bool:
    """Return whether the first passage, or a duplicate of it, is relevant."""
    hits = searcher.ask(question.text, 1).hits
    return bool(hits) and not grades.keys().isdisjoint({hits[0].passage.id, *hits[0].also})


def recall(dense: DenseIndex, exact: "ExactDense", vector: Float32) -> float:
    """Return the share of the nearest vectors that the index finds."""
    nearest = {scored.row for scored in exact.search(vector, CANDIDATES, None)}
    return len(nearest & {scored.row for scored in dense.search(vector, CANDIDATES, None)}) / len(nearest)


class ExactDense:
    """A dense index that is searched exactly, for queries that are known beforehand."""

    def __init__(self, dense: DenseIndex, queries: Sequence[Float32]) -> None:
        """Find the nearest rows of all ``queries`` in one pass over the index."""
        self._dense = dense
        stacked, total = np.stack(queries), len(dense)
        scores, ids = np.zeros((len(stacked), 0), np.float32), np.zeros((len(stacked), 0), np.int64)
        for start in range(0, total, _BATCH):
            rows = np.arange(start, min(total, start + _BATCH))
            scores = np.hstack([scores, stacked @ dense.vectors(rows.tolist()).T])
            ids = np.hstack([ids, np.broadcast_to(rows, (len(stacked), len(rows)))])
            kept = min(_SPARE * CANDIDATES, scores.shape[1])
            order = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
            scores, ids = np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)
        self._nearest = {
            query.tobytes(): sorted(
                (ScoredRow(int(row), float(score)) for row, score in zip(rows_of_query, scores_of_query, strict=True)),
                key=lambda scored: (-scored.score, scored.row),
            )
            for query, scores_of_query, rows_of_query in zip(queries, scores, ids, strict=True)
        }

    def search(self, vector: Float32, n: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        """Return the ``n`` nearest rows, best first, ties by row; at most ten times as many as there are candidates."""
        assert row_filter is None
        return self._nearest[vector.tobytes()][:n]

    def __getattr__(self, name: str) -> Any:
        """Do everything else as the index does."""
        return getattr(self._dense, name)
