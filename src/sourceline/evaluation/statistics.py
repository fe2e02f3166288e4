"""Means with bootstrap intervals, and how far a confidence can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sourceline.evaluation.figures import Asked, Figure, Trust

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
