"""What is measured: the measures of each question, their means with intervals, and calibration quality.

The types below are frozen and do no I/O. ``open`` is search over all documents, ``in scope`` over the one document
that a question is about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from sourceline.errors import SourcelineError

Float64 = npt.NDArray[np.float64]
# Of each question, the grade of each relevant passage by its id.
Qrels = Mapping[str, Mapping[str, int]]
# Of each question, the ids of the passages that a system returns, best first.
Run = Mapping[str, Sequence[str]]

OPEN, IN_SCOPE = "open", "in scope"
SOURCELINE = "Sourceline"
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
class Outcome:
    """What a system did with a question. ``measures`` is empty if the question is not answerable."""

    measures: Mapping[str, float]
    top: TopPassage | None


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """A question with Sourceline's ``confidence`` (open) and, by setting and system, the outcome."""

    id: str
    question: str
    answerable: bool
    confidence: float
    outcomes: Mapping[str, Mapping[str, Outcome]]

    @property
    def correct(self) -> bool:
        """Whether Sourceline's first passage of all documents answers; False if the question is not answerable."""
        return self.outcomes[OPEN][SOURCELINE].measures.get("R@1") == 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ConfidenceMetrics:
    """What Sourceline's confidence is worth, over all questions, open.

    ``auc`` is the area under the ROC curve between answerable and unanswerable questions, None without both. The others
    are about the first passage being correct, which it never is for an unanswerable question: ``ece`` is the expected
    calibration error, ``aurc`` the area under the risk–coverage curve, ``answered`` the number of questions whose
    confidence reaches ``threshold``, ``correct`` how many of those are answered correctly.
    """

    threshold: float
    auc: float | None
    ece: float
    aurc: float
    answered: int
    correct: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results on a dataset. ``metrics`` are by setting, system and measure, over the answerable questions."""

    dataset: str
    passages: int
    metrics: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    confidence: ConfidenceMetrics
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


def confidence_metrics(questions: Sequence[QuestionResult], threshold: float) -> ConfidenceMetrics:
    """Return the calibration quality, with questions at or above ``threshold`` counted as answered."""
    answered = [question for question in questions if question.confidence >= threshold]
    bins = reliability_bins(questions)
    return ConfidenceMetrics(
        threshold=threshold,
        auc=roc_auc(questions),
        ece=sum(item.count * abs(item.confidence - item.accuracy) for item in bins) / len(questions),
        aurc=float(risk_coverage(questions).mean()),
        answered=len(answered),
        correct=sum(question.correct for question in answered),
    )


def roc_auc(questions: Sequence[QuestionResult]) -> float | None:
    """Return the chance that an answerable question has more confidence than an unanswerable one (ties count half)."""
    positive = np.array([question.confidence for question in questions if question.answerable])
    negative = np.sort([question.confidence for question in questions if not question.answerable])
    if not len(positive) or not len(negative):
        return None
    below, not_above = np.searchsorted(negative, positive, "left"), np.searchsorted(negative, positive, "right")
    return float((below + not_above).mean() / 2 / len(negative))


def reliability_bins(questions: Sequence[QuestionResult]) -> list[ReliabilityBin]:
    """Return the questions in ten bins of equal width by confidence, lowest first; empty bins are left out."""
    confidence = np.array([question.confidence for question in questions])
    correct = np.array([question.correct for question in questions])
    numbers = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        ReliabilityBin(int(members.sum()), float(confidence[members].mean()), float(correct[members].mean()))
        for members in (numbers == number for number in range(BINS))
        if members.any()
    ]


def risk_coverage(questions: Sequence[QuestionResult]) -> Float64:
    """Return the share of wrong first passages among the 1, 2, … most confident questions, (questions,).

    Questions of equal confidence each count as their mean, so that their order does not matter.
    """
    confidence = np.array([question.confidence for question in questions])
    wrong = np.array([not question.correct for question in questions], dtype=np.float64)
    _, tied, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    shares = np.bincount(tied, weights=wrong) / counts
    return np.cumsum(np.repeat(shares, counts)) / np.arange(1, len(questions) + 1)
