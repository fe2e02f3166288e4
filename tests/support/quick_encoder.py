"""A model without weights, with which a build takes no time: for tests of all that does not depend on vectors."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from sourceline.encoders.base import EncoderInput, Encoding, Tokens
from sourceline.encoders.hub import Model
from sourceline.indexing import builder, postgres_builder


class QuickEncoder:
    """An Encoder whose tokens are words, each with a vector of its own."""

    model, fingerprint, dim, max_tokens, vocabulary, unknown_id = "quick", "quick", 8, 10_000, 1_000, None

    def tokenize(self, text: str) -> Tokens:
        words = list(re.finditer(r"\S+", text))
        ids = [int(hashlib.sha256(word[0].encode()).hexdigest(), 16) % self.vocabulary for word in words]
        spans = np.array([word.span() for word in words], dtype=np.int32)
        return Tokens(np.array(ids, dtype=np.int32), spans.reshape(-1, 2))

    def encode(self, inputs: Sequence[EncoderInput]) -> Iterator[Encoding]:
        for item in inputs:
            tokens = self.tokenize(item.text)
            yield Encoding(tokens, np.stack([np.random.default_rng(id_).normal(size=self.dim) for id_ in tokens.ids]))


def build_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let builds use this model. What they build can be read and cited from, and not asked."""
    monkeypatch.setattr(builder, "find_model", lambda name, _: Model(name, Path(), "quick"))
    monkeypatch.setattr(builder, "prepare_encoder", lambda *_: QuickEncoder())
    monkeypatch.setattr(postgres_builder, "find_model", lambda name, _: Model(name, Path(), "quick"))
    monkeypatch.setattr(postgres_builder, "prepare_encoder", lambda *_: QuickEncoder())
