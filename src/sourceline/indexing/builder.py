"""The build: find what changed, encode it, write a snapshot, record the citations, publish."""

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np

from sourceline import durable
from sourceline.citations import ledger as ledgers
from sourceline.citations.ledger import Ledger, empty_ledger, open_ledger, recover_ledger
from sourceline.citations.older_ledger import OlderLedger
from sourceline.citations.tracking import record_citations
from sourceline.encoders.base import Encoder, EncoderInput, Encoding, Float32, Int64, l2_normalize
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.load import ENCODERS, prepare_encoder
from sourceline.encoders.ranking_head import RankingHead
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
from sourceline.index.base import PassageIndex
from sourceline.index.multivector import NO_TOKEN, Codec, EncodedChunk
from sourceline.index.passage_store import DocumentEntry, PassageStore
from sourceline.index.snapshot import Snapshot
from sourceline.indexing.cache import ChunkCache
from sourceline.indexing.config import DEFAULT_CONFIG, IndexConfig, ResolvedConfig, resolve
from sourceline.indexing.writer import SnapshotWriter, check_snapshot
from sourceline.ingest.changes import FolderRecord, RecordedFile
from sourceline.ingest.chunking import Chunk, ChunkedDocument, chunk_document
from sourceline.ingest.formats import FORMATS
from sourceline.ingest.loader import (
    NO_SENTENCE,
    DocumentReader,
    FolderScan,
    SourceFile,
    require_folder,
    scan_folder,
)
from sourceline.text import counted, nfc
from sourceline.types import MAX_DOCUMENT_BYTES, Backend, BuildProgress, BuildReport

log = logging.getLogger(__name__)

CACHE = "cache"
# Chunks are put into the cache in batches of so many: at most this much work is lost to an interruption.
BATCH = 64
# So many chunks are encoded before they are written, so that a long document is never in memory encoded.
AHEAD = 1_024
# Documents are encoded in groups of about so many bytes, so that short ones keep all cores busy.
GROUP_BYTES = 256 * 1024
# The greatest offset of a token into its passage that is kept.
_FARTHEST = 0xFFFF
_MAX_REASONS = 10  # in the message that nothing can be read


def build(
    documents: Path,
    index: Path,
    model: str,
    backend: Backend = Backend.ONNX,
    progress: Callable[[BuildProgress], None] = lambda _: None,
    config: IndexConfig = DEFAULT_CONFIG,
    max_document_bytes: int = MAX_DOCUMENT_BYTES,
    follow_links: bool = False,
) -> BuildReport:
    """Read the documents, encode what is new, and publish a new snapshot. Safe beside running readers.

    Raises:
        BuildRunningError: another build holds the lock.
        CorpusError: there are no documents.
        ModelError: the model cannot be used.
        LedgerError: the record of citations is damaged.
        BuildError: anything else that stopped the build. What was served before is untouched.
    """
    started = time.monotonic()
    require_folder(documents)  # before the model is exported, which takes a while
    try:
        with snapshots.build_lock(index):
            source, encoder, before = _open(backend, model, index)
            warnings: list[str] = []
            interrupted = snapshots.interrupted_ids(index)
            ledger = _open_ledger(index, before, interrupted)
            _discard(index, interrupted)
            scan = scan_folder(documents, max_document_bytes, follow_links)
            resolved = resolve(config, encoder, source, sum(file.size for file in scan.files))
            reusable = before if before and before.manifest.config == resolved.digest else None
            skipped = dict(scan.skipped)
            recorded = ledger.extent.snapshot if ledger.extent else None
            with (
                _discarding_on_failure(index),
                SnapshotWriter(index, encoder, resolved, reusable, recorded) as writer,
            ):
                reading = DocumentReader(documents, max_document_bytes, follow_links)
                with ChunkCache(index / CACHE) as cache, reading as reader:
                    builder = IncrementalBuilder(reader, config, resolved, encoder, cache, reusable)
                    builder.write(scan, writer, skipped, progress)
                    writer.record(record_of(documents, max_document_bytes, follow_links, scan))
                writer.write()
                # What is appended to the ledger is part of a snapshot only by its manifest, and seen once that is
                # published. What a crash leaves in between is overwritten by the next build.
                passages = PassageStore(writer.folder, connections=1)
                if not ledger.extent:
                    ledger = _begin_ledger(index, before, ledger, warnings)
                ledger = record_citations(ledger, before, passages, writer.folder.name)
                ledger.save(writer.folder)
                assert ledger.extent
                after = check_snapshot(index, writer.write_manifest(skipped, scan.ignored, ledger.extent))
                if before:
                    before.require_unwritten()  # what was copied from it
                snapshots.publish(index, after.id)
            _tidy(index, after, before)
            warnings += warn_of_empty_folders(documents, before, after, scan)
            return report_of(before, after, writer.chunks, builder.encoded, time.monotonic() - started, tuple(warnings))
    except (OSError, sqlite3.Error, RuntimeError, ValueError, MemoryError, SnapshotError) as error:
        # A full disk comes as OSError, sqlite3.Error, FAISS's RuntimeError or tantivy's ValueError.
        log.debug("the build stopped", exc_info=True)
        reason = durable.explain_failure(error, index, _published_bytes(index))
        raise BuildError(f"the build stopped, what was served before is untouched: {reason}") from error


