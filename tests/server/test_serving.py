from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sourceline.config import load_settings
from sourceline.errors import MismatchError, NoSnapshotError
from sourceline.ids import citation_id
from sourceline.index.snapshot import SNAPSHOTS
from sourceline.server.app import create_app
from sourceline.server.live_index import LiveIndex
from sourceline.types import DEFAULT_MODEL, Backend
from tests.conftest import Rebuild
from tests.server.serving import serve, wait_until


def test_a_snapshot_published_by_another_process_is_served_without_a_restart(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
        published = rebuild(documents, index).snapshot
        wait_until(lambda: client.get("/v1/index").json()["snapshot"]["id"] == published)
        (passage,) = client.get("/v1/documents/a.txt").json()["passages"]
        assert passage["text"] == "The bridge opens on Sunday."


def test_a_citation_of_a_snapshot_published_a_moment_ago_is_current_at_once(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    # Not entered as a context, so nothing watches for new snapshots.
    client = TestClient(create_app(load_settings(documents=documents, index=index)))
    (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    report = rebuild(documents, index)
    assert client.get("/v1/index").json()["snapshot"]["id"] != report.snapshot
    found = client.get(f"/v1/citations/{citation_id('a.txt', 'The bridge opens on Sunday.', 0)}").json()
    assert (found["status"], found["text"]) == ("current", "The bridge opens on Sunday.")
    assert client.get("/v1/index").json()["snapshot"]["id"] == report.snapshot


def test_the_encoder_that_is_open_serves_the_next_snapshot(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    live_index = LiveIndex(index, DEFAULT_MODEL, Backend.ONNX)
    before = live_index.searcher
    (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    report = rebuild(documents, index)
    assert live_index.searcher is before
    live_index.refresh()
    assert live_index.searcher.snapshot.id == report.snapshot
    assert live_index.searcher.encoder is before.encoder
    after = live_index.searcher
    live_index.refresh()
    assert live_index.searcher is after


def test_a_request_keeps_the_snapshot_that_it_began_with(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    live_index = LiveIndex(index, DEFAULT_MODEL, Backend.ONNX)
    began = live_index.searcher
    for day in ("Tuesday", "Wednesday", "Thursday"):
        (documents / "a.txt").write_text(f"The bridge opens on {day}.\n")
        rebuild(documents, index)
        live_index.refresh()
    assert not (index / SNAPSHOTS / began.snapshot.id).exists()
    assert began.ask("When does it open?", 1).hits[0].passage.text == "The bridge opens on Monday."
    assert live_index.searcher.ask("When does it open?", 1).hits[0].passage.text == "The bridge opens on Thursday."


def test_a_damaged_snapshot_does_not_replace_the_one_that_is_served(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    whole = rebuild(documents, index).snapshot
    live_index = LiveIndex(index, DEFAULT_MODEL, Backend.ONNX)
    (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    damaged = rebuild(documents, index).snapshot
    (index / SNAPSHOTS / damaged / "passages.sqlite").write_bytes(b"")
    live_index.refresh()
    assert live_index.searcher.snapshot.id == whole
    assert live_index.searcher.ask("When does it open?", 1).hits[0].passage.text == "The bridge opens on Monday."


def test_an_app_without_an_index_or_with_another_model_is_refused(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    with pytest.raises(NoSnapshotError, match="sourceline rebuild-index"):
        create_app(load_settings(documents=documents, index=index))
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with pytest.raises(MismatchError, match="sourceline rebuild-index"):
        create_app(load_settings(documents=documents, index=index, model="another/model"))
    with pytest.raises(MismatchError, match="not built with the reference encoder"):
        create_app(load_settings(documents=documents, index=index, encoder=Backend.TORCH))


@pytest.mark.parametrize(("threshold", "answerable"), [(0, True), (1, False)])
def test_the_threshold_is_kept_when_a_new_snapshot_is_served(
    documents: Path, index: Path, rebuild: Rebuild, threshold: float, answerable: bool
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    live_index = LiveIndex(index, DEFAULT_MODEL, Backend.ONNX, threshold)
    (documents / "b.txt").write_text("The tower was sold in June.\n")
    report = rebuild(documents, index)
    live_index.refresh()
    answer = live_index.searcher.ask("When does the bridge open?", 1)
    assert (answer.snapshot, answer.answerable) == (report.snapshot, answerable)
