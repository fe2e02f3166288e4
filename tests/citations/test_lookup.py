import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.errors import LedgerError, UnknownCitationError
from sourceline.ids import citation_id
from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL, Backend, CitationStatus, Passage
from tests.archive import Archive
from tests.conftest import Rebuild
from tests.search.stories import EDITED, GREW, LESS, MORE, REPORT, STORIES, THANKS, Story


@pytest.fixture
def archive(documents: Path, index: Path, rebuild: Rebuild) -> Archive:
    return Archive(documents, index, rebuild)


@pytest.mark.parametrize("told", STORIES.values(), ids=STORIES)
def test_a_citation_says_truly_what_became_of_it(archive: Archive, told: Story) -> None:
    for state in told.states:
        if state is None:
            archive.forget_snapshots()
        else:
            archive.publish(state)

    assert {cited: archive.outcome("a.txt", *cited) for cited in told.outcomes} == told.outcomes


def test_a_current_citation_shows_where_the_sentence_stands_now(archive: Archive) -> None:
    archive.publish({"a.txt": REPORT})
    archive.publish({"a.txt": f"A preface.\n\n{REPORT}"})

    found = archive.look_up(citation_id("a.txt", GREW, 0))

    assert found.status is CitationStatus.CURRENT
    assert found.cited == found.now
    assert found.cited.passage.start == len("A preface.\n\nThe council met on Monday. ")
    assert (found.cited.passage.location.line, found.similarity) == (3, None)


def test_a_changed_citation_shows_both_texts_and_how_much_they_agree(archive: Archive) -> None:
    archive.publish({"a.txt": REPORT})
    archive.publish({"a.txt": f"A preface.\n\n{REPORT.replace(GREW, LESS)}"})
    archive.publish({"b.txt": f"A preface.\n\n{EDITED}"})

    found = archive.look_up(citation_id("a.txt", GREW, 0))

    assert found.status is CitationStatus.CHANGED
    assert found.cited.passage.text == GREW
    assert (found.cited.passage.document_id, found.cited.passage.start) == ("a.txt", 27)
    assert found.cited.before == "The council met on Monday. "
    assert found.now is not None
    assert (found.now.passage.text, found.now.passage.document_id, found.now.passage.start) == (MORE, "b.txt", 39)
    assert found.similarity == 0.8


def test_a_removed_citation_shows_the_sentence_as_it_was_cited(archive: Archive) -> None:
    archive.publish({"a.md": f"# Minutes\n\n- {GREW}\r\n", "b.txt": "Another."})
    (cited,) = [passage for passage in archive.passages() if passage.text == GREW]
    archive.publish({"b.txt": "Another."})

    found = archive.look_up(cited.id)

    assert (found.status, found.now, found.similarity) == (CitationStatus.REMOVED, None, None)
    assert (found.cited.passage, found.cited.title) == (cited, "Minutes")
    assert (found.cited.before, found.cited.after) == ("# Minutes\n\n- ", "\r\n")


def test_a_change_of_nothing_but_white_space_is_a_change_of_full_similarity(archive: Archive) -> None:
    archive.publish({"a.txt": "Trade grew by many and more\r\npercent."})
    archive.publish({"a.txt": "Trade grew by many and more\npercent."})

    found = archive.look_up(citation_id("a.txt", "Trade grew by many and more\r\npercent.", 0))

    assert (found.status, found.similarity) == (CitationStatus.CHANGED, 1.0)


@pytest.mark.parametrize(
    "unknown", ["", "x", "ZHIYZUIWNPKR56WQ", "zhiyzuiwnpkr56wq", "é", "\ud800", "'; DROP TABLE", "a" * 9_999]
)
def test_an_id_that_was_never_issued_is_unknown(archive: Archive, unknown: str) -> None:
    archive.publish({"a.txt": REPORT})

    with pytest.raises(UnknownCitationError, match="ever issued"):
        archive.look_up(unknown)


def test_without_a_ledger_what_stands_resolves_and_the_rest_is_unknown(archive: Archive) -> None:
    archive.publish({"a.txt": REPORT})
    (archive.index / "ledger.sqlite").unlink()

    assert archive.outcome("a.txt", GREW) == ("current", "a.txt", GREW)
    with pytest.raises(UnknownCitationError):
        archive.look_up("x")


def test_a_damaged_ledger_is_an_error_and_not_an_unknown_citation(archive: Archive) -> None:
    archive.publish({"a.txt": REPORT})
    (archive.index / "ledger.sqlite").write_bytes(b"damaged" * 1_000)

    assert archive.outcome("a.txt", GREW) == ("current", "a.txt", GREW)
    with pytest.raises(LedgerError, match="cannot be used"):
        archive.look_up("x")


def test_ids_are_the_same_after_a_rebuild_and_with_another_encoder(archive: Archive) -> None:
    files = {"a.txt": REPORT, "b/c.md": f"# One\n\n- {THANKS}\n- {GREW}\n"}
    archive.publish(files)
    first = archive.passages()

    archive.publish(files)
    assert archive.passages() == first

    archive.forget_snapshots()
    archive.publish(files)
    assert archive.passages() == first

    build(archive.documents, archive.index, DEFAULT_MODEL, Backend.TORCH)
    assert archive.snapshot().manifest.encoder == "torch"
    assert archive.passages() == first
    assert {archive.look_up(passage.id).status for passage in first} == {CitationStatus.CURRENT}


_sentences = st.lists(st.sampled_from([GREW, MORE, THANKS, "Yes.", "The council met on Monday."]), max_size=4)
_folders = st.dictionaries(st.sampled_from(["a.txt", "b.txt", "c.md"]), _sentences, min_size=1)


@settings(deadline=None, max_examples=8)
@given(st.lists(_folders, min_size=2, max_size=4))
def test_every_id_ever_issued_resolves_with_a_true_status(exported: Path, folders: list[dict[str, list[str]]]) -> None:
    with TemporaryDirectory() as root:
        index, documents = Path(root) / "index", Path(root) / "documents"
        shutil.copytree(exported, index)
        documents.mkdir()
        archive = Archive(documents, index, lambda documents, index: build(documents, index, DEFAULT_MODEL))
        issued: dict[str, Passage] = {}
        for folder in folders:
            archive.publish({"z.txt": "It stays.", **{name: "\n\n".join(lines) for name, lines in folder.items()}})
            stands = {passage.id: passage for passage in archive.passages()}
            issued = {**stands, **issued}
            for id_, first in issued.items():
                check(archive, id_, first, stands)


def check(archive: Archive, id_: str, first: Passage, stands: dict[str, Passage]) -> None:
    found = archive.look_up(id_)
    now = found.now.passage if found.now else None

    assert (found.cited.passage.text, found.cited.passage.document_id) == (first.text, first.document_id)
    assert (found.status is CitationStatus.CURRENT) == (id_ in stands)
    assert now is None or stands[now.id] == now
    match found.status:
        case CitationStatus.CURRENT | CitationStatus.MOVED:
            assert now is not None
            assert now.text == first.text
            assert found.similarity is None
        case CitationStatus.CHANGED:
            assert now is not None
            assert now.text != first.text
            assert found.similarity is not None
            assert 0 <= found.similarity <= 1
        case CitationStatus.REMOVED:
            assert now is None
            assert (first.document_id, first.text) not in {(p.document_id, p.text) for p in stands.values()}
