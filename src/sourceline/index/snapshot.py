"""One published build of the index: manifest, checksums, open, verify, publish.

A snapshot is a folder ``snapshots/<id>/`` that is never written again once ``CURRENT`` names it. Ids sort by age.
"""

import errno
import hashlib
import json
import logging
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sourceline.durable import replace, sha256, sync, sync_tree
from sourceline.encoders.base import Encoder
from sourceline.encoders.ranking_head import RankingHead, read_ranking_head
from sourceline.errors import DamagedError, MismatchError, ModelError, NoSnapshotError, SnapshotError
from sourceline.index.bm25 import BM25Index
from sourceline.index.dense import DenseIndex
from sourceline.index.multivector import EncodedChunk, MultiVectorIndex, open_codec
from sourceline.index.passage_store import PassageStore

# To be raised with any change of the files, and of how a text is split: citations are compared by document, and one
# whose bytes are the same is taken to hold the same passages.
FORMAT = 6
MANIFEST = "manifest.json"
MEND = "run `sourceline rebuild-index`"
# Errors that say nothing of a file's content: whoever sets a snapshot aside for them loses a whole one.
_OUT_OF_REACH = {errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says of itself.

    ``rows`` counts the passages that can be answers, all but the headings; ``codec`` says how token vectors are kept;
    ``config`` is a hash over all but the text that blocks are made of; ``files`` is name -> [bytes, SHA-256].
    """

    format: int
    id: str
    created: str
    model: str
    encoder: str
    fingerprint: str
    dim: int
    codec: str
    config: str
    documents: int
    passages: int
    rows: int
    tokens: int
    skipped: dict[str, str]
    files: dict[str, tuple[int, str]]


def file_table(folder: Path, known: dict[str, tuple[int, str]]) -> dict[str, tuple[int, str]]:
    """Return size and SHA-256 of every file below ``folder``, by POSIX path, but for the manifest.

    Those that are not ``known`` are hashed, and flushed to the disk, several at a time.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    names = [path.relative_to(folder).as_posix() for path in paths]

    def settled(name: str) -> tuple[int, str]:
        if name in known:
            return known[name]
        sync(folder / name)
        return (folder / name).stat().st_size, sha256(folder / name)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(names, pool.map(settled, names), strict=True))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, with a checksum over itself, as the last file of a snapshot; flush all to the disk."""
    (folder / MANIFEST).write_text(_text(asdict(manifest)), "utf-8")
    sync_tree(folder)
    sync(folder.parent)  # where its name stands


def read_manifest(folder: Path) -> Manifest:
    """Read and verify a snapshot's manifest.

    Raises:
        DamagedError: it is missing, not as it was written, or another snapshot's.
        MismatchError: it was written in another format.
    """
    try:
        text = (folder / MANIFEST).read_text("utf-8")
        body = json.loads(text)
        del body["checksum"]
        if text != _text(body):
            raise ValueError("its checksum differs")
        if body["format"] != FORMAT:
            raise MismatchError(f"snapshot {folder.name} is in format {body['format']}, not {FORMAT}: {MEND}")
        body["files"] = {name: (size, digest) for name, (size, digest) in body["files"].items()}
        manifest = Manifest(**body)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        require_in_reach(error)
        raise DamagedError(f"snapshot {folder.name} is damaged: {MANIFEST}: {error}: {MEND}") from error
    if manifest.id != folder.name:
        raise DamagedError(f"snapshot {folder.name} is damaged: its manifest is of {manifest.id}: {MEND}")
    return manifest


def require_in_reach(error: Exception) -> None:
    """Raise SnapshotError if a file could not be read for a reason that is not the file's."""
    if isinstance(error, OSError) and error.errno in _OUT_OF_REACH:
        raise SnapshotError(f"cannot read {error.filename}: {error.strerror}") from error


def _text(body: dict[str, Any]) -> str:
    """Return the manifest as it is written: with a checksum over the rest."""
    checksum = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps(body | {"checksum": checksum}, indent=2) + "\n"


log = logging.getLogger(__name__)

CURRENT = "CURRENT"
SNAPSHOTS = "snapshots"
HEAD = "head.safetensors"
DAMAGED = ".damaged"  # the ending of a folder that was set aside


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An open, verified snapshot. Immutable; safe to search from many threads."""

    manifest: Manifest
    folder: Path
    dense: DenseIndex
    lexical: BM25Index
    tokens: MultiVectorIndex
    passages: PassageStore
    head: RankingHead

    def block(self, rows: range) -> EncodedChunk:
        """Return the block of consecutive rows, at least one, as it was written."""
        return self.tokens.block(rows, self.dense.vectors(rows).astype(np.float16))

    @property
    def id(self) -> str:
        """The snapshot's id."""
        return self.manifest.id


def publish(index: Path, snapshot: str) -> None:
    """Make a complete snapshot the one that is served. This is the only step that readers can see."""
    replace(index / CURRENT, f"{snapshot}\n")


