"""A documents folder is watched: when the index is rebuilt, and when it is left alone."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from sourceline import watching
from sourceline.api import Index
from sourceline.errors import BuildRunningError
from sourceline.ingest.files import FileStamp
from sourceline.watching import Pace, Watcher, is_network_folder, watch_lock
from tests.conftest import Rebuild
from tests.support.api import wait_until
from tests.support.index_folder import contents

# Without notices, and with notices alone: the folder is not looked at for an hour unless one comes.
POLLED = Pace(quiet=0.05, poll=0.05, soon=0.05, notices=False)
NOTIFIED = Pace(quiet=0.05, poll=3600, soon=0.05)
both = pytest.mark.parametrize("pace", [POLLED, NOTIFIED], ids=["polled", "notified"])


class Watched:
    """A folder that is watched in a thread. There is no index, so that whatever is new is a change."""

    def __init__(self, documents: Path, index: Path, pace: Pace) -> None:
        self.documents = documents
        self.builds: list[dict[str, bytes]] = []  # what the folder held at each
        self.told: list[str] = []
        self.failures: list[Callable[[], bool]] = []  # what the next rebuilds do instead
        self.stop = threading.Event()
        self.watcher = Watcher(documents, index, self._rebuild, self.told.append, self.stop, pace)
        self.thread = threading.Thread(target=self.watcher.run)

    def _rebuild(self) -> bool:
        if self.failures:
            return self.failures.pop(0)()
        self.builds.append(contents(self.documents))
        return True

    def has_told(self, count: int) -> bool:
        """Return whether so many things were told."""
        return len(self.told) == count

    def wait_for(self, files: dict[str, bytes]) -> None:
        """Wait until a build has read just these files."""
        wait_until(lambda: self.builds[-1:] == [files])


@contextmanager
def watch(documents: Path, index: Path, pace: Pace) -> Iterator[Watched]:
    watched = Watched(documents, index, pace)
    watched.thread.start()
    try:
        yield watched
    finally:
        watched.stop.set()
        watched.thread.join(10)
        assert not watched.thread.is_alive()


@both
def test_what_is_added_changed_and_removed_is_built(documents: Path, tmp_path: Path, pace: Pace) -> None:
    with watch(documents, tmp_path / "none", pace) as watched:
        watched.wait_for({})
        (documents / "a.txt").write_text("One.")
        watched.wait_for({"a.txt": b"One."})
        (documents / "a.txt").write_text("Two.")
        watched.wait_for({"a.txt": b"Two."})
        (documents / "2026/may").mkdir(parents=True)
        (documents / "2026/may/b.txt").write_text("Three.")
        watched.wait_for({"a.txt": b"Two.", "2026/may/b.txt": b"Three."})
        (documents / "2026/may/b.txt").write_text("Four.")
        watched.wait_for({"a.txt": b"Two.", "2026/may/b.txt": b"Four."})
        (documents / "2026/may").rename(documents / "may")
        watched.wait_for({"a.txt": b"Two.", "may/b.txt": b"Four."})
        shutil.rmtree(documents / "may")
        watched.wait_for({"a.txt": b"Two."})
    assert watched.told == []


def test_a_burst_of_writes_makes_one_build(documents: Path, tmp_path: Path) -> None:
    pace = Pace(quiet=1, poll=0.01, notices=False)
    with watch(documents, tmp_path / "none", pace) as watched:
        watched.wait_for({})
        for number in range(50):
            (documents / f"{number}.txt").write_text("One.")
        watched.wait_for({f"{number}.txt": b"One." for number in range(50)})
    assert len(watched.builds) == 2


def test_a_file_is_not_read_while_it_is_written(documents: Path, tmp_path: Path) -> None:
    with watch(documents, tmp_path / "none", Pace(quiet=1.5, poll=0.01, notices=False)) as watched:
        watched.wait_for({})
        with (documents / "a.txt").open("wb", buffering=0) as file:
            for _ in range(40):
                file.write(b"Half. ")
                time.sleep(0.05)  # the pauses of a slow copy
        watched.wait_for({"a.txt": b"Half. " * 40})
    assert len(watched.builds) == 2


def test_a_file_that_is_written_without_a_pause_keeps_the_others_waiting_only_so_long(
    documents: Path, tmp_path: Path
) -> None:
    with watch(documents, tmp_path / "none", Pace(quiet=0.05, longest=0.2, poll=0.01, notices=False)) as watched:
        watched.wait_for({})
        with (documents / "log.txt").open("wb", buffering=0) as file:
            while len(watched.builds) < 2:
                file.write(b"x")
    assert set(watched.builds[1]) == {"log.txt"}


@both
def test_a_folder_that_vanishes_is_told_once_and_watched_again_when_it_is_back(
    documents: Path, tmp_path: Path, pace: Pace
) -> None:
    (documents / "a.txt").write_text("One.")
    away = tmp_path / "away"
    with watch(documents, tmp_path / "none", pace) as watched:
        watched.wait_for({"a.txt": b"One."})
        for _ in range(2):
            told = len(watched.told)
            documents.rename(away)
            if pace is NOTIFIED:  # for which a share that is unmounted gives no notice
                watched.watcher._notices = None
            wait_until(partial(watched.has_told, told + 1))
            time.sleep(5 * pace.soon)
            away.rename(documents)
            (documents / "a.txt").write_text(f"Back {told}.")
            watched.wait_for({"a.txt": f"Back {told}.".encode()})
    assert (
        watched.told
        == [
            f"no documents folder at {documents}: create it, or name another with --documents; the index stays as it is"
        ]
        * 2
    )
    assert len(watched.builds) == 3


def test_another_folder_in_its_place_is_noticed(documents: Path, tmp_path: Path) -> None:
    """As when a share is mounted over an empty folder."""
    (tmp_path / "share").mkdir()
    with watch(documents, tmp_path / "none", NOTIFIED) as watched:
        watched.wait_for({})
        documents.rename(tmp_path / "hidden")
        (tmp_path / "share").rename(documents)
        (documents / "a.txt").write_text("One.")
        watched.wait_for({"a.txt": b"One."})
        (documents / "b.txt").write_text("Two.")
        watched.wait_for({"a.txt": b"One.", "b.txt": b"Two."})


def test_a_build_that_fails_is_not_repeated_until_something_changes(documents: Path, tmp_path: Path) -> None:
    with watch(documents, tmp_path / "none", POLLED) as watched:
        watched.wait_for({})
        watched.failures = [lambda: False]
        (documents / "a.txt").write_text("One.")
        wait_until(lambda: not watched.failures)
        time.sleep(10 * POLLED.poll)
        assert watched.builds == [{}]
        (documents / "a.txt").write_text("Two.")
        watched.wait_for({"a.txt": b"Two."})


def test_a_build_that_failed_is_tried_again_after_a_while(documents: Path, tmp_path: Path) -> None:
    pace = Pace(quiet=0.01, poll=0.01, notices=False, retry=0.1)
    watched = Watched(documents, tmp_path / "none", pace)
    watched.failures = [lambda: False] * 3
    watched.thread.start()
    watched.wait_for({})
    watched.stop.set()
    watched.thread.join(10)
    assert (watched.failures, watched.builds) == ([], [{}])


@both
def test_a_change_during_another_build_is_built_after_it(documents: Path, tmp_path: Path, pace: Pace) -> None:
    def refuse() -> bool:
        raise BuildRunningError("another build is running")

    with watch(documents, tmp_path / "none", pace) as watched:
        watched.wait_for({})
        watched.failures = [refuse] * 3
        (documents / "a.txt").write_text("One.")
        watched.wait_for({"a.txt": b"One."})
    assert watched.told == []


def test_what_is_no_document_and_what_only_looks_changed_makes_no_build(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with watch(documents, index, POLLED) as watched:
        harmless: list[Callable[[], None]] = [
            lambda: os.utime(documents / "a.txt"),
            lambda: (documents / "picture.jpg").touch(),
            lambda: (documents / ".a.txt.swp").touch(),
            lambda: (documents / "new").mkdir(),
        ]
        for change in harmless:
            change()
            wait_until(lambda: watched.watcher._seen == {"a.txt": FileStamp.of((documents / "a.txt").stat())})
        assert watched.builds == []
        (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
        wait_until(lambda: len(watched.builds) == 1)


def test_what_changed_while_nobody_watched_is_built_at_once(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    (documents / "b.txt").write_text("The tower was sold in June.\n")
    with watch(documents, index, NOTIFIED) as watched:
        wait_until(lambda: len(watched.builds) == 1)
    with Index.open(index, lazy=True) as opened:
        assert opened.changes() is not None


def test_without_notices_from_the_system_the_folder_is_looked_at(
    documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr(watching, "RustNotify", refuse)
    monkeypatch.setattr(watching, "POLLED", POLLED)
    with watch(documents, tmp_path / "none", NOTIFIED) as watched:
        watched.wait_for({})
        (documents / "a.txt").write_text("One.")
        watched.wait_for({"a.txt": b"One."})
    assert watched.told == [
        f"the system does not watch {documents}, so it is looked at every few seconds: OS file watch limit reached."
    ]


@both
def test_the_watch_ends_at_once(documents: Path, tmp_path: Path, pace: Pace) -> None:
    with watch(documents, tmp_path / "none", pace) as watched:
        watched.wait_for({})
        watched.stop.set()
        watched.thread.join(5)
        assert not watched.thread.is_alive()


def test_one_process_watches(tmp_path: Path) -> None:
    with watch_lock(tmp_path), pytest.raises(BuildRunningError, match="another process watches"), watch_lock(tmp_path):
        pass
    with watch_lock(tmp_path):
        pass


MOUNTS = r"""
/dev/sda1 / ext4 rw 0 0
server:/x {0}/nfs nfs4 rw 0 0
//server/y {0}/two\040words cifs rw 0 0
host {0}/fuse fuse.sshfs rw 0 0
/dev/sdb1 {0}/nfs/disk xfs rw 0 0
lower {0}/over nfs rw 0 0
upper {0}/over overlay rw 0 0
""".strip()


@pytest.mark.parametrize(
    ("folder", "is_network"),
    [
        ("", False),
        ("nfs", True),
        ("nfs/below", True),
        ("nfs-not", False),
        ("two words/below", True),
        ("fuse", True),
        ("nfs/disk", False),
        ("over", False),
    ],
)
def test_a_network_folder_is_known_by_its_file_system(tmp_path: Path, folder: str, is_network: bool) -> None:
    (tmp_path / "mounts").write_text(MOUNTS.format(tmp_path))
    assert is_network_folder(tmp_path / folder, tmp_path / "mounts") == is_network
    assert not is_network_folder(tmp_path / folder, tmp_path / "no proc")
