"""The build of an index in a database: what changed is encoded and written, then a transaction publishes it."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from sourceline.citations.postgres_ledger import PostgresLedger
from sourceline.citations.tracking import record_citations
from sourceline.encoders.base import Encoder, Int64
from sourceline.encoders.hub import DEFAULT_DIGEST, SHIPPED, Model, find_model
from sourceline.encoders.load import ENCODERS, backend_of, prepare_encoder
from sourceline.encoders.onnx import OnnxEncoder
from sourceline.encoders.ranking_head import ranking_head_bytes
from sourceline.errors import BuildError, CorpusError, NoSnapshotError, SnapshotError
from sourceline.index.base import PassageIndex
from sourceline.index.postgres.database import Connection, Database
from sourceline.index.postgres.files import keep_files
from sourceline.index.postgres.snapshot import PostgresSnapshot, manifest_text, open_current, open_snapshot
from sourceline.index.postgres.writer import count, make_visible, remove_unused
from sourceline.index.snapshot import FORMAT, HEAD, LedgerExtent, Manifest
from sourceline.indexing.builder import (
    groups,
    nothing_to_read,
    record_of,
    report_of,
    warn_of_empty_folders,
)
from sourceline.indexing.config import DEFAULT_CONFIG, IndexConfig, ResolvedConfig, resolve
from sourceline.indexing.postgres_tasks import ATTEMPTS, BuildParameters, Worker, begin, results
from sourceline.indexing.postgres_tasks import progress as task_progress
from sourceline.ingest.loader import DocumentReader, FolderScan, require_folder, scan_folder
from sourceline.integrity import require_own_passages
from sourceline.types import MAX_DOCUMENT_BYTES, Backend, BuildProgress, BuildReport

log = logging.getLogger(__name__)

# After so large a share of the documents changed, autovacuum is not waited for: words are read from their index alone
# only where it has been, and the planner needs to know how large the tables are.
_VACUUMED = 0.1
_POLL_SECONDS = 0.1  # until a build looks again whether others have done its tasks


def build(
    documents: Path,
    database: Database,
    folder: Path,
    model: str,
    backend: Backend = Backend.ONNX,
    progress: Callable[[BuildProgress], None] = lambda _: None,
    config: IndexConfig = DEFAULT_CONFIG,
    max_document_bytes: int = MAX_DOCUMENT_BYTES,
    follow_links: bool = False,
    partitions: int = 1,
) -> BuildReport:
    """Read the documents, encode what is new, and publish a new snapshot. Safe beside running readers.

    Args:
        documents: the folder.
        database: where the index is.
        folder: a folder of this machine for exported models.
        model: the model's name.
        backend: what runs it.
        progress: called as documents are encoded.
        config: build options.
        max_document_bytes: a larger file is skipped.
        follow_links: whether links that lead out of the folder are read.
        partitions: into how many parts the tables are divided when they are made.

    Raises:
        BuildRunningError: another build holds the lock.
        CorpusError: there are no documents.
        ModelError: the model cannot be used.
        BuildError: anything else that stopped the build. What was served before is untouched.
    """
    started = time.monotonic()
    require_folder(documents)
    try:
        source = find_model(model, backend)
        encoder = open_own_encoder(backend, source, folder)
        with database.building() as connection:
            database.prepare(connection, encoder.dim, partitions)
            try:
                before = open_current(database, connection).over(connection)
            except NoSnapshotError:
                before = None
            scan = scan_folder(documents, max_document_bytes, follow_links)
            resolved = resolve(config, encoder, source, sum(file.size for file in scan.files))
            _keep_files(connection, encoder, folder, resolved)
            skipped = dict(scan.skipped)
            keys = _written(connection, scan, resolved.digest)
            files = [file for file in scan.files if file.document_id not in keys]
            parameters = BuildParameters(
                model=encoder.model,
                backend=backend_of(encoder).value,
                fingerprint=encoder.fingerprint,
                config=resolved.digest,
                codec=resolved.codec,
                titles=config.titles,
                chunk_characters=config.chunk_characters,
                max_document_bytes=max_document_bytes,
            )
            progress(BuildProgress(0, total := sum(file.size for file in files)))
            with DocumentReader(documents, max_document_bytes, follow_links) as reader:
                build = begin(connection, parameters, list(groups(files)), reader, skipped)
            worker = Worker(connection, build, encoder, config, resolved, max_document_bytes)
            try:
                while True:
                    idle = not worker.work()
                    state = task_progress(connection, build)
                    progress(BuildProgress(state.bytes, total))
                    if not state.left:
                        break
                    if idle and state.stuck:
                        raise BuildError(f"{ATTEMPTS} workers died at one of these documents: {', '.join(state.stuck)}")
                    if idle:  # others are at it
                        time.sleep(_POLL_SECONDS)
            finally:
                worker.close()
            done = results(connection, build)
            skipped |= done.skipped
            keys |= done.keys
            if not keys:
                raise CorpusError(nothing_to_read(documents, skipped | scan.ignored))
            record = record_of(documents, max_document_bytes, follow_links, scan).text()
            after, chunks = _publish(
                database, connection, before, keys, encoder, resolved, skipped, scan.ignored, record
            )
            _tidy(connection, before, after, len(done.keys))
            warnings = warn_of_empty_folders(documents, before, after, scan)
            return report_of(before, after, chunks, done.encoded, time.monotonic() - started, tuple(warnings))
    except (OSError, RuntimeError, ValueError, MemoryError, SnapshotError) as error:
        log.debug("the build stopped", exc_info=True)
        raise BuildError(f"the build stopped, what was served before is untouched: {error}") from error


def open_own_encoder(backend: Backend, source: Model, folder: Path) -> Encoder:
    """Return the encoder to build with: the default model's own files, or those of its export in a folder."""
    if backend is Backend.ONNX and source.digest == DEFAULT_DIGEST:
        return OnnxEncoder(source.name, SHIPPED)
    return prepare_encoder(backend, source, folder)