def current_id(index: Path) -> str | None:
    """Return the id that ``CURRENT`` names, or None if nothing was published.

    Raises:
        SnapshotError: it cannot be read.
    """
    try:
        return (index / CURRENT).read_text("utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotError(f"cannot read {index / CURRENT}: {error.strerror}") from error


def open_snapshot(index: Path, snapshot: str, connections: int = 1, verify: bool = True) -> Snapshot:
    """Open one snapshot, and verify it unless its files were hashed a moment ago.

    Raises:
        DamagedError: a file is missing or not as it was written.
        MismatchError: it was written in another format.
        SnapshotError: it cannot be read just now, or is whole and does not open.
    """
    if snapshot not in folder_names(index):  # nor a path that leads elsewhere
        raise DamagedError(f"there is no snapshot {snapshot!r} in {index}: {MEND}")
    folder = index / SNAPSHOTS / snapshot
    manifest = read_manifest(folder)
    if verify:
        _require_as_written(folder, manifest)
    try:
        head = read_ranking_head(folder / HEAD)
        opened = Snapshot(
            manifest,
            folder,
            DenseIndex(folder),
            BM25Index(folder),
            MultiVectorIndex(folder, open_codec(manifest.codec, head)),
            PassageStore(folder, connections),
            head,
        )
    except (RuntimeError, ValueError, OSError, sqlite3.Error, ModelError) as error:
        raise SnapshotError(f"snapshot {snapshot} is as it was written but does not open: {error}") from error
    tokens = len(opened.tokens) - len(opened.passages.documents)  # which have a row each for their titles
    rows = {len(opened.dense), len(opened.lexical), tokens, opened.passages.row_count}
    agree = rows == {manifest.rows} and len(opened.passages) == manifest.passages
    if not agree or opened.dense.dim != manifest.dim:
        raise DamagedError(f"snapshot {snapshot} is damaged: its files disagree on what they hold: {MEND}")
    return opened


def open_current(index: Path, connections: int = 1) -> Snapshot:
    """Open the snapshot that ``CURRENT`` names; if it is damaged, set it aside and open the one before.

    Raises:
        NoSnapshotError: nothing was published.
        DamagedError: no snapshot is whole.
        SnapshotError: it cannot be read just now, or is whole and does not open.
    """
    while True:
        wanted = current_id(index)
        if wanted is None:
            raise NoSnapshotError(f"there is no index in {index} yet: {MEND}")
        try:
            return open_snapshot(index, wanted, connections)
        except SnapshotError as error:
            if current_id(index) != wanted:
                continue  # a build published another one and removed this one while it was being opened
            if not isinstance(error, DamagedError):
                raise
            log.error("%s", error)
            return _open_before(index, wanted, connections, error)


def _open_before(index: Path, wanted: str, connections: int, damage: DamagedError) -> Snapshot:
    """Set the snapshot ``wanted`` aside and open the newest whole one before it."""
    set_aside(index, wanted)
    known = _is_known(index, wanted)
    for snapshot in reversed(snapshot_ids(index)):
        if known and snapshot > wanted:
            continue  # it was not published
        try:
            opened = open_snapshot(index, snapshot, connections)
        except DamagedError as error:
            log.error("%s", error)
            set_aside(index, snapshot)
        else:
            log.warning("serving snapshot %s, the one before: %s", snapshot, MEND)
            return opened
    raise damage


def unpublished_ids(index: Path) -> list[str]:
    """Return the ids of the snapshots that ``CURRENT`` never named: what builds left that were interrupted."""
    published = current_id(index)
    if published is None:
        return snapshot_ids(index)
    known = _is_known(index, published)
    return [snapshot for snapshot in snapshot_ids(index) if known and snapshot > published]


def snapshot_ids(index: Path) -> list[str]:
    """Return the ids of all snapshots on the disk, oldest first, published or not, without those set aside."""
    return [name for name in folder_names(index) if not name.endswith(DAMAGED)]


def folder_names(index: Path) -> list[str]:
    """Return the names of all folders of snapshots, oldest first, those set aside too."""
    folder = index / SNAPSHOTS
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    except OSError as error:
        raise SnapshotError(f"cannot read {folder}: {error.strerror}") from error


def _is_known(index: Path, published: str) -> bool:
    """Return whether what ``CURRENT`` names is there or was set aside. If not, ``CURRENT`` itself is damaged."""
    return not {published, published + DAMAGED}.isdisjoint(folder_names(index))


def set_aside(index: Path, snapshot: str) -> None:
    """Rename a damaged snapshot, if it is there, so that it is neither served nor counted but can be looked at."""
    folder = index / SNAPSHOTS / snapshot
    try:
        if snapshot in folder_names(index):
            os.rename(folder, folder.with_name(snapshot + DAMAGED))
    except OSError as error:
        log.warning("cannot set the damaged snapshot %s aside: %s", snapshot, error)


def require_encoder(snapshot: Snapshot, encoder: Encoder) -> None:
    """Refuse an encoder other than the one that the snapshot was built with.

    Raises:
        MismatchError: the fingerprints differ.
    """
    if snapshot.manifest.fingerprint != encoder.fingerprint:
        raise MismatchError(
            f"snapshot {snapshot.id} was built with {snapshot.manifest.model} "
            f"({snapshot.manifest.fingerprint}), not {encoder.model} ({encoder.fingerprint}): {MEND}"
        )


def _require_as_written(folder: Path, manifest: Manifest) -> None:
    """Compare all files with the manifest, several at a time: hashing them is most of what opening takes."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(partial(_as_it_is, folder), manifest.files)
        for (name, written), is_ in zip(manifest.files.items(), found, strict=True):
            if is_ != written:
                raise DamagedError(f"snapshot {manifest.id} is damaged: {name} is not as it was written: {MEND}")


def _as_it_is(folder: Path, name: str) -> tuple[int, str] | None:
    """Return size and SHA-256 of a file; None if it is not there or its disk cannot read it."""
    try:
        return (folder / name).stat().st_size, sha256(folder / name)
    except OSError as error:
        require_in_reach(error)
        return None
