"""Writes and checks a snapshot."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np

from sourceline.encoders.base import Encoder
from sourceline.encoders.load import backend_of
from sourceline.encoders.ranking_head import write_ranking_head
from sourceline.errors import BuildError, DamagedError
from sourceline.index import snapshot as snapshots
from sourceline.index.bm25 import BM25Writer
from sourceline.index.dense import DenseWriter
from sourceline.index.multivector import EncodedChunk, MultiVectorWriter
from sourceline.index.passage_store import DocumentEntry, PassageStoreWriter
from sourceline.index.snapshot import FORMAT, HEAD, Manifest, Snapshot, file_table, write_manifest
from sourceline.indexing.config import ResolvedConfig
from sourceline.ingest.chunking import ChunkedDocument


class SnapshotWriter:
    """Writes documents in order, each new or taken over from the snapshot before. Nothing is published yet."""

    def __init__(self, index: Path, encoder: Encoder, resolved: ResolvedConfig, before: Snapshot | None) -> None:
        """Make the folder; ``before`` is a snapshot that was made by the same recipe."""
        self._now = datetime.now(UTC)
        self._folder = index / snapshots.SNAPSHOTS / _next_id(index, self._now)
        self._folder.mkdir(parents=True)
        self._encoder, self._mixed, self._before = encoder, resolved, before
        self._documents = self._passages = self._rows = self.parts = 0
        with ExitStack() as stack:
            dense, folder = (before.dense, before.folder) if before else (None, None)
            self._dense = stack.enter_context(DenseWriter(self._folder, encoder.dim, dense))
            self._tokens = stack.enter_context(MultiVectorWriter(self._folder, encoder.vocabulary))
            self._stored = stack.enter_context(PassageStoreWriter(self._folder, folder))
            self._lexical = stack.enter_context(BM25Writer(self._folder))
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        """Use as a context manager to close the files, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._open.close()

    def add(
        self, cut: ChunkedDocument, keys: Sequence[bytes], blocks: Sequence[EncodedChunk], title: EncodedChunk
    ) -> None:
        """Append a document: the blocks of its parts with their keys, and its title's."""
        _require_verbatim(cut)
        rows = [len(block.counts) for block in blocks]
        self._stored.add(cut.document, cut.passages, list(zip(keys, rows, strict=True)), len(blocks))
        self._lexical.add([passage.text for passage in cut.passages if not passage.heading])
        for block in blocks:
            self._tokens.add(block)
            self._dense.add(block.vectors)
        self._tokens.add_title(title)
        self._count(1, len(cut.passages), sum(rows), len(blocks))

    def take(self, entries: Sequence[DocumentEntry]) -> None:
        """Append consecutive documents of the snapshot before as they are."""
        before, first, last = self._before, entries[0], entries[-1]
        assert before
        self._lexical.add(self._stored.take(entries))
        rows = range(first.rows.start, last.rows.stop)
        if rows:
            self._tokens.take(before.tokens, rows)
            self._dense.take(rows)
        titles = before.passages.row_count
        self._tokens.add_title(before.tokens.block(range(titles + first.number, titles + last.number + 1)))
        passages = last.numbers.stop - first.numbers.start
        self._count(len(entries), passages, len(rows), sum(entry.parts for entry in entries))

    def _count(self, documents: int, passages: int, rows: int, parts: int) -> None:
        self._documents += documents
        self._passages += passages
        self._rows += rows
        self.parts += parts

    def write(self, skipped: dict[str, str]) -> str:
        """Finish all files, the manifest last; return the snapshot's id."""
        tokens = self._tokens.write()
        write_ranking_head(self._folder / HEAD, self._mixed.head)
        self._dense.write()
        self._lexical.write()
        self._stored.write()
        manifest = Manifest(
            format=FORMAT,
            id=self._folder.name,
            created=self._now.isoformat(timespec="seconds"),
            model=self._encoder.model,
            encoder=backend_of(self._encoder).value,
            fingerprint=self._encoder.fingerprint,
            dim=self._encoder.dim,
            codec=self._mixed.codec,
            config=self._mixed.digest,
            documents=self._documents,
            passages=self._passages,
            rows=self._rows,
            tokens=tokens,
            skipped=skipped,
            files=file_table(self._folder, self._tokens.hashed()),
        )
        write_manifest(self._folder, manifest)
        return self._folder.name


def _require_verbatim(cut: ChunkedDocument) -> None:
    for passage in cut.passages:
        if cut.document.text[passage.start : passage.end] != passage.text:
            raise BuildError(f"{cut.document.id}: a passage is not verbatim; this is a defect of Sourceline")


def _next_id(index: Path, now: datetime) -> str:
    """Return an id that sorts behind every snapshot that ever stood in this folder's ``CURRENT``."""
    used = [snapshots.current_id(index), *snapshots.folder_names(index)]
    number = max((int(name[:8]) for name in used if name and name[:8].isdecimal()), default=0) + 1
    return f"{number:08d}-{now:%Y%m%dT%H%M%SZ}"


def check_snapshot(index: Path, snapshot: str) -> Snapshot:
    """Open what was written as a reader would, and ask it for some of its own passages."""
    opened = snapshots.open_snapshot(index, snapshot, verify=False)  # the manifest was just made of the files
    rows = opened.passages.row_count
    for row in range(0, rows, max(1, rows // 16)):
        (vector,) = opened.dense.vectors([row])
        best = opened.dense.search(vector, 1, None)[0].score
        if np.any(vector) and best < float(vector @ vector) - 1e-3:
            raise DamagedError(f"snapshot {snapshot} does not find its own passage {row}")
    return opened
