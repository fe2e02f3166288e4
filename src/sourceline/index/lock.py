"""One build of an index at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from sourceline.errors import BuildRunningError

LOCK = "build.lock"


@contextmanager
def lock(index: Path) -> Iterator[None]:
    """Hold the right to build into an index folder; the system frees it when the process ends, however it ends.

    Raises:
        BuildRunningError: another build holds it.
    """
    index.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(index / LOCK)
    try:
        held.acquire(blocking=False)
    except filelock.Timeout as error:
        raise BuildRunningError(f"another build of {index} is running: wait for it to end") from error
    try:
        yield
    finally:
        held.release()
