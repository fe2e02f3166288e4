"""Every implementation of the encoder, of the same model."""

import pytest

from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import find_model
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder
from sourceline.types import DEFAULT_MODEL


@pytest.fixture(scope="session")
def onnx_encoder(encoder: Encoder) -> Encoder:
    """The default model as ONNX Runtime runs it."""
    return encoder


@pytest.fixture(scope="session")
def torch_encoder() -> SentenceTransformerEncoder:
    """The default model as sentence-transformers runs it."""
    return SentenceTransformerEncoder(find_model(DEFAULT_MODEL))


@pytest.fixture(scope="session", params=["onnx_encoder", "torch_encoder"])
def any_encoder(request: pytest.FixtureRequest) -> Encoder:
    """Each implementation in turn."""
    encoder: Encoder = request.getfixturevalue(request.param)
    return encoder
