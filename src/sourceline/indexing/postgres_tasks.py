"""The work of a build in a database, which any number of processes on any machines share.

A task is a group of documents, with the bytes of their files. Who does one holds a lock on its row until the documents
are written, in one transaction: so none is done twice, and one whose worker dies is free again at that moment, for the
database ends a transaction whose connection is gone. This is all that a task library would be used for here.
"""

import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sourceline.encoders.base import Encoder
from sourceline.encoders.ranking_head import parse_ranking_head
from sourceline.errors import BuildError, DocumentError, SnapshotError
from sourceline.index.postgres.database import Connection, Database
from sourceline.index.postgres.files import open_encoder
from sourceline.index.postgres.writer import PostgresWriter, StoredChunks
from sourceline.index.snapshot import HEAD
from sourceline.indexing.builder import IncrementalBuilder
from sourceline.indexing.config import IndexConfig, ResolvedConfig
from sourceline.ingest.loader import DocumentReader, SourceFile

log = logging.getLogger(__name__)

ATTEMPTS = 3  # of workers that may die at a task
IDLE_SECONDS = 0.5  # until a worker looks for work again
_FREE = "SELECT number FROM tasks WHERE build = %s AND NOT done ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED"


@dataclass(frozen=True, slots=True)
class BuildParameters:
    """What a worker has to know of a build."""

    model: str
    backend: str
    fingerprint: str
    config: str
    codec: str
    titles: bool
    chunk_characters: int
    max_document_bytes: int


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """How far the tasks of a build are: how many are left, the bytes of the others, and at which workers died."""

    left: int
    bytes: int
    stuck: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskResults:
    """What became of a build's documents: their keys, why others were skipped, and how many chunks were encoded."""

    keys: dict[str, int]
    skipped: dict[str, str]
    encoded: int


