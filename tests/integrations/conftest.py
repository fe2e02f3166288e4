"""The seed documents, asked over HTTP and without, by the real frameworks. `make integrations` installs them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sourceline.api import Index
from sourceline.client import Client
from sourceline.config import load_settings
from sourceline.integrations import Source
from sourceline.server.app import create_app
from tests.conftest import SEEDS
from tests.support.server import listening

QUESTION, NOT_ANSWERED = "Which minister did Pezeshkian meet in Tehran?", "Who won the football match?"
CITATION = "ccl4uombti6lb64a"
TEXT = (
    "President Masoud Pezeshkian reaffirmed Iran Iraq ties during a formal meeting in Tehran "
    "with Iraqi Foreign Minister Fuad Hussein."
)


@pytest.fixture(scope="package")
def url(seed_index: Path) -> Iterator[str]:
    """The address of a server of the seed documents."""
    with listening(create_app(load_settings(documents=SEEDS, index=seed_index))) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture(scope="package", params=["Client", "Index"])
def source(request: pytest.FixtureRequest, url: str, seed_index: Path) -> Iterator[Source]:
    """Each in turn."""
    opened = Client(url) if request.param == "Client" else Index.open(seed_index)
    with opened as source:
        yield source


@pytest.fixture(scope="package", params=["server", "index folder"])
def address(request: pytest.FixtureRequest, url: str, seed_index: Path) -> str:
    """The address of a server, and the folder of an index."""
    return url if request.param == "server" else str(seed_index)


def assert_tells_all(metadata: dict[str, object]) -> None:
    """Assert that the metadata of the first passage says where it stands, and what the answer is worth."""
    figures = {name: metadata.pop(name) for name in ("score", "confidence", "snapshot")}
    assert metadata == {
        "citation": CITATION,
        "document": "meeting.txt",
        "title": "meeting",
        "start": 0,
        "end": 129,
        "line": 1,
        "before": "",
        "after": "The meeting focused on long-term cooperation.",
        "rank": 1,
        "verdict": "answered",
    }
    assert figures["score"] == pytest.approx(7.6, abs=1)
    assert figures["confidence"] == pytest.approx(0.77, abs=0.1)
    assert str(figures["snapshot"]).startswith("00000001-")
