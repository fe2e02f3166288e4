import os
import re
import shutil
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.api import Index
from sourceline.citations.ledger import FILE
from sourceline.errors import LedgerError, UnknownCitationError
from sourceline.ids import citation_id, exact_citation_id
from sourceline.indexing.builder import build
from sourceline.types import (
    DEFAULT_MODEL,
    NO_RERANKER,
    Backend,
    CitationStatus,
    Context,
    Location,
    Passage,
    PassageInContext,
)
from tests.conftest import Rebuild
from tests.support.archive import Archive
from tests.support.citation_stories import (
    CLOSED,
    EDITED,
    GREW,
    LESS,
    MET,
    MORE,
    REPORT,
    STORIES,
    THANKS,
    Story,
)


@pytest.fixture
def archive(documents: Path, index: Path, rebuild: Rebuild) -> Archive:
    return Archive(documents, index, rebuild)


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_a_citation_says_truly_what_became_of_it(archive: Archive, story: Story) -> None:
    for state in story.states:
        if state is None:
            archive.forget_snapshots()
        else:
            archive.publish(state)

    for cited, outcome in story.outcomes.items():
        text, occurrence = (cited, 0) if isinstance(cited, str) else cited
        assert archive.outcome("a.txt", text, occurrence) == outcome, text


def test_a_current_citation_shows_where_the_sentence_stands_now(archive: Archive) -> None:
    archive.publish({"a.txt": REPORT})
    archive.publish({"a.txt": f"A preface.\n\n{REPORT}"})

    citation = archive.look_up(citation_id("a.txt", GREW, 0))

    assert citation.status is CitationStatus.CURRENT
    assert citation.cited == citation.now
    assert citation.cited.passage.start == len("A preface.\n\nThe council met on Monday. ")
    assert (citation.cited.passage.location.line, citation.similarity) == (3, None)


def test_a_changed_citation_shows_both_texts_and_how_much_they_agree(archive: Archive) -> None:
    archive.publish({"a.txt": REPORT})
    archive.publish({"a.txt": f"A preface.\n\n{REPORT.replace(GREW, LESS)}"})
    archive.publish({"b.txt": f"A preface.\n\n{EDITED}"})

    citation = archive.look_up(citation_id("a.txt", GREW, 0))

    assert citation.status is CitationStatus.CHANGED
    assert citation.cited.passage.text == GREW
    assert (citation.cited.passage.document_id, citation.cited.passage.start) == ("a.txt", 27)
    assert citation.now is not None
    assert citation.now.passage.text == MORE
    assert (citation.now.passage.document_id, citation.now.passage.start) == ("b.txt", 39)
    assert citation.similarity == 0.8


@pytest.mark.parametrize("status", [CitationStatus.CURRENT, CitationStatus.MOVED, CitationStatus.REMOVED])
def test_the_context_of_a_citation_is_the_whole_sentences_beside_it_in_its_paragraph(
    archive: Archive, status: CitationStatus
) -> None:
    archive.publish({"a.txt": REPORT})
    match status:
        case CitationStatus.MOVED:
            archive.publish({"b.txt": REPORT})
        case CitationStatus.REMOVED:
            archive.publish({"b.txt": "Another."})

    contexts = {
        (text, occurrence): (citation.status, citation.cited.context)
        for text, occurrence in [(MET, 0), (GREW, 0), (THANKS, 0), (CLOSED, 0), (THANKS, 1)]
        if (citation := archive.look_up(citation_id("a.txt", text, occurrence)))
    }

    assert contexts == {
        (MET, 0): (status, Context("", GREW)),
        (GREW, 0): (status, Context(MET, "")),
        (THANKS, 0): (status, Context("", "")),
        (CLOSED, 0): (status, Context("", "")),
        (THANKS, 1): (status, Context("", "")),
    }


