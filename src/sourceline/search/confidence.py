"""How likely it is that the first passage answers the question: a calibrated probability."""

import json
import math
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np

from sourceline.encoders.base import Float32
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL


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
        return 1 / (1 + math.exp(-self.intercept - float(features.values() @ np.array(self.coefficients))))


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
    return _calibration_file(model).is_file()


def _calibration_file(model: str) -> Traversable:
    return resources.files("sourceline.search") / "calibrations" / f"{model.split('/')[-1]}.json"
