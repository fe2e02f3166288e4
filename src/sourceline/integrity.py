"""Whether an index is as it was written: each file that a snapshot needs, and what stands in them."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sourceline.citations.base import CitationRecord
from sourceline.citations.ledger import FILE as LEDGER
from sourceline.citations.ledger import RESTORE, ExtentCheck, ledger_file
from sourceline.durable import open_regular, sha256
from sourceline.encoders.load import ENCODERS
from sourceline.encoders.onnx import CARD_FILE, read_card
from sourceline.errors import DamagedError, LedgerError, ModelError, SnapshotError, SourcelineError
from sourceline.ids import citation_id
from sourceline.index.base import PassageIndex
from sourceline.index.passage_store import DocumentEntry
from sourceline.index.snapshot import (
    MANIFEST,
    REBUILD,
    SNAPSHOTS,
    LedgerExtent,
    Manifest,
    read_manifest,
    require_readable,
    snapshot_folder,
)
from sourceline.text import counted, nfc, plain_typography, same_but_typography
from sourceline.types import Backend, CheckedFile, Finding, Passage

BLOCK_BYTES = 1 << 18

# Called with how many bytes were read; may wait, or raise to end the reading.
Pace = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Part:
    """A file that a snapshot needs, ``name`` below the index folder; its first ``size`` bytes belong to it.

    ``written`` is their SHA-256, or, of the ledger, what the snapshot says of it. ``damaged`` is the message if they
    are others now.
    """

    name: str
    path: Path
    size: int
    written: str | LedgerExtent
    damaged: str


def snapshot_parts(index: Path, manifest: Manifest) -> list[Part]:
    """Return the files of a snapshot, the manifest first.

    Raises:
        OSError: the manifest cannot be read.
    """
    folder = index / SNAPSHOTS / manifest.id
    path = folder / MANIFEST
    files = {MANIFEST: (path.stat().st_size, sha256(path)), **manifest.files}
    damaged = f"snapshot {manifest.id} is damaged: {{}} is not as it was written: {REBUILD}"
    return [
        Part(f"{SNAPSHOTS}/{manifest.id}/{name}", folder / name, size, digest, damaged.format(name))
        for name, (size, digest) in files.items()
    ]


def encoder_parts(index: Path, manifest: Manifest) -> list[Part]:
    """Return the files of the exported model that a snapshot needs; with the torch backend there is none.

    Raises:
        ModelError: what lists them is missing or damaged.
        OSError: what lists them cannot be read.
    """
    if manifest.backend == Backend.TORCH:
        return []
    folder = index / ENCODERS / manifest.fingerprint
    digests = {CARD_FILE: sha256(folder / CARD_FILE), **read_card(folder).sha256}
    damaged = f"the exported model in {folder} is damaged: {REBUILD}"
    return [
        Part(f"{ENCODERS}/{folder.name}/{name}", folder / name, _size(folder / name), digest, damaged)
        for name, digest in digests.items()
    ]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # whoever reads it is told
        return 0


def ledger_part(index: Path, manifest: Manifest) -> Part:
    """Return the part of the ledger that belongs to a snapshot."""
    path = ledger_file(index, manifest.id)
    damaged = f"the record of citations, {path}, is missing or damaged: {RESTORE}"
    return Part(LEDGER, path, manifest.ledger.bytes, manifest.ledger, damaged)


def read_part(part: Part, file: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of a part, and compare them.

    Raises:
        DamagedError: once all were read, if they are not as they were written.
        LedgerError: so, of the ledger.
        OSError: they cannot be read.
    """
    hashed = hashlib.sha256()
    extent = ExtentCheck(part.path, part.written) if isinstance(part.written, LedgerExtent) else None
    remaining = part.size
    while remaining and (block := file.read(min(remaining, BLOCK_BYTES))):
        remaining -= len(block)
        (extent or hashed).update(block)
        yield block
    if extent:
        extent.finish()
    elif remaining or file.read(1) or hashed.hexdigest() != part.written:
        raise DamagedError(part.damaged)


def check_files(index: Path, snapshot_id: str, pace: Pace = lambda _: None) -> Iterator[CheckedFile]:
    """Read every file of a snapshot, of its encoder, and its part of the ledger; yield each once it was compared.

    Raises:
        SnapshotError: one cannot be read for a reason that is not the file's, such as too many open files.
    """
    name = f"{SNAPSHOTS}/{snapshot_id}/{MANIFEST}"
    try:
        manifest = read_manifest(snapshot_folder(index, snapshot_id))
        parts = snapshot_parts(index, manifest)
    except SourcelineError as error:  # nothing else is known without it
        yield CheckedFile(name, 0, str(error))
        return
    try:
        encoder = encoder_parts(index, manifest)
    except (ModelError, OSError) as error:
        require_readable(error)
        fault = f"the exported model is missing or damaged: {REBUILD}"
        yield CheckedFile(f"{ENCODERS}/{manifest.fingerprint}/{CARD_FILE}", 0, fault)
        encoder = []
    for part in chain(parts, encoder, [ledger_part(index, manifest)]):
        yield check_part(part, pace)


