from datetime import UTC, datetime
from pathlib import Path

import pytest

from sourceline.errors import BuildRunningError
from sourceline.server.rebuilds import FILE, RebuildStatus, State, StatusFile
from sourceline.types import BuildProgress, BuildReport

STARTED = datetime(2026, 11, 24, 4, 5, 6, 789, tzinfo=UTC)
RUNNING = RebuildStatus(State.RUNNING, STARTED, progress=BuildProgress(1, 2))
REPORT = BuildReport("00000001-20261124T040506Z", ("ä.txt",), (), (), (), {"b.txt": "empty"}, 3, 2, 1, 0.5)
SUCCEEDED = RebuildStatus(State.SUCCEEDED, STARTED, STARTED, BuildProgress(2, 2), REPORT)
FAILED = RebuildStatus(State.FAILED, STARTED, STARTED, error="no document")


def test_before_the_first_rebuild_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert StatusFile(tmp_path / "none").read() == RebuildStatus()


@pytest.mark.parametrize("status", [SUCCEEDED, FAILED])
def test_how_a_rebuild_ended_is_told_as_it_was_written(tmp_path: Path, status: RebuildStatus) -> None:
    StatusFile(tmp_path).write(status)
    assert StatusFile(tmp_path).read() == status


def test_while_its_owner_lives_a_rebuild_runs(tmp_path: Path) -> None:
    with StatusFile(tmp_path).claim():
        StatusFile(tmp_path).write(RUNNING)
        assert StatusFile(tmp_path).read() == RUNNING


def test_a_rebuild_without_an_owner_has_failed(tmp_path: Path) -> None:
    StatusFile(tmp_path).write(RUNNING)
    found = StatusFile(tmp_path).read()
    assert (found.state, found.started, found.progress) == (State.FAILED, STARTED, BuildProgress(1, 2))
    assert found.error == "the server's process that had started it ended"
    with StatusFile(tmp_path).claim():  # to read it was not to own it
        pass


def test_a_rebuild_has_one_owner_at_a_time(tmp_path: Path) -> None:
    one = StatusFile(tmp_path / "index")
    with one.claim():
        for other in (one, StatusFile(tmp_path / "index")):
            with pytest.raises(BuildRunningError, match="wait for it to end"), other.claim():
                pass
    with StatusFile(tmp_path / "index").claim():
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "paused"}', '{"state": "running", "progress": 5}'])
def test_a_file_that_cannot_be_read_tells_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert StatusFile(tmp_path).read() == RebuildStatus()
