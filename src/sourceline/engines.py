"""What keeps an index: files in a folder, or a PostgreSQL database. ``engine_of`` chooses by the address.

``Index`` works with either. Everything else below it works on the ``PassageIndex`` and the ``CitationRecord`` that an
engine opens.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sourceline.address import PostgresAddress, local_folder
from sourceline.citations.base import CitationRecord
from sourceline.citations.ledger import open_ledger
from sourceline.durable import is_locked
from sourceline.encoders.base import Encoder
from sourceline.errors import BackupError, BuildError, SnapshotError
from sourceline.index import snapshot as snapshots
from sourceline.index.base import PassageIndex
from sourceline.index.snapshot import Manifest, Snapshot
from sourceline.ingest.changes import FILE as FOLDER_RECORD
from sourceline.ingest.changes import FolderRecord
from sourceline.types import Backend, Backup, BuildProgress, BuildReport, CheckedFile

if TYPE_CHECKING:
    from sourceline.index.postgres.database import Database
    from sourceline.index.postgres.snapshot import PostgresSnapshot

BACK_UP_DATABASE = "a database is backed up and restored by its own tools, such as pg_dump and pg_basebackup"


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How documents are read and encoded: see ``Index.build``."""

    model: str
    backend: Backend
    max_document_bytes: int
    follow_links: bool
    partitions: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a call reads from: a snapshot and the record of citations as it is for that."""

    snapshot: PassageIndex
    ledger: CitationRecord


class Opened(Protocol):
    """A snapshot that is open."""

    @property
    def snapshot(self) -> PassageIndex:
        """The snapshot, to be told of; it is searched within ``reading``."""

    def reading(self) -> AbstractContextManager[Reading]:
        """Return what a call reads from, while it runs."""

    def record(self) -> FolderRecord | None:
        """Return what the documents folder looked like; None if that is not known."""


class Engine(Protocol):
    """What keeps an index. ``folder`` is that of this machine for models, locks and states."""

    folder: Path

    def build(self, documents: Path, options: BuildOptions, progress: Callable[[BuildProgress], None]) -> BuildReport:
        """Build as ``Index.build`` does."""

    def open(self, fallback: bool) -> Opened:
        """Open the current snapshot; see ``Index.open``."""

    def stamp(self) -> object:
        """Return what is another value once another snapshot is current."""

    def is_kept(self, opened: Opened) -> bool:
        """Return whether what is open is still there."""

    def encoder(self, manifest: Manifest) -> Encoder:
        """Open the encoder that a snapshot was built with."""

    def exists(self) -> bool:
        """Return whether an index was built."""

    def is_building(self) -> bool:
        """Return whether a build is running."""

    def snapshots(self) -> tuple[str, ...]:
        """Return the ids of the snapshots whose files can be checked."""

    def check_files(self, snapshot: str, pace: Callable[[int], None]) -> Iterator[CheckedFile]:
        """Compare the files of a snapshot with their checksums."""

    def back_up(self, file: Path, overwrite: bool) -> Backup:
        """Write the current snapshot into an archive."""

    def restore(self, file: Path, replace: bool) -> Backup:
        """Put what ``back_up`` wrote here."""

    def work(self, stop: threading.Event) -> None:
        """Help builds that run elsewhere, until ``stop`` is set."""

    def close(self) -> None:
        """Let go of all connections."""


def engine_of(address: Path | PostgresAddress, connections: int = 1) -> Engine:
    """Return what keeps the index at an address, to be read by so many threads at once.

    Raises:
        SnapshotError: the package that a database needs is missing, or the address cannot be read.
    """
    if isinstance(address, Path):
        return FolderEngine(address, connections)
    return PostgresEngine(address, connections)


class FolderEngine:
    """An index in files."""

    def __init__(self, folder: Path, connections: int) -> None:
        """Take the folder of the index, and for how many threads at once it is opened."""
        self.folder, self._connections = folder, connections

    def build(self, documents: Path, options: BuildOptions, progress: Callable[[BuildProgress], None]) -> BuildReport:
        """Build as ``Index.build`` does."""
        from sourceline.indexing.builder import build  # a server that answers does not import the builder

        return build(
            documents,
            self.folder,
            options.model,
            options.backend,
            progress,
            max_document_bytes=options.max_document_bytes,
            follow_links=options.follow_links,
        )

    def open(self, fallback: bool) -> "OpenedFolder":
        """Open the current snapshot; see ``Index.open``."""
        snapshot = snapshots.open_current(self.folder, self._connections, fallback)
        published = snapshots.published_id(self.folder)
        return OpenedFolder(snapshot, open_ledger(self.folder, snapshot.folder, snapshot.manifest.ledger, published))

    def stamp(self) -> object:
        """Return what is another value once another snapshot is current."""
        return snapshots.current_stamp(self.folder)

    def is_kept(self, opened: Opened) -> bool:
        """Return whether what is open was neither removed nor written to."""
        assert isinstance(opened, OpenedFolder)
        return opened.snapshot.folder.is_dir() and not opened.snapshot.files.written()

    def encoder(self, manifest: Manifest) -> Encoder:
        """Open the encoder that a snapshot was built with."""
        from sourceline.encoders.load import open_encoder  # ONNX Runtime, which looking citations up does not need

        return open_encoder(Backend(manifest.backend), manifest.model, manifest.fingerprint, self.folder)

    def exists(self) -> bool:
        """Return whether an index was built."""
        return snapshots.is_built(self.folder)

    def is_building(self) -> bool:
        """Return whether a build is running."""
        return is_locked(self.folder / snapshots.LOCK)

    def snapshots(self) -> tuple[str, ...]:
        """Return the ids of the snapshots whose files can be checked."""
        return tuple(snapshots.snapshot_ids(self.folder))

    def check_files(self, snapshot: str, pace: Callable[[int], None]) -> Iterator[CheckedFile]:
        """Compare the files of a snapshot with their checksums."""
        from sourceline.integrity import check_files

        return check_files(self.folder, snapshot, pace)

    def back_up(self, file: Path, overwrite: bool) -> Backup:
        """Write the current snapshot into an archive."""
        from sourceline.backup import back_up

        return back_up(self.folder, file, overwrite)

    def restore(self, file: Path, replace: bool) -> Backup:
        """Put what ``back_up`` wrote here."""
        from sourceline.backup import restore

        return restore(file, self.folder, replace)

    def work(self, stop: threading.Event) -> None:
        """Refuse.

        Raises:
            BuildError: always.
        """
        raise BuildError("workers share a build in a database: name one with --index postgresql://user@host/name")

    def close(self) -> None:
        """Do nothing: files are closed when nobody uses them."""


class OpenedFolder:
    """A snapshot in files, and the record of citations."""

    def __init__(self, snapshot: Snapshot, ledger: CitationRecord) -> None:
        """Take what is open."""
        self.snapshot = snapshot
        self._reading = Reading(snapshot, ledger)

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Yield what is open. Whatever comes of reading it counts if no file was written to.

        Raises:
            SnapshotError: one was.
        """
        self.snapshot.require_unwritten()  # a mapped file that was truncated would end the process (SIGBUS)
        try:
            yield self._reading
        finally:
            self.snapshot.require_unwritten()

    def record(self) -> FolderRecord | None:
        """Return what the documents folder looked like; None if that is not known."""
        content = self.snapshot.read(FOLDER_RECORD)
        return FolderRecord.parse(content) if content else None


