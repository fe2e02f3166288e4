"""Reads what is served again and again, slowly, so that damage is noticed before a restart or a reader does."""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sourceline.api import Index
from sourceline.config import Settings
from sourceline.durable import file_lock
from sourceline.errors import BuildRunningError, SourcelineError
from sourceline.server.live_index import LiveIndex
from sourceline.server.metrics import FOLDER_VARIABLE, Metrics

log = logging.getLogger(__name__)

FIRST_SECONDS = 300  # until the first round: a start has just read everything
TAKE_OVER_SECONDS = 60  # how often a process that does not scrub tries to take over from the one that does
BYTES_PER_SECOND = 8_000_000
HOUR = 3600


class ScrubThread:
    """Compares the files of the snapshot that is served with their checksums. Of several workers, one does."""

    def __init__(
        self,
        settings: Settings,
        live_index: LiveIndex,
        metrics: Metrics,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Take what is needed; ``wait`` waits so many seconds and returns whether to stop."""
        self._settings, self._live_index, self._metrics = settings, live_index, metrics
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._thread = threading.Thread(target=self._run, name="scrub", daemon=True)

    def start(self) -> None:
        """Start, some minutes from now."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, in the middle of a round as well."""
        self._stop.set()
        self._thread.join()

    def round(self) -> None:
        """Read everything once.

        Raises:
            SourcelineError: something cannot be read just now.
        """
        snapshot = self._live_index.index.snapshot.id
        damaged = 0
        for file in Index.check_files(self._settings.index, snapshot, _Pace(self._wait)):
            if file.fault:
                self._live_index.refresh()
                if self._live_index.index.snapshot.id != snapshot:
                    return  # another one was published meanwhile, and this one may have been removed
                damaged += 1
                log.error("damaged: %s: %s", file.name, file.fault)
                self._metrics.damaged_files.set(damaged)
                if file.name.startswith("snapshots/"):
                    # Opening it anew verifies it: it is set aside then, and the snapshot before is served.
                    self._live_index.refresh(reopen=True)
                    return
            self._metrics.scrubbed_files.inc()
            self._metrics.scrubbed_bytes.inc(file.bytes)
        self._metrics.damaged_files.set(damaged)
        self._metrics.scrubbed.set_to_current_time()

    def _run(self) -> None:
        seconds: float = FIRST_SECONDS
        # With several workers, there is a folder that is theirs.
        shared = os.environ.get(FOLDER_VARIABLE)
        with ExitStack() as held:  # until the end: another process takes over then
            while not self._wait(seconds):
                try:
                    if shared:
                        held.enter_context(file_lock(Path(shared) / "scrub.lock", "another process scrubs"))
                        shared = None
                    self.round()
                    seconds = self._settings.scrub * HOUR
                except BuildRunningError:
                    seconds = TAKE_OVER_SECONDS
                except _StoppedError:
                    return
                except (SourcelineError, OSError) as error:
                    log.warning("the index could not be read again: %s", error)
                    seconds = FIRST_SECONDS


class _StoppedError(Exception):
    """The server stops."""


class _Pace:
    """Waits as long as keeps the reading below a rate."""

    def __init__(self, wait: Callable[[float], bool]) -> None:
        self._wait = wait
        self._due = time.monotonic()

    def __call__(self, count: int) -> None:
        self._due = max(self._due, time.monotonic()) + count / BYTES_PER_SECOND
        if self._wait(max(0.0, self._due - time.monotonic())):
            raise _StoppedError
