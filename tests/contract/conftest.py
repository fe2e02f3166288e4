"""Both implementations of the encoder, of the same model."""

import pytest

from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import find_model
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder
from sourceline.types import DEFAULT_MODEL


@pytest.fixture(scope="session")
def reference() -> SentenceTransformerEncoder:
    """The default model as sentence-transformers runs it."""
    return SentenceTransformerEncoder(find_model(DEFAULT_MODEL))


@pytest.fixture(scope="session", params=["onnx", "torch"])
def each(request: pytest.FixtureRequest, encoder: Encoder, reference: SentenceTransformerEncoder) -> Encoder:
    """One implementation after the other."""
    return encoder if request.param == "onnx" else reference
