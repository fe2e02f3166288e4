"""Tokens, and how a text of any length is encoded."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE, Unigram, WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing

from sourceline.encoders.base import (
    EncoderInput,
    Encoding,
    Float32,
    Int64,
    Tokens,
    encode_long,
    l2_normalize,
    norms,
    sliding_windows,
    tokenize,
    unknown_id,
    vocabulary_size,
)

WORDS = [f"w{number}" for number in range(400)]


def word_tokenizer() -> Tokenizer:
    """Return a tokenizer that takes each word as a token, and puts one special token before and one behind a text."""
    vocabulary = {"[CLS]": 0, "[SEP]": 1, "[UNK]": 2, **{word: number + 3 for number, word in enumerate(WORDS)}}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Split(Regex(r"\s+"), "removed")
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 0), ("[SEP]", 1)])
    return tokenizer


class WordModel:
    """A stand-in for a model: the state of a token is its id and where it stands in the text that was run."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.tokenizer = word_tokenizer()
        self.texts: list[str] = []

    def run(self, text: str, ids: list[int]) -> Float32:
        assert ids == self.tokenizer.encode(text).ids
        assert len(ids) <= self.max_tokens + 2
        self.texts.append(text)
        return np.array([[id_, at] for at, id_ in enumerate(ids)], dtype=np.float32)

    def encode(self, text: str, prefix: str = "") -> Encoding:
        return encode_long(EncoderInput(text, prefix), self.tokenizer, self.max_tokens, self.run)


def covered(text: str, tokens: Tokens) -> list[str]:
    return [text[start:end] for start, end in tokens.spans.tolist()]


def starts_of_words(text: str) -> Int64:
    return np.array([match.start() for match in re.finditer(r"\S+", text)], np.int64)


def count_words(text: str, start: int, end: int) -> int:
    return len(text[start:end].split())


def test_tokenizing_gives_all_ids_and_the_ordinary_tokens_with_their_spans() -> None:
    ids, ordinary, tokens = tokenize(word_tokenizer(), " w1  w0\nw9 ")

    assert ids == [0, 4, 3, 12, 1]
    assert ordinary.tolist() == [False, True, True, True, False]
    assert tokens.ids.tolist() == [4, 3, 12]
    assert tokens.spans.tolist() == [[1, 3], [5, 7], [8, 10]]
    assert tokens.ids.dtype == tokens.spans.dtype == np.int32


def test_text_without_words_has_no_tokens() -> None:
    ids, ordinary, tokens = tokenize(word_tokenizer(), " \n")

    assert (ids, ordinary.tolist()) == ([0, 1], [False, False])
    assert (tokens.ids.shape, tokens.spans.shape) == ((0,), (0, 2))


def test_the_size_of_a_vocabulary_is_its_greatest_id_and_one() -> None:
    assert vocabulary_size(word_tokenizer()) == 403
    assert vocabulary_size(Tokenizer(WordLevel({"a": 7, "b": 2}, unk_token="a"))) == 8


def test_a_text_that_fits_is_encoded_at_once_without_the_states_of_special_tokens() -> None:
    model = WordModel(max_tokens=3)

    encoding = model.encode("w5 w6 w7")

    assert model.texts == ["w5 w6 w7"]
    assert covered("w5 w6 w7", encoding.tokens) == ["w5", "w6", "w7"]
    assert encoding.vectors.tolist() == [[8, 1], [9, 2], [10, 3]]


def test_a_prefix_is_encoded_in_front_of_the_text_and_gets_no_tokens() -> None:
    model = WordModel(max_tokens=5)

    encoding = model.encode("w5 w6 w7", "w1 w2\n")

    assert model.texts == ["w1 w2\nw5 w6 w7"]
    assert covered("w5 w6 w7", encoding.tokens) == ["w5", "w6", "w7"]
    # The two tokens of the prefix stand in front: w5 is at the third place.
    assert encoding.vectors.tolist() == [[8, 3], [9, 4], [10, 5]]


@pytest.mark.parametrize("text", ["", " \n "])
def test_a_prefix_without_a_text_gives_nothing(text: str) -> None:
    encoding = WordModel(max_tokens=5).encode(text, "w1 w2\n")

    assert (encoding.tokens.ids.shape, encoding.tokens.spans.shape, encoding.vectors.shape) == ((0,), (0, 2), (0, 2))


def test_a_text_over_the_limit_is_encoded_in_overlapping_windows() -> None:
    model = WordModel(max_tokens=8)
    text = " ".join(WORDS[:20])

    encoding = model.encode(text)

    # A quarter of eight, two words, is what neighbours have in common.
    assert [ran.strip() for ran in model.texts] == [
        "w0 w1 w2 w3 w4 w5 w6 w7",
        "w6 w7 w8 w9 w10 w11 w12 w13",
        "w12 w13 w14 w15 w16 w17 w18 w19",
    ]
    assert covered(text, encoding.tokens) == WORDS[:20]
    # Each token has its place from the window in which it stands farther from an edge: w6 from the first, w7 from the
    # second, for half of what is shared comes from either.
    assert encoding.vectors[:, 1].tolist() == [*range(1, 8), *range(2, 8), *range(2, 9)]


