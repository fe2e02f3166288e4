import json
import math
from pathlib import Path

import pytest

from sourceline.errors import CorpusError, DatasetError
from sourceline.evaluation.baselines import System, sourceline
from sourceline.evaluation.dataset import LabelledQuestion, Relevant, read_labels
from sourceline.evaluation.evaluate import evaluate, measure, relevance
from sourceline.evaluation.metrics import IN_SCOPE, MEASURES, OPEN, SOURCELINE, Evaluation, First
from sourceline.search.opening import open_searcher
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, Backend, BuildProgress
from tests.conftest import Rebuild

BRIDGE, HURT, HARBOUR = "The bridge was closed on Monday.", "Nobody was hurt.", "The harbour stayed open all week."
ROOF, COST = "The town hall gets a new roof.", "The repair will cost nine million crowns."
TEXT = f"{BRIDGE} {HURT} {HARBOUR}"


def question(id_: str, text: str, *spans: tuple[str, str, str]) -> dict[str, object]:
    """A labelled question; what answers it by document, the document's text, and the words that answer."""
    relevant = [
        {"document": document, "start": whole.index(words), "end": whole.index(words) + len(words)}
        for document, whole, words in spans
    ]
    return {"id": id_, "question": text, "relevant": relevant, "answerable": bool(spans)}


def score(folder: Path, exported: Path, questions: list[dict[str, object]], **files: str) -> Evaluation:
    (folder / "documents").mkdir()
    for name, text in files.items():
        (folder / "documents" / f"{name}.txt").write_text(text, "utf-8")
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, questions)), "utf-8")
    return evaluate(read_labels(folder), DEFAULT_MODEL, Backend.ONNX, compiled)


