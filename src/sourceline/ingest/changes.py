"""What has changed in a documents folder since a snapshot was built from it.

A build records the size and times of every file beside the hash of its bytes, as git's index does. A file that looks as
it did then is not read again.
"""

import json
import os
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sourceline.errors import DocumentError
from sourceline.ingest.files import FileStamp, hash_file, leads_outside
from sourceline.types import FolderChanges, SourceStatus

FILE = "files.json"
# A file that changed so shortly before it was read may have changed again without looking different: the clock of a
# file system ticks every few milliseconds, FAT's every two seconds.
TICK = 2_000_000_000


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file as a build read it."""

    sha256: str
    stamp: FileStamp


@dataclass(frozen=True, slots=True)
class FolderRecord:
    """The files of a documents folder as a build read them, by id; None for one that could not be read.

    ``folder`` is its absolute path, ``started`` when reading began, in nanoseconds since the epoch, ``max_bytes`` the
    size above which files were skipped, and ``follow_links`` whether links that lead out of the folder were read.
    """

    folder: Path
    started: int
    max_bytes: int
    files: dict[str, RecordedFile | None]
    follow_links: bool = False

    def write(self, snapshot: Path) -> None:
        """Write it into the folder of a snapshot."""
        (snapshot / FILE).write_text(self.text(), "ascii")

    def text(self) -> str:
        """Return it as it is stored."""
        files = {
            id_: [file.sha256, file.stamp.size, file.stamp.modified, file.stamp.changed] if file else None
            for id_, file in self.files.items()
        }
        body = {
            "folder": str(self.folder),
            "started": self.started,
            "max_bytes": self.max_bytes,
            "follow_links": self.follow_links,
            "files": files,
        }
        return json.dumps(body)

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Return what ``text`` wrote."""
        body = json.loads(text)
        files = {
            id_: RecordedFile(values[0], FileStamp(*values[1:])) if values else None
            for id_, values in body["files"].items()
        }
        return cls(Path(body["folder"]), body["started"], body["max_bytes"], files, body.get("follow_links", False))


class FolderComparison:
    """Compares a documents folder with what a build read in it.

    A file is read only if its size or times differ, or cannot prove that it is the same, and then once.
    """

    def __init__(self, folder: Path, record: FolderRecord) -> None:
        """Take what is compared; ``folder`` may be another than the one that was recorded, such as a copy."""
        self._folder, self._record = folder, record
        self._within = None if record.follow_links else folder
        self._hashes: dict[str, RecordedFile] = {}

    def changes(self) -> FolderChanges:
        """Return how the folder differs.

        Raises:
            CorpusError: the folder is missing or cannot be listed, or no file can be read just now.
        """
        from sourceline.ingest.loader import look_at_folder  # and all formats, which looking citations up does not need

        files, recorded = look_at_folder(self._folder, self._record.follow_links).files, self._record.files
        added, changed = [], []
        for id_ in sorted(files):
            before = recorded.get(id_)
            if before and not self._is_same(id_, files[id_], before):
                changed.append(id_)
            elif not before and (id_ not in recorded or self._hash(id_)):  # or it could not be read, and now can be
                added.append(id_)
        removed = sorted(id_ for id_, file in recorded.items() if file and id_ not in files)
        return FolderChanges(tuple(added), tuple(changed), tuple(removed))

    def recorded(self, document_id: str) -> FileStamp | None:
        """Return the stamp of a document's file when it was read; None if it is not recorded."""
        file = self._record.files.get(document_id)
        return file.stamp if file else None

    def source(self, document_id: str) -> SourceStatus | None:
        """Return what became of a document's file; None if the whole folder is missing, so that it cannot be told.

        Raises:
            CorpusError: no file can be read just now.
        """
        before = self._record.files.get(document_id)
        if before is None or not self._folder.is_dir():
            return None
        path = self._path(document_id)
        if self._within and leads_outside(path, self._within):
            return SourceStatus.MISSING
        try:
            stamp = FileStamp.of(path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return SourceStatus.MISSING
        except OSError:
            return None
        return SourceStatus.UNCHANGED if self._is_same(document_id, stamp, before) else SourceStatus.CHANGED

    def _path(self, document_id: str) -> Path:
        """Return where a document's file is: macOS writes names with accents apart from their letters."""
        path = self._folder / document_id
        return path if os.path.lexists(path) else self._folder / unicodedata.normalize("NFD", document_id)

    def _is_same(self, document_id: str, stamp: FileStamp | None, before: RecordedFile) -> bool:
        if stamp == before.stamp and stamp.is_older_than(self._record.started - TICK):
            return True
        return self._hash(document_id, stamp) == before.sha256

    def _hash(self, document_id: str, stamp: FileStamp | None = None) -> str | None:
        """Return the hash of a file, None if it cannot be read; ``stamp`` is what it looks like now."""
        known = self._hashes.get(document_id)
        if known and known.stamp == stamp:
            return known.sha256
        now = time.time_ns()
        try:
            sha256, stamp = hash_file(self._path(document_id), self._record.max_bytes, self._within)
        except DocumentError:  # a build will say why
            return None
        if stamp.is_older_than(now - TICK):
            self._hashes[document_id] = RecordedFile(sha256, stamp)
        return sha256
