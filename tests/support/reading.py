"""A reranker whose scores are made up, so that what is done with them does not depend on what a model thinks."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from sourceline.encoders.base import Float32, RerankerInput
from sourceline.search.confidence import load_reader_calibration
from sourceline.types import DEFAULT_RERANKER, NO_RERANKER

# So sure that no calibration makes anything else of it.
SURELY, NEVER = 50.0, -50.0


class MadeUpReader:
    """Gives sentences the scores that it was made with, and every other one the lowest."""

    name = DEFAULT_RERANKER
    fingerprint = "made up"

    def __init__(self, scores: Mapping[str, float]) -> None:
        self._scores = scores

    def score(self, question: str, inputs: Sequence[RerankerInput]) -> list[Float32]:
        """Return the scores of the sentences of each text, (sentences,) each."""
        return [
            np.array([self._scores.get(item.text[start:end], NEVER) for start, end in item.spans], np.float32)
            for item in inputs
        ]


def score_for(confidence: float) -> float:
    """Return the reader's score whose confidence this is."""
    calibration = load_reader_calibration(DEFAULT_RERANKER)
    assert calibration
    return (math.log(confidence / (1 - confidence)) - calibration.intercept) / calibration.slope


def read_with(monkeypatch: pytest.MonkeyPatch, scores: Mapping[str, float]) -> None:
    """Let every index that is opened from now on read with made-up scores, by sentence."""

    def open_reranker(name: str) -> MadeUpReader | None:
        return None if name == NO_RERANKER else MadeUpReader(scores)

    monkeypatch.setattr("sourceline.encoders.reranker.open_reranker", open_reranker)
