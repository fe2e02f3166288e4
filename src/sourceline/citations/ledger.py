"""The record of every citation ever issued. Append-only; lives outside the snapshots; never forgets.

It is one file, ``ledger.jsonl``. A line of JSON says that a citation was issued, as it was then, or what became of one
that a build found gone; a line ends what each build recorded. Every line carries a checksum, every end one over all
that stands before it. The manifest of a snapshot names the part of the file that belongs to it (``LedgerExtent``), so
that what a build appended is seen only once its snapshot is published. ``ledger_lines.npy`` and ``ledger_forms.npy`` in
the snapshot say where the lines of a citation, and those of a text, are.
"""

import hashlib
import json
import os
import uuid
import weakref
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sourceline.durable import open_regular, sync
from sourceline.errors import LedgerError
from sourceline.ids import form_hash
from sourceline.index.multivector import IN_MEMORY
from sourceline.index.snapshot import NOT_DAMAGE, LedgerExtent, make_way
from sourceline.text import nfc, same_but_typography
from sourceline.types import CitationStatus, Context, Location, Passage, PassageInContext, Time

FILE = "ledger.jsonl"
# How the ledger of a restored snapshot is called until that of the index before is out of its way.
_RESTORED = "restored-ledger-{}.jsonl"
LINES, FORMS = "ledger_lines.npy", "ledger_forms.npy"  # in a snapshot
# Also to be raised, with a way to read older ones, if ``plain_typography`` changes, on which ``form_hash`` depends.
VERSION = 4
_ID_CHARACTERS = 16
# Where the lines of each citation are, in the order of ids and then of the file; ``gone`` tells one that a build found
# gone from one that was issued.
_LINES = np.dtype([("id", f"S{_ID_CHARACTERS}"), ("start", "<u8"), ("length", "<u4"), ("gone", "?")])
# Where the citations of each text are, whatever its typography.
_FORMS = np.dtype([("form", "<i8"), ("start", "<u8"), ("length", "<u4")])
_SUM = ',"sum":"'  # what is in front of the checksum of a line, which is the last thing in it
_SUM_DIGITS = 16
_END = b'{"build":'  # how a line begins that ends what a build recorded
_MAX_END = 4096  # above the length of any such line, and of the first
_BATCH = 10_000
RESTORE = "restore a backup with `sourceline restore FILE --replace`"
_LINE_DIFFERS = "a line is not as it was written"

