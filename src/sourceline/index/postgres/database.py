"""The database of an index: its address, its connections, its schema, and what its errors mean."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from typing import Any

import psycopg
from psycopg import sql
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row, tuple_row
from psycopg_pool import ConnectionPool, PoolTimeout

from sourceline.address import PostgresAddress
from sourceline.errors import (
    BuildRunningError,
    MismatchError,
    NoSnapshotError,
    SnapshotError,
    SnapshotGoneError,
)

SCHEMA = "sourceline"
VERSION = 1  # of the schema: the number of the last file in schema/
REBUILD = "run `sourceline rebuild-index`"
# For how long a call waits for a connection: then the server says that it is busy.
WAIT_SECONDS = 3.0
# After so long without a byte, whether the server still answers is asked on another connection.
SILENCE_SECONDS = 5.0
_BUILDING, _MIGRATING = 5_171_001, 5_171_002  # the keys of the advisory locks
# A cut network is noticed in seconds, not in the system's two hours. What the address says comes first.
_DEFAULTS = {
    "connect_timeout": "3",
    "keepalives_idle": "3",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "9000",
    "application_name": "sourceline",
}
# With strings as they were before SQL's standard, the driver would write the bytes of files as something else. HNSW
# looks at so many candidates, and at more until a query has enough. And the server, too, is to notice in seconds that a
# machine is gone: until then it holds what that was at, such as the right to build.
_SESSION = f"""
SET search_path TO {SCHEMA}, public; SET standard_conforming_strings = on;
SET hnsw.ef_search = 100; SET hnsw.iterative_scan = strict_order; SET hnsw.max_scan_tuples = 200000;
SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 9000
"""
_CHECK_CLIENT = "SET client_connection_check_interval = 2000"  # also while a statement runs
# A build takes as long as it needs, and encodes within transactions: limits that an administrator has set for others
# would end it. Those that this version of PostgreSQL has.
_NO_LIMITS = """
SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout',
    'transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout')