class PostgresEngine:
    """An index in a database."""

    def __init__(self, address: PostgresAddress, connections: int) -> None:
        """Take the address, and for how many threads at once; nothing is connected yet."""
        self.folder = local_folder(address)
        self._address, self._connections = address, connections
        self._opened: Database | None = None

    def build(self, documents: Path, options: BuildOptions, progress: Callable[[BuildProgress], None]) -> BuildReport:
        """Build as ``Index.build`` does."""
        from sourceline.indexing.postgres_builder import build

        self.folder.mkdir(parents=True, exist_ok=True)
        return build(
            documents,
            self._database(),
            self.folder,
            options.model,
            options.backend,
            progress,
            max_document_bytes=options.max_document_bytes,
            follow_links=options.follow_links,
            partitions=options.partitions,
        )

    def open(self, fallback: bool) -> "_OpenedDatabase":
        """Open the current snapshot; there is no other to fall back to."""
        from sourceline.index.postgres.snapshot import open_current

        database = self._connected()
        with database.reading() as connection:
            return _OpenedDatabase(open_current(database, connection))

    def stamp(self) -> object:
        """Return what is another value once another snapshot is current."""
        with self._connected().reading() as connection:
            return connection.value("SELECT id FROM snapshots JOIN current USING (number)")

    def is_kept(self, opened: Opened) -> bool:
        """Return True: a call finds out by itself when it reads."""
        return True

    def encoder(self, manifest: Manifest) -> Encoder:
        """Open the encoder that a snapshot was built with; its files are fetched once, unless they came with us."""
        from sourceline.index.postgres.files import open_encoder

        with self._connected().reading_once() as connection:  # the call that needs it may hold the pool's last one
            return open_encoder(connection, self.folder, manifest.backend, manifest.model, manifest.fingerprint)

    def exists(self) -> bool:
        """Return whether an index was built."""
        return self._database().exists()

    def is_building(self) -> bool:
        """Return whether a build is running, on whichever machine."""
        return self._database().is_building()

    def snapshots(self) -> tuple[str, ...]:
        """Return none: a database checks its own files."""
        return ()

    def check_files(self, snapshot: str, pace: Callable[[int], None]) -> Iterator[CheckedFile]:
        """Yield nothing: a database checks its own files."""
        return iter(())

    def back_up(self, file: Path, overwrite: bool) -> Backup:
        """Refuse.

        Raises:
            BackupError: always.
        """
        raise BackupError(BACK_UP_DATABASE)

    def restore(self, file: Path, replace: bool) -> Backup:
        """Refuse.

        Raises:
            BackupError: always.
        """
        raise BackupError(BACK_UP_DATABASE)

    def close(self) -> None:
        """Close all connections."""
        if self._opened:
            self._opened.close()

    def work(self, stop: threading.Event) -> None:
        """Do tasks of whatever build is running, until ``stop`` is set."""
        from sourceline.indexing.postgres_tasks import keep_working

        keep_working(self._database(), self.folder, stop)

    def _connected(self) -> "Database":
        if self._opened is None:
            database = self._database(self._connections)
            database.open()
            self._opened = database
        return self._opened

    def _database(self, connections: int = 1) -> "Database":
        try:
            from sourceline.index.postgres.database import Database
        except ModuleNotFoundError as error:
            raise SnapshotError(
                f"an index in a database needs {error.name}, which is missing: pip install 'sourceline[postgres]'"
            ) from error
        return Database(self._address, connections)


class _OpenedDatabase:
    def __init__(self, snapshot: "PostgresSnapshot") -> None:
        self.snapshot = snapshot

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        from sourceline.citations.postgres_ledger import PostgresLedger

        with self.snapshot.reading() as snapshot:
            ledger = PostgresLedger(snapshot.passages.connection, snapshot.number, snapshot.manifest.ledger)
            yield Reading(snapshot, ledger)

    def record(self) -> FolderRecord | None:
        with self.snapshot.reading() as snapshot:
            query = "SELECT record FROM snapshots WHERE number = %s"
            return FolderRecord.parse(snapshot.passages.connection.value(query, snapshot.number))