Lines = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a build recorded for a missing citation: ``moved`` or ``changed``, with its ``successor``, or ``removed``.

    It is ``current`` if nothing became of the sentence but that ``successor`` is its id now. Otherwise a lookup
    recomputes the status from the texts, and the recorded one is for people and for checks.
    """

    citation: str
    status: CitationStatus
    successor: str | None


class Ledger:
    """The record of citations as it is for one snapshot. Safe to read from many threads.

    What cannot be read is noticed when it is needed: an index answers questions without its ledger.
    """

    def __init__(self, path: Path, extent: LedgerExtent | None, lines: Lines, forms: Lines, fault: str = "") -> None:
        """For ``open_ledger``, ``recover_ledger`` and ``append``. Without an ``extent``, nothing was recorded."""
        self._path, self.extent, self._lines, self._forms, self._fault = path, extent, lines, forms, fault
        self._later: dict[str, tuple[int, int]] = {}
        self._origins: dict[str, str] = {}
        self._file = -1
        if extent and not fault:
            try:
                self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # it was looked at, and may be another
            except OSError as error:
                self._fault = _unreadable(path, error)
            else:
                weakref.finalize(self, os.close, self._file)

    def issued(self, citation: str) -> PassageInContext | None:
        """Return a citation as it was when first issued; None if it never was.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        for line in self._lines_of(citation):
            if not line["gone"]:
                return issued_of(self._read(line["start"], line["length"], issued=citation))
        at = self._later.get(citation)
        return issued_of(self._read(*at, issued=citation)) if at else None

    def resolution(self, citation: str) -> Resolution | None:
        """Return what the newest build that found this id gone says of it.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        lines = self._lines_of(citation)
        if not len(lines) or not lines[-1]["gone"]:
            return None
        body = self._read(lines[-1]["start"], lines[-1]["length"], gone=citation)
        return Resolution(citation, CitationStatus(body["status"]), body["successor"])

    def origin(self, citation: str) -> str | None:
        """Return what a citation came of that only a newer snapshot holds, which is damaged; None for any other.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        self._require()
        return self._origins.get(citation)

    def with_texts(self, texts: Iterable[str]) -> Iterator[PassageInContext]:
        """Yield every citation ever issued for one of these texts, whatever its typography.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        self._require()
        by_form: dict[int, list[str]] = defaultdict(list)
        for text in dict.fromkeys(texts):
            by_form[form_hash(text)].append(text)
        wanted = np.array(sorted(by_form), dtype=np.int64)
        known = np.ascontiguousarray(self._forms["form"])
        firsts, lasts = np.searchsorted(known, wanted), np.searchsorted(known, wanted, side="right")
        for form, first, last in zip(wanted.tolist(), firsts, lasts, strict=True):
            for line in self._forms[first:last]:
                cited = issued_of(self._read(line["start"], line["length"]))
                if any(same_but_typography(cited.passage.text, text) for text in by_form[form]):
                    yield cited

    def latest_successors(self, citations: Sequence[str]) -> dict[str, str | None]:
        """Return those of these ids that were issued, each with the successor that the newest resolution names.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        known = self._known(citations)
        steps = {citation: self.resolution(citation) for citation in citations if citation in known}
        return {citation: step.successor if step else None for citation, step in steps.items()}

    def standing(self) -> dict[str, list[PassageInContext]]:
        """Return the citations that no build found gone, by document and in their order there.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        self._require()
        gone = set(self._lines["id"][self._lines["gone"]].tolist())
        return self._by_document(line for line in self._lines if not line["gone"] and line["id"] not in gone)

    def issued_since(self, extent: LedgerExtent) -> dict[str, list[PassageInContext]]:
        """Return what was first issued after this part of the ledger, by document and in order.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        self._require()
        return self._by_document(self._lines[~self._lines["gone"] & (self._lines["start"] >= extent.bytes)])

    def check(self) -> int:
        """Read all that belongs to the snapshot; return the number of citations.

        Raises:
            LedgerError: it is damaged.
        """
        self._require()
        if not self.extent:
            return 0
        whole = _scan(self._path, self.extent.snapshot)
        if whole.extent != self.extent or not (_same(whole.lines, self._lines) and _same(whole.forms, self._forms)):
            raise LedgerError(_damaged(self._path, "it is not as the snapshot has it"))
        for line in whole.lines[~whole.lines["gone"]]:
            issued_of(self._read(line["start"], line["length"]))
        return int(np.count_nonzero(~whole.lines["gone"]))

    def append(self, snapshot: str, issued: Iterable[PassageInContext], resolutions: Iterable[Resolution]) -> "Ledger":
        """Record what a build issues and what it found gone, flushed to the disk; return the ledger with that.

        An id that was issued before keeps its first line. What an earlier build appended that was not published is
        overwritten. To be called by one build at a time, before its snapshot is published: readers see nothing of it
        until then.

        Raises:
            LedgerError: the ledger cannot be read; nothing was recorded.
            OSError: it cannot be written; nothing was recorded.
        """
        self._require()
        extent, rows = self._append(snapshot, issued, resolutions)
        return Ledger(self._path, extent, *rows.sorted_into(self._lines, self._forms))

    def save(self, folder: Path) -> None:
        """Write what a snapshot needs to find lines."""
        np.save(folder / LINES, self._lines, allow_pickle=False)
        np.save(folder / FORMS, self._forms, allow_pickle=False)

    def _append(
        self, snapshot: str, issued: Iterable[PassageInContext], resolutions: Iterable[Resolution]
    ) -> tuple[LedgerExtent, "_Rows"]:
        rows = _Rows()
        with self._path.open("r+b" if self.extent else "wb") as file:
            if self.extent:
                start, ledger, digest = self.extent.bytes, self.extent.ledger, bytes.fromhex(self.extent.digest)
                file.truncate(start)
                file.seek(start)
            else:
                ledger, digest = uuid.uuid4().hex, b""
                start = file.write(_line({"ledger": ledger, "version": VERSION}))
            hashed = hashlib.sha256(digest)
            for body in self._bodies(issued, resolutions):
                line = _line(body)
                hashed.update(line)
                rows.add(body, start, len(line))
                start += file.write(line)
            end = {"build": snapshot, "lines": rows.count, "digest": hashed.hexdigest()}
            start += file.write(_line(end))
            file.flush()
            os.fsync(file.fileno())
        if not self.extent:
            sync(self._path.parent)
        return LedgerExtent(ledger, snapshot, start, hashed.hexdigest()), rows

    def _bodies(
        self, issued: Iterable[PassageInContext], resolutions: Iterable[Resolution]
    ) -> Iterator[dict[str, Any]]:
        new: set[str] = set()
        remaining = iter(issued)
        while batch := list(islice(remaining, _BATCH)):
            known = self._known([cited.passage.id for cited in batch])
            for cited in batch:
                if cited.passage.id not in known and cited.passage.id not in new:
                    new.add(cited.passage.id)
                    yield issued_body(cited)
        for resolution in resolutions:
            yield {"gone": resolution.citation, "status": resolution.status.value, "successor": resolution.successor}

    def _by_document(self, lines: Iterable[Any]) -> dict[str, list[PassageInContext]]:
        documents: dict[str, list[PassageInContext]] = defaultdict(list)
        for line in lines:
            cited = issued_of(self._read(line["start"], line["length"]))
            documents[nfc(cited.passage.document_id)].append(cited)
        for passages in documents.values():
            passages.sort(key=lambda cited: (cited.passage.document_id, cited.passage.ordinal, cited.passage.id))
        return documents

    def _lines_of(self, citation: str) -> Lines:
        self._require()
        if len(citation) > _ID_CHARACTERS or not citation.isascii():
            return self._lines[:0]
        key = citation.encode()
        first = last = bisect_left(self._lines, key, key=_id_of)
        while last < len(self._lines) and _id_of(self._lines[last]) == key:
            last += 1
        return self._lines[first:last]

    def _known(self, citations: Sequence[str]) -> set[str]:
        """Return those of these ids that were issued."""
        self._require()
        issued = np.ascontiguousarray(self._lines["id"][~self._lines["gone"]])
        wanted = np.array([citation.encode() for citation in citations], dtype="S")
        if not len(issued) or not len(wanted):
            return set()
        at = np.minimum(np.searchsorted(issued, wanted), len(issued) - 1)
        return {citation for citation, same in zip(citations, issued[at] == wanted, strict=True) if same}

    def _read(self, start: int, length: int, **expected: str) -> dict[str, Any]:
        """Return a line, which must say what is ``expected`` of it: in another ledger, another may stand there."""
        try:
            line = os.pread(self._file, int(length), int(start))
        except OSError as error:
            raise LedgerError(_unreadable(self._path, error)) from error
        body = _body(line)
        if body is None or not expected.items() <= body.items():
            raise LedgerError(_damaged(self._path, _LINE_DIFFERS))
        return body

    def _require(self) -> None:
        if self._fault:
            raise LedgerError(self._fault)

    def _see_later(self, published: str) -> None:
        """Know the ids that newer snapshots up to this one issued, which were published and are not served."""
        assert self.extent
        whole = _scan(self._path, published)
        for line in whole.lines[whole.lines["start"] >= self.extent.bytes]:
            if line["gone"]:
                body = self._read(line["start"], line["length"])
                successor = body["successor"]
                # Of several that it came of, one with the same text.
                if successor and (successor not in self._origins or body["status"] != CitationStatus.CHANGED):
                    self._origins[successor] = body["gone"]
            else:
                self._later[line["id"].decode()] = line["start"], line["length"]