def _written(connection: Connection, scan: FolderScan, config: str) -> dict[str, int]:
    """Return the keys of the documents that are in the database already, published or not, by id."""
    found = connection.rows("SELECT id, sha256, key FROM documents WHERE config = %s AND until IS NULL", config)
    known = {(id_, sha256): key for id_, sha256, key in found}
    pairs = {file.document_id: known.get((file.document_id, file.sha256)) for file in scan.files}
    return {id_: key for id_, key in pairs.items() if key is not None}


def _keep_files(connection: Connection, encoder: Encoder, folder: Path, resolved: ResolvedConfig) -> None:
    """Put the exported model and the ranking head where every server gets them."""
    keep_files(connection, resolved.digest, {HEAD: ranking_head_bytes(resolved.head)})
    if backend_of(encoder) is Backend.ONNX:
        exported = folder / ENCODERS / encoder.fingerprint
        paths = (exported if exported.is_dir() else SHIPPED).iterdir()
        keep_files(connection, encoder.fingerprint, {path.name: path.read_bytes() for path in paths if path.is_file()})


def _publish(
    database: Database,
    connection: Connection,
    before: PostgresSnapshot | None,
    keys: Mapping[str, int],
    encoder: Encoder,
    resolved: ResolvedConfig,
    skipped: dict[str, str],
    ignored: dict[str, str],
    record: str,
) -> tuple[PostgresSnapshot, int]:
    """Make these documents the snapshot that is served; return it, and how many chunks it has.

    Rows that become visible, citations that are recorded, and what ``current`` says are one transaction.
    """
    now = datetime.now(UTC)
    held = set(before.passages.keys.tolist()) if before else set()
    wanted = set(keys.values())
    added, removed = sorted(wanted - held), sorted(held - wanted)
    with connection.transaction():
        number = int(connection.value("SELECT coalesce(max(number), 0) + 1 FROM snapshots"))
        id_ = f"{number:08d}-{now:%Y%m%dT%H%M%SZ}"
        make_visible(connection, number, added, removed)
        same_vocabulary = before is not None and before.manifest.fingerprint == encoder.fingerprint
        token_rows = _token_rows(connection, before) if same_vocabulary else None
        counts = count(connection, added, removed if same_vocabulary else (), token_rows, encoder.vocabulary)
        manifest = Manifest(
            format=FORMAT,
            id=id_,
            created=now.isoformat(timespec="seconds"),
            model=encoder.model,
            backend=backend_of(encoder).value,
            fingerprint=encoder.fingerprint,
            dim=encoder.dim,
            codec=resolved.codec,
            config=resolved.digest,
            documents=counts.documents,
            passages=counts.passages,
            rows=counts.rows,
            tokens=counts.tokens,
            skipped=skipped,
            ignored=ignored,
            ledger=LedgerExtent(connection.value("SELECT id FROM ledger"), id_, 0, ""),
            files={},
        )
        connection.run(
            "INSERT INTO snapshots (number, id, manifest, record, token_rows, length) VALUES (%s, %s, %s, %s, %s, %s)",
            *(number, id_, manifest_text(manifest), record),
            *(counts.token_rows.astype("<u4").tobytes(), counts.length),
        )
        after = open_snapshot(database, connection, number, resolved.head).over(connection)
        ledger = PostgresLedger(connection, number - 1, before.manifest.ledger if before else None)
        record_citations(ledger, before, after.passages, id_)
        require_own_passages(after)
        connection.run("DELETE FROM current")
        connection.run("INSERT INTO current (number) VALUES (%s)", number)
    return after, counts.chunks


def _token_rows(connection: Connection, before: PostgresSnapshot | None) -> Int64 | None:
    if before is None:
        return None
    held = connection.value("SELECT token_rows FROM snapshots WHERE number = %s", before.number)
    return np.frombuffer(held, "<u4").astype(np.int64)


def _tidy(connection: Connection, before: PostgresSnapshot | None, after: PassageIndex, written: int) -> None:
    """Remove what neither the new snapshot nor the one before needs."""
    if before:
        remove_unused(connection, before.number)
    kept = [snapshot.manifest for snapshot in (before, after) if snapshot]
    owners = [owner for manifest in kept for owner in (manifest.fingerprint, manifest.config)]
    connection.run("DELETE FROM files WHERE owner <> ALL(%s)", owners)
    if written >= _VACUUMED * len(after.passages.documents):
        connection.run(
            "VACUUM (ANALYZE) documents, passages, rows, tokens, postings, chunks, words, citations, resolutions"
        )