class DocumentWriter(Protocol):
    """Where documents are written."""

    def add(
        self,
        chunked: ChunkedDocument,
        keys: Sequence[tuple[bytes, int]],
        encoded: Iterable[EncodedChunk],
        title: EncodedChunk,
    ) -> None:
        """Append a document, the keys of its chunks with how many rows each has, these encoded, and its title."""

    def copy_from_before(self, entries: Sequence[DocumentEntry]) -> None:
        """Append consecutive documents of the snapshot before as they are."""


class EncodedChunks(Protocol):
    """Where encoded chunks are kept until they are published."""

    def get(self, key: bytes) -> EncodedChunk | None:
        """Return a chunk."""

    def put(self, chunks: Iterable[tuple[bytes, EncodedChunk]]) -> None:
        """Keep chunks."""


class IncrementalBuilder:
    """Writes all documents in bounded memory.

    Encoded chunks come from the snapshot before, from the cache, or from the encoder; ``encoded`` counts the latter.
    """

    def __init__(
        self,
        reader: DocumentReader,
        config: IndexConfig,
        resolved: ResolvedConfig,
        encoder: Encoder,
        cache: EncodedChunks,
        before: Snapshot | None,
    ) -> None:
        """Take what is needed; ``before`` is a snapshot of the same config."""
        self._reader, self._config, self._resolved = reader, config, resolved
        self._encoder, self._cache, self._before = encoder, cache, before
        self._codec = resolved.open_codec()
        self._entries = {(entry.id, entry.sha256): entry for entry in before.passages.documents} if before else {}
        self.encoded = 0

    def write(
        self,
        scan: FolderScan,
        writer: DocumentWriter,
        skipped: dict[str, str],
        progress: Callable[[BuildProgress], None],
    ) -> None:
        """Write all documents of a folder; add those that cannot be read after all to ``skipped``.

        Raises:
            CorpusError: no document can be read.
        """
        files = scan.files
        total = sum(file.size for file in files if not self._unchanged(file))
        done, written = 0, 0
        progress(BuildProgress(0, total))
        for group in groups(files):
            written += self.write_group(group, writer, skipped)
            done += sum(file.size for file in group if not self._unchanged(file))
            progress(BuildProgress(done, total))
        if not written:
            raise CorpusError(nothing_to_read(self._reader.folder, skipped | scan.ignored))

    def write_group(self, group: Sequence[SourceFile], writer: DocumentWriter, skipped: dict[str, str]) -> int:
        """Write some documents, those that are new encoded together; return how many could be read."""
        new = [file for file in group if not self._unchanged(file)]
        chunked = {file.document_id: self._chunk(file, skipped) for file in new}
        keyed = {id_: _KeyedDocument(doc, self._resolved.digest) for id_, doc in chunked.items() if doc}
        encoded = self._encode(list(keyed.values()))  # in the order in which they are written below
        written = 0
        for run in self._runs(group):
            if entries := [entry for file in run if (entry := self._unchanged(file))]:
                writer.copy_from_before(entries)
            elif document := keyed.get(run[0].document_id):
                self._add(document, encoded, writer)
            else:
                continue
            written += len(run)
        return written

    def _unchanged(self, file: SourceFile) -> DocumentEntry | None:
        """Return what the snapshot before has of a document whose bytes are the same."""
        return self._entries.get((file.document_id, file.sha256))

    def _runs(self, group: Sequence[SourceFile]) -> Iterator[list[SourceFile]]:
        """Yield the documents: unchanged ones together that stood in a row before, each other one by itself."""
        run: list[SourceFile] = []
        last: DocumentEntry | None = None
        for file in group:
            entry = self._unchanged(file)
            if run and not (entry and last and entry.number == last.number + 1):
                yield run
                run = []
            run.append(file)
            last = entry
        yield run

    def _chunk(self, file: SourceFile, skipped: dict[str, str]) -> ChunkedDocument | None:
        try:
            document = self._reader.read(file.name)
        except DocumentError as error:
            skipped[file.name] = str(error)
            return None
        chunked = chunk_document(
            document,
            lambda text: self._encoder.tokenize(text).spans[:, 0].astype(np.int64),
            self._encoder.max_tokens,
            self._config.chunk_characters,
            self._config.titles,
        )
        if not chunked.passages:
            skipped[file.name] = NO_SENTENCE
            return None
        return chunked

    def _encode(self, documents: "Sequence[_KeyedDocument]") -> Iterator[EncodedChunk]:
        """Yield what these documents hold, encoded: of each the title, if it has one, then the chunks."""
        titles = {key for document in documents for key, _ in document.title}
        for batch in _batches([each for document in documents for each in (*document.title, *document.chunks)], AHEAD):
            encoded = {key: chunk for key in dict(batch) if (chunk := self._stored(key))}
            missing = {key: chunk for key, chunk in batch if key not in encoded}
            self._encode_missing(missing, encoded)
            self.encoded += len(missing.keys() - titles)
            yield from (encoded[key] for key, _ in batch)

    def _encode_missing(self, missing: dict[bytes, Chunk], encoded: dict[bytes, EncodedChunk]) -> None:
        """Encode chunks and add them to ``encoded`` and to the cache."""
        # All at once, so that the cores go on encoding while a batch is compressed and put into the cache.
        encodings = self._encoder.encode([EncoderInput(chunk.text, chunk.prefix) for chunk in missing.values()])
        for batch in _batches(list(missing.items()), BATCH):
            new = {key: encode_chunk(chunk, next(encodings), self._resolved.head, self._codec) for key, chunk in batch}
            self._cache.put(new.items())
            encoded |= new

    def _stored(self, key: bytes) -> EncodedChunk | None:
        rows = self._before.passages.chunk(key) if self._before else None
        return self._before.chunk(rows) if self._before and rows else self._cache.get(key)

    def _add(self, document: "_KeyedDocument", encoded: Iterator[EncodedChunk], writer: DocumentWriter) -> None:
        no_title = empty_chunk(self._encoder.dim, self._resolved.head, self._codec)
        title = next(encoded) if document.title else no_title
        keys = [(key, len(chunk.spans)) for key, chunk in document.chunks]
        writer.add(document.chunked, keys, islice(encoded, len(keys)), title)


