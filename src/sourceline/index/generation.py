"""One published build of the index: manifest, checksums, open, verify, publish.

A generation is a folder ``generations/<id>/`` that is never written again once ``CURRENT`` names it. Ids sort by age.
"""

import logging
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sourceline.durable import replace, sha256
from sourceline.encoding.encoder import Encoder
from sourceline.encoding.head import Head, read_head
from sourceline.errors import DamagedError, GenerationError, MismatchError, ModelError, NoGenerationError
from sourceline.index.block import Block
from sourceline.index.codec import open_codec
from sourceline.index.dense import DenseIndex
from sourceline.index.lexical import LexicalIndex
from sourceline.index.manifest import MEND, Manifest, read_manifest, require_in_reach
from sourceline.index.passages import Passages
from sourceline.index.tokens import TokenIndex

log = logging.getLogger(__name__)

CURRENT = "CURRENT"
GENERATIONS = "generations"
HEAD = "head.safetensors"
DAMAGED = ".damaged"  # the ending of a folder that was set aside


@dataclass(frozen=True, slots=True)
class Generation:
    """An open, verified generation. Immutable; safe to search from many threads."""

    manifest: Manifest
    folder: Path
    dense: DenseIndex
    lexical: LexicalIndex
    tokens: TokenIndex
    passages: Passages
    head: Head

    def block(self, rows: range) -> Block:
        """Return the block of consecutive rows, at least one, as it was written."""
        return self.tokens.block(rows, self.dense.vectors(rows).astype(np.float16))

    @property
    def id(self) -> str:
        """The generation's id."""
        return self.manifest.id


def publish(index: Path, generation: str) -> None:
    """Make a complete generation the one that is served. This is the only step that readers can see."""
    replace(index / CURRENT, f"{generation}\n")


def current_id(index: Path) -> str | None:
    """Return the id that ``CURRENT`` names, or None if nothing was published.

    Raises:
        GenerationError: it cannot be read.
    """
    try:
        return (index / CURRENT).read_text("utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GenerationError(f"cannot read {index / CURRENT}: {error.strerror}") from error


def open_generation(index: Path, generation: str, connections: int = 1, verify: bool = True) -> Generation:
    """Open one generation, and verify it unless its files were hashed a moment ago.

    Raises:
        DamagedError: a file is missing or not as it was written.
        MismatchError: it was written in another format.
        GenerationError: it cannot be read just now, or is whole and does not open.
    """
    if generation not in folder_names(index):  # nor a path that leads elsewhere
        raise DamagedError(f"there is no generation {generation!r} in {index}: {MEND}")
    folder = index / GENERATIONS / generation
    manifest = read_manifest(folder)
    if verify:
        _require_as_written(folder, manifest)
    try:
        head = read_head(folder / HEAD)
        opened = Generation(
            manifest,
            folder,
            DenseIndex(folder),
            LexicalIndex(folder),
            TokenIndex(folder, open_codec(manifest.codec, head)),
            Passages(folder, connections),
            head,
        )
    except (RuntimeError, ValueError, OSError, sqlite3.Error, ModelError) as error:
        raise GenerationError(f"generation {generation} is as it was written but does not open: {error}") from error
    tokens = len(opened.tokens) - len(opened.passages.documents)  # which have a row each for their titles
    rows = {len(opened.dense), len(opened.lexical), tokens, opened.passages.row_count}
    agree = rows == {manifest.rows} and len(opened.passages) == manifest.passages
    if not agree or opened.dense.dimension != manifest.dimension:
        raise DamagedError(f"generation {generation} is damaged: its files disagree on what they hold: {MEND}")
    return opened


def open_current(index: Path, connections: int = 1) -> Generation:
    """Open the generation that ``CURRENT`` names; if it is damaged, set it aside and open the one before.

    Raises:
        NoGenerationError: nothing was published.
        DamagedError: no generation is whole.
        GenerationError: it cannot be read just now, or is whole and does not open.
    """
    while True:
        wanted = current_id(index)
        if wanted is None:
            raise NoGenerationError(f"there is no index in {index} yet: {MEND}")
        try:
            return open_generation(index, wanted, connections)
        except GenerationError as error:
            if current_id(index) != wanted:
                continue  # a build published another one and removed this one while it was being opened
            if not isinstance(error, DamagedError):
                raise
            log.error("%s", error)
            return _open_before(index, wanted, connections, error)


def _open_before(index: Path, wanted: str, connections: int, damage: DamagedError) -> Generation:
    """Set the generation ``wanted`` aside and open the newest whole one before it."""
    set_aside(index, wanted)
    known = _is_known(index, wanted)
    for generation in reversed(generation_ids(index)):
        if known and generation > wanted:
            continue  # it was not published
        try:
            opened = open_generation(index, generation, connections)
        except DamagedError as error:
            log.error("%s", error)
            set_aside(index, generation)
        else:
            log.warning("serving generation %s, the one before: %s", generation, MEND)
            return opened
    raise damage


def unpublished_ids(index: Path) -> list[str]:
    """Return the ids of the generations that ``CURRENT`` never named: what builds left that were interrupted."""
    published = current_id(index)
    if published is None:
        return generation_ids(index)
    known = _is_known(index, published)
    return [generation for generation in generation_ids(index) if known and generation > published]


def generation_ids(index: Path) -> list[str]:
    """Return the ids of all generations on the disk, oldest first, published or not, without those set aside."""
    return [name for name in folder_names(index) if not name.endswith(DAMAGED)]


def folder_names(index: Path) -> list[str]:
    """Return the names of all folders of generations, oldest first, those set aside too."""
    folder = index / GENERATIONS
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    except OSError as error:
        raise GenerationError(f"cannot read {folder}: {error.strerror}") from error


def _is_known(index: Path, published: str) -> bool:
    """Return whether what ``CURRENT`` names is there or was set aside. If not, ``CURRENT`` itself is damaged."""
    return not {published, published + DAMAGED}.isdisjoint(folder_names(index))


def set_aside(index: Path, generation: str) -> None:
    """Rename a damaged generation, if it is there, so that it is neither served nor counted but can be looked at."""
    folder = index / GENERATIONS / generation
    try:
        if generation in folder_names(index):
            os.rename(folder, folder.with_name(generation + DAMAGED))
    except OSError as error:
        log.warning("cannot set the damaged generation %s aside: %s", generation, error)


def require_encoder(generation: Generation, encoder: Encoder) -> None:
    """Refuse an encoder other than the one that the generation was built with.

    Raises:
        MismatchError: the fingerprints differ.
    """
    if generation.manifest.fingerprint != encoder.fingerprint:
        raise MismatchError(
            f"generation {generation.id} was built with {generation.manifest.model} "
            f"({generation.manifest.fingerprint}), not {encoder.model} ({encoder.fingerprint}): {MEND}"
        )


def _require_as_written(folder: Path, manifest: Manifest) -> None:
    """Compare all files with the manifest, several at a time: hashing them is most of what opening takes."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(partial(_as_it_is, folder), manifest.files)
        for (name, written), is_ in zip(manifest.files.items(), found, strict=True):
            if is_ != written:
                raise DamagedError(f"generation {manifest.id} is damaged: {name} is not as it was written: {MEND}")


def _as_it_is(folder: Path, name: str) -> tuple[int, str] | None:
    """Return size and SHA-256 of a file; None if it is not there or its disk cannot read it."""
    try:
        return (folder / name).stat().st_size, sha256(folder / name)
    except OSError as error:
        require_in_reach(error)
        return None
