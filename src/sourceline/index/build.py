"""The build: what changed, encode, write, verify, record the citations, publish."""

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sourceline.citations.ledger import Ledger
from sourceline.corpus.documents import Found, Skipped, find_documents
from sourceline.encoding.encoder import Encoder
from sourceline.encoding.encoders import ENCODERS, prepare_encoder
from sourceline.encoding.models import Model, find_model
from sourceline.errors import (
    BuildError,
    DamagedError,
    GenerationError,
    MismatchError,
    NoGenerationError,
)
from sourceline.index import generation as generations
from sourceline.index.cache import BlockCache
from sourceline.index.generation import Generation
from sourceline.index.history import record_citations
from sourceline.index.lock import lock
from sourceline.index.make import Maker
from sourceline.index.recipe import SHIPPED, Recipe, mix
from sourceline.index.report import Progress, Report
from sourceline.index.write import GenerationWriter, check_generation
from sourceline.types import EncoderKind

log = logging.getLogger(__name__)

CACHE = "cache"


def build(
    documents: Path,
    index: Path,
    model: str,
    kind: EncoderKind = EncoderKind.COMPILED,
    progress: Callable[[Progress], None] = lambda _: None,
    recipe: Recipe = SHIPPED,
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
            original, encoder, before = _opened(kind, model, index)
            _discard_unpublished(index)
            found, skipped = _find(documents)
            mixed = mix(recipe, encoder, original, sum(one.size for one in found))
            reusable = before if before and before.manifest.recipe == mixed.digest else None
            with _discarding(index), GenerationWriter(index, encoder, mixed, reusable) as writer:
                with BlockCache(index / CACHE, mixed.open_codec().code_size, encoder.dimension) as cache:
                    maker = Maker(documents, recipe, mixed, encoder, cache, reusable)
                    maker.write(found, writer, skipped, progress)
                    opened = check_generation(index, writer.write(skipped))
                record_citations(Ledger(index), before, opened)
                generations.publish(index, opened.id)
            _tidy(index, opened, before)
            return _report(before, opened, writer.parts, maker.encoded, time.monotonic() - started)
    except (OSError, sqlite3.Error, RuntimeError, ValueError, GenerationError) as error:
        # A full disk comes as OSError, sqlite3.Error, FAISS's RuntimeError or tantivy's ValueError.
        log.debug("the build stopped", exc_info=True)
        raise BuildError(f"the build stopped, what was served before is untouched: {error}") from error


def _opened(kind: EncoderKind, model: str, index: Path) -> tuple[Model, Encoder, Generation | None]:
    """Return the model, its encoder, and the generation before; both are verified, which takes time, at once."""
    with ThreadPoolExecutor(1) as beside:
        before = beside.submit(_open_before, index)
        original = find_model(model)
        return original, prepare_encoder(kind, original, index / ENCODERS), before.result()


def _open_before(index: Path) -> Generation | None:
    try:
        return generations.open_current(index)
    except NoGenerationError:
        return None
    except (DamagedError, MismatchError) as error:
        log.warning("building without an older generation: %s", error)
        return None


def _find(folder: Path) -> tuple[list[Found], dict[str, str]]:
    """Return the files that can be read, and those that cannot with the reason."""
    found: list[Found] = []
    skipped: dict[str, str] = {}
    for one in find_documents(folder):
        if isinstance(one, Skipped):
            skipped[one.document_id] = one.reason
        else:
            found.append(one)
    return found, skipped


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


def _tidy(index: Path, current: Generation, before: Generation | None) -> None:
    """Remove what neither the new generation nor the one before needs; what cannot be removed waits for a build."""
    try:
        _prune(index, current, before)
    except (OSError, GenerationError) as error:
        log.warning("generation %s is published; what it does not need could not all be removed: %s", current.id, error)


def _prune(index: Path, current: Generation, before: Generation | None) -> None:
    """Remove the cache, and what neither the new generation nor the one before needs of generations and models."""
    kept = [current, *([before] if before else [])]
    for name in generations.folder_names(index):
        if name not in {generation.id for generation in kept}:
            shutil.rmtree(index / generations.GENERATIONS / name, ignore_errors=True)
    fingerprints = {generation.manifest.fingerprint for generation in kept}
    for folder in (index / ENCODERS).glob("*"):
        if folder.name not in fingerprints:
            shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(index / CACHE, ignore_errors=True)  # all that was in it is in the generation


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
