import numpy as np
import pytest

from sourceline.encoders.base import Encoder, Tokens, TooLongError, l2_normalize, require_fit, token_counter


def tokens(count: int) -> Tokens:
    return Tokens(np.arange(count, dtype=np.int32), np.zeros((count, 2), np.int32))


def test_vectors_are_scaled_to_length_one_and_a_zero_vector_stays_zero() -> None:
    vectors = np.array([[3, 4], [0, 0], [0, -2]], dtype=np.float32)
    assert l2_normalize(vectors) == pytest.approx(np.array([[0.6, 0.8], [0, 0], [0, -1]]))
    assert l2_normalize(vectors[0]) == pytest.approx(np.array([0.6, 0.8]))
    assert l2_normalize(vectors).dtype == np.float32


def test_more_tokens_than_the_limit_are_refused() -> None:
    require_fit(tokens(7), 7)
    with pytest.raises(TooLongError, match="a text of 8 tokens is over the model's limit of 7"):
        require_fit(tokens(8), 7)


def test_tokens_of_a_stretch_are_counted_as_if_it_stood_alone(encoder: Encoder) -> None:
    count = token_counter(encoder, "The photosynthesis.")
    assert (count(0, 19), count(0, 3), count(3, 19), count(4, 4)) == (5, 1, 4, 0)
    assert count(4, 8) == 2  # "ph" and "ot", though "photo" is one
