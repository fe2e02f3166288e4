import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings

from sourceline.encoders.base import Encoder, EncoderInput, Encoding, Tokens, l2_normalize
from sourceline.errors import QuestionError
from sourceline.search.query import (
    BACKGROUND_WEIGHT,
    QueryEncoding,
    encode_query,
    encode_query_once,
    validate_question,
)
from sourceline.types import MAX_QUESTION_CHARACTERS
from tests.support.texts import texts


def test_the_white_space_around_a_question_is_removed() -> None:
    assert validate_question(" \n\u3000Who came?\t") == "Who came?"


def test_a_question_of_the_greatest_length_is_accepted() -> None:
    assert validate_question("a" * MAX_QUESTION_CHARACTERS) == "a" * 2000


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
def test_a_question_that_cannot_be_asked_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(QuestionError) as error:
        validate_question(text)
    assert str(error.value) == reason


@pytest.mark.parametrize("text", ["\u200b", "\u00ad", "\x07", "\ufeff\u202e"])
def test_a_question_without_a_visible_character_is_refused(encoder: Encoder, text: str) -> None:
    with pytest.raises(QuestionError, match="the question holds no words"):
        encode_query(encoder, validate_question(text))


def test_a_question_is_encoded_as_any_text_and_scaled_to_length_one(encoder: Encoder) -> None:
    text = "Who met in Tehran?"
    query = encode_query(encoder, text)
    (encoding,) = encoder.encode([EncoderInput(text)])
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
    query, tokens = encode_query(encoder, text), encoder.tokenize(text)
    np.testing.assert_array_equal(query.tokens.ids, tokens.ids)
    np.testing.assert_array_equal(query.tokens.spans, tokens.spans)
    assert len(tokens.ids) == count > encoder.max_tokens
    assert np.linalg.norm(query.vectors, axis=1) == pytest.approx(np.ones(count))
    assert np.linalg.norm(query.vector) == pytest.approx(1)


def test_a_long_question_means_what_its_words_mean(encoder: Encoder) -> None:
    sentence, other = "How many pilgrims cross the border each year? ", "Which energy projects are there? "
    query = encode_query(encoder, sentence * 40)
    near, far = (encode_query(encoder, text).vector for text in (sentence, other))
    assert query.vector @ near > query.vector @ far + 0.3


def tokens_by_weight(encoder: Encoder, text: str) -> dict[str, list[str]]:
    """Return the tokens of the question by their weight."""
    query = encode_query(encoder, text)
    tokens: dict[str, list[str]] = {}
    for (start, end), weight in zip(query.tokens.spans.tolist(), query.token_weights.tolist(), strict=True):
        tokens.setdefault(f"{weight:.3f}", []).append(text[start:end])
    return tokens


@pytest.mark.parametrize(
    "text", ["Who met?", "Who met in U.S. offices?", "Name the bridge.", "It rained. It snowed.", "?"]
)
def test_all_of_a_text_asks_if_it_is_one_question_or_has_no_question_mark(encoder: Encoder, text: str) -> None:
    query = encode_query(encoder, text)
    assert set(query.token_weights.tolist()) == {1}
    assert query.question_part == text


def test_sentences_before_a_question_weigh_less_and_are_not_part_of_it(encoder: Encoder) -> None:
    text = "It rained. Who met in Tehran?"
    assert encode_query(encoder, text).question_part == "Who met in Tehran?"
    assert tokens_by_weight(encoder, text) == {
        "0.200": ["It", "rained", "."],
        "1.000": ["Who", "met", "in", "Tehran", "?"],
    }


def test_the_background_weighs_at_most_a_fifth_of_what_asks_however_long_it_is(encoder: Encoder) -> None:
    text = "It rained and it rained. It rained again. Who met?"
    assert encode_query(encoder, text).question_part == "Who met?"
    tokens = tokens_by_weight(encoder, text)
    assert {weight: len(texts) for weight, texts in tokens.items()} == {"0.060": 10, "1.000": 3}
    assert f"{BACKGROUND_WEIGHT * 3 / 10:.3f}" == "0.060"


def test_several_questions_weigh_the_same_wherever_they_stand(encoder: Encoder) -> None:
    text = "Who met? It rained. “Where, in Tehran?” Thank you."
    assert encode_query(encoder, text).question_part == "Who met? “Where, in Tehran?”"
    assert tokens_by_weight(encoder, text) == {
        "1.000": ["Who", "met", "?", "“", "Where", ",", "in", "Tehran", "?", "”"],
        "0.200": ["It", "rained", ".", "Thank", "you", "."],
    }


def test_the_vector_of_a_question_is_the_weighted_mean_of_its_tokens(encoder: Encoder) -> None:
    text = "It rained. Who met in Tehran?"
    (encoding,) = encoder.encode([EncoderInput(text)])
    weights = np.array([0.2] * 3 + [1] * 5, dtype=np.float32)[:, None]
    expected = l2_normalize((weights * encoding.vectors).sum(axis=0))
    assert encode_query(encoder, text).vector == pytest.approx(expected, abs=1e-6)


