"""Walks the documents folder and reads its files."""

import hashlib
import itertools
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sourceline.errors import CorpusError, DocumentError
from sourceline.ingest.dates import HEAD_LINES, date_of_chat, date_of_head, date_of_path
from sourceline.ingest.files import (
    LEADS_OUTSIDE,
    PROCESS_ERRORS,
    QUESTIONS_FILE,
    FileStamp,
    displayed,
    hash_file,
    is_control,
    leads_outside,
    read_file,
)
from sourceline.ingest.formats import FORMATS
from sourceline.ingest.isolation import IsolatedParser
from sourceline.ingest.sentences import split_passages
from sourceline.text import nfc
from sourceline.types import MAX_DOCUMENT_BYTES, BlockKind, Document, FolderContents, ParsedFile

NO_SENTENCE = "there is no sentence in it"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that can be read: its size in bytes, the SHA-256 of its bytes, its stamp when they were read.

    ``name`` is its path below the folder as the file system has it, from which ``document_id`` may differ in how
    accents are encoded: macOS and Linux do not agree on that, and an id is the same on both.
    """

    document_id: str
    name: str
    size: int
    sha256: str
    stamp: FileStamp | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class FolderScan:
    """What is in a documents folder.

    ``files`` are in the order of their ids. ``skipped`` holds files that should be read and cannot be, ``ignored``
    those that are not read at all (other formats, hidden files, links to folders); both give the reason. ``started`` is
    when it was begun, in nanoseconds since the epoch.
    """

    files: tuple[SourceFile, ...]
    skipped: dict[str, str]
    ignored: dict[str, str]
    started: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FolderLook:
    """A documents folder as it looks without a file being opened.

    ``files`` are those in a known format, by id, with their stamps (None for one whose stamp cannot be had).
    ``folders`` are those that were gone through, each with its device and inode.
    """

    files: dict[str, FileStamp | None]
    folders: dict[Path, tuple[int, int]]


def require_folder(folder: Path) -> None:
    """Refuse a documents folder that is not there.

    Raises:
        CorpusError: it is missing, or no folder.
    """
    if not folder.is_dir():
        raise CorpusError(f"no documents folder at {folder}: create it, or name another with --documents")


def scan_folder(folder: Path, max_bytes: int = MAX_DOCUMENT_BYTES, follow_links: bool = False) -> FolderScan:
    """Look at every file below ``folder`` and hash those that can be read and are no larger than ``max_bytes``.

    A link to a file is read as that file. If ``follow_links`` is not set, one that leads out of the folder is ignored.

    Raises:
        CorpusError: the folder is missing, or no file can be read just now.
    """
    require_folder(folder)
    started = time.time_ns()
    files: list[SourceFile] = []
    skipped: dict[str, str] = {}
    ignored: dict[str, str] = {}
    # A name that is the document's id itself comes first, and another that means the same is left out.
    for document_id, _, name in sorted(
        (nfc(name), name != nfc(name), name) for name in _walk(folder, skipped, ignored, {}, follow_links)
    ):
        try:
            name.encode()
            if any(map(is_control, name)):
                raise DocumentError("its name has control characters: rename it")
            if files and files[-1].document_id == document_id:
                raise DocumentError("another file has the same name, with accents encoded in another way: rename one")
            sha256, stamp = hash_file(folder / name, max_bytes, None if follow_links else folder)
            files.append(SourceFile(document_id, name, stamp.size, sha256, stamp))
        except UnicodeEncodeError:
            skipped[displayed(name)] = "its name is not UTF-8"
        except DocumentError as error:
            skipped[displayed(name)] = str(error)
    return FolderScan(tuple(files), skipped, dict(sorted(ignored.items())), started)


def look_at_folder(folder: Path, follow_links: bool = True) -> FolderLook:
    """Look at every file below ``folder`` without opening any; ``follow_links`` is as for ``scan_folder``.

    Raises:
        CorpusError: the folder is missing or cannot be listed.
    """
    require_folder(folder)
    folders: dict[Path, tuple[int, int]] = {}
    files: dict[str, FileStamp | None] = {}
    for name in _walk(folder, {}, {}, folders, follow_links):
        document_id = nfc(displayed(name))
        try:
            files[document_id] = FileStamp.of((folder / name).stat())
        except OSError:  # what a scan will name with the reason
            files[document_id] = None
    return FolderLook(files, folders)


class DocumentReader:
    """Reads the files of a documents folder; those of isolated formats in a child process, which ``close`` ends.

    ``max_bytes`` and ``follow_links`` are as for ``scan_folder``. For one thread at a time.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_DOCUMENT_BYTES, follow_links: bool = False) -> None:
        self.folder = folder
        self._max_bytes, self._within = max_bytes, None if follow_links else folder
        self._isolated = IsolatedParser()

    def __enter__(self) -> Self:
        """Return the reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End the child process."""
        self._isolated.close()

    def data(self, name: str) -> bytes:
        """Return the bytes of one file.

        Raises:
            DocumentError: it is not a regular file, or cannot be read.
            CorpusError: no file can be read just now.
        """
        data, _ = read_file(self.folder / name, self._max_bytes, self._within)
        return data

    def read(self, name: str) -> Document:
        """Read one file; ``name`` is its path below the folder.

        Raises:
            DocumentError: it is not a regular file, cannot be read as what its name says, or holds no text.
            CorpusError: no file can be read just now.
        """
        document_id, data = nfc(name), self.data(name)
        suffix = Path(document_id).suffix.lower()
        file_format = FORMATS[suffix]
        parsed = self._isolated.parse(suffix, data) if file_format.isolated else file_format.parse(data)
        text, blocks = parsed.text, parsed.blocks
        if not text.strip():
            raise DocumentError("there is no text in it")
        heading = next((text[block.start : block.end] for block in blocks if block.kind is BlockKind.HEADING), None)
        title = " ".join((parsed.title or heading or Path(document_id).stem.replace("_", " ")).split())
        sha256 = hashlib.sha256(data).hexdigest()
        date = parsed.date or date_of_path(document_id) or date_of_head(_head(parsed)) or date_of_chat(text)
        # Properties come last: minutes are often written over those of the meeting before, which leaves their date.
        date = date or parsed.created
        return Document(document_id, title, text, sha256, blocks, date, parsed.pages)


