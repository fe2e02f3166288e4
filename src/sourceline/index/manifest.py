"""What a generation says of itself: counts, model, and a checksum of every file."""

import errno
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sourceline.durable import sha256, sync, sync_tree
from sourceline.errors import DamagedError, GenerationError, MismatchError

# To be raised with any change of the files, and of how a text is split: citations are compared by document, and one
# whose bytes are the same is taken to hold the same passages.
FORMAT = 5
MANIFEST = "manifest.json"
MEND = "run `sourceline rebuild-index`"
# Errors that say nothing of a file's content: whoever sets a generation aside for them loses a whole one.
_OUT_OF_REACH = {errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation says of itself.

    ``rows`` counts the passages that can be answers, all but the headings; ``codec`` says how token vectors are kept;
    ``recipe`` is a hash over all but the text that blocks are made of; ``files`` is name -> [bytes, SHA-256].
    """

    format: int
    id: str
    created: str
    model: str
    encoder: str
    fingerprint: str
    dimension: int
    codec: str
    recipe: str
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
    """Write the manifest, with a checksum over itself, as the last file of a generation; flush all to the disk."""
    (folder / MANIFEST).write_text(_text(asdict(manifest)), "utf-8")
    sync_tree(folder)
    sync(folder.parent)  # where its name stands


def read_manifest(folder: Path) -> Manifest:
    """Read and verify a generation's manifest.

    Raises:
        DamagedError: it is missing, not as it was written, or another generation's.
        MismatchError: it was written in another format.
    """
    try:
        text = (folder / MANIFEST).read_text("utf-8")
        body = json.loads(text)
        del body["checksum"]
        if text != _text(body):
            raise ValueError("its checksum differs")
        if body["format"] != FORMAT:
            raise MismatchError(f"generation {folder.name} is in format {body['format']}, not {FORMAT}: {MEND}")
        body["files"] = {name: (size, digest) for name, (size, digest) in body["files"].items()}
        manifest = Manifest(**body)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        require_in_reach(error)
        raise DamagedError(f"generation {folder.name} is damaged: {MANIFEST}: {error}: {MEND}") from error
    if manifest.id != folder.name:
        raise DamagedError(f"generation {folder.name} is damaged: its manifest is of {manifest.id}: {MEND}")
    return manifest


def require_in_reach(error: Exception) -> None:
    """Raise GenerationError if a file could not be read for a reason that is not the file's."""
    if isinstance(error, OSError) and error.errno in _OUT_OF_REACH:
        raise GenerationError(f"cannot read {error.filename}: {error.strerror}") from error


def _text(body: dict[str, Any]) -> str:
    """Return the manifest as it is written: with a checksum over the rest."""
    checksum = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps(body | {"checksum": checksum}, indent=2) + "\n"