def test_the_selectors_of_a_citation_are_up_to_64_characters_of_the_document_on_either_side(archive: Archive) -> None:
    archive.publish({"a.txt": f"{'x' * 100}. {GREW} {'y' * 100}\n", "b.md": f"# Minutes\n\n- {GREW}\r\n"})

    surrounded = archive.look_up(citation_id("a.txt", GREW, 0)).cited
    alone = archive.look_up(citation_id("b.md", GREW, 0)).cited

    assert (surrounded.prefix, surrounded.suffix) == ("x" * 62 + ". ", " " + "y" * 63)
    assert surrounded.context == Context("x" * 100 + ".", "y" * 100)
    assert (alone.prefix, alone.suffix) == ("# Minutes\n\n- ", "\r\n")
    assert alone.context == Context("", "")


def test_a_removed_citation_shows_the_sentence_as_it_was_cited(archive: Archive) -> None:
    archive.publish({"a.md": f"# Minutes\n\n- {MET} {GREW}\r\n", "b.txt": "Another."})
    before = archive.look_up(citation_id("a.md", GREW, 0)).cited
    archive.publish({"b.txt": "Another."})

    citation = archive.look_up(citation_id("a.md", GREW, 0))

    assert (citation.status, citation.now, citation.similarity) == (CitationStatus.REMOVED, None, None)
    assert citation.cited == before
    assert (before.title, before.context) == ("Minutes", Context(MET, ""))
    assert (before.prefix, before.suffix) == (f"# Minutes\n\n- {MET} ", "\r\n")


@pytest.mark.parametrize(
    "id_", ["", "x", "ZHIYZUIWNPKR56WQ", "zhiyzuiwnpkr56wq", "é", "\ud800", "\0", "'; DROP TABLE", "a" * 9_999]
)
def test_an_id_that_was_never_issued_is_unknown(archive: Archive, id_: str) -> None:
    archive.publish({"a.txt": REPORT})

    with pytest.raises(UnknownCitationError, match="no citation with this id was ever issued"):
        archive.look_up(id_)


def test_without_its_ledger_what_is_in_the_snapshot_resolves_and_the_rest_is_an_error(archive: Archive) -> None:
    archive.publish({"a.txt": REPORT})
    (archive.index / FILE).unlink()

    assert archive.outcome("a.txt", GREW) == ("current", "a.txt", GREW)
    with pytest.raises(
        LedgerError, match=r"ledger\.jsonl, is missing: restore a backup with `sourceline restore FILE --replace`"
    ):
        archive.look_up("x")


def test_a_damaged_ledger_is_an_error_and_not_an_unknown_citation(archive: Archive) -> None:
    archive.publish({"a.txt": REPORT})
    (archive.index / FILE).write_bytes(b"damaged" * 1_000)

    assert archive.outcome("a.txt", GREW) == ("current", "a.txt", GREW)
    with pytest.raises(LedgerError, match="is damaged"):
        archive.look_up("x")


def test_what_snapshots_told_that_are_damaged_now_holds_where_it_is_true(archive: Archive) -> None:
    def outcome(document: str) -> tuple[str, str | None]:
        with Index.open(archive.index, reranker=NO_RERANKER) as index:
            citation = index.cite(citation_id(document, GREW, 0))
            return citation.status.value, citation.now.passage.document_id if citation.now else None

    archive.publish({"a.txt": f"{MET} {GREW} {CLOSED}\n", "kept.txt": THANKS})
    for files in ({"b.txt": f"{GREW} {CLOSED}\n"}, {"c.txt": f"{THANKS}\n\n{LESS} {GREW} {EDITED}\n"}):
        archive.publish(files)
        newest = archive.snapshot()
        (newest.folder / "tokens.starts").unlink()
        assert outcome(*files) == ("moved", "a.txt")
        assert archive.snapshot().id < newest.id

    archive.publish(files)

    assert outcome("c.txt") == ("current", "c.txt")
    assert outcome("b.txt") == outcome("a.txt") == ("moved", "c.txt")


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
    assert archive.snapshot().manifest.backend == "torch"
    assert archive.passages() == first
    assert {archive.look_up(passage.id).status for passage in first} == {CitationStatus.CURRENT}


