import os
import random
import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from sourceline.encoders.base import Float32
from sourceline.encoders.ranking_head import identity_head
from sourceline.index.multivector import BFLOAT16, EncodedChunk, open_codec
from sourceline.index.snapshot import open_current
from sourceline.indexing import builder
from sourceline.indexing.cache import ChunkCache
from tests.conftest import Rebuild
from tests.support.chunks import made_up_chunk, same_chunk
from tests.support.index_folder import leftovers, put
from tests.support.torture import sizes

FILE = "chunks.sqlite"
DIM = 8
CODEC = open_codec(BFLOAT16, identity_head(DIM))


def chunk(tokens: int, seed: int = 0) -> EncodedChunk:
    """Return a chunk of two passages, of no token and of so many."""
    ids = np.random.default_rng(seed).integers(0, 30_000, tokens).tolist()
    return made_up_chunk([[], ids], CODEC, DIM, seed)


def missing(cache: ChunkCache, keys: Iterable[bytes]) -> list[bytes]:
    return [key for key in keys if cache.get(key) is None]


def test_a_chunk_comes_back_as_it_was_put(tmp_path: Path) -> None:
    with ChunkCache(tmp_path / "new") as cache:
        cache.put([(b"five", chunk(5)), (b"\0\xff", chunk(1, 1)), (b"", chunk(300))])
        assert same_chunk(cache.get(b"five"), chunk(5))
        assert same_chunk(cache.get(b"\0\xff"), chunk(1, 1))
        assert same_chunk(cache.get(b""), chunk(300))


def test_a_key_that_was_not_put_is_absent(tmp_path: Path) -> None:
    with ChunkCache(tmp_path) as cache:
        cache.put([(b"one", chunk(5))])
        assert cache.get(b"One") is None
        assert missing(cache, [b"two", b"one", b"three", b"two"]) == [b"two", b"three", b"two"]


def test_chunks_outlive_the_process_that_put_them(tmp_path: Path) -> None:
    with ChunkCache(tmp_path) as cache:
        cache.put([(b"one", chunk(5))])
    with ChunkCache(tmp_path) as cache:
        assert same_chunk(cache.get(b"one"), chunk(5))


def test_chunks_are_stored_as_safetensors(tmp_path: Path) -> None:
    with ChunkCache(tmp_path) as cache:
        cache.put([(b"one", chunk(5))])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        ((key, checksum, data),) = connection.execute("SELECT key, checksum, data FROM chunks")

    assert key == b"one"
    assert checksum == zlib.crc32(data, zlib.crc32(key))
    assert same_chunk(EncodedChunk(**load(data)), chunk(5))


def test_a_chunk_that_is_put_again_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    with ChunkCache(tmp_path) as cache:
        cache.put([(b"one", chunk(5))])
        cache.put([(b"one", chunk(3, 7))])
        assert same_chunk(cache.get(b"one"), chunk(3, 7))


def test_a_batch_that_is_interrupted_is_not_stored_at_all(tmp_path: Path) -> None:
    def interrupted() -> Iterator[tuple[bytes, EncodedChunk]]:
        yield b"second", chunk(2)
        raise KeyboardInterrupt

    with ChunkCache(tmp_path) as cache:
        cache.put([(b"first", chunk(5))])
        with pytest.raises(KeyboardInterrupt):
            cache.put(interrupted())
    with ChunkCache(tmp_path) as cache:
        assert missing(cache, [b"first", b"second"]) == [b"second"]


def test_a_chunk_that_came_under_another_key_is_absent(tmp_path: Path) -> None:
    with ChunkCache(tmp_path) as cache:
        cache.put([(b"one", chunk(5)), (b"other", chunk(5, 1))])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("DELETE FROM chunks WHERE key = ?", (b"one",))
        connection.execute("UPDATE chunks SET key = ? WHERE key = ?", (b"one", b"other"))
    with ChunkCache(tmp_path) as cache:
        assert missing(cache, [b"one", b"other"]) == [b"one", b"other"]


