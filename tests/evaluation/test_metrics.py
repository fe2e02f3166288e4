import math
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from sourceline.errors import SourcelineError
from sourceline.evaluation.metrics import (
    FAST,
    IN_SCOPE,
    MEASURES,
    OPEN,
    SOURCELINE,
    Estimate,
    FormMetrics,
    QuestionResult,
    ReliabilityBin,
    bootstrap_means,
    confidence_metrics,
    form_metrics,
    judgements,
    mean_measures,
    measure_run,
    reliability_bins,
    require_eval_extra,
    risk_coverage,
    roc_auc,
)
from tests.support.evaluation import judged, outcome, result


def test_measures_by_hand() -> None:
    qrels = {"graded": {"a": 2, "b": 1}, "third": {"c": 1}, "low": {"z": 1}, "none": {"a": 1}}
    run = {
        "graded": ["b", "x", "a"],
        "third": ["a", "b", "c", "d"],
        "low": [*"abcdefghijz"],
        "none": [],
        "unanswerable": ["a"],
    }
    measures = measure_run(qrels, run)
    assert list(measures) == ["graded", "third", "low", "none"]
    # nDCG: the gains, each divided by log2(rank + 1), over the same of the best order.
    ndcg = (1 + 2 / math.log2(4)) / (2 + 1 / math.log2(3))
    assert measures["graded"] == pytest.approx(dict(zip(MEASURES, (1, 1, 1, 1, ndcg), strict=True)))
    assert measures["third"] == pytest.approx(dict(zip(MEASURES, (0, 1, 1, 1 / 3, 1 / 2), strict=True)))
    assert measures["low"] == measures["none"] == dict.fromkeys(MEASURES, 0)


def test_means_are_of_each_system_and_measure() -> None:
    by_system = {
        "A": {"q1": dict.fromkeys(MEASURES, 1.0), "q2": dict.fromkeys(MEASURES, 1.0)},
        "B": {"q1": dict.fromkeys(MEASURES, 0.0) | {"R@5": 1.0}, "q2": dict.fromkeys(MEASURES, 0.0)},
    }
    means = mean_measures(by_system)
    assert means["A"] == dict.fromkeys(MEASURES, Estimate(1, 1, 1))
    assert [means["B"][name].mean for name in MEASURES] == [0, 0.5, 0, 0, 0]
    assert (means["B"]["R@5"].low, means["B"]["R@5"].high) == (0, 1)


@pytest.mark.parametrize("module", ["ir_measures", "jinja2", "matplotlib"])
def test_a_missing_package_of_the_extra_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    require_eval_extra()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SourcelineError) as error:
        require_eval_extra()
    assert str(error.value) == f"{module} is missing: pip install 'sourceline[eval]'"


def test_an_interval_holds_its_mean_and_is_the_same_each_time() -> None:
    values = np.array([[1, 0.5], [0, 0.25], [1, 0.75], [1, 1]])
    first, second = bootstrap_means(values)
    assert (first.mean, second.mean) == (0.75, 0.625)
    assert 0 <= first.low < first.mean < first.high <= 1
    assert 0.25 <= second.low < second.mean < second.high <= 1
    assert bootstrap_means(values) == [first, second]


def test_equal_values_have_no_width() -> None:
    (estimate,) = bootstrap_means(np.full((7, 1), 0.5))
    assert (estimate.mean, estimate.low, estimate.high) == pytest.approx((0.5, 0.5, 0.5))


def test_all_columns_are_resampled_alike() -> None:
    values = np.random.default_rng(1).random((50, 1))
    once, twice = bootstrap_means(np.hstack([values, 2 * values]))
    assert (twice.mean, twice.low, twice.high) == pytest.approx((2 * once.mean, 2 * once.low, 2 * once.high))


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).integers(0, 2, 400).astype(float)
    random = np.random.default_rng(0)
    expected = bootstrap((values,), np.mean, n_resamples=2000, batch=50, method="percentile", rng=random)
    (estimate,) = bootstrap_means(values[:, None])
    assert (estimate.low, estimate.high) == pytest.approx(tuple(expected.confidence_interval))


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
    area = roc_auc([*(judged(1, value) for value in yes), *(judged(None, value) for value in no)])
    assert area == (None if expected is None else pytest.approx(expected))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=20))
def test_auc_equals_the_count_over_all_pairs(values: list[tuple[bool, int]]) -> None:
    positive = [confidence for answerable, confidence in values if answerable]
    negative = [confidence for answerable, confidence in values if not answerable]
    pairs = list(product(positive, negative))
    expected = sum((high > low) + (high == low) / 2 for high, low in pairs) / len(pairs) if pairs else None
    area = roc_auc([judged(0 if answerable else None, confidence / 5) for answerable, confidence in values])
    assert area == (None if expected is None else pytest.approx(expected))


