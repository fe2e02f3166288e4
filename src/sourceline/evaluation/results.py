"""The results file, which ``evaluate --json`` writes and ``--compare`` reads, and the paired comparison of two runs.

::

    {"format": 3,
     "dataset": "clapnq-a", "passages": 2458,
     "metrics": {SETTING: {SYSTEM: {MEASURE: {"mean": 0.8, "low": 0.73, "high": 0.86}}}},
     "confidence": {SETTING: {SYSTEM: {"threshold": 0.5, "auc": 0.83, "ece": 0.16, "aurc": 0.4, "answered": 172,
                                       "correct": 106,
                                       "answerable": {"answered": 120, "unsure": 20, "not_answered": 10},
                                       "unanswerable": {"answered": 52, "unsure": 30, "not_answered": 68}}}},
     "forms": {SETTING: {SYSTEM: {"keywords": {"answerable": 20, "correct": 18, "shown": 15,
                                               "unanswerable": 2, "shown_unanswerable": 0}}}},
     "questions": [{"id": "q1", "question": "Who?", "answerable": true, "form": "keywords",
                    "outcomes": {SETTING: {SYSTEM: {"measures": {MEASURE: 1.0},
                                                    "top": {"citation": "zhiyzuiwnpkr56wq", "text": "She."},
                                                    "confidence": 0.93}}}}]}

SETTING is ``open`` (all documents) or ``in scope`` (the document that the question is about). SYSTEM is ``Sourceline``,
``Sourceline, fast``, ``BM25``, ``dense``, ``dense + BM25, RRF``, that fused list with its first passages in the order
of a cross-encoder, or an ablation. MEASURE is ``R@1``, ``R@5``, ``R@10``, ``MRR@10`` or ``nDCG@10``; R@k is success@k:
1 if any of the first k passages is relevant.

``metrics`` are means over the answerable questions with 95 % bootstrap intervals. ``in scope`` is there if the dataset
has several documents, and a question has it only if it has a scope. ``measures`` are empty for a question that is not
answerable, ``top`` is null if nothing was retrieved. Only Sourceline has a ``confidence``; it is null for other
systems. ``metrics.ConfidenceMetrics`` and ``metrics.FormMetrics`` say what is counted; ``forms`` are empty, and a
question's ``form`` null, if the dataset names none. Each question is on a line of its own, in the dataset's order.

Format 2 had one ``confidence``, of Sourceline open, and no forms. It can still be compared with.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sourceline.errors import ResultsError
from sourceline.evaluation.metrics import (
    MEASURES,
    SOURCELINE,
    Estimate,
    Evaluation,
    Outcome,
    QuestionResult,
    TopPassage,
    bootstrap_means,
)

FORMAT = 3
READABLE = (2, FORMAT)


@dataclass(frozen=True, slots=True)
class Flip:
    """A question whose first passage became correct, or no longer is, with that passage in both runs."""

    id: str
    question: str
    old: TopPassage | None
    new: TopPassage | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How Sourceline changed between two runs: the mean of new - old by measure, and the flips at R@1."""

    questions: int
    differences: Mapping[str, Estimate]
    won: tuple[Flip, ...]
    lost: tuple[Flip, ...]


def results_json(evaluation: Evaluation) -> str:
    """Return the contents of a results file."""
    values = asdict(evaluation)
    questions = ",\n  ".join(json.dumps(question) for question in values.pop("questions"))
    head = json.dumps({"format": FORMAT} | values, indent=1).removesuffix("\n}")
    return f'{head},\n "questions": [\n  {questions}\n ]\n}}\n'


