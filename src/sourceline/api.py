"""The front door: build an index, open it, ask, look citations up."""

import logging
import os
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date, datetime
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Self

from sourceline.address import PostgresAddress, index_address, local_folder
from sourceline.citations.lookup import look_up
from sourceline.encoders.base import Encoder, Reranker, RerankerInput
from sourceline.engines import BuildOptions, Opened, Reading, engine_of
from sourceline.errors import ClosedError, CorpusError, MismatchError, SnapshotGoneError, UnknownDocumentError
from sourceline.index.snapshot import REBUILD, Manifest
from sourceline.ingest.changes import FolderComparison
from sourceline.ingest.files import read_questions
from sourceline.limits import require_limits
from sourceline.search.confidence import is_calibrated, load_calibration, load_reader_calibration
from sourceline.search.searcher import Searcher
from sourceline.text import nfc
from sourceline.types import (
    DEFAULT_MODEL,
    DEFAULT_RERANKER,
    DEFAULT_THRESHOLD,
    MAX_DOCUMENT_BYTES,
    Answer,
    Backend,
    Backup,
    BuildProgress,
    BuildReport,
    CheckedFile,
    Citation,
    DocumentInfo,
    DocumentList,
    DocumentText,
    Filters,
    Finding,
    FolderChanges,
    FolderContents,
    Mode,
    SnapshotInfo,
    SourceStatus,
    Verification,
)

log = logging.getLogger(__name__)


