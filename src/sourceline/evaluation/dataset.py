"""A labelled set: documents, and questions with the sentences that answer them."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sourceline.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Relevant:
    """A stretch of a document that answers a question; any passage that overlaps it does.

    ``grade``: how well, from 1; only nDCG looks at it.
    """

    document: str
    start: int
    end: int
    grade: int = 1


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question and all that answers it; nothing if it is not ``answerable``.

    ``paragraph``: what it was asked of; ``scope``: the id of the document it was asked of.
    """

    id: str
    text: str
    relevant: tuple[Relevant, ...]
    answerable: bool
    paragraph: Relevant | None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A folder of documents and the questions about them."""

    documents: Path
    questions: tuple[LabelledQuestion, ...]


def read_labels(folder: Path) -> LabelledSet:
    """Read ``questions.jsonl`` and find the documents: in ``documents/``, else beside it.

    Raises:
        LabelsError: there are no questions, or a line of the file is not one.
    """
    file = folder / "questions.jsonl"
    questions = []
    number = 0
    try:
        for line in file.read_text("utf-8").split("\n"):  # JSON may hold what splitlines takes for a line end
            number += 1
            if line.strip():
                questions.append(_question(json.loads(line)))
    except OSError as error:
        raise DatasetError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DatasetError(f"{file}, line {number}: not a labelled question: {error!r}") from error
    if not questions:
        raise DatasetError(f"there are no questions in {file}")
    if twice := [id_ for id_, count in Counter(question.id for question in questions).items() if count > 1]:
        raise DatasetError(f"{file}: several questions have the id {twice[0]}")
    documents = folder / "documents"
    return LabelledSet(documents if documents.is_dir() else folder, tuple(questions))


def _question(value: dict[str, Any]) -> LabelledQuestion:
    stretches = list(map(_stretch, value["relevant"]))
    grades = value.get("grades") or [1] * len(stretches)
    if any(type(grade) is not int or grade < 1 for grade in grades):
        raise ValueError("grades are whole numbers from 1")
    return LabelledQuestion(
        id=str(value["id"]),
        text=str(value["question"]),
        relevant=tuple(replace(one, grade=grade) for one, grade in zip(stretches, grades, strict=True)),
        answerable=bool(value["answerable"]),
        paragraph=_stretch(value["paragraph"]) if value.get("paragraph") else None,
        scope=str(value["scope"]) if value.get("scope") else None,
    )


def _stretch(value: dict[str, Any]) -> Relevant:
    return Relevant(str(value["document"]), int(value["start"]), int(value["end"]))
