import sqlite3
from pathlib import Path

import pytest

from sourceline.citations.ledger import FILE, Issued, Resolution
from sourceline.ids import citation_id
from sourceline.types import CitationStatus, Location, Passage, PassageInContext
from tests.archive import Archive
from tests.conftest import Rebuild

TRADE, TRADE_EDITED = "Trade grew by 7 percent.", "Trade grew by 9 percent."


@pytest.fixture
def archive(documents: Path, index: Path, rebuild: Rebuild) -> Archive:
    return Archive(documents, index, rebuild)


def table(archive: Archive, name: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(archive.index / FILE)
    found = connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()
    connection.close()
    return found


def test_the_first_build_issues_every_passage_as_it_stands(archive: Archive) -> None:
    report = archive.publish({"b.md": f"# Report\n\nIntro.\n\n> {TRADE} Thanks.\n", "a.txt": "One."})

    assert archive.ledger.issued(citation_id("b.md", TRADE, 0)) == Issued(
        PassageInContext(
            Passage(citation_id("b.md", TRADE, 0), "b.md", 2, 20, 44, TRADE, Location(5, 3, "Report")),
            title="Report",
            before="# Report\n\nIntro.\n\n> ",
            after=" Thanks.\n",
        ),
        report.snapshot,
    )
    assert archive.ledger.check() == len(archive.passages()) == 5
    assert table(archive, "fates") == []


def test_what_stands_around_a_passage_is_kept_up_to_64_characters(archive: Archive) -> None:
    archive.publish({"a.txt": "x" * 100 + f". {TRADE} " + "y" * 100})

    issued = archive.ledger.issued(citation_id("a.txt", TRADE, 0))

    assert issued is not None
    assert (issued.standing.before, issued.standing.after) == ("x" * 62 + ". ", " " + "y" * 63)


def test_a_build_of_the_same_documents_records_nothing(archive: Archive) -> None:
    archive.publish({"a.txt": f"One. {TRADE}"})
    issued = table(archive, "issued")

    archive.publish({"a.txt": f"One. {TRADE}"})

    assert table(archive, "issued") == issued
    assert table(archive, "fates") == []


def test_a_build_records_what_is_new_and_what_became_of_what_is_gone(archive: Archive) -> None:
    archive.publish({"a.txt": f"One is here now. {TRADE} Nobody else spoke.", "b.txt": "Two."})
    before = table(archive, "issued")

    report = archive.publish({"a.txt": f"One is here now. {TRADE_EDITED}", "b.txt": "Two."})

    new = citation_id("a.txt", TRADE_EDITED, 0)
    issued = archive.ledger.issued(new)
    assert issued is not None
    assert issued.snapshot == report.snapshot
    assert len(table(archive, "issued")) == len(before) + 1
    assert archive.ledger.resolution(citation_id("a.txt", TRADE, 0)) == Resolution(
        citation_id("a.txt", TRADE, 0), CitationStatus.CHANGED, new
    )
    assert archive.ledger.resolution(citation_id("a.txt", "Nobody else spoke.", 0)) == Resolution(
        citation_id("a.txt", "Nobody else spoke.", 0), CitationStatus.REMOVED, None
    )
    assert len(table(archive, "fates")) == 2


def test_nothing_that_was_recorded_is_ever_altered(archive: Archive) -> None:
    states = [
        {"a.txt": f"One. {TRADE} Two.", "b.txt": "Thank you."},
        {"a.txt": f"Preface to it all. One. {TRADE_EDITED} Two.", "b.txt": "Thank you."},
        {"c.txt": f"One. {TRADE_EDITED} Two."},
        {"a.txt": f"One. {TRADE} Two.", "c.txt": f"{TRADE} {TRADE} Thank you."},
        {"d.txt": "Nothing is left."},
    ]
    issued: list[tuple[object, ...]] = []
    resolutions: list[tuple[object, ...]] = []
    for state in states:
        archive.publish(state)

        assert set(issued) <= set(table(archive, "issued"))
        assert resolutions == table(archive, "fates")[: len(resolutions)]
        issued, resolutions = table(archive, "issued"), table(archive, "fates")
        known = {row[0] for row in issued}
        assert {passage.id for passage in archive.passages()} <= known
    assert len(issued) == len({row[0] for row in issued}) == 13


def test_a_ledger_without_snapshots_is_added_to(archive: Archive) -> None:
    archive.publish({"a.txt": f"One. {TRADE}"})
    before = table(archive, "issued")
    archive.forget_snapshots()

    archive.publish({"b.txt": f"One. {TRADE}", "c.txt": "Two."})

    assert set(before) < set(table(archive, "issued"))
    assert archive.ledger.resolution(citation_id("a.txt", TRADE, 0)) == Resolution(
        citation_id("a.txt", TRADE, 0), CitationStatus.MOVED, citation_id("b.txt", TRADE, 0)
    )


def test_a_lost_ledger_learns_of_the_passages_that_go(archive: Archive) -> None:
    archive.publish({"a.txt": f"One. {TRADE}"})
    (archive.index / FILE).unlink()

    archive.publish({"a.txt": f"One. {TRADE_EDITED}"})

    old, new = citation_id("a.txt", TRADE, 0), citation_id("a.txt", TRADE_EDITED, 0)
    assert archive.ledger.issued(old) is not None
    assert archive.ledger.resolution(old) == Resolution(old, CitationStatus.CHANGED, new)
