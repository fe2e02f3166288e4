import numpy as np
import pytest

from sourceline.encoders.base import Encoder, Float32, Int32, Tokens
from sourceline.search.highlights import MIN_COSINE, content_tokens, highlights
from sourceline.search.query import QueryEncoding, encode_query
from sourceline.types import Span

TEXT = "The well-known bridge was closed."
STARTS = np.array([0, 4, 8, 9, 15, 22, 26, 32], dtype=np.int32)
AXES = np.eye(len(STARTS), dtype=np.float32)  # each token of the passage is like itself alone


def highlighted(question: Float32, vectors: Float32 = AXES, starts: Int32 = STARTS, text: str = TEXT) -> list[str]:
    return [text[span.start : span.end] for span in highlights(vectors @ question.T, text, starts)]


def content_words(encoder: Encoder, text: str) -> list[str]:
    query = encode_query(encoder, text)
    return [text[start:end] for start, end in query.tokens.spans[content_tokens(query)].tolist()]


def test_matched_words_are_highlighted_in_the_order_of_the_passage() -> None:
    assert highlights(AXES[:, [6, 4]], TEXT, STARTS) == (Span(15, 21), Span(26, 32))
    assert highlighted(AXES[[6, 4]]) == ["bridge", "closed"]


def test_a_word_is_highlighted_whole_and_once_whichever_of_its_tokens_match() -> None:
    assert highlighted(AXES[[3]]) == ["well-known"]
    assert highlighted(AXES[[1, 2, 3]]) == ["well-known"]


def test_only_the_word_nearest_to_a_token_of_the_question_is_highlighted() -> None:
    between = np.array([[0, 0, 0, 0, 0.8, 0, 0.6, 0]], dtype=np.float32)
    assert highlighted(between) == ["bridge"]


def test_a_nearest_word_that_is_far_is_not_highlighted() -> None:
    for cosine, expected in [(MIN_COSINE + 0.01, ["bridge"]), (MIN_COSINE - 0.01, [])]:
        far = np.zeros((1, 8), dtype=np.float32)
        far[0, 4] = cosine
        assert highlighted(far) == expected


def test_function_words_and_punctuation_are_not_highlighted() -> None:
    assert highlighted(AXES[[0, 5, 7]]) == []


def test_a_question_without_content_words_highlights_nothing() -> None:
    assert highlights(AXES[:, :0], TEXT, STARTS) == ()


def test_a_passage_without_tokens_has_no_highlights() -> None:
    assert highlighted(AXES[[4]], np.zeros((1, 8), np.float32), np.zeros(1, np.int32), "…") == []


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
def test_content_tokens_are_those_of_words_that_say_what_is_asked_about(
    encoder: Encoder, question: str, expected: list[str]
) -> None:
    assert content_words(encoder, question) == expected


def test_content_tokens_follow_the_tokens_not_the_words() -> None:
    tokens = Tokens(np.array([1, 2, 3], np.int32), np.array([[0, 3], [4, 6], [6, 10]], np.int32))
    vectors = np.zeros((3, 1), np.float32)
    question = QueryEncoding("the bridge", tokens, vectors[0], vectors, vectors[:, 0], "the bridge")
    assert content_tokens(question).tolist() == [False, True, True]
