import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from sourceline.encoding.cache import EncodingCache
from sourceline.encoding.encoder import Encoding, Tokens

DIMENSION = 8


def encoding(count: int, seed: int = 0) -> Encoding:
    random_ = np.random.default_rng(seed)
    starts = np.arange(count, dtype=np.int32)
    ids = random_.integers(0, 30_000, count).astype(np.int32)
    vectors = random_.normal(size=(count, DIMENSION)).astype(np.float32)
    return Encoding(Tokens(ids, np.stack([starts, starts + 1], axis=1)), vectors)


def open_cache(folder: Path, fingerprint: str = "model", dimension: int = DIMENSION) -> EncodingCache:
    return EncodingCache(folder, fingerprint, dimension)


def same(kept: Encoding | None, put: Encoding) -> bool:
    return (
        kept is not None
        and np.array_equal(kept.tokens.ids, put.tokens.ids)
        and np.array_equal(kept.tokens.spans, put.tokens.spans)
        and np.array_equal(kept.vectors, put.vectors.astype(np.float16).astype(np.float32))
    )


def test_what_is_put_is_got_back_with_vectors_as_float16(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([("one", encoding(5)), ("Zoë \0 👍", encoding(1, 1)), ("", encoding(0))])
        assert same(cache.get("one"), encoding(5))
        assert same(cache.get("Zoë \0 👍"), encoding(1, 1))
        assert same(cache.get(""), encoding(0))
        kept = cache.get("one")
        assert kept is not None
        assert kept.vectors.dtype == np.float32


def test_what_was_not_put_is_absent(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([("one", encoding(5))])
        assert cache.get("One") is None
        assert cache.missing(["two", "one", "three", "two"]) == ["two", "three"]


def test_it_outlives_the_process_that_wrote_it(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([("one", encoding(5))])
    with open_cache(tmp_path) as cache:
        assert same(cache.get("one"), encoding(5))


def test_another_encoding_of_a_text_takes_the_place_of_the_old(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([("one", encoding(5))])
        cache.put([("one", encoding(3, 7))])
        assert same(cache.get("one"), encoding(3, 7))


def test_each_encoder_has_its_own(tmp_path: Path) -> None:
    with open_cache(tmp_path, "one") as one, open_cache(tmp_path, "other") as other:
        one.put([("text", encoding(5))])
        assert other.get("text") is None


def test_all_texts_but_some_are_forgotten(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put((text, encoding(2)) for text in "abcd")
        cache.keep_only(["b", "d", "d", "never put"])
        assert cache.missing("abcd") == ["a", "c"]
        cache.keep_only([])
        assert cache.missing("abcd") == ["a", "b", "c", "d"]


def test_a_batch_that_is_interrupted_is_kept_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> Iterator[tuple[str, Encoding]]:
        yield "second", encoding(2)
        raise KeyboardInterrupt

    with open_cache(tmp_path) as cache:
        cache.put([("first", encoding(5))])
        with pytest.raises(KeyboardInterrupt):
            cache.put(interrupted())
    with open_cache(tmp_path) as cache:
        assert cache.missing(["first", "second"]) == ["second"]


def test_an_encoding_of_another_length_is_absent(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([("one", encoding(5))])
    with open_cache(tmp_path, dimension=DIMENSION * 2) as cache:
        assert cache.get("one") is None


def test_an_encoding_that_came_under_another_text_is_absent(tmp_path: Path) -> None:
    with open_cache(tmp_path) as cache:
        cache.put([("one", encoding(5)), ("other", encoding(5, 1))])
    with closing(sqlite3.connect(tmp_path / "model.sqlite")) as connection, connection:
        (one,), (other,) = connection.execute("SELECT key FROM encodings ORDER BY rowid")
        connection.execute("DELETE FROM encodings WHERE key = ?", (one,))
        connection.execute("UPDATE encodings SET key = ? WHERE key = ?", (one, other))
    with open_cache(tmp_path) as cache:
        assert cache.missing(["one", "other"]) == ["one", "other"]


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + bytes(4080)])
def test_a_file_that_is_no_cache_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.sqlite").write_bytes(content)
    with open_cache(tmp_path) as cache:
        assert cache.get("one") is None
        cache.put([("one", encoding(5))])
        assert same(cache.get("one"), encoding(5))


def test_a_cache_of_another_layout_is_replaced(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "model.sqlite")) as connection:
        connection.execute("CREATE TABLE encodings (key BLOB PRIMARY KEY, data BLOB)")
    with open_cache(tmp_path) as cache:
        cache.put([("one", encoding(5))])
        assert same(cache.get("one"), encoding(5))


def test_a_folder_in_its_place_is_an_error_and_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "model.sqlite").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        open_cache(tmp_path)
    assert (tmp_path / "model.sqlite").is_dir()


def test_whatever_bit_is_flipped_an_encoding_is_right_or_absent_and_can_be_put_again(tmp_path: Path) -> None:
    texts = {f"text {number}": encoding(number % 30, number) for number in range(60)}
    with open_cache(tmp_path) as cache:
        cache.put(texts.items())
    whole = (tmp_path / "model.sqlite").read_bytes()
    random_ = random.Random(0)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[random_.randrange(len(whole))] ^= 1 << random_.randrange(8)
        (tmp_path / "model.sqlite").write_bytes(damaged)
        with open_cache(tmp_path) as cache:
            missing = cache.missing(texts)
            assert all(same(cache.get(text), texts[text]) for text in texts if text not in missing)
            cache.put((text, texts[text]) for text in missing)
            assert cache.missing(texts) == []
            cache.keep_only(texts)
