"""What is measured on a labelled set: for every question, and summed up. Frozen, slotted, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Where the answer was looked for: in all documents, or only in the one that the question was asked of.
OPEN, IN_SCOPE = "open", "in scope"
SOURCELINE = "Sourceline"
# R@k is success@k: 1 if one of the first k passages answers, however many others answer too.
MEASURES = ("R@1", "R@5", "R@10", "MRR@10", "nDCG@10")


@dataclass(frozen=True, slots=True)
class First:
    """The passage that a system ranks first."""

    citation: str
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one system did with one question: its measures, none if it is not answerable, and the first passage."""

    measures: dict[str, float]
    first: First | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: Sourceline's ``confidence`` (open), and by where, then by system, what came of it."""

    id: str
    question: str
    answerable: bool
    confidence: float
    outcomes: dict[str, dict[str, Outcome]]

    @property
    def right(self) -> bool:
        """Whether the first passage that Sourceline shows of all documents answers; never, if nothing does."""
        return self.outcomes[OPEN][SOURCELINE].measures.get("R@1") == 1


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over questions, with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Trust:
    """What Sourceline's confidence is worth, over all questions of the set, open.

    ``auc``: between answerable and unanswerable questions; None without both. The others are about the first passage
    being right, which an unanswerable question's never is. ``ece``: the expected calibration error; ``aurc``: the area
    under the risk–coverage curve; ``shown``: how many questions reach ``threshold``, and ``right``: how many of these
    have the right passage first.
    """

    threshold: float
    auc: float | None
    ece: float
    aurc: float
    shown: int
    right: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A labelled set's figures: by where, then system, then measure; nothing where no question is answerable."""

    passages: int
    figures: dict[str, dict[str, dict[str, Figure]]]
    trust: Trust
    asked: tuple[Asked, ...]

    def answerable(self, where: str) -> int:
        """Return how many questions the figures are over."""
        return sum(one.answerable and where in one.outcomes for one in self.asked)


Float64 = npt.NDArray[np.float64]

RESAMPLES = 2_000
BINS = 10
_BATCH = 50  # resamples at once: with 10,000 questions 4 MB


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions of about the same confidence: how many, their mean confidence, and the share answered right."""

    count: int
    confidence: float
    right: float


def intervals(values: Float64) -> list[Figure]:
    """Return the mean of each column with its 95 % interval, by the percentile bootstrap over rows (seed 0).

    All columns are resampled alike. What is computed is ``scipy.stats.bootstrap``'s, by counts instead of by copies,
    which is some fifteen times as fast.

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
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    columns = zip(values.mean(axis=0), low, high, strict=True)
    return [Figure(float(mean), float(least), float(most)) for mean, least, most in columns]


def trust(asked: Sequence[Asked], threshold: float) -> Trust:
    """Return what the confidence of these questions is worth, answers being shown from ``threshold`` on."""
    shown = [one for one in asked if one.confidence >= threshold]
    bins = reliability(asked)
    return Trust(
        threshold=threshold,
        auc=auc(asked),
        ece=sum(one.count * abs(one.confidence - one.right) for one in bins) / len(asked),
        aurc=float(risks(asked).mean()),
        shown=len(shown),
        right=sum(one.right for one in shown),
    )


def auc(asked: Sequence[Asked]) -> float | None:
    """Return the chance that an answerable question has more confidence than an unanswerable one (ties count half)."""
    yes = np.array([one.confidence for one in asked if one.answerable])
    no = np.sort([one.confidence for one in asked if not one.answerable])
    if not len(yes) or not len(no):
        return None
    below, not_above = np.searchsorted(no, yes, "left"), np.searchsorted(no, yes, "right")
    return float((below + not_above).mean() / 2 / len(no))


def reliability(asked: Sequence[Asked]) -> list[Bin]:
    """Return the questions in ten bins of equal width by confidence, least first, without those that are empty."""
    confidence = np.array([one.confidence for one in asked])
    right = np.array([one.right for one in asked])
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    chosen = [places == place for place in range(BINS)]
    return [Bin(int(one.sum()), float(confidence[one].mean()), float(right[one].mean())) for one in chosen if one.any()]


def risks(asked: Sequence[Asked]) -> Float64:
    """Return the share of wrong first passages among the 1, 2, … most confident questions: (questions,).

    Questions of one confidence count each as their mean, so that their order does not matter.
    """
    confidence = np.array([one.confidence for one in asked])
    wrong = np.array([not one.right for one in asked], dtype=np.float64)
    _, tied, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    shares = np.bincount(tied, weights=wrong) / counts
    return np.cumsum(np.repeat(shares, counts)) / np.arange(1, len(asked) + 1)
