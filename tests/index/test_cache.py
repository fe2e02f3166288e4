import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from sourceline.index.multivector import EncodedChunk
from sourceline.indexing.cache import ChunkCache

DIMENSION, SIZE = 8, 6
FILE = "blocks.sqlite"


def block(tokens: int, seed: int = 0) -> EncodedChunk:
    """Return a block of two passages, of one token and of the rest."""
    random_ = np.random.default_rng(seed)
    return EncodedChunk(
        np.array([1, tokens - 1], np.uint32),
        random_.integers(0, 30_000, tokens).astype(np.uint32),
        np.arange(tokens, dtype=np.uint16),
        random_.integers(0, 256, (tokens, SIZE)).astype(np.uint8),
        random_.normal(size=(2, DIMENSION)).astype(np.float16),
    )


def open_cache(folder: Path, dim: int = DIMENSION) -> ChunkCache:
    return ChunkCache(folder, SIZE, dim)


def same(kept: EncodedChunk | None, put: EncodedChunk) -> bool:
    return kept is not None and all(
        np.array_equal(getattr(kept, name), getattr(put, name)) for name in EncodedChunk.__dataclass_fields__
    )


def missing(cache: ChunkCache, keys: Iterable[bytes]) -> list[bytes]:
    return [key for key in keys if cache.get(key) is None]


def test_what_is_put_is_got_back(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([(b"one", block(5)), (b"\0\xff", block(1, 1)), (b"", block(300))])
        assert same(cache.get(b"one"), block(5))
        assert same(cache.get(b"\0\xff"), block(1, 1))
        assert same(cache.get(b""), block(300))


def test_what_was_not_put_is_absent(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([(b"one", block(5))])
        assert cache.get(b"One") is None
        assert missing(cache, [b"two", b"one", b"three", b"two"]) == [b"two", b"three", b"two"]


def test_it_outlives_the_process_that_wrote_it(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([(b"one", block(5))])
    with open_cache(tmp_path) as cache:
        assert same(cache.get(b"one"), block(5))


def test_another_block_of_a_key_takes_the_place_of_the_old(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([(b"one", block(5))])
        cache.put([(b"one", block(3, 7))])
        assert same(cache.get(b"one"), block(3, 7))


def test_a_batch_that_is_interrupted_is_kept_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> Iterator[tuple[bytes, EncodedChunk]]:
        yield b"second", block(2)
        raise KeyboardInterrupt

    with open_cache(tmp_path) as cache:
        cache.put([(b"first", block(5))])
        with pytest.raises(KeyboardInterrupt):
            cache.put(interrupted())
    with open_cache(tmp_path) as cache:
        assert missing(cache, [b"first", b"second"]) == [b"second"]


def test_a_block_of_another_length_is_absent(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([(b"one", block(5))])
    with open_cache(tmp_path, dim=DIMENSION * 2) as cache:
        assert cache.get(b"one") is None


def test_a_block_that_came_under_another_key_is_absent(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([(b"one", block(5)), (b"other", block(5, 1))])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        (one,), (other,) = connection.execute("SELECT key FROM blocks ORDER BY rowid")
        connection.execute("DELETE FROM blocks WHERE key = ?", (one,))
        connection.execute("UPDATE blocks SET key = ? WHERE key = ?", (one, other))
    with open_cache(tmp_path) as cache:
        assert missing(cache, [b"one", b"other"]) == [b"one", b"other"]


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + bytes(4080)])
def test_a_file_that_is_no_cache_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with open_cache(tmp_path) as cache:
        assert cache.get(b"one") is None
        cache.put([(b"one", block(5))])
        assert same(cache.get(b"one"), block(5))


def test_a_cache_of_another_layout_is_replaced(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE blocks (key BLOB PRIMARY KEY, data BLOB)")
    with open_cache(tmp_path) as cache:
        cache.put([(b"one", block(5))])
        assert same(cache.get(b"one"), block(5))


def test_a_folder_in_its_place_is_an_error_and_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(sqlite3.OperationalError):
        open_cache(tmp_path)
    assert (tmp_path / FILE).is_dir()


def test_whatever_bit_is_flipped_a_block_is_right_or_absent_and_can_be_put_again(tmp_path: Path) -> None:
    blocks = {b"key %d" % number: block(number % 30 + 1, number) for number in range(60)}
    with open_cache(tmp_path) as cache:
        cache.put(blocks.items())
    whole = (tmp_path / FILE).read_bytes()
    random_ = random.Random(0)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[random_.randrange(len(whole))] ^= 1 << random_.randrange(8)
        (tmp_path / FILE).write_bytes(damaged)
        with open_cache(tmp_path) as cache:
            absent = missing(cache, blocks)
            assert all(same(cache.get(key), blocks[key]) for key in blocks if key not in absent)
            cache.put((key, blocks[key]) for key in absent)
            assert missing(cache, blocks) == []