@pytest.mark.parametrize("data", [b"", b"no safetensors", b"\xff" * 100])
def test_data_that_are_no_chunk_are_absent_even_if_their_checksum_is_right(tmp_path: Path, data: bytes) -> None:
    with ChunkCache(tmp_path) as cache:
        cache.put([(b"one", chunk(5))])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        checksum = zlib.crc32(data, zlib.crc32(b"one"))
        connection.execute("UPDATE chunks SET checksum = ?, data = ?", (checksum, data))
    with ChunkCache(tmp_path) as cache:
        assert cache.get(b"one") is None


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + bytes(4080)])
def test_a_file_that_is_no_cache_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with ChunkCache(tmp_path) as cache:
        assert cache.get(b"one") is None
        cache.put([(b"one", chunk(5))])
        assert same_chunk(cache.get(b"one"), chunk(5))


def test_a_cache_with_other_tables_is_replaced(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE chunks (key BLOB PRIMARY KEY, data BLOB)")
    with ChunkCache(tmp_path) as cache:
        cache.put([(b"one", chunk(5))])
        assert same_chunk(cache.get(b"one"), chunk(5))


def test_a_folder_in_place_of_the_cache_is_an_error_and_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()

    with pytest.raises(sqlite3.OperationalError):
        ChunkCache(tmp_path)
    assert (tmp_path / FILE).is_dir()


@sizes("flips", 40, 200)
def test_whatever_bit_is_flipped_a_chunk_is_right_or_absent_and_can_be_put_again(tmp_path: Path, flips: int) -> None:
    chunks = {b"key %d" % number: chunk(number % 30 + 1, number) for number in range(60)}
    with ChunkCache(tmp_path) as cache:
        cache.put(chunks.items())
    whole = (tmp_path / FILE).read_bytes()
    positions = random.Random(0)
    for _ in range(flips):
        damaged = bytearray(whole)
        damaged[positions.randrange(len(whole))] ^= 1 << positions.randrange(8)
        (tmp_path / FILE).write_bytes(damaged)
        with ChunkCache(tmp_path) as cache:
            absent = missing(cache, chunks)
            assert all(same_chunk(cache.get(key), chunks[key]) for key in chunks if key not in absent)
            cache.put((key, chunks[key]) for key in absent)
            assert missing(cache, chunks) == []


def flip(path: Path, *positions: int) -> None:
    data = bytearray(path.read_bytes())
    for position in positions:
        data[position] ^= 1 << position % 8
    path.write_bytes(data)


# What happens to the cache, and how many of nine chunks are encoded again: all of them, or any number (None).
DAMAGES: dict[str, tuple[Callable[[Path], object], int | None]] = {
    "none": (lambda path: None, 0),
    "garbage": (lambda path: path.write_bytes(os.urandom(10_000)), 9),
    "emptied": (lambda path: path.write_bytes(b""), 9),
    "removed": (Path.unlink, 9),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-5_000]), None),
    "flipped": (lambda path: flip(path, *range(9_000, path.stat().st_size, 500)), None),
    "says that it must not be written to": (lambda path: flip(path, 18), None),  # a byte of the header
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_of_the_cache_of_an_interrupted_build_costs_time_but_changes_no_vector(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    put(documents, {f"{number}.txt": f"Report number {number} was filed. " * 5 for number in range(9)})

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(builder, "check_snapshot", interrupt)
        with pytest.raises(KeyboardInterrupt):
            rebuild(documents, index)
    happens, encoded = DAMAGES[damage]
    happens(index / "cache" / FILE)

    report = rebuild(documents, index)
    assert report.chunks == 9
    assert report.encoded in (range(10) if encoded is None else [encoded])
    vectors = vectors_of(index)
    shutil.rmtree(index / "snapshots")
    (index / "CURRENT").unlink()
    assert rebuild(documents, index).encoded == 9
    for each, expected in zip(vectors_of(index), vectors, strict=True):
        np.testing.assert_array_equal(each, expected)
    assert leftovers(index) == set()
    assert not (index / "cache").exists()


def vectors_of(index: Path) -> tuple[Float32, Float32]:
    snapshot = open_current(index)
    rows = range(snapshot.passages.row_count)
    return snapshot.dense.vectors(rows), snapshot.tokens.gather(rows).vectors
