from functools import cache

import pytest

from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import find_model
from sourceline.encoders.onnx import OnnxEncoder
from sourceline.indexing import builder
from sourceline.types import DEFAULT_MODEL


@pytest.fixture
def quick_builds(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let builds open the model once, and encode a text once."""
    assert isinstance(encoder, OnnxEncoder)
    model = find_model(DEFAULT_MODEL)
    monkeypatch.setattr(encoder, "_encode", cache(encoder._encode))
    monkeypatch.setattr(builder, "prepare_encoder", lambda *_: encoder)
    monkeypatch.setattr(builder, "find_model", lambda *_: model)
