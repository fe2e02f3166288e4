"""How sure we are that the first passage answers the question: a calibrated probability."""

import json
import math
from dataclasses import dataclass
from importlib import resources

import numpy as np

from sourceline.encoders.base import Float32
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL


@dataclass(frozen=True, slots=True)
class ConfidenceFeatures:
    """What the scores of the candidates say, comparable between corpora of different sizes.

    ``late``: the first passage's late-interaction score; ``dense``: its cosine; ``coverage``: its BM25 score as a share
    of the most that the question's words could give; ``lead``: how far it is ahead of the mean of those behind it;
    ``size``: the logarithm of how many passages were searched, for among more the best one is better by chance.
    """

    late: float
    dense: float
    coverage: float
    lead: float
    size: float

    def values(self) -> Float32:
        """Return the features, in the order of the coefficients."""
        return np.array([self.late, self.dense, self.coverage, self.lead, self.size], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic regression: ``1 / (1 + exp(-(intercept + coefficients · features)))``."""

    coefficients: tuple[float, ...]
    intercept: float

    def confidence(self, evidence: ConfidenceFeatures) -> float:
        """Return the probability that the first passage answers the question."""
        return 1 / (1 + math.exp(-self.intercept - float(evidence.values() @ np.array(self.coefficients))))


def load_calibration(model: str) -> Calibration:
    """Return the calibration of a model, or the default model's where there is none (its figure is then rough)."""
    folder = resources.files("sourceline.search") / "calibrations"
    file = folder / calibration_file(model)
    if not file.is_file():
        file = folder / calibration_file(DEFAULT_MODEL)
    try:
        values = json.loads(file.read_text("utf-8"))
        return Calibration(tuple(values["coefficients"].values()), values["intercept"])
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"the calibration {file} cannot be read: reinstall Sourceline") from error


def is_calibrated(model: str) -> bool:
    """Return whether the model has a calibration of its own."""
    return (resources.files("sourceline.search") / "calibrations" / calibration_file(model)).is_file()


def calibration_file(model: str) -> str:
    """Return the name of a model's calibration file."""
    return model.split("/")[-1] + ".json"
