import json
from pathlib import Path
from typing import Any

import pytest

from sourceline.errors import ResultsError
from sourceline.evaluation.metrics import IN_SCOPE, MEASURES, OPEN, SOURCELINE, Asked, Evaluation, Figure, First, Trust
from sourceline.evaluation.results import read_record, record, require_writable, write
from tests.evaluation.outcomes import asked, outcome

FIRST = First("zhiyzuiwnpkr56wq", "She\u2028did.")
BOTH = Asked(
    "q1",
    "Who “[x]”?",
    True,
    0.75,
    {
        OPEN: {SOURCELINE: outcome(0, FIRST), "BM25": outcome(1, None)},
        IN_SCOPE: {SOURCELINE: outcome(1, FIRST), "BM25": outcome(1, FIRST)},
    },
)
FIGURES = {OPEN: {SOURCELINE: {name: Figure(0.5, 0.25, 0.75) for name in MEASURES}}}
EVALUATION = Evaluation(12, FIGURES, Trust(0.5, None, 0.1, 0.2, 1, 0), (BOTH, asked(None, 0.0, "q2")))
VALUE = json.loads(record("set", EVALUATION))


def test_the_keys_are_those_that_are_documented() -> None:
    assert list(VALUE) == ["format", "set", "passages", "questions", "figures", "trust", "asked"]
    assert (VALUE["format"], VALUE["set"], VALUE["passages"], VALUE["questions"]) == (1, "set", 12, 2)
    assert VALUE["figures"]["open"]["Sourceline"]["R@1"] == {"mean": 0.5, "low": 0.25, "high": 0.75}
    assert VALUE["trust"] == {"threshold": 0.5, "auc": None, "ece": 0.1, "aurc": 0.2, "shown": 1, "right": 0}
    first, second = VALUE["asked"]
    assert list(first) == ["id", "question", "answerable", "confidence", "outcomes"]
    assert first["outcomes"]["open"]["Sourceline"] == {
        "measures": {"R@1": 0, "R@5": 0, "R@10": 0, "MRR@10": 0, "nDCG@10": 0},
        "first": {"citation": "zhiyzuiwnpkr56wq", "text": "She\u2028did."},
    }
    assert second["outcomes"] == {"open": {"Sourceline": {"measures": {}, "first": None}}}


def test_each_question_stands_on_a_line_of_its_own() -> None:
    lines = [line for line in record("set", EVALUATION).split("\n") if '"confidence"' in line]
    assert [json.loads(line.strip().removesuffix(","))["id"] for line in lines] == ["q1", "q2"]


def test_what_was_written_is_read_without_the_other_systems(tmp_path: Path) -> None:
    write(tmp_path / "figures.json", record("set", EVALUATION))
    first, second = read_record(tmp_path / "figures.json")
    assert first.outcomes == {OPEN: {SOURCELINE: outcome(0, FIRST)}, IN_SCOPE: {SOURCELINE: outcome(1, FIRST)}}
    assert (first.id, first.question, first.answerable, first.confidence) == ("q1", "Who “[x]”?", True, 0.75)
    assert second == EVALUATION.asked[1]


def changed(**values: Any) -> str:
    return json.dumps({**VALUE, **values})


def with_question(**values: Any) -> str:
    return changed(asked=[{**VALUE["asked"][1], **values}])


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
        '{"means": {"R@1": 0.5}, "asked": []}',
        changed(format=2),
        changed(asked=None),
        changed(asked=["q1"]),
        with_question(confidence="high"),
        with_question(confidence=float("nan")),
        with_question(outcomes=[]),
        with_question(outcomes={"open": {"BM25": {"measures": {}, "first": None}}}),
        with_question(outcomes={"open": {"Sourceline": {"measures": {"R@1": 1}, "first": None}}}),
        with_question(outcomes={"open": {"Sourceline": {"measures": [1], "first": None}}}),
        with_question(outcomes={"open": {"Sourceline": {"measures": {}, "first": "text"}}}),
        with_question(outcomes={"open": {"Sourceline": {"measures": {}, "first": {"text": "no citation"}}}}),
    ],
)
def test_what_holds_no_figures_is_refused_in_one_line(tmp_path: Path, bad: str) -> None:
    (tmp_path / "old.json").write_text(bad, "utf-8")
    with pytest.raises(ResultsError) as error:
        read_record(tmp_path / "old.json")
    assert str(error.value).startswith(f"{tmp_path / 'old.json'} holds no figures of `sourceline evaluate --json`: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_a_file_that_is_not_utf_8_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_bytes(b"\xff")
    with pytest.raises(ResultsError, match="holds no figures"):
        read_record(tmp_path / "old.json")
    with pytest.raises(ResultsError) as error:
        read_record(tmp_path / "none.json")
    assert str(error.value) == f"cannot read {tmp_path / 'none.json'}: No such file or directory"


def test_looking_whether_a_file_can_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("kept")
    for name in ("there", "new"):
        require_writable(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "kept"


@pytest.mark.parametrize(("name", "reason"), [("none/a", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, name: str, reason: str) -> None:
    for attempt in (require_writable, lambda file: write(file, "")):
        with pytest.raises(ResultsError) as error:
            attempt(tmp_path / name)
        assert str(error.value) == f"cannot write {tmp_path / name}: {reason}"


def test_a_name_that_is_not_utf_8_can_be_written(tmp_path: Path) -> None:
    write(tmp_path / "page", "a\udcffb")
    assert (tmp_path / "page").read_text("utf-8") == "a?b"
    assert json.loads(record("a\udcffb", EVALUATION))["set"] == "a\udcffb"