def read_document(folder: Path, name: str) -> Document:
    """Read one file, as ``DocumentReader.read`` does, which is faster for many."""
    with DocumentReader(folder) as reader:
        return reader.read(name)


def _head(parsed: ParsedFile) -> Iterator[str]:
    """Yield the first lines of what is read of a file."""
    blocks = parsed.blocks[:HEAD_LINES]
    lines = (line for block in blocks for line in re.split(r"[\r\n]+", parsed.text[block.start : block.end]))
    return itertools.islice(filter(str.strip, lines), HEAD_LINES)


def list_documents(folder: Path, max_bytes: int = MAX_DOCUMENT_BYTES, follow_links: bool = False) -> FolderContents:
    """Read every file below ``folder``; return the ids of those that are documents, and what is left out.

    The arguments are as for ``scan_folder``.

    Raises:
        CorpusError: the folder is missing, or no file can be read just now.
    """
    scan = scan_folder(folder, max_bytes, follow_links)
    skipped = dict(scan.skipped)
    documents = []
    with DocumentReader(folder, max_bytes, follow_links) as reader:
        for file in scan.files:
            try:
                document = reader.read(file.name)
                if not split_passages(document):
                    raise DocumentError(NO_SENTENCE)
                documents.append(document.id)
            except DocumentError as error:
                skipped[file.name] = str(error)
    return FolderContents(tuple(documents), skipped, scan.ignored)


def _walk(
    folder: Path,
    skipped: dict[str, str],
    ignored: dict[str, str],
    listed: dict[Path, tuple[int, int]],
    follow_links: bool,
) -> Iterator[str]:
    """Yield the ids of all files in a known format; note the reasons for everything else, and the folders."""

    def cannot_list(error: OSError) -> None:
        require_folder(folder)  # it may have vanished a moment ago
        path = Path(error.filename)
        if path == folder or error.errno in PROCESS_ERRORS:
            raise CorpusError(f"cannot list {path}: {error.strerror}") from error
        skipped[displayed(path.relative_to(folder).as_posix())] = f"cannot be listed: {error.strerror}"

    for parent, folders, files in os.walk(folder, onerror=cannot_list):
        with suppress(OSError):  # it was removed a moment ago
            status = os.stat(parent)
            listed[Path(parent)] = (status.st_dev, status.st_ino)
        below = "" if Path(parent) == folder else f"{Path(parent).relative_to(folder).as_posix()}/"
        for name in list(folders):
            if name.startswith("."):
                reason = "hidden folders are not read"
            elif os.path.islink(os.path.join(parent, name)):
                reason = "links to folders are not followed"
            else:
                continue
            folders.remove(name)
            ignored[displayed(f"{below}{name}/")] = reason
        for name in files:
            path = Path(parent, name)
            if reason := _why_not_read(below + name):
                ignored[displayed(below + name)] = reason
            elif not follow_links and path.is_symlink() and leads_outside(path, folder):
                ignored[displayed(below + name)] = LEADS_OUTSIDE
            else:
                yield below + name


def _why_not_read(path: str) -> str:
    """Return why the file at this path below the folder is not meant to be read, "" if it is."""
    if path == QUESTIONS_FILE:
        return "questions that the page suggests"
    name = path.rpartition("/")[2]
    if name.startswith("."):
        return "hidden files are not read"
    if name.startswith("~$"):  # what Word writes beside a document that is open
        return "temporary files of Office programs are not read"
    return "" if Path(name).suffix.lower() in FORMATS else "its format is not read"
