"""What the tests of retrieval share."""

from pathlib import Path

import pytest

from tests.conftest import Rebuild
from tests.search.publishing import Publish


@pytest.fixture
def publish(documents: Path, index: Path, rebuild: Rebuild) -> Publish:
    """Builds a corpus of these texts by name and opens it."""
    return Publish(documents, index, rebuild)