class _KeyedDocument:
    """A document whose chunks are hashed once. ``title`` holds none or one."""

    def __init__(self, chunked: ChunkedDocument, digest: str) -> None:
        self.chunked = chunked
        self.chunks = [(chunk.key(digest), chunk) for chunk in chunked.chunks]
        self.title = [(chunked.title.key(digest), chunked.title)] if chunked.title else []


def encode_chunk(chunk: Chunk, encoding: Encoding, head: RankingHead, codec: Codec) -> EncodedChunk:
    """Return what a chunk adds to the index: its passages' tokens and sentence vectors.

    Args:
        chunk: the chunk.
        encoding: of its text.
        head: weighs and projects the token vectors.
        codec: compresses them.
    """
    ids, starts = encoding.tokens.ids.astype(np.int64), encoding.tokens.spans[:, 0].astype(np.int64)
    nothing = _no_token(encoding.vectors.shape[1])
    rows = []
    for start, end in chunk.spans:
        first, last = np.searchsorted(starts, [start, end])
        tokens = (ids[first:last], starts[first:last] - start, encoding.vectors[first:last])
        rows.append(tokens if last > first else nothing)
    all_ids, all_starts, vectors = (np.concatenate(arrays) for arrays in zip(*rows, strict=True))
    return EncodedChunk(
        counts=np.array([len(tokens[0]) for tokens in rows], dtype=np.uint32),
        ids=all_ids.astype(np.uint32),
        starts=np.minimum(all_starts, _FARTHEST).astype(np.uint16),
        codes=codec.compute_codes(head.project_passage(vectors)),
        vectors=l2_normalize(np.stack([tokens[2].mean(axis=0) for tokens in rows])).astype(np.float16),
    )