def test_each_window_of_a_text_over_the_limit_has_the_prefix_in_front() -> None:
    model = WordModel(max_tokens=10)
    text = " ".join(WORDS[:20])

    encoding = model.encode(text, "w100 w101\n")

    assert [ran.strip() for ran in model.texts] == [
        "w100 w101\nw0 w1 w2 w3 w4 w5 w6 w7",
        "w100 w101\nw6 w7 w8 w9 w10 w11 w12 w13",
        "w100 w101\nw12 w13 w14 w15 w16 w17 w18 w19",
    ]
    assert covered(text, encoding.tokens) == WORDS[:20]
    assert encoding.vectors[:, 1].tolist() == [*range(3, 10), *range(4, 10), *range(4, 11)]


@pytest.mark.parametrize("words", [7, 8, 9, 100])
def test_a_prefix_that_leaves_no_room_for_the_text_is_refused(words: int) -> None:
    model, text = WordModel(max_tokens=8), " ".join(WORDS[:20])
    prefix = "".join(f"{word}\n" for word in WORDS[:words])

    if words < 8:
        assert covered(text, model.encode(text, prefix).tokens) == WORDS[:20]
    else:
        with pytest.raises(ValueError, match=f"a prefix of {words} tokens leaves no room for the text"):
            model.encode(text, prefix)


@given(count=st.integers(1, 400), max_tokens=st.integers(4, 60), prefix_words=st.integers(0, 3))
def test_every_token_of_a_text_of_any_length_is_kept_exactly_once(
    count: int, max_tokens: int, prefix_words: int
) -> None:
    model = WordModel(max_tokens)
    text = "  ".join(WORDS[:count])
    prefix = "".join(f"{word}\n" for word in WORDS[:prefix_words])

    encoding = model.encode(text, prefix)

    _, _, tokens = tokenize(model.tokenizer, text)
    assert encoding.tokens.ids.tolist() == tokens.ids.tolist()
    assert encoding.tokens.spans.tolist() == tokens.spans.tolist()
    assert encoding.vectors[:, 0].tolist() == tokens.ids.tolist()


def test_a_text_at_the_limit_is_one_window() -> None:
    text = "one two three"

    (window,) = sliding_windows(len(text), starts_of_words(text), 3, lambda start, end: count_words(text, start, end))

    assert (window.start, window.end, window.keep_start, window.keep_end) == (0, 13, 0, 13)


@given(tokens=st.integers(1, 200), max_tokens=st.integers(4, 40))
def test_windows_keep_each_token_once_and_bring_context_on_both_sides(tokens: int, max_tokens: int) -> None:
    text = " ".join("w" * (1 + number % 3) for number in range(tokens))
    starts = starts_of_words(text)

    windows = sliding_windows(len(text), starts, max_tokens, lambda start, end: count_words(text, start, end))

    assert all(count_words(text, window.start, window.end) <= max_tokens for window in windows)
    kept = [start for window in windows for start in starts.tolist() if window.keep_start <= start < window.keep_end]
    assert kept == starts.tolist()
    assert (windows[0].start, windows[-1].end) == (0, len(text))
    for window, following in pairwise(windows):
        assert window.keep_end == following.keep_start
        shared = count_words(text, following.start, window.end)
        assert shared == max_tokens // 4
        assert count_words(text, following.start, following.keep_start) == shared // 2


@given(
    tokens=st.integers(1, 120),
    max_tokens=st.integers(12, 30),
    extra=st.lists(st.integers(0, 3), min_size=1, max_size=9),
)
def test_windows_are_shorter_where_a_piece_has_more_tokens_by_itself(
    tokens: int, max_tokens: int, extra: list[int]
) -> None:
    starts = np.arange(tokens, dtype=np.int64)

    def count(start: int, end: int) -> int:
        whole = (start, end) == (0, tokens)
        return end - start + (0 if whole else extra[start % len(extra)])

    windows = sliding_windows(tokens, starts, max_tokens, count)

    assert [start for window in windows for start in range(window.keep_start, window.keep_end)] == starts.tolist()
    assert all(count(window.start, window.end) <= max_tokens for window in windows)


def test_vectors_are_scaled_to_length_one_and_a_zero_vector_stays_zero() -> None:
    vectors = np.array([[3, 4], [0, 0], [0, -2]], dtype=np.float32)

    assert l2_normalize(vectors) == pytest.approx(np.array([[0.6, 0.8], [0, 0], [0, -1]]))
    assert l2_normalize(vectors[0]) == pytest.approx(np.array([0.6, 0.8]))
    assert l2_normalize(vectors).dtype == np.float32


def test_the_norm_of_a_vector_is_its_length_and_one_for_a_zero_vector() -> None:
    vectors = np.array([[[3, 4], [0, 0]], [[0, -2], [1, 0]]], dtype=np.float32)

    assert norms(vectors).tolist() == [[[5], [1]], [[2], [1]]]
    assert norms(vectors).dtype == np.float32


def test_the_id_of_unknown_tokens_is_found_in_every_kind_of_tokenizer() -> None:
    pieces = [("a", 0.0), ("<unk>", 0.0)]
    for model, expected in [
        (WordLevel({"a": 0, "[UNK]": 7}, unk_token="[UNK]"), 7),
        (Unigram(pieces, unk_id=1, byte_fallback=False), 1),
        (Unigram(pieces, unk_id=None, byte_fallback=False), None),
        (BPE({"a": 0}, []), None),
        (BPE({"a": 0}, [], unk_token="b"), None),
    ]:
        assert unknown_id(Tokenizer(model)) == expected
