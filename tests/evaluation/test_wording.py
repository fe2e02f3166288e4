import pytest

from sourceline.evaluation import wording
from sourceline.evaluation.metrics import Evaluation, Figure, Trust
from tests.evaluation.outcomes import asked

ASKED = tuple(asked(1 if at < 3 else None, id_=str(at)) for at in range(4))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((0, ".000"), (0.7494, ".749"), (0.05, ".050"), (0.9994, ".999"), (0.9996, "1.000")),
        *((1, "1.000"), (-0.012, "-.012"), (-1, "-1.000"), (10.25, "10.250"), (20.05, "20.050")),
    ],
)
def test_numbers_have_three_decimals(value: float, expected: str) -> None:
    assert wording.number(value) == expected


def test_a_mean_has_half_the_width_of_its_interval() -> None:
    assert wording.mean(Figure(0.749, 0.73, 0.76)) == ".749 ±.015"
    assert wording.mean(Figure(1, 1, 1)) == "1.000 ±.000"


def test_a_difference_has_a_sign_and_its_interval() -> None:
    assert wording.difference(Figure(0.012, -0.004, 0.02)) == "+.012 [-.004, +.020]"
    assert wording.difference(Figure(0, 0, 0)) == "+.000 [+.000, +.000]"
    assert wording.difference(Figure(-1, -1, -1)) == "-1.000 [-1.000, -1.000]"
    assert wording.difference(Figure(-0.0001, -0.0001, 0)) == "+.000 [+.000, +.000]"


def test_what_confidence_is_worth_is_said_in_words() -> None:
    found = wording.confidence(Evaluation(1200, {}, Trust(0.5, 0.9, 0.05, 0.2, 2, 1), ASKED))
    assert found.splitlines() == [
        "confidence: AUC .900, ECE .050, area under risk–coverage .200;",
        "at .5: 50 of 100 answers shown hold the answer, 50 of 100 questions shown",
    ]
    assert wording.summary(Evaluation(1200, {}, Trust(0.5, None, 0, 0, 0, 0), ASKED)) == (
        "1,200 passages, 4 questions, 3 answerable"
    )


def test_nothing_shown_and_no_auc_are_said() -> None:
    found = wording.confidence(Evaluation(1, {}, Trust(0.5, None, 0.05, 0.2, 0, 0), ASKED))
    assert found.splitlines() == [
        "confidence: AUC –, ECE .050, area under risk–coverage .200;",
        "at .5: 0 of 100 questions shown",
    ]
