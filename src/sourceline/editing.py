"""Adds, replaces and removes files of the documents folder: whole or not at all, and never outside of it."""

import errno
import os
import secrets
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Self

from sourceline.errors import CorpusError, EditError, UnknownDocumentError
from sourceline.ingest.files import QUESTIONS_FILE

MAX_ID_CHARACTERS = 1_000
MAX_NAME_BYTES = 255
# Control characters, what is written without being seen (zero width, direction of text), and separators of lines: two
# names could look the same, or one could pretend to be of another format.
_UNSEEN = {"Cc", "Cf", "Zl", "Zp"}
_TOO_LONG = f"a document's id has at most {MAX_ID_CHARACTERS:,} characters, each name in it {MAX_NAME_BYTES} bytes"
# Folders are opened one below the other, none through a link, so that nobody can move the way while it is walked.
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def require_name(document_id: str) -> str:
    """Return the id under which a document is written: in Unicode's form NFC.

    Raises:
        EditError: it is no path of a document below the folder.
    """
    from sourceline.ingest.formats import FORMATS  # which a server that only answers does not need

    if "\ufffd" in document_id or any(unicodedata.category(character) == "Cs" for character in document_id):
        raise EditError("a document's id is UTF-8")  # U+FFFD is what a server makes of bytes that are not
    id_ = unicodedata.normalize("NFC", document_id)
    names = id_.split("/")
    if len(id_) > MAX_ID_CHARACTERS or any(len(name.encode()) > MAX_NAME_BYTES for name in names):
        raise EditError(_TOO_LONG)
    if any(unicodedata.category(character) in _UNSEEN for character in id_) or "\\" in id_:
        raise EditError("a document's id holds no backslashes, and nothing that cannot be seen or turns text around")
    if any(not name or name.startswith(".") for name in names):
        raise EditError("a document's id is a path below the documents folder, and no name in it begins with a dot")
    if PurePosixPath(id_).suffix.lower() not in FORMATS:
        raise EditError(f"the format is not read; these are: {', '.join(sorted(FORMATS))}")
    if id_ == QUESTIONS_FILE:
        raise EditError(f"the name {QUESTIONS_FILE} is for the questions that the page suggests, which are no document")
    return id_


class DocumentFile:
    """A new document, written beside the one that it may replace. It takes its place with ``publish``.

    Use as a context manager: what was not published is removed.
    """

    def __init__(self, folder: Path, document_id: str) -> None:
        """Create the file, and the folders above it that are missing.

        Raises:
            EditError: the id cannot be used, or something else is there.
            CorpusError: the folder cannot be written.
        """
        self.id = require_name(document_id)
        with _errors_told():
            self._parent = _open_parent(folder, self.id, create=True)
            try:
                self._name = _existing_name(self._parent, PurePosixPath(self.id).name)
                self.replaces = _is_document(self._parent, self._name)
                # Hidden, so that a build leaves it alone.
                self._temporary = f".sourceline-{secrets.token_hex(8)}.new"
                descriptor = os.open(self._temporary, _NEW_FILE, 0o666, dir_fd=self._parent)
                self._file: IO[bytes] = os.fdopen(descriptor, "wb")
            except BaseException:
                os.close(self._parent)
                raise

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            CorpusError: they cannot be written.
        """
        with _errors_told():
            self._file.write(data)

    def publish(self) -> None:
        """Put the file in its place. A crash leaves the old one or the new one, whole.

        Raises:
            EditError: something else took its place.
            CorpusError: it cannot be written.
        """
        with _errors_told():
            self._file.flush()
            os.fsync(self._file.fileno())
            _is_document(self._parent, self._name)  # nothing else took its place meanwhile
            os.rename(self._temporary, self._name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
            os.fsync(self._parent)

    def __enter__(self) -> Self:
        """Enter."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close, and remove what was not published."""
        with suppress(OSError):  # a full disk once more, which was told already
            self._file.close()
        with suppress(FileNotFoundError):
            os.unlink(self._temporary, dir_fd=self._parent)
        os.close(self._parent)


def remove_document(folder: Path, document_id: str) -> None:
    """Remove a document's file.

    Raises:
        UnknownDocumentError: there is none.
        EditError: the id cannot be used, or what it names is no document.
        CorpusError: the folder cannot be written.
    """
    id_ = require_name(document_id)
    with _errors_told():
        parent = _open_parent(folder, id_, create=False)
        try:
            name = _existing_name(parent, PurePosixPath(id_).name)
            if not _is_document(parent, name):
                raise UnknownDocumentError("no document with this id is in the folder")
            os.unlink(name, dir_fd=parent)
            os.fsync(parent)
        finally:
            os.close(parent)


def _open_parent(folder: Path, document_id: str, create: bool) -> int:
    """Open the folder in which a document is, going down from the documents folder; return its descriptor."""
    current = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # which itself may be a link
    try:
        for name in PurePosixPath(document_id).parts[:-1]:
            name = _existing_name(current, name)
            try:
                below = os.open(name, _FOLDER, dir_fd=current)
            except FileNotFoundError:
                if not create:
                    raise UnknownDocumentError("no document with this id is in the folder") from None
                with suppress(FileExistsError):  # another request made it a moment ago
                    os.mkdir(name, dir_fd=current)
                below = os.open(name, _FOLDER, dir_fd=current)
            os.close(current)
            current = below
    except BaseException:
        os.close(current)
        raise
    return current


def _existing_name(parent: int, name: str) -> str:
    """Return the name under which a file is there, which may be in another form of Unicode, or the name itself."""
    if name.isascii():
        return name
    return next((other for other in os.listdir(parent) if unicodedata.normalize("NFC", other) == name), name)


def _is_document(parent: int, name: str) -> bool:
    """Return whether a regular file has this name.

    Raises:
        EditError: something else has it.
    """
    try:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise EditError("what has this name is no regular file, and is left alone")
    return True


@contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise EditError("a name in the id is a link or a file where a folder should be") from error
        if error.errno == errno.ENAMETOOLONG:
            raise EditError(_TOO_LONG) from error
        raise CorpusError(f"the documents folder cannot be written: {error.strerror}") from error
