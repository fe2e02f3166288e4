import doctest
import hashlib
import logging
import math
import os
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sourceline.api import Index
from sourceline.citations.lookup import look_up
from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import find_model
from sourceline.encoders.load import ENCODERS, open_encoder
from sourceline.encoders.reranker import open_reranker
from sourceline.errors import (
    BuildRunningError,
    ClosedError,
    CorpusError,
    DamagedError,
    LedgerError,
    MismatchError,
    ModelError,
    NoSnapshotError,
    QuestionError,
    SnapshotError,
    UnknownCitationError,
    UnknownDocumentError,
)
from sourceline.ids import citation_id
from sourceline.index.snapshot import SNAPSHOTS, build_lock, current_id, open_current
from sourceline.types import (
    DEFAULT_MODEL,
    Answer,
    Backend,
    BuildProgress,
    CitationStatus,
    Context,
    DocumentInfo,
    FolderChanges,
    FolderContents,
    Location,
    Mode,
    Passage,
    SnapshotInfo,
    SourceStatus,
    Verdict,
)
from tests.conftest import SEEDS
from tests.support.cross_encoders import write_cross_encoder

BRIDGE, HURT = "The bridge was closed on Monday.", "Nobody was hurt."
PLAN = "# The plan\n\nA tram is to be built. It costs a million.\n"
QUESTION = "When was the bridge closed?"


