"""The build: what changed, encode, write, verify, record the citations, publish."""

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from sourceline.citations.ledger import Ledger
from sourceline.corpus.windows import WINDOW_CHARACTERS
from sourceline.encoding.cache import EncodingCache
from sourceline.encoding.encoder import Encoder
from sourceline.encoding.encoders import prepare_encoder
from sourceline.encoding.head import Head, head_for
from sourceline.encoding.models import model_digest, model_folder
from sourceline.errors import (
    BuildError,
    BuildRunningError,
    DamagedError,
    GenerationError,
    MismatchError,
    NoGenerationError,
)
from sourceline.index import generation as generations
from sourceline.index.cut import cut_documents
from sourceline.index.generation import Generation
from sourceline.index.history import record_citations
from sourceline.index.write import check_generation, write_generation
from sourceline.types import EncoderKind

log = logging.getLogger(__name__)

ENCODERS = "encoders"
CACHE = "cache"
LOCK = "build.lock"
# Encodings are put into the cache in batches of so many windows: at most this much work is lost to an interruption.
BATCH = 64


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is: ``done`` of ``total`` windows and titles are encoded."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an index is made by.

    ``head``: the ranking head, None for the model's own; ``titles``: whether they stand in front of windows;
    ``window``: the most characters of a window, 0 if each passage is encoded by itself.
    """

    head: Head | None = None
    titles: bool = True
    window: int = WINDOW_CHARACTERS


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did. Documents by id; ``skipped`` says why; ``encoded`` counts windows of new text.

    A title that is put in front of windows counts as a window: it is encoded by itself, too.
    """

    generation: str
    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: dict[str, str]
    passages: int
    windows: int
    encoded: int
    seconds: float


def build(
    documents: Path,
    index: Path,
    model: str,
    kind: EncoderKind = EncoderKind.COMPILED,
    progress: Callable[[Progress], None] = lambda _: None,
    recipe: Recipe = Recipe(),  # it is frozen
) -> Report:
    """Read the documents, encode what is new, and publish a new generation. Safe beside running readers.

    Another ``recipe`` than the one that ships is for measuring what a part of it is worth.

    Raises:
        BuildRunningError: another build holds the lock.
        CorpusError: there are no documents.
        ModelError: the model cannot be used.
        LedgerError: the citations could not be recorded.
        BuildError: anything else that stopped the build. What was served before is untouched.
    """
    started = time.monotonic()
    try:
        with lock(index):
            encoder, before = prepare_encoder(kind, model, index / ENCODERS), _open_before(index)
            _discard_unpublished(index)
            head = recipe.head or head_for(model_digest(model_folder(model)), encoder.dimension)
            cut, skipped = cut_documents(documents, encoder, recipe.titles, recipe.window)
            with EncodingCache(index / CACHE, encoder.fingerprint, encoder.dimension) as cache:
                texts = [text for one in cut for text in one.texts()]
                encoded = _encode(texts, encoder, cache, progress)
                with _discarding(index):
                    opened = check_generation(index, write_generation(index, cut, skipped, encoder, head, cache))
                    record_citations(Ledger(index), before, opened)
                    generations.publish(index, opened.id)
                _tidy(index, opened, before, cache, texts)
            return _report(before, opened, len(texts), encoded, time.monotonic() - started)
    except (OSError, sqlite3.Error, RuntimeError, ValueError, GenerationError) as error:
        # A full disk comes as OSError, sqlite3.Error, FAISS's RuntimeError or tantivy's ValueError.
        log.debug("the build stopped", exc_info=True)
        raise BuildError(f"the build stopped, what was served before is untouched: {error}") from error


@contextmanager
def lock(index: Path) -> Iterator[None]:
    """Hold the right to build into an index folder; the system frees it when the process ends, however it ends.

    Raises:
        BuildRunningError: another build holds it.
    """
    index.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(index / LOCK)
    try:
        held.acquire(blocking=False)
    except filelock.Timeout as error:
        raise BuildRunningError(f"another build of {index} is running: wait for it to end") from error
    try:
        yield
    finally:
        held.release()


def _open_before(index: Path) -> Generation | None:
    try:
        return generations.open_current(index)
    except NoGenerationError:
        return None
    except (DamagedError, MismatchError) as error:
        log.warning("building without an older generation: %s", error)
        return None


def _encode(texts: list[str], encoder: Encoder, cache: EncodingCache, progress: Callable[[Progress], None]) -> int:
    """Encode the texts that are not in the cache; return how many there were."""
    missing = cache.missing(texts)
    progress(Progress(0, len(missing)))
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        cache.put(zip(batch, encoder.encode(batch), strict=True))
        progress(Progress(start + len(batch), len(missing)))
    return len(missing)


@contextmanager
def _discarding(index: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _discard_unpublished(index)  # a full disk above all needs its space back
        raise


def _discard_unpublished(index: Path) -> None:
    """Remove what builds left that did not get to publish."""
    for name in generations.unpublished_ids(index):
        shutil.rmtree(index / generations.GENERATIONS / name, ignore_errors=True)


def _tidy(index: Path, current: Generation, before: Generation | None, cache: EncodingCache, texts: list[str]) -> None:
    """Remove what neither the new generation nor the one before needs; what cannot be removed waits for a build."""
    try:
        _prune(index, current, before)
        cache.keep_only(texts)
    except (OSError, sqlite3.Error) as error:
        log.warning("generation %s is published; what it does not need could not all be removed: %s", current.id, error)


def _prune(index: Path, current: Generation, before: Generation | None) -> None:
    """Remove the generations, compiled models and caches that neither the new generation nor the one before needs."""
    kept = [current, *([before] if before else [])]
    for name in generations.folder_names(index):
        if name not in {generation.id for generation in kept}:
            shutil.rmtree(index / generations.GENERATIONS / name, ignore_errors=True)
    fingerprints = {generation.manifest.fingerprint for generation in kept}
    for folder in (index / ENCODERS).glob("*"):
        if folder.name not in fingerprints:
            shutil.rmtree(folder, ignore_errors=True)
    for file in (index / CACHE).glob("*"):
        if file.name.split(".")[0] not in fingerprints:
            file.unlink(missing_ok=True)


def _report(before: Generation | None, opened: Generation, count: int, encoded: int, seconds: float) -> Report:
    was = {entry.id: entry.sha256 for entry in before.passages.documents} if before else {}
    now = {entry.id: entry.sha256 for entry in opened.passages.documents}
    return Report(
        generation=opened.id,
        added=tuple(id_ for id_ in now if id_ not in was),
        changed=tuple(id_ for id_ in now if id_ in was and was[id_] != now[id_]),
        unchanged=tuple(id_ for id_ in now if was.get(id_) == now[id_]),
        removed=tuple(id_ for id_ in was if id_ not in now),
        skipped=opened.manifest.skipped,
        passages=len(opened.passages),
        windows=count,
        encoded=encoded,
        seconds=round(seconds, 3),
    )
