"""Builds a labelled set, asks every question of every system, and measures the answers."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import ir_measures
import numpy as np
from ir_measures import RR, Success, nDCG

from sourceline.encoders.load import ENCODERS
from sourceline.errors import DatasetError, QuestionError
from sourceline.evaluation.baselines import System, ablations, systems
from sourceline.evaluation.dataset import LabelledQuestion, LabelledSet
from sourceline.evaluation.metrics import (
    IN_SCOPE,
    MEASURES,
    OPEN,
    Asked,
    Evaluation,
    Figure,
    First,
    Outcome,
    intervals,
    trust,
)
from sourceline.index.passage_store import PassageStore
from sourceline.index.row_filter import RowFilter
from sourceline.indexing.builder import build
from sourceline.indexing.config import IndexConfig
from sourceline.search.confidence import Calibration, load_calibration
from sourceline.search.opening import open_searcher
from sourceline.search.query import QueryEncoding, encode_query, validate_question
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_THRESHOLD, Backend, BuildProgress, Passage

DEPTH = 10
_MEASURES = dict(zip(MEASURES, (Success @ 1, Success @ 5, Success @ 10, RR @ 10, nDCG @ 10), strict=True))

# Ids of passages, best first, by question; by where and system. A system that was not asked has no entry.
Run = dict[str, list[str]]
Runs = dict[str, dict[str, Run]]
# How well each passage that answers does, by its id; by question.
Qrels = dict[str, dict[str, int]]


def evaluate(
    labelled: LabelledSet,
    model: str,
    kind: Backend,
    compiled: Path,
    progress: Callable[[str, BuildProgress], None] = lambda *_: None,
    systems: Callable[[Searcher], Sequence[System]] = systems,
    ablate: bool = False,
    threshold: float = DEFAULT_THRESHOLD,
) -> Evaluation:
    """Build the set's documents in a temporary index and ask all its questions.

    Args:
        labelled: documents and questions.
        model: the model's name.
        kind: which encoder.
        compiled: an index folder whose compiled model is used, so that it need not be compiled again.
        progress: told how far the building and the asking are.
        systems: what is measured: one of them is ``Sourceline``, which the confidence is about.
        ablate: whether Sourceline without each of its stages is measured too.
        threshold: the least confidence with which an answer is shown.

    Raises:
        LabelsError: a label names a document that is not in the set, or no passage overlaps it; or a question cannot
            be asked.
        BuildError, CorpusError, ModelError: as from ``build``.
    """
    with tempfile.TemporaryDirectory(prefix="sourceline-evaluate-") as scratch:
        index = Path(scratch)
        if (compiled / ENCODERS).is_dir():
            shutil.copytree(compiled / ENCODERS, index / ENCODERS)
        build(labelled.documents, index, model, kind, lambda done: progress("encoding", done))
        searcher = open_searcher(index, model, kind)
        measured = list(systems(searcher))
        if ablate:
            measured += ablations(searcher, lambda config: _rebuilt(labelled.documents, index, model, kind, config))
        calibration = load_calibration(model)
        return _measure(labelled, searcher, calibration, threshold, measured, lambda done: progress("asking", done))


def _measure(
    labelled: LabelledSet,
    searcher: Searcher,
    calibration: Calibration,
    threshold: float,
    systems: Sequence[System],
    progress: Callable[[BuildProgress], None],
) -> Evaluation:
    stored = searcher.snapshot.passages
    passages = [passage for entry in stored.documents for passage in stored.of_rows(entry).values()]
    # Twins are shown once: each of them is right where any is.
    firsts = {passages[row].id: passages[first].id for row, first in stored.duplicates(range(len(passages))).items()}
    qrels = {id_: _merged(found, firsts) for id_, found in relevance(labelled.questions, stored).items()}
    ids = [firsts.get(passage.id, passage.id) for passage in passages]
    runs, confidences = _ask_all(labelled.questions, searcher, calibration, systems, ids, progress)
    return _evaluation(labelled.questions, passages, qrels, runs, confidences, threshold)


def _rebuilt(documents: Path, index: Path, model: str, kind: Backend, config: IndexConfig) -> Searcher:
    """Build the documents in another way, with the same compiled model; the rows are the same."""
    other = Path(tempfile.mkdtemp(dir=index))
    if (index / ENCODERS).is_dir():
        (other / ENCODERS).symlink_to(index / ENCODERS)
    build(documents, other, model, kind, config=config)
    return open_searcher(other, model, kind)


def _ask_all(
    questions: Sequence[LabelledQuestion],
    searcher: Searcher,
    calibration: Calibration,
    systems: Sequence[System],
    ids: Sequence[str],
    progress: Callable[[BuildProgress], None],
) -> tuple[Runs, list[float]]:
    """Return what the systems show for each question, and how confident Sourceline is."""
    runs: Runs = {}
    confidences = []
    scopes = _scopes(questions, searcher)
    for number, question in enumerate(questions, start=1):
        asked = _encode(question, searcher)
        ranking = searcher.rank(asked, DEPTH, None)
        scores = searcher.scores(asked, ranking, 1)
        evidence = [searcher.evidence(asked, ranking, best, None) for best in scores]
        confidences.append(calibration.confidence(*evidence) if evidence else 0.0)
        for where, row_filter in ((OPEN, None), (IN_SCOPE, scopes.get(question.scope))):
            if where == OPEN or row_filter:
                for system in systems:
                    rows = system.rank(asked, DEPTH, row_filter)
                    runs.setdefault(where, {}).setdefault(system.name, {})[question.id] = [ids[row] for row in rows]
        progress(BuildProgress(number, len(questions)))
    return runs, confidences


def _encode(question: LabelledQuestion, searcher: Searcher) -> QueryEncoding:
    try:
        return encode_query(searcher.encoder, validate_question(question.text))
    except QuestionError as error:
        raise DatasetError(f"question {question.id}: {error}") from error


def _scopes(questions: Sequence[LabelledQuestion], searcher: Searcher) -> dict[str | None, RowFilter]:
    """Return the rows of every scope; none in a set of one document, where it would be the same as open."""
    scopes: dict[str | None, RowFilter] = {}
    for question in questions:
        if question.scope and question.scope not in scopes:
            scopes[question.scope] = searcher.rows_of([question.scope])
            if not scopes[question.scope]:
                raise DatasetError(f"question {question.id}: no document with passages is its scope, {question.scope}")
    return scopes if len(searcher.snapshot.passages.documents) > 1 else {}


def relevance(questions: Sequence[LabelledQuestion], passages: PassageStore) -> Qrels:
    """Return the passages that answer each answerable question: those that overlap a relevant stretch.

    A passage that overlaps several has the greatest of their grades. A heading that is labelled counts as any other
    passage, though it is never shown: what was taken for a heading by mistake costs a place.

    Raises:
        LabelsError: a label names a document that is not there, or no passage overlaps it.
    """
    documents = {entry.id: passages.of_document(entry) for entry in passages.documents}
    qrels: Qrels = {}
    for question in questions:
        if not question.answerable:
            continue
        found: dict[str, int] = {}
        for label in question.relevant:
            for passage in documents.get(label.document, ()):
                if passage.start < label.end and label.start < passage.end:
                    found[passage.id] = max(found.get(passage.id, 0), label.grade)
        if not found:
            raise DatasetError(f"question {question.id}: no passage stands where its labels say")
        qrels[question.id] = found
    return qrels


def _merged(found: dict[str, int], firsts: dict[str, str]) -> dict[str, int]:
    """Return the grades with those of twins under the first of them."""
    merged: dict[str, int] = {}
    for id_, grade in found.items():
        first = firsts.get(id_, id_)
        merged[first] = max(grade, merged.get(first, 0))
    return merged


def _evaluation(
    questions: Sequence[LabelledQuestion],
    passages: Sequence[Passage],
    qrels: Qrels,
    runs: Runs,
    confidences: Sequence[float],
    threshold: float,
) -> Evaluation:
    texts = {passage.id: passage.text for passage in passages}
    measured = {
        where: {name: measure(qrels, run) for name, run in by_system.items()} for where, by_system in runs.items()
    }

    def outcomes(id_: str, where: str) -> Iterator[tuple[str, Outcome]]:
        for name, run in runs[where].items():
            first = First(run[id_][0], texts[run[id_][0]]) if run[id_] else None
            yield name, Outcome(measured[where][name].get(id_, {}), first)

    asked = tuple(
        Asked(q.id, q.text, q.answerable, confidence, {w: dict(outcomes(q.id, w)) for w in runs if _in(runs[w], q.id)})
        for q, confidence in zip(questions, confidences, strict=True)
    )
    figures = {where: _figures(by_system) for where, by_system in measured.items() if any(by_system.values())}
    return Evaluation(len(passages), figures, trust(asked, threshold), asked)


def _in(by_system: dict[str, Run], id_: str) -> bool:
    return any(id_ in run for run in by_system.values())


def measure(qrels: Qrels, run: Run) -> dict[str, dict[str, float]]:
    """Return the measures of each answerable question of a run, by its id."""
    judged = {id_: qrels[id_] for id_ in run if id_ in qrels}
    # A question with nothing found is not in the library's answer: it counts 0.
    values = {id_: dict.fromkeys(MEASURES, 0.0) for id_ in judged}
    scored = {id_: {passage: float(-rank) for rank, passage in enumerate(run[id_], start=1)} for id_ in judged}
    names = {value: name for name, value in _MEASURES.items()}
    for metric in ir_measures.iter_calc(list(names), judged, scored):
        values[metric.query_id][names[metric.measure]] = metric.value
    return values


def _figures(by_system: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, Figure]]:
    """Return the mean of each system's measures with their intervals, which are of the same resampled questions."""
    columns = [[one[name] for one in values.values()] for values in by_system.values() for name in MEASURES]
    found = iter(intervals(np.array(columns).T))
    return {system: {name: next(found) for name in MEASURES} for system in by_system}
