import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sourceline.errors import ResultsError
from sourceline.evaluation.metrics import (
    IN_SCOPE,
    MEASURES,
    OPEN,
    SOURCELINE,
    ConfidenceMetrics,
    Estimate,
    Evaluation,
    FormMetrics,
    QuestionResult,
    TopPassage,
)
from sourceline.evaluation.results import (
    Flip,
    compare,
    read_results,
    require_common,
    require_writable,
    results_json,
    write_text,
)
from tests.support.evaluation import outcome, result

OLD, NEW = TopPassage("a", "Old."), TopPassage("b", "New.")
TOP = TopPassage("zhiyzuiwnpkr56wq", "She\u2028did.")
BOTH = QuestionResult(
    "q1",
    "Who “[x]”?",
    True,
    "keywords",
    {
        OPEN: {SOURCELINE: outcome(0, TOP, 0.75), "BM25": outcome(1, None)},
        IN_SCOPE: {SOURCELINE: outcome(1, TOP), "BM25": outcome(1, TOP)},
    },
)
METRICS = {OPEN: {SOURCELINE: {name: Estimate(0.5, 0.25, 0.75) for name in MEASURES}}}
ANSWERED, NOT_ANSWERED = (
    {"answered": int(first), "unsure": 0, "not_answered": int(not first)} for first in (True, False)
)
EVALUATION = Evaluation(
    "set",
    12,
    METRICS,
    {OPEN: {SOURCELINE: ConfidenceMetrics(0.5, None, 0.1, 0.2, 1, 0, ANSWERED, NOT_ANSWERED)}},
    {OPEN: {SOURCELINE: {"keywords": FormMetrics(1, 0, 1, 0, 0)}}},
    (BOTH, result(None, 0.0, "q2")),
)
VALUE = json.loads(results_json(EVALUATION))


def test_the_keys_are_those_that_are_documented() -> None:
    assert list(VALUE) == ["format", "dataset", "passages", "metrics", "confidence", "forms", "questions"]
    assert (VALUE["format"], VALUE["dataset"], VALUE["passages"]) == (3, "set", 12)
    assert VALUE["metrics"]["open"]["Sourceline"]["R@1"] == {"mean": 0.5, "low": 0.25, "high": 0.75}
    assert VALUE["confidence"]["open"]["Sourceline"] == {
        "threshold": 0.5,
        "auc": None,
        "ece": 0.1,
        "aurc": 0.2,
        "answered": 1,
        "correct": 0,
        "answerable": {"answered": 1, "unsure": 0, "not_answered": 0},
        "unanswerable": {"answered": 0, "unsure": 0, "not_answered": 1},
    }
    assert VALUE["forms"]["open"]["Sourceline"] == {
        "keywords": {"answerable": 1, "correct": 0, "shown": 1, "unanswerable": 0, "shown_unanswerable": 0}
    }
    first, second = VALUE["questions"]
    assert list(first) == ["id", "question", "answerable", "form", "outcomes"]
    assert first["outcomes"]["open"]["Sourceline"] == {
        "measures": {"R@1": 0, "R@5": 0, "R@10": 0, "MRR@10": 0, "nDCG@10": 0},
        "top": {"citation": "zhiyzuiwnpkr56wq", "text": "She\u2028did."},
        "confidence": 0.75,
    }
    assert (first["form"], first["outcomes"]["open"]["BM25"]["confidence"]) == ("keywords", None)
    assert second["form"] is None
    assert second["outcomes"] == {"open": {"Sourceline": {"measures": {}, "top": None, "confidence": 0.0}}}


def test_each_question_is_on_a_line_of_its_own() -> None:
    lines = [line for line in results_json(EVALUATION).split("\n") if '"outcomes"' in line]
    assert [json.loads(line.strip().removesuffix(","))["id"] for line in lines] == ["q1", "q2"]


def test_results_are_read_as_written_without_the_other_systems(tmp_path: Path) -> None:
    write_text(tmp_path / "results.json", results_json(EVALUATION))
    first, second = read_results(tmp_path / "results.json")
    assert first.outcomes == {OPEN: {SOURCELINE: outcome(0, TOP, 0.75)}, IN_SCOPE: {SOURCELINE: outcome(1, TOP)}}
    assert (first.id, first.question, first.answerable, first.form) == ("q1", "Who “[x]”?", True, "keywords")
    assert second == EVALUATION.questions[1]


def test_results_without_forms_and_with_one_confidence_for_each_question_are_read(tmp_path: Path) -> None:
    old = {
        "format": 2,
        "questions": [
            {
                "id": "q1",
                "question": "Who?",
                "answerable": True,
                "confidence": 0.75,
                "outcomes": {"open": {"Sourceline": {"measures": dict.fromkeys(MEASURES, 1), "top": None}}},
            }
        ],
    }
    (tmp_path / "old.json").write_text(json.dumps(old))
    (read,) = read_results(tmp_path / "old.json")
    assert read == QuestionResult("q1", "Who?", True, None, {OPEN: {SOURCELINE: outcome(1)}})
    assert compare([read], [result(0, id_="q1")])[OPEN].differences["R@1"] == Estimate(-1, -1, -1)


def changed(**values: Any) -> str:
    return json.dumps({**VALUE, **values})


