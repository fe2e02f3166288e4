"""A reranker whose scores are given."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sourceline.encoders.base import Float32, RerankerInput


class ScriptedReranker:
    """Scores each sentence by its text, as 0 if that is not given; notes what it is asked to read."""

    name, fingerprint = "scripted", "scripted"

    def __init__(self, scores: Mapping[str, float]) -> None:
        self._scores = scores
        self.questions: list[str] = []
        self.inputs: list[RerankerInput] = []

    def score(self, question: str, inputs: Sequence[RerankerInput]) -> list[Float32]:
        """Return the given scores."""
        self.questions.append(question)
        self.inputs += inputs
        return [np.array([self._scores.get(s, 0) for s in sentences(item)], dtype=np.float32) for item in inputs]


def sentences(item: RerankerInput) -> list[str]:
    """Return the sentences of a text."""
    return [item.text[start:end] for start, end in item.spans]


NOT_READ = math.nan
