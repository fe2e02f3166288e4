import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings

from sourceline.encoders.base import Encoder, Encoding, Tokens, l2_normalize
from sourceline.errors import QuestionError
from sourceline.search.query import (
    MAX_CHARACTERS,
    TOLD,
    QueryEncoding,
    encode_once,
    encode_query,
    validate_question,
)
from tests.texts import texts


def test_the_white_space_around_a_question_is_left_out() -> None:
    assert validate_question(" \n\u3000Who came?\t") == "Who came?"


def test_a_question_at_the_limit_is_asked() -> None:
    assert validate_question("a" * MAX_CHARACTERS) == "a" * 2000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the question is empty"),
        (" \n\t\u3000\u2028\x1f", "the question is empty"),
        ("a" * 2001, "the question has 2,001 characters; at most 2,000 are answered"),
        (" " * 100_000, "the question has 100,000 characters; at most 2,000 are answered"),
        ("Who\0came?", "the question holds a NUL character"),
        ("Who \ud83d came?", "the question holds half of a surrogate pair at character 4"),
        ("\udc80", "the question holds half of a surrogate pair at character 0"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(QuestionError) as error:
        validate_question(text)
    assert str(error.value) == reason


@pytest.mark.parametrize("text", ["\u200b", "\u00ad", "\x07", "\ufeff\u202e"])
def test_a_question_without_a_visible_character_is_refused(encoder: Encoder, text: str) -> None:
    with pytest.raises(QuestionError, match="the question holds no words"):
        encode_query(encoder, validate_question(text))


def test_a_short_question_is_encoded_in_one_pass(encoder: Encoder) -> None:
    text = "Who met in Tehran?"
    query = encode_query(encoder, text)
    (encoding,) = encoder.encode([text])
    np.testing.assert_array_equal(query.tokens.ids, encoding.tokens.ids)
    assert [text[start:end] for start, end in query.tokens.spans.tolist()] == ["Who", "met", "in", "Tehran", "?"]
    np.testing.assert_array_equal(query.vectors, l2_normalize(encoding.vectors))
    assert query.vector == pytest.approx(l2_normalize(encoding.vectors.mean(axis=0)), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("What did the committee decide about the budget for roads and schools? " * 28, 364),
        (("東京都の予算はいくらですか" * 154)[:2000], 2000),
        ("東" * 2000, 2000),
        (". " * 1000, 1000),
        ("ما هي الميزانية؟ " * 117, 1521),
    ],
)
def test_a_question_over_the_models_limit_keeps_every_token_once(encoder: Encoder, text: str, count: int) -> None:
    text = validate_question(text)
    query, whole = encode_query(encoder, text), encoder.tokenize(text)
    np.testing.assert_array_equal(query.tokens.ids, whole.ids)
    np.testing.assert_array_equal(query.tokens.spans, whole.spans)
    assert len(whole.ids) == count > encoder.limit
    assert np.linalg.norm(query.vectors, axis=1) == pytest.approx(np.ones(count))
    assert np.linalg.norm(query.vector) == pytest.approx(1)


def test_a_long_question_means_what_its_words_mean(encoder: Encoder) -> None:
    sentence, other = "How many pilgrims cross the border each year? ", "Which energy projects are there? "
    query = encode_query(encoder, sentence * 40)
    near, far = (encode_query(encoder, text).vector for text in (sentence, other))
    assert query.vector @ near > query.vector @ far + 0.3


def stressed(encoder: Encoder, text: str) -> dict[str, list[str]]:
    """Return the tokens of the question by how much they count, and under "asks" what is searched for by words."""
    query = encode_query(encoder, text)
    counts: dict[str, list[str]] = {"asks": [query.asking]}
    for (start, end), count in zip(query.tokens.spans.tolist(), query.token_weights.tolist(), strict=True):
        counts.setdefault(f"{count:.3f}", []).append(text[start:end])
    return counts


@pytest.mark.parametrize(
    "text", ["Who met?", "Who met in U.S. offices?", "Name the bridge.", "It rained. It snowed.", "?"]
)
def test_all_of_a_question_asks_that_is_nothing_else(encoder: Encoder, text: str) -> None:
    query = encode_query(encoder, text)
    assert set(query.token_weights.tolist()) == {1}
    assert query.asking == text


def test_what_is_told_before_a_question_counts_for_less(encoder: Encoder) -> None:
    assert stressed(encoder, "It rained. Who met in Tehran?") == {
        "asks": ["Who met in Tehran?"],
        "0.200": ["It", "rained", "."],
        "1.000": ["Who", "met", "in", "Tehran", "?"],
    }


def test_what_is_told_counts_together_for_a_fifth_of_what_asks_at_most(encoder: Encoder) -> None:
    text = "It rained and it rained. It rained again. Who met?"
    found = stressed(encoder, text)
    assert found["asks"] == ["Who met?"]
    # Three tokens ask, ten are told.
    assert {count: len(tokens) for count, tokens in found.items() if count != "asks"} == {"0.060": 10, "1.000": 3}
    assert f"{TOLD * 3 / 10:.3f}" == "0.060"