def with_question(**values: Any) -> str:
    return changed(questions=[{**VALUE["questions"][1], **values}])


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "{",
        "null",
        "[]",
        "7",
        "{}",
        "[" * 100_000,
        '{"means": {"R@1": 0.5}, "questions": []}',
        changed(questions=None),
        changed(questions=["q1"]),
        with_question(outcomes={"open": {"Sourceline": {"measures": {}, "top": None, "confidence": "high"}}}),
        with_question(outcomes={"open": {"Sourceline": {"measures": {}, "top": None, "confidence": float("nan")}}}),
        with_question(outcomes=[]),
        with_question(outcomes={"open": {"BM25": {"measures": {}, "top": None}}}),
        with_question(outcomes={"open": {"Sourceline": {"measures": {"R@1": 1}, "top": None}}}),
        with_question(outcomes={"open": {"Sourceline": {"measures": [1], "top": None}}}),
        with_question(outcomes={"open": {"Sourceline": {"measures": {}, "top": "text"}}}),
        with_question(outcomes={"open": {"Sourceline": {"measures": {}, "top": {"text": "no citation"}}}}),
    ],
)
def test_a_file_without_results_is_refused_in_one_line(tmp_path: Path, bad: str) -> None:
    (tmp_path / "old.json").write_text(bad, "utf-8")
    with pytest.raises(ResultsError) as error:
        read_results(tmp_path / "old.json")
    assert str(error.value).startswith(f"{tmp_path / 'old.json'} holds no results of `sourceline evaluate --json`: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_results_of_an_earlier_format_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"format": 1, "set": "seeds", "figures": {}, "trust": {}, "asked": []}')
    with pytest.raises(ResultsError) as error:
        read_results(tmp_path / "old.json")
    assert str(error.value) == (
        f"{tmp_path / 'old.json'} has results of format 1, and this version reads 2 and 3: "
        "make them again with `sourceline evaluate --json`"
    )


def test_a_file_that_is_not_utf_8_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_bytes(b"\xff")
    with pytest.raises(ResultsError, match="holds no results"):
        read_results(tmp_path / "old.json")
    with pytest.raises(ResultsError) as error:
        read_results(tmp_path / "none.json")
    assert str(error.value) == f"cannot read {tmp_path / 'none.json'}: No such file or directory"


def test_checking_that_a_file_can_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("kept")
    for name in ("there", "new"):
        require_writable(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "kept"


@pytest.mark.parametrize(("name", "reason"), [("none/a", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    for attempt in (require_writable, lambda file: write_text(file, "")):
        with pytest.raises(ResultsError) as error:
            attempt(tmp_path / name)
        assert str(error.value) == f"cannot write {tmp_path / name}: {reason}"


def test_a_name_that_is_not_utf_8_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / "page", "a\udcffb")
    assert (tmp_path / "page").read_text("utf-8") == "a?b"
    assert json.loads(results_json(replace(EVALUATION, dataset="a\udcffb")))["dataset"] == "a\udcffb"


def test_questions_that_flipped_at_r_at_1_are_listed_with_both_passages() -> None:
    old = [result(value, id_=id_, top=OLD) for id_, value in (("won", 0), ("lost", 1), ("same", 1), ("miss", 0))]
    new = [result(value, id_=id_, top=NEW) for id_, value in (("miss", 0), ("won", 1), ("lost", 0), ("same", 1))]
    comparisons = compare(old, new)
    assert list(comparisons) == [OPEN]
    comparison = comparisons[OPEN]
    assert comparison.questions == 4
    assert comparison.won == (Flip("won", "Who?", OLD, NEW),)
    assert comparison.lost == (Flip("lost", "Who?", OLD, NEW),)
    assert list(comparison.differences) == list(MEASURES)
    difference = comparison.differences["R@1"]
    assert difference.mean == 0
    assert difference.low < 0 < difference.high


def test_differences_are_paired() -> None:
    """Every question gains .25, so the interval has no width however much the questions differ."""
    measures = [0, 0.25, 0.5, 0.75]
    old = [result(measure, id_=str(measure)) for measure in measures]
    new = [result(measure + 0.25, id_=str(measure)) for measure in measures]
    assert compare(old, new)[OPEN].differences["MRR@10"] == Estimate(0.25, 0.25, 0.25)


def test_only_questions_with_the_same_id_and_text_that_are_answerable_in_both_are_compared() -> None:
    old = [result(0, id_="1"), result(0, id_="2", question="What?"), result(None, id_="3"), result(0, id_="4")]
    new = [result(1, id_="1"), result(1, id_="2"), result(1, id_="3"), result(None, id_="4"), result(1, id_="5")]
    comparison = compare(old, new)[OPEN]
    assert (comparison.questions, comparison.differences["R@1"].mean) == (1, 1)
    assert [flip.id for flip in comparison.won] == ["1"]


def test_each_setting_is_compared_by_itself() -> None:
    def both(inside: float) -> QuestionResult:
        outcomes = {OPEN: {SOURCELINE: outcome(1)}, IN_SCOPE: {SOURCELINE: outcome(inside)}}
        return QuestionResult("q", "Who?", True, None, outcomes)

    comparisons = compare([both(0)], [both(1)])
    assert [(setting, len(comparison.won)) for setting, comparison in comparisons.items()] == [(OPEN, 0), (IN_SCOPE, 1)]
    assert list(compare([both(0)], [result(1)])) == [OPEN]
    assert list(compare([result(1)], [both(0)])) == [OPEN]


def test_nothing_in_common_is_refused_before_the_work() -> None:
    assert compare([], [result(1)]) == {}
    require_common([result(1)], [("other", "Who?"), ("q", "Who?")])
    for old, key in (([], ("q", "Who?")), ([result(1)], ("q", "What?")), ([result(None)], ("q", "Who?"))):
        with pytest.raises(ResultsError, match="there is nothing to compare: no answerable question of this dataset"):
            require_common(old, [key])
