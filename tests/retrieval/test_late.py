import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sourceline.encoding.encoder import Float32, unit
from sourceline.index.tokens import Gathered
from sourceline.retrieval.late import ROUNDING, maxsim, token_weights


def gathered(*passages: Float32 | list[list[float]]) -> Gathered:
    vectors = [np.asarray(passage, dtype=np.float32) for passage in passages]
    lengths = [len(one) for one in vectors]
    starts = np.cumsum([0, *lengths[:-1]])
    return Gathered(np.concatenate(vectors), np.zeros((sum(lengths), 2), np.int32), starts)


def floats(*values: float) -> Float32:
    return np.array(values, dtype=np.float32)


def naive(question: Float32, weights: Float32, passages: list[Float32]) -> list[float]:
    found = []
    for passage in passages:
        score = 0.0
        for token, weight in zip(question, weights, strict=True):
            score += float(weight) * max(float(np.dot(token, other)) for other in passage)
        found.append(score)
    return found


def test_each_token_counts_with_its_nearest_in_the_passage() -> None:
    question = np.array([[1, 0], [0, 1]], dtype=np.float32)
    passages = gathered([[1, 0], [0, 1]], [[0.6, 0.8]], [[-1, 0], [0, -1], [0.8, -0.6]])
    # .75·1 + .25·1; .75·.6 + .25·.8; .75·.8 + .25·0
    assert maxsim(question, floats(0.75, 0.25), passages) == pytest.approx(floats(1, 0.65, 0.6))


def test_a_passage_may_be_worse_than_nothing() -> None:
    assert maxsim(floats(1, 0)[None, :], floats(1), gathered([[-1, 0]])) == pytest.approx(floats(-1))


def test_a_passage_without_tokens_has_a_zero_vector_that_matches_nothing() -> None:
    assert maxsim(floats(1, 0)[None, :], floats(1), gathered([[0, 0]], [[1, 0]])) == pytest.approx(floats(0, 1))


@given(
    numbers=arrays.arrays(np.float32, (40, 6), elements=st.floats(-1, 1, width=32)),
    tokens=st.integers(1, 8),
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=4),
)
def test_it_equals_the_formula_in_two_loops(numbers: Float32, tokens: int, lengths: list[int]) -> None:
    vectors = unit(numbers)
    weights = token_weights(np.abs(numbers[:tokens, 0]))
    ends = np.cumsum(lengths)
    passages = [vectors[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    question = vectors[-tokens:]
    expected = naive(question, weights, passages)
    assert maxsim(question, weights, gathered(*passages)) == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize("copies", [2, 3, 7, 31, 64, 129])
@pytest.mark.parametrize("tokens", [1, 5, 9])
def test_equal_passages_score_equally_wherever_they_stand(copies: int, tokens: int) -> None:
    random = np.random.default_rng(copies)
    passage, other = (unit(random.normal(size=(n, 384)).astype(np.float32)) for n in (7, 3))
    question = unit(random.normal(size=(tokens, 384)).astype(np.float32))
    scores = maxsim(question, floats(*[1 / tokens] * tokens), gathered(*[passage, other] * copies))
    assert len(set(scores[::2].tolist())) == 1
    assert len(set(scores[1::2].tolist())) == 1


def test_scores_that_differ_by_more_than_rounding_stay_apart() -> None:
    near = [[1 - 3 * ROUNDING, 0.0], [1.0, 0.0], [1 - 0.4 * ROUNDING, 0.0], [1 - 6 * ROUNDING, 0.0]]
    scores = maxsim(floats(1, 0)[None, :], floats(1), gathered(*([one] for one in near)))
    assert scores.tolist() == pytest.approx([1 - 3e-6, 1, 1, 1 - 6e-6], abs=1e-7)
    assert scores[1] == scores[2]
    assert scores[1] > scores[0] > scores[3]


def test_weights_are_in_proportion_to_rarity_and_sum_to_one() -> None:
    assert token_weights(floats(1, 3, 4)) == pytest.approx(floats(0.125, 0.375, 0.5))
    assert token_weights(floats(2)) == pytest.approx(floats(1))


def test_tokens_that_are_in_every_passage_count_alike() -> None:
    assert token_weights(floats(0, 0, 0, 0)) == pytest.approx(floats(0.25, 0.25, 0.25, 0.25))
