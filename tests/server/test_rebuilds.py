import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from sourceline import durable
from sourceline.config import load_settings
from sourceline.errors import BuildError, BuildRunningError
from sourceline.server.models import RebuildStatus
from sourceline.server.rebuilds import STATUS_FILE, Rebuilds, StatusFile
from sourceline.types import BuildProgress, BuildReport, RebuildState

STARTED = datetime(2026, 11, 24, 4, 5, 6, 789, tzinfo=UTC)
RUNNING = RebuildStatus(state=RebuildState.RUNNING, started=STARTED, progress=BuildProgress(1, 2))
REPORT = BuildReport("00000001-20261124T040506Z", ("ä.txt",), (), (), (), {"b.txt": "empty"}, {}, 3, 2, 1, 0.5)
SUCCEEDED = RebuildStatus(
    state=RebuildState.SUCCEEDED, started=STARTED, finished=STARTED, progress=BuildProgress(2, 2), report=REPORT
)
FAILED = RebuildStatus(state=RebuildState.FAILED, started=STARTED, finished=STARTED, error="no document")


def test_before_the_first_rebuild_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert StatusFile(tmp_path / "none").read() == RebuildStatus()


@pytest.mark.parametrize("status", [SUCCEEDED, FAILED])
def test_how_a_rebuild_ended_is_read_as_it_was_written(tmp_path: Path, status: RebuildStatus) -> None:
    StatusFile(tmp_path).write(status)
    assert StatusFile(tmp_path).read() == status


def test_while_its_process_lives_a_rebuild_is_running(tmp_path: Path) -> None:
    with StatusFile(tmp_path).lock():
        StatusFile(tmp_path).write(RUNNING)
        assert StatusFile(tmp_path).read() == RUNNING


def test_a_running_rebuild_whose_process_ended_has_failed(tmp_path: Path) -> None:
    StatusFile(tmp_path).write(RUNNING)
    status = StatusFile(tmp_path).read()
    assert (status.state, status.started, status.progress) == (RebuildState.FAILED, STARTED, BuildProgress(1, 2))
    assert status.error == "the server's process that had started it ended"
    with StatusFile(tmp_path).lock():  # reading it has not kept the lock
        pass


def test_one_rebuild_runs_at_a_time(tmp_path: Path) -> None:
    first = StatusFile(tmp_path / "index")
    with first.lock():
        for other in (first, StatusFile(tmp_path / "index")):
            with pytest.raises(BuildRunningError, match="wait for it to end"), other.lock():
                pass
    with StatusFile(tmp_path / "index").lock():
        pass


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"state": "paused"}',
        '{"state": "running", "progress": 5}',
        '{"state": "succeeded", "report": {"snapshot": "1", "windows": 2}}',
    ],
)
def test_a_file_that_is_damaged_or_of_another_version_tells_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / STATUS_FILE).write_text(text)
    assert StatusFile(tmp_path).read() == RebuildStatus()


def test_what_stands_in_the_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / STATUS_FILE)
    assert StatusFile(tmp_path).read() == RebuildStatus()
    (tmp_path / STATUS_FILE).unlink()
    (tmp_path / STATUS_FILE).mkdir()
    assert StatusFile(tmp_path).read() == RebuildStatus()


def test_a_rebuild_that_cannot_be_started_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "replace", full)
    with pytest.raises(BuildError, match=r"could not be started: there is no room left on the file system of .*: make"):
        Rebuilds(load_settings(index=tmp_path)).start()
    with StatusFile(tmp_path).lock():  # which the failure has freed
        pass
