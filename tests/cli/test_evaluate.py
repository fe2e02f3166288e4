import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Command

QUESTIONS: list[dict[str, Any]] = [
    {"id": "1", "question": "When does the bridge open?", "relevant": [{"document": "a.txt", "start": 0, "end": 27}]},
    {"id": "2", "question": "Who discovered the planet Neptune?", "relevant": []},
]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    folder = tmp_path / "[red]set"
    (folder / "documents").mkdir(parents=True)
    (folder / "documents" / "a.txt").write_text("The bridge opens on Monday. It is made of oak.\n")
    lines = [json.dumps(question | {"answerable": bool(question["relevant"])}) for question in QUESTIONS]
    (folder / "questions.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_a_labelled_set_is_scored(sourceline: Command, labelled: Path, index: Path, tmp_path: Path) -> None:
    outcome = sourceline("evaluate", labelled, "--json", "figures.json", "--index", index)
    assert outcome.code == 0
    title, _, header, _, row, _ = outcome.out.splitlines()
    assert title.strip() == "[red]set: 2 passages, 2 questions"
    figures = dict(zip(header.replace("┃", " ").split(), row.replace("│", " ").split(), strict=True))
    assert (figures["answerable"], figures["R@1"], figures["AUC"]) == ("1", "1.000", "1.000")
    written = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert (written["passages"], written["means"]["R@1"], written["auc"]) == (2, 1, 1)
    assert [(one["id"], one["answerable"]) for one in written["asked"]] == [("1", True), ("2", False)]
    assert not (index / "CURRENT").exists()


def test_figures_that_cannot_be_written_are_one_line(sourceline: Command, labelled: Path, index: Path) -> None:
    outcome = sourceline("evaluate", labelled, "--json", "nowhere/figures.json", "--index", index)
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == "sourceline: cannot write nowhere/figures.json: No such file or directory"
    assert "Traceback" not in outcome.err
