"""Files that survive a crash whole: checksums, fsync, replacement by rename, locks. What is read is a regular file."""

import errno
import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from sourceline.errors import BuildRunningError

_FLUSH_BYTES = 16 << 20  # flushed to the disk after every so many bytes
_READ_BYTES = 1 << 18
_MAX_PENDING = 64  # pieces that may wait in memory to be written


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_regular(path: Path) -> BufferedReader:
    """Open a file to be read. Anything but a regular file is refused: a pipe would be waited for, a device obeyed.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


class HashedFile:
    """A new file that is written, hashed and flushed to the disk in the background.

    A failure is raised by a later call, at the latest by ``finish``.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._digest = hashlib.sha256()
        self._size = self._flushed = 0
        self._writer, self._flusher = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes; the buffer must not be modified afterwards."""
        self._submit(self._append, memoryview(data).cast("B"))

    def copy_from(self, source: Path, start: int, stop: int) -> None:
        """Append the bytes ``start`` to ``stop`` of another file."""
        self._submit(self._copy, source, start, stop)

    def finish(self) -> tuple[int, str]:
        """Wait until everything is on the disk; return the file's size and the SHA-256 of its bytes."""
        while self._pending:
            self._pending.popleft().result()
        os.fsync(self._file.fileno())
        return self._size, self._digest.hexdigest()

    def close(self) -> None:
        """Close the file, finished or not."""
        self._writer.shutdown()
        self._flusher.shutdown()
        self._file.close()

    def _submit(self, step: Callable[..., None], *arguments: object) -> None:
        while len(self._pending) > _MAX_PENDING or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._writer.submit(step, *arguments))

    def _append(self, data: memoryview) -> None:
        self._digest.update(data)
        self._size += len(data)
        while data:
            data = data[self._file.write(data) :]
        if self._size - self._flushed >= _FLUSH_BYTES:
            self._flushed = self._size
            self._pending.append(self._flusher.submit(os.fsync, self._file.fileno()))

    def _copy(self, source: Path, start: int, stop: int) -> None:
        buffer = memoryview(bytearray(_READ_BYTES))  # small enough to be hashed and written from the processor's cache
        with source.open("rb", buffering=0) as file:
            file.seek(start)
            while start < stop:
                count = file.readinto(buffer[: stop - start])
                if not count:
                    raise OSError(errno.EIO, "the file became shorter", str(source))
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
    """Write a small file so that a crash leaves the old or the new text, whole. For one writer at a time."""
    # Always the same name, so that what a crash leaves behind is overwritten.
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


@contextmanager
def file_lock(path: Path, message: str) -> Iterator[None]:
    """Hold a lock file. The system frees it when the process ends, however it ends.

    It may be released in another thread than the one that took it.

    Raises:
        BuildRunningError: another process holds it; ``message`` is the error's.
    """
    import filelock  # only what builds locks: a server starts sooner without it

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise BuildRunningError(message) from error
    try:
        yield
    finally:
        lock.release()
