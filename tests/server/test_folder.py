"""A documents folder on a share that hangs holds up no answer."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sourceline.api import Index, import_formats
from sourceline.server import folder
from sourceline.server.folder import FolderThread, LatestChanges
from sourceline.types import FolderChanges, SourceStatus
from tests.support.api import wait_until

CITATION = "ccl4uombti6lb64a"
NOTHING = FolderChanges((), (), ())


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let whatever looks at the folder hang until this is set."""
    released = threading.Event()

    def changes(_: Index) -> FolderChanges:
        released.wait(60)
        return NOTHING

    def source(_: Index, __: str) -> SourceStatus:
        released.wait(60)
        return SourceStatus.UNCHANGED

    monkeypatch.setattr(folder, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(Index, "changes", changes)
    monkeypatch.setattr(Index, "source", source)
    yield released
    released.set()


def test_what_takes_too_long_is_not_waited_for_and_nothing_is_asked_until_it_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folder, "PATIENCE_SECONDS", 0.05)
    thread, released, asked = FolderThread(), threading.Event(), []

    assert thread.call(lambda: "at once") == "at once"
    assert thread.call(released.wait) is None
    with monkeypatch.context() as without:
        without.delattr(folder, "PATIENCE_SECONDS")  # which whoever waits needs
        assert thread.call(lambda: asked.append("meanwhile")) is None
    released.set()
    wait_until(lambda: thread.call(lambda: "again") == "again")
    assert asked == []
    thread.close()


def test_an_error_is_raised_where_it_was_asked_for() -> None:
    thread = FolderThread()
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 // 0)
    thread.close()


def test_citations_and_the_index_are_answered_while_the_folder_hangs(
    hanging: threading.Event, corpus: Path, corpus_index: Path, client: TestClient
) -> None:
    looked_up = client.get(f"/v1/citations/{CITATION}").json()
    assert looked_up["status"] == "current"
    assert "source" not in looked_up
    many = client.post("/v1/citations/lookup", json={"citations": [CITATION] * 1_000}).json()["citations"]
    assert len(many) == 1_000
    assert client.get("/v1/index").status_code == 200
    hanging.set()
    wait_until(lambda: client.get(f"/v1/citations/{CITATION}").json().get("source") == "unchanged")


def test_what_is_known_is_good_for_a_while_and_for_one_snapshot(
    corpus_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Index] = []

    def changes(index: Index) -> FolderChanges:
        looks.append(index)
        return NOTHING

    monkeypatch.setattr(Index, "changes", changes)
    monkeypatch.setattr(folder, "FRESH_SECONDS", 3600)
    with Index.open(corpus_index, lazy=True) as index:
        latest = LatestChanges(index)
        first = latest.latest()
        assert first
        assert (first.snapshot, first.changes, first.error) == (index.snapshot.id, NOTHING, None)
        assert latest.latest() is first
        assert len(looks) == 1
        monkeypatch.setattr(latest, "_fresh_until", 0.0)
        second = latest.latest()
        assert second
        assert second.checked > first.checked
        assert len(looks) == 2
        latest.close()


def test_what_is_imported_for_the_first_look_is_not_taken_for_a_folder_that_hangs(
    corpus_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(folder, "import_formats", lambda: time.sleep(0.1))
    monkeypatch.setattr(Index, "changes", lambda _: NOTHING)
    with Index.open(corpus_index, lazy=True) as index:
        latest = LatestChanges(index)
        known = latest.latest()
        assert known
        assert known.changes == NOTHING
        latest.close()


def test_formats_are_imported_ahead_of_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sourceline.ingest.loader", raising=False)
    monkeypatch.delattr("sourceline.ingest.loader", raising=False)
    import_formats()
    assert "sourceline.ingest.loader" in sys.modules
