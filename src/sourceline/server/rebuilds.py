"""How the last rebuild goes, kept in a file, so that every process that serves the index tells the same."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sourceline import durable
from sourceline.errors import BuildError, BuildRunningError, SourcelineError
from sourceline.indexing.lock import held, lock
from sourceline.types import Backend, BuildProgress, BuildReport

FILE = "rebuild.json"
LOCK = "rebuild.lock"


class State(StrEnum):
    """Where the last rebuild that was started over HTTP stands."""

    IDLE = "idle"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RebuildStatus:
    """The last rebuild that was started over HTTP. ``progress`` counts bytes of new documents."""

    state: State = State.IDLE
    started: datetime | None = None
    finished: datetime | None = None
    progress: BuildProgress | None = None
    report: BuildReport | None = None
    error: str | None = None


_JSON = TypeAdapter(RebuildStatus)


class StatusFile:
    """The file. Who starts a rebuild holds a lock until it has ended, and is the only one who writes."""

    def __init__(self, index: Path) -> None:
        self._index = index

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Hold the lock. May be left in another thread.

        Raises:
            BuildRunningError: a rebuild runs that was started over HTTP.
        """
        with held(self._index / LOCK, "a rebuild is running: wait for it to end"):
            yield

    def read(self) -> RebuildStatus:
        """Return how the last rebuild went, or how far it is."""
        status = self._written()
        # If it changed since, it had an owner still.
        if status.state is State.RUNNING and not self._is_owned() and self._written() == status:
            return replace(status, state=State.FAILED, error="the server's process that had started it ended")
        return status

    def write(self, status: RebuildStatus) -> None:
        """Replace what is written. Only for who holds the lock."""
        durable.replace(self._index / FILE, _JSON.dump_json(status).decode())

    def _written(self) -> RebuildStatus:
        try:
            return _JSON.validate_json((self._index / FILE).read_bytes())
        except (FileNotFoundError, ValidationError):  # none yet, or of another version
            return RebuildStatus()

    def _is_owned(self) -> bool:
        try:
            with self.claim():
                return False
        except BuildRunningError:
            return True


log = logging.getLogger(__name__)

# Below the server's own, so that questions come first.
NICENESS = 10


class Rebuilds:
    """Starts builds, one at a time, whichever process that serves the index is asked to."""

    def __init__(self, documents: Path, index: Path, model: str, kind: Backend) -> None:
        self._arguments = (documents, index, model, kind)
        self._index = index
        self._file = StatusFile(index)
        self._process: multiprocessing.process.BaseProcess | None = None
        self._follower: threading.Thread | None = None

    @property
    def status(self) -> RebuildStatus:
        """How the last rebuild went, or how far it is."""
        return self._file.read()

    def start(self) -> RebuildStatus:
        """Start a build.

        Raises:
            BuildRunningError: one is running, started here or elsewhere.
            BuildError: it could not be started.
        """
        try:
            with ExitStack() as claim:
                claim.enter_context(self._file.claim())
                with lock(self._index):
                    pass  # nobody else is building; should one begin just now, the child will say so
                status = RebuildStatus(State.RUNNING, started=datetime.now(UTC))
                self._file.write(status)
                receiver = self._spawn()
                told = receiver, status, claim.pop_all()  # from here on the follower holds it
                self._follower = threading.Thread(target=self._follow, args=told, name="rebuild-follower", daemon=True)
                self._follower.start()
                return status
        except OSError as error:
            raise BuildError(f"the rebuild could not be started: {error}") from error

    def wait(self) -> RebuildStatus:
        """Return how the rebuild ended, once it has."""
        if self._follower is not None:
            self._follower.join()
        return self.status

    def stop(self) -> None:
        """End a running build; what is served stays as it is."""
        if self._process is not None and self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self.wait()

    def _spawn(self) -> Connection:
        """Start the child; return where it says how it goes."""
        # Spawned, not forked: FAISS and onnxruntime hang in a forked child.
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_build, args=(sender, *self._arguments), daemon=True)
        self._process.start()
        sender.close()
        return receiver

    def _follow(self, receiver: Connection, status: RebuildStatus, claim: ExitStack) -> None:
        """Take what the child says until it ends, and write it down for all."""
        outcome = replace(status, state=State.FAILED, error="the build's process ended before it was done")
        with claim:
            with receiver, suppress(EOFError):  # it closes its end when all is said
                while True:
                    said = receiver.recv()
                    match said:
                        case BuildProgress():
                            status, outcome = replace(status, progress=said), replace(outcome, progress=said)
                            self._write(status)
                        case BuildReport():
                            outcome = replace(status, state=State.SUCCEEDED, report=said)
                        case str():
                            outcome = replace(status, state=State.FAILED, error=said)
            if outcome.error:
                log.error("rebuild failed: %s", outcome.error)
            self._write(replace(outcome, finished=datetime.now(UTC)))

    def _write(self, status: RebuildStatus) -> None:
        try:
            self._file.write(status)
        except OSError as error:  # the build goes on; who asks is told that nobody follows it any more
            log.warning("how the rebuild goes could not be written: %s", error)


def _build(sender: Connection, documents: Path, index: Path, model: str, kind: Backend) -> None:
    """Build, in the child; say how it goes."""
    from sourceline.indexing.builder import build  # what builds, a server that starts need not import

    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server too, which then ends this process
    with sender, suppress(BrokenPipeError):  # the server was killed, nobody listens
        try:
            sender.send(build(documents, index, model, kind, sender.send))
        except SourcelineError as error:
            sender.send(str(error))
