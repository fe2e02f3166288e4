"""Whether the limits of this process leave a build what it needs.

A build that runs into them can be told nothing: where memory is refused, the native libraries abort the process, and
where a thread is, one waits for it for ever. So that is found out before it begins, and before they are imported.
"""

import os
import resource
from contextlib import suppress
from pathlib import Path

from sourceline.errors import BuildError
from sourceline.types import DEFAULT_MODEL

# Measured for a build of any size, and for one that exports a model of the default one's size; both with room to spare.
# Address space, of which most is never touched: a thread gets 8 MB of stack and an arena of 64 MB.
BUILD_BYTES, EXPORT_BYTES, CORE_BYTES = 1_500_000_000, 3_200_000_000, 150_000_000
OPEN_FILES = 64


def require_limits(index: Path, model: str) -> None:
    """Refuse to build under limits of memory (``ulimit -v`` and ``-d``) or of open files (``-n``) that are too low.

    Args:
        index: the folder of the index.
        model: the name of the model; one that does not come with Sourceline and was not exported into the index yet is
            to be exported, which takes most memory.

    Raises:
        BuildError: they are.
    """
    cores = os.cpu_count() or 1
    exported = model == DEFAULT_MODEL or any(index.glob("encoders/*/encoder.json"))
    needed = (BUILD_BYTES if exported else EXPORT_BYTES) + cores * CORE_BYTES
    for kind, flag in ((resource.RLIMIT_AS, "v"), (resource.RLIMIT_DATA, "d")):
        limit, _ = resource.getrlimit(kind)
        if limit != resource.RLIM_INFINITY and limit < needed:
            raise BuildError(
                f"a build needs {needed // 1_000_000:,} MB of address space on {cores} cores, and may have "
                f"{limit // 1_000_000:,} MB: raise the limit (`ulimit -{flag} {needed // 1024}`), "
                "or limit memory by the container instead"
            )
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit - _open_files() < OPEN_FILES:
        raise BuildError(
            f"a build needs {OPEN_FILES} files open at once, and this process has {_open_files()} open and may have "
            f"{limit}: raise the limit (`ulimit -n`)"
        )


def _open_files() -> int:
    with suppress(OSError):  # not Linux
        return len(list(Path("/proc/self/fd").iterdir()))
    return 0
