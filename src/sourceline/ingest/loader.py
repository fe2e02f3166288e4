"""Walk the documents folder, decode each file, identify it."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sourceline.errors import CorpusError, DocumentError
from sourceline.ingest.formats import FORMATS
from sourceline.types import BlockKind, Document

# Troubles of the process: to skip a file for them would drop a good document from the index.
_NOT_THE_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that is not in the index, and why."""

    document_id: str
    reason: str


def list_files(folder: Path) -> tuple[list[str], list[SkippedFile]]:
    """Return the ids of all files below ``folder`` that have a known ending, sorted, and folders that cannot be listed.

    Hidden files and folders are left out.

    Raises:
        CorpusError: the folder is not there or cannot be listed.
    """
    if not folder.is_dir():
        raise CorpusError(f"no documents folder at {folder}: create it, or name another with --documents")

    def skip(error: OSError) -> None:
        path = Path(error.filename)
        if path == folder or error.errno in _NOT_THE_FILES:
            raise CorpusError(f"cannot list {path}: {error.strerror}") from error
        skipped.append(SkippedFile(_shown(path.relative_to(folder).as_posix()), f"cannot be listed: {error.strerror}"))

    found: list[str] = []
    skipped: list[SkippedFile] = []
    for parent, folders, files in os.walk(folder, onerror=skip):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(parent).relative_to(folder).as_posix()
        wanted = [name for name in files if not name.startswith(".") and Path(name).suffix.lower() in FORMATS]
        found += wanted if below == "." else [f"{below}/{name}" for name in wanted]
    return sorted(found), skipped


def read_document(folder: Path, document_id: str) -> Document:
    """Read one file.

    Raises:
        DocumentError: it is not a readable regular file of UTF-8 text, or there is no text in it.
        CorpusError: no file can be read just now.
    """
    data = _read_bytes(folder / document_id)
    text = _decode(data)
    if not text.strip():
        raise DocumentError("there is no text in it")
    marks = FORMATS[Path(document_id).suffix.lower()](text)
    heading = next((text[mark.start : mark.end] for mark in marks if mark.kind is BlockKind.HEADING), None)
    title = " ".join((heading or Path(document_id).stem.replace("_", " ")).split())
    return Document(document_id, title, text, hashlib.sha256(data).hexdigest(), marks)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was found: its size in bytes and the SHA-256 of its bytes."""

    document_id: str
    size: int
    sha256: str


def scan_folder(folder: Path) -> Iterator[SourceFile | SkippedFile]:
    """Look at every file below ``folder`` in the order of their ids; one that cannot be read comes as ``SkippedFile``.

    Raises:
        CorpusError: the folder is not there, or no file can be read just now.
    """
    documents, folders = list_files(folder)
    yield from folders
    for document_id in documents:
        try:
            document_id.encode()
            data = _read_bytes(folder / document_id)
            yield SourceFile(document_id, len(data), hashlib.sha256(data).hexdigest())
        except UnicodeEncodeError:
            yield SkippedFile(_shown(document_id), "its name is not UTF-8")
        except DocumentError as error:
            yield SkippedFile(document_id, str(error))


def read_documents(folder: Path) -> Iterator[Document | SkippedFile]:
    """Read every file below ``folder`` in the order of their ids; one that is no document comes as ``SkippedFile``."""
    for found in scan_folder(folder):
        if isinstance(found, SkippedFile):
            yield found
            continue
        try:
            yield read_document(folder, found.document_id)
        except DocumentError as error:
            yield SkippedFile(found.document_id, str(error))


def _shown(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()


def _read_bytes(path: Path) -> bytes:
    try:
        # Opened without blocking, so that a pipe with no writer cannot hang the build.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DocumentError("it is not a regular file")
            return file.read()
    except OSError as error:
        if error.errno in _NOT_THE_FILES:
            raise CorpusError(f"cannot read {path}: {error.strerror}") from error
        raise DocumentError(f"it cannot be read: {error.strerror}") from error


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The codec counts from behind a byte-order mark.
        at = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        raise DocumentError(f"it is not UTF-8: byte {at} is 0x{data[at]:02x}; save it as UTF-8") from error
    if "\0" in text:
        raise DocumentError(f"it is not text: there is a NUL at character {text.index(chr(0))}")
    return text
