"""What the tests of search share."""

from pathlib import Path

import pytest

from tests.conftest import Rebuild
from tests.support.publishing import Publish


@pytest.fixture
def publish(documents: Path, index: Path, rebuild: Rebuild) -> Publish:
    """Builds a corpus of these texts by name and opens it."""
    return Publish(documents, index, rebuild)
