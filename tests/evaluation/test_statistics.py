import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from sourceline.evaluation.metrics import Bin, auc, intervals, reliability, risks, trust
from tests.evaluation.outcomes import asked


def test_an_interval_holds_its_mean_and_is_the_same_each_time() -> None:
    values = np.array([[1, 0.5], [0, 0.25], [1, 0.75], [1, 1]])
    first, second = intervals(values)
    assert (first.mean, second.mean) == (0.75, 0.625)
    assert 0 <= first.low < first.mean < first.high <= 1
    assert 0.25 <= second.low < second.mean < second.high <= 1
    assert intervals(values) == [first, second]


def test_equal_values_have_no_width() -> None:
    (figure,) = intervals(np.full((7, 1), 0.5))
    assert (figure.mean, figure.low, figure.high) == pytest.approx((0.5, 0.5, 0.5))


def test_columns_are_resampled_alike() -> None:
    values = np.random.default_rng(1).random((50, 1))
    once, twice = intervals(np.hstack([values, 2 * values]))
    assert (twice.mean, twice.low, twice.high) == pytest.approx((2 * once.mean, 2 * once.low, 2 * once.high))


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).integers(0, 2, 400).astype(float)
    random = np.random.default_rng(0)
    found = bootstrap((values,), np.mean, n_resamples=2000, batch=50, method="percentile", rng=random)
    (figure,) = intervals(values[:, None])
    assert (figure.low, figure.high) == pytest.approx(tuple(found.confidence_interval))


@pytest.mark.parametrize(
    ("yes", "no", "expected"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.1], [0.9], 0.0),
        ([0.5], [0.5], 0.5),
        ([0.7, 0.3], [0.5, 0.1], 0.75),  # .7 > .5, .7 > .1, .3 > .1, but .3 < .5
        ([0.5, 0.5], [0.5, 0.1], 0.75),  # two ties, twice greater
        ([0.6, 0.4, 0.4], [0.4, 0.4, 0.6, 0.2], 7.5 / 12),  # 3.5 for .6, 2 for each .4
        ([0.5], [], None),
        ([], [0.5], None),
    ],
)
def test_auc_is_the_share_of_pairs_in_the_right_order_with_ties_as_halves(
    yes: list[float], no: list[float], expected: float | None
) -> None:
    found = auc([*(asked(1, one) for one in yes), *(asked(None, one) for one in no)])
    assert found == (None if expected is None else pytest.approx(expected))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=20))
def test_auc_equals_the_count_over_all_pairs(values: list[tuple[bool, int]]) -> None:
    pairs = [(one, other) for yes, one in values if yes for no, other in values if not no]
    expected = sum((one > other) + (one == other) / 2 for one, other in pairs) / len(pairs) if pairs else None
    found = auc([asked(0 if answerable else None, confidence / 5) for answerable, confidence in values])
    assert found == (None if expected is None else pytest.approx(expected))


def test_questions_of_one_tenth_of_confidence_share_a_bin() -> None:
    found = reliability([asked(1, 0.92), asked(0, 0.98), asked(1, 1.0), asked(None, 0.0), asked(1, 0.1)])
    assert [one.count for one in found] == [1, 1, 3]
    assert found[:2] == [Bin(1, 0.0, 0.0), Bin(1, 0.1, 1.0)]
    assert (found[2].confidence, found[2].right) == pytest.approx((2.9 / 3, 2 / 3))


def test_trust_by_hand() -> None:
    # In the bin from .8: mean .85, half right; from .4: .45, none right; from .2: .25, right.
    found = trust([asked(1, 0.88), asked(0, 0.82), asked(None, 0.45), asked(1, 0.25)], 0.5)
    assert found.auc == pytest.approx(2 / 3)
    assert found.ece == pytest.approx((2 * 0.35 + 0.45 + 0.75) / 4)
    # Wrong among the 1, 2, 3, 4 most confident: 0, 1, 2, 2.
    assert found.aurc == pytest.approx((0 + 1 / 2 + 2 / 3 + 2 / 4) / 4)
    assert (found.shown, found.right) == (2, 1)


def test_an_answer_is_shown_from_the_threshold_on() -> None:
    found = trust([asked(1, 0.5), asked(1, 0.4999)], 0.5)
    assert (found.shown, found.right, found.auc) == (1, 1, None)


def test_a_higher_threshold_shows_less() -> None:
    found = trust([asked(1, 0.5), asked(0, 0.75), asked(1, 0.9)], 0.75)
    assert (found.threshold, found.shown, found.right) == (0.75, 2, 1)


def test_risk_by_coverage() -> None:
    found = risks([asked(1, 0.2), asked(0, 0.9), asked(1, 0.8), asked(None, 0.1)])
    assert found.tolist() == pytest.approx([1, 1 / 2, 1 / 3, 2 / 4])


@given(st.permutations([(1, 0.5), (0, 0.5), (0, 0.5), (1, 0.9)]))
def test_questions_of_the_same_confidence_count_in_any_order(values: list[tuple[int, float]]) -> None:
    found = risks([asked(right, confidence) for right, confidence in values])
    assert found.tolist() == pytest.approx([0, 2 / 6, 4 / 9, 2 / 4])
