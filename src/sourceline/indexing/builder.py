"""The build: what changed, encode, write, verify, record the citations, publish."""

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sourceline.citations.ledger import Ledger
from sourceline.citations.tracking import record_citations
from sourceline.encoders.base import Encoder, Encoding
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.load import ENCODERS, prepare_encoder
from sourceline.errors import (
    BuildError,
    CorpusError,
    DamagedError,
    DocumentError,
    MismatchError,
    NoSnapshotError,
    SnapshotError,
)
from sourceline.index import snapshot as snapshots
from sourceline.index.multivector import EncodedChunk, empty_chunk, encode_chunk
from sourceline.index.passage_store import DocumentEntry
from sourceline.index.snapshot import Snapshot
from sourceline.indexing.cache import ChunkCache
from sourceline.indexing.config import DEFAULT_CONFIG, IndexConfig, ResolvedConfig, resolve
from sourceline.indexing.lock import lock
from sourceline.indexing.writer import SnapshotWriter, check_snapshot
from sourceline.ingest.chunking import Chunk, ChunkedDocument, chunk_document
from sourceline.ingest.loader import SkippedFile, SourceFile, read_document, scan_folder
from sourceline.types import Backend, BuildProgress, BuildReport

# Blocks are put into the cache in batches of so many parts: at most this much work is lost to an interruption.
BATCH = 64
# Documents are encoded in groups of about so many bytes, so that short ones keep all cores busy.
GROUP = 256 * 1024


class IncrementalBuilder:
    """Takes blocks from the snapshot before, from the cache, or makes them. ``encoded`` counts the windows made."""

    def __init__(
        self,
        folder: Path,
        config: IndexConfig,
        resolved: ResolvedConfig,
        encoder: Encoder,
        cache: ChunkCache,
        before: Snapshot | None,
    ) -> None:
        """Take what is needed; ``before`` is a snapshot of the same recipe."""
        self._folder, self._recipe, self._mixed, self._encoder, self._cache = folder, config, resolved, encoder, cache
        self._codec = resolved.open_codec()
        self._before = before
        self._entries = {(one.id, one.sha256): one for one in before.passages.documents} if before else {}
        self.encoded = 0

    def write(
        self,
        found: Sequence[SourceFile],
        writer: SnapshotWriter,
        skipped: dict[str, str],
        progress: Callable[[BuildProgress], None],
    ) -> None:
        """Write all documents that were found; add those that turn out to be no documents to ``skipped``.

        Raises:
            CorpusError: there is no document that can be read.
        """
        new = [one.size for one in found if not self._entry(one)]
        done, written = 0, 0
        progress(BuildProgress(0, sum(new)))
        for group in _groups(found):
            cuts = {one.document_id: self._cut(one, skipped) for one in group if not self._entry(one)}
            made = self._made([cut for cut in cuts.values() if cut])
            for run in self._runs(group):
                if entries := [entry for one in run if (entry := self._entry(one))]:
                    writer.take(entries)
                elif cut := cuts[run[0].document_id]:
                    self._add(cut, made, writer)
                else:
                    continue
                written += len(run)
            done += sum(one.size for one in group if one.document_id in cuts)
            progress(BuildProgress(done, sum(new)))
        if not written:
            reasons = "; ".join(f"{document}: {reason}" for document, reason in skipped.items())
            raise CorpusError(f"no document in {self._folder} can be read" + (f": {reasons}" if reasons else ""))

    def _entry(self, found: SourceFile) -> DocumentEntry | None:
        """Return what the snapshot before has of a document whose bytes are the same."""
        return self._entries.get((found.document_id, found.sha256))

    def _runs(self, group: Sequence[SourceFile]) -> Iterator[list[SourceFile]]:
        """Yield the documents: unchanged ones together that stood in a row before, each other one by itself."""
        run: list[SourceFile] = []
        last: DocumentEntry | None = None
        for one in group:
            entry = self._entry(one)
            if run and not (entry and last and entry.number == last.number + 1):
                yield run
                run = []
            run.append(one)
            last = entry
        yield run

    def _cut(self, found: SourceFile, skipped: dict[str, str]) -> ChunkedDocument | None:
        try:
            document = read_document(self._folder, found.document_id)
        except DocumentError as error:
            skipped[found.document_id] = str(error)
            return None
        cut = chunk_document(document, self._encoder, self._recipe.titles, self._recipe.window)
        if not cut.passages:
            skipped[found.document_id] = "there is no sentence in it"
            return None
        return cut

    def _made(self, cuts: Sequence[ChunkedDocument]) -> dict[bytes, EncodedChunk]:
        """Return the blocks of all parts and titles of these documents, by their keys."""
        parts = [part for cut in cuts for part in (*cut.parts(), cut.title_chunk()) if part]
        wanted = {part.key(self._mixed.digest): part for part in parts}
        known = {key: block for key in wanted if (block := self._known(key))}
        missing = {key: part for key, part in wanted.items() if key not in known}
        # All at once, so that the cores go on encoding while the blocks of a batch are made and put into the cache.
        encodings = self._encoder.encode([window.text for part in missing.values() for window in part.windows])
        for batch in _batches(missing):
            blocks = {key: self._block(part, encodings) for key, part in batch.items()}
            self._cache.put(blocks.items())
            known |= blocks
        titles = {part.key(self._mixed.digest) for cut in cuts if (part := cut.title_chunk())}
        self.encoded += len(missing.keys() - titles)
        return known

    def _known(self, key: bytes) -> EncodedChunk | None:
        rows = self._before.passages.part(key) if self._before else None
        return self._before.block(rows) if self._before and rows else self._cache.get(key)

    def _block(self, part: Chunk, encodings: Iterator[Encoding]) -> EncodedChunk:
        """Return the block of a part, whose windows' encodings come next."""
        return encode_chunk(part, [next(encodings) for _ in part.windows], self._mixed.head, self._codec)

    def _add(self, cut: ChunkedDocument, made: dict[bytes, EncodedChunk], writer: SnapshotWriter) -> None:
        keys = [part.key(self._mixed.digest) for part in cut.parts()]
        title = cut.title_chunk()
        nothing = empty_chunk(self._encoder.dim, self._mixed.head, self._codec)
        writer.add(
            *(cut, keys, [made[key] for key in keys]),
            made[title.key(self._mixed.digest)] if title else nothing,
        )


