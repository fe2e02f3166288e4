"""Partitions on another server: the same index, the same answers, the same builds."""

import random
import re
from pathlib import Path

import numpy as np
import pytest

from sourceline.address import PostgresAddress
from sourceline.api import Index
from sourceline.index.postgres import snapshot
from sourceline.index.postgres.database import Database
from sourceline.index.postgres.snapshot import PostgresSnapshot
from sourceline.index.row_filter import RowFilter
from tests.support import quick_encoder
from tests.support.engines import opened
from tests.support.index_folder import put
from tests.support.postgres import PostgresServer, move_partition


def counts(database: str) -> list[int]:
    with Database(PostgresAddress(database)).writing() as connection:
        return [int(connection.value(f"SELECT count(*) FROM rows_{number}")) for number in (0, 1)]


def test_a_partition_on_another_server_answers_and_is_built_like_one_here(
    documents: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_encoder.build_with_it(monkeypatch)
    words = [f"word{number}" for number in range(60)]
    source = random.Random(1)
    corpus = {f"{at:02}.txt": " ".join(source.choices(words, k=9)).capitalize() + "." for at in range(40)}
    put(documents, corpus)
    Index.build(documents, database, partitions=2)
    monkeypatch.setattr(snapshot, "EXACT_BELOW", 30)  # so that a search without a filter uses the index of vectors
    before = found(database)
    with PostgresServer({"log_statement": "all"}) as shard:
        move_partition(database, shard, 1, of=2)
        assert found(database) == before
        asked = re.findall(r"DECLARE c\d+ CURSOR FOR\s+(SELECT .*)", (shard.folder / "log").read_text())
        assert len(asked) > 100
        # No table is read as a whole.
        assert not [query for query in asked if " WHERE " not in query and " ORDER BY " not in query]
        assert sum(counts(database)) == 40
        assert 10 < counts(database)[1] < 30
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
        held = reading.snapshot
        assert isinstance(held, PostgresSnapshot)
        vectors = held.dense.vectors(range(40))
        return [
            [held.dense.search(vector, 10, None) for vector in vectors],
            [held.dense.search(vector, 10, RowFilter.from_ranges([range(5, 35)])) for vector in vectors],
            [held.bm25.search(f"word{number} word{number + 1}", 10, None) for number in range(50)],
            held.passages.numbered(range(40)),
            held.tokens.gather(range(80)).vectors.tolist(),
            np.asarray(held.chunk(range(40)).ids).tolist(),
            [held.passages.surroundings(row, 2) for row in range(40)],
            held.passages.rows(range(40)),
        ]
