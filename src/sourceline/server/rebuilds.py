"""Rebuilds that are started over HTTP, each in a process of its own.

The last one's state is kept in a file, so that every process that serves the index reports the same.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from pydantic import ValidationError

from sourceline import durable
from sourceline.api import Index
from sourceline.config import Settings
from sourceline.errors import BuildError, BuildRunningError, SnapshotError, SourcelineError
from sourceline.logs import log_to_stderr
from sourceline.server.models import RebuildStatus
from sourceline.server.observing import Observer
from sourceline.types import BuildProgress, BuildReport, RebuildState

log = logging.getLogger(__name__)

STATUS_FILE = "rebuild.json"
LOCK = "rebuild.lock"
# How often a rebuild that is to follow a running one tries to start.
QUEUE_SECONDS = 0.5
# Below the server's own priority, so that questions come first.
NICENESS = 10


class StatusFile:
    """The file. The process that starts a rebuild holds a lock until it has ended, and alone writes the file."""

    def __init__(self, index: Path) -> None:
        self._index = index

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock. It may be released in another thread.

        Raises:
            BuildRunningError: a rebuild is running that was started over HTTP.
        """
        with durable.file_lock(self._index / LOCK, "a rebuild is running: wait for it to end"):
            yield

    def read(self) -> RebuildStatus:
        """Return how the last rebuild went, or how far it is."""
        status = self._read()
        # Read again: if it has changed since, its process was still alive.
        if (
            status.state is RebuildState.RUNNING
            and not durable.is_locked(self._index / LOCK)
            and self._read() == status
        ):
            error = "the server's process that had started it ended"
            return status.model_copy(update={"state": RebuildState.FAILED, "error": error})
        return status

    def write(self, status: RebuildStatus) -> None:
        """Replace the file. Only for the holder of the lock."""
        durable.replace(self._index / STATUS_FILE, status.model_dump_json())

    def _read(self) -> RebuildStatus:
        try:
            with durable.open_regular(self._index / STATUS_FILE) as file:
                return RebuildStatus.model_validate_json(file.read())
        except (OSError, ValidationError):  # none yet, no file that can be read, or of another version
            return RebuildStatus()


class Rebuilds:
    """Starts rebuilds, one at a time among all processes that serve the index."""

    def __init__(self, settings: Settings, observer: Observer | None = None) -> None:
        self._settings = settings
        self._observer = observer or Observer()
        self._file = StatusFile(settings.local_folder)
        self._queue: threading.Thread | None = None
        self._stopped = threading.Event()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._follower: threading.Thread | None = None

    @property
    def status(self) -> RebuildStatus:
        """How the last rebuild went, or how far it is."""
        return self._file.read()

    @property
    def is_building(self) -> bool | None:
        """Whether the index is being built, also by another program; None if it cannot be told."""
        try:
            return self.status.state is RebuildState.RUNNING or Index.is_building(self._settings.index)
        except (OSError, SnapshotError):
            return None

    def start(self) -> RebuildStatus:
        """Start a rebuild.

        Raises:
            BuildRunningError: a build is running, started here or elsewhere.
            BuildError: it could not be started.
        """
        try:
            with ExitStack() as stack:
                stack.enter_context(self._file.lock())
                # Should a build begin just after this, the child says so.
                if Index.is_building(self._settings.index):
                    raise BuildRunningError(f"another build of {self._settings.index} is running: wait for it to end")
                status = RebuildStatus(state=RebuildState.RUNNING, started=datetime.now(UTC))
                self._file.write(status)
                receiver = self._spawn()
                lock = stack.pop_all()  # from here on the follower holds it
                follower = threading.Thread(
                    target=self._follow, args=(receiver, status, lock), name="rebuild-follower", daemon=True
                )
                follower.start()
                self._follower = follower  # only now: another thread may wait for it
                return status
        except OSError as error:
            reason = durable.explain_failure(error, self._settings.local_folder)
            raise BuildError(f"the rebuild could not be started: {reason}") from error

    def request(self) -> RebuildStatus:
        """Start a rebuild, or have one follow the build that is running. Requests that come meanwhile share that one.

        Raises:
            BuildError: it could not be started.
        """
        try:
            return self.start()
        except BuildRunningError:
            if self._queue is None:
                self._queue = threading.Thread(target=self._start_when_free, name="rebuild-queue", daemon=True)
                self._queue.start()
            return RebuildStatus(state=RebuildState.QUEUED)

    def _start_when_free(self) -> None:
        queue = self._queue
        while not self._stopped.wait(QUEUE_SECONDS):
            self._queue = None  # what is requested from here on may come too late for the rebuild that starts now
            try:
                self.start()
            except BuildRunningError:
                self._queue = self._queue or queue
            except BuildError as error:
                log.error("%s", error)
                return
            else:
                return
        log.warning("documents were changed over HTTP, and the rebuild that was to follow has not run")

    def wait(self) -> RebuildStatus:
        """Return how the rebuild ended, once it has."""
        if self._follower is not None:
            self._follower.join()
        return self.status

    def stop(self) -> None:
        """End a running rebuild and start no other; what is served stays as it is."""
        self._stopped.set()
        if self._process is not None and self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self.wait()

    def _spawn(self) -> Connection:
        """Start the child; return the connection on which it reports."""
        # Spawned, not forked: FAISS and onnxruntime hang in a forked child.
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_build, args=(sender, self._settings), daemon=True)
        self._process.start()
        sender.close()
        return receiver

    def _follow(self, receiver: Connection, status: RebuildStatus, lock: ExitStack) -> None:
        """Write down what the child reports until it ends."""
        outcome = RebuildState.FAILED
        end: dict[str, object] = {"error": "the build's process ended before it was done"}
        with lock:
            with receiver, suppress(EOFError):  # the child closes its end when it has reported everything
                while True:
                    match receiver.recv():
                        case BuildProgress() as progress:
                            status = status.model_copy(update={"progress": progress})
                            self._write(status)
                        case BuildReport() as report:
                            for warning in report.warnings:
                                log.warning("%s", warning)
                            outcome, end = RebuildState.SUCCEEDED, {"report": report}
                        case str() as error:
                            end = {"error": error}
            if "error" in end:
                log.error("rebuild failed: %s", end["error"])
            finished = datetime.now(UTC)
            self._observer.rebuilt(outcome, status.started or finished, finished)
            self._write(status.model_copy(update={**end, "state": outcome, "finished": finished}))

    def _write(self, status: RebuildStatus) -> None:
        try:
            self._file.write(status)
        except OSError as error:  # the build goes on; its status then says that nobody follows it
            log.warning("the status of the rebuild could not be written: %s", error)


def _build(sender: Connection, settings: Settings) -> None:
    """Build, in the child, and report to the parent."""
    log_to_stderr(settings.log_format)
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server too, which then ends this process
    with sender, suppress(BrokenPipeError):  # the server was killed: nobody listens
        try:
            report = Index.build(
                settings.documents,
                settings.index,
                model=settings.model,
                backend=settings.backend,
                progress=sender.send,
                max_document_bytes=settings.max_document_bytes,
                follow_links=settings.follow_links,
                partitions=settings.partitions,
            )
            sender.send(report)
        except SourcelineError as error:
            sender.send(str(error))