def check_part(part: Part, pace: Pace = lambda _: None) -> CheckedFile:
    """Read a part and compare it.

    Raises:
        SnapshotError: it cannot be read for a reason that is not the file's.
    """
    size = 0
    try:
        with open_regular(part.path) as file:
            for block in read_part(part, file):
                size += len(block)
                pace(len(block))
    except (DamagedError, LedgerError) as error:
        return CheckedFile(part.name, size, str(error))
    except OSError as error:
        require_readable(error)
        return CheckedFile(part.name, size, f"{part.damaged} ({error.strerror})")
    return CheckedFile(part.name, size)


def require_own_passages(snapshot: PassageIndex) -> int:
    """Search a snapshot for some of its own passages; return for how many.

    Raises:
        DamagedError: it does not find one; or, in a database, whose index is approximate, one in eight.
    """
    count = snapshot.passages.row_count
    rows = range(0, count, max(1, count // 16))
    missed = 0 if snapshot.manifest.files else len(rows) // 8
    for row in rows:
        (vector,) = snapshot.dense.vectors([row])
        best = snapshot.dense.search(vector, 1, None)[0].score
        if np.any(vector) and best < float(vector @ vector) - 1e-3:
            missed -= 1
        if missed < 0:
            raise DamagedError(f"snapshot {snapshot.id} does not find its own passage {row}")
    return len(rows)


def check_contents(snapshot: PassageIndex, ledger: CitationRecord) -> Iterator[Finding]:
    """Compare what stands in an open snapshot, document by document, with itself and with its ledger.

    That the parts of a snapshot agree on how many rows there are was checked when it was opened.
    """
    try:
        searched = f"finds each of {counted(require_own_passages(snapshot), 'passage')} that it was searched for"
        yield Finding("search", True, f"{counted(snapshot.manifest.rows, 'row')} in each part; {searched}")
    except SnapshotError as error:
        yield Finding("search", False, f"{error}: {REBUILD}")
    documents, passages, issued = _Count("document"), _Count("passage"), _Count("passage")
    for entry in snapshot.passages.documents:
        # Of one document at a time: a million sentences take no more memory than the longest document.
        text, held = snapshot.passages.text_of(entry), snapshot.passages.of_document(entry)
        documents.add(len(held) == len(entry.numbers), entry.id)
        for passage, as_written in _each_as_written(entry, held, text):
            passages.add(as_written, passage.id)
            if not issued.stopped:
                try:
                    issued.add(_was_issued(passage, ledger), passage.id)
                except LedgerError as error:
                    issued.stopped = str(error)
    yield documents.finding("documents of the index", "have all their passages", REBUILD)
    passages.require(snapshot.manifest.passages)
    yield passages.finding("passages", "stand in their documents, in order, with the ids of their texts", REBUILD)
    yield issued.finding("issued", "are in the ledger with the same text", RESTORE)


def _each_as_written(entry: DocumentEntry, passages: Sequence[Passage], text: str) -> Iterator[tuple[Passage, bool]]:
    """Yield the passages of a document, and whether each is verbatim, in its place, and has the id of its text."""
    occurrences: Counter[str] = Counter()
    end = 0
    for ordinal, passage in enumerate(passages):
        form = plain_typography(passage.text)
        yield (
            passage,
            passage.ordinal == ordinal
            and passage.document_id == entry.id
            and end <= passage.start < passage.end
            and text[passage.start : passage.end] == passage.text
            and passage.id == citation_id(entry.id, form, occurrences[form]),
        )
        occurrences[form] += 1
        end = passage.end


def _was_issued(passage: Passage, ledger: CitationRecord) -> bool:
    """Return whether the ledger has a passage, as it was first issued: its typography may be another now."""
    cited = ledger.issued(passage.id)
    return (
        cited is not None
        and nfc(cited.passage.document_id) == passage.document_id
        and same_but_typography(cited.passage.text, passage.text)
    )


@dataclass(slots=True)
class _Count:
    """Counts what was checked and what failed, and keeps the first that did; ``stopped`` is why it did not go on."""

    noun: str
    checked: int = 0
    failed: int = 0
    first: str = ""
    stopped: str = ""

    def add(self, good: bool, name: str) -> None:
        self.checked += 1
        if not good:
            self.failed += 1
            self.first = self.first or name

    def require(self, expected: int) -> None:
        if self.checked != expected and not self.stopped:
            self.stopped = f"there are {self.checked:,} of {counted(expected, self.noun)}: {REBUILD}"

    def finding(self, subject: str, good: str, remedy: str) -> Finding:
        if self.stopped:
            return Finding(subject, False, self.stopped)
        if self.failed:
            failed = f"{self.failed:,} of {counted(self.checked, self.noun)} do not: {good}; the first is {self.first}"
            return Finding(subject, False, f"{failed}: {remedy}")
        return Finding(subject, True, f"{counted(self.checked, self.noun)} {good}")