class SentReader(DocumentReader):
    """Reads documents whose bytes were sent; ``files`` holds them by name."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(Path(), max_bytes)
        self.files: dict[str, bytes] = {}

    def data(self, name: str) -> bytes:
        """Return the bytes of a file."""
        return self.files[name]


class Worker:
    """Does tasks of one build, over a connection."""

    def __init__(
        self,
        connection: Connection,
        build: int,
        encoder: Encoder,
        config: IndexConfig,
        resolved: ResolvedConfig,
        max_document_bytes: int,
    ) -> None:
        """Take what is needed."""
        self._connection, self._build = connection, build
        self._encoder, self._config, self._resolved = encoder, config, resolved
        self._reader = SentReader(max_document_bytes)

    def close(self) -> None:
        """End the process that parses."""
        self._reader.close()

    def work(self) -> bool:
        """Do a task; return whether there was one."""
        connection = self._connection
        # Counted before it is done, in a transaction of its own: a worker that dies counts nothing.
        counted = f"UPDATE tasks SET attempts = attempts + 1 WHERE build = %s AND number = ({_FREE}) RETURNING number"
        number = connection.value(counted, self._build, self._build)
        if number is None:
            return False
        with connection.transaction():
            query = "SELECT files, data FROM tasks WHERE build = %s AND number = %s AND NOT done FOR UPDATE SKIP LOCKED"
            task = connection.rows(query, self._build, number)
            if not task:  # another one took it just now
                return True
            names, blocks = task[0]
            files = [SourceFile(id_, name, size, sha256) for id_, name, size, sha256 in json.loads(names)]
            self._reader.files = {file.name: block for file, block in zip(files, blocks, strict=True)}
            skipped: dict[str, str] = {}
            writer = PostgresWriter(connection, self._resolved.digest)
            stored = StoredChunks(connection, self._resolved.open_codec().code_size)
            builder = IncrementalBuilder(self._reader, self._config, self._resolved, self._encoder, stored, None)
            builder.write_group(files, writer, skipped)
            connection.run(
                "UPDATE tasks SET done = true, data = '{}', keys = %s, skipped = %s, encoded = %s "
                "WHERE build = %s AND number = %s",
                *(json.dumps(writer.keys), json.dumps(skipped), builder.encoded, self._build, number),
            )
        return True


def begin(
    connection: Connection,
    parameters: BuildParameters,
    groups: Sequence[Sequence[SourceFile]],
    reader: DocumentReader,
    skipped: dict[str, str],
) -> int:
    """Write the tasks of a build and return its number; files that cannot be read are added to ``skipped``.

    Tasks of a build that died are removed. What it has written of documents stays.
    """
    with connection.transaction():
        connection.run("DELETE FROM builds")
        build = int(
            connection.value(
                "INSERT INTO builds (parameters) VALUES (%s) RETURNING number", json.dumps(asdict(parameters))
            )
        )
        for number, group in enumerate(groups):
            files, blocks = [], []
            for file in group:
                try:
                    blocks.append(reader.data(file.name))
                    files.append((file.document_id, file.name, file.size, file.sha256))
                except DocumentError as error:
                    skipped[file.name] = str(error)
            connection.run(
                "INSERT INTO tasks (build, number, files, data, bytes) VALUES (%s, %s, %s, %s, %s)",
                *(build, number, json.dumps(files), blocks, sum(size for _, _, size, _ in files)),
            )
    return build


def progress(connection: Connection, build: int) -> TaskProgress:
    """Return how far the tasks of a build are."""
    query = """
        SELECT count(*) FILTER (WHERE NOT done), coalesce(sum(bytes) FILTER (WHERE done), 0)::bigint,
            array_agg(files) FILTER (WHERE NOT done AND attempts > %s)
        FROM tasks WHERE build = %s
    """
    left, size, stuck = connection.rows(query, ATTEMPTS, build)[0]
    return TaskProgress(left, size, tuple(file[0] for files in stuck or () for file in json.loads(files)))


def results(connection: Connection, build: int) -> TaskResults:
    """Return what became of the documents of a build whose tasks are done, and forget the tasks."""
    keys: dict[str, int] = {}
    skipped: dict[str, str] = {}
    encoded = 0
    for own_keys, own_skipped, count in connection.rows(
        "SELECT keys, skipped, encoded FROM tasks WHERE build = %s ORDER BY number", build
    ):
        keys |= json.loads(own_keys)
        skipped |= json.loads(own_skipped)
        encoded += count
    connection.run("DELETE FROM builds WHERE number = %s", build)
    return TaskResults(keys, skipped, encoded)


def keep_working(database: Database, folder: Path, stop: threading.Event) -> None:
    """Do tasks of whatever build is running, until ``stop`` is set; wait while there is none.

    Args:
        database: where the index is.
        folder: a folder of this machine for exported models.
        stop: says to return once the task is done.
    """
    told = ""
    while not stop.is_set():
        try:
            with database.writing() as connection:
                told = ""
                while not stop.is_set():
                    if not _work_at_newest(connection, folder, stop):
                        stop.wait(IDLE_SECONDS)
        except (SnapshotError, BuildError) as error:  # the database is away, or a build ended: soon
            if str(error) != told:
                log.warning("%s", error)
            told = str(error)
            stop.wait(IDLE_SECONDS * 4)


def _work_at_newest(connection: Connection, folder: Path, stop: threading.Event) -> bool:
    """Do the tasks of the newest build; return whether there were any."""
    if connection.value("SELECT to_regclass('builds')") is None:
        return False
    found = connection.rows(
        "SELECT number, parameters FROM builds "
        "WHERE EXISTS (SELECT FROM tasks WHERE tasks.build = builds.number AND NOT done) ORDER BY number DESC LIMIT 1"
    )
    if not found:
        return False
    build, parameters = found[0][0], BuildParameters(**json.loads(found[0][1]))
    encoder = open_encoder(connection, folder, parameters.backend, parameters.model, parameters.fingerprint)
    head = connection.value("SELECT data FROM files WHERE owner = %s AND name = %s", parameters.config, HEAD)
    resolved = ResolvedConfig(parse_ranking_head(head), parameters.codec, parameters.config)
    config = IndexConfig(titles=parameters.titles, chunk_characters=parameters.chunk_characters)
    worker = Worker(connection, build, encoder, config, resolved, parameters.max_document_bytes)
    worked = False
    try:
        while not stop.is_set() and worker.work():
            worked = True
    finally:
        worker.close()
    return worked