def empty_chunk(dim: int, head: RankingHead, codec: Codec) -> EncodedChunk:
    """Return the chunk of a title that is not there: one token that matches nothing."""
    ids, starts, vectors = _no_token(dim)
    return EncodedChunk(
        counts=np.ones(1, np.uint32),
        ids=ids.astype(np.uint32),
        starts=starts.astype(np.uint16),
        codes=codec.compute_codes(head.project_passage(vectors)),
        vectors=np.zeros((1, dim), dtype=np.float16),
    )


def _no_token(dim: int) -> tuple[Int64, Int64, Float32]:
    """Return the one token of a passage that has none: id, start, vector."""
    return np.array([NO_TOKEN]), np.array([0]), np.zeros((1, dim), dtype=np.float32)


def groups(files: Sequence[SourceFile]) -> Iterator[list[SourceFile]]:
    """Yield files in groups to be encoded together."""
    group: list[SourceFile] = []
    size = 0
    for file in files:
        group.append(file)
        size += file.size
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _batches(items: list[tuple[bytes, Chunk]], size: int) -> Iterator[list[tuple[bytes, Chunk]]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _open(backend: Backend, model: str, index: Path) -> tuple[Model, Encoder, Snapshot | None]:
    """Return the model, its encoder, and the snapshot before; verifying both takes time and is done at once."""
    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(_open_before, index)
        source = find_model(model, backend)
        return source, prepare_encoder(backend, source, index), before.result()


def _open_before(index: Path) -> Snapshot | None:
    try:
        return snapshots.open_current(index)
    except NoSnapshotError:
        return None
    except (DamagedError, MismatchError) as error:
        reason = str(error).removesuffix(f": {snapshots.REBUILD}")  # which is what is being done
        log.warning("building without the snapshot before: %s", reason)
        return None


def _open_ledger(index: Path, before: Snapshot | None, interrupted: Sequence[str]) -> Ledger:
    """Return the ledger as it was published; ``interrupted`` are the snapshots whose build was."""
    published = snapshots.published_id(index)
    ledgers.settle_restored(index, before.id if before else None)
    if not before and OlderLedger(index, None).exists():
        return empty_ledger(index)  # what is there was begun by a build that did not publish
    if before and before.id == published and (index / ledgers.FILE).exists():
        return open_ledger(index, before.folder, before.manifest.ledger)
    return recover_ledger(index, published, interrupted)


def _begin_ledger(index: Path, before: Snapshot | None, empty: Ledger, warnings: list[str]) -> Ledger:
    """Return the ledger of an index that has none, with what one of an older version holds."""
    older = OlderLedger(index, None if before else snapshots.published_id(index))
    if older.exists():
        # In a step of its own, so that what is recorded next finds it. Sorts in front of any snapshot.
        recorded_for = snapshots.published_id(index) or snapshots.FIRST_ID
        return empty.append(recorded_for, older.issued(), older.resolutions())
    if before:
        warnings.append(
            f"{index / ledgers.FILE}, the record of citations, is missing, and a new one was begun: of citations given "
            "out before, only those of the snapshot before are known. If you have one, "
            f"{ledgers.RESTORE}"
        )
    return empty


@contextmanager
def _discarding_on_failure(index: Path) -> Iterator[None]:
    """Remove what a build that fails has written of a snapshot: a full disk above all needs its space back."""
    before = snapshots.folder_names(index)
    try:
        yield
    except BaseException:
        kept = {*before, snapshots.current_id(index)}  # publishing can fail when it is done
        _discard(index, [name for name in snapshots.folder_names(index) if name not in kept])
        raise


def _published_bytes(index: Path) -> int | None:
    """Return the size of the snapshot that is served; None if there is none, or that cannot be told."""
    try:
        current = snapshots.current_id(index)
        manifest = snapshots.read_manifest(index / snapshots.SNAPSHOTS / current) if current else None
    except SnapshotError:
        return None
    return sum(size for size, _ in manifest.files.values()) if manifest else None


def _discard(index: Path, snapshot_ids: Sequence[str]) -> None:
    for snapshot_id in snapshot_ids:
        shutil.rmtree(index / snapshots.SNAPSHOTS / snapshot_id, ignore_errors=True)


def _tidy(index: Path, current: Snapshot, before: Snapshot | None) -> None:
    """Remove the cache, and what neither the new snapshot nor the one before needs of snapshots and models.

    What cannot be removed is left to the next build.
    """
    kept = [current, *([before] if before else [])]
    try:
        ids = {snapshot.id for snapshot in kept}
        unused = [index / snapshots.SNAPSHOTS / name for name in snapshots.folder_names(index) if name not in ids]
        fingerprints = {snapshot.manifest.fingerprint for snapshot in kept}
        unused += [folder for folder in (index / ENCODERS).glob("*") if folder.name not in fingerprints]
        # Everything in the cache is in the snapshot; what is in an older format is of no use any more.
        unused += [index / snapshots.RESTORING, index / snapshots.SNAPSHOTS_BEFORE_FORMAT_6]
        for folder in (index / CACHE, *unused):
            shutil.rmtree(folder, ignore_errors=True)
        OlderLedger(index, current.id).set_aside()
    except (OSError, SnapshotError) as error:
        log.warning("snapshot %s is published; what it does not need could not all be removed: %s", current.id, error)


def record_of(documents: Path, max_document_bytes: int, follow_links: bool, scan: FolderScan) -> FolderRecord:
    """Return what the snapshot keeps of the folder so that changes are noticed later."""
    read = {file.document_id: RecordedFile(file.sha256, file.stamp) for file in scan.files if file.stamp}
    files = dict.fromkeys(map(nfc, scan.skipped)) | read
    return FolderRecord(documents.absolute(), scan.started, max_document_bytes, files, follow_links)


def warn_of_empty_folders(
    documents: Path, before: PassageIndex | None, after: PassageIndex, scan: FolderScan
) -> tuple[str, ...]:
    """Return a warning for each folder that held documents before and holds none now, unless they were only moved."""
    entries = before.passages.documents if before else []
    here = {str(parent) for file in scan.files for parent in PurePosixPath(file.document_id).parents}
    here |= {str(parent) for name in scan.skipped for parent in (PurePosixPath(name), *PurePosixPath(name).parents)}
    gone: dict[str, list[str]] = {}  # the hashes of the documents of each topmost folder
    for entry in entries:
        above = map(str, reversed(PurePosixPath(entry.id).parents))
        if folder := next((parent for parent in above if parent not in here), None):
            gone.setdefault(folder, []).append(entry.sha256)
    kept = {entry.sha256 for entry in after.passages.documents}
    return tuple(
        f"{folder} held {counted(len(hashes), 'document')} and {_what_is_there(documents / folder)} now: "
        "is the share mounted?"
        for folder, hashes in gone.items()
        if not kept.issuperset(hashes)
    )


def _what_is_there(folder: Path) -> str:
    try:
        return "holds none" if any(folder.iterdir()) else "is empty"
    except OSError:
        return "is gone"


def report_of(
    before: PassageIndex | None,
    after: PassageIndex,
    chunks: int,
    encoded: int,
    seconds: float,
    warnings: tuple[str, ...],
) -> BuildReport:
    """Return what a build has done."""
    old = {entry.id: entry.sha256 for entry in before.passages.documents} if before else {}
    new = {entry.id: entry.sha256 for entry in after.passages.documents}
    return BuildReport(
        snapshot=after.id,
        added=tuple(id_ for id_ in new if id_ not in old),
        changed=tuple(id_ for id_ in new if id_ in old and old[id_] != new[id_]),
        unchanged=tuple(id_ for id_ in new if old.get(id_) == new[id_]),
        removed=tuple(id_ for id_ in old if id_ not in new),
        skipped=after.manifest.skipped,
        ignored=after.manifest.ignored,
        passages=len(after.passages),
        chunks=chunks,
        encoded=encoded,
        seconds=round(seconds, 3),
        warnings=warnings,
    )


def nothing_to_read(folder: Path, left_out: Mapping[str, str]) -> str:
    """Return the message for a folder without a document; ``left_out`` are the reasons for what is in it."""
    reasons = [f"{name}: {reason}" for name, reason in islice(left_out.items(), _MAX_REASONS)]
    if len(left_out) > _MAX_REASONS:
        reasons.append(f"and {len(left_out) - _MAX_REASONS:,} more")
    formats = f"these formats are read: {', '.join(sorted(FORMATS))}"
    return f"no document in {folder} can be read: {'; '.join([*(reasons or ['it is empty']), formats])}"
