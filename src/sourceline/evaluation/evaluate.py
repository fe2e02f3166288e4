"""Evaluates a labelled dataset: indexes its documents in a temporary folder and asks every system every question."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sourceline.durable import scratch_folder
from sourceline.encoders.base import Reranker
from sourceline.encoders.load import ENCODERS, open_encoder
from sourceline.encoders.reranker import CrossEncoderReranker, open_reranker
from sourceline.errors import DatasetError, QuestionError
from sourceline.evaluation.baselines import (
    Ranked,
    RememberingReranker,
    System,
    ablations,
    baselines,
    cross_encoder,
    sourceline,
)
from sourceline.evaluation.dataset import Dataset, Question
from sourceline.evaluation.metrics import (
    DEPTH,
    FAST,
    IN_SCOPE,
    OPEN,
    SOURCELINE,
    Evaluation,
    Outcome,
    Qrels,
    QuestionResult,
    TopPassage,
    confidence_metrics,
    form_metrics,
    judgements,
    mean_measures,
    measure_run,
    require_eval_extra,
)
from sourceline.index.base import Passages
from sourceline.index.row_filter import RowFilter
from sourceline.index.snapshot import open_current
from sourceline.indexing.builder import build
from sourceline.indexing.config import IndexConfig
from sourceline.search.confidence import load_calibration, load_reader_calibration
from sourceline.search.query import QueryEncoding, encode_query, validate_question
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_RERANKER, DEFAULT_THRESHOLD, Backend, BuildProgress, Filters

# The stage (``encoding`` or ``asking``), how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]
# What the systems did with a question: by setting and system.
Asked = dict[str, dict[str, Ranked]]


def evaluate(
    dataset: Dataset,
    model: str,
    backend: Backend,
    index: Path,
    progress: Progress = lambda *_: None,
    ablate: bool = False,
    threshold: float = DEFAULT_THRESHOLD,
    *,
    reranker: str = DEFAULT_RERANKER,
    cross_encoder_name: str | None = None,
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
        reranker: what reads, by name: ``reader``, ``none``, or a CrossEncoder.
        cross_encoder_name: a CrossEncoder, by name or folder, that is measured beside Sourceline on fused lists.

    Raises:
        DatasetError: a label names a document that is not in the dataset, or no passage overlaps it; or a question
            cannot be asked.
        BuildError, CorpusError, ModelError: as from ``build``.
        SourcelineError: a package of the extra ``eval`` is missing.
    """
    require_eval_extra()
    reads = open_reranker(reranker)
    remembering = RememberingReranker(reads) if reads else None
    stock = CrossEncoderReranker(cross_encoder_name) if cross_encoder_name else None
    with scratch_folder("sourceline-evaluate-") as folder:
        if (index / ENCODERS).is_dir():
            shutil.copytree(index / ENCODERS, folder / ENCODERS)

        def report(state: BuildProgress) -> None:
            progress("encoding", state.done, state.total)

        def rebuild(config: IndexConfig) -> Searcher:
            scratch_index = Path(tempfile.mkdtemp(dir=folder))
            if (folder / ENCODERS).is_dir():
                (scratch_index / ENCODERS).symlink_to(folder / ENCODERS)
            build(dataset.documents, scratch_index, model, backend, config=config)
            return open_searcher(scratch_index, remembering)

        build(dataset.documents, folder, model, backend, report)
        searcher = open_searcher(folder, remembering)
        systems = [*sourceline(searcher), *baselines(searcher.snapshot)]
        if stock:
            systems.append(cross_encoder(searcher.snapshot, stock))
        if ablate:
            systems += ablations(searcher, rebuild)
        return measure(dataset, searcher, systems, threshold, progress)


def open_searcher(index: Path, reranker: Reranker | None = None) -> Searcher:
    """Open the current snapshot of an index below the front door, to rank and measure on all cores.

    Args:
        index: the folder.
        reranker: what reads; None ranks by late interaction alone.

    Raises:
        SnapshotError: there is none that can be served.
        ModelError: its encoder cannot be opened.
    """
    snapshot = open_current(index, connections=os.cpu_count() or 1)
    manifest = snapshot.manifest
    encoder = open_encoder(Backend(manifest.backend), manifest.model, manifest.fingerprint, index)
    return Searcher(
        snapshot,
        encoder,
        load_calibration(manifest.model),
        reranker=reranker,
        reader_calibration=load_reader_calibration(reranker.name) if reranker else None,
    )