def test_what_overlaps_a_label_answers(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text(TEXT)
    (documents / "b.txt").write_text(TEXT)
    rebuild(documents, index)
    passages = open_searcher(index, DEFAULT_MODEL, Backend.ONNX).snapshot.passages
    bridge, hurt, harbour = (passage.id for passage in passages.of_document(passages.documents[0]))
    end = len(BRIDGE)

    def answering(*labels: Relevant) -> set[str]:
        labelled = LabelledQuestion("q", "", labels, True, None)
        found = relevance([labelled, LabelledQuestion("no", "", (), False, None)], passages)
        assert list(found) == ["q"]
        assert set(found["q"].values()) == {1}
        return set(found["q"])

    assert answering(Relevant("a.txt", 4, 10)) == {bridge}
    assert answering(Relevant("a.txt", end - 1, end + 2)) == {bridge, hurt}
    assert answering(Relevant("a.txt", end + 1, end + 2)) == {hurt}
    assert answering(Relevant("a.txt", 0, 5), Relevant("a.txt", 60, 61)) == {bridge, harbour}
    assert len(answering(Relevant("a.txt", 0, 5), Relevant("b.txt", 0, 5))) == 2
    for nowhere in [Relevant("c.txt", 0, 5), Relevant("a.txt", end, end + 1), Relevant("a.txt", 900, 905)]:
        with pytest.raises(DatasetError) as error:
            answering(nowhere)
        assert str(error.value) == "question q: no passage stands where its labels say"


def test_a_passage_has_the_greatest_grade_of_its_labels(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text(TEXT)
    rebuild(documents, index)
    passages = open_searcher(index, DEFAULT_MODEL, Backend.ONNX).snapshot.passages
    bridge, hurt, _ = (passage.id for passage in passages.of_document(passages.documents[0]))
    labels = (Relevant("a.txt", 0, 5, 1), Relevant("a.txt", 4, 40, 3), Relevant("a.txt", 40, 41, 2))
    assert relevance([LabelledQuestion("q", "", labels, True, None)], passages) == {"q": {bridge: 3, hurt: 3}}


def test_measures_by_hand() -> None:
    qrels = {"graded": {"a": 2, "b": 1}, "third": {"c": 1}, "low": {"z": 1}, "none": {"a": 1}}
    run = {
        "graded": ["b", "x", "a"],
        "third": ["a", "b", "c", "d"],
        "low": [*"abcdefghijz"],
        "none": [],
        "unanswerable": ["a"],
    }
    found = measure(qrels, run)
    assert list(found) == ["graded", "third", "low", "none"]
    # nDCG: what was gained, each divided by log2(rank + 1), over the same of the best order.
    ndcg = (1 + 2 / math.log2(4)) / (2 + 1 / math.log2(3))
    assert found["graded"] == pytest.approx(dict(zip(MEASURES, (1, 1, 1, 1, ndcg), strict=True)))
    assert found["third"] == pytest.approx(dict(zip(MEASURES, (0, 1, 1, 1 / 3, 1 / 2), strict=True)))
    assert found["low"] == found["none"] == dict.fromkeys(MEASURES, 0)


def test_a_set_is_built_asked_and_measured(tmp_path: Path, exported: Path) -> None:
    works = f"{ROOF} {COST}"
    found = score(
        tmp_path,
        compiled,
        [
            question("first", "When was the bridge closed?", ("a.txt", TEXT, BRIDGE)),
            question("never", "Who won the football match last night?"),
            # Ranked in the first two places, of which the label names the second.
            question("second", "What does the repair cost?", ("b.txt", works, "new roof")),
            question("both", "Which work is done on the town hall?", ("b.txt", works, works)),
        ],
        a=TEXT,
        b=works,
    )
    assert found.passages == 5
    assert [(one.id, one.question, one.answerable, one.right) for one in found.asked] == [
        ("first", "When was the bridge closed?", True, True),
        ("never", "Who won the football match last night?", False, False),
        ("second", "What does the repair cost?", True, False),
        ("both", "Which work is done on the town hall?", True, True),
    ]
    shown = [one.outcomes[OPEN][SOURCELINE] for one in found.asked]
    assert [one.first.text for one in shown if one.first][::2] == [BRIDGE, COST]
    first, never, second, both = (one.measures for one in shown)
    assert first == {"R@1": 1, "R@5": 1, "R@10": 1, "MRR@10": 1, "nDCG@10": 1}
    assert never == {}
    assert second == pytest.approx({"R@1": 0, "R@5": 1, "R@10": 1, "MRR@10": 0.5, "nDCG@10": 1 / math.log2(3)})
    assert both == pytest.approx({"R@1": 1, "R@5": 1, "R@10": 1, "MRR@10": 1, "nDCG@10": 1})
    means = {name: figure.mean for name, figure in found.figures[OPEN][SOURCELINE].items()}
    assert means == pytest.approx(
        {"R@1": 2 / 3, "R@5": 1, "R@10": 1, "MRR@10": 2.5 / 3, "nDCG@10": (2 + 1 / math.log2(3)) / 3}
    )
    assert list(found.figures) == [OPEN]
    assert list(found.figures[OPEN]) == ["Sourceline", "BM25", "dense", "dense + BM25, RRF"]
    assert found.answerable(OPEN) == 3
    assert found.trust.auc == 1


def test_questions_with_a_scope_are_asked_within_it_too(tmp_path: Path, exported: Path) -> None:
    other = f"{ROOF} The bridge was closed on Sunday night."
    labelled = [
        question("inside", "When was the bridge closed?", ("b.txt", other, "The bridge was closed on Sunday night."))
        | {"scope": "b.txt"},
        question("without", "When was the bridge closed?", ("a.txt", TEXT, BRIDGE)),
        question("never", "Who won the football match?") | {"scope": "a.txt"},
    ]
    found = score(tmp_path, compiled, labelled, a=TEXT, b=other)
    inside, _, never = found.asked
    assert [list(one.outcomes) for one in found.asked] == [[OPEN, IN_SCOPE], [OPEN], [OPEN, IN_SCOPE]]
    assert [inside.outcomes[where]["BM25"].measures["R@1"] for where in (OPEN, IN_SCOPE)] == [0, 1]
    assert never.outcomes[IN_SCOPE][SOURCELINE].measures == {}
    assert (found.answerable(OPEN), found.answerable(IN_SCOPE)) == (2, 1)
    assert {name: values["R@1"].mean for name, values in found.figures[IN_SCOPE].items()} == {
        **{"Sourceline": 1, "BM25": 1},
        **{"dense": 1, "dense + BM25, RRF": 1},
    }


def test_a_scope_is_open_in_a_set_of_one_document_and_refused_if_it_is_none(tmp_path: Path, exported: Path) -> None:
    labelled = question("q", "When was the bridge closed?", ("a.txt", TEXT, BRIDGE))
    for folder in ("one", "none"):
        (tmp_path / folder).mkdir()
    assert list(score(tmp_path / "one", compiled, [labelled | {"scope": "a.txt"}], a=TEXT).figures) == [OPEN]
    with pytest.raises(DatasetError) as error:
        score(tmp_path / "none", compiled, [labelled | {"scope": "c.txt"}], a=TEXT)
    assert str(error.value) == "question q: no document with passages is its scope, c.txt"


def test_confidence_and_first_passage_are_those_of_an_answer(
    tmp_path: Path, exported: Path, index: Path, rebuild: Rebuild
) -> None:
    questions = ["When was the bridge closed?", " Was anybody hurt? ", "Who won the football match?"]
    found = score(tmp_path, compiled, [question(text, text) for text in questions], a=TEXT)
    rebuild(tmp_path / "documents", index)
    searcher = open_searcher(index, DEFAULT_MODEL, Backend.ONNX)
    for one, text in zip(found.asked, questions, strict=True):
        answer = searcher.ask(text, 10)
        assert one.confidence == answer.confidence
        passage = answer.hits[0].passage
        assert one.outcomes[OPEN][SOURCELINE].first == First(passage.id, passage.text)


def test_other_systems_can_be_measured(tmp_path: Path, exported: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    labelled = question("q", "When was the bridge closed?", ("a.txt", TEXT, HURT))
    (tmp_path / "questions.jsonl").write_text(json.dumps(labelled))

    def two(searcher: Searcher) -> list[System]:
        return [sourceline(searcher), System("backwards", lambda _, k, row_filter: [2, 1, 0][:k])]

    found = evaluate(read_labels(tmp_path), DEFAULT_MODEL, Backend.ONNX, compiled, systems=two)
    assert list(found.figures[OPEN]) == [SOURCELINE, "backwards"]
    assert found.figures[OPEN]["backwards"]["MRR@10"].mean == 0.5
    outcome = found.asked[0].outcomes[OPEN]["backwards"]
    assert outcome.first
    assert outcome.first.text == HARBOUR


def test_what_stands_below_the_tenth_place_does_not_count(tmp_path: Path, exported: Path) -> None:
    text = " ".join(f"The bridge was closed on day {number}." for number in range(30)) + " Cats sleep."
    labelled = [question("low", "On which day was the bridge closed?", ("a.txt", text, "Cats"))]
    found = score(tmp_path, compiled, labelled, a=text)
    assert {figure.mean for system in found.figures[OPEN].values() for figure in system.values()} == {0}
    assert found.trust.auc is None


def test_a_set_with_nothing_to_find_has_no_means(tmp_path: Path, exported: Path) -> None:
    found = score(tmp_path, compiled, [question("never", "Who won?")], a=TEXT)
    assert (found.figures, found.trust.auc, found.trust.right) == ({}, None, 0)


@pytest.mark.parametrize(
    ("text", "reason"), [(" ", "the question is empty"), ("\u200b", "the question holds no words")]
)
def test_a_question_that_cannot_be_asked_is_named(tmp_path: Path, exported: Path, text: str, reason: str) -> None:
    with pytest.raises(DatasetError) as error:
        score(tmp_path, compiled, [question("q7", text)], a=TEXT)
    assert str(error.value) == f"question q7: {reason}"


def test_progress_is_told_for_the_building_and_the_asking(tmp_path: Path, exported: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "questions.jsonl").write_text("\n".join(json.dumps(question(id_, "Who?")) for id_ in "ab"))
    told: list[tuple[str, BuildProgress]] = []
    evaluate(read_labels(tmp_path), DEFAULT_MODEL, Backend.ONNX, compiled, lambda *now: told.append((now[0], now[1])))
    encoding = [("encoding", BuildProgress(0, 83)), ("encoding", BuildProgress(83, 83))]
    assert told == [*encoding, ("asking", BuildProgress(1, 2)), ("asking", BuildProgress(2, 2))]


def test_a_set_leaves_nothing_behind(tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    before = sorted(compiled.rglob("*"))
    score(tmp_path, compiled, [question("never", "Who won?")], a=TEXT)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert sorted(compiled.rglob("*")) == before


def test_a_set_without_documents_is_refused(tmp_path: Path, exported: Path) -> None:
    with pytest.raises(CorpusError):
        score(tmp_path, compiled, [question("never", "Who won?")])


def test_a_twin_is_as_right_as_the_copy_that_is_labelled(tmp_path: Path, exported: Path) -> None:
    asked = [question("q", "When was the bridge closed?", ("b.txt", BRIDGE, BRIDGE))]
    found = score(tmp_path, compiled, asked, a=BRIDGE, b=BRIDGE)
    (one,) = found.asked
    assert one.outcomes[OPEN][SOURCELINE].measures == dict.fromkeys(MEASURES, 1.0)


def test_every_stage_can_be_switched_off(tmp_path: Path, exported: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text(TEXT)
    (tmp_path / "questions.jsonl").write_text(
        json.dumps(question("q", "When was the bridge closed?", ("a.txt", TEXT, BRIDGE)))
    )
    found = evaluate(read_labels(tmp_path), DEFAULT_MODEL, Backend.ONNX, compiled, ablate=True)
    assert list(found.figures[OPEN])[4:] == [
        "without weights of question tokens",
        "without weights of passage tokens",
        "without what stands around",
        "without titles",
        "without the head",
        "without BM25",
        "without dense",
        "windows of 400 characters",
        "windows of 1,200 characters",
        "sentences encoded alone",
    ]
    assert {figures["R@5"].mean for figures in found.figures[OPEN].values()} == {1.0}
