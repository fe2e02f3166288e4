"""What builds record in the ledger."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sourceline.citations.ledger import FILE, Resolution
from sourceline.ids import citation_id
from sourceline.types import CitationStatus, Context, Location, Passage, PassageInContext
from tests.conftest import Rebuild
from tests.support.archive import Archive

TRADE, TRADE_EDITED = "Trade grew by 7 percent.", "Trade grew by 9 percent."


@pytest.fixture
def archive(documents: Path, index: Path, rebuild: Rebuild) -> Archive:
    return Archive(documents, index, rebuild)


def table(archive: Archive, name: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(archive.index / FILE)) as connection:
        return connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()


def snapshot_that_issued(archive: Archive, citation: str) -> object:
    with closing(sqlite3.connect(archive.index / FILE)) as connection:
        (snapshot,) = connection.execute("SELECT snapshot FROM issued WHERE id = ?", (citation,)).fetchone()
    return snapshot


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
    assert snapshot_that_issued(archive, citation) == report.snapshot
    assert archive.ledger.check() == len(archive.passages()) == 5
    assert table(archive, "resolutions") == []


def test_the_text_around_a_passage_is_kept_up_to_64_characters(archive: Archive) -> None:
    archive.publish({"a.txt": "x" * 100 + f". {TRADE} " + "y" * 100})

    cited = archive.ledger.issued(citation_id("a.txt", TRADE, 0))

    assert cited is not None
    assert (cited.prefix, cited.suffix) == ("x" * 62 + ". ", " " + "y" * 63)
    assert cited.context == Context("x" * 100 + ".", "y" * 100)


def test_a_build_of_the_same_documents_records_nothing(archive: Archive) -> None:
    archive.publish({"a.txt": f"One. {TRADE}"})
    issued = table(archive, "issued")

    archive.publish({"a.txt": f"One. {TRADE}"})

    assert table(archive, "issued") == issued
    assert table(archive, "resolutions") == []


def test_a_build_records_new_passages_and_what_became_of_the_lost_ones(archive: Archive) -> None:
    archive.publish({"a.txt": f"One is here now. {TRADE} Nobody else spoke.", "b.txt": "Two."})
    before = table(archive, "issued")

    report = archive.publish({"a.txt": f"One is here now. {TRADE_EDITED}", "b.txt": "Two."})

    changed, removed = citation_id("a.txt", TRADE, 0), citation_id("a.txt", "Nobody else spoke.", 0)
    new = citation_id("a.txt", TRADE_EDITED, 0)
    assert snapshot_that_issued(archive, new) == report.snapshot
    assert len(table(archive, "issued")) == len(before) + 1
    assert archive.ledger.resolution(changed) == Resolution(changed, CitationStatus.CHANGED, new)
    assert archive.ledger.resolution(removed) == Resolution(removed, CitationStatus.REMOVED, None)
    assert len(table(archive, "resolutions")) == 2


def test_no_build_alters_what_was_recorded(archive: Archive) -> None:
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

        assert {*issued} <= {*table(archive, "issued")}
        assert resolutions == table(archive, "resolutions")[: len(resolutions)]
        issued, resolutions = table(archive, "issued"), table(archive, "resolutions")
        assert {passage.id for passage in archive.passages()} <= {row[0] for row in issued}
    assert len(issued) == len({row[0] for row in issued}) == 13


def test_without_snapshots_a_build_adds_to_the_ledger(archive: Archive) -> None:
    archive.publish({"a.txt": f"One. {TRADE}"})
    before = table(archive, "issued")
    archive.forget_snapshots()

    archive.publish({"b.txt": f"One. {TRADE}", "c.txt": "Two."})

    old, new = citation_id("a.txt", TRADE, 0), citation_id("b.txt", TRADE, 0)
    assert {*before} < {*table(archive, "issued")}
    assert archive.ledger.resolution(old) == Resolution(old, CitationStatus.MOVED, new)


def test_after_the_ledger_was_lost_a_build_records_the_passages_that_go(archive: Archive) -> None:
    archive.publish({"a.txt": f"One. {TRADE}"})
    (archive.index / FILE).unlink()

    archive.publish({"a.txt": f"One. {TRADE_EDITED}"})

    old, new = citation_id("a.txt", TRADE, 0), citation_id("a.txt", TRADE_EDITED, 0)
    assert archive.ledger.issued(old) is not None
    assert archive.ledger.resolution(old) == Resolution(old, CitationStatus.CHANGED, new)
