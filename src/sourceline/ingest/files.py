"""Reads files that anything may happen to: bytes, or why not, and what the file system says of them."""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sourceline.errors import CorpusError, DocumentError

NOT_REGULAR = "it is not a regular file"
# Errors of this process, not of a file: skipping a file for one would drop a good document from the index.
PROCESS_ERRORS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What the file system says of a file: its size, and in nanoseconds when its bytes and its entry last changed."""

    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Return the stamp of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_older_than(self, moment: int) -> bool:
        """Return whether the file was last changed before a moment, in nanoseconds since the epoch."""
        return max(self.modified, self.changed) < moment


def read_file(path: Path, max_bytes: int | None = None) -> tuple[bytes, FileStamp]:
    """Return a file's bytes, and its stamp when they were read.

    Raises:
        DocumentError: it is no regular file, is larger than ``max_bytes``, or cannot be read.
        CorpusError: no file can be read just now.
    """
    try:
        # Opened without blocking, so that a pipe without a writer cannot hang the build.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DocumentError(NOT_REGULAR)
            if max_bytes is not None and status.st_size > max_bytes:
                raise DocumentError(f"it is too large: {status.st_size:,} bytes; max_document_bytes is {max_bytes:,}")
            return file.read(), FileStamp.of(status)
    except OSError as error:
        if error.errno in PROCESS_ERRORS:
            raise CorpusError(f"cannot read {path}: {error.strerror}") from error
        raise DocumentError(_why_not(path, error)) from error


def hash_file(path: Path, max_bytes: int | None = None) -> tuple[str, FileStamp]:
    """Return the SHA-256 of a file's bytes, and its stamp when they were read; raises as ``read_file`` does."""
    data, stamp = read_file(path, max_bytes)
    return hashlib.sha256(data).hexdigest(), stamp


def displayed(name: str) -> str:
    """Return a name as text, even if it is not UTF-8."""
    return name.encode(errors="backslashreplace").decode()


def _why_not(path: Path, error: OSError) -> str:
    """Return why a file cannot be read; what the system says of some is no help."""
    if error.errno == errno.ENXIO:  # a socket
        return NOT_REGULAR
    if error.errno == errno.ENOENT and path.is_symlink():
        return "it is a link to a file that is not there"
    return f"it cannot be read: {error.strerror}"
