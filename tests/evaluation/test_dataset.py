import json
from pathlib import Path
from typing import Any

import pytest

from sourceline.errors import DatasetError
from sourceline.evaluation.dataset import Dataset, Question, Relevant, read_dataset, sample

SPAN = {"document": "a.txt", "start": 3, "end": 9}


def line(**changed: Any) -> str:
    value = {"id": "q1", "question": "Who?", "relevant": [], "answerable": False} | changed
    return json.dumps(value, ensure_ascii=False)


def read(folder: Path, *lines: str) -> Dataset:
    (folder / "questions.jsonl").write_text("\n".join(lines), "utf-8")
    return read_dataset(folder)


def refusal(folder: Path, *lines: str) -> str:
    with pytest.raises(DatasetError) as error:
        read(folder, *lines)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_question_is_read_with_all_relevant_ranges(tmp_path: Path) -> None:
    paragraph = {"document": "a.txt", "start": 0, "end": 50}
    other = {"document": "b/c.txt", "start": 0, "end": 4, "note": "ignored"}
    dataset = read(tmp_path, line(answerable=True, relevant=[SPAN, other], paragraph=paragraph, scope="a.txt"), "")
    assert dataset.questions == (
        Question(
            id="q1",
            text="Who?",
            relevant=(Relevant("a.txt", 3, 9), Relevant("b/c.txt", 0, 4)),
            answerable=True,
            paragraph=Relevant("a.txt", 0, 50),
            scope="a.txt",
        ),
    )


def test_each_grade_belongs_to_the_range_in_its_place(tmp_path: Path) -> None:
    (question,) = read(tmp_path, line(answerable=True, relevant=[SPAN, SPAN], grades=[2, 1])).questions
    assert question.relevant == (Relevant("a.txt", 3, 9, grade=2), Relevant("a.txt", 3, 9, grade=1))


@pytest.mark.parametrize("absent", [{}, {"scope": None, "grades": None}, {"scope": "", "grades": []}])
def test_scope_and_grades_may_be_missing(tmp_path: Path, absent: dict[str, Any]) -> None:
    (question,) = read(tmp_path, line(answerable=True, relevant=[SPAN], **absent)).questions
    assert question.scope is None
    assert question.relevant == (Relevant("a.txt", 3, 9, grade=1),)


def test_questions_keep_their_order_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    questions = read(tmp_path, line(id=2), "", "  ", line(id="1"), "").questions
    assert [question.id for question in questions] == ["2", "1"]
    assert questions[0] == Question("2", "Who?", (), False)


def test_a_question_may_hold_any_character(tmp_path: Path) -> None:
    (question,) = read(tmp_path, line(question="Zoë\u2028\x85\u000b 東京?")).questions
    assert question.text == "Zoë\u2028\x85\u000b 東京?"


def test_a_dataset_is_named_after_its_folder(tmp_path: Path) -> None:
    (tmp_path / "set-a").mkdir()
    assert read(tmp_path / "set-a", line()).name == "set-a"


def test_documents_are_in_their_folder_or_beside_the_questions(tmp_path: Path) -> None:
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
def test_a_line_that_is_no_question_is_refused_with_file_and_line(tmp_path: Path, bad: str) -> None:
    message = refusal(tmp_path, line(), "", bad, line(id="q4"))
    assert message.startswith(f"{tmp_path / 'questions.jsonl'}, line 3: not a labelled question: ")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_bytes(line().encode() + b"\n\xff")
    with pytest.raises(DatasetError, match="not a labelled question"):
        read_dataset(tmp_path)


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, line(id="q1"), line(id="q2"), line(id="q2", question="What?"))
    assert message == f"{tmp_path / 'questions.jsonl'}: several questions have the id q2"


@pytest.mark.parametrize("lines", [[], ["", "  "]])
def test_a_set_without_questions_is_refused(tmp_path: Path, lines: list[str]) -> None:
    assert refusal(tmp_path, *lines) == f"there are no questions in {tmp_path / 'questions.jsonl'}"


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as error:
        read_dataset(tmp_path)
    assert str(error.value) == f"cannot read {tmp_path / 'questions.jsonl'}: No such file or directory"


def test_the_form_of_a_question_is_read_where_there_is_one(tmp_path: Path) -> None:
    dataset = read(tmp_path, line(form="keywords"), line(id="q2"), line(id="q3", form=""))
    assert [question.form for question in dataset.questions] == ["keywords", None, None]


def test_a_set_may_be_a_file_beside_its_documents(tmp_path: Path) -> None:
    (tmp_path / "forms.jsonl").write_text(line())
    dataset = read_dataset(tmp_path / "forms.jsonl")
    assert (dataset.name, dataset.documents, len(dataset.questions)) == ("forms", tmp_path, 1)
    (tmp_path / "documents").mkdir()
    assert read_dataset(tmp_path / "forms.jsonl").documents == tmp_path / "documents"


def test_a_sample_is_always_the_same_in_order_and_in_proportion(tmp_path: Path) -> None:
    answerable = {at for at in range(100) if at % 4 != 3}
    labels = ({"answerable": True, "relevant": [SPAN]} if at in answerable else {} for at in range(100))
    whole = read(tmp_path, *(line(id=f"{at:02}", **label) for at, label in enumerate(labels)))
    some = sample(whole, 20)
    ids = [question.id for question in some.questions]
    assert sample(whole, 20) == some
    assert (some.name, some.documents, len(ids)) == (whole.name, whole.documents, 20)
    assert ids == sorted(ids)
    assert ids != [question.id for question in whole.questions[:20]]
    assert sum(question.answerable for question in some.questions) == 15
    assert [len(sample(whole, count).questions) for count in (1, 2, 3, 99, 100, 1000)] == [1, 2, 3, 99, 100, 100]
