"""Commands that are killed while they build in a database: the index is whole, and no citation is lost."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from sourceline.api import Index
from sourceline.indexing import postgres_tasks
from sourceline.types import NO_RERANKER
from tests.support.api import wait_until
from tests.support.index_folder import put
from tests.support.killed_builds import NEW, OLD
from tests.support.torture import sizes

QUESTIONS = ("When does the bridge open?", "What was ordered?", "When does the library close?", "What leaks?")
HELD = 171_717  # the key of the lock that a command is stopped by


@contextmanager
def stopped(database: str, moment: str) -> Iterator[Callable[[], None]]:
    """Stop what does ``moment``, such as ``INSERT ON tasks``, until the block ends; yield what waits until it does."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (HELD,))
        connection.execute(
            "CREATE OR REPLACE FUNCTION sourceline.stop() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM pg_advisory_xact_lock_shared({HELD}); RETURN coalesce(NEW, OLD); END $$"
        )
        event, table = moment.split(" ON ")
        connection.execute(
            f"CREATE TRIGGER stop BEFORE {event} ON sourceline.{table} FOR EACH ROW EXECUTE FUNCTION sourceline.stop()"
        )

        def count(where: str) -> int:
            row = connection.execute(f"SELECT count(*) FROM {where}").fetchone()
            assert row
            return int(row[0])

        yield lambda: wait_until(lambda: count("pg_locks WHERE NOT granted AND locktype = 'advisory'") > 0)
        # The server gives up what the dead were at by itself, though it still has to wait.
        wait_until(lambda: count("pg_locks WHERE NOT granted") == 0)
        connection.execute(f"DROP TRIGGER stop ON sourceline.{table}")


@contextmanager
def command(*arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process of its own, which is killed when the block ends."""
    process = subprocess.Popen([sys.executable, "-m", "sourceline", *map(str, arguments)], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        assert process.wait() == -signal.SIGKILL


def found(index: str | Path) -> tuple[dict[str, list[str]], list[list[str]]]:
    """Return the ids of the passages of each document, and those that answer each question, best first."""
    with Index.open(index, reranker=NO_RERANKER) as opened:
        documents = {info.id: opened.document(info.id) for info in opened.documents().documents}
        ids = {id_: [passage.id for passage in document.passages] for id_, document in documents.items()}
        return ids, [[hit.passage.id for hit in opened.ask(question, 3).hits] for question in QUESTIONS]


def statuses(index: str | Path, citations: list[str]) -> list[str]:
    with Index.open(index, lazy=True) as opened:
        return [opened.cite(citation).status.value for citation in citations]


@sizes(
    "moments",
    # While it reads, with what it encoded written but not committed, and in the transaction that publishes.
    ["INSERT ON tasks", "INSERT ON documents", "INSERT ON current"],
    ["INSERT ON builds", "UPDATE ON tasks", "INSERT ON snapshots", "INSERT ON citations", "DELETE ON current"],
)
def test_a_build_that_is_killed_publishes_nothing_and_the_next_one_is_as_if_it_never_was(
    documents: Path, database: str, index: Path, moments: list[str]
) -> None:
    put(documents, OLD)
    for address in (index, database):
        Index.build(documents, address)
    old = found(database)
    assert old == found(index)
    issued = [id_ for ids in old[0].values() for id_ in ids]
    put(documents, NEW)
    for moment in moments:
        with stopped(database, moment) as wait:
            with command("--documents", documents, "--index", database, "rebuild-index"):
                wait()
            assert found(database) == old
            assert statuses(database, issued) == ["current"] * 3
    for address in (index, database):
        assert Index.build(documents, address).snapshot.startswith("00000002")
    assert found(database) == found(index)
    assert statuses(database, issued) == statuses(index, issued) == ["changed", "removed", "current"]
    with Index.open(database, lazy=True) as opened:
        assert opened.check_citations() == 5
        assert [finding for finding in opened.check_contents() if not finding.ok] == []


def test_what_a_worker_that_is_killed_was_at_is_done_by_the_build(
    documents: Path, database: str, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sourceline.indexing.builder.GROUP_BYTES", 30)  # a document in each task
    put(documents, OLD)
    Index.build(documents, database)
    work, killed = postgres_tasks.Worker.work, threading.Event()
    monkeypatch.setattr(postgres_tasks.Worker, "work", lambda self: killed.is_set() and work(self))
    put(documents, NEW)
    with ThreadPoolExecutor(1) as pool:
        with stopped(database, "INSERT ON documents") as wait:
            with command("--index", database, "worker"):
                build = pool.submit(Index.build, documents, database)
                wait()
            with psycopg.connect(database) as connection:
                attempts = connection.execute("SELECT attempts FROM sourceline.tasks ORDER BY number").fetchall()
            assert attempts == [(1,), (0,)]
        killed.set()
        assert (build.result().snapshot[:8], build.result().encoded) == ("00000002", 2)
    for files in (OLD, NEW):
        put(documents, files)
        Index.build(documents, index)
    assert found(database) == found(index)
