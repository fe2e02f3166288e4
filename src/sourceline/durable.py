"""Files that survive a crash whole: checksum, fsync, replace by rename."""

import errno
import hashlib
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

_STRETCH = 16 << 20  # so many bytes are flushed at once
_READ = 1 << 18
_PENDING = 64  # so many pieces wait in memory to be written


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class HashedFile:
    """A new file that is written, hashed and flushed to the disk beside all else that a build does.

    For most of a snapshot is one file. What fails is raised by a later call, at the latest by ``settled``.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._digest = hashlib.sha256()
        self._size = self._flushed = 0
        self._beside, self._flushing = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes, which must not change any more."""
        self._submit(self._append, memoryview(data).cast("B"))

    def copy(self, source: Path, start: int, stop: int) -> None:
        """Append bytes of another file."""
        self._submit(self._copy, source, start, stop)

    def settled(self) -> tuple[int, str]:
        """Wait until all that was written is on the disk; return the file's size and the SHA-256 of its bytes."""
        while self._pending:
            self._pending.popleft().result()
        os.fsync(self._file.fileno())
        return self._size, self._digest.hexdigest()

    def close(self) -> None:
        """Close the file, however far it has come."""
        self._beside.shutdown()
        self._flushing.shutdown()
        self._file.close()

    def _submit(self, step: Callable[..., None], *given: object) -> None:
        while len(self._pending) > _PENDING or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._beside.submit(step, *given))

    def _append(self, data: memoryview) -> None:
        self._digest.update(data)
        self._size += len(data)
        while data:
            data = data[self._file.write(data) :]
        if self._size - self._flushed >= _STRETCH:
            self._flushed = self._size
            self._pending.append(self._flushing.submit(os.fsync, self._file.fileno()))

    def _copy(self, source: Path, start: int, stop: int) -> None:
        buffer = memoryview(bytearray(_READ))  # small enough to be hashed and written from the processor's cache
        with source.open("rb", buffering=0) as file:
            file.seek(start)
            while start < stop:
                count = file.readinto(buffer[: stop - start])
                if not count:
                    raise OSError(errno.EIO, "it has become shorter", str(source))
                self._append(buffer[:count])
                start += count


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below ``folder`` to the disk, and the folder itself last."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync(Path(parent) / name)
        sync(Path(parent))


def replace(path: Path, text: str) -> None:
    """Write a small file so that a crash at any point leaves the old or the new text, whole. One writer at a time."""
    # Always the same name, so that what a crash leaves behind is written over.
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)
