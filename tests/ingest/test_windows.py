import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.encoders.base import Encoder, token_counter
from sourceline.ingest.chunking import WINDOW_CHARACTERS, Window, stretches, windows
from sourceline.ingest.sentences import passages
from sourceline.types import Passage
from tests.texts import document, texts


def words(text: str) -> tuple[npt.NDArray[np.int64], Callable[[int, int], int]]:
    """Return where the words of a text start, and how many a stretch of it has: a token is a word."""
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    return np.array(starts, np.int64), lambda start, end: len(text[start:end].split())


def split(text: str, limit: int) -> list[str]:
    return [text[w.start : w.end] for w in windows(passages(document(text)), *_arguments(text, limit))]


def _arguments(text: str, limit: int) -> tuple[npt.NDArray[np.int64], int, Callable[[int, int], int]]:
    starts, count = words(text)
    return starts, limit, count


def check(text: str, found: list[Window], cut: tuple[Passage, ...], encoder: Encoder) -> None:
    for window in found:
        assert window.start <= window.keep_start < window.keep_end <= window.end
        assert len(encoder.tokenize(text[window.start : window.end]).ids) <= encoder.limit
    kept = [edge for window in found for edge in (window.keep_start, window.keep_end)]
    assert kept == sorted(kept)
    inside = [at for window in found for at in range(window.keep_start, window.keep_end)]
    assert {at for p in cut for at in range(p.start, p.end)} <= set(inside)


def test_short_paragraphs_share_a_window_and_a_paragraph_is_not_torn_apart() -> None:
    text = "One two. Three four.\n\nFive six.\n\nSeven eight. Nine ten."

    assert split(text, 10) == [text]
    assert split(text, 9) == ["One two. Three four.\n\nFive six.", "Seven eight. Nine ten."]
    assert split(text, 5) == ["One two. Three four.", "Five six.", "Seven eight. Nine ten."]


def test_a_paragraph_over_the_limit_is_packed_by_sentences() -> None:
    assert split("One two three. Four five. Six. Seven eight nine.", 5) == [
        "One two three. Four five.",
        "Six. Seven eight nine.",
    ]


def test_a_window_is_no_longer_than_its_size_unless_one_sentence_is() -> None:
    sentence = "Word " * 50 + "end. "  # 255 characters

    assert list(map(len, split((sentence * 5).strip(), 10_000))) == [3 * 255 - 1, 2 * 255 - 1]
    assert split("word" * WINDOW_CHARACTERS, 10_000) == ["word" * WINDOW_CHARACTERS]


def test_a_sentence_over_the_limit_is_encoded_in_stretches_and_nothing_joins_them() -> None:
    sentence = " ".join(f"w{number}" for number in range(20))
    text = f"One.\n\n{sentence}.\n\nTwo."

    found = windows(passages(document(text)), *_arguments(text, 8))

    pieces = [text[w.start : w.end].strip() for w in found]
    assert pieces[0] == "One."
    assert pieces[1] == "w0 w1 w2 w3 w4 w5 w6 w7"
    assert pieces[2] == "w6 w7 w8 w9 w10 w11 w12 w13"
    assert pieces[3] == "w12 w13 w14 w15 w16 w17 w18 w19."
    assert pieces[4] == "Two."
    assert [text[w.keep_start : w.keep_end].strip() for w in found[1:4]] == [
        "w0 w1 w2 w3 w4 w5 w6",
        "w7 w8 w9 w10 w11 w12",
        "w13 w14 w15 w16 w17 w18 w19.",
    ]


def test_no_passages_need_no_windows() -> None:
    assert windows((), np.array([], np.int64), 10, lambda start, end: 0) == []


@given(st.integers(1, 200), st.integers(4, 40))
def test_stretches_keep_each_token_once_and_bring_context_on_both_sides(tokens: int, limit: int) -> None:
    text = " ".join("w" * (1 + number % 3) for number in range(tokens))
    starts, count = words(text)

    found = stretches(0, len(text), starts, limit, count)

    assert all(count(w.start, w.end) <= limit for w in found)
    kept = [int(at) for w in found for at in starts if w.keep_start <= at < w.keep_end]
    assert kept == starts.tolist()
    assert (found[0].start, found[-1].end) == (0, len(text))
    for one, following in pairwise(found):
        assert one.keep_end == following.keep_start
        shared = count(following.start, one.end)
        assert shared == limit // 4
        assert count(following.start, following.keep_start) == shared // 2


@pytest.mark.parametrize(
    "text",
    [
        "대한민국은 민주공화국이다 " * 60,  # a syllable is several tokens that start at one character
        " ".join("qxzjkvwbfg"[number % 7 :] * 8 for number in range(80)),  # words of dozens of tokens
        "1.5,2.7;" * 500,
        "x" * 5_000,
        "e\u0301\u200d" * 2_000,
        "字" * 2_000,
        "https://example.org/?q=" + "a1b2c3d4e5" * 300,
        "| a cell " * 400,
    ],
)
def test_a_sentence_of_any_script_and_length_fits_the_model(text: str, encoder: Encoder) -> None:
    cut = passages(document(text))
    starts = encoder.tokenize(text).spans[:, 0].astype(np.int64)

    found = windows(cut, starts, encoder.limit, token_counter(encoder, text))

    check(text, found, cut, encoder)
    assert len(list(encoder.encode([text[w.start : w.end] for w in found]))) == len(found)


@settings(deadline=None)
@given(text=texts, times=st.sampled_from([1, 1, 5, 40]), id_=st.sampled_from(["x.txt", "x.md"]))
def test_windows_cover_every_passage_and_fit_the_model(text: str, times: int, id_: str, encoder: Encoder) -> None:
    text *= times
    cut = passages(document(text, id_))
    starts = encoder.tokenize(text).spans[:, 0].astype(np.int64)

    check(text, windows(cut, starts, encoder.limit, token_counter(encoder, text)), cut, encoder)
