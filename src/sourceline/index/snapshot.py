"""A snapshot: one published build of the index, with its manifest, checksums, opening and publishing.

A snapshot is a folder ``snapshots/<id>/`` that is never written again once ``CURRENT`` names it. Ids sort by age.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from dataclasses import replace as with_fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sourceline.durable import WatchedFiles, file_lock, open_regular, read_text, replace, sha256, sync, sync_tree
from sourceline.encoders.base import Encoder
from sourceline.encoders.ranking_head import RankingHead, read_ranking_head
from sourceline.errors import DamagedError, MismatchError, ModelError, NoSnapshotError, SnapshotError
from sourceline.index.bm25 import FOLDER as BM25
from sourceline.index.bm25 import BM25Index
from sourceline.index.dense import DenseIndex
from sourceline.index.multivector import IN_MEMORY, EncodedChunk, MultiVectorIndex, open_codec
from sourceline.index.passage_store import FILE as PASSAGES
from sourceline.index.passage_store import PassageStore

log = logging.getLogger(__name__)

# To be raised with any change of the files, and of how text is split: citations are compared by document, and one whose
# bytes are the same is taken to hold the same passages.
FORMAT = 9
CURRENT = "CURRENT"
LOCK = "build.lock"
SNAPSHOTS = "snapshots"
SNAPSHOTS_BEFORE_FORMAT_6 = "generations"
RESTORING = ".restoring"  # where what is restored is put together
MANIFEST = "manifest.json"
HEAD = "ranking_head.safetensors"
DAMAGED = ".damaged"  # the suffix of a folder that was set aside
FIRST_ID = "00000000"  # sorts in front of all others
REBUILD = "run `sourceline rebuild-index`"
_DIFFERS = f"snapshot {{}} is damaged: {{}} is not as it was written: {REBUILD}"
# Errors that say nothing of a file's content: setting the snapshot aside would discard an intact one.
NOT_DAMAGE = {errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_NO_FILE = {errno.EISDIR, errno.EINVAL, errno.ELOOP, errno.ENXIO}  # a folder, a pipe, links in a circle, a socket


@dataclass(frozen=True, slots=True)
class LedgerExtent:
    """The part of a ledger that belongs to a snapshot: up to the end of what the build of ``snapshot`` recorded.

    ``ledger`` is the id of the ledger, ``bytes`` the length of the part, and ``digest`` a hash of it.
    """

    ledger: str
    snapshot: str
    bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says of itself.

    ``rows`` counts the passages that can answer, all but the headings; ``codec`` says how token vectors are kept;
    ``config`` is a hash of everything but the text that the encoded chunks depend on; ``skipped`` and ``ignored`` hold
    the files that were left out, with the reason; ``ledger`` is the part of the record of citations that belongs to it;
    ``files`` is name -> (bytes, SHA-256).
    """

    format: int
    id: str
    created: str
    model: str
    backend: str
    fingerprint: str
    dim: int
    codec: str
    config: str
    documents: int
    passages: int
    rows: int
    tokens: int
    skipped: dict[str, str]
    ignored: dict[str, str]
    ledger: LedgerExtent
    files: dict[str, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An open, verified snapshot. Immutable; safe to search from many threads."""

    manifest: Manifest
    folder: Path
    dense: DenseIndex
    bm25: BM25Index
    tokens: MultiVectorIndex
    passages: PassageStore
    head: RankingHead
    files: WatchedFiles

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self.manifest.id

    def reading(self) -> AbstractContextManager["Snapshot"]:
        """Return the snapshot itself: its files never change, and stay open."""
        return nullcontext(self)

    def with_head(self, head: RankingHead) -> "Snapshot":
        """Return the same with another ranking head, to measure what that is worth."""
        return with_fields(self, head=head)

    def chunk(self, rows: range) -> EncodedChunk:
        """Return consecutive rows, at least one, as they were written."""
        return self.tokens.chunk(rows, self.dense.vectors(rows).astype(np.float16))

    def read(self, name: str) -> bytes | None:
        """Read one of the files that are not kept open, and verify it again.

        None if the snapshot has no such file, or was removed by a build.

        Raises:
            DamagedError: it differs from what was written.
            SnapshotError: it cannot be read just now.
        """
        if name not in self.manifest.files:
            return None
        damaged = DamagedError(_DIFFERS.format(self.id, name))
        try:
            with open_regular(self.folder / name) as file:
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            require_readable(error)
            raise damaged from error
        if hashlib.sha256(content).hexdigest() != self.manifest.files[name][1]:
            raise damaged
        return content

    def require_unwritten(self) -> None:
        """Refuse what was read if it may be wrong.

        Raises:
            SnapshotError: a file was written to since the snapshot was opened.
        """
        if path := self.files.written():
            raise SnapshotError(f"{path.name} of snapshot {self.id} was written to while it was open: {REBUILD}")


@contextmanager
def build_lock(index: Path) -> Iterator[None]:
    """Hold the right to build into an index folder: one builder at a time.

    Raises:
        BuildRunningError: another build holds it.
    """
    with file_lock(index / LOCK, f"another build of {index} is running: wait for it to end"):
        yield


def publish(index: Path, snapshot_id: str) -> None:
    """Make a complete snapshot the one that is served. This is the only step that readers can see."""
    make_way(index / CURRENT)
    replace(index / CURRENT, f"{snapshot_id}\n")


def make_way(path: Path) -> None:
    """Rename a folder that stands in the place of a file: it is all that a file cannot replace."""
    if path.is_dir() and not path.is_symlink():
        aside = path.with_name(path.name + DAMAGED)
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)


def current_id(index: Path) -> str | None:
    """Return what ``CURRENT`` names, an id or, if it is damaged, anything; None if nothing was published.

    Raises:
        SnapshotError: it cannot be read.
    """
    try:
        return read_text(index / CURRENT, errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NO_FILE:
            return ""
        raise SnapshotError(f"cannot read {index / CURRENT}: {error.strerror}") from error


def current_stamp(index: Path) -> tuple[str | None, int]:
    """Return what ``CURRENT`` names and when it was written: another once a snapshot was published, or restored.

    Raises:
        SnapshotError: it cannot be read.
    """
    current = current_id(index)
    try:
        return current, (index / CURRENT).stat().st_mtime_ns
    except OSError:
        return current, 0


def snapshot_folder(index: Path, snapshot_id: str) -> Path:
    """Return the folder of a snapshot, which is one below ``snapshots/`` whatever ``CURRENT`` says.

    Raises:
        DamagedError: there is none, or it was set aside.
        MismatchError: it is of an older format.
    """
    if snapshot_id not in (names := folder_names(index)):
        if snapshot_id + DAMAGED in names:
            raise DamagedError(f"snapshot {snapshot_id} is damaged and was set aside: {REBUILD}")
        if snapshot_id in _old_folder_names(index):
            raise MismatchError(f"snapshot {snapshot_id} is in the format of an older version: {REBUILD}")
        if not snapshot_id:
            raise DamagedError(f"{index / CURRENT} names no snapshot: {REBUILD}")
        raise DamagedError(f"there is no snapshot {snapshot_id!r} in {index}: {REBUILD}")
    return index / SNAPSHOTS / snapshot_id


def open_snapshot(index: Path, snapshot_id: str, connections: int = 1, verify: bool = True) -> Snapshot:
    """Open one snapshot, and verify it unless its files were hashed a moment ago.

    Raises:
        DamagedError: a file is missing or differs from what was written.
        MismatchError: it was written in another format.
        SnapshotError: it cannot be read just now, or is whole and does not open.
    """
    folder = snapshot_folder(index, snapshot_id)
    manifest = read_manifest(folder)
    files = _watch_files(folder, manifest)  # from before they are verified
    if verify:
        _verify_files(folder, manifest)
    try:
        head = read_ranking_head(folder / HEAD)
        snapshot = Snapshot(
            manifest,
            folder,
            DenseIndex(folder),
            BM25Index(folder),
            MultiVectorIndex(folder, open_codec(manifest.codec, head)),
            PassageStore(folder, connections),
            head,
            files,
        )
    except (RuntimeError, ValueError, OSError, sqlite3.Error, ModelError, SnapshotError) as error:
        raise SnapshotError(f"snapshot {snapshot_id} is whole but does not open: {error}") from error
    token_rows = len(snapshot.tokens) - len(snapshot.passages.documents)  # each document has a row for its title
    rows = {len(snapshot.dense), len(snapshot.bm25), token_rows, snapshot.passages.row_count}
    agree = rows == {manifest.rows} and len(snapshot.passages) == manifest.passages
    if not agree or snapshot.dense.dim != manifest.dim:
        raise DamagedError(f"snapshot {snapshot_id} is damaged: its files disagree on what they hold: {REBUILD}")
    snapshot.require_unwritten()
    return snapshot


def open_current(index: Path, connections: int = 1, fallback: bool = True) -> Snapshot:
    """Open the snapshot that ``CURRENT`` names; if it is damaged, set it aside and open the one before.

    Args:
        index: the index folder.
        connections: how many threads will read passages at once.
        fallback: whether to open the one before; else nothing on the disk is changed.

    Raises:
        NoSnapshotError: nothing was published.
        DamagedError: no snapshot is whole.
        SnapshotError: it cannot be read just now, or is whole and does not open.
    """
    while True:
        current = current_id(index)
        if current is None:
            if not snapshot_ids(index):
                raise NoSnapshotError(f"there is no index in {index} yet: {REBUILD}")
            lost = DamagedError(f"{index / CURRENT} is missing: {REBUILD}")
            if not fallback:
                raise lost
            log.error("%s", lost)
            return _open_before(index, "", connections, lost)
        try:
            return open_snapshot(index, current, connections)
        except SnapshotError as error:
            if current_id(index) != current:
                continue  # a build published another one and removed this one while it was being opened
            if not isinstance(error, DamagedError) or not fallback:
                raise
            log.error("%s", error)
            return _open_before(index, current, connections, error)


def _open_before(index: Path, damaged: str, connections: int, damage: DamagedError) -> Snapshot:
    """Set a snapshot aside and open the newest whole one before it."""
    set_aside(index, damaged)
    current_exists = _exists_or_set_aside(index, damaged)
    for snapshot_id in reversed(snapshot_ids(index)):
        if current_exists and snapshot_id > damaged:
            continue  # it was not published
        try:
            snapshot = open_snapshot(index, snapshot_id, connections)
        except DamagedError as error:
            log.error("%s", error)
            set_aside(index, snapshot_id)
        else:
            log.warning("serving snapshot %s, the one before: %s", snapshot_id, REBUILD)
            return snapshot
    raise damage


def is_built(index: Path) -> bool:
    """Return whether a snapshot was published, be it damaged now.

    Raises:
        SnapshotError: it cannot be read.
    """
    return current_id(index) is not None or bool(snapshot_ids(index))


def published_id(index: Path) -> str | None:
    """Return the newest id that was published; None if ``CURRENT`` is missing or damaged, which tells it."""
    current = current_id(index)
    return current if current is not None and _exists_or_set_aside(index, current) else None


def snapshot_ids(index: Path) -> list[str]:
    """Return the ids of the snapshots on the disk whose build has written all, oldest first, without those set aside.

    The newest one may not be published.
    """
    return [name for name in folder_names(index) if not name.endswith(DAMAGED) and _was_written(index, name)]


def interrupted_ids(index: Path) -> list[str]:
    """Return the ids of the snapshots whose build was interrupted, or is running."""
    return [name for name in folder_names(index) if not name.endswith(DAMAGED) and not _was_written(index, name)]


def folder_names(index: Path) -> list[str]:
    """Return the names of all folders of snapshots, oldest first, those set aside included.

    Raises:
        SnapshotError: they cannot be listed.
    """
    return _subfolders(index / SNAPSHOTS)


def _was_written(index: Path, snapshot_id: str) -> bool:
    # Whatever stands in its place: what cannot be read is damage.
    return os.path.lexists(index / SNAPSHOTS / snapshot_id / MANIFEST)


def _old_folder_names(index: Path) -> list[str]:
    return _subfolders(index / SNAPSHOTS_BEFORE_FORMAT_6)


def _subfolders(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    except OSError as error:
        raise SnapshotError(f"cannot read {folder}: {error.strerror}") from error


def next_id(index: Path, timestamp: str, recorded: str | None) -> str:
    """Return an id that sorts behind every snapshot of this folder, and behind what its ledger was recorded for."""
    used = [current_id(index), recorded, *folder_names(index), *_old_folder_names(index)]
    number = max((int(name[:8]) for name in used if name and name[:8].isdecimal()), default=0) + 1
    return f"{number:08d}-{timestamp}"


def _exists_or_set_aside(index: Path, published: str) -> bool:
    """Return whether what ``CURRENT`` names is there or was set aside. If not, ``CURRENT`` itself is damaged."""
    names = {*folder_names(index), *_old_folder_names(index)}
    return not {published, published + DAMAGED}.isdisjoint(names)


def set_aside(index: Path, snapshot_id: str) -> None:
    """Rename a damaged snapshot, if it is there, so that it is not served but can be looked at."""
    folder = index / SNAPSHOTS / snapshot_id
    try:
        if snapshot_id in folder_names(index):
            os.rename(folder, folder.with_name(snapshot_id + DAMAGED))
    except OSError as error:
        log.warning("cannot set the damaged snapshot %s aside: %s", snapshot_id, error)


def require_encoder(manifest: Manifest, encoder: Encoder) -> None:
    """Refuse an encoder other than the one that the snapshot was built with.

    Raises:
        MismatchError: the fingerprints differ.
    """
    if manifest.fingerprint != encoder.fingerprint:
        raise MismatchError(
            f"snapshot {manifest.id} was built with {manifest.model} "
            f"({manifest.fingerprint}), not {encoder.model} ({encoder.fingerprint}): {REBUILD}"
        )


def file_table(folder: Path, known: dict[str, tuple[int, str]]) -> dict[str, tuple[int, str]]:
    """Return size and SHA-256 of every file below ``folder`` but the manifest, by POSIX path.

    Files that are not ``known`` are hashed and flushed to the disk, several at a time.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    names = [path.relative_to(folder).as_posix() for path in paths]

    def describe(name: str) -> tuple[int, str]:
        if name in known:
            return known[name]
        sync(folder / name)
        return (folder / name).stat().st_size, sha256(folder / name)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(names, pool.map(describe, names), strict=True))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, with a checksum over itself, as the last file of a snapshot; flush all to the disk."""
    sync_tree(folder)
    replace(folder / MANIFEST, with_checksum(asdict(manifest)))
    sync(folder.parent)  # which holds its name


def read_manifest(folder: Path) -> Manifest:
    """Read and verify a snapshot's manifest.

    Raises:
        DamagedError: it is missing, differs from what was written, or is another snapshot's.
        MismatchError: it was written in another format.
    """
    try:
        text = read_text(folder / MANIFEST)
        body = json.loads(text)
        del body["checksum"]
        if text != with_checksum(body):
            raise ValueError("its checksum differs")
        if body["format"] != FORMAT:
            raise MismatchError(f"snapshot {folder.name} is in format {body['format']}, not {FORMAT}: {REBUILD}")
        body["ledger"] = LedgerExtent(**body["ledger"])
        body["files"] = {name: (size, digest) for name, (size, digest) in body["files"].items()}
        manifest = Manifest(**body)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        require_readable(error)
        raise DamagedError(f"snapshot {folder.name} is damaged: {MANIFEST}: {error}: {REBUILD}") from error
    if manifest.id != folder.name:
        raise DamagedError(f"snapshot {folder.name} is damaged: its manifest is of {manifest.id}: {REBUILD}")
    return manifest


def _watch_files(folder: Path, manifest: Manifest) -> WatchedFiles:
    """Watch the files of which not all is read as they are opened: large ones, and those that libraries read."""
    names = (
        name
        for name, (size, _) in manifest.files.items()
        if size > IN_MEMORY or name == PASSAGES or name.startswith(f"{BM25}/")
    )
    try:
        return WatchedFiles(folder / name for name in names)
    except OSError as error:
        require_readable(error)
        name = Path(error.filename).relative_to(folder).as_posix()
        raise DamagedError(_DIFFERS.format(manifest.id, name)) from error


def _verify_files(folder: Path, manifest: Manifest) -> None:
    """Compare all files with the manifest, several at a time: hashing them is most of what opening takes."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        actual = pool.map(partial(_describe, folder), manifest.files)
        for (name, expected), described in zip(manifest.files.items(), actual, strict=True):
            if described != expected:
                raise DamagedError(_DIFFERS.format(manifest.id, name))


def _describe(folder: Path, name: str) -> tuple[int, str] | None:
    """Return size and SHA-256 of a file; None if it is missing or its disk cannot read it."""
    try:
        return (folder / name).stat().st_size, sha256(folder / name)
    except OSError as error:
        require_readable(error)
        return None


def require_readable(error: Exception) -> None:
    """Raise SnapshotError if a file could not be read for a reason that is not the file's."""
    if isinstance(error, OSError) and error.errno in NOT_DAMAGE:
        raise SnapshotError(f"cannot read {error.filename}: {error.strerror}") from error


def with_checksum(body: dict[str, Any]) -> str:
    """Return the manifest as it is written: with a checksum over the rest."""
    checksum = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps(body | {"checksum": checksum}, indent=2) + "\n"