def _groups(found: Sequence[SourceFile]) -> Iterator[list[SourceFile]]:
    group: list[SourceFile] = []
    size = 0
    for one in found:
        group.append(one)
        size += one.size
        if size >= GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def _batches(parts: dict[bytes, Chunk]) -> Iterator[dict[bytes, Chunk]]:
    items = list(parts.items())
    for start in range(0, len(items), BATCH):
        yield dict(items[start : start + BATCH])


log = logging.getLogger(__name__)

CACHE = "cache"


def build(
    documents: Path,
    index: Path,
    model: str,
    kind: Backend = Backend.ONNX,
    progress: Callable[[BuildProgress], None] = lambda _: None,
    config: IndexConfig = DEFAULT_CONFIG,
) -> BuildReport:
    """Read the documents, encode what is new, and publish a new snapshot. Safe beside running readers.

    Another ``config`` than the one that ships is for measuring what a part of it is worth.

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
            resolved = resolve(config, encoder, original, sum(one.size for one in found))
            reusable = before if before and before.manifest.config == resolved.digest else None
            with _discarding(index), SnapshotWriter(index, encoder, resolved, reusable) as writer:
                with ChunkCache(index / CACHE, resolved.open_codec().code_size, encoder.dim) as cache:
                    maker = IncrementalBuilder(documents, config, resolved, encoder, cache, reusable)
                    maker.write(found, writer, skipped, progress)
                    opened = check_snapshot(index, writer.write(skipped))
                record_citations(Ledger(index), before, opened)
                snapshots.publish(index, opened.id)
            _tidy(index, opened, before)
            return _report(before, opened, writer.parts, maker.encoded, time.monotonic() - started)
    except (OSError, sqlite3.Error, RuntimeError, ValueError, SnapshotError) as error:
        # A full disk comes as OSError, sqlite3.Error, FAISS's RuntimeError or tantivy's ValueError.
        log.debug("the build stopped", exc_info=True)
        raise BuildError(f"the build stopped, what was served before is untouched: {error}") from error


def _opened(kind: Backend, model: str, index: Path) -> tuple[Model, Encoder, Snapshot | None]:
    """Return the model, its encoder, and the snapshot before; both are verified, which takes time, at once."""
    with ThreadPoolExecutor(1) as beside:
        before = beside.submit(_open_before, index)
        original = find_model(model)
        return original, prepare_encoder(kind, original, index / ENCODERS), before.result()


def _open_before(index: Path) -> Snapshot | None:
    try:
        return snapshots.open_current(index)
    except NoSnapshotError:
        return None
    except (DamagedError, MismatchError) as error:
        log.warning("building without an older snapshot: %s", error)
        return None


def _find(folder: Path) -> tuple[list[SourceFile], dict[str, str]]:
    """Return the files that can be read, and those that cannot with the reason."""
    found: list[SourceFile] = []
    skipped: dict[str, str] = {}
    for one in scan_folder(folder):
        if isinstance(one, SkippedFile):
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
    for name in snapshots.unpublished_ids(index):
        shutil.rmtree(index / snapshots.SNAPSHOTS / name, ignore_errors=True)


def _tidy(index: Path, current: Snapshot, before: Snapshot | None) -> None:
    """Remove what neither the new snapshot nor the one before needs; what cannot be removed waits for a build."""
    try:
        _prune(index, current, before)
    except (OSError, SnapshotError) as error:
        log.warning("snapshot %s is published; what it does not need could not all be removed: %s", current.id, error)


def _prune(index: Path, current: Snapshot, before: Snapshot | None) -> None:
    """Remove the cache, and what neither the new snapshot nor the one before needs of snapshots and models."""
    kept = [current, *([before] if before else [])]
    for name in snapshots.folder_names(index):
        if name not in {snapshot.id for snapshot in kept}:
            shutil.rmtree(index / snapshots.SNAPSHOTS / name, ignore_errors=True)
    fingerprints = {snapshot.manifest.fingerprint for snapshot in kept}
    for folder in (index / ENCODERS).glob("*"):
        if folder.name not in fingerprints:
            shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(index / CACHE, ignore_errors=True)  # all that was in it is in the snapshot


def _report(before: Snapshot | None, opened: Snapshot, count: int, encoded: int, seconds: float) -> BuildReport:
    was = {entry.id: entry.sha256 for entry in before.passages.documents} if before else {}
    now = {entry.id: entry.sha256 for entry in opened.passages.documents}
    return BuildReport(
        snapshot=opened.id,
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
