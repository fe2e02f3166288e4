import json
from pathlib import Path
from typing import Any

import pytest

from sourceline.errors import DatasetError
from sourceline.evaluation.dataset import LabelledQuestion, LabelledSet, Relevant, read_labels

SPAN = {"document": "a.txt", "start": 3, "end": 9}


def line(**changed: Any) -> str:
    value = {"id": "q1", "question": "Who?", "relevant": [], "answerable": False} | changed
    return json.dumps(value, ensure_ascii=False)


def read(folder: Path, *lines: str) -> LabelledSet:
    (folder / "questions.jsonl").write_text("\n".join(lines), "utf-8")
    return read_labels(folder)


def refusal(folder: Path, *lines: str) -> str:
    with pytest.raises(DatasetError) as error:
        read(folder, *lines)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_question_is_read_with_all_that_answers_it(tmp_path: Path) -> None:
    paragraph = {"document": "a.txt", "start": 0, "end": 50}
    other = {"document": "b/c.txt", "start": 0, "end": 4, "note": "ignored"}
    found = read(tmp_path, line(answerable=True, relevant=[SPAN, other], paragraph=paragraph, scope="a.txt"), "")
    assert found.questions == (
        LabelledQuestion(
            id="q1",
            text="Who?",
            relevant=(Relevant("a.txt", 3, 9), Relevant("b/c.txt", 0, 4)),
            answerable=True,
            paragraph=Relevant("a.txt", 0, 50),
            scope="a.txt",
        ),
    )


def test_grades_stand_beside_what_they_grade(tmp_path: Path) -> None:
    (question,) = read(tmp_path, line(answerable=True, relevant=[SPAN, SPAN], grades=[2, 1])).questions
    assert question.relevant == (Relevant("a.txt", 3, 9, grade=2), Relevant("a.txt", 3, 9, grade=1))


@pytest.mark.parametrize("nothing", [{}, {"scope": None, "grades": None}, {"scope": "", "grades": []}])
def test_scope_and_grades_may_be_missing(tmp_path: Path, nothing: dict[str, Any]) -> None:
    (question,) = read(tmp_path, line(answerable=True, relevant=[SPAN], **nothing)).questions
    assert question.scope is None
    assert question.relevant == (Relevant("a.txt", 3, 9, grade=1),)


def test_questions_keep_their_order_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    found = read(tmp_path, line(id=2), "", "  ", line(id="1"), "")
    assert [question.id for question in found.questions] == ["2", "1"]
    assert found.questions[0] == LabelledQuestion("2", "Who?", (), False, None)


def test_a_question_may_hold_any_character(tmp_path: Path) -> None:
    (question,) = read(tmp_path, line(question="Zoë\u2028\x85\u000b 東京?")).questions
    assert question.text == "Zoë\u2028\x85\u000b 東京?"


def test_documents_stand_in_their_folder_or_beside_the_questions(tmp_path: Path) -> None:
    assert read(tmp_path, line()).documents == tmp_path
    (tmp_path / "documents").mkdir()
    assert read(tmp_path, line()).documents == tmp_path / "documents"


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "5",
        "null",
        '"Who?"',
        "[" * 100_000,
        '{"id": "q2"}',
        line(relevant=None),
        line(relevant={"document": "a.txt"}),
        line(relevant=[{"document": "a.txt", "start": 3}]),
        line(relevant=[SPAN | {"end": "far"}]),
        line(relevant=[SPAN | {"start": None}]),
        line(paragraph="a.txt"),
        line(relevant=[SPAN], grades=[1, 2]),
        line(relevant=[SPAN, SPAN], grades=[1]),
        line(relevant=[SPAN], grades=[0]),
        line(relevant=[SPAN], grades=["2"]),
        line(relevant=[SPAN], grades=[1.5]),
        line(relevant=[SPAN], grades=[True]),
        line(relevant=[SPAN], grades=2),
    ],
)
def test_what_is_no_question_is_refused_with_file_and_line(tmp_path: Path, bad: str) -> None:
    message = refusal(tmp_path, line(), "", bad, line(id="q4"))
    assert message.startswith(f"{tmp_path / 'questions.jsonl'}, line 3: not a labelled question: ")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_bytes(line().encode() + b"\n\xff")
    with pytest.raises(DatasetError, match="not a labelled question"):
        read_labels(tmp_path)


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, line(id="q1"), line(id="q2"), line(id="q2", question="What?"))
    assert message == f"{tmp_path / 'questions.jsonl'}: several questions have the id q2"


@pytest.mark.parametrize("lines", [[], ["", "  "]])
def test_a_set_without_questions_is_refused(tmp_path: Path, lines: list[str]) -> None:
    assert refusal(tmp_path, *lines) == f"there are no questions in {tmp_path / 'questions.jsonl'}"


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as error:
        read_labels(tmp_path)
    assert str(error.value) == f"cannot read {tmp_path / 'questions.jsonl'}: No such file or directory"