class Index:
    """An index of documents: answers questions and looks citations up. Safe to use from many threads.

    An open index serves one snapshot; ``refresh`` switches to a newer one. A call that has begun is finished with the
    snapshot that it began with. Each raises SnapshotError if what it read may be wrong, as a file of the snapshot was
    written to while it was open; ``refresh`` then verifies it.

    Examples:
        >>> from sourceline import Index
        >>> Index.build("minutes", "index").added
        ('meeting.txt',)
        >>> with Index.open("index") as index:
        ...     answer = index.ask("Which minister did Pezeshkian meet in Tehran?", k=1)
        ...     citation = index.cite(answer.hits[0].passage.id)
        >>> answer.verdict.value, answer.hits[0].passage.text[-36:]
        ('answered', 'Iraqi Foreign Minister Fuad Hussein.')
        >>> citation.status.value, citation.cited.passage.location.line
        ('current', 1)
    """

    def __init__(
        self,
        path: Path | PostgresAddress,
        model: str | None,
        backend: Backend | None,
        reranker: str,
        threshold: float,
        connections: int,
        documents: Path | None,
    ) -> None:
        """For ``Index.open``."""
        self._path, self._engine = path, engine_of(path, connections)
        self._model, self._backend, self._reranker_name = model, backend, reranker
        self._threshold = threshold
        self._documents = documents
        self._refreshing = threading.Lock()  # never taken to answer a question
        self._opening_encoder = threading.Lock()
        self._reranker: Reranker | None = None
        self._reranker_opened = False
        self._current: object = None  # the engine's stamp when a snapshot was last opened
        self._view: _View | None = None
        self._process = os.getpid()

    @classmethod
    def build(
        cls,
        documents: str | PathLike[str],
        path: str | PathLike[str] | PostgresAddress,
        *,
        model: str = DEFAULT_MODEL,
        backend: Backend = Backend.ONNX,
        progress: Callable[[BuildProgress], None] = lambda _: None,
        max_document_bytes: int = MAX_DOCUMENT_BYTES,
        follow_links: bool = False,
        partitions: int = 1,
    ) -> BuildReport:
        """Read a folder of documents, encode what is new, and publish a new snapshot of the index at ``path``.

        Safe beside open indexes, also of other processes. Interrupted, a later build goes on where it stopped.

        Args:
            documents: the folder.
            path: the folder of the index, created if there is none; or ``postgresql://user@host/database``.
            model: a sentence-transformers model, by name or folder.
            backend: what runs it.
            progress: called as documents are encoded.
            max_document_bytes: a larger file is skipped.
            follow_links: whether links that lead out of the folder are read.
            partitions: of a database: into how many parts its tables are divided, when they are made.

        Raises:
            BuildRunningError: another build of this index is running.
            CorpusError: there are no documents.
            ModelError: the model cannot be used.
            LedgerError: the record of citations is damaged.
            BuildError: anything else that stopped the build. What was served before is untouched.
        """
        address = index_address(path)
        require_limits(local_folder(address), model)
        options = BuildOptions(model, Backend(backend), max_document_bytes, follow_links, partitions)
        return engine_of(address).build(Path(documents), options, progress)

    @classmethod
    def open(
        cls,
        path: str | PathLike[str] | PostgresAddress,
        *,
        model: str | None = None,
        backend: Backend | None = None,
        reranker: str = DEFAULT_RERANKER,
        threshold: float = DEFAULT_THRESHOLD,
        connections: int = 1,
        lazy: bool = False,
        fallback: bool = True,
        documents: str | PathLike[str] | None = None,
    ) -> Self:
        """Open and verify the current snapshot of an index.

        Args:
            path: the folder of the index, or ``postgresql://user@host/database``.
            model: the model that it must have been built with; None accepts any.
            backend: what must run the model; None accepts any.
            reranker: what reads the best chunks: ``reader``, ``none``, or a sentence-transformers CrossEncoder by name
                or folder, whose scores rank but are not calibrated.
            threshold: the least confidence with which a question counts as answered.
            connections: how many threads will ask at once without waiting for each other.
            lazy: whether to open the encoder only for the first question; looking citations up needs none.
            fallback: whether to set a damaged snapshot aside and open the one before.
            documents: the folder in which changes are looked for; None is the one that the snapshot was built from.

        Raises:
            NoSnapshotError: nothing was built yet.
            DamagedError: no snapshot is whole.
            MismatchError: it was built with another model or backend, or in another format.
            SnapshotError: it cannot be read just now.
            ModelError: its encoder or the reranker cannot be opened.
            ValueError: an argument is out of range.
        """
        if connections < 1:
            raise ValueError("connections must be at least 1")
        _require_share(threshold)
        index = cls(
            index_address(path),
            model,
            Backend(backend) if backend else None,
            reranker,
            threshold,
            connections,
            Path(documents) if documents is not None else None,
        )
        # Read before opening: a snapshot that is published meanwhile is noticed by the next refresh.
        try:
            index._current = index._engine.stamp()
            index._view = index._open_view(fallback)
            if not lazy:
                index._searcher(index._view)
        except BaseException:
            index._engine.close()
            raise
        return index

    @staticmethod
    def work(path: str | PathLike[str] | PostgresAddress, stop: threading.Event) -> None:
        """Encode documents for builds of the index in this database, which run anywhere, until ``stop`` is set.

        Any number of processes on any machines share the work of a build. While none runs, this waits.

        Args:
            path: the address of the database.
            stop: says to return, once what is being done is done.

        Raises:
            BuildError: the index is in files.
            SnapshotError: the package that a database needs is missing.
        """
        engine_of(index_address(path)).work(stop)

    @staticmethod
    def exists(path: str | PathLike[str] | PostgresAddress) -> bool:
        """Return whether an index was built at ``path``.

        Raises:
            SnapshotError: it cannot be read.
        """
        return engine_of(index_address(path)).exists()

    @staticmethod
    def is_building(path: str | PathLike[str] | PostgresAddress) -> bool:
        """Return whether a build of the index at ``path`` is running, in whichever process."""
        return engine_of(index_address(path)).is_building()

    @staticmethod
    def backup(
        path: str | PathLike[str] | PostgresAddress, file: str | PathLike[str], *, overwrite: bool = False
    ) -> Backup:
        """Write the current snapshot of the index at ``path``, with its ledger and encoder, into one archive.

        Safe beside open indexes and builds; nothing is written into the index folder. Every file is compared with its
        checksum as it is copied, and the archive is read once more before it takes its name.

        Args:
            path: the folder of the index.
            file: the archive, a tar.
            overwrite: whether to replace a file that is there.

        Raises:
            BackupError: the archive exists already, or cannot be written.
            NoSnapshotError: nothing was built yet.
            SnapshotError, ModelError, LedgerError: something is damaged or cannot be read.
        """
        return engine_of(index_address(path)).back_up(Path(file), overwrite)

    @staticmethod
    def restore(
        file: str | PathLike[str], path: str | PathLike[str] | PostgresAddress, *, replace: bool = False
    ) -> Backup:
        """Put what ``backup`` wrote into an index folder, after all of it was verified.

        Open indexes switch to it with their next ``refresh``. A crash leaves what was there or what is restored, whole.

        Args:
            file: the archive.
            path: the folder of the index; created if there is none.
            replace: whether to move an index that is there into the folder ``replaced-<time>`` inside of it.

        Raises:
            BackupError: the archive is damaged or of another version, there is an index, or it cannot be written.
            BuildRunningError: a build of this index is running.
        """
        return engine_of(index_address(path)).restore(Path(file), replace)

    @staticmethod
    def snapshots(path: str | PathLike[str] | PostgresAddress) -> tuple[str, ...]:
        """Return the ids of the snapshots that are kept, oldest first.

        Raises:
            SnapshotError: they cannot be listed.
        """
        return engine_of(index_address(path)).snapshots()

    @staticmethod
    def check_files(
        path: str | PathLike[str] | PostgresAddress, snapshot: str, pace: Callable[[int], None] = lambda _: None
    ) -> Iterator[CheckedFile]:
        """Read every file of a snapshot, of its encoder, and its part of the ledger, and compare the checksums.

        Args:
            path: the folder of the index.
            snapshot: its id.
            pace: called with how many bytes were read; it may wait, or raise to end the reading.

        Raises:
            SnapshotError: a file cannot be read for a reason that is not its own, such as too many open files.
        """
        return engine_of(index_address(path)).check_files(snapshot, pace)

    @staticmethod
    def scan(
        documents: str | PathLike[str], max_document_bytes: int = MAX_DOCUMENT_BYTES, follow_links: bool = False
    ) -> FolderContents:
        """Return which files of a folder would be in an index, and which would be left out, with the reason.

        Raises:
            CorpusError: the folder is missing or cannot be read.
        """
        from sourceline.ingest.loader import list_documents

        return list_documents(Path(documents), max_document_bytes, follow_links)

    @staticmethod
    def locate_model(name: str, backend: Backend = Backend.ONNX) -> Path:
        """Return the folder of the files that a backend runs a model from, verified.

        Raises:
            ModelError: there is no such model, or it is not the one expected.
        """
        from sourceline.encoders.load import locate_model

        return locate_model(name, Backend(backend))

    @staticmethod
    def check_reranker(name: str) -> None:
        """Open a reranker, which verifies its files, and let it read a sentence. ``none`` needs nothing.

        Raises:
            ModelError: it cannot be used.
        """
        from sourceline.encoders.reranker import open_reranker

        load_reader_calibration(name)
        if reranker := open_reranker(name):
            reranker.score("Is anybody there?", [RerankerInput("Nobody is there.", ((0, 16),))])

    @property
    def snapshot(self) -> SnapshotInfo:
        """What is served."""
        return _info(self._require_open().snapshot.manifest)

    @property
    def reranker(self) -> str:
        """The name of what reads: ``reader``, ``none``, or that of a CrossEncoder."""
        return self._reranker_name

    def ask(
        self,
        question: str,
        k: int = 5,
        documents: str | Sequence[str] = (),
        mode: Mode | str = Mode.READ,
        *,
        speakers: str | Sequence[str] = (),
        after: date | None = None,
        before: date | None = None,
        threshold: float | None = None,
    ) -> Answer:
        """Return the up to ``k`` passages that answer a question best.

        Best first, ties in document order, each text once.

        Args:
            question: in natural words, at most 2,000 characters.
            k: how many passages, clamped to 1..100.
            documents: an id or glob (``2026/*``), or several; if given, only matching documents are searched.
            mode: ``read``, or ``fast``, which leaves out the reading; without a reranker, both are the same.
            speakers: a name, without regard to case, or several; if given, only what they say is searched.
            after: if given, only documents of this day or later are searched.
            before: if given, only documents of an earlier day are searched.
            threshold: the least confidence with which the question counts as answered; None is that of ``open``.

        Raises:
            QuestionError: the question is empty, too long, or no text.
            ModelError: the encoder or the reranker cannot be opened.
            ValueError: there is no such mode, or ``threshold`` is out of range.
        """
        filters = Filters(_several(documents), _several(speakers), after, before)
        _require_share(threshold)
        with self._reading() as (view, reading):
            return self._searcher(view).over(reading.snapshot).ask(question, k, filters, Mode(mode), threshold)

    def ask_many(
        self,
        questions: Iterable[str],
        k: int = 5,
        documents: str | Sequence[str] = (),
        mode: Mode | str = Mode.READ,
        *,
        speakers: str | Sequence[str] = (),
        after: date | None = None,
        before: date | None = None,
        threshold: float | None = None,
    ) -> Iterator[Answer]:
        """Yield the answer of each question as ``ask`` gives it, all from one snapshot.

        Raises:
            QuestionError: the next question is empty, too long, or no text.
            ModelError: the encoder or the reranker cannot be opened.
            ValueError: there is no such mode, or ``threshold`` is out of range.
        """
        view, mode = self._require_open(), Mode(mode)
        filters = Filters(_several(documents), _several(speakers), after, before)
        _require_share(threshold)
        for question in questions:
            with view.opened.reading() as reading:
                answer = self._searcher(view).over(reading.snapshot).ask(question, k, filters, mode, threshold)
            yield answer

    def verify(
        self, text: str, limit: int | None = None, after_each: Callable[[], object] | None = None
    ) -> Verification:
        """Check quotations: whether the documents say so, and where.

        Each quotation in the text is checked, and each sentence without one. Nothing is called verbatim or reformatted
        of which a word, a digit or a sign is another.

        Examples:
            >>> with Index.open("index") as index:
            ...     (quote,) = index.verify("He called it “deeply emotional and practical”.").quotes
            >>> quote.status.value, [(change.quoted, change.text) for change in quote.differences]
            ('altered', [('practical', 'spiritual')])

        Args:
            text: a quotation, with its marks or without, or a whole article.
            limit: the most quotations and sentences that are checked; None is any number.
            after_each: is called after each of them; what it raises ends the check.

        Raises:
            QuestionError: there are more than ``limit``, or the text is none.
            LedgerError: the record of citations cannot be read.
            ModelError: the encoder cannot be opened; it is needed for what is not found by its words.
        """
        from sourceline.citations.verify import verify  # splits sentences, which asking does not need

        quotes = []
        with self._reading() as (view, reading):
            snapshot = reading.snapshot

            def similar(quote: str) -> tuple[int, ...]:
                return self._searcher(view).over(snapshot).similar(quote)

            for quote in verify(text, snapshot, reading.ledger, similar, limit):
                quotes.append(quote)
                if after_each:
                    after_each()
            return Verification(tuple(quotes), snapshot.id)

    def cite(self, citation: str, source: bool = True) -> Citation:
        """Look a citation up: the sentence as cited, what became of it, where it stands now.

        Args:
            citation: its id.
            source: whether to look, in the documents folder, what became of the file since the snapshot.

        Raises:
            UnknownCitationError: this id was never issued.
            LedgerError: the record of citations cannot be read.
        """
        with self._reading() as (view, reading):
            looked_up = look_up(citation, reading.snapshot.passages, reading.ledger)
        if not source or looked_up.now is None:
            return looked_up
        return replace(looked_up, source=self._source(view, looked_up.now.passage.document_id))

    def source(self, document_id: str) -> SourceStatus | None:
        """Return what became of a document's file since the snapshot; None if it cannot be told."""
        return self._source(self._require_open(), document_id)

    def changes(self) -> FolderChanges | None:
        """Return how the documents folder differs from the snapshot; None if the snapshot does not say what it held.

        Files that look as they did are not read.

        Raises:
            CorpusError: the folder is missing or cannot be read.
        """
        comparison = self._require_open().comparison(self._documents)
        return comparison.changes() if comparison else None

    def documents(self, limit: int | None = None, cursor: str = "") -> DocumentList:
        """Return the documents, by id.

        Args:
            limit: how many of them at most; None is all.
            cursor: the ``next`` of the list before. It holds in a newer snapshot, too.
        """
        view = self._require_open()
        snapshot, comparison = view.snapshot, view.comparison(self._documents)
        entries = snapshot.passages.documents
        first = bisect_right(entries, cursor, key=lambda entry: entry.id)
        listed = entries[first:] if limit is None else entries[first : first + limit]
        documents = []
        for entry in listed:
            stamp = comparison.recorded(entry.id) if comparison else None
            documents.append(
                DocumentInfo(
                    id=entry.id,
                    title=entry.title,
                    sha256=entry.sha256,
                    passages=len(entry.numbers),
                    date=entry.date,
                    speakers=entry.speakers,
                    size=stamp.size if stamp else None,
                    modified=stamp.modified_at if stamp else None,
                )
            )
        more = first + len(listed) < len(entries)
        return DocumentList(tuple(documents), snapshot.id, documents[-1].id if more and documents else None)

    def speakers(self, limit: int | None = None) -> tuple[str, ...]:
        """Return those who speak in the documents, by name; of names that differ in case or typography alone, one.

        Args:
            limit: how many of them at most; None is all.
        """
        return self._require_open().snapshot.passages.speakers_by_name[:limit]

    def document(self, document_id: str, start: int = 0, limit: int | None = None) -> DocumentText:
        """Return a document's text with its passages, or a stretch of it.

        A stretch holds whole passages, and at least one: it begins with the passage at ``start``, and no passage after
        the first reaches beyond ``start + limit``. What stands in front of a passage belongs to it.

        Args:
            document_id: its id.
            start: an offset into its text, in code points.
            limit: how many characters; None is all that follow.

        Raises:
            UnknownDocumentError: it is not in the index.
            ValueError: ``start`` or ``limit`` is negative.
        """
        if start < 0 or (limit is not None and limit < 0):
            raise ValueError("start and limit must not be negative")
        with self._reading() as (_, reading):
            snapshot = reading.snapshot
            entry = snapshot.passages.entry(nfc(document_id))
            if entry is None:
                raise UnknownDocumentError("no document with this id is in the index")
            stretch = snapshot.passages.stretch(entry, start, sys.maxsize if limit is None else limit)
        return DocumentText(
            id=entry.id,
            title=entry.title,
            sha256=entry.sha256,
            text=stretch.text,
            passages=stretch.passages,
            snapshot=snapshot.id,
            length=stretch.length,
            passage_count=len(entry.numbers),
            start=stretch.start,
            date=entry.date,
        )

    def check_citations(self) -> int:
        """Read the record of citations of the snapshot that is served; return how many were issued.

        Raises:
            LedgerError: it is damaged.
        """
        with self._reading() as (_, reading):
            return reading.ledger.check()

    def check_contents(self) -> Iterator[Finding]:
        """Compare every passage with its document, its id and the ledger, and search for some; yield what comes out."""
        from sourceline.integrity import check_contents

        with self._reading() as (_, reading):
            yield from check_contents(reading.snapshot, reading.ledger)

    def refresh(self, reopen: bool = False) -> bool:
        """Switch to the current snapshot, if it is another than the one that is served; return whether it was.

        It is another one, too, if it was restored, and if what is served was set aside because it is damaged, or was
        written to.

        Args:
            reopen: whether to open it anyway, which verifies it: a damaged one is set aside, and the one before served.

        Raises:
            SnapshotError: it cannot be served. The one before goes on being served.
            ModelError: its encoder cannot be opened.
        """
        self._require_open()  # before the lock, which may be held for ever in a forked process
        with self._refreshing:
            view = self._require_open()
            current = self._engine.stamp()
            if current == self._current and self._engine.is_kept(view.opened) and not reopen:
                return False
            new = self._open_view(fallback=True)
            if view.searcher:
                self._searcher(new, view.searcher.encoder)
            # The snapshot before is closed when the last call that uses it returns.
            self._view, self._current = new, current
            return True

    def close(self) -> None:
        """Let go of all files once the calls that have begun are done. May be called twice."""
        if self._process != os.getpid():  # a lock may have been held when this process was forked
            return
        with self._refreshing:  # refresh would reopen it
            self._view = None
        with self._opening_encoder:  # also for a question that has begun
            self._reranker, self._reranker_opened = None, False
        self._engine.close()

    def __enter__(self) -> Self:
        """Use as a context manager to close it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _require_open(self) -> "_View":
        view = self._view
        if view is None:
            raise ClosedError(f"the index {self._path} was closed")
        if self._process != os.getpid():  # FAISS and ONNX Runtime would wait for threads that a fork does not copy
            raise ClosedError(
                f"the index {self._path} was opened before this process was forked: open it in each process"
            )
        return view

    def _source(self, view: "_View", document_id: str) -> SourceStatus | None:
        comparison = view.comparison(self._documents)
        try:
            return comparison.source(document_id) if comparison else None
        except CorpusError:  # no file can be read just now
            return None

    @contextmanager
    def _reading(self) -> Iterator[tuple["_View", Reading]]:
        """Yield what is open, and what a call reads from it from start to end."""
        view = self._require_open()
        with ExitStack() as stack:
            try:
                reading = stack.enter_context(view.opened.reading())
            except SnapshotGoneError:  # builds have published since, faster than this index was refreshed
                self.refresh()
                view = self._require_open()
                reading = stack.enter_context(view.opened.reading())
            yield view, reading

    def _open_view(self, fallback: bool) -> "_View":
        opened = self._engine.open(fallback)
        snapshot, manifest = opened.snapshot, opened.snapshot.manifest
        if self._model not in (None, manifest.model):
            raise MismatchError(f"snapshot {snapshot.id} was built with {manifest.model}, not {self._model}: {REBUILD}")
        # Not the other way round: a model that cannot be exported is run by sentence-transformers.
        if self._backend is Backend.TORCH and manifest.backend != Backend.TORCH:
            raise MismatchError(f"snapshot {snapshot.id} was not built with the torch backend: {REBUILD}")
        return _View(opened)

    def _searcher(self, view: "_View", encoder: Encoder | None = None) -> Searcher:
        """Return the Searcher of a snapshot; ``encoder`` is one that is open already."""
        if view.searcher:
            return view.searcher
        # ONNX Runtime, which looking citations up does not need
        from sourceline.encoders.reranker import open_reranker

        with self._opening_encoder:
            if view.searcher is None:
                manifest = view.snapshot.manifest
                if encoder is None or encoder.fingerprint != manifest.fingerprint:
                    encoder = self._engine.encoder(manifest)
                    if not is_calibrated(manifest.model):
                        log.warning("%s has no calibration: confidence is only rough", manifest.model)
                if not self._reranker_opened:
                    self._reranker, self._reranker_opened = open_reranker(self._reranker_name), True
                    if self._reranker and not load_reader_calibration(self._reranker_name):
                        log.warning("%s has no calibration: confidence is that of mode fast", self._reranker_name)
                view.searcher = Searcher(
                    view.snapshot,
                    encoder,
                    load_calibration(manifest.model),
                    self._threshold,
                    self._reranker,
                    load_reader_calibration(self._reranker_name),
                )
            return view.searcher


class _View:
    """A snapshot that is open and, once a question was asked, its Searcher."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.snapshot = opened.snapshot
        self.searcher: Searcher | None = None
        self._comparison: FolderComparison | None = None
        self._record_read = False

    def comparison(self, documents: Path | None) -> FolderComparison | None:
        """Return what compares the documents folder with the snapshot; None if it keeps no record of its files."""
        if not self._record_read:
            if record := self.opened.record():
                self._comparison = FolderComparison(documents or record.folder, record)
            self._record_read = True
        return self._comparison


def import_formats() -> None:
    """Import what reads documents, which ``Index.changes`` does at its first call: it takes a third of a second."""
    import_module("sourceline.ingest.loader")


def suggested_questions(documents: Path, follow_links: bool = False) -> tuple[str, ...]:
    """Return the questions that are written beside the documents, in ``questions.txt``.

    Raises:
        DocumentError: the file cannot be used.
        CorpusError: no file can be read just now.
    """
    return read_questions(documents, follow_links)


def _require_share(threshold: float | None) -> None:
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError("threshold must be between 0 and 1")


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _info(manifest: Manifest) -> SnapshotInfo:
    return SnapshotInfo(
        id=manifest.id,
        created=datetime.fromisoformat(manifest.created),
        model=manifest.model,
        backend=Backend(manifest.backend),
        documents=manifest.documents,
        passages=manifest.passages,
        rows=manifest.rows,
        tokens=manifest.tokens,
        skipped=manifest.skipped,
        ignored=manifest.ignored,
    )