def test_tokens_that_the_model_does_not_know_weigh_nothing(encoder: Encoder) -> None:
    assert tokens_by_weight(encoder, "Is the 🧪 lab 🚀 closed?") == {
        "1.000": ["Is", "the", "lab", "closed", "?"],
        "0.000": ["🧪", "🚀"],
    }
    query, without = encode_query(encoder, "Is the 🧪 lab closed?"), encode_query(encoder, "Is the lab closed?")
    assert (query.has_words, without.has_words) == (True, True)
    (encoding,) = encoder.encode([EncoderInput(query.text)])
    assert query.vector == pytest.approx(l2_normalize(encoding.vectors[[0, 1, 3, 4, 5]].sum(axis=0)), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "has_words"),
    [
        ("👍", False),
        ("👍?", False),
        ("?!…", False),
        ("q" * 101, False),
        ("q" * 100, True),
        ("👍 7", True),
        ("東京", True),
        ("𐎀𐎁", False),  # Ugaritic
        ("[UNK]", False),
    ],
)
def test_a_question_may_hold_no_word_that_the_model_knows(encoder: Encoder, text: str, has_words: bool) -> None:
    query = encode_query(encoder, text)
    assert query.has_words is has_words
    if not has_words:
        assert set(query.token_weights.tolist()) == {1}


def test_three_hundred_words_ask_what_their_last_sentence_asks(encoder: Encoder) -> None:
    background = "The council met in the town hall and spoke of the roof. " * 24
    question = "How many pilgrims cross the border each year?"
    query, alone = encode_query(encoder, background + question), encode_query(encoder, question)
    assert len((background + question).split()) == 24 * 12 + 8
    assert len(query.tokens.ids) > encoder.max_tokens
    assert query.question_part == question
    assert int((query.token_weights == 1).sum()) == len(alone.tokens.ids)
    background_weight = float(query.token_weights[query.token_weights < 1].sum())
    assert background_weight == pytest.approx(BACKGROUND_WEIGHT * len(alone.tokens.ids))
    assert query.vector @ alone.vector > 0.7


@given(text=texts.map(lambda text: (text * 20)[:MAX_QUESTION_CHARACTERS]))
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
    assert 0 <= query.token_weights.min() <= query.token_weights.max() <= 1
    assert query.token_weights.max() > 0
    assert query.question_part


class HaltedEncoder:
    """An encoder that waits before it encodes the question "Who?", and notes what is encoded."""

    model = "halted"

    def __init__(self, encoder: Encoder, error: Exception | None = None) -> None:
        self._encoder, self._error = encoder, error
        self.dim, self.max_tokens, self.vocabulary = encoder.dim, encoder.max_tokens, encoder.vocabulary
        self.unknown_id = encoder.unknown_id
        self.encoded: list[str] = []
        self.callers = 0
        self.go_on = threading.Event()

    @property
    def fingerprint(self) -> str:
        self.callers += 1
        return "halted"

    def tokenize(self, text: str) -> Tokens:
        return self._encoder.tokenize(text)

    def encode(self, inputs: Sequence[EncoderInput]) -> Iterator[Encoding]:
        texts = [item.text for item in inputs]
        self.encoded += texts
        if "Who?" in texts:
            assert self.go_on.wait(60)
            if self._error:
                raise self._error
        return self._encoder.encode(inputs)


def ask_at_once(halted: HaltedEncoder, pool: ThreadPoolExecutor) -> list[Future[QueryEncoding]]:
    """Let sixteen threads ask the same; meanwhile ask something else; then let the encoder go on."""
    futures = [pool.submit(encode_query_once, halted, "Who?") for _ in range(16)]
    while halted.callers < 16:
        time.sleep(0.01)
    time.sleep(0.1)  # from reading the fingerprint to waiting
    assert np.array_equal(encode_query_once(halted, "Where?").vectors, encode_query(halted, "Where?").vectors)
    halted.go_on.set()
    return futures


def test_a_question_that_many_ask_at_once_is_encoded_once_and_other_questions_do_not_wait(encoder: Encoder) -> None:
    halted = HaltedEncoder(encoder)
    with ThreadPoolExecutor(16) as pool:
        queries = [future.result() for future in ask_at_once(halted, pool)]
    assert halted.encoded.count("Who?") == 1
    assert all(query is queries[0] for query in queries)
    assert np.array_equal(queries[0].vectors, encode_query(encoder, "Who?").vectors)


def test_all_who_wait_for_a_question_get_its_error_and_the_next_is_encoded_anew(encoder: Encoder) -> None:
    error = MemoryError("no room")
    halted = HaltedEncoder(encoder, error)
    with ThreadPoolExecutor(16) as pool:
        assert [future.exception() for future in ask_at_once(halted, pool)] == [error] * 16
    assert halted.encoded.count("Who?") == 1
    for _ in range(2):
        with pytest.raises(MemoryError, match="no room"):
            encode_query_once(halted, "Who?")
    assert halted.encoded.count("Who?") == 3
    with pytest.raises(QuestionError, match="the question holds no words"):
        encode_query_once(halted, "\u200b")
