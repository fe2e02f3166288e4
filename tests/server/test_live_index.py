import errno
import gc
import logging
import os
import weakref
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest
from httpx2 import Response

from sourceline.api import Index
from sourceline.citations import ledger
from sourceline.config import Settings, load_settings
from sourceline.errors import MismatchError, ModelError, NoSnapshotError, SnapshotError
from sourceline.ids import citation_id
from sourceline.index import multivector, snapshot
from sourceline.index.snapshot import DAMAGED, SNAPSHOTS
from sourceline.server import live_index as live_index_module
from sourceline.server.app import create_app
from sourceline.server.live_index import LiveIndex
from sourceline.types import Backend, CitationStatus
from tests.conftest import Rebuild
from tests.support.api import assert_problem, client_of, serve, wait_until
from tests.support.index_folder import snapshot_names
from tests.support.reading import read_with, score_for


@pytest.fixture
def bridge(documents: Path, index: Path, rebuild: Rebuild) -> Settings:
    """The settings of an index of one sentence."""
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    return load_settings(documents=documents, index=index)


def first_text(index: Index) -> str:
    return index.ask("When does it open?", k=1).hits[0].passage.text


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


def test_a_citation_of_a_snapshot_published_a_moment_ago_is_current_at_once(bridge: Settings, rebuild: Rebuild) -> None:
    # Not entered as a context, so that nothing watches for new snapshots.
    client = client_of(create_app(bridge))
    (bridge.documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    report = rebuild(bridge.documents, bridge.local_folder)
    assert client.get("/v1/index").json()["snapshot"]["id"] != report.snapshot
    citation = client.get(f"/v1/citations/{citation_id('a.txt', 'The bridge opens on Sunday.', 0)}").json()
    assert (citation["status"], citation["text"]) == ("current", "The bridge opens on Sunday.")
    assert client.get("/v1/index").json()["snapshot"]["id"] == report.snapshot


def test_a_refresh_changes_to_the_current_snapshot(bridge: Settings, rebuild: Rebuild) -> None:
    live_index = LiveIndex(bridge)
    before = live_index.index.snapshot.id
    (bridge.documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    report = rebuild(bridge.documents, bridge.local_folder)
    assert live_index.index.snapshot.id == before
    live_index.refresh()
    assert live_index.index.snapshot.id == report.snapshot
    assert first_text(live_index.index) == "The bridge opens on Sunday."
    live_index.refresh()
    assert live_index.index.snapshot.id == report.snapshot


def test_answers_under_way_keep_the_snapshot_that_they_began_with(bridge: Settings, rebuild: Rebuild) -> None:
    live_index = LiveIndex(bridge)
    began = live_index.index.snapshot.id
    answers = live_index.index.ask_many(["When does it open?"] * 2, k=1)
    assert next(answers).hits[0].passage.text == "The bridge opens on Monday."
    for day in ("Tuesday", "Wednesday", "Thursday"):
        (bridge.documents / "a.txt").write_text(f"The bridge opens on {day}.\n")
        rebuild(bridge.documents, bridge.local_folder)
        live_index.refresh()
    assert not (bridge.local_folder / SNAPSHOTS / began).exists()
    assert next(answers).hits[0].passage.text == "The bridge opens on Monday."
    assert first_text(live_index.index) == "The bridge opens on Thursday."


def test_nothing_of_a_snapshot_is_kept_once_another_is_served(bridge: Settings, rebuild: Rebuild) -> None:
    live_index = LiveIndex(bridge)
    monday = citation_id("a.txt", "The bridge opens on Monday.", 0)
    assert first_text(live_index.index) == live_index.cite(monday).cited.passage.text
    live_index.changes()
    view = live_index.index._view
    assert view
    parts = [view, view.searcher, view.snapshot.dense, view.snapshot.bm25, view.snapshot.tokens, view.snapshot.passages]
    alive, before = [weakref.ref(part) for part in parts], view.snapshot.id
    del view, parts
    assert before in open_files()
    (bridge.documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    rebuild(bridge.documents, bridge.local_folder)
    gc.disable()  # what would wait for garbage collection stays for long
    try:
        live_index.refresh()
        assert [part() for part in alive] == [None] * len(alive)
        wait_until(lambda: before not in open_files())  # tantivy has a thread that lets go of them
    finally:
        gc.enable()
    assert live_index.index.snapshot.id in open_files()


def open_files() -> str:
    """Return the names of all files that this process has open or mapped."""
    descriptors = [os.readlink(link.path) for link in os.scandir("/proc/self/fd") if os.path.lexists(link.path)]
    return "\n".join([*descriptors, Path("/proc/self/maps").read_text()])


def test_a_damaged_snapshot_does_not_replace_the_one_that_is_served(bridge: Settings, rebuild: Rebuild) -> None:
    live_index = LiveIndex(bridge)
    whole = live_index.index.snapshot.id
    (bridge.documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    damaged = rebuild(bridge.documents, bridge.local_folder).snapshot
    (bridge.local_folder / SNAPSHOTS / damaged / "passages.sqlite").write_bytes(b"")
    live_index.refresh()
    assert live_index.index.snapshot.id == whole
    assert first_text(live_index.index) == "The bridge opens on Monday."


@pytest.mark.parametrize("name", ["bm25/*.idx", "passages.sqlite", "ledger_lines.npy", "tokens.codes"])
def test_a_snapshot_that_is_overwritten_while_it_is_served_is_told_and_the_one_before_is_served(
    bridge: Settings, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(ledger, "IN_MEMORY", 0)  # as with a large index
    monkeypatch.setattr(multivector, "IN_MEMORY", 0)
    monkeypatch.setattr(snapshot, "IN_MEMORY", 0)
    monkeypatch.setattr(live_index_module, "POLL_SECONDS", 3600)
    monday = citation_id("a.txt", "The bridge opens on Monday.", 0)
    (bridge.documents / "a.txt").write_text("The bridge opens on Sunday.\n" + "The road is wide.\n" * 200)
    rebuild(bridge.documents, bridge.local_folder)
    before, newest = ((bridge.local_folder / SNAPSHOTS / id_) for id_ in snapshot_names(bridge.local_folder))
    app = create_app(bridge)
    with client_of(app) as client:

        def ask() -> Response:
            return client.get("/v1/ask", params={"question": "When does the bridge open?"})

        def look_up() -> Response:
            return client.get(f"/v1/citations/{monday}")

        assert ask().json()["passages"][0]["text"] == "The bridge opens on Sunday."
        assert look_up().json()["status"] == "changed"
        # Whole, and of the snapshot before: neither SQLite nor tantivy nor numpy finds a fault with that.
        (file,), (other,) = newest.glob(name), before.glob(name)
        file.write_bytes(other.read_bytes())
        for refused in (ask, look_up):
            problem = assert_problem(refused(), 503)
            told = f"{file.name} of snapshot {newest.name} was written to while it was open"
            assert problem["detail"] == f"{told}: run `sourceline rebuild-index`"
        app.state.live_index.refresh()
        assert client.get("/v1/index").json()["snapshot"]["id"] == before.name
        assert ask().json()["passages"][0]["text"] == "The bridge opens on Monday."
        assert look_up().json()["status"] == "current"
    assert snapshot_names(bridge.local_folder) == [before.name, f"{newest.name}{DAMAGED}"]


def test_a_file_that_is_written_anew_as_it_was_is_verified_and_served_again(bridge: Settings) -> None:
    live_index = LiveIndex(bridge)
    served = live_index.index.snapshot.id
    file = bridge.local_folder / SNAPSHOTS / served / "passages.sqlite"
    file.write_bytes(file.read_bytes())
    with pytest.raises(SnapshotError, match=r"passages\.sqlite of snapshot .* was written to while it was open"):
        first_text(live_index.index)
    live_index.refresh()
    assert first_text(live_index.index) == "The bridge opens on Monday."
    assert snapshot_names(bridge.local_folder) == [served]


def test_a_damaged_record_of_the_folder_is_told_and_questions_are_answered(bridge: Settings, rebuild: Rebuild) -> None:
    (bridge.documents / "b.txt").write_text("The road is wide.\n")
    rebuild(bridge.documents, bridge.local_folder)
    client = client_of(create_app(bridge))
    before, newest = ((bridge.local_folder / SNAPSHOTS / id_) for id_ in snapshot_names(bridge.local_folder))
    (newest / "files.json").write_bytes((before / "files.json").read_bytes())

    changes = client.get("/v1/index").json()["changes"]
    told = f"snapshot {newest.name} is damaged: files.json is not as it was written"
    assert changes["error"] == f"{told}: run `sourceline rebuild-index`"
    assert "total" not in changes
    assert client.get("/v1/ask", params={"question": "When does it open?"}).status_code == 200


def test_files_that_others_take_the_place_of_go_on_being_served(bridge: Settings) -> None:
    live_index = LiveIndex(bridge)
    for file in list((bridge.local_folder / SNAPSHOTS / live_index.index.snapshot.id).rglob("*.*")):
        (file.parent / "new").write_bytes(b"")
        (file.parent / "new").rename(file)
    assert first_text(live_index.index) == "The bridge opens on Monday."


def test_what_could_not_be_read_is_verified_again_only_after_a_while(
    bridge: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_index_module, "POLL_SECONDS", 0.01)
    live_index, reopened = LiveIndex(bridge), list[bool]()
    monkeypatch.setattr(live_index, "refresh", lambda reopen: reopened.append(reopen))
    live_index.start()
    for already in (0, 2, 4):
        live_index.suspect()
        wait_until(partial(lambda count: len(reopened) > count, already))
    live_index.stop()
    assert reopened.count(True) == 1


def test_a_snapshot_that_cannot_be_served_is_logged_and_tried_again_after_a_while(
    bridge: Settings, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    live_index = LiveIndex(bridge)
    served = live_index.index.snapshot.id
    (bridge.documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    published = rebuild(bridge.documents, bridge.local_folder).snapshot
    with monkeypatch.context() as patched:
        patched.setattr(snapshot, "read_text", Mock(side_effect=OSError(errno.EIO, "Input/output error")))
        for _ in range(3):
            live_index.refresh()
    (message,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert (
        message == f"still serving snapshot {served}: cannot read {bridge.local_folder / 'CURRENT'}: Input/output error"
    )
    assert first_text(live_index.index) == "The bridge opens on Monday."
    live_index.refresh()
    assert live_index.index.snapshot.id == served
    monkeypatch.setattr(live_index, "_retry_at", 0.0)
    live_index.refresh()
    assert live_index.index.snapshot.id == published


def test_an_id_that_is_not_current_is_looked_up_in_the_newest_snapshot(bridge: Settings, rebuild: Rebuild) -> None:
    live_index = LiveIndex(bridge)
    monday = citation_id("a.txt", "The bridge opens on Monday.", 0)
    assert live_index.cite(monday).status is CitationStatus.CURRENT
    (bridge.documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    rebuild(bridge.documents, bridge.local_folder)
    assert live_index.cite(monday).status is CitationStatus.CURRENT  # in the snapshot that is served still
    assert live_index.cite(citation_id("a.txt", "The bridge opens on Sunday.", 0)).status is CitationStatus.CURRENT
    assert live_index.cite(monday).status is CitationStatus.CHANGED


def test_an_app_without_an_index_or_reranker_or_with_another_model_is_refused(bridge: Settings, tmp_path: Path) -> None:
    with pytest.raises(NoSnapshotError, match="sourceline rebuild-index"):
        create_app(load_settings(documents=bridge.documents, index=tmp_path / "none"))
    with pytest.raises(ModelError, match=r"there is no config\.json in it"):
        create_app(load_settings(index=bridge.local_folder, reranker=str(tmp_path)))
    for other in ({"model": "another/model"}, {"backend": Backend.TORCH}):
        with pytest.raises(MismatchError, match="sourceline rebuild-index"):
            create_app(load_settings(index=bridge.local_folder, **other))


@pytest.mark.parametrize(("threshold", "answerable"), [(0, True), (1, False)])
def test_threshold_and_reranker_are_kept_when_a_new_snapshot_is_served(
    bridge: Settings, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, threshold: float, answerable: bool
) -> None:
    read_with(monkeypatch, {"The bridge opens on Monday.": score_for(0.7)})
    live_index = LiveIndex(load_settings(index=bridge.local_folder, threshold=threshold))
    (bridge.documents / "b.txt").write_text("The tower was sold in June.\n")
    report = rebuild(bridge.documents, bridge.local_folder)
    live_index.refresh()
    answer = live_index.index.ask("When does the bridge open?", k=1)
    assert (answer.snapshot, answer.answerable) == (report.snapshot, answerable)
    assert answer.confidence == pytest.approx(0.7, abs=1e-3)
