"""How likely it is that the first passage answers the question: a calibrated probability."""

import json
import math
from dataclasses import dataclass, fields
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np

from sourceline.encoders.base import Float32
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL, DEFAULT_RERANKER, Verdict

# Below the threshold, but from this share of it on, an answer is shown as one that may be.
UNSURE_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class ConfidenceFeatures:
    """What the scores of the candidates say, comparable between corpora of different sizes.

    ``late`` is the first passage's late-interaction score, ``dense`` its cosine, ``coverage`` its BM25 score as a share
    of the most that the question's words could give, ``lead`` its distance to the mean of those behind it, and ``size``
    the logarithm of how many passages were searched: among more, the best is better by chance.
    """

    late: float
    dense: float
    coverage: float
    lead: float
    size: float

    def values(self) -> Float32:
        """Return the features in the order of the coefficients."""
        return np.array([self.late, self.dense, self.coverage, self.lead, self.size], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic regression: ``1 / (1 + exp(-(intercept + coefficients · features)))``."""

    coefficients: tuple[float, ...]
    intercept: float

    def confidence(self, features: ConfidenceFeatures) -> float:
        """Return the probability that the first passage answers the question."""
        return _logistic(self.intercept + float(features.values() @ np.array(self.coefficients)))


@dataclass(frozen=True, slots=True)
class ReaderCalibration:
    """How a reader's scores rank, and what they are worth.

    A passage ranks by ``reader + late_weight · late``; one that was not read, by ``unread`` in the reader's place. Once
    a sentence reaches ``decided``, no more chunks are read. The
    confidence is ``1 / (1 + exp(-(intercept + slope · reader)))`` with the reader's score of the first passage, or
    again ``unread``: it depends on the question, on the chunk where the passage stands, and on whether another passage
    is so close that both are read again.
    """

    late_weight: float
    unread: float
    decided: float
    slope: float
    intercept: float

    def score(self, reader: float | None, late: float) -> float:
        """Return by what a passage ranks; ``reader`` is None if it was not read."""
        return self._reader(reader) + self.late_weight * late

    def confidence(self, reader: float | None) -> float:
        """Return the probability that a passage with this score of the reader, None if it was not read, answers."""
        return _logistic(self.intercept + self.slope * self._reader(reader))

    def _reader(self, reader: float | None) -> float:
        return self.unread if reader is None else reader


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(min(-value, 700.0)))  # exp of more would overflow


def verdict(confidence: float, threshold: float) -> Verdict:
    """Return what a confidence means: ``answered`` from the threshold, ``unsure`` from UNSURE_SHARE of it."""
    if confidence >= threshold:
        return Verdict.ANSWERED
    return Verdict.UNSURE if confidence >= UNSURE_SHARE * threshold else Verdict.NOT_ANSWERED


def load_reader_calibration(reranker: str) -> ReaderCalibration | None:
    """Return the calibration of a reranker, None if it has none.

    Raises:
        ModelError: it cannot be read.
    """
    if reranker != DEFAULT_RERANKER:
        return None
    file = _calibration_file(reranker)
    try:
        values = json.loads(file.read_text("utf-8"))
        return ReaderCalibration(**{field.name: float(values[field.name]) for field in fields(ReaderCalibration)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the calibration {file} cannot be read: reinstall Sourceline") from error


def load_calibration(model: str) -> Calibration:
    """Return the calibration of a model, or the default model's, which is then rough.

    Raises:
        ModelError: it cannot be read.
    """
    file = _calibration_file(model if is_calibrated(model) else DEFAULT_MODEL)
    try:
        values = json.loads(file.read_text("utf-8"))
        return Calibration(tuple(values["coefficients"].values()), values["intercept"])
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"the calibration {file} cannot be read: reinstall Sourceline") from error


def is_calibrated(model: str) -> bool:
    """Return whether a model has a calibration of its own."""
    file = _calibration_file(model)
    return file.is_file() and file.name != _calibration_file(DEFAULT_RERANKER).name


def _calibration_file(model: str) -> Traversable:
    return resources.files("sourceline.search") / "calibrations" / f"{model.split('/')[-1]}.json"
