"""Labelled datasets: a folder of documents, and questions with the passages that answer them."""

import json
import random
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sourceline.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Relevant:
    """A range of a document that answers a question; every passage that overlaps it is relevant.

    ``grade`` says how well it answers, from 1; only nDCG uses it.
    """

    document: str
    start: int
    end: int
    grade: int = 1


@dataclass(frozen=True, slots=True)
class Question:
    """A labelled question. ``relevant`` is empty if it is not ``answerable``.

    ``paragraph`` is what the question was written for; ``scope`` the id of the document that it is about; ``form`` the
    kind of question, such as keywords.
    """

    id: str
    text: str
    relevant: tuple[Relevant, ...]
    answerable: bool
    paragraph: Relevant | None = None
    scope: str | None = None
    form: str | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A folder of documents and the questions about them."""

    name: str
    documents: Path
    questions: tuple[Question, ...]


def read_dataset(path: Path) -> Dataset:
    """Read a file of questions, ``questions.jsonl`` of a folder; the documents are in ``documents/``, else beside it.

    Raises:
        DatasetError: there are no questions, or a line of the file is not one.
    """
    file = path if path.is_file() else path / "questions.jsonl"
    questions = []
    number = 0
    try:
        for line in file.read_text("utf-8").split("\n"):  # splitlines would split at characters that JSON may hold
            number += 1
            if line.strip():
                questions.append(_question(json.loads(line)))
    except OSError as error:
        raise DatasetError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DatasetError(f"{file}, line {number}: not a labelled question: {error!r}") from error
    if not questions:
        raise DatasetError(f"there are no questions in {file}")
    if repeated := [id_ for id_, count in Counter(question.id for question in questions).items() if count > 1]:
        raise DatasetError(f"{file}: several questions have the id {repeated[0]}")
    folder = file.parent
    documents = folder / "documents"
    name = file.stem if path.is_file() else folder.resolve().name
    return Dataset(name, documents if documents.is_dir() else folder, tuple(questions))


def sample(dataset: Dataset, count: int) -> Dataset:
    """Return a dataset with up to ``count`` of its questions, in their order.

    The choice is always the same, and has answerable and unanswerable questions in the proportion of the whole.
    """
    total = len(dataset.questions)
    if count >= total:
        return dataset
    answerable = [question.id for question in dataset.questions if question.answerable]
    others = [question.id for question in dataset.questions if not question.answerable]
    of_answerable = round(count * len(answerable) / total)
    draw = random.Random(0).sample
    chosen = {*draw(answerable, of_answerable), *draw(others, count - of_answerable)}
    return replace(dataset, questions=tuple(question for question in dataset.questions if question.id in chosen))


def _question(value: dict[str, Any]) -> Question:
    ranges = [_range(item) for item in value["relevant"]]
    grades = value.get("grades") or [1] * len(ranges)
    if any(type(grade) is not int or grade < 1 for grade in grades):
        raise ValueError("grades are whole numbers from 1")
    return Question(
        id=str(value["id"]),
        text=str(value["question"]),
        relevant=tuple(replace(item, grade=grade) for item, grade in zip(ranges, grades, strict=True)),
        answerable=bool(value["answerable"]),
        paragraph=_range(value["paragraph"]) if value.get("paragraph") else None,
        scope=str(value["scope"]) if value.get("scope") else None,
        form=str(value["form"]) if value.get("form") else None,
    )


def _range(value: dict[str, Any]) -> Relevant:
    return Relevant(str(value["document"]), int(value["start"]), int(value["end"]))