def test_questions_of_one_tenth_of_confidence_share_a_bin() -> None:
    bins = reliability_bins([judged(1, 0.92), judged(0, 0.98), judged(1, 1.0), judged(None, 0.0), judged(1, 0.1)])
    assert [item.count for item in bins] == [1, 1, 3]
    assert bins[:2] == [ReliabilityBin(1, 0.0, 0.0), ReliabilityBin(1, 0.1, 1.0)]
    assert (bins[2].confidence, bins[2].accuracy) == pytest.approx((2.9 / 3, 2 / 3))


def test_confidence_metrics_by_hand() -> None:
    # In the bin from .8: mean .85, half correct; from .4: .45, none; from .2: .25, correct.
    metrics = confidence_metrics([judged(1, 0.88), judged(0, 0.82), judged(None, 0.45), judged(1, 0.25)], 0.5)
    assert metrics.auc == pytest.approx(2 / 3)
    assert metrics.ece == pytest.approx((2 * 0.35 + 0.45 + 0.75) / 4)
    # Wrong among the 1, 2, 3, 4 most confident: 0, 1, 2, 2.
    assert metrics.aurc == pytest.approx((0 + 1 / 2 + 2 / 3 + 2 / 4) / 4)
    assert (metrics.answered, metrics.correct) == (2, 1)


def test_a_question_is_answered_from_the_threshold_on() -> None:
    metrics = confidence_metrics([judged(1, 0.5), judged(1, 0.4999)], 0.5)
    assert (metrics.answered, metrics.correct, metrics.auc) == (1, 1, None)


def test_a_higher_threshold_answers_fewer_questions() -> None:
    metrics = confidence_metrics([judged(1, 0.5), judged(0, 0.75), judged(1, 0.9)], 0.75)
    assert (metrics.threshold, metrics.answered, metrics.correct) == (0.75, 2, 1)


def test_risk_by_coverage() -> None:
    risks = risk_coverage([judged(1, 0.2), judged(0, 0.9), judged(1, 0.8), judged(None, 0.1)])
    assert risks.tolist() == pytest.approx([1, 1 / 2, 1 / 3, 2 / 4])


@given(st.permutations([(1, 0.5), (0, 0.5), (0, 0.5), (1, 0.9)]))
def test_questions_of_the_same_confidence_count_in_any_order(values: list[tuple[int, float]]) -> None:
    risks = risk_coverage([judged(right, confidence) for right, confidence in values])
    assert risks.tolist() == pytest.approx([0, 2 / 6, 4 / 9, 2 / 4])


def test_verdicts_are_counted_among_answerable_and_unanswerable_questions() -> None:
    confidences = [(1, 0.5), (0, 0.7), (1, 0.2), (0, 0.1999), (None, 0.9), (None, 0.3), (None, 0.0), (None, 0.1)]
    metrics = confidence_metrics([judged(*values) for values in confidences], 0.5)
    assert metrics.answerable == {"answered": 2, "unsure": 1, "not_answered": 1}
    assert metrics.unanswerable == {"answered": 1, "unsure": 1, "not_answered": 2}
    assert (metrics.answered, metrics.correct) == (3, 1)


def test_a_judgement_is_of_one_setting_and_system() -> None:
    scoped = {SOURCELINE: outcome(1, None, 0.75), FAST: outcome(0, None, 0.25), "BM25": outcome(1)}
    both = QuestionResult("q", "Who?", True, None, {OPEN: {SOURCELINE: outcome(0, None, 0.5)}, IN_SCOPE: scoped})
    questions = [both, result(None, 0.125)]
    assert judgements(questions, OPEN, SOURCELINE) == [judged(0, 0.5), judged(None, 0.125)]
    assert judgements(questions, IN_SCOPE, SOURCELINE) == [judged(1, 0.75)]
    assert judgements(questions, IN_SCOPE, FAST) == [judged(0, 0.25)]
    assert judgements(questions, IN_SCOPE, "BM25") == []


def test_forms_are_counted_in_the_order_in_which_they_occur() -> None:
    questions = [
        result(1, 0.6, form="typo"),
        result(1, 0.5, form="keywords"),
        result(0, 0.9, form="keywords"),
        result(1, 0.4, form="keywords"),
        result(None, 0.7, form="keywords"),
        result(None, 0.1, form="keywords"),
        result(1, 0.9),
        result(None, 0.2, form="swap"),
    ]
    assert list(form_metrics(questions, OPEN, SOURCELINE, 0.5).items()) == [
        ("typo", FormMetrics(1, 1, 1, 0, 0)),
        ("keywords", FormMetrics(3, 2, 2, 2, 1)),
        ("swap", FormMetrics(0, 0, 0, 1, 0)),
    ]
    assert form_metrics(questions, IN_SCOPE, SOURCELINE, 0.5) == {}
