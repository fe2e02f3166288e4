"""Rebuilds an index whenever its documents folder changes.

What decides is how the folder looks: names, sizes and times of its files. The system's notices only say when to look;
where it gives none, as on network shares, the folder is looked at every few seconds.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from watchfiles._rust_notify import RustNotify

from sourceline import durable
from sourceline.address import PostgresAddress
from sourceline.api import Index
from sourceline.errors import BuildRunningError, CorpusError, SnapshotError
from sourceline.ingest.loader import FolderLook, look_at_folder

LOCK = "watch.lock"
# File systems on which the kernel does not notice what is written elsewhere; all of FUSE are taken for such.
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "vboxsf", "drvfs", "afs", "ceph", "fuseblk"}
_STEP_MS = 100  # how soon a wait for notices ends once they stop, or once the watch is to stop


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a folder is looked at, in seconds.

    ``quiet`` is how long it must look the same before it is read, so that no file is read half written; one that is
    written to without a pause is read after ``longest``. ``poll`` is how often it is looked at without a notice, for
    notices may be lost; with ``notices`` off there are none. ``soon`` is how long to wait for a build to end or a
    missing folder to come back, and ``retry`` how long after a build that failed it is tried again though nothing
    changed.
    """

    quiet: float = 1
    longest: float = 300
    poll: float = 60
    notices: bool = True
    soon: float = 2
    retry: float = 1800


NOTIFIED = Pace()
POLLED = Pace(quiet=5, poll=5, notices=False)  # a share tells sizes and times that are a few seconds old


@contextmanager
def watch_lock(index: Path) -> Iterator[None]:
    """Hold the right to watch the documents of an index: one process at a time.

    Raises:
        BuildRunningError: another process holds it.
    """
    with durable.file_lock(index / LOCK, f"another process watches the documents of {index}, and rebuilds it"):
        yield


class Watcher:
    """Watches a documents folder, which may be missing for a while, until ``stop`` is set.

    ``rebuild`` builds the index, tells how that went, and returns whether it went well; it may raise BuildRunningError.
    ``say`` tells what is wrong with the folder, once. A ``pace`` of None is chosen by the file system.
    """

    def __init__(
        self,
        documents: Path,
        index: Path | PostgresAddress,
        rebuild: Callable[[], bool],
        say: Callable[[str], None],
        stop: threading.Event,
        pace: Pace | None = None,
    ) -> None:
        self._documents, self._index, self._rebuild, self._say, self._stop = documents, index, rebuild, say, stop
        self._pace = pace or (POLLED if is_network_folder(documents) else NOTIFIED)
        self._told = ""
        self._seen: object = None  # how the files looked when they were last compared or built
        self._retry_at = math.inf
        self._watched: object = None
        self._notices: RustNotify | None = None

    def run(self) -> None:
        """Rebuild whenever the documents have changed; return when it is to stop."""
        try:
            while not self._stop.is_set():
                look = self._look()
                is_new = look and (look.files != self._seen or time.monotonic() >= self._retry_at)
                done = look is not None and (not is_new or self._update(look))
                self._wait(look if done else None)
        finally:
            self._watch_no_folder()

    def _look(self) -> FolderLook | None:
        """Return how the folder looks; None if that cannot be seen, which is told."""
        try:
            look = look_at_folder(self._documents)
            self._told = ""
            return look
        except CorpusError as error:
            self._tell(f"{error}; the index stays as it is")
            return None

    def _tell(self, line: str) -> None:
        if line != self._told:
            self._told = line
            self._say(line)

    def _update(self, look: FolderLook) -> bool:
        """Rebuild if the documents have changed, once they are quiet; return whether there is nothing left to do."""
        started = time.monotonic()
        while not self._stop.wait(self._pace.quiet):
            now = self._look()
            if now is None:
                return False
            if now.files == look.files or time.monotonic() - started > self._pace.longest:
                break
            look = now
        else:
            return False
        self._retry_at = math.inf
        try:
            if self._has_changed() and not self._rebuild():
                self._retry_at = time.monotonic() + self._pace.retry
        except (BuildRunningError, CorpusError):  # another build, or the folder is missing again: soon
            return False
        self._seen = look.files
        return True

    def _has_changed(self) -> bool:
        try:
            with Index.open(self._index, documents=self._documents, lazy=True, fallback=False) as index:
                changes = index.changes()
                return changes is None or bool(changes)
        except SnapshotError:  # none was built, or it cannot be used
            return True

    def _wait(self, look: FolderLook | None) -> None:
        """Wait until it is time to look at the folder again; ``look`` is None if that is soon."""
        poll_ms = math.ceil(self._pace.poll * 1000)
        if look is None or not self._pace.notices:
            self._stop.wait(self._pace.poll if look else self._pace.soon)
        elif look.folders != self._watched:  # then look again: what changed in between was not noticed
            self._watch_no_folder()
            self._watch(look)
        elif self._notices and self._notices.watch(_STEP_MS, _STEP_MS, poll_ms, self._stop) == "signal":
            raise KeyboardInterrupt

    def _watch(self, look: FolderLook) -> None:
        """Ask for notices of these folders: not of what is below one, since links would be followed there."""
        folders = [str(folder) for folder in look.folders]
        try:
            self._notices = RustNotify(folders, False, False, 0, False, True)
            self._watched = look.folders
        except FileNotFoundError:  # removed a moment ago
            self._stop.wait(self._pace.soon)
        except OSError as error:  # above all: the system's limit of watches is reached
            self._tell(f"the system does not watch {self._documents}, so it is looked at every few seconds: {error}")
            self._pace = POLLED

    def _watch_no_folder(self) -> None:
        if self._notices:
            self._notices.close()
        self._notices = self._watched = None


def is_network_folder(folder: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Return whether a folder is on a file system whose changes the kernel may not notice."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:  # not Linux
        return False
    path = str(folder.resolve())
    best, kind = "", ""
    for line in lines:
        _, mount_point, type_, *_ = line.split(" ")
        # Blanks, tabs, line ends and backslashes are written as octal numbers; a later mount hides an earlier one.
        point = mount_point.replace(r"\040", " ").replace(r"\011", "\t").replace(r"\012", "\n").replace(r"\134", "\\")
        if f"{path}/".startswith(f"{point.rstrip('/')}/") and len(point) >= len(best):
            best, kind = point, type_
    return kind in _NETWORK or kind.startswith("fuse.")
