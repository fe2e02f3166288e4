"""Reads files that anything may happen to: bytes, or why not, and what the file system says of them."""

import errno
import hashlib
import itertools
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Self

from sourceline.durable import open_regular
from sourceline.errors import CorpusError, DocumentError

# At the top of the folder: what the page suggests to ask. No document: its lines would answer themselves.
QUESTIONS_FILE = "questions.txt"
MAX_QUESTIONS, MAX_QUESTION_LENGTH = 12, 200
MAX_QUESTIONS_BYTES = 64 * 1024
NOT_REGULAR = "it is not a regular file"
LEADS_OUTSIDE = "it is a link that leads out of the folder, and follow_links is off"
# Errors of this process, not of a file: skipping a file for one would drop a good document from the index.
PROCESS_ERRORS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_PIECE = 1 << 20


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

    @property
    def modified_at(self) -> datetime | None:
        """When the bytes last changed; None if the file system says that it was in no year that there is."""
        try:
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.modified // 1000)
        except OverflowError:
            return None

    def is_older_than(self, moment: int) -> bool:
        """Return whether the file was last changed before a moment, in nanoseconds since the epoch."""
        return max(self.modified, self.changed) < moment


def read_file(path: Path, max_bytes: int, within: Path | None) -> tuple[bytes, FileStamp]:
    """Return a file's bytes, and its stamp when they were read.

    Args:
        path: the file.
        max_bytes: a larger one is refused by its size. Of one that grows meanwhile, what it held at first is read.
        within: the folder out of which no link may lead; None is any.

    Raises:
        DocumentError: it is no regular file, too large, elsewhere, or cannot be read.
        CorpusError: no file can be read just now.
    """
    with _opened(path, max_bytes, within) as (file, stamp):
        return file.read(stamp.size), stamp


def hash_file(path: Path, max_bytes: int, within: Path | None) -> tuple[str, FileStamp]:
    """Return the SHA-256 of what ``read_file`` would return, and the stamp; raises as that does."""
    digest = hashlib.sha256()
    with _opened(path, max_bytes, within) as (file, stamp):
        remaining = stamp.size
        while remaining and (piece := file.read(min(remaining, _PIECE))):
            digest.update(piece)
            remaining -= len(piece)
    return digest.hexdigest(), stamp


@contextmanager
def _opened(path: Path, max_bytes: int, within: Path | None) -> Iterator[tuple[BinaryIO, FileStamp]]:
    try:
        if within is not None and leads_outside(path, within):
            raise DocumentError(LEADS_OUTSIDE)
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a device can already do something
            raise DocumentError(NOT_REGULAR)
        with open_regular(path) as file:
            stamp = FileStamp.of(os.fstat(file.fileno()))
            if stamp.size > max_bytes:
                raise DocumentError(f"it is too large: {stamp.size:,} bytes; max_document_bytes is {max_bytes:,}")
            yield file, stamp
    except OSError as error:
        if error.errno in PROCESS_ERRORS:
            raise CorpusError(f"cannot read {path}: {error.strerror}") from error
        raise DocumentError(_why_not(path, error)) from error


def read_questions(folder: Path, follow_links: bool = False) -> tuple[str, ...]:
    """Return the questions that are written beside the documents; none if there is no such file.

    Raises:
        DocumentError: it is no regular file, too large, elsewhere, no UTF-8, or cannot be read.
        CorpusError: no file can be read just now.
    """
    path = folder / QUESTIONS_FILE
    if not os.path.lexists(path):
        return ()
    try:
        if os.stat(path).st_size > MAX_QUESTIONS_BYTES:  # the message of a document would name its setting
            raise DocumentError(f"it is larger than {MAX_QUESTIONS_BYTES:,} bytes")
        data, _ = read_file(path, MAX_QUESTIONS_BYTES, None if follow_links else folder)
        lines = (" ".join(line.split()) for line in data.decode("utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise DocumentError("it is not UTF-8") from error
    except OSError as error:
        raise DocumentError(_why_not(path, error)) from error
    fitting = (line for line in lines if line and not line.startswith("#") and len(line) <= MAX_QUESTION_LENGTH)
    return tuple(itertools.islice(dict.fromkeys(fitting), MAX_QUESTIONS))


def leads_outside(path: Path, folder: Path) -> bool:
    """Return whether a path below a folder leads out of it over links."""
    root = os.path.realpath(folder)
    return not os.path.realpath(path).startswith(f"{root.rstrip(os.sep)}{os.sep}")


def displayed(name: str) -> str:
    """Return a name as text on one line, even if it is not UTF-8 or has control characters."""
    text = name.encode(errors="backslashreplace").decode()
    return "".join(ascii(character)[1:-1] if is_control(character) else character for character in text)


def is_control(character: str) -> bool:
    """Return whether a character is a control character, such as a line end."""
    return unicodedata.category(character) == "Cc"


def _why_not(path: Path, error: OSError) -> str:
    """Return why a file cannot be read; what the system says of some is no help."""
    if error.errno in (errno.EINVAL, errno.ENXIO):  # what open_regular refuses; a socket
        return NOT_REGULAR
    if error.errno == errno.ENOENT and path.is_symlink():
        return "it is a link to a file that is not there"
    return f"it cannot be read: {error.strerror}"
