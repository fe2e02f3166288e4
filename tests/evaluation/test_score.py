import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceline.errors import CorpusError, LabelsError
from sourceline.evaluation.labels import LabelledQuestion, Relevant, read_labels
from sourceline.evaluation.score import Asked, Evaluation, auc, evaluate, relevance
from sourceline.index.build import Progress
from sourceline.retrieval.opening import open_searcher
from sourceline.types import DEFAULT_MODEL, EncoderKind
from tests.conftest import Rebuild

BRIDGE, HURT, HARBOUR = "The bridge was closed on Monday.", "Nobody was hurt.", "The harbour stayed open all week."
ROOF, COST = "The town hall gets a new roof.", "The repair will cost nine million crowns."
TEXT = f"{BRIDGE} {HURT} {HARBOUR}"


def asked(answerable: bool, confidence: float) -> Asked:
    return Asked("", answerable, confidence, {})


def question(id_: str, text: str, *spans: tuple[str, str, str]) -> dict[str, object]:
    """A labelled question; what answers it by document, the document's text, and the words that answer."""
    relevant = [
        {"document": document, "start": whole.index(words), "end": whole.index(words) + len(words)}
        for document, whole, words in spans
    ]
    return {"id": id_, "question": text, "relevant": relevant, "answerable": bool(spans)}


def score(folder: Path, compiled: Path, questions: list[dict[str, object]], **files: str) -> Evaluation:
    (folder / "documents").mkdir()
    for name, text in files.items():
        (folder / "documents" / f"{name}.txt").write_text(text, "utf-8")
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, questions)), "utf-8")
    return evaluate(read_labels(folder), DEFAULT_MODEL, EncoderKind.COMPILED, compiled)


@pytest.mark.parametrize(
    ("yes", "no", "expected"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.1], [0.9], 0.0),
        ([0.5], [0.5], 0.5),
        ([0.7, 0.3], [0.5, 0.1], 0.75),  # .7 > .5, .7 > .1, .3 > .1, but .3 < .5
        ([0.5, 0.5], [0.5, 0.1], 0.75),  # two ties, twice greater
        ([0.6, 0.4, 0.4], [0.4, 0.4, 0.6, 0.2], 7.5 / 12),  # 3.5 for .6, 2 for each .4
        ([0.5], [], None),
        ([], [0.5], None),
    ],
)
def test_auc_is_the_share_of_pairs_in_the_right_order_with_ties_as_halves(
    yes: list[float], no: list[float], expected: float | None
) -> None:
    found = auc([*(asked(True, one) for one in yes), *(asked(False, one) for one in no)])
    assert found == (None if expected is None else pytest.approx(expected))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=20))
def test_auc_equals_the_count_over_all_pairs(values: list[tuple[bool, int]]) -> None:
    pairs = [(one, other) for yes, one in values if yes for no, other in values if not no]
    expected = sum((one > other) + (one == other) / 2 for one, other in pairs) / len(pairs) if pairs else None
    found = auc([asked(answerable, confidence / 5) for answerable, confidence in values])
    assert found == (None if expected is None else pytest.approx(expected))


def test_what_overlaps_a_label_answers(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text(TEXT)
    (documents / "b.txt").write_text(TEXT)
    rebuild(documents, index)
    passages = open_searcher(index, DEFAULT_MODEL, EncoderKind.COMPILED).generation.passages
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
        with pytest.raises(LabelsError) as error:
            answering(nowhere)
        assert str(error.value) == "question q: no passage stands where its labels say"


def test_a_set_is_built_asked_and_measured(tmp_path: Path, compiled: Path) -> None:
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
    assert [(one.id, one.answerable) for one in found.asked] == [
        *(("first", True), ("never", False), ("second", True), ("both", True)),
    ]
    first, never, second, both = (one.measures for one in found.asked)
    assert first == {"R@1": 1, "R@5": 1, "R@10": 1, "MRR@10": 1, "nDCG@10": 1}
    assert never == {}
    # nDCG: 1 / log2(2 + 1) over the ideal 1 / log2(1 + 1)
    assert second == pytest.approx({"R@1": 0, "R@5": 1, "R@10": 1, "MRR@10": 0.5, "nDCG@10": 1 / math.log2(3)})
    assert both == pytest.approx({"R@1": 1, "R@5": 1, "R@10": 1, "MRR@10": 1, "nDCG@10": 1})
    assert found.means == pytest.approx(
        {"R@1": 2 / 3, "R@5": 1, "R@10": 1, "MRR@10": 2.5 / 3, "nDCG@10": (2 + 1 / math.log2(3)) / 3}
    )
    assert found.auc == 1
    assert all(0 <= one.confidence <= 1 for one in found.asked)


def test_what_stands_below_the_tenth_place_does_not_count(tmp_path: Path, compiled: Path) -> None:
    text = " ".join(f"The bridge was closed on day {number}." for number in range(30)) + " Cats sleep."
    labelled = [question("low", "On which day was the bridge closed?", ("a.txt", text, "Cats"))]
    found = score(tmp_path, compiled, labelled, a=text)
    assert set(found.means.values()) == {0}
    assert found.auc is None


def test_a_set_with_nothing_to_find_has_no_means(tmp_path: Path, compiled: Path) -> None:
    found = score(tmp_path, compiled, [question("never", "Who won?")], a=TEXT)
    assert (found.means, found.auc, found.asked[0].measures) == ({}, None, {})


def test_progress_is_told_for_the_building_and_the_asking(tmp_path: Path, compiled: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "questions.jsonl").write_text("\n".join(json.dumps(question(id_, "Who?")) for id_ in "ab"))
    told: list[tuple[str, Progress]] = []
    evaluate(
        read_labels(tmp_path), DEFAULT_MODEL, EncoderKind.COMPILED, compiled, lambda *now: told.append((now[0], now[1]))
    )
    encoding = [("encoding", Progress(0, 1)), ("encoding", Progress(1, 1))]
    assert told == [*encoding, ("asking", Progress(1, 2)), ("asking", Progress(2, 2))]


def test_a_set_leaves_nothing_behind(tmp_path: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    before = sorted(compiled.rglob("*"))
    score(tmp_path, compiled, [question("never", "Who won?")], a=TEXT)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert sorted(compiled.rglob("*")) == before


def test_a_set_without_documents_is_refused(tmp_path: Path, compiled: Path) -> None:
    with pytest.raises(CorpusError):
        score(tmp_path, compiled, [question("never", "Who won?")])
