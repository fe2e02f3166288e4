"""What every encoder promises, asked of each implementation with the same model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.encoders.base import Encoder, Float32, Tokens, TooLongError, l2_normalize
from sourceline.encoders.hub import find_model
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder, load
from sourceline.types import DEFAULT_MODEL
from tests.texts import texts

SENTENCES = (
    "What was decided about the bridge?",
    "Trust between the two nations has grown steadily over decades.",
    "The roof of the town hall is to be repaired before winter, at a cost of $3.1 million.",
    "Millions of pilgrims cross borders each year.",
    "Le café de Zoë est fermé le dimanche.",
    "Thank you.",
)


def mean(vectors: Float32) -> Float32:
    return l2_normalize(vectors.mean(axis=0))


def words(text: str, tokens: Tokens) -> list[str]:
    return [text[start:end] for start, end in tokens.spans.tolist()]


def test_says_what_it_is(each: Encoder) -> None:
    assert (each.model, each.dim, each.limit) == (DEFAULT_MODEL, 384, 254)


def test_both_have_fingerprints_of_their_own(encoder: Encoder, reference: SentenceTransformerEncoder) -> None:
    assert encoder.fingerprint != reference.fingerprint


@pytest.mark.parametrize("text", SENTENCES)
def test_both_give_nearly_the_same_vectors(encoder: Encoder, reference: SentenceTransformerEncoder, text: str) -> None:
    (ours,), (theirs,) = encoder.encode([text]), reference.encode([text])
    np.testing.assert_array_equal(ours.tokens.ids, theirs.tokens.ids)
    np.testing.assert_array_equal(ours.tokens.spans, theirs.tokens.spans)
    assert mean(ours.vectors) @ mean(theirs.vectors) >= 0.97
    assert np.median(np.sum(l2_normalize(ours.vectors) * l2_normalize(theirs.vectors), axis=1)) >= 0.95


def test_sentences_of_one_meaning_are_nearer_than_others(each: Encoder) -> None:
    texts = ["The talks lasted two hours.", "The discussion went on for two hours.", "A cat sleeps on the roof."]
    talks, discussion, cat = (mean(encoding.vectors) for encoding in each.encode(texts))
    assert talks @ discussion > talks @ cat + 0.4


@pytest.mark.parametrize("text", SENTENCES)
def test_reference_gives_the_very_states_that_sentence_transformers_pools(
    reference: SentenceTransformerEncoder, text: str
) -> None:
    model, _, _ = load(find_model(DEFAULT_MODEL).folder)
    states = model.encode(text, output_value="token_embeddings", show_progress_bar=False).cpu().numpy()
    np.testing.assert_allclose(mean(states), model.encode(text, show_progress_bar=False), atol=1e-6)
    (encoding,) = reference.encode([text])
    np.testing.assert_array_equal(encoding.vectors, states[1:-1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Dr. left.", ["The", "Dr", ".", "left", "."]),
        ("Zoë’s café", ["Zoë", "’", "s", "café"]),
        ("東京 2024年", ["東", "京", "202", "4", "年"]),
        ("Stop 👍🏽 now", ["Stop", "👍🏽", "now"]),
        ("a\u00a0b\u200bc\td", ["a", "b\u200bc", "d"]),
        ("  \n ends \n", ["ends"]),
        ("cafe\u0301 now", ["cafe", "now"]),
    ],
)
def test_spans_are_the_words_in_the_text(each: Encoder, text: str, expected: list[str]) -> None:
    (encoding,) = each.encode([text])
    assert words(text, encoding.tokens) == expected
    assert words(text, each.tokenize(text)) == expected


@given(text=texts)
@settings(max_examples=100, deadline=None)
def test_spans_follow_the_text_and_never_hold_its_blanks(each: Encoder, text: str) -> None:
    spans = each.tokenize(text).spans
    assert np.all(np.diff(spans, axis=0) >= 0)
    for word in words(text, each.tokenize(text)):
        assert word
        assert not word[0].isspace()
        assert not word[-1].isspace()


@pytest.mark.parametrize("text", SENTENCES[:3])
def test_encoding_tells_the_tokens_that_tokenize_tells(each: Encoder, text: str) -> None:
    (encoding,) = each.encode([text])
    np.testing.assert_array_equal(encoding.tokens.ids, each.tokenize(text).ids)
    assert encoding.vectors.shape == (len(encoding.tokens.ids), each.dim)
    assert encoding.vectors.dtype == np.float32


def test_a_text_does_not_depend_on_its_neighbours(each: Encoder) -> None:
    alone = [next(iter(each.encode([text]))).vectors for text in SENTENCES]
    together = [encoding.vectors for encoding in each.encode(SENTENCES)]
    backwards = [encoding.vectors for encoding in each.encode(SENTENCES[::-1])][::-1]
    for one, other, third in zip(alone, together, backwards, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)


def test_many_texts_come_in_order(each: Encoder) -> None:
    many = [f"Item {number} of the agenda." + " It was adopted." * (number % 7) for number in range(20)]
    encodings = list(each.encode(many))
    assert len(encodings) == 20
    for text, encoding in zip(many, encodings, strict=True):
        np.testing.assert_array_equal(encoding.tokens.ids, each.tokenize(text).ids)


def test_no_texts_give_nothing(each: Encoder) -> None:
    assert list(each.encode([])) == []


def test_a_text_without_words_has_no_vectors(each: Encoder) -> None:
    for encoding in each.encode(["", " \n", "\u200b"]):
        assert encoding.tokens.ids.shape == (0,)
        assert encoding.tokens.spans.shape == (0, 2)
        assert encoding.vectors.shape == (0, 384)


def test_a_text_at_the_limit_is_encoded_whole(each: Encoder) -> None:
    (encoding,) = each.encode(["yes " * each.limit])
    assert encoding.vectors.shape == (each.limit, 384)


@pytest.mark.parametrize("beside", [(), ("Thank you.",)])
def test_a_text_over_the_limit_is_refused_not_cut(each: Encoder, beside: tuple[str, ...]) -> None:
    with pytest.raises(TooLongError, match="a text of 255 tokens is over the model's limit of 254"):
        list(each.encode([*beside, "yes " * (each.limit + 1)]))


def test_a_text_of_any_length_is_tokenized(each: Encoder) -> None:
    assert words("yes " * 1000, each.tokenize("yes " * 1000)) == ["yes"] * 1000


@given(text=st.text(st.characters(categories=["L", "N", "P", "Z"]), max_size=40))
@settings(max_examples=15, deadline=None)
def test_the_same_text_gives_the_same_vectors(each: Encoder, text: str) -> None:
    (one,), (other,) = each.encode([text]), each.encode([text])
    np.testing.assert_array_equal(one.vectors, other.vectors)
