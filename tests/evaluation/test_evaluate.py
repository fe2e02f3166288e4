import json
import math
from pathlib import Path

import pytest

from sourceline.errors import CorpusError, DatasetError
from sourceline.evaluation.dataset import Question, Relevant, read_dataset
from sourceline.evaluation.evaluate import build_qrels, evaluate, open_searcher
from sourceline.evaluation.metrics import IN_SCOPE, MEASURES, OPEN, SOURCELINE, Evaluation, TopPassage
from sourceline.types import DEFAULT_MODEL, Backend
from tests.conftest import Rebuild

BRIDGE, HURT, HARBOUR = "The bridge was closed on Monday.", "Nobody was hurt.", "The harbour stayed open all week."
ROOF, COST = "The town hall gets a new roof.", "The repair will cost nine million crowns."
TEXT = f"{BRIDGE} {HURT} {HARBOUR}"


def question(id_: str, text: str, *spans: tuple[str, str, str]) -> dict[str, object]:
    """A line of questions.jsonl; each span is a document, its text, and the words in it that answer."""
    relevant = [
        {
            "document": document,
            "start": text_of_document.index(words),
            "end": text_of_document.index(words) + len(words),
        }
        for document, text_of_document, words in spans
    ]
    return {"id": id_, "question": text, "relevant": relevant, "answerable": bool(spans)}


def run(folder: Path, exported: Path, questions: list[dict[str, object]], **files: str) -> Evaluation:
    (folder / "documents").mkdir()
    for name, text in files.items():
        (folder / "documents" / f"{name}.txt").write_text(text, "utf-8")
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, questions)), "utf-8")
    return evaluate(read_dataset(folder), DEFAULT_MODEL, Backend.ONNX, exported)


