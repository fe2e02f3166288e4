"""Every implementation of the encoder, of the same model, and of the reranker."""

from pathlib import Path

import pytest

from sourceline.encoders import reranker
from sourceline.encoders.base import Encoder, Reranker
from sourceline.encoders.hub import find_model
from sourceline.encoders.reranker import CrossEncoderReranker, OnnxReranker
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder
from sourceline.types import DEFAULT_MODEL, Backend
from tests.support.cross_encoders import write_cross_encoder


@pytest.fixture(scope="session")
def onnx_encoder(encoder: Encoder) -> Encoder:
    """The default model as ONNX Runtime runs it."""
    return encoder


@pytest.fixture(scope="session")
def torch_encoder() -> SentenceTransformerEncoder:
    """The default model as sentence-transformers runs it."""
    return SentenceTransformerEncoder(find_model(DEFAULT_MODEL, Backend.TORCH))


@pytest.fixture(scope="session", params=["onnx_encoder", "torch_encoder"])
def any_encoder(request: pytest.FixtureRequest) -> Encoder:
    """Each implementation in turn."""
    encoder: Encoder = request.getfixturevalue(request.param)
    return encoder


@pytest.fixture(scope="session")
def reader() -> OnnxReranker:
    """The reader that comes with Sourceline."""
    return OnnxReranker(Path(reranker.__file__).parent / "reader")


@pytest.fixture(scope="session")
def cross_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CrossEncoder with random weights. Not to be written to."""
    return write_cross_encoder(tmp_path_factory.mktemp("cross") / "encoder")


@pytest.fixture(scope="session")
def cross_encoder(cross_encoder_folder: Path) -> CrossEncoderReranker:
    """A small CrossEncoder."""
    return CrossEncoderReranker(str(cross_encoder_folder))


@pytest.fixture(scope="session", params=["reader", "cross_encoder"])
def any_reranker(request: pytest.FixtureRequest) -> Reranker:
    """Each implementation in turn."""
    implementation: Reranker = request.getfixturevalue(request.param)
    return implementation
