"""Runs a build in a process of its own, beside the server that goes on answering."""

import logging
import multiprocessing
import os
import signal
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from sourceline.errors import BuildError, SourcelineError
from sourceline.index.lock import lock
from sourceline.index.report import Progress, Report
from sourceline.server.status import RebuildStatus, State, StatusFile
from sourceline.types import EncoderKind

log = logging.getLogger(__name__)

# Below the server's own, so that questions come first.
NICENESS = 10


class Rebuilds:
    """Starts builds, one at a time, whichever process that serves the index is asked to."""

    def __init__(self, documents: Path, index: Path, model: str, kind: EncoderKind) -> None:
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
                        case Progress():
                            status, outcome = replace(status, progress=said), replace(outcome, progress=said)
                            self._write(status)
                        case Report():
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


def _build(sender: Connection, documents: Path, index: Path, model: str, kind: EncoderKind) -> None:
    """Build, in the child; say how it goes."""
    from sourceline.index.build import build  # what builds, a server that starts need not import

    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server too, which then ends this process
    with sender, suppress(BrokenPipeError):  # the server was killed, nobody listens
        try:
            sender.send(build(documents, index, model, kind, sender.send))
        except SourcelineError as error:
            sender.send(str(error))