def test_passages_that_overlap_a_label_are_relevant(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text(TEXT)
    (documents / "b.txt").write_text(TEXT)
    rebuild(documents, index)
    passages = open_searcher(index).snapshot.passages
    bridge, hurt, harbour = (passage.id for passage in passages.of_document(passages.documents[0]))
    end = len(BRIDGE)

    def relevant(*labels: Relevant) -> set[str]:
        qrels = build_qrels([Question("q", "", labels, True), Question("no", "", (), False)], passages)
        assert list(qrels) == ["q"]
        assert set(qrels["q"].values()) == {1}
        return set(qrels["q"])

    assert relevant(Relevant("a.txt", 4, 10)) == {bridge}
    assert relevant(Relevant("a.txt", end - 1, end + 2)) == {bridge, hurt}
    assert relevant(Relevant("a.txt", end + 1, end + 2)) == {hurt}
    assert relevant(Relevant("a.txt", 0, 5), Relevant("a.txt", 60, 61)) == {bridge, harbour}
    assert len(relevant(Relevant("a.txt", 0, 5), Relevant("b.txt", 0, 5))) == 2
    for nowhere in [Relevant("c.txt", 0, 5), Relevant("a.txt", end, end + 1), Relevant("a.txt", 900, 905)]:
        with pytest.raises(DatasetError) as error:
            relevant(nowhere)
        assert str(error.value) == "question q: no passage stands where its labels say"


def test_a_passage_has_the_greatest_grade_of_its_labels(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text(TEXT)
    rebuild(documents, index)
    passages = open_searcher(index).snapshot.passages
    bridge, hurt, _ = (passage.id for passage in passages.of_document(passages.documents[0]))
    labels = (Relevant("a.txt", 0, 5, 1), Relevant("a.txt", 4, 40, 3), Relevant("a.txt", 40, 41, 2))
    assert build_qrels([Question("q", "", labels, True)], passages) == {"q": {bridge: 3, hurt: 3}}


def test_a_dataset_is_indexed_asked_and_measured(tmp_path: Path, exported: Path) -> None:
    works = f"{ROOF} {COST}"
    evaluation = run(
        tmp_path,
        exported,
        [
            question("first", "When was the bridge closed?", ("a.txt", TEXT, BRIDGE)),
            question("never", "Who won the football match last night?"),
            # Both sentences are in the first two places, and the label is on the second of them.
            question("second", "What does the repair cost?", ("b.txt", works, "new roof")),
            question("both", "Which work is done on the town hall?", ("b.txt", works, works)),
        ],
        a=TEXT,
        b=works,
    )
    assert evaluation.passages == 5
    assert [(q.id, q.question, q.answerable, q.correct) for q in evaluation.questions] == [
        ("first", "When was the bridge closed?", True, True),
        ("never", "Who won the football match last night?", False, False),
        ("second", "What does the repair cost?", True, False),
        ("both", "Which work is done on the town hall?", True, True),
    ]
    outcomes = [q.outcomes[OPEN][SOURCELINE] for q in evaluation.questions]
    assert [outcome.top.text for outcome in outcomes if outcome.top][::2] == [BRIDGE, COST]
    first, never, second, both = (outcome.measures for outcome in outcomes)
    assert first == {"R@1": 1, "R@5": 1, "R@10": 1, "MRR@10": 1, "nDCG@10": 1}
    assert never == {}
    assert second == pytest.approx({"R@1": 0, "R@5": 1, "R@10": 1, "MRR@10": 0.5, "nDCG@10": 1 / math.log2(3)})
    assert both == pytest.approx({"R@1": 1, "R@5": 1, "R@10": 1, "MRR@10": 1, "nDCG@10": 1})
    means = {name: estimate.mean for name, estimate in evaluation.metrics[OPEN][SOURCELINE].items()}
    assert means == pytest.approx(
        {"R@1": 2 / 3, "R@5": 1, "R@10": 1, "MRR@10": 2.5 / 3, "nDCG@10": (2 + 1 / math.log2(3)) / 3}
    )
    assert list(evaluation.metrics) == [OPEN]
    assert list(evaluation.metrics[OPEN]) == ["Sourceline", "BM25", "dense", "dense + BM25, RRF"]
    assert evaluation.answerable(OPEN) == 3
    assert evaluation.confidence.auc == 1


def test_questions_with_a_scope_are_also_asked_within_it(tmp_path: Path, exported: Path) -> None:
    other = f"{ROOF} The bridge was closed on Sunday night."
    labelled = [
        question("inside", "When was the bridge closed?", ("b.txt", other, "The bridge was closed on Sunday night."))
        | {"scope": "b.txt"},
        question("without", "When was the bridge closed?", ("a.txt", TEXT, BRIDGE)),
        question("never", "Who won the football match?") | {"scope": "a.txt"},
    ]
    evaluation = run(tmp_path, exported, labelled, a=TEXT, b=other)
    inside, _, never = evaluation.questions
    assert [list(q.outcomes) for q in evaluation.questions] == [[OPEN, IN_SCOPE], [OPEN], [OPEN, IN_SCOPE]]
    assert [inside.outcomes[where]["BM25"].measures["R@1"] for where in (OPEN, IN_SCOPE)] == [0, 1]
    assert never.outcomes[IN_SCOPE][SOURCELINE].measures == {}
    assert (evaluation.answerable(OPEN), evaluation.answerable(IN_SCOPE)) == (2, 1)
    assert {name: values["R@1"].mean for name, values in evaluation.metrics[IN_SCOPE].items()} == {
        "Sourceline": 1,
        "BM25": 1,
        "dense": 1,
        "dense + BM25, RRF": 1,
    }


def test_in_scope_is_left_out_for_one_document_and_an_unknown_scope_is_refused(tmp_path: Path, exported: Path) -> None:
    labelled = question("q", "When was the bridge closed?", ("a.txt", TEXT, BRIDGE))
    for folder in ("one", "none"):
        (tmp_path / folder).mkdir()
    assert list(run(tmp_path / "one", exported, [labelled | {"scope": "a.txt"}], a=TEXT).metrics) == [OPEN]
    with pytest.raises(DatasetError) as error:
        run(tmp_path / "none", exported, [labelled | {"scope": "c.txt"}], a=TEXT)
    assert str(error.value) == "question q: no document with passages is its scope, c.txt"


def test_confidence_and_top_passage_are_those_of_an_answer(
    tmp_path: Path, exported: Path, index: Path, rebuild: Rebuild
) -> None:
    questions = ["When was the bridge closed?", " Was anybody hurt? ", "Who won the football match?"]
    evaluation = run(tmp_path, exported, [question(text, text) for text in questions], a=TEXT)
    rebuild(tmp_path / "documents", index)
    searcher = open_searcher(index)
    for result, text in zip(evaluation.questions, questions, strict=True):
        answer = searcher.ask(text, 10)
        assert result.confidence == answer.confidence
        passage = answer.hits[0].passage
        assert result.outcomes[OPEN][SOURCELINE].top == TopPassage(passage.id, passage.text)


def test_a_passage_below_the_tenth_place_does_not_count(tmp_path: Path, exported: Path) -> None:
    text = " ".join(f"The bridge was closed on day {number}." for number in range(30)) + " Cats sleep."
    labelled = [question("low", "On which day was the bridge closed?", ("a.txt", text, "Cats"))]
    evaluation = run(tmp_path, exported, labelled, a=text)
    assert {estimate.mean for system in evaluation.metrics[OPEN].values() for estimate in system.values()} == {0}
    assert evaluation.confidence.auc is None


def test_a_dataset_without_answerable_questions_has_no_metrics(tmp_path: Path, exported: Path) -> None:
    evaluation = run(tmp_path, exported, [question("never", "Who won?")], a=TEXT)
    assert (evaluation.metrics, evaluation.confidence.auc, evaluation.confidence.correct) == ({}, None, 0)


@pytest.mark.parametrize(
    ("text", "reason"), [(" ", "the question is empty"), ("\u200b", "the question holds no words")]
)
def test_a_question_that_cannot_be_asked_is_named(tmp_path: Path, exported: Path, text: str, reason: str) -> None:
    with pytest.raises(DatasetError) as error:
        run(tmp_path, exported, [question("q7", text)], a=TEXT)
    assert str(error.value) == f"question q7: {reason}"


def test_progress_is_reported_while_documents_are_encoded_and_questions_asked(tmp_path: Path, exported: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "questions.jsonl").write_text("\n".join(json.dumps(question(id_, "Who?")) for id_ in "ab"))
    reported: list[tuple[str, int, int]] = []

    def report(stage: str, done: int, total: int) -> None:
        reported.append((stage, done, total))

    evaluate(read_dataset(tmp_path), DEFAULT_MODEL, Backend.ONNX, exported, report)
    assert reported == [("encoding", 0, 83), ("encoding", 83, 83), ("asking", 1, 2), ("asking", 2, 2)]


def test_an_evaluation_leaves_no_files_behind(tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    before = sorted(exported.rglob("*"))
    run(tmp_path, exported, [question("never", "Who won?")], a=TEXT)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert sorted(exported.rglob("*")) == before


def test_a_dataset_without_documents_is_refused(tmp_path: Path, exported: Path) -> None:
    with pytest.raises(CorpusError):
        run(tmp_path, exported, [question("never", "Who won?")])


def test_a_duplicate_of_a_labelled_passage_is_as_relevant(tmp_path: Path, exported: Path) -> None:
    labelled = [question("q", "When was the bridge closed?", ("b.txt", BRIDGE, BRIDGE))]
    (result,) = run(tmp_path, exported, labelled, a=BRIDGE, b=BRIDGE).questions
    assert result.outcomes[OPEN][SOURCELINE].measures == dict.fromkeys(MEASURES, 1.0)


def test_every_stage_is_measured_by_leaving_it_out(tmp_path: Path, exported: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text(TEXT)
    (tmp_path / "questions.jsonl").write_text(
        json.dumps(question("q", "When was the bridge closed?", ("a.txt", TEXT, BRIDGE)))
    )
    evaluation = evaluate(read_dataset(tmp_path), DEFAULT_MODEL, Backend.ONNX, exported, ablate=True)
    assert list(evaluation.metrics[OPEN])[4:] == [
        "without question token weights",
        "without passage token weights",
        "without context",
        "without titles",
        "without the ranking head",
        "without BM25 candidates",
        "without dense candidates",
        "chunks of 400 characters",
        "chunks of 1,200 characters",
        "each sentence encoded alone",
    ]
    assert {system["R@5"].mean for system in evaluation.metrics[OPEN].values()} == {1.0}
