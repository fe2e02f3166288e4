"""How the last rebuild goes, kept in a file, so that every process that serves the index tells the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sourceline import durable
from sourceline.errors import BuildRunningError
from sourceline.index.lock import held
from sourceline.index.report import Progress, Report

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
    progress: Progress | None = None
    report: Report | None = None
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
