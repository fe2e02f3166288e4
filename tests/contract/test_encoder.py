"""What every encoder promises, asked of each implementation with the same model and the same values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.encoders.base import Encoder, EncoderInput, Encoding, Float32, Tokens, l2_normalize
from sourceline.encoders.hub import find_model
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder, load_model
from sourceline.types import DEFAULT_MODEL, Backend
from tests.support.texts import texts

SENTENCES = (
    "What was decided about the bridge?",
    "Trust between the two nations has grown steadily over decades.",
    "The roof of the town hall is to be repaired before winter, at a cost of $3.1 million.",
    "Millions of pilgrims cross borders each year.",
    "Le café de Zoë est fermé le dimanche.",
    "Thank you.",
)


def encode(encoder: Encoder, text: str, prefix: str = "") -> Encoding:
    (encoding,) = encoder.encode([EncoderInput(text, prefix)])
    return encoding


def mean(vectors: Float32) -> Float32:
    return l2_normalize(vectors.mean(axis=0))


def covered(text: str, tokens: Tokens) -> list[str]:
    return [text[start:end] for start, end in tokens.spans.tolist()]


def assert_same_tokens(tokens: Tokens, expected: Tokens) -> None:
    np.testing.assert_array_equal(tokens.ids, expected.ids)
    np.testing.assert_array_equal(tokens.spans, expected.spans)


def test_an_encoder_says_what_it_is(any_encoder: Encoder) -> None:
    assert (any_encoder.model, any_encoder.dim, any_encoder.max_tokens) == (DEFAULT_MODEL, 384, 254)
    assert (any_encoder.vocabulary, any_encoder.unknown_id) == (30_522, 100)


def test_each_implementation_has_a_fingerprint_of_its_own(onnx_encoder: Encoder, torch_encoder: Encoder) -> None:
    assert onnx_encoder.fingerprint != torch_encoder.fingerprint


@pytest.mark.parametrize("text", SENTENCES)
def test_all_implementations_give_nearly_the_same_vectors(
    onnx_encoder: Encoder, torch_encoder: Encoder, text: str
) -> None:
    onnx, torch = encode(onnx_encoder, text), encode(torch_encoder, text)
    assert_same_tokens(onnx.tokens, torch.tokens)
    assert mean(onnx.vectors) @ mean(torch.vectors) >= 0.97
    assert np.median(np.sum(l2_normalize(onnx.vectors) * l2_normalize(torch.vectors), axis=1)) >= 0.95


@pytest.mark.parametrize(
    ("text", "other", "cosine"),
    [
        ("The talks lasted two hours.", "The discussion went on for two hours.", 0.70),
        ("The talks lasted two hours.", "A cat sleeps on the roof.", 0.01),
        ("What was decided about the bridge?", "The council voted for a new bridge.", 0.63),
    ],
)
def test_sentences_are_as_near_to_each_other_as_the_model_says(
    any_encoder: Encoder, text: str, other: str, cosine: float
) -> None:
    encodings = [encode(any_encoder, sentence) for sentence in (text, other)]
    assert mean(encodings[0].vectors) @ mean(encodings[1].vectors) == pytest.approx(cosine, abs=0.04)


def test_the_states_are_the_very_ones_that_sentence_transformers_pools(
    torch_encoder: SentenceTransformerEncoder,
) -> None:
    model, _, _ = load_model(find_model(DEFAULT_MODEL, Backend.TORCH).folder)
    for text in SENTENCES:
        states = model.encode(text, output_value="token_embeddings", show_progress_bar=False).cpu().numpy()
        np.testing.assert_allclose(mean(states), model.encode(text, show_progress_bar=False), atol=1e-6)
        np.testing.assert_array_equal(encode(torch_encoder, text).vectors, states[1:-1])


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
        ("The ﬁnal oﬃce, 12½", ["The", "ﬁnal", "oﬃce", ",", "12", "½"]),
    ],
)
def test_spans_are_the_words_in_the_text(any_encoder: Encoder, text: str, expected: list[str]) -> None:
    assert covered(text, any_encoder.tokenize(text)) == expected
    assert covered(text, encode(any_encoder, text).tokens) == expected
    assert covered(text, encode(any_encoder, text, "The minutes\n").tokens) == expected


def test_token_ids_are_those_of_the_models_vocabulary(any_encoder: Encoder) -> None:
    assert any_encoder.tokenize("The bridge opens.").ids.tolist() == [1996, 2958, 7480, 1012]


def test_ligatures_are_the_letters_that_they_are_made_of(any_encoder: Encoder) -> None:
    text = "ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ conﬁrmed"
    letters = any_encoder.tokenize("ff fi fl ffi ffl st st confirmed")
    assert any_encoder.tokenize(text).ids.tolist() == letters.ids.tolist()
    assert any_encoder.unknown_id not in letters.ids
    np.testing.assert_array_equal(encode(any_encoder, "The ﬁnal").vectors, encode(any_encoder, "The final").vectors)


@given(text=texts)
@settings(max_examples=100, deadline=None)
def test_spans_follow_the_text_and_never_hold_the_blanks_between_words(any_encoder: Encoder, text: str) -> None:
    tokens = any_encoder.tokenize(text)
    assert np.all(np.diff(tokens.spans, axis=0) >= 0)
    assert np.all((tokens.ids >= 0) & (tokens.ids < any_encoder.vocabulary))
    for word in covered(text, tokens):
        assert word
        assert not word[0].isspace()
        assert not word[-1].isspace()


@pytest.mark.parametrize("text", SENTENCES[:3])
def test_an_encoding_has_the_tokens_of_its_text_and_a_vector_for_each(any_encoder: Encoder, text: str) -> None:
    encoding = encode(any_encoder, text)
    assert_same_tokens(encoding.tokens, any_encoder.tokenize(text))
    assert encoding.vectors.shape == (len(encoding.tokens.ids), 384)
    assert encoding.vectors.dtype == np.float32


def test_a_text_does_not_depend_on_its_neighbours(any_encoder: Encoder) -> None:
    inputs = [EncoderInput(text) for text in SENTENCES]
    alone = [encode(any_encoder, text).vectors for text in SENTENCES]
    together = [encoding.vectors for encoding in any_encoder.encode(inputs)]
    backwards = [encoding.vectors for encoding in any_encoder.encode(inputs[::-1])][::-1]
    for vectors, among_others, in_another_order in zip(alone, together, backwards, strict=True):
        np.testing.assert_array_equal(vectors, among_others)
        np.testing.assert_array_equal(vectors, in_another_order)


def test_many_texts_come_in_order(any_encoder: Encoder) -> None:
    many = [f"Item {number} of the agenda." + " It was adopted." * (number % 7) for number in range(20)]
    encodings = list(any_encoder.encode([EncoderInput(text) for text in many]))
    assert len(encodings) == 20
    for text, encoding in zip(many, encodings, strict=True):
        assert_same_tokens(encoding.tokens, any_encoder.tokenize(text))


def test_no_texts_give_nothing(any_encoder: Encoder) -> None:
    assert list(any_encoder.encode([])) == []


@pytest.mark.parametrize("prefix", ["", "The minutes\n"])
def test_a_text_without_words_has_no_vectors(any_encoder: Encoder, prefix: str) -> None:
    for text in ("", " \n", "\u200b"):
        encoding = encode(any_encoder, text, prefix)
        assert encoding.tokens.ids.shape == (0,)
        assert encoding.tokens.spans.shape == (0, 2)
        assert encoding.vectors.shape == (0, 384)


def test_the_text_with_its_prefix_is_encoded_as_one_and_only_the_text_gets_vectors(any_encoder: Encoder) -> None:
    for text in SENTENCES:
        encoding = encode(any_encoder, text, "Minutes of the council\n")
        whole = encode(any_encoder, f"Minutes of the council\n{text}")
        assert_same_tokens(encoding.tokens, any_encoder.tokenize(text))
        np.testing.assert_array_equal(encoding.vectors, whole.vectors[4:])
        assert np.abs(encoding.vectors - encode(any_encoder, text).vectors).max() > 0.01


@given(text=texts)
@settings(max_examples=20, deadline=None)
def test_a_prefix_changes_no_token_of_any_text(any_encoder: Encoder, text: str) -> None:
    encoding = encode(any_encoder, text, "Minutes of the council\n")
    assert_same_tokens(encoding.tokens, any_encoder.tokenize(text))
    assert encoding.vectors.shape == (len(encoding.tokens.ids), 384)


def test_a_text_at_the_limit_is_encoded_in_one_pass(any_encoder: Encoder) -> None:
    encoding = encode(any_encoder, "yes " * 254)
    assert encoding.vectors.shape == (254, 384)
    # A window of the next longer text ends where this one does, but only half of what the windows share is taken of it.
    longer = encode(any_encoder, "yes " * 255)
    np.testing.assert_array_equal(longer.vectors[:222], encoding.vectors[:222])
    assert np.abs(longer.vectors[222:254] - encoding.vectors[222:]).max() > 0.01


@pytest.mark.parametrize("prefix", ["", "Minutes of the council\n"])
@pytest.mark.parametrize("words", [255, 500])
def test_a_text_over_the_limit_is_encoded_whole_in_windows(any_encoder: Encoder, words: int, prefix: str) -> None:
    text = " ".join(("bridge", "roof", "council")[number % 3] for number in range(words))
    encoding = encode(any_encoder, text, prefix)
    assert_same_tokens(encoding.tokens, any_encoder.tokenize(text))
    assert encoding.vectors.shape == (words, 384)
    assert np.isfinite(encoding.vectors).all()


@pytest.mark.parametrize("prefix", ["", "Minutes of the council\n"])
def test_the_first_window_of_a_long_text_gives_the_vectors_that_it_has_by_itself(
    any_encoder: Encoder, prefix: str
) -> None:
    text = "The council spoke of the bridge and of the roof. " * 30
    starts = any_encoder.tokenize(text).spans[:, 0]
    budget = 254 - len(any_encoder.tokenize(prefix).ids)
    first_window = text[: starts[budget]]
    kept = budget - budget // 4 + budget // 8
    expected = encode(any_encoder, first_window, prefix).vectors[:kept]
    np.testing.assert_array_equal(encode(any_encoder, text, prefix).vectors[:kept], expected)


@pytest.mark.parametrize(
    "text",
    [
        "대한민국은 민주공화국이다 " * 20,  # a syllable is several tokens that start at one character
        " ".join("qxzjkvwbfg"[number % 7 :] * 8 for number in range(20)),  # words of dozens of tokens
        "1.5,2.7;" * 80,
        "x" * 5_000,
        "e\u0301\u200d" * 2_000,
        "字" * 500,
        "https://example.org/?q=" + "a1b2c3d4e5" * 80,
        "| a cell " * 150,
    ],
)
def test_a_text_of_any_script_and_length_is_encoded_from_start_to_end(any_encoder: Encoder, text: str) -> None:
    encoding, tokens = encode(any_encoder, text), any_encoder.tokenize(text)
    assert np.all(np.diff(encoding.tokens.spans[:, 0]) >= 0)
    assert encoding.tokens.spans[0].tolist() == tokens.spans[0].tolist()
    assert encoding.tokens.spans[-1, 1] == tokens.spans[-1, 1]
    # Where a word is split between two windows, its pieces can be others than in the whole text.
    assert len(encoding.tokens.ids) == pytest.approx(len(tokens.ids), rel=0.05)
    assert encoding.vectors.shape == (len(encoding.tokens.ids), 384)
    assert np.isfinite(encoding.vectors).all()


@given(text=st.text(st.characters(categories=["L", "N", "P", "Z"]), max_size=40))
@settings(max_examples=15, deadline=None)
def test_the_same_text_gives_the_same_vectors(any_encoder: Encoder, text: str) -> None:
    np.testing.assert_array_equal(encode(any_encoder, text).vectors, encode(any_encoder, text).vectors)
