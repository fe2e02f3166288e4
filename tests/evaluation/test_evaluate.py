import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from sourceline.errors import CorpusError, DatasetError
from sourceline.evaluation.baselines import RememberingReranker, sourceline
from sourceline.evaluation.dataset import Dataset, Question, Relevant, read_dataset
from sourceline.evaluation.evaluate import build_qrels, evaluate, measure, open_searcher
from sourceline.evaluation.metrics import (
    FAST,
    IN_SCOPE,
    MEASURES,
    OPEN,
    SOURCELINE,
    Evaluation,
    FormMetrics,
    TopPassage,
)
from sourceline.search.confidence import ReaderCalibration, load_calibration
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, NO_RERANKER, Backend, Mode
from tests.conftest import Rebuild
from tests.support.rerankers import ScriptedReranker

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
    return evaluate(read_dataset(folder), DEFAULT_MODEL, Backend.ONNX, exported, reranker=NO_RERANKER)


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
    assert [(q.id, q.question, q.answerable, q.outcomes[OPEN][SOURCELINE].correct) for q in evaluation.questions] == [
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
    assert evaluation.confidence[OPEN][SOURCELINE].auc == 1
    assert evaluation.forms == {}


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
        passage = answer.hits[0].passage
        outcome = result.outcomes[OPEN][SOURCELINE]
        assert (outcome.confidence, outcome.top) == (answer.confidence, TopPassage(passage.id, passage.text))


def test_a_passage_below_the_tenth_place_does_not_count(tmp_path: Path, exported: Path) -> None:
    text = " ".join(f"The bridge was closed on day {number}." for number in range(30)) + " Cats sleep."
    labelled = [question("low", "On which day was the bridge closed?", ("a.txt", text, "Cats"))]
    evaluation = run(tmp_path, exported, labelled, a=text)
    assert {estimate.mean for system in evaluation.metrics[OPEN].values() for estimate in system.values()} == {0}
    assert evaluation.confidence[OPEN][SOURCELINE].auc is None


def test_a_dataset_without_answerable_questions_has_no_metrics(tmp_path: Path, exported: Path) -> None:
    evaluation = run(tmp_path, exported, [question("never", "Who won?")], a=TEXT)
    confidence = evaluation.confidence[OPEN][SOURCELINE]
    assert (evaluation.metrics, confidence.auc, confidence.correct) == ({}, None, 0)


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

    evaluate(read_dataset(tmp_path), DEFAULT_MODEL, Backend.ONNX, exported, report, reranker=NO_RERANKER)
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
    assert list(evaluation.metrics[OPEN])[5:] == [
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
        "reader alone",
        "1 chunk read",
        "2 chunks read",
        "4 chunks read",
        "10 sentences read, each alone",
        "without reading close ones again",
        "without sentences beside the candidates",
        "without titles in chunks read",
    ]
    assert {system["R@5"].mean for system in evaluation.metrics[OPEN].values()} == {1.0}


@pytest.fixture
def searcher(documents: Path, index: Path, rebuild: Rebuild) -> Searcher:
    """Two documents, in which a reader finds nothing but HURT and ROOF."""
    (documents / "a.txt").write_text(TEXT)
    (documents / "b.txt").write_text(f"{ROOF} {COST}")
    rebuild(documents, index)
    plain = open_searcher(index)
    reranker = RememberingReranker(ScriptedReranker({HURT: 4.0, ROOF: 2.0, BRIDGE: -2.0}))
    # The confidence is 1 / (1 + exp(-score)): .982, .881, .119 or .5.
    calibration = ReaderCalibration(late_weight=0.0, unread=-9.0, decided=100.0, slope=1.0, intercept=0.0)
    late = load_calibration(DEFAULT_MODEL)
    return Searcher(plain.snapshot, plain.encoder, late, reranker=reranker, reader_calibration=calibration)


def dataset(documents: Path) -> Dataset:
    hurt = Relevant("a.txt", TEXT.index(HURT), TEXT.index(HURT) + 1)
    roof, cost = Relevant("b.txt", 0, 1), Relevant("b.txt", len(ROOF) + 1, len(ROOF) + 2)
    questions = (
        Question("hurt", "How many people were injured?", (hurt,), True, scope="a.txt", form="paraphrase"),
        Question("roof", "What does the town hall get?", (roof,), True, scope="b.txt", form="direct"),
        Question("cost", "What does the repair cost?", (cost,), True, scope="b.txt", form="direct"),
        Question("swap", "Was the harbour closed?", (), False, scope="b.txt", form="swap"),
        Question("plain", "Was anybody hurt?", (hurt,), True),
    )
    return Dataset("set", documents, questions)


def test_reading_is_measured_beside_late_interaction_in_each_setting_and_by_form(
    searcher: Searcher, documents: Path
) -> None:
    evaluation = measure(dataset(documents), searcher, sourceline(searcher), 0.9)
    outcomes = {q.id: q.outcomes for q in evaluation.questions}

    def first(id_: str, setting: str) -> tuple[str, float]:
        outcome = outcomes[id_][setting][SOURCELINE]
        assert outcome.top
        assert outcome.confidence is not None
        return outcome.top.text, round(outcome.confidence, 3)

    # Everything is among the candidates and read, so that open HURT is first for every question.
    assert {first(id_, OPEN) for id_ in outcomes} == {(HURT, 0.982)}
    assert [first(id_, IN_SCOPE) for id_ in ("hurt", "roof", "cost", "swap")] == [
        (HURT, 0.982),
        (ROOF, 0.881),
        (ROOF, 0.881),
        (ROOF, 0.881),
    ]
    assert list(outcomes["plain"]) == [OPEN]
    in_scope, everywhere = (evaluation.confidence[setting][SOURCELINE] for setting in (IN_SCOPE, OPEN))
    assert in_scope.answerable == {"answered": 1, "unsure": 2, "not_answered": 0}
    assert in_scope.unanswerable == {"answered": 0, "unsure": 1, "not_answered": 0}
    assert (in_scope.answered, in_scope.correct) == (1, 1)
    assert in_scope.auc == pytest.approx(2 / 3)  # .982 and twice .881 against .881
    assert (everywhere.answered, everywhere.correct) == (5, 2)
    assert evaluation.metrics[IN_SCOPE][SOURCELINE]["R@1"].mean == pytest.approx(2 / 3)
    assert evaluation.metrics[OPEN][SOURCELINE]["R@1"].mean == 0.5
    assert evaluation.forms[IN_SCOPE][SOURCELINE] == {
        "paraphrase": FormMetrics(1, 1, 1, 0, 0),
        "direct": FormMetrics(2, 1, 0, 0, 0),
        "swap": FormMetrics(0, 0, 0, 1, 0),
    }
    assert evaluation.forms[OPEN][SOURCELINE]["swap"] == FormMetrics(0, 0, 0, 1, 1)


def test_fast_is_what_asking_without_reading_gives(searcher: Searcher, documents: Path) -> None:
    evaluation = measure(dataset(documents), searcher, sourceline(searcher))
    for result in evaluation.questions:
        answer = searcher.ask(result.question, 10, mode=Mode.FAST)
        passage = answer.hits[0].passage
        outcome = result.outcomes[OPEN][FAST]
        assert (outcome.confidence, outcome.top) == (answer.confidence, TopPassage(passage.id, passage.text))


def test_questions_that_are_asked_at_once_keep_their_order_and_results(searcher: Searcher, documents: Path) -> None:
    whole = dataset(documents)
    many = Dataset("set", documents, tuple(replace(q, id=f"{q.id}-{at}") for at in range(20) for q in whole.questions))
    first, second = (measure(many, searcher, sourceline(searcher)) for _ in range(2))
    assert [question.id for question in first.questions] == [question.id for question in many.questions]
    assert first == second