def write(folder: Path, files: dict[str, str]) -> None:
    """Make the folder hold just these files."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())


@pytest.fixture
def built(documents: Path, index: Path) -> Path:
    """An index of two documents."""
    write(documents, {"a.txt": f"{BRIDGE} {HURT}\n", "d/plan.md": PLAN})
    Index.build(documents, index)
    return index


@pytest.fixture(scope="module")
def seeds(seed_index: Path) -> Iterator[Index]:
    """The seed documents, opened."""
    with Index.open(seed_index) as index:
        yield index


def damage(index: Path) -> str:
    """Damage the snapshot that is served next; return its id."""
    snapshot_id = current_id(index)
    assert snapshot_id
    (index / SNAPSHOTS / snapshot_id / "passages.sqlite").write_bytes(b"damaged")
    return snapshot_id


def files_below(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "lock" not in path.name)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_example_of_index_holds(tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "minutes").mkdir()
    shutil.copy(SEEDS / "meeting.txt", tmp_path / "minutes")
    shutil.copytree(exported, tmp_path / "index")
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner()
    examples = [test for test in doctest.DocTestFinder(recurse=False).find(Index, globs={}) if test.examples]

    for test in examples:
        runner.run(test)

    assert (len(examples), runner.failures) == (1, 0)
    assert runner.tries >= 5


def test_a_build_reports_what_became_of_each_document(documents: Path, index: Path) -> None:
    write(documents, {"a.txt": BRIDGE, "b.txt": HURT, "c.txt": "Gone soon.", "empty.txt": "", "x.png": "%PDF"})
    steps: list[BuildProgress] = []

    first = Index.build(documents, index, progress=steps.append)

    assert first.added == ("a.txt", "b.txt", "c.txt")
    assert (first.changed, first.unchanged, first.removed) == ((), (), ())
    assert first.skipped == {"empty.txt": "there is no text in it"}
    assert first.ignored == {"x.png": "its format is not read"}
    assert (first.passages, first.chunks, first.encoded) == (3, 3, 3)
    assert first.snapshot == current_id(index)
    assert first.seconds > 0
    total = len(BRIDGE) + len(HURT) + len("Gone soon.")
    assert steps[0] == BuildProgress(0, total)
    assert steps[-1] == BuildProgress(total, total)

    write(documents, {"a.txt": f"{BRIDGE} It rained.", "b.txt": HURT, "d.txt": "New here."})
    second = Index.build(str(documents), str(index))

    assert (second.added, second.changed) == (("d.txt",), ("a.txt",))
    assert (second.unchanged, second.removed) == (("b.txt",), ("c.txt",))
    assert (second.skipped, second.ignored) == ({}, {})
    assert (second.passages, second.chunks, second.encoded) == (4, 3, 2)
    assert second.snapshot == current_id(index) != first.snapshot


def test_a_build_is_refused_while_another_one_runs_and_says_so(built: Path, documents: Path) -> None:
    with build_lock(built), pytest.raises(BuildRunningError, match=f"another build of {built} is running"):
        Index.build(documents, built)
    Index.build(documents, built)


def test_a_build_without_documents_is_refused_and_what_was_served_stays(built: Path, documents: Path) -> None:
    write(documents, {"empty.txt": ""})

    with pytest.raises(CorpusError, match=r"no document in .* can be read: empty\.txt: there is no text in it"):
        Index.build(documents, built)
    with pytest.raises(CorpusError, match="no documents folder at"):
        Index.build(documents / "missing", built)

    with Index.open(built) as index:
        assert index.ask(QUESTION, 1).hits[0].passage.text == BRIDGE


def test_whether_an_index_exists_is_told_without_opening_it(built: Path, exported: Path, tmp_path: Path) -> None:
    assert Index.exists(built)
    assert Index.exists(str(built))
    assert not Index.exists(exported)
    assert not Index.exists(tmp_path / "nowhere")
    (tmp_path / "odd" / "CURRENT").mkdir(parents=True)
    assert Index.exists(tmp_path / "odd")  # something was, and is damaged
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SnapshotError, match=r"cannot read .*CURRENT: Not a directory"):
        Index.exists(tmp_path / "file")


def test_whether_a_build_is_running_is_told_without_a_trace(built: Path, exported: Path, tmp_path: Path) -> None:
    assert not Index.is_building(built)
    with build_lock(built):
        assert Index.is_building(built)
        assert Index.is_building(str(built))
    assert not Index.is_building(built)
    before = files_below(exported)
    assert not Index.is_building(exported)
    assert not (exported / "build.lock").exists()
    assert files_below(exported) == before
    assert not Index.is_building(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_is_scanned_as_a_build_would_read_it(documents: Path) -> None:
    write(documents, {"b.md": PLAN, "a.txt": BRIDGE, "empty.txt": "", "x.png": "%PDF", ".git/config": "[core]"})

    assert Index.scan(str(documents)) == FolderContents(
        documents=("a.txt", "b.md"),
        skipped={"empty.txt": "there is no text in it"},
        ignored={".git/": "hidden folders are not read", "x.png": "its format is not read"},
    )
    with pytest.raises(CorpusError, match="no documents folder at"):
        Index.scan(documents / "missing")


def test_a_model_is_located_by_name_or_folder() -> None:
    folder = Index.locate_model(DEFAULT_MODEL, Backend.TORCH)

    assert (folder / "model.safetensors").is_file()
    assert (Index.locate_model(DEFAULT_MODEL) / "model.onnx").is_file()
    assert Index.locate_model(str(folder)) == folder
    with pytest.raises(ModelError, match="no model 'no such'"):
        Index.locate_model("no such")


def test_an_open_index_says_what_it_was_built_from_and_with_what(built: Path) -> None:
    with Index.open(built) as index:
        snapshot = index.snapshot

    assert snapshot == SnapshotInfo(
        id=str(current_id(built)),
        created=snapshot.created,
        model=DEFAULT_MODEL,
        backend=Backend.ONNX,
        documents=2,
        passages=5,
        rows=4,
        tokens=snapshot.tokens,
        skipped={},
        ignored={},
    )
    # 7, 4, 7 and 5 of the passages; the titles "a" and "The plan".
    assert snapshot.tokens == 7 + 4 + 7 + 5 + 1 + 2
    assert timedelta(0) <= datetime.now(UTC) - snapshot.created < timedelta(minutes=5)


def test_a_folder_without_an_index_is_refused_with_the_command_that_builds_one(index: Path, tmp_path: Path) -> None:
    for folder in (index, tmp_path / "nowhere"):
        with pytest.raises(NoSnapshotError) as error:
            Index.open(folder)
        assert str(error.value) == f"there is no index in {folder} yet: run `sourceline rebuild-index`"
    assert not (tmp_path / "nowhere").exists()


def test_an_index_of_another_model_than_the_required_one_is_refused(seed_index: Path) -> None:
    with pytest.raises(MismatchError) as error:
        Index.open(seed_index, model="maker/another")
    assert str(error.value) == (
        f"snapshot {current_id(seed_index)} was built with {DEFAULT_MODEL}, not maker/another: "
        "run `sourceline rebuild-index`"
    )
    with Index.open(seed_index, model=DEFAULT_MODEL, backend=Backend.ONNX, lazy=True) as index:
        assert index.snapshot.model == DEFAULT_MODEL


def test_an_exported_model_is_refused_where_sentence_transformers_is_required(seed_index: Path) -> None:
    with pytest.raises(MismatchError) as error:
        Index.open(seed_index, backend=Backend.TORCH)
    assert str(error.value) == (
        f"snapshot {current_id(seed_index)} was not built with the torch backend: run `sourceline rebuild-index`"
    )


def test_an_index_of_sentence_transformers_is_accepted_where_the_exported_model_is_required(
    documents: Path, tmp_path: Path
) -> None:
    write(documents, {"a.txt": BRIDGE})
    Index.build(documents, tmp_path / "index", backend=Backend.TORCH)

    for backend in (None, *Backend):
        with Index.open(tmp_path / "index", backend=backend) as index:
            assert index.snapshot.backend is Backend.TORCH
            assert index.ask(QUESTION).hits[0].passage.text == BRIDGE


def test_an_encoder_that_is_damaged_or_missing_is_refused_with_the_command_that_mends(built: Path) -> None:
    (model,) = (built / ENCODERS).glob("*/model.onnx")
    model.unlink()  # other tests' models are the same file
    model.write_bytes(b"damaged")
    with pytest.raises(ModelError, match="is damaged: run `sourceline rebuild-index`"):
        Index.open(built)
    shutil.rmtree(built / ENCODERS)
    with pytest.raises(ModelError, match=r"no exported model in .*: run `sourceline rebuild-index`"):
        Index.open(built)


def test_a_lazy_index_opens_its_encoder_only_for_the_first_question(built: Path) -> None:
    (built / ENCODERS).rename(built / "elsewhere")
    with Index.open(built, lazy=True) as index:
        assert index.cite(citation_id("a.txt", BRIDGE, 0)).status is CitationStatus.CURRENT
        assert [document.id for document in index.documents()] == ["a.txt", "d/plan.md"]
        with pytest.raises(ModelError, match="no exported model in"):
            index.ask(QUESTION)
        (built / "elsewhere").rename(built / ENCODERS)
        assert index.ask(QUESTION).hits[0].passage.text == BRIDGE


def test_the_encoder_of_a_lazy_index_is_opened_once_however_many_ask_first(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []

    def open_and_count(*arguments: Any) -> Encoder:
        opened.append(arguments)
        return open_encoder(*arguments)

    monkeypatch.setattr("sourceline.encoders.load.open_encoder", open_and_count)
    with Index.open(built, lazy=True) as index, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(index.ask, [QUESTION] * 16))

    assert len(opened) == 1
    assert all(answer == answers[0] for answer in answers)


def test_a_damaged_snapshot_is_set_aside_and_the_one_before_is_opened(
    built: Path, documents: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = current_id(built)
    write(documents, {"a.txt": HURT})
    Index.build(documents, built)
    damaged = damage(built)

    with Index.open(built) as index:
        assert index.snapshot.id == before
        assert index.ask(QUESTION).hits[0].passage.text == BRIDGE

    assert not (built / SNAPSHOTS / damaged).exists()
    assert (built / SNAPSHOTS / f"{damaged}.damaged").is_dir()
    assert any("passages.sqlite is not as it was written" in message for message in caplog.messages)


def test_without_fallback_a_damaged_snapshot_is_refused_and_nothing_is_changed(built: Path, documents: Path) -> None:
    write(documents, {"a.txt": HURT})
    Index.build(documents, built)
    damaged = damage(built)
    before = files_below(built)

    with pytest.raises(DamagedError, match=f"snapshot {damaged} is damaged: passages.sqlite is not as it was written"):
        Index.open(built, fallback=False)

    assert files_below(built) == before


def test_a_model_without_a_calibration_is_used_with_one_warning(
    documents: Path, index: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(documents, {"a.txt": BRIDGE})
    model = str(find_model(DEFAULT_MODEL, Backend.TORCH).folder)
    Index.build(documents, index, model=model)
    caplog.set_level(logging.WARNING)

    with Index.open(index, model=model) as opened:
        warning = f"{model} has no calibration: confidence is only rough"
        assert caplog.messages == [warning]
        assert opened.ask(QUESTION).verdict is Verdict.ANSWERED
        write(documents, {"a.txt": BRIDGE, "b.txt": HURT})
        Index.build(documents, index, model=model)
        assert opened.refresh()
        assert caplog.messages == [warning]  # not again with every snapshot


def test_a_calibrated_model_is_opened_without_a_warning(seed_index: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    Index.open(seed_index).close()
    assert caplog.messages == []


def test_an_answer_holds_the_passage_its_context_and_what_it_was_found_in(built: Path) -> None:
    with Index.open(built) as index:
        answer = index.ask(QUESTION)

    assert (answer.question, answer.verdict, answer.answerable) == (QUESTION, Verdict.ANSWERED, True)
    assert 0.5 <= answer.confidence <= 1
    assert answer.snapshot == current_id(built)
    assert [hit.rank for hit in answer.hits] == [1, 2, 3, 4]
    first = answer.hits[0]
    assert first.passage == Passage(
        id=citation_id("a.txt", BRIDGE, 0),
        document_id="a.txt",
        ordinal=0,
        start=0,
        end=len(BRIDGE),
        text=BRIDGE,
        location=Location(1, 1, None),
    )
    assert (first.title, first.context) == ("a", Context("", HURT))
    assert [BRIDGE[span.start : span.end] for span in first.highlights] == ["bridge", "closed"]


def test_five_passages_are_returned_unless_another_number_is_wanted(seeds: Index) -> None:
    assert [len(seeds.ask("Who met?").hits), len(seeds.ask("Who met?", k=2).hits)] == [5, 2]
    assert [len(seeds.ask("Who met?", k).hits) for k in (-1, 0, 48, 1_000)] == [1, 1, 48, 48]


def test_a_question_can_be_limited_to_documents(built: Path) -> None:
    with Index.open(built) as index:
        for patterns, documents in [
            (["a.txt"], {"a.txt"}),
            (["d/*"], {"d/plan.md"}),
            (["*.txt", "d/plan.md"], {"a.txt", "d/plan.md"}),
            (["nothing"], set()),
        ]:
            hits = index.ask(QUESTION, documents=patterns).hits
            assert {hit.passage.document_id for hit in hits} == documents


def test_one_pattern_need_not_be_in_a_list(seeds: Index) -> None:
    assert seeds.ask("Who met in Tehran?", documents="meeting.*").hits
    assert not seeds.ask("Who met in Tehran?", documents="m").hits


@pytest.mark.parametrize("options", [{"connections": 0}, {"threshold": 7.0}, {"threshold": float("nan")}])
def test_options_out_of_range_are_refused(seed_index: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"connections must be at least 1|threshold must be between 0 and 1"):
        Index.open(seed_index, **options)


def test_a_backend_may_be_named_by_its_value(seed_index: Path, documents: Path, tmp_path: Path) -> None:
    torch: Any = "torch"  # as people write it who have no type checker
    nope: Any = "nope"
    with pytest.raises(MismatchError):
        Index.open(seed_index, backend=torch)
    with pytest.raises(ValueError, match="'nope' is not a valid Backend"):
        Index.build(documents, tmp_path / "x", backend=nope)


def test_the_threshold_decides_from_which_confidence_on_a_question_counts_as_answered(built: Path) -> None:
    with Index.open(built) as index:
        confidence = index.ask(QUESTION).confidence
    above = math.nextafter(confidence, 1)
    for threshold, verdict in [(0.0, Verdict.ANSWERED), (confidence, Verdict.ANSWERED), (above, Verdict.UNSURE)]:
        with Index.open(built, threshold=threshold) as index:
            assert index.ask(QUESTION).verdict is verdict


def test_a_question_can_bring_a_threshold_of_its_own(seeds: Index) -> None:
    question = "Which minister did Pezeshkian meet in Tehran?"
    confidence = seeds.ask(question).confidence
    above = confidence + (1 - confidence) / 2
    for threshold, verdict in [(0.0, Verdict.ANSWERED), (confidence, Verdict.ANSWERED), (above, Verdict.UNSURE)]:
        (answer,) = seeds.ask_many([question], threshold=threshold)
        assert answer.verdict is seeds.ask(question, threshold=threshold).verdict is verdict
        assert answer.confidence == confidence
    assert seeds.ask(question).verdict is Verdict.ANSWERED


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_refused(seeds: Index, threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold must be between 0 and 1"):
        seeds.ask("Who?", threshold=threshold)
    with pytest.raises(ValueError, match="threshold must be between 0 and 1"):
        next(seeds.ask_many(["Who?"], threshold=threshold))


@pytest.mark.parametrize("question", ["", " ", "a" * 2_001, "\0", "\u200b"])
def test_a_question_that_cannot_be_asked_is_refused(seeds: Index, question: str) -> None:
    with pytest.raises(QuestionError):
        seeds.ask(question)
    with pytest.raises(QuestionError):
        list(seeds.ask_many([question]))


def test_many_questions_get_the_answers_that_each_gets_alone(seeds: Index) -> None:
    questions = ["Who met?", "What did the president stress?", "Who met?"]

    assert list(seeds.ask_many(questions, 3)) == [seeds.ask(question, 3) for question in questions]
    assert list(seeds.ask_many([])) == []
    assert [answer.hits for answer in seeds.ask_many(["Who met?"], documents=["nothing"])] == [()]


def test_many_questions_are_answered_from_one_snapshot_though_the_index_is_refreshed_meanwhile(
    built: Path, documents: Path
) -> None:
    with Index.open(built) as index:
        answers = index.ask_many([QUESTION] * 3)
        first = next(answers)
        write(documents, {"a.txt": HURT})
        Index.build(documents, built)
        assert index.refresh()

        assert list(answers) == [first, first]
        assert index.ask(QUESTION).hits[0].passage.text == HURT


def test_every_passage_that_is_shown_can_be_cited(seeds: Index) -> None:
    for hit in seeds.ask("What did the president stress?").hits:
        citation = seeds.cite(hit.passage.id)
        assert (citation.id, citation.status, citation.similarity) == (hit.passage.id, CitationStatus.CURRENT, None)
        assert citation.cited == citation.now
        assert (citation.cited.passage, citation.cited.context) == (hit.passage, hit.context)


@pytest.mark.parametrize("citation", ["", "zhiyzuiwnpkr56wq", "ß", "\ud800"])
def test_an_id_that_was_never_issued_cannot_be_cited(seeds: Index, citation: str) -> None:
    with pytest.raises(UnknownCitationError, match="no citation with this id was ever issued"):
        seeds.cite(citation)


def test_citations_of_earlier_builds_are_looked_up(built: Path, documents: Path) -> None:
    write(documents, {"b.txt": f"{BRIDGE} {HURT.replace('Nobody', 'Hardly anybody')}\n"})
    Index.build(documents, built)
    with Index.open(built, lazy=True) as index:
        moved = index.cite(citation_id("a.txt", BRIDGE, 0))
        removed = index.cite(citation_id("d/plan.md", "It costs a million.", 0))
        assert index.check_citations() == 5 + 2

    assert (moved.status, moved.cited.passage.document_id) == (CitationStatus.MOVED, "a.txt")
    assert moved.now
    assert moved.now.passage.document_id == "b.txt"
    assert (removed.status, removed.now) == (CitationStatus.REMOVED, None)
    assert removed.cited.context == Context("A tram is to be built.", "")


def test_a_damaged_record_of_citations_is_an_error(built: Path) -> None:
    (built / "ledger.jsonl").write_bytes(b"damaged" * 1_000)
    with Index.open(built, lazy=True) as index:
        with pytest.raises(LedgerError):
            index.check_citations()
        with pytest.raises(LedgerError):
            index.cite("zhiyzuiwnpkr56wq")


def test_documents_are_listed_by_id_with_their_number_of_passages(built: Path) -> None:
    with Index.open(built, lazy=True) as index:
        documents = index.documents()

    assert [replace(document, size=None, modified=None) for document in documents] == [
        DocumentInfo("a.txt", "a", hashlib.sha256(f"{BRIDGE} {HURT}\n".encode()).hexdigest(), 2),
        DocumentInfo("d/plan.md", "The plan", hashlib.sha256(PLAN.encode()).hexdigest(), 3),
    ]
    assert [document.size for document in documents] == [len(f"{BRIDGE} {HURT}\n"), len(PLAN)]
    assert all(document.modified for document in documents)
    assert (len(documents), documents.snapshot) == (2, current_id(built))


def test_documents_are_listed_a_few_at_a_time(built: Path) -> None:
    with Index.open(built, lazy=True) as index:
        first = index.documents(limit=1)
        assert ([d.id for d in first], first.next) == (["a.txt"], "a.txt")
        last = index.documents(limit=1, cursor="a.txt")
        assert ([d.id for d in last], last.next) == (["d/plan.md"], None)
        assert [d.id for d in index.documents(cursor="b, which is gone")] == ["d/plan.md"]
        assert list(index.documents(cursor="z")) == []


def test_a_stretch_of_a_document_says_where_it_stands_and_where_the_next_starts(built: Path) -> None:
    with Index.open(built, lazy=True) as index:
        whole = index.document("d/plan.md")
        first = index.document("d/plan.md", limit=12)
        second = index.document("d/plan.md", start=12, limit=30)

        assert (whole.start, whole.end, whole.next, whole.length) == (0, len(PLAN), None, len(PLAN))
        assert (first.text, first.start, first.end, first.next) == ("# The plan", 0, 10, 10)
        assert (first.length, first.passage_count, first.passages) == (len(PLAN), 3, whole.passages[:1])
        assert (second.start, second.text) == (10, PLAN[10 : second.end])
        assert second.passages == whole.passages[1:2]
        for arguments in ((-1, 5), (0, -1)):
            with pytest.raises(ValueError, match="must not be negative"):
                index.document("d/plan.md", *arguments)


def test_a_document_is_returned_as_it_was_read_with_its_passages_in_order(built: Path) -> None:
    with Index.open(built, lazy=True) as index:
        document = index.document("d/plan.md")
        with pytest.raises(UnknownDocumentError, match="no document with this id is in the index"):
            index.document("d/Plan.md")

    assert (document.id, document.title, document.text) == ("d/plan.md", "The plan", PLAN)
    assert document.sha256 == hashlib.sha256(PLAN.encode()).hexdigest()
    assert document.snapshot == current_id(built)
    assert [(p.text, p.heading, p.ordinal) for p in document.passages] == [
        ("The plan", True, 0),
        ("A tram is to be built.", False, 1),
        ("It costs a million.", False, 2),
    ]
    assert all(document.text[p.start : p.end] == p.text for p in document.passages)


def test_a_refresh_changes_to_the_newer_snapshot_and_says_whether_there_was_one(built: Path, documents: Path) -> None:
    with Index.open(built) as index:
        before = index.snapshot.id
        assert not index.refresh()
        write(documents, {"b.txt": BRIDGE})
        report = Index.build(documents, built)

        assert index.snapshot.id == before
        assert index.cite(citation_id("a.txt", BRIDGE, 0)).status is CitationStatus.CURRENT
        assert index.refresh()
        assert not index.refresh()

        assert index.snapshot.id == report.snapshot != before
        assert [document.id for document in index.documents()] == ["b.txt"]
        assert index.ask(QUESTION).hits[0].passage.document_id == "b.txt"
        assert index.cite(citation_id("a.txt", BRIDGE, 0)).status is CitationStatus.MOVED


def test_while_an_index_is_refreshed_every_answer_is_of_one_snapshot_and_none_fails(
    built: Path, documents: Path
) -> None:
    def edition(number: int) -> dict[str, str]:
        return {f"{name}.txt": f"The bridge was closed, says edition {number}. So says {name}." for name in "abc"}

    write(documents, edition(0))
    editions = {Index.build(documents, built).snapshot: 0}
    stop = threading.Event()

    def ask_until_stopped(index: Index) -> list[Answer]:
        answers = []
        while not stop.is_set():
            answer = index.ask(QUESTION)
            assert index.cite(answer.hits[0].passage.id).cited.passage.text == answer.hits[0].passage.text
            assert len(index.documents()) == 3
            answers.append(answer)
        return answers

    with Index.open(built, connections=4) as index, ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(ask_until_stopped, index) for _ in range(4)]
        try:
            for number in (1, 2, 3):
                write(documents, edition(number))
                editions[Index.build(documents, built).snapshot] = number
                assert index.refresh()
                assert f"edition {number}" in index.ask(QUESTION).hits[0].passage.text
        finally:
            stop.set()
        answers = [answer for future in futures for answer in future.result()]

    assert len({answer.snapshot for answer in answers}) > 1
    for answer in answers:
        texts = [hit.passage.text for hit in answer.hits if "edition" in hit.passage.text]
        assert texts
        assert all(f"edition {editions[answer.snapshot]}." in text for text in texts)


def reader_scores(answer: Answer) -> list[float | None]:
    return [hit.scores.reader for hit in answer.hits]


def test_the_reader_reads_unless_it_is_not_to(built: Path, seeds: Index) -> None:
    with Index.open(built) as index, Index.open(built, reranker="none") as without:
        assert None not in reader_scores(index.ask(QUESTION))
        fast = index.ask(QUESTION, mode="fast")
        assert reader_scores(fast) == [None] * 4
        assert [hit.score for hit in fast.hits] == [hit.scores.late for hit in fast.hits]
        for mode in (Mode.READ, Mode.FAST, "read", "fast"):
            assert without.ask(QUESTION, mode=mode) == fast
        assert list(index.ask_many([QUESTION], mode="fast")) == [fast]
        assert list(index.ask_many([QUESTION])) == [index.ask(QUESTION, mode=Mode.READ)] == [index.ask(QUESTION)]


def test_a_mode_that_there_is_not_is_refused(seeds: Index) -> None:
    nope: Any = "nope"
    for call in (lambda: seeds.ask(QUESTION, mode=nope), lambda: list(seeds.ask_many([QUESTION], mode=nope))):
        with pytest.raises(ValueError, match="'nope' is not a valid Mode"):
            call()


def test_a_cross_encoder_ranks_and_its_confidence_is_said_to_be_another(
    built: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = str(write_cross_encoder(tmp_path / "encoder"))
    with Index.open(built, reranker=folder) as index:
        answer = index.ask(QUESTION)
        assert 0 < answer.confidence < 1
    scores = reader_scores(answer)
    assert None not in scores
    assert [hit.score for hit in answer.hits] == scores == sorted((s for s in scores if s is not None), reverse=True)
    assert caplog.messages == [f"{folder} has no calibration: confidence is that of mode fast"]


def test_a_reranker_that_there_is_not_is_refused_when_it_is_needed(built: Path) -> None:
    message = "no model 'no such reranker': it is neither a folder nor a name on the model hub"
    with pytest.raises(ModelError, match=message):
        Index.open(built, reranker="no such reranker")
    with Index.open(built, reranker="no such reranker", lazy=True) as index:
        assert index.cite(citation_id("a.txt", BRIDGE, 0)).status is CitationStatus.CURRENT
        for _ in range(2):
            with pytest.raises(ModelError, match=message):
                index.ask(QUESTION)


def test_the_reranker_is_opened_once_with_the_first_question_and_kept(
    built: Path, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def note_and_open(name: str) -> Any:
        opened.append(name)
        return open_reranker(name)

    monkeypatch.setattr("sourceline.encoders.reranker.open_reranker", note_and_open)
    with Index.open(built, lazy=True) as index:
        index.documents()
        assert opened == []
        before = index.ask(QUESTION)
        write(documents, {"a.txt": f"{BRIDGE} {HURT}\n"})
        Index.build(documents, built)
        assert index.refresh()
        after = index.ask(QUESTION)
        assert opened == ["reader"]
    assert after.snapshot != before.snapshot
    assert reader_scores(after)[0] == reader_scores(before)[0]


def test_a_newer_snapshot_that_cannot_be_served_leaves_the_one_before_served(built: Path, documents: Path) -> None:
    other_model = str(find_model(DEFAULT_MODEL, Backend.TORCH).folder)
    with Index.open(built, model=DEFAULT_MODEL) as index:
        before = index.snapshot.id
        write(documents, {"b.txt": HURT})
        Index.build(documents, built, model=other_model)

        for _ in range(2):
            with pytest.raises(MismatchError, match=f"was built with {other_model}, not {DEFAULT_MODEL}"):
                index.refresh()
            assert index.snapshot.id == before
            assert index.ask(QUESTION).hits[0].passage.text == BRIDGE

        Index.build(documents, built)
        assert index.refresh()
        assert index.ask(QUESTION).hits[0].passage.text == HURT


def test_a_newer_snapshot_that_is_damaged_is_set_aside_by_a_refresh(built: Path, documents: Path) -> None:
    with Index.open(built) as index:
        before = index.snapshot.id
        write(documents, {"b.txt": HURT})
        Index.build(documents, built)
        damage(built)

        assert index.refresh()
        assert index.snapshot.id == before
        assert index.ask(QUESTION).hits[0].passage.text == BRIDGE
        assert not index.refresh()


CALLS: dict[str, Callable[[Index], Any]] = {
    "ask": lambda index: index.ask(QUESTION),
    "ask_many": lambda index: list(index.ask_many([QUESTION])),
    "cite": lambda index: index.cite(citation_id("a.txt", BRIDGE, 0)),
    "documents": lambda index: index.documents(),
    "document": lambda index: index.document("a.txt"),
    "snapshot": lambda index: index.snapshot,
    "refresh": lambda index: index.refresh(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_closed_index_raises_an_error_that_names_it(seed_index: Path, call: Callable[[Index], Any]) -> None:
    with Index.open(seed_index, lazy=True) as index:
        assert index.snapshot.documents == 1
    with pytest.raises(ClosedError) as error:
        call(index)
    assert str(error.value) == f"the index {seed_index} was closed"


def test_an_index_is_closed_by_its_block_also_if_that_fails_and_may_be_closed_twice(seed_index: Path) -> None:
    with pytest.raises(KeyError), Index.open(seed_index, lazy=True) as index:
        raise KeyError
    with pytest.raises(ClosedError):
        index.documents()
    index.close()
    index.close()


def test_a_call_that_has_begun_is_finished_although_the_index_is_closed_meanwhile(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def wait_and_look_up(*arguments: Any) -> Any:
        began.set()
        assert go_on.wait(60)
        return look_up(*arguments)

    monkeypatch.setattr("sourceline.api.look_up", wait_and_look_up)
    index = Index.open(built, lazy=True)
    with ThreadPoolExecutor(1) as pool:
        citation = pool.submit(index.cite, citation_id("a.txt", BRIDGE, 0))
        assert began.wait(60)
        index.close()
        go_on.set()
        assert citation.result().cited.passage.text == BRIDGE


def test_an_index_that_is_closed_during_a_refresh_stays_closed(
    built: Path, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def wait_and_open(*arguments: Any) -> Any:
        began.set()
        assert go_on.wait(60)
        return open_current(*arguments)

    index = Index.open(built, lazy=True)
    write(documents, {"b.txt": HURT})
    Index.build(documents, built)
    monkeypatch.setattr("sourceline.index.snapshot.open_current", wait_and_open)
    with ThreadPoolExecutor(2) as pool:
        refreshing = pool.submit(index.refresh)
        assert began.wait(60)
        closing = pool.submit(index.close)
        threading.Timer(0.2, go_on.set).start()
        closing.result()
        refreshing.exception()

    with pytest.raises(ClosedError):
        index.documents()


def test_what_changed_in_the_folder_since_the_snapshot_is_told(documents: Path, index: Path, tmp_path: Path) -> None:
    write(documents, {"a.txt": BRIDGE, "b.txt": BRIDGE})
    Index.build(documents, index)
    shutil.copytree(documents, tmp_path / "copy")
    with Index.open(index, lazy=True) as opened:
        (passage,) = opened.document("a.txt").passages
        assert opened.changes() == FolderChanges((), (), ())
        assert opened.cite(passage.id).source is SourceStatus.UNCHANGED
        write(documents, {"a.txt": f"{BRIDGE} It is new.", "c.txt": BRIDGE})
        assert opened.changes() == FolderChanges(("c.txt",), ("a.txt",), ("b.txt",))
        assert opened.cite(passage.id).source is SourceStatus.CHANGED
        assert opened.cite(passage.id, source=False).source is None
        assert [opened.source(name) for name in ("a.txt", "b.txt", "c.txt")] == [
            SourceStatus.CHANGED,
            SourceStatus.MISSING,
            None,
        ]
    with Index.open(index, lazy=True, documents=tmp_path / "copy") as opened:
        assert opened.changes() == FolderChanges((), (), ())
        assert opened.cite(passage.id).source is SourceStatus.UNCHANGED


def test_of_a_snapshot_without_a_record_of_its_files_nothing_is_told(documents: Path, index: Path) -> None:
    write(documents, {"a.txt": BRIDGE})
    Index.build(documents, index)
    with Index.open(index, lazy=True) as opened:
        (index / SNAPSHOTS / opened.snapshot.id / "files.json").unlink()
        passage = opened.document("a.txt").passages[0]
        assert opened.changes() is None
        assert opened.cite(passage.id).source is None
        assert [(document.size, document.modified) for document in opened.documents()] == [(None, None)]


def test_an_index_that_was_open_before_a_fork_says_so_instead_of_hanging(built: Path) -> None:
    with Index.open(built) as index:
        index.ask(QUESTION, 1)
        reading, writing = os.pipe()
        with warnings.catch_warnings():  # Python 3.12 warns of a fork beside threads, for the reason that is tested
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            told = []
            for use in (lambda: index.ask(QUESTION, 1), index.documents, index.refresh):
                try:
                    use()
                except ClosedError as error:
                    told.append(str(error))
            index.close()  # has nothing to do
            os.write(writing, "\n".join(told).encode())
            os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
        with open(reading, encoding="utf-8") as pipe:
            told = pipe.read().split("\n")
        assert told == [f"the index {built} was opened before this process was forked: open it in each process"] * 3
        assert index.ask(QUESTION, 1).hits[0].passage.text == BRIDGE