"""
PGVECTOR = (0, 8)
# What a question asks is planned once for a connection: each time took a tenth of the database's part of an answer.
_PLAN_ONCE = "SET plan_cache_mode = force_generic_plan"
Row = tuple[Any, ...]


class _SilentError(psycopg.OperationalError):
    """A server has stopped answering without closing the connection."""


class _WatchedConnection(psycopg.Connection[Row]):
    """A connection that ends when its server stops answering.

    The system notices when packets are lost, and not when a proxy, or a server that stands still, takes them.
    """

    def wait(self, gen: PQGen[RV], *arguments: Any, **more: Any) -> RV:
        """Wait for what ``gen`` waits for, as long as the server answers.

        Raises:
            OperationalError: it does not.
        """
        return super().wait(self._while_answering(gen), *arguments, **more)

    def _while_answering(self, gen: PQGen[RV]) -> PQGen[RV]:
        heard = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    heard = time.monotonic()
                elif time.monotonic() - heard > SILENCE_SECONDS:
                    self._require_answer()
                    heard = time.monotonic()
                wanted = gen.send(ready)
        except StopIteration as stop:
            value: RV = stop.value
            return value

    def _require_answer(self) -> None:
        try:
            psycopg.connect(self.info.dsn, password=self.info.password or None).close()
        except psycopg.errors.ConnectionTimeout:
            self.close()
            raise _SilentError(f"the server has not answered for {SILENCE_SECONDS:.0f} s") from None
        except psycopg.OperationalError:  # it answers, if only that it has too many clients
            pass


class Connection:
    """A connection, with what is needed of it. For one thread at a time."""

    def __init__(self, connection: "psycopg.Connection[Row]") -> None:
        """Take an open connection."""
        self._connection = connection

    def rows(self, query: str, *values: object) -> list[Row]:
        """Return the rows that a query finds; bytes come as they are."""
        with self._connection.cursor(binary=True) as cursor:
            return cursor.execute(query, values or None).fetchall()

    def records(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Return the rows by the names of their columns."""
        with self._connection.cursor(binary=True, row_factory=dict_row) as cursor:
            return cursor.execute(query, values or None).fetchall()

    def value(self, query: str, *values: object) -> Any:
        """Return the one value that a query finds, None if it finds none."""
        with self._connection.cursor(binary=True) as cursor:
            row = cursor.execute(query, values or None).fetchone()
        return row[0] if row else None

    def run(self, query: str, *values: object) -> int:
        """Run a statement; return how many rows it changed."""
        with self._connection.cursor() as cursor:
            return cursor.execute(query, values or None).rowcount

    def copy(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]], types: Sequence[str] = ()
    ) -> None:
        """Append rows to a table.

        With the ``types`` of the columns they are sent as they are rather than as text, which takes half the time where
        most of it is bytes. A vector counts as ``bytea``: see ``halfvecs`` in ``snapshot.py``.
        """
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        form = sql.SQL(" (FORMAT BINARY)" if types else "")
        statement = sql.SQL("COPY {} ({}) FROM STDIN{}").format(sql.Identifier(table), names, form)
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            if types:
                copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all of it or nothing."""
        with self._connection.transaction():
            yield


class Database:
    """The database of an index. Safe to use from many threads.

    The address may name several hosts: reads go where ``target_session_attrs`` says, by default to a standby if one
    answers, and builds to the primary, whichever of them that is just now.
    """

    def __init__(self, address: PostgresAddress, connections: int = 1) -> None:
        """Take the address; nothing is connected yet.

        Raises:
            SnapshotError: it is no address.
        """
        self.shown = str(address)
        no_address = SnapshotError(
            f"{self.shown} is no address: write postgresql://user@host/database, "
            "and in a password %40 for @, %2F for /, %3A for :, %3F for ?, %25 for %"
        )
        if not address.is_well_formed:
            raise no_address
        try:
            given = conninfo_to_dict(address.value)
            hosts = str(given.get("host", given.get("hostaddr", ""))).split(",")
            for name in hosts:
                if not name.startswith(("/", "@")):  # the folder of a socket
                    name.encode("idna")  # as looking it up will
        except (psycopg.ProgrammingError, UnicodeError):  # whose message may show the password
            raise no_address from None
        several = len(hosts) > 1
        reading = {"target_session_attrs": "prefer-standby"} if several else {}
        values = {name: str(value) for name, value in given.items() if value is not None}
        values["client_encoding"] = "UTF8"  # whatever the environment says
        self._reading = make_conninfo(**{**_DEFAULTS, **reading, **values})
        self._writing = make_conninfo(**{**_DEFAULTS, **values, "target_session_attrs": "read-write"})
        self._connections = connections
        self._pool: ConnectionPool[psycopg.Connection[Row]] | None = None

    def open(self) -> None:
        """Connect, so that what is wrong is told at once.

        Raises:
            NoSnapshotError: it holds no index.
            MismatchError: its schema is of another version.
            SnapshotError: it does not answer, or lets nobody in.
        """
        with self._telling():
            with self.reading_once():
                pass
            # Tried for a moment only: who waits then tries again, rather than for as long as the outage was.
            self._pool = ConnectionPool(
                self._reading,
                connection_class=_WatchedConnection,
                kwargs={"autocommit": True, "row_factory": tuple_row},
                min_size=1,
                max_size=self._connections,
                timeout=WAIT_SECONDS,
                reconnect_timeout=WAIT_SECONDS,
                configure=_configure_to_read,
                name="sourceline",
                open=True,
            )

    def exists(self) -> bool:
        """Return whether a snapshot was published.

        Raises:
            SnapshotError: the database does not answer, or lets nobody in.
        """
        try:
            with self.reading_once() as connection:
                return connection.value("SELECT number FROM current") is not None
        except NoSnapshotError:
            return False

    def close(self) -> None:
        """Close all connections."""
        if self._pool:
            self._pool.close()

    @contextmanager
    def reading_once(self) -> Iterator[Connection]:
        """Yield a connection of its own, which is there also while those of the pool are in use.

        Raises:
            NoSnapshotError: it holds no index.
            MismatchError: its schema is of another version.
            SnapshotError: the database does not answer, or lets nobody in.
        """
        with self._telling(), _WatchedConnection.connect(self._reading, autocommit=True) as connection:
            _require_schema(connection, self.shown)
            yield Connection(connection)

    @contextmanager
    def reading(self, snapshot: str | None = None) -> Iterator[Connection]:
        """Yield a connection in a transaction that sees the database as it is when it begins.

        Args:
            snapshot: the id of one that must be there.

        Raises:
            SnapshotGoneError: builds have published since, and that snapshot is kept no more.
            SnapshotError: the database does not answer, or all connections are in use.
        """
        assert self._pool
        # One message to the server rather than two, which nothing but statements without parameters can be.
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        # Not its number: a database that was restored, or a standby that was behind, gives that to another one.
        check = f"; SELECT FROM snapshots WHERE id = {sql.quote(snapshot)}" if snapshot is not None else ""
        with self._telling():
            connection, there = self._begin(self._pool, begin + check)
            try:
                if snapshot is not None and not there:
                    raise SnapshotGoneError(f"snapshot {snapshot} is kept no more: {REBUILD}")
                yield Connection(connection)
            finally:
                with suppress(psycopg.OperationalError):  # it broke, which what was read from it has told
                    connection.execute("COMMIT")
                self._pool.putconn(connection)

    def _begin(
        self, pool: "ConnectionPool[psycopg.Connection[Row]]", statements: str
    ) -> "tuple[psycopg.Connection[Row], bool]":
        """Begin a transaction, on the first connection that is not broken: a restart breaks all that are open.

        The second value is whether the last of the statements found a row.
        """
        for broken in range(self._connections + 1):
            connection = pool.getconn()
            try:
                cursor = connection.execute(statements)
                while cursor.nextset():
                    pass
                return connection, cursor.rowcount == 1
            except psycopg.Error as error:
                pool.putconn(connection)
                is_broken = isinstance(error, psycopg.OperationalError) and not isinstance(error, _SilentError)
                if not is_broken or broken == self._connections:
                    raise
        raise AssertionError("it returned or raised")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection to the primary of its own.

        Raises:
            SnapshotError: the database does not answer, or does not let this user do that.
        """
        with self._telling(), _WatchedConnection.connect(self._writing, autocommit=True) as connection:
            _configure(connection)
            connection.execute(_NO_LIMITS)
            yield Connection(connection)

    @contextmanager
    def building(self) -> Iterator[Connection]:
        """Yield a connection that holds the right to build: one at a time. It ends with the connection.

        Raises:
            BuildRunningError: another build holds it.
            SnapshotError: as from ``writing``.
        """
        with self.writing() as connection:
            if not connection.value("SELECT pg_try_advisory_lock(%s)", _BUILDING):
                raise BuildRunningError(f"another build of {self.shown} is running: wait for it to end")
            yield connection

    def is_building(self) -> bool:
        """Return whether a build is running, on whichever machine."""
        query = """
            SELECT count(*) FROM pg_locks
            WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """
        with self.writing() as connection:
            return bool(connection.value(query, _BUILDING))

    def prepare(self, connection: Connection, dim: int, partitions: int) -> None:
        """Create the tables, or bring them to the newest version; vectors have ``dim`` numbers.

        Raises:
            MismatchError: they are of a newer version, or for vectors of another length.
            SnapshotError: the extension is missing.
        """
        with connection.transaction():
            connection.run("SELECT pg_advisory_xact_lock(%s)", _MIGRATING)
            version = _version(connection, self.shown)
            if not version:
                encoding = connection.value("SHOW server_encoding")
                if encoding != "UTF8":
                    raise SnapshotError(
                        f"{self.shown} is encoded as {encoding}, which cannot hold every text: use a database that "
                        "was created with ENCODING 'UTF8' TEMPLATE template0"
                    )
                self._require_extension(connection)
                connection.run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
                connection.run("CREATE TABLE schema_version (version integer NOT NULL)")
                connection.run("INSERT INTO schema_version VALUES (0)")
            for number in range((version or 0) + 1, VERSION + 1):
                text = (resources.files(__package__) / "schema" / f"{number:04d}.sql").read_text("utf-8")
                connection.run(text.replace("{dim}", str(dim)).replace("{partitions}", str(partitions)))
                connection.run("UPDATE schema_version SET version = %s", number)
        held = connection.value(
            "SELECT atttypmod FROM pg_attribute WHERE attrelid = 'rows'::regclass AND attname = 'vector'"
        )
        if held != dim:
            raise MismatchError(
                f"{self.shown} holds vectors of {held} numbers, and the model makes them of {dim}: use another database"
            )

    def _require_extension(self, connection: Connection) -> None:
        try:
            with connection.transaction():
                connection.run("CREATE EXTENSION IF NOT EXISTS vector")
                ((held, schema),) = connection.rows(
                    "SELECT extversion, nspname FROM pg_extension "
                    "JOIN pg_namespace AS names ON names.oid = extnamespace WHERE extname = 'vector'"
                )
        except psycopg.Error as error:
            raise SnapshotError(
                f"{self.shown} lacks the extension pgvector ({_first_line(error)}): install it on the database's "
                "server and run CREATE EXTENSION vector as its administrator"
            ) from error
        if tuple(map(int, held.split(".")[:2])) < PGVECTOR:
            raise SnapshotError(
                f"{self.shown} has pgvector {held}, which is older than {'.'.join(map(str, PGVECTOR))}: install "
                "a newer one on the database's server and run ALTER EXTENSION vector UPDATE as its administrator"
            )
        if schema not in (SCHEMA, "public"):  # where the session looks
            raise SnapshotError(
                f"{self.shown} has pgvector in the schema {schema}: run ALTER EXTENSION vector SET SCHEMA public as "
                "its administrator"
            )

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what the driver raises into errors that say what to do."""
        try:
            yield
        except PoolTimeout as error:
            raise SnapshotError(
                f"the database {self.shown} gave no connection within {WAIT_SECONDS:.0f} s: try again in a moment"
            ) from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise NoSnapshotError(f"there is no index in {self.shown} yet: {REBUILD}") from error
        except psycopg.Error as error:
            raise SnapshotError(f"the database {self.shown} cannot be used: {_first_line(error)}") from error


def array(values: Iterable[int]) -> str:
    """Return numbers as a literal of an array, which is bound faster than a list."""
    return f"{{{','.join(map(str, values))}}}"


def _configure(connection: "psycopg.Connection[Row]") -> None:
    connection.execute(_SESSION)
    with suppress(psycopg.errors.InvalidParameterValue):  # a server on Windows cannot
        connection.execute(_CHECK_CLIENT)


def _configure_to_read(connection: "psycopg.Connection[Row]") -> None:
    _configure(connection)
    connection.execute(_PLAN_ONCE)


def _require_schema(connection: "psycopg.Connection[Row]", shown: str) -> None:
    _configure(connection)
    version = _version(Connection(connection), shown)
    if not version:
        raise NoSnapshotError(f"there is no index in {shown} yet: {REBUILD}")
    if version < VERSION:
        raise MismatchError(f"the tables of {shown} are of an older version: {REBUILD}")


def _version(connection: Connection, shown: str) -> int | None:
    """Return the version of the schema; None if there is none."""
    if connection.value("SELECT to_regclass(%s)", f"{SCHEMA}.schema_version") is None:
        return None
    version = int(connection.value("SELECT version FROM schema_version"))
    if version > VERSION:
        raise MismatchError(f"{shown} is of a newer version of Sourceline: use that, or another database")
    return version


def _first_line(error: Exception) -> str:
    """Return what the server or libpq says, on one line; it never shows a password."""
    line = str(error).split("\n")[0].removeprefix("connection failed: ").removeprefix("connection is bad: ")
    return " ".join(line.split()) or type(error).__name__