def measure(
    dataset: Dataset,
    searcher: Searcher,
    systems: Sequence[System],
    threshold: float = DEFAULT_THRESHOLD,
    progress: Progress = lambda *_: None,
) -> Evaluation:
    """Ask the systems all questions of a dataset and measure what they return.

    Args:
        dataset: the questions; its documents are what the searcher's index holds.
        searcher: Sourceline.
        systems: all that are asked, Sourceline first.
        threshold: the least confidence with which a question counts as answered.
        progress: called after each question.

    Raises:
        DatasetError: as from ``evaluate``.
    """
    store = searcher.snapshot.passages
    passages = [passage for entry in store.documents for passage in store.answers_of(entry).values()]
    # Duplicates are shown once, so that each stands for all of them: a row gets the id of the first that says the same.
    first_rows = store.duplicates(range(len(passages)))
    ids = [passages[first_rows.get(row, row)].id for row in range(len(passages))]
    first_ids = {passage.id: first for passage, first in zip(passages, ids, strict=True)}
    qrels = _merge_duplicates(build_qrels(dataset.questions, store), first_ids)
    asked = _ask_all(dataset.questions, searcher, systems, progress)
    settings = [setting for setting in (OPEN, IN_SCOPE) if any(setting in of_question for of_question in asked)]

    def run_of(setting: str, system: str) -> dict[str, list[str]]:
        return {
            question.id: [ids[row] for row in of_question[setting][system].rows]
            for question, of_question in zip(dataset.questions, asked, strict=True)
            if setting in of_question
        }

    measures = {
        setting: {system.name: measure_run(qrels, run_of(setting, system.name)) for system in systems}
        for setting in settings
    }

    def outcome(question: Question, setting: str, system: str, ranked: Ranked) -> Outcome:
        top = passages[first_rows.get(ranked.rows[0], ranked.rows[0])] if ranked.rows else None
        return Outcome(
            measures[setting][system].get(question.id, {}),
            TopPassage(top.id, top.text) if top else None,
            ranked.confidence,
        )

    questions = tuple(
        QuestionResult(
            id=question.id,
            question=question.text,
            answerable=question.answerable,
            form=question.form,
            outcomes={
                setting: {name: outcome(question, setting, name, ranked) for name, ranked in by_system.items()}
                for setting, by_system in of_question.items()
            },
        )
        for question, of_question in zip(dataset.questions, asked, strict=True)
    )
    sourcelines = [system.name for system in systems if system.name in (SOURCELINE, FAST)]
    return Evaluation(
        dataset=dataset.name,
        passages=len(passages),
        metrics={setting: mean_measures(values) for setting, values in measures.items() if values[SOURCELINE]},
        confidence={
            setting: {name: confidence_metrics(judgements(questions, setting, name), threshold) for name in sourcelines}
            for setting in settings
        },
        forms={
            setting: {name: form_metrics(questions, setting, name, threshold) for name in sourcelines}
            for setting in settings
            if any(question.form for question in dataset.questions)
        },
        questions=questions,
    )


def _ask_all(
    questions: Sequence[Question], searcher: Searcher, systems: Sequence[System], progress: Progress
) -> list[Asked]:
    """Return what the systems did with each question, in order. A question is asked on each core at a time."""
    scopes = _scope_filters(questions, searcher)

    def ask(question: Question) -> Asked:
        query = _encode(question, searcher)
        row_filters: dict[str, RowFilter | None] = {OPEN: None}
        if question.scope in scopes:
            row_filters[IN_SCOPE] = scopes[question.scope]
        return {
            setting: {system.name: system.rank(query, DEPTH, row_filter) for system in systems}
            for setting, row_filter in row_filters.items()
        }

    asked = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for of_question in pool.map(ask, questions):
            asked.append(of_question)
            progress("asking", len(asked), len(questions))
    return asked


def _encode(question: Question, searcher: Searcher) -> QueryEncoding:
    try:
        return encode_query(searcher.encoder, validate_question(question.text))
    except QuestionError as error:
        raise DatasetError(f"question {question.id}: {error}") from error


def _scope_filters(questions: Sequence[Question], searcher: Searcher) -> dict[str | None, RowFilter]:
    """Return the rows of every scope; none in a dataset of one document, where in scope would be the same as open."""
    filters: dict[str | None, RowFilter] = {}
    for question in questions:
        if question.scope and question.scope not in filters:
            filters[question.scope] = searcher.filter_rows(Filters(documents=(question.scope,)))
            if not filters[question.scope]:
                raise DatasetError(f"question {question.id}: no document with passages is its scope, {question.scope}")
    return filters if len(searcher.snapshot.passages.documents) > 1 else {}


def build_qrels(questions: Sequence[Question], store: Passages) -> dict[str, dict[str, int]]:
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
