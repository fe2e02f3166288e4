import numpy as np
import pytest
from hypothesis import given, settings

from sourceline.encoding.encoder import Encoder, unit
from sourceline.errors import QuestionError
from sourceline.retrieval.question import MAX_CHARACTERS, check_question, encode_question
from tests.texts import texts


def test_the_white_space_around_a_question_is_left_out() -> None:
    assert check_question(" \n\u3000Who came?\t") == "Who came?"


def test_a_question_at_the_limit_is_asked() -> None:
    assert check_question("a" * MAX_CHARACTERS) == "a" * 2000


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
        check_question(text)
    assert str(error.value) == reason


@pytest.mark.parametrize("text", ["\u200b", "\u00ad", "\x07", "\ufeff\u202e"])
def test_a_question_without_a_visible_character_is_refused(encoder: Encoder, text: str) -> None:
    with pytest.raises(QuestionError, match="the question holds no words"):
        encode_question(encoder, check_question(text))


def test_a_short_question_is_encoded_in_one_pass(encoder: Encoder) -> None:
    text = "Who met in Tehran?"
    asked = encode_question(encoder, text)
    (encoding,) = encoder.encode([text])
    np.testing.assert_array_equal(asked.tokens.ids, encoding.tokens.ids)
    assert [text[start:end] for start, end in asked.tokens.spans.tolist()] == ["Who", "met", "in", "Tehran", "?"]
    np.testing.assert_array_equal(asked.vectors, unit(encoding.vectors))
    np.testing.assert_array_equal(asked.vector, unit(encoding.vectors.mean(axis=0)))


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
    text = check_question(text)
    asked, whole = encode_question(encoder, text), encoder.tokenize(text)
    np.testing.assert_array_equal(asked.tokens.ids, whole.ids)
    np.testing.assert_array_equal(asked.tokens.spans, whole.spans)
    assert len(whole.ids) == count > encoder.limit
    assert np.linalg.norm(asked.vectors, axis=1) == pytest.approx(np.ones(count))
    assert np.linalg.norm(asked.vector) == pytest.approx(1)


def test_a_long_question_means_what_its_words_mean(encoder: Encoder) -> None:
    sentence, other = "How many pilgrims cross the border each year? ", "Which energy projects are there? "
    asked = encode_question(encoder, sentence * 40)
    near, far = (encode_question(encoder, text).vector for text in (sentence, other))
    assert asked.vector @ near > asked.vector @ far + 0.3


@given(text=texts.map(lambda text: (text * 20)[:MAX_CHARACTERS]))
@settings(max_examples=25, deadline=None)
def test_any_text_is_encoded_or_refused(encoder: Encoder, text: str) -> None:
    try:
        asked = encode_question(encoder, check_question(text))
    except QuestionError:
        return
    assert len(asked.tokens.ids) == len(asked.tokens.spans) == len(asked.vectors) > 0
    assert np.all(np.diff(asked.tokens.spans[:, 0]) >= 0)
    assert np.isfinite(asked.vectors).all()
