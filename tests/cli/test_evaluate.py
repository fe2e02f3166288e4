import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Command
from tests.support.cross_encoders import write_cross_encoder

QUESTIONS: list[dict[str, Any]] = [
    {"id": "1", "question": "When does the bridge open?", "relevant": [{"document": "a.txt", "start": 0, "end": 27}]},
    {"id": "2", "question": "Who discovered <b>Neptune</b>?", "relevant": []},
]
FAST = ("--reranker", "none")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "[red]set"
    (folder / "documents").mkdir(parents=True)
    (folder / "documents" / "a.txt").write_text("The bridge opens on Monday. It is made of oak.\n")
    lines = [json.dumps(question | {"answerable": bool(question["relevant"])}) for question in QUESTIONS]
    (folder / "questions.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_a_dataset_is_evaluated(sourceline: Command, dataset: Path, index: Path, tmp_path: Path) -> None:
    outcome = sourceline("evaluate", dataset, "--json", "results.json", "--index", index)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == "[red]set: 2 passages, 2 questions, 1 answerable"
    assert lines[2].split() == ["open,", "1", "questions", "R@1", "R@5", "R@10", "MRR@10", "nDCG@10"]
    systems = ["Sourceline", "Sourceline, fast", "BM25", "dense", "dense + BM25, RRF"]
    assert [re.split("  | [.1]", line)[0] for line in lines[3:8]] == systems
    assert lines[4].split() == ["Sourceline,", "fast", *["1.000", "±.000"] * 5]
    assert lines[9].split() == ["confidence,", "open", "AUC", "ECE", "AURC", "shown", "right"]
    assert [line.split("  ")[0] for line in lines[10:12]] == systems[:2]
    assert lines[13].startswith("verdicts, open ")
    assert max(map(len, lines)) <= 80
    written = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert (written["dataset"], written["passages"]) == ("[red]set", 2)
    assert written["metrics"]["open"]["Sourceline, fast"]["R@1"]["mean"] == 1
    assert written["confidence"]["open"]["Sourceline, fast"]["auc"] == 1
    assert written["forms"] == {}
    assert [(q["id"], q["answerable"]) for q in written["questions"]] == [("1", True), ("2", False)]
    assert written["questions"][0]["outcomes"]["open"]["BM25"]["top"]["text"] == "The bridge opens on Monday."
    assert not (index / "CURRENT").exists()


def test_a_sample_without_reading_is_evaluated(sourceline: Command, dataset: Path, index: Path, tmp_path: Path) -> None:
    options = ("--sample", "1", "--reranker", "none", "--json", "results.json")
    outcome = sourceline("evaluate", dataset / "questions.jsonl", *options, "--index", index)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0] == "questions: 2 passages, 1 questions, 0 answerable"
    written = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert list(written["confidence"]["open"]) == ["Sourceline"]
    assert [question["id"] for question in written["questions"]] == ["2"]


def test_a_cross_encoder_is_measured_beside_the_others(
    sourceline: Command, dataset: Path, index: Path, tmp_path: Path
) -> None:
    folder = write_cross_encoder(tmp_path / "cross")
    outcome = sourceline("evaluate", dataset, "--cross-encoder", folder, *FAST, "--index", index)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[7].startswith("dense + BM25, first 10 by ")


@pytest.mark.parametrize("option", ["--cross-encoder", "--reranker"])
def test_a_cross_encoder_that_cannot_be_used_is_refused_before_the_work(
    sourceline: Command, dataset: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "empty").mkdir()
    outcome = sourceline("evaluate", dataset, option, "./empty", "--index", "nothing")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert "empty" in outcome.err
    assert not (tmp_path / "nothing").exists()


def test_a_run_is_compared_with_an_earlier_one(sourceline: Command, dataset: Path, index: Path, tmp_path: Path) -> None:
    assert sourceline("evaluate", dataset, "--json", "old.json", *FAST, "--index", index).code == 0
    old = json.loads((tmp_path / "old.json").read_text("utf-8"))
    old["questions"][0]["outcomes"]["open"]["Sourceline"] = {
        "measures": old["questions"][0]["outcomes"]["open"]["Sourceline"]["measures"] | {"R@1": 0, "MRR@10": 0.5},
        "top": {"citation": "abc", "text": "It is made of [red]oak."},
    }
    (tmp_path / "old.json").write_text(json.dumps(old))
    both = (*FAST, "--compare", "old.json", "--json", "old.json", "--report", "page.html")
    outcome = sourceline("evaluate", dataset, *both, "--index", index)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    start = lines.index("new - old, open, 1 questions")
    assert lines[start + 1 : start + 6] == [
        "R@1      +1.000 [+1.000, +1.000]",
        "R@5      +.000 [+.000, +.000]",
        "R@10     +.000 [+.000, +.000]",
        "MRR@10   +.500 [+.500, +.500]",
        "nDCG@10  +.000 [+.000, +.000]",
    ]
    assert lines[start + 6 : start + 9] == [
        "won at R@1: 1",
        "  1: When does the bridge open?",
        "    old  It is made of [red]oak. · abc",
    ]
    assert lines[start + 9].startswith("    new  The bridge opens on Monday. · ")
    assert lines[start + 10 :] == ["lost at R@1: 0"]
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "Who discovered &lt;b&gt;Neptune&lt;/b&gt;?" in page
    assert "Won at R@1: 1" in page
    assert page.count("<svg") == 3


@pytest.mark.parametrize("option", ["--json", "--report"])
@pytest.mark.parametrize(
    ("name", "reason"), [("nowhere/file", "No such file or directory"), ("folder", "Is a directory")]
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    sourceline: Command, dataset: Path, tmp_path: Path, option: str, name: str, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    outcome = sourceline("evaluate", dataset, option, name, "--index", "no-model-is-compiled-here")
    assert (outcome.code, outcome.out, outcome.err) == (1, "", f"sourceline: cannot write {name}: {reason}\n")
    assert not (tmp_path / "no-model-is-compiled-here").exists()


@pytest.mark.parametrize(
    ("old", "reason"),
    [
        ("no JSON", "old.json holds no results of `sourceline evaluate --json`: JSONDecodeError("),
        ('{"means": {}}', "old.json holds no results of `sourceline evaluate --json`: KeyError('format')"),
        (
            '{"format": 1, "asked": []}',
            "old.json has results of format 1, and this version reads 2 and 3: make them again",
        ),
        ('{"format": 2, "questions": []}', "there is nothing to compare: no answerable question of this dataset"),
        (None, "cannot read old.json: No such file or directory"),
    ],
)
def test_results_that_cannot_be_compared_are_refused_before_the_work(
    sourceline: Command, dataset: Path, tmp_path: Path, old: str | None, reason: str
) -> None:
    if old is not None:
        (tmp_path / "old.json").write_text(old)
    outcome = sourceline("evaluate", dataset, "--compare", "old.json", "--json", "new.json", "--index", "nothing")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith(f"sourceline: {reason}")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "new.json").exists()


def test_a_missing_package_is_reported_with_what_installs_it(
    sourceline: Command, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    outcome = sourceline("evaluate", dataset, "--index", "nothing")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "sourceline: ir_measures is missing: pip install 'sourceline[eval]'\n"
