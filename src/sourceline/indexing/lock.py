"""Locks in an index folder: one build at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from sourceline.errors import BuildRunningError

LOCK = "build.lock"


@contextmanager
def lock(index: Path) -> Iterator[None]:
    """Hold the right to build into an index folder.

    Raises:
        BuildRunningError: another build holds it.
    """
    with held(index / LOCK, f"another build of {index} is running: wait for it to end"):
        yield


@contextmanager
def held(file: Path, taken: str) -> Iterator[None]:
    """Hold a lock; the system frees it when the process ends, however it ends. May be left in another thread.

    Raises:
        BuildRunningError: another holds it; ``taken`` says so.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    holding = filelock.FileLock(file, thread_local=False)
    try:
        holding.acquire(blocking=False)
    except filelock.Timeout as error:
        raise BuildRunningError(taken) from error
    try:
        yield
    finally:
        holding.release()
