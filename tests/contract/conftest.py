"""Both implementations of the encoder, of the same model."""

import pytest

from sourceline.encoding.encoder import Encoder
from sourceline.encoding.models import find_model
from sourceline.encoding.reference import ReferenceEncoder
from sourceline.types import DEFAULT_MODEL


@pytest.fixture(scope="session")
def reference() -> ReferenceEncoder:
    """The default model as sentence-transformers runs it."""
    return ReferenceEncoder(find_model(DEFAULT_MODEL))


@pytest.fixture(scope="session", params=["compiled", "reference"])
def each(request: pytest.FixtureRequest, encoder: Encoder, reference: ReferenceEncoder) -> Encoder:
    """One implementation after the other."""
    return encoder if request.param == "compiled" else reference