def open_ledger(index: Path, folder: Path, extent: LedgerExtent, published: str | None = None) -> Ledger:
    """Open the ledger for a snapshot, whose folder this is.

    Args:
        index: the index folder.
        folder: the snapshot's.
        extent: the part of the ledger that belongs to it.
        published: the newest snapshot, if it is damaged and this one is served in its place: ids that were given out
            since then are known, but what became of others is not believed.
    """
    path = ledger_file(index, extent.snapshot)
    fault = _find_fault(path, extent)
    ledger = Ledger(path, extent, _load(folder / LINES), _load(folder / FORMS), fault)
    if published and published > extent.snapshot and not fault:
        try:
            ledger._see_later(published)
        except LedgerError as error:
            ledger._fault = str(error)
    return ledger


def _load(path: Path) -> Lines:
    lines: Lines = np.load(path, mmap_mode="r" if path.stat().st_size > IN_MEMORY else None, allow_pickle=False)
    return lines


def recover_ledger(index: Path, published: str | None, interrupted: Collection[str] = ()) -> Ledger:
    """Read the ledger without a snapshot that says what belongs to it. An index without a ledger has an empty one.

    Args:
        index: the index folder.
        published: the newest snapshot that was; if that is not known, all builds that ended are taken for published,
        interrupted: but not those of these snapshots, which are not whole.

    Raises:
        LedgerError: it is damaged, or cannot be read.
    """
    path = index / FILE
    if not path.exists():
        return empty_ledger(index)
    whole = _scan(path, published, interrupted)
    return Ledger(path, whole.extent, whole.lines, whole.forms)


