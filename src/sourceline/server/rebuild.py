"""Runs a build in a process of its own, beside the server that goes on answering."""

import logging
import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path

from sourceline.errors import BuildRunningError, SourcelineError
from sourceline.index.build import Report, build, lock
from sourceline.index.make import Progress
from sourceline.types import EncoderKind

log = logging.getLogger(__name__)

# Below the server's own, so that questions come first.
NICENESS = 10


class State(StrEnum):
    """Where the last rebuild that this server started stands."""

    IDLE = "idle"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RebuildStatus:
    """The last rebuild that this server started. ``progress`` counts bytes of new documents."""

    state: State = State.IDLE
    started: datetime | None = None
    finished: datetime | None = None
    progress: Progress | None = None
    report: Report | None = None
    error: str | None = None


class Rebuilds:
    """Starts builds, one at a time."""

    def __init__(self, documents: Path, index: Path, model: str, kind: EncoderKind) -> None:
        self._arguments = (documents, index, model, kind)
        self._index = index
        self._starting = threading.Lock()  # never taken to answer a question
        self._status = RebuildStatus()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._follower: threading.Thread | None = None

    @property
    def status(self) -> RebuildStatus:
        """How the last rebuild went, or how far it is."""
        return self._status

    def start(self) -> RebuildStatus:
        """Start a build.

        Raises:
            BuildRunningError: one is running, started here or elsewhere.
        """
        with self._starting:
            if self._status.state is State.RUNNING:
                raise BuildRunningError("a rebuild is running: wait for it to end")
            with lock(self._index):
                pass  # nobody else is building; should one begin just now, the child will say so
            # Spawned, not forked: FAISS and onnxruntime hang in a forked child.
            context = multiprocessing.get_context("spawn")
            receiver, sender = context.Pipe(duplex=False)
            self._process = context.Process(target=_build, args=(sender, *self._arguments), daemon=True)
            self._process.start()
            sender.close()
            self._status = RebuildStatus(State.RUNNING, started=datetime.now(UTC))
            self._follower = threading.Thread(
                target=self._follow, args=(receiver,), name="rebuild-follower", daemon=True
            )
            self._follower.start()
            return self._status

    def wait(self) -> RebuildStatus:
        """Return how the rebuild ended, once it has."""
        if self._follower is not None:
            self._follower.join()
        return self._status

    def stop(self) -> None:
        """End a running build; what is served stays as it is."""
        if self._process is not None and self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def _follow(self, receiver: Connection) -> None:
        """Take what the child says until it ends."""
        outcome = replace(self._status, state=State.FAILED, error="the build's process ended before it was done")
        with receiver:
            try:
                while True:
                    said = receiver.recv()
                    match said:
                        case Progress():
                            self._status = replace(self._status, progress=said)
                        case Report():
                            outcome = replace(self._status, state=State.SUCCEEDED, report=said)
                        case str():
                            outcome = replace(self._status, state=State.FAILED, error=said)
            except EOFError:
                pass  # it closed its end: all is said
        if outcome.error:
            log.error("rebuild failed: %s", outcome.error)
        self._status = replace(outcome, finished=datetime.now(UTC))


def _build(sender: Connection, documents: Path, index: Path, model: str, kind: EncoderKind) -> None:
    """Build, in the child; say how it goes."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server too, which then ends this process
    with sender, suppress(BrokenPipeError):  # the server was killed, nobody listens
        try:
            sender.send(build(documents, index, model, kind, sender.send))
        except SourcelineError as error:
            sender.send(str(error))