def test_several_questions_ask_alike_wherever_they_stand(encoder: Encoder) -> None:
    assert stressed(encoder, "Who met? It rained. “Where, in Tehran?” Thank you.") == {
        "asks": ["Who met? “Where, in Tehran?”"],
        "1.000": ["Who", "met", "?", "“", "Where", ",", "in", "Tehran", "?", "”"],
        "0.200": ["It", "rained", ".", "Thank", "you", "."],
    }


def test_the_vector_is_the_mean_of_the_tokens_as_they_count(encoder: Encoder) -> None:
    text = "It rained. Who met in Tehran?"
    (encoding,) = encoder.encode([text])
    counts = np.array([0.2] * 3 + [1] * 5, dtype=np.float32)[:, None]
    assert encode_query(encoder, text).vector == pytest.approx(
        l2_normalize((counts * encoding.vectors).sum(axis=0)), abs=1e-6
    )


def test_a_question_of_three_hundred_words_asks_what_its_last_sentence_asks(encoder: Encoder) -> None:
    told = "The council met in the town hall and spoke of the roof. " * 24
    question = "How many pilgrims cross the border each year?"
    query, alone = encode_query(encoder, told + question), encode_query(encoder, question)
    assert len((told + question).split()) == 24 * 12 + 8
    assert len(query.tokens.ids) > encoder.limit
    assert query.asking == question
    assert int((query.token_weights == 1).sum()) == len(alone.tokens.ids)
    assert float(query.token_weights[query.token_weights < 1].sum()) == pytest.approx(TOLD * len(alone.tokens.ids))
    assert query.vector @ alone.vector > 0.7


@given(text=texts.map(lambda text: (text * 20)[:MAX_CHARACTERS]))
@settings(max_examples=25, deadline=None)
def test_any_text_is_encoded_or_refused(encoder: Encoder, text: str) -> None:
    try:
        query = encode_query(encoder, validate_question(text))
    except QuestionError:
        return
    assert len(query.tokens.ids) == len(query.tokens.spans) == len(query.vectors) > 0
    assert np.all(np.diff(query.tokens.spans[:, 0]) >= 0)
    assert np.isfinite(query.vectors).all()
    assert len(query.token_weights) == len(query.vectors)
    assert query.token_weights.max() == 1
    assert query.token_weights.min() > 0
    assert query.asking


class Halted:
    """An encoder that keeps the question "Who?" until it is told to go on, and notes who asked and what it encoded."""

    model = "halted"

    def __init__(self, encoder: Encoder, error: Exception | None = None) -> None:
        self._encoder, self._error = encoder, error
        self.dim, self.limit, self.vocabulary = encoder.dim, encoder.limit, encoder.vocabulary
        self.encoded: list[str] = []
        self.query = 0
        self.go_on = threading.Event()

    @property
    def fingerprint(self) -> str:
        self.query += 1
        return "halted"

    def tokenize(self, text: str) -> Tokens:
        return self._encoder.tokenize(text)

    def encode(self, texts: Sequence[str]) -> Iterator[Encoding]:
        self.encoded += texts
        if "Who?" in texts:
            assert self.go_on.wait(60)
            if self._error:
                raise self._error
        return self._encoder.encode(texts)


def ask_at_once(halted: Halted, pool: ThreadPoolExecutor) -> list[Future[QueryEncoding]]:
    """Let sixteen ask the same, and go on when all have."""
    waiting = [pool.submit(encode_once, halted, "Who?") for _ in range(16)]
    while halted.query < 16:
        time.sleep(0.01)
    time.sleep(0.1)  # from having asked for the fingerprint to waiting
    assert np.array_equal(encode_once(halted, "Where?").vectors, encode_query(halted, "Where?").vectors)
    halted.go_on.set()
    return waiting


def test_the_same_question_asked_by_many_at_once_is_encoded_once_and_others_do_not_wait(encoder: Encoder) -> None:
    halted = Halted(encoder)
    with ThreadPoolExecutor(16) as pool:
        found = [waiting.result() for waiting in ask_at_once(halted, pool)]
    assert halted.encoded.count("Who?") == 1
    assert all(one is found[0] for one in found)
    assert np.array_equal(found[0].vectors, encode_query(encoder, "Who?").vectors)


def test_all_who_wait_are_told_the_error_and_the_next_is_encoded_anew(encoder: Encoder) -> None:
    error = MemoryError("no room")
    halted = Halted(encoder, error)
    with ThreadPoolExecutor(16) as pool:
        assert [waiting.exception() for waiting in ask_at_once(halted, pool)] == [error] * 16
    assert halted.encoded.count("Who?") == 1
    for _ in range(2):
        with pytest.raises(MemoryError, match="no room"):
            encode_once(halted, "Who?")
    assert halted.encoded.count("Who?") == 3
    with pytest.raises(QuestionError, match="the question holds no words"):
        encode_once(halted, "\u200b")
