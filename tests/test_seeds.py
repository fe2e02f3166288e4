"""The sample documents and the labelled questions about them: what they are, and how well they are answered."""

from pathlib import Path

import pytest

from sourceline.durable import sha256
from sourceline.evaluation.dataset import Question, read_dataset
from sourceline.evaluation.evaluate import evaluate
from sourceline.evaluation.metrics import FAST, OPEN, SOURCELINE, Evaluation
from sourceline.ingest.loader import read_document
from sourceline.ingest.sentences import split_passages
from sourceline.types import DEFAULT_MODEL, Backend
from tests.conftest import SEEDS

QUESTIONS = read_dataset(SEEDS).questions


@pytest.fixture(scope="module")
def evaluation(exported: Path) -> Evaluation:
    """The evaluation of the seed questions."""
    return evaluate(read_dataset(SEEDS), DEFAULT_MODEL, Backend.ONNX, exported)


def test_the_meeting_is_as_it_was_given() -> None:
    assert sha256(SEEDS / "meeting.txt") == "3f9c90b2b9efa03d29f3f49a21f58541d848bc51861a186576abc04544e60d75"


def test_there_are_enough_questions_of_both_kinds() -> None:
    unanswerable = [question for question in QUESTIONS if not question.answerable]
    assert len(QUESTIONS) == 60
    assert len(unanswerable) >= 8
    assert all(not question.relevant for question in unanswerable)
    assert len({question.text.casefold() for question in QUESTIONS}) == 60


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q.answerable], ids=lambda question: question.id)
def test_every_label_covers_exactly_one_passage(question: Question) -> None:
    assert question.relevant
    for label in question.relevant:
        document = read_document(SEEDS, label.document)
        places = [(passage.start, passage.end) for passage in split_passages(document)]
        assert places.count((label.start, label.end)) == 1


# Measured: R@1 .978, R@5 .978, MRR@10 .982, nDCG@10 .986; area under the curve of confidence .989.
@pytest.mark.parametrize(("measure", "floor"), [("R@1", 0.91), ("R@5", 0.93), ("MRR@10", 0.93), ("nDCG@10", 0.94)])
def test_the_answers_are_found(evaluation: Evaluation, measure: str, floor: float) -> None:
    assert evaluation.metrics[OPEN][SOURCELINE][measure].mean >= floor


# Measured: R@1 .783, MRR@10 .864, R@5 .957, nDCG@10 .890; area under the curve of confidence .719.
@pytest.mark.parametrize(("measure", "floor"), [("R@1", 0.76), ("R@5", 0.93), ("MRR@10", 0.84), ("nDCG@10", 0.87)])
def test_the_answers_are_found_without_reading(evaluation: Evaluation, measure: str, floor: float) -> None:
    assert evaluation.metrics[OPEN][FAST][measure].mean >= floor


@pytest.mark.parametrize(("system", "floor"), [(SOURCELINE, 0.94), (FAST, 0.68)])
def test_answerable_questions_have_more_confidence_than_others(
    evaluation: Evaluation, system: str, floor: float
) -> None:
    area = evaluation.confidence[OPEN][system].auc
    assert area is not None
    assert area >= floor


# Measured: 39 of 46 and 0 of 14.
def test_most_answers_are_shown_as_such_and_no_near_miss_is(evaluation: Evaluation) -> None:
    confidence = evaluation.confidence[OPEN][SOURCELINE]
    assert confidence.answerable["answered"] >= 36
    assert confidence.unanswerable["answered"] == 0
