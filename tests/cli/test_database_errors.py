"""What is wrong with a database is one line and exit code 1, and never shows a password."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.support.commands import Command, Outcome
from tests.support.index_folder import put
from tests.support.postgres import PostgresServer

COMMANDS = (["ask", "Who?"], ["rebuild-index"], ["serve", "--port", "0"], ["doctor"])
PASSWORD = "s3:cr/et@?"
ENCODED = quote(PASSWORD, safe="")
NO_ADDRESS = (
    "postgresql://… is no address: write postgresql://user@host/database, "
    "and in a password %40 for @, %2F for /, %3A for :, %3F for ?, %25 for %"
)


@pytest.fixture
def locked(postgres: PostgresServer, database: str) -> Iterator[str]:
    """A database whose owner, ann, needs a password."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE ann LOGIN PASSWORD '{PASSWORD}'")
        connection.execute(f"ALTER DATABASE {connection.info.dbname} OWNER TO ann")
        postgres.require_password("ann")
        yield database
        connection.execute(f"ALTER DATABASE {connection.info.dbname} OWNER TO postgres")
        connection.execute("DROP OWNED BY ann; DROP ROLE ann")


def told(outcome: Outcome) -> str:
    """Return what a command that failed said: on a line of its own, and nothing else but what the doctor found well."""
    assert outcome.code == 1
    (line,) = [line for line in (outcome.out + outcome.err).splitlines() if not line.startswith(("ok ", "OK "))]
    assert "s3" not in outcome.out + outcome.err
    assert "cr/et" not in outcome.out + outcome.err
    return line.removeprefix("sourceline: ").removeprefix("BAD index: ")


@pytest.mark.enable_socket
def test_a_database_that_lets_nobody_in(sourceline: Command, documents: Path, locked: str) -> None:
    put(documents, {"a.txt": "The bridge opens on Monday."})
    name, server = locked.split("/", 3)[3].split("?")
    wrong = 'FATAL: password authentication failed for user "ann"'
    refused = 'connection to server at "127.0.0.1", port 1 failed: Connection refused'
    addresses = {
        f"ann:s3cret@/{name}?{server}": wrong,
        f"ann@/{name}?{server}&password=s3cret": wrong,
        f"ann@/{name}?{server}&p%61ssword=s3%63ret": wrong,
        f"ann@/{name}?{server}": "fe_sendauth: no password supplied",
        f"ann:{ENCODED}@/nothing?{server}": 'FATAL: database "nothing" does not exist',
        f"nobody:s3cret@/{name}?{server}": 'FATAL: role "nobody" does not exist',
        "ann:s3cret@127.0.0.1:1/minutes": refused,
        "ann:s3cret@127.0.0.1:1,127.0.0.1:1/minutes": refused,
        "ann:s3cret@db.invalid/minutes": "failed to resolve host 'db.invalid': ",
        f"ann:{PASSWORD}@127.0.0.1:1/minutes": NO_ADDRESS,
        "ann:s3cr@et@127.0.0.1:1/minutes": NO_ADDRESS,
        "ann:s3?cr=et@127.0.0.1:1/minutes": NO_ADDRESS,
        "ann:s3cret@db..invalid/minutes": NO_ADDRESS.replace("…", "ann@db..invalid/minutes"),
    }
    for address, reason in addresses.items():
        assert reason in told(sourceline("ask", "Who?", "--index", f"postgresql://{address}"))
    for address in (f"ann:s3cret@/{name}?{server}", "ann:s3cret@127.0.0.1:1/minutes"):
        for command in COMMANDS[1:]:
            outcome = sourceline(*command, "--documents", documents, "--index", f"postgresql://{address}")
            assert addresses[address] in told(outcome)
    assert told(sourceline("ask", "Who?", "--index", f"postgresql://ann:{ENCODED}@/{name}?{server}")) == (
        f"there is no index in postgresql://ann@/{name}?{server} yet: run `sourceline rebuild-index`"
    )


def test_a_database_without_pgvector(
    sourceline: Command, documents: Path, locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    put(documents, {"a.txt": "The bridge opens on Monday."})
    address = locked.replace("postgres@", "ann@")
    build = ("rebuild-index", "--documents", documents, "--index", address)
    what_to_do = "install it on the database's server and run CREATE EXTENSION vector as its administrator"
    assert told(sourceline(*build)).endswith(
        f'{address} lacks the extension pgvector (permission denied to create extension "vector"): {what_to_do}'
    )
    assert "there is no index" in told(sourceline("ask", "Who?", "--index", address))  # nothing was left there
    with psycopg.connect(locked, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute("UPDATE pg_extension SET extversion = '0.5.1' WHERE extname = 'vector'")
        assert f"{address} has pgvector 0.5.1, which is older than 0.8: install a newer one" in told(sourceline(*build))
        connection.execute("UPDATE pg_extension SET extversion = '0.8.0' WHERE extname = 'vector'")
        connection.execute("CREATE SCHEMA extensions")
        connection.execute("ALTER EXTENSION vector SET SCHEMA extensions")
        assert f"{address} has pgvector in the schema extensions: run ALTER EXTENSION" in told(sourceline(*build))
        connection.execute("ALTER EXTENSION vector SET SCHEMA public")
    outcome = sourceline(*build)
    assert (outcome.code, outcome.err) == (0, "")
    assert sourceline("doctor", "--documents", documents, "--index", address).code == 0


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_the_database_has_tools_of_its_own_for_backups(sourceline: Command, database: str, command: str) -> None:
    assert told(sourceline(command, "index.tar", "--index", database)) == (
        "a database is backed up and restored by its own tools, such as pg_dump and pg_basebackup"
    )
