"""What the tests of builds ask of an index folder."""

import os
import shutil
from pathlib import Path

from sourceline.index.generation import CURRENT, GENERATIONS, Generation, open_current
from sourceline.index.manifest import MANIFEST, read_manifest
from tests.conftest import Rebuild

BUILT = {CURRENT, GENERATIONS, "build.lock", "cache", "encoders", "ledger.sqlite"}
# Written into a generation by whoever opens it.
OPENED = "lexical/.tantivy-meta.lock"


def litter(index: Path) -> set[str]:
    """Return what is in an index folder that neither the current generation nor the one before needs."""
    found = {path.name for path in index.iterdir()} - BUILT
    kept = generation_names(index)[-2:]
    for name in generation_names(index):
        folder = index / GENERATIONS / name
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {OPENED}
        if name not in kept or not (folder / MANIFEST).is_file():
            found.add(name)
        else:
            found |= files - read_manifest(folder).files.keys() - {MANIFEST}
    fingerprints = {read_manifest(index / GENERATIONS / name).fingerprint for name in kept}
    return found | {path.name for path in (index / "encoders").iterdir()} - fingerprints


def generation_names(index: Path) -> list[str]:
    folder = index / GENERATIONS
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def current(index: Path) -> dict[str, str]:
    """Return the texts of the documents in the generation that would be served."""
    return texts(open_current(index))


def texts(generation: Generation) -> dict[str, str]:
    return {entry.id: generation.passages.text_of(entry) for entry in generation.passages.documents}


def put(folder: Path, files: dict[str, str]) -> None:
    """Make the folder hold just these documents."""
    for path in folder.glob("*"):
        path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")


def build_each(documents: Path, index: Path, rebuild: Rebuild, *corpora: dict[str, str]) -> Path:
    """Build a generation of each of these corpora, one after the other; return the index folder."""
    for files in corpora:
        put(documents, files)
        rebuild(documents, index)
    return index


def copy(index: Path, target: Path) -> Path:
    """Copy an index folder; the compiled model, which no build writes to, is linked."""
    shutil.copytree(index / "encoders", target / "encoders", copy_function=os.link)
    shutil.copytree(index, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("encoders"))
    return target
