"""The file of figures that ``--json`` writes and ``--compare`` reads.

::

    {"format": 1,
     "set": "clapnq-a", "passages": 2458, "questions": 300,
     "figures": {WHERE: {SYSTEM: {MEASURE: {"mean": .8, "low": .73, "high": .86}}}},
     "trust": {"threshold": .5, "auc": .83, "ece": .16, "aurc": .4, "shown": 172, "right": 106},
     "asked": [{"id": "q1", "question": "Who?", "answerable": true, "confidence": .93,
                "outcomes": {WHERE: {SYSTEM: {"measures": {MEASURE: 1.0},
                                              "first": {"citation": "zhiyzuiwnpkr56wq", "text": "She."}}}}}]}

WHERE is ``open`` or ``in scope``; SYSTEM is ``Sourceline``, ``BM25``, ``dense``, ``dense + BM25, RRF`` or another
that was measured; MEASURE is ``R@1``, ``R@5``, ``R@10``, ``MRR@10`` or ``nDCG@10``. R@k is success@k: 1 if one of the
first k passages answers. ``figures`` are means over the answerable questions with their 95 % bootstrap intervals;
``in scope`` is there if the set has several documents, and has a question only if that has a scope. ``measures`` are
empty for a question that is not answerable, ``first`` is null if nothing was found. ``trust`` is described at
``figures.Trust``; ``auc`` is null without both answerable and unanswerable questions. Each question stands on a line
of its own, in the set's order.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sourceline.errors import ResultsError
from sourceline.evaluation.metrics import MEASURES, SOURCELINE, Asked, Evaluation, First, Outcome

FORMAT = 1


def record(name: str, evaluation: Evaluation) -> str:
    """Return the text of the file; ``name`` is the set's."""
    values = asdict(evaluation)
    asked = ",\n  ".join(map(json.dumps, values.pop("asked")))
    head = {"format": FORMAT, "set": name, "passages": evaluation.passages, "questions": len(evaluation.asked)}
    return json.dumps(head | values, indent=1).removesuffix("\n}") + f',\n "asked": [\n  {asked}\n ]\n}}\n'


def read_record(file: Path) -> tuple[Asked, ...]:
    """Return the questions of a file of figures, with what came of them in Sourceline; other systems are left out.

    Raises:
        FiguresError: the file cannot be read, or is not one.
    """
    try:
        values = json.loads(file.read_text("utf-8"))
        if values["format"] != FORMAT:
            raise ValueError(f"its format is {values['format']!r}, not {FORMAT}")
        return tuple(map(_asked, values["asked"]))
    except OSError as error:
        raise ResultsError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ResultsError(f"{file} holds no figures of `sourceline evaluate --json`: {error!r}") from error


def _asked(value: dict[str, Any]) -> Asked:
    return Asked(
        id=str(value["id"]),
        question=str(value["question"]),
        answerable=bool(value["answerable"]),
        confidence=_number(value["confidence"]),
        outcomes={
            str(where): {SOURCELINE: _outcome(systems[SOURCELINE])} for where, systems in value["outcomes"].items()
        },
    )


def _outcome(value: dict[str, Any]) -> Outcome:
    measures = value["measures"] and {name: _number(value["measures"][name]) for name in MEASURES}
    first = value["first"]
    return Outcome(dict(measures), First(str(first["citation"]), str(first["text"])) if first else None)


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def require_writable(file: Path) -> None:
    """Find out before the work that a file can be written; what stands in it stays.

    Raises:
        FiguresError: it cannot.
    """
    new = not file.exists()
    try:
        file.open("ab").close()
        if new:
            file.unlink()
    except OSError as error:
        raise ResultsError(f"cannot write {file}: {error.strerror}") from error


def write(file: Path, text: str) -> None:
    """Write a file; half of a surrogate pair, as in the name of a folder that is not UTF-8, becomes ``?``.

    Raises:
        FiguresError: it cannot be written.
    """
    try:
        file.write_text(text, "utf-8", errors="replace")
    except OSError as error:
        raise ResultsError(f"cannot write {file}: {error.strerror}") from error
