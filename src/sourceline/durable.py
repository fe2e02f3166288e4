"""Files that survive a crash whole: checksums, fsync, replacement by rename, locks. What is read is a regular file."""

import errno
import fcntl
import hashlib
import os
import re
import resource
import shutil
import sqlite3
import stat
import tempfile
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from sourceline.errors import BuildRunningError

_FLUSH_BYTES = 16 << 20  # flushed to the disk after every so many bytes
_READ_BYTES = 1 << 18
_MAX_PENDING = 64  # pieces that may wait in memory to be written
# What a library says of an error of the system that it tells in words alone, or what SQLite's codes are.
_TOLD_BY_SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
}
_TOLD = {os.strerror(number): number for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.EFBIG)}
# What is said of a write that ended early: by numpy, FAISS and tantivy's threads.
_CUT_SHORT = re.compile(r"requested and \d+ written|write error|writer was killed")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_MOMENT = 60  # seconds between the making of a temporary folder and the lock on it, at the very most
_NEARLY_FULL = 1 << 20  # bytes that are free


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
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is no regular file", str(path))


def read_text(path: Path, errors: str = "strict") -> str:
    """Return the text of a small regular file in UTF-8.

    Raises:
        OSError: it cannot be read, or is no regular file.
        UnicodeDecodeError: it is not UTF-8, and ``errors`` is strict.
    """
    with open_regular(path) as file:
        return file.read().decode(errors=errors)


class WatchedFiles:
    """Files that are read again while they are open, and are not to be written to meanwhile.

    They are held open, so that the same files are looked at when others take their names. A write is known by the size
    or the time of the file, which it changes.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        """Remember how they look.

        Raises:
            OSError: one cannot be opened.
        """
        self._files: dict[int, tuple[Path, tuple[int, int]]] = {}
        weakref.finalize(self, _close_all, self._files)
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            self._files[descriptor] = path, _stamp(descriptor)

    def written(self) -> Path | None:
        """Return the first that was written to since; None if none was."""
        return next((path for file, (path, stamp) in self._files.items() if _stamp(file) != stamp), None)


def _stamp(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns


def _close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


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


def replace_folder(folder: Path, target: Path) -> None:
    """Flush a folder to the disk and put it in the place of ``target``, which is on the same file system."""
    sync_tree(folder)
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)
    sync(target.parent)


def replace(path: Path, text: str) -> None:
    """Write a small file so that a crash leaves the old or the new text, whole. For one writer at a time."""
    # Always the same name, so that what a crash leaves behind is overwritten.
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)  # if it is a pipe, opening it would wait for a reader
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def explain_failure(error: BaseException, folder: Path, before: int | None = None) -> str:
    """Return what failed where files are written into a folder, and what to do: about the disk, memory or limits.

    Args:
        error: by Python, or by a library that tells the system's error in words.
        folder: where it was written.
        before: how many bytes were written there the last time, if that is known.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    match _number_of(error, existing):
        case errno.ENOSPC | errno.EDQUOT:
            about = f", and the last time {_megabytes(before)} were written" if before else ""
            free = _megabytes(shutil.disk_usage(existing).free)
            advice = (
                f"there is no room left on the file system of {folder} ({free} are free now{about}): make room there"
            )
        case errno.EIO:
            advice = f"the disk of {folder} fails: see the system's log, and move the folder to a sound disk"
        case errno.EMFILE | errno.ENFILE:
            advice = "too many files are open: raise the limit (`ulimit -n`)"
        case errno.EFBIG:
            advice = f"a file in {folder} would be larger than may be: raise the limit (`ulimit -f`)"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            advice = f"{folder} cannot be written: change its permissions or its mount"
        case errno.ENOMEM:
            advice = "there is not enough memory: raise the limit (`ulimit -v`, or the container's), or free some"
        case _:
            return str(error)
    return f"{advice} ({error})" if str(error) else advice


def _number_of(error: BaseException, folder: Path) -> int | None:
    """Return the number of the system's error behind an error, if it is told."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    text = str(error)
    if number := next((number for words, number in _TOLD.items() if words in text), None):
        return number
    code = _TOLD_BY_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    cut_short = _CUT_SHORT.search(text)
    # Of a file that may not grow any more, SQLite says what it says of a disk that fails.
    if (cut_short or code == errno.EIO) and resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
        return errno.EFBIG
    if cut_short and shutil.disk_usage(folder).free < _NEARLY_FULL:
        return errno.ENOSPC
    return code


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """Yield a new temporary folder, removed at the end; remove those of processes that were killed before theirs.

    Its process holds a lock on it, which the system frees however the process ends.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):  # another user's, or removed a moment ago
            if time.time() - left.lstat().st_mtime > _MOMENT and not _is_folder_locked(left):
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        descriptor = os.open(name, _FOLDER)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(descriptor)


def _is_folder_locked(folder: Path) -> bool:
    descriptor = os.open(folder, _FOLDER)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


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


def is_locked(path: Path) -> bool:
    """Return whether a process holds a lock file, also where it cannot be written. It is not created.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    try:
        with open_regular(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