def empty_ledger(index: Path) -> Ledger:
    """Return a ledger in which nothing is recorded; whatever file there is will be overwritten."""
    return Ledger(index / FILE, None, _EMPTY_LINES, _EMPTY_FORMS)


def ledger_file(index: Path, snapshot: str) -> Path:
    """Return where the ledger of a snapshot is."""
    restored = restored_file(index, snapshot)
    return restored if restored.exists() else index / FILE


def restored_file(index: Path, snapshot: str) -> Path:
    """Return where the ledger of a snapshot is while that is being restored.

    The two become visible with one rename, that of ``CURRENT``: until then, the index before has its own ledger.
    """
    return index / _RESTORED.format(snapshot)


def settle_restored(index: Path, snapshot: str | None) -> None:
    """Give the ledger of this snapshot its name, if a crash kept the restore from it; remove that of any other.

    To be called by who holds the build lock.
    """
    for path in index.glob(_RESTORED.format("*")):
        if snapshot and path == restored_file(index, snapshot):
            make_way(index / FILE)
            path.replace(index / FILE)
        else:  # of a restore that was interrupted before it could be seen
            path.unlink()
        sync(index)


class ExtentCheck:
    """Compares the part of a ledger that belongs to a snapshot with what the snapshot says of it, as it is read.

    It takes as long as hashing the bytes: lines are looked at only where a build ends.
    """

    def __init__(self, path: Path, extent: LedgerExtent) -> None:
        """Begin; ``path`` is for messages."""
        self._path, self._extent = path, extent
        self._rest = b""  # the beginning of a line that must be seen whole
        self._ledger = self._snapshot = self._digest = ""
        self._hashed = hashlib.sha256()
        self._size = 0
        self._at_line_start = True

    def update(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            LedgerError: they are not as they were written.
        """
        self._size += len(data)
        data, self._rest, at = self._rest + data, b"", 0
        while at < len(data):
            if self._at_line_start and (not self._ledger or _may_be_end(data[at : at + len(_END)])):
                stop = data.find(b"\n", at) + 1
                if not stop:
                    self._rest = data[at:]
                    self._require(len(self._rest) < _MAX_END)
                    return
                self._take_line(data[at:stop])
            else:
                stop = data.find(b"\n" + _END, at) + 1 or data.rfind(b"\n", at) + 1 or len(data)
                self._hashed.update(memoryview(data)[at:stop])
            self._at_line_start = data[stop - 1 : stop] == b"\n"
            at = stop

    def finish(self) -> None:
        """Compare how it ends.

        Raises:
            LedgerError: it is not the part that belongs to the snapshot.
        """
        ends = LedgerExtent(self._ledger, self._snapshot, self._size - len(self._rest), self._digest)
        if ends != self._extent or not self._at_line_start:
            raise LedgerError(_damaged(self._path, "it does not end as the snapshot has it"))

    def _take_line(self, line: bytes) -> None:
        """Take the first line, or one at which a build ends."""
        body = _body(line)
        self._require(body is not None)
        assert body is not None
        if not self._ledger:
            self._require("ledger" in body)
            self._ledger = body["ledger"]
        else:
            self._require(body["digest"] == self._hashed.hexdigest())
            self._snapshot, self._digest = body["build"], body["digest"]
            self._hashed = hashlib.sha256(bytes.fromhex(self._digest))

    def _require(self, as_written: bool) -> None:
        if not as_written:
            raise LedgerError(_damaged(self._path, _LINE_DIFFERS))


def _may_be_end(start: bytes) -> bool:
    """Return whether a line that begins like this, or goes on behind it, ends what a build recorded."""
    return start == _END or _END.startswith(start)


@dataclass(frozen=True, slots=True)
class _Scan:
    extent: LedgerExtent | None
    lines: Lines
    forms: Lines


class _Rows:
    """Where new lines are, in the order of the file."""

    def __init__(self) -> None:
        self.count = 0
        self._lines: list[tuple[bytes, int, int, bool]] = []
        self._forms: list[tuple[int, int, int]] = []
        self._packed: list[tuple[Lines, Lines]] = []  # tuples take ten times as much memory

    def add(self, body: dict[str, Any], start: int, length: int) -> None:
        self.count += 1
        if "gone" in body:
            self._lines.append((body["gone"].encode(), start, length, True))
        else:
            self._lines.append((body["issued"].encode(), start, length, False))
            self._forms.append((form_hash(body["text"]), start, length))
        if len(self._lines) == _BATCH:
            self._pack()

    def sorted_into(self, lines: Lines, forms: Lines) -> tuple[Lines, Lines]:
        """Return these lines and forms with the new ones behind them, in the order of the first field, then as here."""
        self._pack()
        all_lines = np.concatenate([lines, *(packed for packed, _ in self._packed)])
        all_forms = np.concatenate([forms, *(packed for _, packed in self._packed)])
        by_id, by_form = (np.argsort(keys, kind="stable") for keys in (all_lines["id"], all_forms["form"]))
        return all_lines[by_id], all_forms[by_form]

    def _pack(self) -> None:
        self._packed.append((np.array(self._lines, dtype=_LINES), np.array(self._forms, dtype=_FORMS)))
        self._lines, self._forms = [], []


_EMPTY_LINES: Lines = np.empty(0, dtype=_LINES)
_EMPTY_FORMS: Lines = np.empty(0, dtype=_FORMS)


def _scan(path: Path, published: str | None, interrupted: Collection[str] = ()) -> _Scan:
    """Read the ledger line by line, up to the end of the build of this snapshot, or of the last one not interrupted.

    Lines that are not as they were written are what an interrupted build left, unless an end stands behind them.

    Raises:
        LedgerError: it is damaged, cannot be read, or the build of that snapshot is not in it.
    """
    lines, forms = _EMPTY_LINES, _EMPTY_FORMS
    extent: LedgerExtent | None = None
    rows, damaged = _Rows(), False
    try:
        with open_regular(path) as file:
            header = file.readline()
            ledger = _body(header)
            hashed, start = hashlib.sha256(), len(header)
            for line in file:
                body = _body(line)
                if body and "build" in body:
                    if body["build"] in interrupted or (published is not None and body["build"] > published):
                        break
                    if damaged or ledger is None or body["digest"] != hashed.hexdigest():
                        raise LedgerError(_damaged(path, _LINE_DIFFERS))
                    start += len(line)
                    extent = LedgerExtent(ledger["ledger"], body["build"], start, body["digest"])
                    lines, forms = rows.sorted_into(lines, forms)
                    hashed, rows = hashlib.sha256(bytes.fromhex(body["digest"])), _Rows()
                    continue
                if body is None:
                    damaged = True
                else:
                    rows.add(body, start, len(line))
                hashed.update(line)
                start += len(line)
    except OSError as error:
        raise LedgerError(_unreadable(path, error)) from error
    if ledger and ledger.get("version") != VERSION:
        raise LedgerError("the record of citations is of a newer version of Sourceline: use that, or another index")
    if published is not None and extent and extent.snapshot != published:
        raise LedgerError(_damaged(path, f"what was recorded for snapshot {published} is missing"))
    return _Scan(extent, lines, forms)


def _find_fault(path: Path, extent: LedgerExtent) -> str:
    """Return why a file is not the ledger of which a snapshot has this part; nothing if it is, as far as it is seen."""
    try:
        with open_regular(path) as file:
            header = _body(file.readline())
            file.seek(max(0, extent.bytes - 512))
            end = _body(file.read(extent.bytes - file.tell()).splitlines(keepends=True)[-1])
    except FileNotFoundError:
        return f"the record of citations, {path}, is missing: {RESTORE}"
    except OSError as error:
        return _unreadable(path, error)
    except IndexError:
        return _damaged(path, "it is shorter than it was")
    if header and header.get("ledger") != extent.ledger:
        return f"{path} is not the record of citations of this index: {RESTORE}"
    if not header or not end or (end.get("build"), end.get("digest")) != (extent.snapshot, extent.digest):
        return _damaged(path, "it does not end as the snapshot has it")
    return ""


def _damaged(path: Path, reason: str) -> str:
    return f"the record of citations, {path}, is damaged: {reason}: {RESTORE}"


def _unreadable(path: Path, error: OSError) -> str:
    told = f"the record of citations, {path}, cannot be read: {error.strerror}"
    return told if error.errno in NOT_DAMAGE else f"{told}: {RESTORE}"


def _line(body: dict[str, Any]) -> bytes:
    """Return a line of the ledger: JSON, with a checksum of the rest as its last value."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
    return text + f'{_SUM}{_checksum(text)}"}}\n'.encode()


def _body(line: bytes) -> dict[str, Any] | None:
    """Return what a line says; None if it is not as it was written."""
    end = len(line) - len(_SUM) - _SUM_DIGITS - len('"}\n')
    text = line[: max(0, end)]
    if line[len(text) :] != f'{_SUM}{_checksum(text)}"}}\n'.encode():
        return None
    body = json.loads(text + b"}")
    assert isinstance(body, dict)
    return body


def _checksum(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:_SUM_DIGITS]


def _same(rows: Lines, others: Lines) -> bool:
    return rows.dtype == others.dtype and bool(np.array_equal(rows, others))


def _id_of(line: np.void) -> bytes:
    identifier = line["id"]
    assert isinstance(identifier, bytes)
    return identifier


def issued_body(cited: PassageInContext) -> dict[str, Any]:
    """Return what is kept of a citation, to be written as JSON."""
    passage, location = cited.passage, cited.passage.location
    return {
        "issued": passage.id,
        "document": passage.document_id,
        "title": cited.title,
        "ordinal": passage.ordinal,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        "heading": passage.heading,
        "before": cited.context.before,
        "after": cited.context.after,
        "prefix": cited.prefix,
        "suffix": cited.suffix,
        "line": location.line,
        "paragraph": location.paragraph,
        "section": location.section,
        "page": location.page,
        "speaker": location.speaker,
        "time": [location.time.start, location.time.end] if location.time else None,
        "columns": location.columns,
    }


def issued_of(body: dict[str, Any]) -> PassageInContext:
    """Return a citation of what is kept of it."""
    passage = Passage(
        id=body["issued"],
        document_id=body["document"],
        ordinal=body["ordinal"],
        start=body["start"],
        end=body["end"],
        text=body["text"],
        location=Location(
            line=body["line"],
            paragraph=body["paragraph"],
            section=body["section"],
            page=body["page"],
            speaker=body["speaker"],
            time=Time(*body["time"]) if body["time"] else None,
            columns=tuple(body["columns"]),
        ),
        heading=body["heading"],
    )
    context = Context(body["before"], body["after"])
    return PassageInContext(passage, body["title"], context, body["prefix"], body["suffix"])
