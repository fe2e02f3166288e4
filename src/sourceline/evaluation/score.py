"""Builds a labelled set, asks every question, and measures the answers."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ir_measures
import numpy as np
from ir_measures import RR, Success, nDCG

from sourceline.errors import LabelsError
from sourceline.evaluation.labels import LabelledQuestion, LabelledSet
from sourceline.index.build import ENCODERS, Progress, build
from sourceline.index.passages import Passages
from sourceline.retrieval.opening import open_searcher
from sourceline.retrieval.search import Searcher
from sourceline.types import EncoderKind, Passage

DEPTH = 10
MEASURES = {
    "R@1": Success @ 1,
    "R@5": Success @ 5,
    "R@10": Success @ 10,
    "MRR@10": RR @ 10,
    "nDCG@10": nDCG @ 10,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question's answer: its confidence, and its measures if it is answerable (R@k: one of k passages answers)."""

    id: str
    answerable: bool
    confidence: float
    measures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A labelled set's figures. ``auc``: of confidence, between answerable and unanswerable; None without both."""

    passages: int
    asked: tuple[Asked, ...]
    means: dict[str, float]
    auc: float | None


def evaluate(
    labelled: LabelledSet,
    model: str,
    kind: EncoderKind,
    compiled: Path,
    progress: Callable[[str, Progress], None] = lambda *_: None,
) -> Evaluation:
    """Build the set's documents in a temporary index and ask all its questions.

    Args:
        labelled: documents and questions.
        model: the model's name.
        kind: which encoder.
        compiled: an index folder whose compiled model is used, so that it need not be compiled again.
        progress: told how far the building and the asking are.

    Raises:
        LabelsError: a label names a document that is not in the set, or no passage overlaps it.
        BuildError, CorpusError, ModelError: as from ``build``.
    """
    with tempfile.TemporaryDirectory(prefix="sourceline-evaluate-") as scratch:
        index = Path(scratch)
        if (compiled / ENCODERS).is_dir():
            shutil.copytree(compiled / ENCODERS, index / ENCODERS)
        build(labelled.documents, index, model, kind, lambda done: progress("encoding", done))
        searcher = open_searcher(index, model, kind)
        return _ask_all(labelled.questions, searcher, lambda done: progress("asking", done))


def _ask_all(
    questions: Sequence[LabelledQuestion], searcher: Searcher, progress: Callable[[Progress], None]
) -> Evaluation:
    qrels = relevance(questions, searcher.generation.passages)
    confidences: dict[str, float] = {}
    run: dict[str, dict[str, float]] = {}
    for number, question in enumerate(questions, start=1):
        answer = searcher.ask(question.text, DEPTH)
        confidences[question.id] = answer.confidence
        run[question.id] = {hit.passage.id: float(-hit.rank) for hit in answer.hits}
        progress(Progress(number, len(questions)))
    values: dict[str, dict[str, float]] = {id_: {} for id_ in run}
    names = {measure: name for name, measure in MEASURES.items()}
    for metric in ir_measures.iter_calc(list(MEASURES.values()), qrels, {id_: run[id_] for id_ in qrels}):
        values[metric.query_id][names[metric.measure]] = metric.value
    asked = tuple(Asked(q.id, q.answerable, confidences[q.id], values[q.id]) for q in questions)
    measured = [one.measures for one in asked if one.measures]
    means = {name: float(np.mean([one[name] for one in measured])) for name in MEASURES} if measured else {}
    return Evaluation(len(searcher.generation.passages), asked, means, auc(asked))


def relevance(questions: Sequence[LabelledQuestion], passages: Passages) -> dict[str, dict[str, int]]:
    """Return the passages that answer each answerable question: those that overlap a relevant stretch.

    Raises:
        LabelsError: a label names a document that is not there, or no passage overlaps it.
    """
    documents: dict[str, list[Passage]] = {}
    for entry in passages.documents:
        documents[entry.id] = passages.of_document(entry)
    qrels = {}
    for question in questions:
        if not question.answerable:
            continue
        found = {
            passage.id: 1
            for label in question.relevant
            for passage in documents.get(label.document, ())
            if passage.start < label.end and label.start < passage.end
        }
        if not found:
            raise LabelsError(f"question {question.id}: no passage stands where its labels say")
        qrels[question.id] = found
    return qrels


def auc(asked: Sequence[Asked]) -> float | None:
    """Return the chance that an answerable question has more confidence than an unanswerable one (ties count half)."""
    yes = np.array([one.confidence for one in asked if one.answerable])
    no = np.sort([one.confidence for one in asked if not one.answerable])
    if not len(yes) or not len(no):
        return None
    below, not_above = np.searchsorted(no, yes, "left"), np.searchsorted(no, yes, "right")
    return float((below + not_above).mean() / 2 / len(no))
