"""Writes a snapshot and checks it."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sourceline.encoders.base import Encoder
from sourceline.encoders.load import backend_of
from sourceline.encoders.ranking_head import write_ranking_head
from sourceline.errors import BuildError
from sourceline.index.bm25 import BM25Writer
from sourceline.index.dense import DenseWriter
from sourceline.index.multivector import EncodedChunk, MultiVectorWriter
from sourceline.index.passage_store import DocumentEntry, PassageStoreWriter
from sourceline.index.snapshot import (
    FORMAT,
    HEAD,
    SNAPSHOTS,
    LedgerExtent,
    Manifest,
    Snapshot,
    file_table,
    next_id,
    open_snapshot,
    write_manifest,
)
from sourceline.indexing.config import ResolvedConfig
from sourceline.ingest.changes import FolderRecord
from sourceline.ingest.chunking import ChunkedDocument
from sourceline.integrity import require_own_passages


class SnapshotWriter:
    """Writes documents in order, each new or copied from the snapshot before. Nothing is published yet."""

    def __init__(
        self, index: Path, encoder: Encoder, config: ResolvedConfig, before: Snapshot | None, recorded: str | None
    ) -> None:
        """Create the folder.

        Args:
            index: the index folder.
            encoder: what encodes.
            config: what the files depend on.
            before: a snapshot of the same config, to copy from.
            recorded: the newest snapshot for which the ledger was written.
        """
        self._now = datetime.now(UTC)
        self.folder = index / SNAPSHOTS / next_id(index, f"{self._now:%Y%m%dT%H%M%SZ}", recorded)
        self.folder.mkdir(parents=True)
        self._encoder, self._config, self._before = encoder, config, before
        self._documents = self._passages = self._rows = self._token_count = self.chunks = 0
        with ExitStack() as stack:
            dense, folder = (before.dense, before.folder) if before else (None, None)
            self._dense = stack.enter_context(DenseWriter(self.folder, encoder.dim, dense, config.compact))
            self._tokens = stack.enter_context(MultiVectorWriter(self.folder, encoder.vocabulary))
            self._store = stack.enter_context(PassageStoreWriter(self.folder, folder))
            self._bm25 = stack.enter_context(BM25Writer(self.folder))
            self._files = stack.pop_all()

    def __enter__(self) -> Self:
        """Use as a context manager to close the files, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._files.close()

    def add(
        self,
        chunked: ChunkedDocument,
        keys: Sequence[tuple[bytes, int]],
        encoded: Iterable[EncodedChunk],
        title: EncodedChunk,
    ) -> None:
        """Append a document.

        Args:
            chunked: the document.
            keys: of its chunks in order, each with how many rows it has.
            encoded: these chunks; each is written as it comes, so that they need not be in memory together.
            title: its title.
        """
        _require_verbatim(chunked)
        self._bm25.add(self._store.add(chunked.document, chunked.passages, keys))
        for chunk in encoded:
            self._tokens.add(chunk)
            self._dense.add(chunk.vectors)
        self._tokens.add_title(title)
        rows = sum(count for _, count in keys)
        self._count(documents=1, passages=len(chunked.passages), rows=rows, chunks=len(keys))

    def copy_from_before(self, entries: Sequence[DocumentEntry]) -> None:
        """Append consecutive documents of the snapshot before as they are."""
        before, first, last = self._before, entries[0], entries[-1]
        assert before
        self._bm25.add(self._store.copy_from_before(entries))
        rows = range(first.rows.start, last.rows.stop)
        if rows:
            self._tokens.copy_from(before.tokens, rows)
            self._dense.copy_from_before(rows)
        titles = before.passages.row_count
        self._tokens.add_title(before.tokens.chunk(range(titles + first.number, titles + last.number + 1)))
        self._count(
            documents=len(entries),
            passages=last.numbers.stop - first.numbers.start,
            rows=len(rows),
            chunks=sum(entry.chunks for entry in entries),
        )

    def _count(self, documents: int, passages: int, rows: int, chunks: int) -> None:
        self._documents += documents
        self._passages += passages
        self._rows += rows
        self.chunks += chunks

    def record(self, record: FolderRecord) -> None:
        """Keep what the documents folder looked like."""
        record.write(self.folder)

    def write(self) -> None:
        """Finish all files but the manifest."""
        self._token_count = self._tokens.write()
        write_ranking_head(self.folder / HEAD, self._config.head)
        self._dense.write()
        self._bm25.write()
        self._store.write()

    def write_manifest(self, skipped: dict[str, str], ignored: dict[str, str], ledger: LedgerExtent) -> str:
        """Write the manifest, with which the snapshot is whole; return the snapshot's id."""
        manifest = Manifest(
            format=FORMAT,
            id=self.folder.name,
            created=self._now.isoformat(timespec="seconds"),
            model=self._encoder.model,
            backend=backend_of(self._encoder).value,
            fingerprint=self._encoder.fingerprint,
            dim=self._encoder.dim,
            codec=self._config.codec,
            config=self._config.digest,
            documents=self._documents,
            passages=self._passages,
            rows=self._rows,
            tokens=self._token_count,
            skipped=skipped,
            ignored=ignored,
            ledger=ledger,
            files=file_table(self.folder, self._tokens.hashed()),
        )
        write_manifest(self.folder, manifest)
        return self.folder.name


def check_snapshot(index: Path, snapshot_id: str) -> Snapshot:
    """Open what was written as a reader would, and search it for some of its own passages.

    Raises:
        DamagedError: it does not find one.
    """
    snapshot = open_snapshot(index, snapshot_id, verify=False)  # the manifest was just made from the files
    require_own_passages(snapshot)
    return snapshot


def _require_verbatim(chunked: ChunkedDocument) -> None:
    for passage in chunked.passages:
        if chunked.document.text[passage.start : passage.end] != passage.text:
            raise BuildError(f"{chunked.document.id}: a passage is not verbatim; this is a defect of Sourceline")
