"""Builds in a database: published as one, shared by workers, and what is left of those that die."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sourceline.address import PostgresAddress
from sourceline.api import Index
from sourceline.errors import BuildError, BuildRunningError, CorpusError, MismatchError, NoSnapshotError
from sourceline.index.postgres.database import VERSION, Connection, Database
from sourceline.indexing import postgres_builder, postgres_tasks
from sourceline.indexing.builder import IncrementalBuilder
from sourceline.types import BuildProgress, CitationStatus
from tests.support import quick_encoder
from tests.support.index_folder import put
from tests.support.postgres import PostgresServer

MET, VOTED, CLOSED = "The council met on Monday.", "It voted for the bridge.", "The chair closed the session."
FIRST = {"a.txt": f"{MET} {VOTED}", "b.txt": CLOSED, "c.txt": "Nothing else was said."}
SECOND = {**FIRST, "a.txt": f"{MET} It voted against the bridge."}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_encoder.build_with_it(monkeypatch)


def keys(database: str, where: str = "until IS NULL") -> dict[str, int]:
    with Database(PostgresAddress(database)).writing() as connection:
        return dict(connection.rows(f"SELECT id, key FROM documents WHERE {where} ORDER BY key"))


def count(database: str, table: str) -> int:
    with Database(PostgresAddress(database)).writing() as connection:
        return int(connection.value(f"SELECT count(*) FROM {table}"))


def texts(index: Index) -> dict[str, str]:
    return {info.id: index.document(info.id).text for info in index.documents().documents}


def test_a_build_writes_only_what_changed(documents: Path, database: str) -> None:
    put(documents, FIRST)
    report = Index.build(documents, database)
    assert (report.added, report.passages, report.chunks, report.encoded) == (("a.txt", "b.txt", "c.txt"), 4, 3, 3)
    before = keys(database)
    put(documents, SECOND)
    report = Index.build(documents, database)
    assert (report.changed, report.unchanged, report.encoded) == (("a.txt",), ("b.txt", "c.txt"), 1)
    after = keys(database)
    assert {id_ for id_ in before if before[id_] == after[id_]} == {"b.txt", "c.txt"}
    with Index.open(database, lazy=True) as index:
        assert texts(index) == SECOND


def test_rows_are_removed_once_no_snapshot_that_is_kept_holds_them(documents: Path, database: str) -> None:
    sizes = []
    for corpus in (FIRST, SECOND, {"b.txt": CLOSED}, {"b.txt": CLOSED}):
        put(documents, corpus)
        Index.build(documents, database)
        sizes.append([count(database, table) for table in ("snapshots", "documents", "passages", "rows", "chunks")])
    assert sizes == [[1, 3, 4, 4, 3], [2, 4, 6, 6, 4], [2, 3, 4, 4, 3], [2, 1, 1, 1, 1]]
    assert count(database, "postings") == len({"the", "chair", "close", "session"})
    with Database(PostgresAddress(database)).writing() as connection:
        held: dict[str, int] = dict(connection.rows("SELECT word, rows FROM words WHERE until IS NULL"))
    assert held == {"the": 1, "chair": 1, "close": 1, "session": 1}


def test_what_is_not_published_is_not_seen_and_not_encoded_again(
    documents: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, FIRST)
    Index.build(documents, database)
    put(documents, SECOND)
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise RuntimeError("the power failed")

        patch.setattr(postgres_builder, "require_own_passages", fail)  # the last step before the pointer moves
        with pytest.raises(BuildError, match=r"what was served before is untouched: the power failed"):
            Index.build(documents, database)
    with Index.open(database, lazy=True) as index:
        assert texts(index) == FIRST
        assert (index.check_citations(), index.snapshot.id[:8]) == (4, "00000001")
    report = Index.build(documents, database)
    assert (report.snapshot[:8], report.changed, report.encoded) == ("00000002", ("a.txt",), 0)
    with Index.open(database, lazy=True) as index:
        assert texts(index) == SECOND


def test_one_build_at_a_time_and_a_folder_without_documents_builds_nothing(documents: Path, database: str) -> None:
    with pytest.raises(CorpusError, match="it is empty"):
        Index.build(documents, database)
    assert not Index.exists(database)
    put(documents, FIRST)
    with Database(PostgresAddress(database)).building():
        assert Index.is_building(database)
        with pytest.raises(BuildRunningError, match="another build of postgresql://postgres@/index_"):
            Index.build(documents, database)
    assert not Index.is_building(database)


def test_readers_see_one_snapshot_or_the_next_and_never_a_mixture(documents: Path, database: str) -> None:
    corpora = [{name: f"Version {number} of {name}." for name in ("a.txt", "b.txt", "c.txt")} for number in range(12)]
    put(documents, corpora[0])
    published = {Index.build(documents, database).snapshot: corpora[0]}
    seen: list[tuple[str, dict[str, str]]] = []
    done = threading.Event()

    def read() -> None:
        with Index.open(database, lazy=True) as index:
            while not done.is_set():
                index.refresh()
                listed = index.documents()
                found = {info.id: index.document(info.id) for info in listed.documents}
                if {document.snapshot for document in found.values()} == {listed.snapshot}:
                    seen.append((listed.snapshot, {id_: document.text for id_, document in found.items()}))

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for corpus in corpora[1:]:
            put(documents, corpus)
            published[Index.build(documents, database).snapshot] = corpus
        done.set()
        for reader in readers:
            reader.result()
    assert len({snapshot for snapshot, _ in seen}) > 2
    assert all(text == published[snapshot] for snapshot, text in seen)


def test_an_index_that_was_not_refreshed_for_two_builds_answers_from_the_newest(documents: Path, database: str) -> None:
    put(documents, FIRST)
    Index.build(documents, database)
    with Index.open(database, lazy=True) as index:
        (citation,) = [p.id for p in index.document("a.txt").passages if p.text == VOTED]
        put(documents, SECOND)
        Index.build(documents, database)
        assert index.cite(citation).status is CitationStatus.CURRENT  # in the snapshot that is open
        Index.build(documents, database)
        looked_up = index.cite(citation)
        assert (looked_up.status, looked_up.now and looked_up.now.passage.text) == (
            CitationStatus.CHANGED,
            "It voted against the bridge.",
        )


def many(number: int) -> dict[str, str]:
    return {f"{at:03}.txt": f"Sentence {at} of {number} is here. " * 40 for at in range(number)}


@pytest.mark.parametrize("workers", [0, 3])
def test_the_index_is_the_same_whatever_the_number_of_workers(
    documents: Path, database: str, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr("sourceline.indexing.builder.GROUP_BYTES", 2_000)
    monkeypatch.setattr(postgres_tasks, "open_encoder", lambda *_: quick_encoder.QuickEncoder())
    put(documents, corpus := many(30))
    stop, helped, first = threading.Event(), [], threading.Event()
    work = postgres_tasks.Worker.work

    def counted(self: postgres_tasks.Worker) -> bool:
        is_worker = threading.current_thread().name.startswith("worker")
        if workers and not is_worker:  # the build itself leaves the first task to them
            assert first.wait(60)
        worked = work(self)
        if worked:
            helped.append(is_worker)
        if worked and is_worker:
            first.set()
        return worked

    monkeypatch.setattr(postgres_tasks.Worker, "work", counted)
    with ThreadPoolExecutor(max(1, workers), "worker") as pool:
        threads = [pool.submit(Index.work, database, stop) for _ in range(workers)]
        shown: list[BuildProgress] = []
        try:
            report = Index.build(documents, database, progress=shown.append)
        finally:
            stop.set()
        for thread in threads:
            thread.result()
    assert any(helped) is bool(workers)
    assert [state.done for state in shown] == sorted(state.done for state in shown)
    assert shown[-1].done == shown[-1].total == sum(len(text) for text in corpus.values())
    assert (report.passages, report.encoded) == (1200, report.chunks)
    assert keys(database).keys() == corpus.keys()  # each was written once
    with Index.open(database, lazy=True) as index:
        assert texts(index) == corpus
        assert (index.check_citations(), count(database, "tasks"), count(database, "builds")) == (1200, 0, 0)


def test_what_a_worker_that_dies_was_at_is_done_by_another(
    documents: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, FIRST)
    write_group, died = IncrementalBuilder.write_group, threading.Event()

    def die_once(self: IncrementalBuilder, *arguments: Any) -> int:
        written = write_group(self, *arguments)
        if not died.is_set():
            died.set()
            raise ConnectionError("the worker was killed")
        return written

    monkeypatch.setattr(IncrementalBuilder, "write_group", die_once)
    with pytest.raises(BuildError, match="the worker was killed"):
        Index.build(documents, database)
    assert keys(database) == {}
    assert Index.build(documents, database).encoded == 3
    assert keys(database).keys() == FIRST.keys()


def test_documents_at_which_every_worker_dies_end_the_build(
    documents: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, FIRST)
    begin = postgres_tasks.begin

    def begin_after_deaths(connection: Connection, *arguments: Any) -> int:
        build = begin(connection, *arguments)
        connection.run("UPDATE tasks SET attempts = 9")
        return build

    monkeypatch.setattr(postgres_builder, "begin", begin_after_deaths)
    monkeypatch.setattr(postgres_tasks.Worker, "work", lambda _: False)
    with pytest.raises(BuildError, match=r"3 workers died at one of these documents: a.txt, b.txt, c.txt"):
        Index.build(documents, database)


def test_a_path_may_be_as_long_as_the_system_allows(documents: Path, database: str) -> None:
    folder = documents
    for number in range(12):  # of digits that cannot be packed into a third
        folder /= "".join(hashlib.sha256(bytes([number, part])).hexdigest() for part in range(4))[:240]
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text(MET, "utf-8")
    Index.build(documents, database)
    with Index.open(database, lazy=True) as index:
        assert texts(index) == {(folder / "a.txt").relative_to(documents).as_posix(): MET}


def test_what_an_administrator_has_set_for_all_changes_no_build(
    documents: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, {"a.txt": f"{MET} Café 漢字 \\x41."})
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout")
    with psycopg.connect(database, autocommit=True) as connection:
        for limit in limits:
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {limit} = '1min'")
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET standard_conforming_strings = off")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with Database(PostgresAddress(database)).writing() as session:
        query = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
        assert dict(session.rows(query, list(limits))) == dict.fromkeys(limits, "0")
    Index.build(documents, database)
    with Index.open(database, lazy=True) as index:
        assert texts(index) == {"a.txt": f"{MET} Café 漢字 \\x41."}


def test_a_database_that_cannot_hold_every_text_is_refused(
    documents: Path, postgres: PostgresServer, database: str
) -> None:
    put(documents, FIRST)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(BuildError, match=r"/latin\?.* is encoded as LATIN1, .*: use a database that was created with"):
        Index.build(documents, postgres.address("latin"))


def test_what_is_wrong_with_a_database_is_told(documents: Path, database: str) -> None:
    put(documents, FIRST)
    with pytest.raises(NoSnapshotError, match=r"there is no index in postgresql://postgres@/index_\d+\?.* yet: run"):
        Index.open(database)
    assert not Index.exists(database)
    Index.build(documents, database)
    with Database(PostgresAddress(database)).writing() as connection:
        connection.run("UPDATE schema_version SET version = %s", VERSION + 1)
    for call in (lambda: Index.open(database), lambda: Index.exists(database)):
        with pytest.raises(MismatchError, match="is of a newer version of Sourceline: use that, or another database"):
            call()
    with pytest.raises(BuildError, match="of a newer version"):
        Index.build(documents, database)
