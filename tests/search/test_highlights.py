import numpy as np
import pytest

from sourceline.encoders.base import Encoder, Float32, Int32, Tokens
from sourceline.search.highlights import LEAST_COSINE, content_tokens, highlights
from sourceline.search.query import QueryEncoding, encode_query
from sourceline.types import Span

TEXT = "The well-known bridge was closed."
STARTS = np.array([0, 4, 8, 9, 15, 22, 26, 32], dtype=np.int32)
AXES = np.eye(len(STARTS), dtype=np.float32)  # each token of the passage is like itself alone


def shown(question: Float32, vectors: Float32 = AXES, starts: Int32 = STARTS, text: str = TEXT) -> list[str]:
    return [text[span.start : span.end] for span in highlights(vectors @ question.T, text, starts)]


def content_words(encoder: Encoder, text: str) -> list[str]:
    query = encode_query(encoder, text)
    return [text[start:end] for start, end in query.tokens.spans[content_tokens(query)].tolist()]


def test_the_matched_words_are_shown_in_the_order_of_the_passage() -> None:
    assert highlights(AXES[:, [6, 4]], TEXT, STARTS) == (Span(15, 21), Span(26, 32))
    assert shown(AXES[[6, 4]]) == ["bridge", "closed"]


def test_a_word_is_shown_whole_and_once_whichever_of_its_tokens_match() -> None:
    assert shown(AXES[[3]]) == ["well-known"]
    assert shown(AXES[[1, 2, 3]]) == ["well-known"]


def test_only_the_nearest_token_of_the_passage_is_shown() -> None:
    between = np.array([[0, 0, 0, 0, 0.8, 0, 0.6, 0]], dtype=np.float32)
    assert shown(between) == ["bridge"]


def test_what_is_only_the_least_far_is_not_shown() -> None:
    for cosine, expected in [(LEAST_COSINE + 0.01, ["bridge"]), (LEAST_COSINE - 0.01, [])]:
        far = np.zeros((1, 8), dtype=np.float32)
        far[0, 4] = cosine
        assert shown(far) == expected


def test_function_words_and_punctuation_are_not_shown() -> None:
    assert shown(AXES[[0, 5, 7]]) == []


def test_a_question_without_content_words_shows_nothing() -> None:
    assert highlights(AXES[:, :0], TEXT, STARTS) == ()


def test_a_passage_without_tokens_shows_nothing() -> None:
    assert shown(AXES[[4]], np.zeros((1, 8), np.float32), np.zeros(1, np.int32), "…") == []


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When was the bridge closed?", ["bridge", "closed"]),
        ("WHEN WAS THE BRIDGE?", ["BRIDGE"]),
        ("Who is it?", []),
        ("Does Müller’s office work?", ["Müller", "’", "s", "office", "work"]),
        ("東京 in 2024", ["東", "京", "202", "4"]),
        ("?! 👍", []),
    ],
)
def test_content_tokens_are_those_of_words_that_say_what_is_asked(
    encoder: Encoder, question: str, expected: list[str]
) -> None:
    assert content_words(encoder, question) == expected


def test_content_tokens_follow_the_tokens_not_the_words() -> None:
    tokens = Tokens(np.array([1, 2, 3], np.int32), np.array([[0, 3], [4, 6], [6, 10]], np.int32))
    vectors = np.zeros((3, 1), np.float32)
    question = QueryEncoding("the bridge", tokens, vectors[0], vectors, vectors[:, 0], "the bridge")
    assert content_tokens(question).tolist() == [False, True, True]
