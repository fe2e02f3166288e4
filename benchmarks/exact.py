"""What an index's approximate search of sentence vectors loses against exact search of the same vectors."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from sourceline.encoders.base import Float32
from sourceline.evaluation.dataset import LabelledQuestion
from sourceline.evaluation.evaluate import relevance
from sourceline.index.dense import DenseIndex
from sourceline.index.row_filter import RowFilter
from sourceline.search.confidence import load_calibration
from sourceline.search.opening import open_searcher
from sourceline.search.query import encode_query
from sourceline.search.searcher import CANDIDATES, Searcher
from sourceline.types import DEFAULT_MODEL, Backend, ScoredRow

_BATCH = 10_000  # vectors at once: with 1,000 questions 120 MB of scores and rows


def quality(
    index: Path, questions: Sequence[LabelledQuestion], everywhere: Sequence[LabelledQuestion]
) -> dict[str, float]:
    """Return how many questions are answered right by the first passage, and what approximate search loses.

    Args:
        index: the index folder.
        questions: those that its documents answer.
        everywhere: those of them that are asked of every size.
    """
    searcher = open_searcher(index, DEFAULT_MODEL, Backend.ONNX)
    both = {question.id: question for question in (*questions, *everywhere)}
    vectors = {id_: encode_query(searcher.encoder, one.text).vector for id_, one in both.items()}
    exact = Exact(searcher.snapshot.dense, list(vectors.values()))
    snapshot = replace(searcher.snapshot, dense=cast(DenseIndex, exact))
    by_exact = Searcher(snapshot, searcher.encoder, load_calibration(DEFAULT_MODEL))
    right = relevance(list(both.values()), searcher.snapshot.passages)
    found = {id_: is_right(searcher, one, right[id_]) for id_, one in both.items()}
    found_exactly = {id_: is_right(by_exact, one, right[id_]) for id_, one in both.items()}
    recalls = [recall(searcher.snapshot.dense, exact, vectors[one.id]) for one in questions]
    return {
        "questions": len(questions),
        "recall": round(float(np.mean(recalls)), 4),
        "R@1": round(float(np.mean([found[one.id] for one in questions])), 4),
        "R@1 exact": round(float(np.mean([found_exactly[one.id] for one in questions])), 4),
        "R@1 same": round(float(np.mean([found[one.id] for one in everywhere])), 4),
    }


def is_right(searcher: Searcher, question: LabelledQuestion, right: dict[str, int]) -> bool:
    """Return whether the first passage answers, or a twin of it does."""
    hits = searcher.ask(question.text, 1).hits
    return bool(hits) and not right.keys().isdisjoint({hits[0].passage.id, *hits[0].also})


def recall(dense: DenseIndex, exact: "Exact", vector: Float32) -> float:
    """Return the share of the nearest vectors that the index finds."""
    nearest = {neighbor.row for neighbor in exact.search(vector, CANDIDATES, None)}
    return len(nearest & {neighbor.row for neighbor in dense.search(vector, CANDIDATES, None)}) / len(nearest)


class Exact:
    """An index's sentence vectors, searched exactly, for questions that are known beforehand."""

    def __init__(self, dense: DenseIndex, vectors: Sequence[Float32]) -> None:
        """Find the nearest of all ``vectors`` in one pass over the index."""
        self._dense = dense
        asked, total = np.stack(vectors), len(dense)
        scores, ids = np.zeros((len(asked), 0), np.float32), np.zeros((len(asked), 0), np.int64)
        for start in range(0, total, _BATCH):
            rows = np.arange(start, min(total, start + _BATCH))
            scores = np.hstack([scores, asked @ dense.vectors(rows.tolist()).T])
            ids = np.hstack([ids, np.broadcast_to(rows, (len(asked), len(rows)))])
            # Ten times as many as a question's candidates: of texts that occur often, more are asked for.
            order = np.argpartition(-scores, min(10 * CANDIDATES, scores.shape[1]) - 1, axis=1)[:, : 10 * CANDIDATES]
            scores, ids = np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)
        self._known = {
            vector.tobytes(): sorted(map(ScoredRow, map(int, i), map(float, s)), key=lambda one: (-one.score, one.row))
            for vector, s, i in zip(vectors, scores, ids, strict=True)
        }

    def search(self, vector: Float32, n: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        """Return the ``n`` nearest rows, best first, ties by row; at most ten times as many as there are candidates."""
        assert row_filter is None
        return self._known[vector.tobytes()][:n]

    def __getattr__(self, name: str) -> Any:
        """Do all else as the index does."""
        return getattr(self._dense, name)
