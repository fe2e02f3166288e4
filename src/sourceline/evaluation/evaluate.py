"""Evaluates a labelled dataset: indexes its documents in a temporary folder and asks every system every question."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sourceline.encoders.load import ENCODERS, open_encoder
from sourceline.errors import DatasetError, QuestionError
from sourceline.evaluation.baselines import System, ablations, baselines, sourceline
from sourceline.evaluation.dataset import Dataset, Question
from sourceline.evaluation.metrics import (
    DEPTH,
    IN_SCOPE,
    OPEN,
    SOURCELINE,
    Evaluation,
    Outcome,
    Qrels,
    QuestionResult,
    TopPassage,
    confidence_metrics,
    mean_measures,
    measure_run,
    require_eval_extra,
)
from sourceline.index.passage_store import PassageStore
from sourceline.index.row_filter import RowFilter
from sourceline.index.snapshot import open_current
from sourceline.indexing.builder import build
from sourceline.indexing.config import IndexConfig
from sourceline.search.confidence import Calibration, load_calibration
from sourceline.search.query import QueryEncoding, encode_query, validate_question
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_THRESHOLD, Backend, BuildProgress

# The stage (``encoding`` or ``asking``), how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]
# By setting, system and question: the ids of the passages that were returned, best first.
Runs = dict[str, dict[str, dict[str, list[str]]]]


def evaluate(
    dataset: Dataset,
    model: str,
    backend: Backend,
    index: Path,
    progress: Progress = lambda *_: None,
    ablate: bool = False,
    threshold: float = DEFAULT_THRESHOLD,
) -> Evaluation:
    """Index a dataset's documents in a temporary folder, ask all its questions, and measure the answers.

    Args:
        dataset: documents and questions.
        model: the model's name.
        backend: what runs the model.
        index: an index folder whose exported model is used, so that it need not be exported again.
        progress: called while documents are encoded and questions asked.
        ablate: measure Sourceline without each of its stages, too.
        threshold: the least confidence with which a question counts as answered.

    Raises:
        DatasetError: a label names a document that is not in the dataset, or no passage overlaps it; or a question
            cannot be asked.
        BuildError, CorpusError, ModelError: as from ``build``.
        SourcelineError: a package of the extra ``eval`` is missing.
    """
    require_eval_extra()
    with tempfile.TemporaryDirectory(prefix="sourceline-evaluate-") as scratch:
        folder = Path(scratch)
        if (index / ENCODERS).is_dir():
            shutil.copytree(index / ENCODERS, folder / ENCODERS)

        def report(state: BuildProgress) -> None:
            progress("encoding", state.done, state.total)

        def rebuild(config: IndexConfig) -> Searcher:
            scratch_index = Path(tempfile.mkdtemp(dir=folder))
            if (folder / ENCODERS).is_dir():
                (scratch_index / ENCODERS).symlink_to(folder / ENCODERS)
            build(dataset.documents, scratch_index, model, backend, config=config)
            return open_searcher(scratch_index)

        build(dataset.documents, folder, model, backend, report)
        searcher = open_searcher(folder)
        systems = [sourceline(searcher), *baselines(searcher.snapshot)]
        if ablate:
            systems += ablations(searcher, rebuild)
        return _measure(dataset, searcher, systems, load_calibration(model), threshold, progress)


def open_searcher(index: Path) -> Searcher:
    """Open the current snapshot of an index below the front door, to rank and measure.

    Raises:
        SnapshotError: there is none that can be served.
        ModelError: its encoder cannot be opened.
    """
    snapshot = open_current(index)
    manifest = snapshot.manifest
    encoder = open_encoder(Backend(manifest.backend), manifest.model, manifest.fingerprint, index)
    return Searcher(snapshot, encoder, load_calibration(manifest.model))


def _measure(
    dataset: Dataset,
    searcher: Searcher,
    systems: Sequence[System],
    calibration: Calibration,
    threshold: float,
    progress: Progress,
) -> Evaluation:
    store = searcher.snapshot.passages
    passages = [passage for entry in store.documents for passage in store.answers_of(entry).values()]
    # Duplicates are shown once, so that each stands for all of them: a row gets the id of the first that says the same.
    first_rows = store.duplicates(range(len(passages)))
    ids = [passages[first_rows.get(row, row)].id for row in range(len(passages))]
    first_ids = {passage.id: first for passage, first in zip(passages, ids, strict=True)}
    qrels = _merge_duplicates(build_qrels(dataset.questions, store), first_ids)
    runs, confidences = _ask_all(dataset.questions, searcher, systems, calibration, ids, progress)
    measures = {
        setting: {name: measure_run(qrels, run) for name, run in by_system.items()}
        for setting, by_system in runs.items()
    }
    texts = {passage.id: passage.text for passage in passages}

    def outcome(question: Question, setting: str, system: str) -> Outcome:
        ranked = runs[setting][system][question.id]
        top = TopPassage(ranked[0], texts[ranked[0]]) if ranked else None
        return Outcome(measures[setting][system].get(question.id, {}), top)

    questions = tuple(
        QuestionResult(
            id=question.id,
            question=question.text,
            answerable=question.answerable,
            confidence=confidence,
            outcomes={
                setting: {name: outcome(question, setting, name) for name in by_system}
                for setting, by_system in runs.items()
                if question.id in by_system[SOURCELINE]
            },
        )
        for question, confidence in zip(dataset.questions, confidences, strict=True)
    )
    return Evaluation(
        dataset=dataset.name,
        passages=len(passages),
        metrics={setting: mean_measures(values) for setting, values in measures.items() if values[SOURCELINE]},
        confidence=confidence_metrics(questions, threshold),
        questions=questions,
    )


def _ask_all(
    questions: Sequence[Question],
    searcher: Searcher,
    systems: Sequence[System],
    calibration: Calibration,
    ids: Sequence[str],
    progress: Progress,
) -> tuple[Runs, list[float]]:
    """Return the runs, and Sourceline's confidence in its answer to each question, open.

    Args:
        questions: of the dataset.
        searcher: Sourceline.
        systems: all that are asked.
        calibration: of the confidence.
        ids: for each row, the id of the passage that it counts as.
        progress: called after each question.
    """
    runs: Runs = {}
    confidences = []
    scopes = _scope_filters(questions, searcher)
    for number, question in enumerate(questions, start=1):
        query = _encode(question, searcher)
        confidences.append(_confidence(query, searcher, calibration))
        row_filters: dict[str, RowFilter | None] = {OPEN: None}
        if question.scope in scopes:
            row_filters[IN_SCOPE] = scopes[question.scope]
        for setting, row_filter in row_filters.items():
            for system in systems:
                rows = system.rank(query, DEPTH, row_filter)
                run = runs.setdefault(setting, {}).setdefault(system.name, {})
                run[question.id] = [ids[row] for row in rows]
        progress("asking", number, len(questions))
    return runs, confidences


def _encode(question: Question, searcher: Searcher) -> QueryEncoding:
    try:
        return encode_query(searcher.encoder, validate_question(question.text))
    except QuestionError as error:
        raise DatasetError(f"question {question.id}: {error}") from error


def _confidence(query: QueryEncoding, searcher: Searcher, calibration: Calibration) -> float:
    """Return the confidence that an answer from all documents has."""
    ranking = searcher.rank(query, DEPTH, None)
    scores = searcher.component_scores(query, ranking, 1)
    if not scores:
        return 0.0
    return calibration.confidence(searcher.features(query, ranking, scores[0], None))


def _scope_filters(questions: Sequence[Question], searcher: Searcher) -> dict[str | None, RowFilter]:
    """Return the rows of every scope; none in a dataset of one document, where in scope would be the same as open."""
    filters: dict[str | None, RowFilter] = {}
    for question in questions:
        if question.scope and question.scope not in filters:
            filters[question.scope] = searcher.filter_documents([question.scope])
            if not filters[question.scope]:
                raise DatasetError(f"question {question.id}: no document with passages is its scope, {question.scope}")
    return filters if len(searcher.snapshot.passages.documents) > 1 else {}


def build_qrels(questions: Sequence[Question], store: PassageStore) -> dict[str, dict[str, int]]:
    """Return the passages that answer each answerable question: those that overlap a relevant range, with its grade.

    A passage that overlaps several has the greatest of their grades. A labelled heading counts like any other passage
    though no answer ever shows it, so that a sentence which is taken for a heading costs a miss.

    Raises:
        DatasetError: a label names a document that is not indexed, or no passage overlaps it.
    """
    documents = {entry.id: store.of_document(entry) for entry in store.documents}
    qrels: dict[str, dict[str, int]] = {}
    for question in questions:
        if not question.answerable:
            continue
        grades: dict[str, int] = {}
        for label in question.relevant:
            for passage in documents.get(label.document, ()):
                if passage.start < label.end and label.start < passage.end:
                    grades[passage.id] = max(grades.get(passage.id, 0), label.grade)
        if not grades:
            raise DatasetError(f"question {question.id}: no passage stands where its labels say")
        qrels[question.id] = grades
    return qrels


def _merge_duplicates(qrels: Qrels, first_ids: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Return the grades with those of duplicates, the greatest of them, under the first."""
    merged: dict[str, dict[str, int]] = {}
    for question, grades in qrels.items():
        merged[question] = {}
        for id_, grade in grades.items():
            first = first_ids.get(id_, id_)
            merged[question][first] = max(grade, merged[question].get(first, 0))
    return merged
