"""A labelled set: documents, and questions with the sentences that answer them."""

import json
from dataclasses import dataclass
from pathlib import Path

from sourceline.errors import LabelsError


@dataclass(frozen=True, slots=True)
class Relevant:
    """A stretch of a document that answers a question; any passage that overlaps it does."""

    document: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question and all that answers it; nothing if it is not ``answerable``."""

    id: str
    text: str
    relevant: tuple[Relevant, ...]
    answerable: bool
    paragraph: Relevant | None


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
        for line in file.read_text("utf-8").splitlines():
            number += 1
            if line.strip():
                questions.append(_question(json.loads(line)))
    except OSError as error:
        raise LabelsError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LabelsError(f"{file}, line {number}: not a labelled question: {error!r}") from error
    if not questions:
        raise LabelsError(f"there are no questions in {file}")
    documents = folder / "documents"
    return LabelledSet(documents if documents.is_dir() else folder, tuple(questions))


def _question(value: dict) -> LabelledQuestion:  # type: ignore[type-arg]  # foreign JSON
    paragraph = value.get("paragraph")
    return LabelledQuestion(
        id=str(value["id"]),
        text=str(value["question"]),
        relevant=tuple(Relevant(**one) for one in value["relevant"]),
        answerable=bool(value["answerable"]),
        paragraph=Relevant(**paragraph) if paragraph else None,
    )
