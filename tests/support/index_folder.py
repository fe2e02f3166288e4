"""An index folder and its documents: writing, building, copying, and what is in them."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from sourceline.citations.ledger import FILE as LEDGER
from sourceline.citations.ledger import Ledger, open_ledger
from sourceline.citations.lookup import look_up
from sourceline.citations.older_ledger import FILE as OLD_LEDGER
from sourceline.index.snapshot import CURRENT, MANIFEST, SNAPSHOTS, Snapshot, open_current, read_manifest
from sourceline.types import Citation
from tests.conftest import Rebuild

BUILT = {CURRENT, SNAPSHOTS, "build.lock", "cache", "encoders", LEDGER, f"{OLD_LEDGER}.old"}
# Tantivy writes it into a snapshot that is opened.
LOCK_OF_READERS = "bm25/.tantivy-meta.lock"


def put(folder: Path, files: dict[str, str]) -> None:
    """Make the folder hold just these documents."""
    for path in folder.glob("*"):
        path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")


def build_each(documents: Path, index: Path, rebuild: Rebuild, *corpora: dict[str, str]) -> Path:
    """Build a snapshot of each of these corpora, one after the other; return the index folder."""
    for files in corpora:
        put(documents, files)
        rebuild(documents, index)
    return index


def copy_index(index: Path, target: Path) -> Path:
    """Copy an index folder; the exported model, which no build writes to, is linked."""
    shutil.copytree(index / "encoders", target / "encoders", copy_function=os.link)
    shutil.copytree(index, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("encoders"))
    return target


def current_texts(index: Path) -> dict[str, str]:
    """Return the texts of the documents in the snapshot that would be served, by id."""
    return texts_of(open_current(index))


def texts_of(snapshot: Snapshot) -> dict[str, str]:
    """Return the texts of a snapshot's documents, by id."""
    return {entry.id: snapshot.passages.text_of(entry) for entry in snapshot.passages.documents}


def ledger_of(index: Path) -> Ledger:
    """Return the ledger for the snapshot that would be served."""
    snapshot = open_current(index)
    return open_ledger(index, snapshot.folder, snapshot.manifest.ledger)


def ledger_lines(index: Path) -> list[dict[str, Any]]:
    """Return what stands in the ledger's file, line by line."""
    return [json.loads(line) for line in (index / LEDGER).read_bytes().splitlines()]


def cite(index: Path, citation: str) -> Citation:
    """Look a citation up in the snapshot that would be served."""
    return look_up(citation, open_current(index).passages, ledger_of(index))


def snapshot_names(index: Path) -> list[str]:
    """Return the names of all folders of snapshots, in order."""
    folder = index / SNAPSHOTS
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder, by path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def leftovers(index: Path) -> set[str]:
    """Return what is in an index folder that neither the current snapshot nor the one before needs."""
    left = {path.name for path in index.iterdir()} - BUILT
    kept = snapshot_names(index)[-2:]
    for name in snapshot_names(index):
        folder = index / SNAPSHOTS / name
        if name not in kept or not (folder / MANIFEST).is_file():
            left.add(name)
        else:
            left |= contents(folder).keys() - read_manifest(folder).files.keys() - {MANIFEST, LOCK_OF_READERS}
    fingerprints = {read_manifest(index / SNAPSHOTS / name).fingerprint for name in kept}
    return left | {path.name for path in (index / "encoders").iterdir()} - fingerprints
