"""What the tests of builds ask of an index folder."""

import os
import shutil
from pathlib import Path

from sourceline.index.snapshot import CURRENT, MANIFEST, SNAPSHOTS, Snapshot, open_current, read_manifest
from tests.conftest import Rebuild

BUILT = {CURRENT, SNAPSHOTS, "build.lock", "cache", "encoders", "ledger.sqlite"}
# Written into a snapshot by whoever opens it.
OPENED = "lexical/.tantivy-meta.lock"


def litter(index: Path) -> set[str]:
    """Return what is in an index folder that neither the current snapshot nor the one before needs."""
    found = {path.name for path in index.iterdir()} - BUILT
    kept = snapshot_names(index)[-2:]
    for name in snapshot_names(index):
        folder = index / SNAPSHOTS / name
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {OPENED}
        if name not in kept or not (folder / MANIFEST).is_file():
            found.add(name)
        else:
            found |= files - read_manifest(folder).files.keys() - {MANIFEST}
    fingerprints = {read_manifest(index / SNAPSHOTS / name).fingerprint for name in kept}
    return found | {path.name for path in (index / "encoders").iterdir()} - fingerprints


def snapshot_names(index: Path) -> list[str]:
    folder = index / SNAPSHOTS
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def current(index: Path) -> dict[str, str]:
    """Return the texts of the documents in the snapshot that would be served."""
    return texts(open_current(index))


def texts(snapshot: Snapshot) -> dict[str, str]:
    return {entry.id: snapshot.passages.text_of(entry) for entry in snapshot.passages.documents}


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


def copy(index: Path, target: Path) -> Path:
    """Copy an index folder; the compiled model, which no build writes to, is linked."""
    shutil.copytree(index / "encoders", target / "encoders", copy_function=os.link)
    shutil.copytree(index, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("encoders"))
    return target
