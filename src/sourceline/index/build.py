"""The build: what changed, encode, write, verify, record the citations, publish."""

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import filelock
import numpy as np

from sourceline.citations.ledger import Ledger
from sourceline.corpus.documents import Skipped, read_documents
from sourceline.corpus.sentences import passages
from sourceline.corpus.windows import Window, windows
from sourceline.encoding.cache import EncodingCache
from sourceline.encoding.encoder import Encoder, Float32, Int32, token_counter, unit
from sourceline.encoding.encoders import kind_of, prepare_encoder
from sourceline.errors import (
    BuildError,
    BuildRunningError,
    CorpusError,
    DamagedError,
    GenerationError,
    NoGenerationError,
)
from sourceline.index import generation as generations
from sourceline.index.dense import DenseWriter
from sourceline.index.generation import Generation, Manifest
from sourceline.index.history import record_citations
from sourceline.index.lexical import LexicalWriter
from sourceline.index.passages import DocumentEntry, PassagesWriter
from sourceline.index.tokens import TokensWriter
from sourceline.types import Document, EncoderKind, Passage

log = logging.getLogger(__name__)

ENCODERS = "encoders"
CACHE = "cache"
LOCK = "build.lock"
# Encodings are put into the cache in batches of so many windows: at most this much work is lost to an interruption.
BATCH = 64


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is: ``done`` of ``total`` windows are encoded."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did. Documents by id; ``skipped`` says why; ``encoded`` counts windows of new text."""

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


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A document, cut into passages and windows."""

    document: Document
    passages: tuple[Passage, ...]
    windows: tuple[Window, ...]

    def texts(self) -> list[str]:
        return [self.document.text[window.start : window.end] for window in self.windows]


def build(
    documents: Path,
    index: Path,
    model: str,
    kind: EncoderKind = EncoderKind.COMPILED,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Read the documents, encode what is new, and publish a new generation. Safe beside running readers.

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
            encoder = prepare_encoder(kind, model, index / ENCODERS)
            before = _open_before(index)
            prepared, skipped = _prepare(documents, encoder)
            with EncodingCache(index / CACHE, encoder.fingerprint, encoder.dimension) as cache:
                texts = [text for one in prepared for text in one.texts()]
                encoded = _encode(texts, encoder, cache, progress)
                manifest = _write(index, prepared, skipped, encoder, cache)
                opened = _check(index, manifest.id)
                record_citations(Ledger(index), before, opened)
                generations.publish(index, manifest.id)
                _prune(index, opened, before)
                cache.keep_only(texts)
            entries = before.passages.documents if before else []
            return _report(entries, opened, len(texts), encoded, time.monotonic() - started)
    except (OSError, sqlite3.Error, RuntimeError, ValueError) as error:
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
    except GenerationError as error:
        log.warning("building without an older generation: %s", error)
        return None


def _prepare(folder: Path, encoder: Encoder) -> tuple[list[_Prepared], dict[str, str]]:
    prepared: list[_Prepared] = []
    skipped: dict[str, str] = {}
    for found in read_documents(folder):
        if isinstance(found, Skipped):
            skipped[found.document_id] = found.reason
            continue
        cut = passages(found)
        if not cut:
            skipped[found.id] = "there is no sentence in it"
            continue
        starts = encoder.tokenize(found.text).spans[:, 0].astype(np.int64)
        count = token_counter(encoder, found.text)
        prepared.append(_Prepared(found, cut, tuple(windows(cut, starts, encoder.limit, count))))
    if not prepared:
        reasons = "; ".join(f"{document}: {reason}" for document, reason in skipped.items())
        raise CorpusError(f"no document in {folder} can be read" + (f": {reasons}" if reasons else ""))
    return prepared, skipped


def _encode(texts: list[str], encoder: Encoder, cache: EncodingCache, progress: Callable[[Progress], None]) -> int:
    """Encode the texts that are not in the cache; return how many there were."""
    missing = cache.missing(texts)
    progress(Progress(0, len(missing)))
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        cache.put(zip(batch, encoder.encode(batch), strict=True))
        progress(Progress(start + len(batch), len(missing)))
    return len(missing)


def _write(
    index: Path, prepared: list[_Prepared], skipped: dict[str, str], encoder: Encoder, cache: EncodingCache
) -> Manifest:
    now = datetime.now(UTC)
    folder = index / generations.GENERATIONS / _next_id(index, now)
    folder.mkdir(parents=True)
    dense = DenseWriter(encoder.dimension)
    lexical = LexicalWriter(folder)
    tokens = TokensWriter(folder, encoder.dimension)
    stored = PassagesWriter(folder)
    for one in prepared:
        for passage in one.passages:
            if one.document.text[passage.start : passage.end] != passage.text:
                raise BuildError(f"{one.document.id}: a passage is not verbatim; this is a defect of Sourceline")
        stored.add(one.document, one.passages)
        lexical.add([passage.text for passage in one.passages])
        vectors = np.empty((len(one.passages), encoder.dimension), dtype=np.float32)
        for number, (ids, spans, states) in enumerate(_passage_tokens(one, cache)):
            vectors[number] = unit(states.mean(axis=0)) if len(states) else 0
            tokens.add(ids, spans, unit(states))
        dense.add(vectors)
    dense.write(folder)
    lexical.write()
    stored.write()
    manifest = Manifest(
        format=generations.FORMAT,
        id=folder.name,
        created=now.isoformat(timespec="seconds"),
        model=encoder.model,
        encoder=kind_of(encoder).value,
        fingerprint=encoder.fingerprint,
        dimension=encoder.dimension,
        documents=len(prepared),
        passages=sum(len(one.passages) for one in prepared),
        tokens=tokens.write(),
        skipped=skipped,
        files=generations.file_table(folder),
    )
    generations.write_manifest(folder, manifest)
    return manifest


def _passage_tokens(one: _Prepared, cache: EncodingCache) -> Iterator[tuple[Int32, Int32, Float32]]:
    """Yield for each passage the ids, the spans within it, and the vectors of its tokens."""
    kept = []
    for window, text in zip(one.windows, one.texts(), strict=True):
        encoding = cache.get(text)
        if encoding is None:
            raise BuildError("an encoding is missing from the cache: run `sourceline rebuild-index` again")
        spans = encoding.tokens.spans + window.start
        keep = (spans[:, 0] >= window.keep_start) & (spans[:, 0] < window.keep_end)
        kept.append((encoding.tokens.ids[keep], spans[keep], encoding.vectors[keep]))
    ids, spans, vectors = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    for passage in one.passages:
        first, last = np.searchsorted(spans[:, 0], [passage.start, passage.end])
        yield ids[first:last], spans[first:last] - passage.start, vectors[first:last]


def _next_id(index: Path, now: datetime) -> str:
    """Return an id that sorts behind every generation that ever stood in this folder's ``CURRENT``."""
    used = [generations.current_id(index), *generations.folder_names(index)]
    number = max((int(name[:8]) for name in used if name and name[:8].isdigit()), default=0) + 1
    return f"{number:08d}-{now:%Y%m%dT%H%M%SZ}"


def _check(index: Path, generation: str) -> Generation:
    """Open what was written as a reader would, and ask it for some of its own passages."""
    opened = generations.open_generation(index, generation)
    for row in range(0, len(opened.passages), max(1, len(opened.passages) // 16)):
        (vector,) = opened.dense.vectors([row])
        best = opened.dense.search(vector, 1, None)[0].score
        if np.any(vector) and best < float(vector @ vector) - 1e-3:
            raise DamagedError(f"generation {generation} does not find its own passage {row}")
    return opened


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


def _report(old: list[DocumentEntry], opened: Generation, count: int, encoded: int, seconds: float) -> Report:
    was = {entry.id: entry.sha256 for entry in old}
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