sentences = st.lists(st.sampled_from([GREW, MORE, THANKS, "Yes.", "The council met on Monday."]), max_size=4)
folders = st.dictionaries(st.sampled_from(["a.txt", "b.txt", "c.md"]), sentences, min_size=1)


@settings(deadline=None, max_examples=8)
@given(st.lists(folders, min_size=2, max_size=4))
def test_every_id_ever_issued_resolves_with_a_true_status(exported: Path, states: list[dict[str, list[str]]]) -> None:
    with TemporaryDirectory() as root:
        index, documents = Path(root) / "index", Path(root) / "documents"
        shutil.copytree(exported, index, copy_function=os.link)
        documents.mkdir()
        archive = Archive(documents, index, lambda documents, index: build(documents, index, DEFAULT_MODEL))
        issued: dict[str, Passage] = {}
        for state in states:
            archive.publish({"z.txt": "It stays.", **{name: "\n\n".join(lines) for name, lines in state.items()}})
            current = {passage.id: passage for passage in archive.passages()}
            issued = {**current, **issued}
            for first in issued.values():
                check_citation(archive, first, current)


def check_citation(archive: Archive, first: Passage, current: dict[str, Passage]) -> None:
    """Check that what is said of a citation is true; ``first`` is the passage as it was when the id was issued."""
    citation = archive.look_up(first.id)
    now = citation.now.passage if citation.now else None

    assert (citation.cited.passage.text, citation.cited.passage.document_id) == (first.text, first.document_id)
    assert (citation.status is CitationStatus.CURRENT) == (first.id in current)
    assert now is None or current[now.id] == now
    match citation.status:
        case CitationStatus.CURRENT | CitationStatus.MOVED:
            assert now is not None
            assert now.text == first.text
            assert citation.similarity is None
        case CitationStatus.CHANGED:
            assert now is not None
            assert now.text != first.text
            assert citation.similarity is not None
            assert 0 <= citation.similarity <= 1
        case CitationStatus.REMOVED:
            assert now is None
            assert (first.document_id, first.text) not in {(p.document_id, p.text) for p in current.values()}


def test_what_was_cited_with_its_label_stays_current_when_a_newer_version_cuts_the_label_off(archive: Archive) -> None:
    text = "Ilse Kern: Yes.\nBo Lind: Yes.\nBo Lind: Yes.\nBo Lind: We should repair the crane before summer.\n"
    lines = list(re.finditer(r"[^\n]+", text))
    counts: Counter[str] = Counter()
    cited = []
    for ordinal, line in enumerate(lines):
        id_ = exact_citation_id("call.txt", line.group(), counts[line.group()])
        passage = Passage(id_, "call.txt", ordinal, *line.span(), line.group(), Location(ordinal + 1, ordinal + 1))
        cited.append(PassageInContext(passage, "call", Context(), "", ""))
        counts[line.group()] += 1
    archive.ledger.append("00000001-20261126T000000Z", cited, ())
    archive.publish({"call.txt": text})

    for old in cited:
        found = archive.look_up(old.passage.id)
        assert found.status is CitationStatus.CURRENT
        assert found.now is not None
        assert (found.now.passage.end, found.now.passage.text) == (old.passage.end, old.passage.text.split(": ")[1])
        assert found.now.passage.location.speaker == old.passage.text.split(":")[0]


def test_an_edit_is_followed_though_its_new_words_were_once_cited_elsewhere(archive: Archive) -> None:
    before = "We met on Monday. The crane must be repaired before the summer of 2027. We left at nine.\n"
    after = before.replace("summer of 2027", "autumn of 2028")
    summer, autumn = (f"The crane must be repaired before the {when}." for when in ("summer of 2027", "autumn of 2028"))
    archive.publish({"a.txt": before, "z.txt": after})
    archive.publish({"a.txt": before})
    archive.publish({"a.txt": after})
    assert archive.outcome("a.txt", summer) == ("changed", "a.txt", autumn)
    assert archive.outcome("z.txt", autumn) == ("moved", "a.txt", autumn)
