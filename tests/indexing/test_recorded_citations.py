"""What builds record in the ledger."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from sourceline.api import Index
from sourceline.citations.ledger import FILE, Resolution
from sourceline.errors import LedgerError, UnknownCitationError
from sourceline.ids import citation_id
from sourceline.indexing.writer import SnapshotWriter
from sourceline.types import CitationStatus, Context, Location, Passage, PassageInContext
from tests.conftest import Rebuild
from tests.support.archive import Archive
from tests.support.index_folder import ledger_lines

TRADE, TRADE_EDITED = "Trade grew by 7 percent.", "Trade grew by 9 percent."


@pytest.fixture
def archive(documents: Path, index: Path, rebuild: Rebuild) -> Archive:
    return Archive(documents, index, rebuild)


def lines(archive: Archive, kind: str) -> list[dict[str, Any]]:
    """Return the lines of the ledger of one kind: ``issued``, ``gone`` or ``build``."""
    return [line for line in ledger_lines(archive.index) if kind in line]


def test_the_first_build_issues_every_passage_in_its_context(archive: Archive) -> None:
    report = archive.publish({"b.md": f"# Report\n\nIntro.\n\n> {TRADE} Thanks.\n", "a.txt": "One."})

    citation = citation_id("b.md", TRADE, 0)
    assert archive.ledger.issued(citation) == PassageInContext(
        passage=Passage(citation, "b.md", 2, 20, 44, TRADE, Location(5, 3, "Report")),
        title="Report",
        context=Context("", "Thanks."),
        prefix="# Report\n\nIntro.\n\n> ",
        suffix=" Thanks.\n",
    )
    assert [line["build"] for line in lines(archive, "build")] == [report.snapshot]
    assert archive.ledger.check() == len(archive.passages()) == 5
    assert lines(archive, "gone") == []


def test_the_text_around_a_passage_is_kept_up_to_64_characters(archive: Archive) -> None:
    archive.publish({"a.txt": "x" * 100 + f". {TRADE} " + "y" * 100})

    cited = archive.ledger.issued(citation_id("a.txt", TRADE, 0))

    assert cited is not None
    assert (cited.prefix, cited.suffix) == ("x" * 62 + ". ", " " + "y" * 63)
    assert cited.context == Context("x" * 100 + ".", "y" * 100)


def test_a_build_of_the_same_documents_records_nothing(archive: Archive) -> None:
    archive.publish({"a.txt": f"One. {TRADE}"})
    issued = lines(archive, "issued")

    archive.publish({"a.txt": f"One. {TRADE}"})

    assert lines(archive, "issued") == issued
    assert lines(archive, "gone") == []


def test_a_build_records_new_passages_and_what_became_of_the_lost_ones(archive: Archive) -> None:
    archive.publish({"a.txt": f"One is here now. {TRADE} Nobody else spoke.", "b.txt": "Two."})
    before = lines(archive, "issued")

    report = archive.publish({"a.txt": f"One is here now. {TRADE_EDITED}", "b.txt": "Two."})

    changed, removed = citation_id("a.txt", TRADE, 0), citation_id("a.txt", "Nobody else spoke.", 0)
    new = citation_id("a.txt", TRADE_EDITED, 0)
    assert [line["issued"] for line in lines(archive, "issued")[len(before) :]] == [new]
    assert lines(archive, "build")[-1]["build"] == report.snapshot
    assert archive.ledger.resolution(changed) == Resolution(changed, CitationStatus.CHANGED, new)
    assert archive.ledger.resolution(removed) == Resolution(removed, CitationStatus.REMOVED, None)
    assert len(lines(archive, "gone")) == 2


def test_no_build_alters_what_was_recorded(archive: Archive) -> None:
    states = [
        {"a.txt": f"One. {TRADE} Two.", "b.txt": "Thank you."},
        {"a.txt": f"Preface to it all. One. {TRADE_EDITED} Two.", "b.txt": "Thank you."},
        {"c.txt": f"One. {TRADE_EDITED} Two."},
        {"a.txt": f"One. {TRADE} Two.", "c.txt": f"{TRADE} {TRADE} Thank you."},
        {"d.txt": "Nothing is left."},
    ]
    before: list[dict[str, Any]] = []
    for state in states:
        archive.publish(state)

        after = ledger_lines(archive.index)
        assert after[: len(before)] == before
        before = after
        assert {passage.id for passage in archive.passages()} <= {line.get("issued") for line in after}
    issued = [line["issued"] for line in lines(archive, "issued")]
    assert len(issued) == len({*issued}) == 13


def test_without_snapshots_a_build_adds_to_the_ledger(archive: Archive) -> None:
    archive.publish({"a.txt": f"One. {TRADE}"})
    before = lines(archive, "issued")
    archive.forget_snapshots()

    archive.publish({"b.txt": f"One. {TRADE}", "c.txt": "Two."})

    old, new = citation_id("a.txt", TRADE, 0), citation_id("b.txt", TRADE, 0)
    assert lines(archive, "issued")[: len(before)] == before
    assert archive.ledger.resolution(old) == Resolution(old, CitationStatus.MOVED, new)


def test_after_the_ledger_was_lost_a_build_warns_and_begins_one_with_what_the_snapshots_hold(archive: Archive) -> None:
    archive.publish({"a.txt": f"One. {TRADE}", "b.txt": "Two."})
    (archive.index / FILE).unlink()

    report = archive.publish({"a.txt": f"One. {TRADE_EDITED}", "b.txt": "Two."})

    (warning,) = report.warnings
    assert warning.startswith(f"{archive.index / FILE}, the record of citations, is missing, and a new one was begun")
    old, new = citation_id("a.txt", TRADE, 0), citation_id("a.txt", TRADE_EDITED, 0)
    assert {line["text"] for line in lines(archive, "issued")} == {"One.", TRADE, TRADE_EDITED, "Two."}
    assert archive.ledger.resolution(old) == Resolution(old, CitationStatus.CHANGED, new)
    assert archive.publish({"a.txt": f"One. {TRADE_EDITED}", "b.txt": "Two."}).warnings == ()


@pytest.mark.parametrize("damage", [b"", b"not a ledger\n" * 99])
def test_beside_a_damaged_ledger_a_build_stops_and_changes_nothing(archive: Archive, damage: bytes) -> None:
    archive.publish({"a.txt": f"One. {TRADE}"})
    (archive.index / FILE).write_bytes(damage)
    served = archive.snapshot().id

    with pytest.raises(
        LedgerError, match=r"ledger\.jsonl, is damaged: .*: restore a backup with `sourceline restore FILE --replace`"
    ):
        archive.publish({"a.txt": f"One. {TRADE_EDITED}"})

    assert (archive.index / FILE).read_bytes() == damage
    assert archive.snapshot().id == served


def damage_newest(archive: Archive) -> None:
    (archive.snapshot().folder / "dense.faiss").write_bytes(b"")


def test_where_the_snapshot_before_is_served_a_citation_has_the_status_that_it_has_in_that(archive: Archive) -> None:
    archive.publish({"a.txt": f"One is here now. {TRADE}"})
    archive.publish({"b.txt": f"One is here now. {TRADE}"})
    archive.publish({"c.txt": f"One is here now. {TRADE_EDITED} Nothing of it was told."})
    damage_newest(archive)

    with Index.open(archive.index, lazy=True) as index:
        moved = index.cite(citation_id("a.txt", TRADE, 0))
        current = index.cite(citation_id("b.txt", TRADE, 0))
        # Given out by the snapshot that is damaged.
        edited = index.cite(citation_id("c.txt", TRADE_EDITED, 0))
        new = index.cite(citation_id("c.txt", "Nothing of it was told.", 0))
        with pytest.raises(UnknownCitationError):
            index.cite(citation_id("c.txt", TRADE, 0))

    assert (moved.status, moved.now) == (CitationStatus.MOVED, current.now)
    assert current.status is CitationStatus.CURRENT
    assert (edited.status, edited.now) == (CitationStatus.CHANGED, current.now)
    assert (new.status, new.cited.passage.text) == (CitationStatus.REMOVED, "Nothing of it was told.")


def test_a_build_after_a_fallback_knows_what_the_damaged_snapshot_gave_out(archive: Archive) -> None:
    archive.publish({"a.txt": f"One is here now. {TRADE}"})
    archive.publish({"a.txt": f"One is here now. {TRADE_EDITED} It rained all day."})
    damage_newest(archive)
    archive.publish({"a.txt": "One is here now. Trade grew by 11 percent."})

    now = ("changed", "a.txt", "Trade grew by 11 percent.")
    assert archive.outcome("a.txt", TRADE) == now
    assert archive.outcome("a.txt", TRADE_EDITED) == now
    assert archive.outcome("a.txt", "It rained all day.") == "removed"
    assert archive.ledger.check() == 5


def test_what_a_first_build_recorded_that_was_killed_is_not_kept(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SnapshotWriter, "write_manifest", die)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            archive.publish({"c.txt": TRADE})
    assert [line["issued"] for line in lines(archive, "issued")] == [citation_id("c.txt", TRADE, 0)]

    archive.publish({"b.txt": TRADE})
    with pytest.raises(UnknownCitationError):
        archive.look_up(citation_id("c.txt", TRADE, 0))
    assert [line["issued"] for line in lines(archive, "issued")] == [citation_id("b.txt", TRADE, 0)]


def test_what_a_build_recorded_that_was_not_published_is_neither_seen_nor_kept(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    archive.publish({"a.txt": TRADE})
    archive.publish({"b.txt": TRADE})
    before = (archive.index / FILE).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("sourceline.index.snapshot.publish", die)
        with pytest.raises(KeyboardInterrupt):
            archive.publish({"c.txt": TRADE})
    assert len((archive.index / FILE).read_bytes()) > len(before)

    assert archive.outcome("a.txt", TRADE) == ("moved", "b.txt", TRADE)
    assert archive.outcome("b.txt", TRADE) == ("current", "b.txt", TRADE)
    with pytest.raises(UnknownCitationError):
        archive.look_up(citation_id("c.txt", TRADE, 0))

    archive.publish({"b.txt": TRADE})
    archive.publish({"b.txt": TRADE})
    assert archive.outcome("a.txt", TRADE) == ("moved", "b.txt", TRADE)
    assert [line["issued"] for line in lines(archive, "issued")] == [citation_id(f"{n}.txt", TRADE, 0) for n in "ab"]
    assert (archive.index / FILE).read_bytes().startswith(before)