def read_results(file: Path) -> tuple[QuestionResult, ...]:
    """Read the questions of a results file with the outcomes of Sourceline alone.

    Raises:
        ResultsError: the file cannot be read, is of another format, or is no results file.
    """
    try:
        values = json.loads(file.read_text("utf-8"))
        if values["format"] in READABLE:
            return tuple(_question(value) for value in values["questions"])
    except OSError as error:
        raise ResultsError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ResultsError(f"{file} holds no results of `sourceline evaluate --json`: {error!r}") from error
    readable = " and ".join(map(str, READABLE))
    raise ResultsError(
        f"{file} has results of format {values['format']!r}, and this version reads {readable}: "
        "make them again with `sourceline evaluate --json`"
    )


def _question(value: dict[str, Any]) -> QuestionResult:
    return QuestionResult(
        id=str(value["id"]),
        question=str(value["question"]),
        answerable=bool(value["answerable"]),
        form=str(value["form"]) if value.get("form") else None,
        outcomes={
            str(setting): {SOURCELINE: _outcome(systems[SOURCELINE])} for setting, systems in value["outcomes"].items()
        },
    )


def _outcome(value: dict[str, Any]) -> Outcome:
    measures = value["measures"] and {name: _number(value["measures"][name]) for name in MEASURES}
    top, confidence = value["top"], value.get("confidence")
    return Outcome(
        dict(measures),
        TopPassage(str(top["citation"]), str(top["text"])) if top else None,
        None if confidence is None else _number(confidence),
    )


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def require_writable(file: Path) -> None:
    """Check, before the work, that a file can be written. What is in it stays.

    Raises:
        ResultsError: it cannot.
    """
    existed = file.exists()
    try:
        file.open("ab").close()
        if not existed:
            file.unlink()
    except OSError as error:
        raise ResultsError(f"cannot write {file}: {error.strerror}") from error


def write_text(file: Path, text: str) -> None:
    """Write a file; a lone surrogate, as in a folder's name that is not UTF-8, becomes ``?``.

    Raises:
        ResultsError: it cannot be written.
    """
    try:
        file.write_text(text, "utf-8", errors="replace")
    except OSError as error:
        raise ResultsError(f"cannot write {file}: {error.strerror}") from error


def require_common(old: Iterable[QuestionResult], new: Iterable[tuple[str, str]]) -> None:
    """Check, before the work, that there will be something to compare.

    Args:
        old: the questions of a results file.
        new: id and text of the answerable questions that will be asked.

    Raises:
        ResultsError: no answerable question is in both with the same id and text.
    """
    if {(question.id, question.question) for question in old if question.answerable}.isdisjoint(new):
        raise ResultsError("there is nothing to compare: no answerable question of this dataset is in the old results")


def compare(old: Sequence[QuestionResult], new: Sequence[QuestionResult]) -> dict[str, Comparison]:
    """Compare Sourceline by setting, over the questions that are answerable in both with the same id and text."""
    by_key = {(question.id, question.question): question for question in old}
    pairs: dict[str, list[tuple[QuestionResult, Outcome, Outcome]]] = {}
    for question in new:
        before = by_key.get((question.id, question.question))
        for setting, systems in question.outcomes.items():
            pairs.setdefault(setting, [])  # settings stay in the order of the run
            if before and setting in before.outcomes:
                then, now = before.outcomes[setting][SOURCELINE], systems[SOURCELINE]
                if then.measures and now.measures:
                    pairs[setting].append((question, then, now))
    return {setting: _compare_pairs(compared) for setting, compared in pairs.items() if compared}


def _compare_pairs(pairs: Sequence[tuple[QuestionResult, Outcome, Outcome]]) -> Comparison:
    changes = np.array([[new.measures[name] - old.measures[name] for name in MEASURES] for _, old, new in pairs])
    flips = [Flip(question.id, question.question, old.top, new.top) for question, old, new in pairs]
    at_one = changes[:, MEASURES.index("R@1")]
    return Comparison(
        questions=len(pairs),
        differences=dict(zip(MEASURES, bootstrap_means(changes), strict=True)),
        won=tuple(flip for flip, change in zip(flips, at_one, strict=True) if change > 0),
        lost=tuple(flip for flip, change in zip(flips, at_one, strict=True) if change < 0),
    )
