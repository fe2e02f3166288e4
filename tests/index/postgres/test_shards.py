"""Partitions on another server: the same index, the same answers, the same builds."""

import random
from pathlib import Path

import numpy as np
import psycopg
import pytest

from sourceline.address import PostgresAddress
from sourceline.api import Index
from sourceline.index.postgres.database import Database
from sourceline.index.postgres.snapshot import PostgresSnapshot
from tests.support import quick_encoder
from tests.support.engines import opened
from tests.support.index_folder import put
from tests.support.postgres import PostgresServer

TABLES = ("passages", "rows", "tokens", "postings", "chunks")


def move_partition(postgres: PostgresServer, shard: PostgresServer, database: str, number: int, of: int) -> None:
    """Move a partition of each table to another server, as the documentation says."""
    name = database.split("/")[3].split("?")[0]
    with psycopg.connect(shard.address(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(shard.address(name), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA sourceline; CREATE EXTENSION vector")
    where = ("--host", str(postgres.folder), "--port", postgres.port, "--user", "postgres")
    dump = postgres.run("pg_dump", *where, "--table", f"sourceline.*_{number}", name)
    shard.run_sql(name, dump)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE EXTENSION postgres_fdw; CREATE SERVER shard FOREIGN DATA WRAPPER postgres_fdw "
            f"OPTIONS (host '{shard.folder}', port '{shard.port}', dbname '{name}', extensions 'vector'); "
            "CREATE USER MAPPING FOR postgres SERVER shard OPTIONS (user 'postgres'); "
            "SET search_path TO sourceline, public"
        )
        for table in TABLES:
            connection.execute(
                f"ALTER TABLE {table} DETACH PARTITION {table}_{number}; DROP TABLE {table}_{number}; "
                f"CREATE FOREIGN TABLE {table}_{number} PARTITION OF {table} "
                f"FOR VALUES WITH (MODULUS {of}, REMAINDER {number}) "
                f"SERVER shard OPTIONS (schema_name 'sourceline', table_name '{table}_{number}')"
            )


def counts(database: str) -> list[int]:
    with Database(PostgresAddress(database)).writing() as connection:
        return [int(connection.value(f"SELECT count(*) FROM rows_{number}")) for number in (0, 1)]


def test_a_partition_on_another_server_answers_and_is_built_like_one_here(
    documents: Path, database: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_encoder.build_with_it(monkeypatch)
    words = [f"word{number}" for number in range(60)]
    source = random.Random(1)
    corpus = {f"{at:02}.txt": " ".join(source.choices(words, k=9)).capitalize() + "." for at in range(40)}
    put(documents, corpus)
    Index.build(documents, database, partitions=2)
    before = found(database)
    with PostgresServer() as shard:
        move_partition(postgres, shard, database, 1, of=2)
        assert sum(counts(database)) == 40
        assert 10 < counts(database)[1] < 30
        assert found(database) == before
        corpus["07.txt"] = "Something else stands here."
        corpus["99.txt"] = "This one is new."
        put(documents, corpus)
        for _ in range(3):  # what is replaced is removed there as well
            report = Index.build(documents, database)
        assert report.passages == sum(counts(database)) == 41
        with Index.open(database, lazy=True) as index:
            assert {info.id: index.document(info.id).text for info in index.documents().documents} == corpus
            assert index.check_citations() == 42


def found(database: str) -> list[object]:
    """Return what each way of reading finds in an index of forty sentences."""
    with opened(database) as reading:
        snapshot = reading.snapshot
        assert isinstance(snapshot, PostgresSnapshot)
        vectors = snapshot.dense.vectors(range(40))
        return [
            [snapshot.dense.search(vector, 10, None) for vector in vectors],
            [snapshot.bm25.search(f"word{number} word{number + 1}", 10, None) for number in range(50)],
            snapshot.passages.numbered(range(40)),
            snapshot.tokens.gather(range(80)).vectors.tolist(),
            np.asarray(snapshot.chunk(range(40)).ids).tolist(),
        ]
