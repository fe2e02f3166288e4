"""What is measured: the measures of each question, their means with intervals, and calibration quality.

The types below are frozen and do no I/O. ``open`` is search over all documents, ``in scope`` over the one document
that a question is about.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from sourceline.errors import SourcelineError
from sourceline.search.confidence import verdict
from sourceline.types import Verdict

Float64 = npt.NDArray[np.float64]
# Of each question, the grade of each relevant passage by its id.
Qrels = Mapping[str, Mapping[str, int]]
# Of each question, the ids of the passages that a system returns, best first.
Run = Mapping[str, Sequence[str]]

OPEN, IN_SCOPE = "open", "in scope"
SOURCELINE = "Sourceline"
FAST = "Sourceline, fast"  # by late interaction alone
# R@k is success@k: 1 if any of the first k passages is relevant, however many others are relevant too.
MEASURES = ("R@1", "R@5", "R@10", "MRR@10", "nDCG@10")
DEPTH = 10  # the passages of each question that are measured
RESAMPLES = 2_000
BINS = 10
_BATCH = 50  # resamples at once: with 10,000 questions 4 MB


@dataclass(frozen=True, slots=True)
class TopPassage:
    """The passage that a system ranks first."""

    citation: str
    text: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What confidence is measured on: a system's confidence in its first passage, and whether that is correct.

    No passage is correct if the question is not answerable.
    """

    answerable: bool
    correct: bool
    confidence: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a system did with a question.

    ``measures`` is empty if the question is not answerable, ``confidence`` None if the system has none.
    """

    measures: Mapping[str, float]
    top: TopPassage | None
    confidence: float | None = None

    @property
    def correct(self) -> bool:
        """Whether the first passage answers; False if the question is not answerable."""
        return self.measures.get("R@1") == 1


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """A question and, by setting and system, the outcome. ``form`` is the kind of question, if the set names kinds."""

    id: str
    question: str
    answerable: bool
    form: str | None
    outcomes: Mapping[str, Mapping[str, Outcome]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ConfidenceMetrics:
    """What the confidence of a system is worth, over all questions of a setting.

    ``auc`` is the area under the ROC curve between answerable and unanswerable questions, None without both. ``ece``,
    ``aurc``, ``answered`` and ``correct`` are about the first passage being correct, which it never is for an
    unanswerable question: ``ece`` is the expected calibration error, ``aurc`` the area under the risk–coverage curve,
    ``answered`` the number of questions whose confidence reaches ``threshold``, ``correct`` how many of those are
    answered correctly. The others count the verdicts on ``answerable`` and ``unanswerable`` questions.
    """

    threshold: float
    auc: float | None
    ece: float
    aurc: float
    answered: int
    correct: int
    answerable: Mapping[str, int]
    unanswerable: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FormMetrics:
    """What a system did with the questions of one form.

    Of the ``answerable`` ones, ``correct`` have a right first passage and ``shown`` are shown as answered; of the
    ``unanswerable`` ones, ``shown_unanswerable`` are.
    """

    answerable: int
    correct: int
    shown: int
    unanswerable: int
    shown_unanswerable: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results on a dataset.

    ``metrics`` are by setting, system and measure, over the answerable questions; ``confidence`` by setting and system,
    for the systems that have one; ``forms`` by setting, system and form, empty if the set names no forms.
    """

    dataset: str
    passages: int
    metrics: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    confidence: Mapping[str, Mapping[str, ConfidenceMetrics]]
    forms: Mapping[str, Mapping[str, Mapping[str, FormMetrics]]]
    questions: tuple[QuestionResult, ...]

    def answerable(self, setting: str | None = None) -> int:
        """Return the number of answerable questions, in a setting if one is named."""
        return sum(q.answerable and (setting is None or setting in q.outcomes) for q in self.questions)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Questions of similar confidence: their number, mean confidence, and the share that is answered correctly."""

    count: int
    confidence: float
    accuracy: float


def require_eval_extra() -> None:
    """Check that the packages of the extra ``eval`` are installed.

    Raises:
        SourcelineError: one is missing.
    """
    for module in ("ir_measures", "jinja2", "matplotlib"):
        if find_spec(module) is None:
            raise SourcelineError(f"{module} is missing: pip install 'sourceline[eval]'")


def measure_run(qrels: Qrels, run: Run) -> dict[str, dict[str, float]]:
    """Return the measures of each question of a run that has relevant passages, by its id."""
    import ir_measures
    from ir_measures import RR, Success, nDCG

    names = dict(zip((Success @ 1, Success @ 5, Success @ 10, RR @ DEPTH, nDCG @ DEPTH), MEASURES, strict=True))
    judged = {id_: dict(qrels[id_]) for id_ in run if id_ in qrels}
    scored = {id_: {passage: float(-rank) for rank, passage in enumerate(run[id_], start=1)} for id_ in judged}
    # ir_measures leaves out a question for which nothing was retrieved: it counts 0.
    values = {id_: dict.fromkeys(MEASURES, 0.0) for id_ in judged}
    for metric in ir_measures.iter_calc(list(names), judged, scored):
        values[metric.query_id][names[metric.measure]] = metric.value
    return values


def mean_measures(by_system: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, Estimate]]:
    """Return the means of each system's measures; all intervals are of the same resampled questions.

    Args:
        by_system: by system, then question, then measure; the same questions for every system.
    """
    columns = [[values[name] for values in run.values()] for run in by_system.values() for name in MEASURES]
    estimates = iter(bootstrap_means(np.array(columns).T))
    return {system: {name: next(estimates) for name in MEASURES} for system in by_system}


def bootstrap_means(values: Float64) -> list[Estimate]:
    """Return the mean of each column with its 95 % interval, by the percentile bootstrap over rows (seed 0).

    All columns are resampled alike. The result is that of ``scipy.stats.bootstrap``; counting how often each row is
    drawn, instead of copying it, is some fifteen times as fast.

    Args:
        values: (questions, columns), at least one question.
    """
    total = len(values)
    random = np.random.default_rng(0)
    means = []
    for _ in range(RESAMPLES // _BATCH):
        draws = random.integers(0, total, (_BATCH, total)) + np.arange(_BATCH)[:, None] * total
        counts = np.bincount(draws.ravel(), minlength=_BATCH * total).reshape(_BATCH, total)
        means.append(counts.astype(np.float64) @ values / total)
    lows, highs = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    columns = zip(values.mean(axis=0), lows, highs, strict=True)
    return [Estimate(float(mean), float(low), float(high)) for mean, low, high in columns]


def judgements(questions: Iterable[QuestionResult], setting: str, system: str) -> list[Judgement]:
    """Return the confidence of a system in each question that it was asked in a setting."""
    outcomes = ((question, question.outcomes.get(setting, {}).get(system)) for question in questions)
    return [
        Judgement(question.answerable, outcome.correct, outcome.confidence)
        for question, outcome in outcomes
        if outcome and outcome.confidence is not None
    ]


def confidence_metrics(judgements: Sequence[Judgement], threshold: float) -> ConfidenceMetrics:
    """Return the calibration quality, with questions at or above ``threshold`` counted as answered."""
    answered = [item for item in judgements if item.confidence >= threshold]
    bins = reliability_bins(judgements)
    return ConfidenceMetrics(
        threshold=threshold,
        auc=roc_auc(judgements),
        ece=sum(item.count * abs(item.confidence - item.accuracy) for item in bins) / len(judgements),
        aurc=float(risk_coverage(judgements).mean()),
        answered=len(answered),
        correct=sum(item.correct for item in answered),
        answerable=_count_verdicts([item.confidence for item in judgements if item.answerable], threshold),
        unanswerable=_count_verdicts([item.confidence for item in judgements if not item.answerable], threshold),
    )


def _count_verdicts(confidences: Sequence[float], threshold: float) -> dict[str, int]:
    counts = Counter(verdict(confidence, threshold) for confidence in confidences)
    return {kind.value: counts[kind] for kind in Verdict}


def form_metrics(
    questions: Sequence[QuestionResult], setting: str, system: str, threshold: float
) -> dict[str, FormMetrics]:
    """Return what a system did with the questions of each form, in the order in which the forms first occur."""
    by_form: dict[str, list[QuestionResult]] = {}
    for question in questions:
        if question.form and setting in question.outcomes:
            by_form.setdefault(question.form, []).append(question)
    return {form: _of_form(judgements(asked, setting, system), threshold) for form, asked in by_form.items()}


def _of_form(judgements: Sequence[Judgement], threshold: float) -> FormMetrics:
    shown = [item for item in judgements if item.confidence >= threshold]
    answerable = sum(item.answerable for item in judgements)
    shown_answerable = sum(item.answerable for item in shown)
    return FormMetrics(
        answerable=answerable,
        correct=sum(item.correct for item in judgements),
        shown=shown_answerable,
        unanswerable=len(judgements) - answerable,
        shown_unanswerable=len(shown) - shown_answerable,
    )


def roc_auc(judgements: Sequence[Judgement]) -> float | None:
    """Return the chance that an answerable question has more confidence than an unanswerable one (ties count half)."""
    positive = np.array([item.confidence for item in judgements if item.answerable])
    negative = np.sort([item.confidence for item in judgements if not item.answerable])
    if not len(positive) or not len(negative):
        return None
    below, not_above = np.searchsorted(negative, positive, "left"), np.searchsorted(negative, positive, "right")
    return float((below + not_above).mean() / 2 / len(negative))


def reliability_bins(judgements: Sequence[Judgement]) -> list[ReliabilityBin]:
    """Return the questions in ten bins of equal width by confidence, lowest first; empty bins are left out."""
    confidence = np.array([item.confidence for item in judgements])
    correct = np.array([item.correct for item in judgements])
    numbers = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        ReliabilityBin(int(members.sum()), float(confidence[members].mean()), float(correct[members].mean()))
        for members in (numbers == number for number in range(BINS))
        if members.any()
    ]


def risk_coverage(judgements: Sequence[Judgement]) -> Float64:
    """Return the share of wrong first passages among the 1, 2, … most confident questions, (questions,).

    Questions of equal confidence each count as their mean, so that their order does not matter.
    """
    confidence = np.array([item.confidence for item in judgements])
    wrong = np.array([not item.correct for item in judgements], dtype=np.float64)
    _, tied, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    shares = np.bincount(tied, weights=wrong) / counts
    return np.cumsum(np.repeat(shares, counts)) / np.arange(1, len(judgements) + 1)
