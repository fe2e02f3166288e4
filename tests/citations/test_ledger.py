import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.citations.ledger import FILE, Issued, Ledger, Resolution
from sourceline.errors import LedgerError
from sourceline.ids import citation_id
from sourceline.types import CitationStatus, Location, Passage, PassageInContext
from tests.texts import texts


def standing(
    text: str, document: str = "a.txt", occurrence: int = 0, before: str = "", title: str = "A"
) -> PassageInContext:
    id_ = citation_id(document, text, occurrence)
    return PassageInContext(
        Passage(id_, document, 3, 10, 10 + len(text), text, Location(2, 1, "S")), title, before, "After."
    )


def rows(index: Path) -> tuple[set[tuple[object, ...]], list[tuple[object, ...]]]:
    """Return the whole content of the ledger's file."""
    connection = sqlite3.connect(index / FILE)
    issued = set(connection.execute("SELECT * FROM issued"))
    resolutions = connection.execute("SELECT * FROM fates ORDER BY number").fetchall()
    connection.close()
    return issued, resolutions


def test_an_index_without_a_ledger_reads_as_one_that_issued_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)

    assert ledger.issued("x") is None
    assert ledger.resolution("x") is None
    assert list(ledger.with_texts(["One."])) == []
    assert ledger.check() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_citation_is_read_as_it_was_issued(tmp_path: Path) -> None:
    one = standing("Café\r\n\u202e👍 \u2028x", "ü/é.md", 2, before="»\t")
    bare = PassageInContext(Passage("id", "b.txt", 0, 0, 2, "B.", Location(1, 1, None)), "B", "", "")
    Ledger(tmp_path).record("g1", [one, bare], [])

    assert Ledger(tmp_path).issued(one.passage.id) == Issued(one, "g1")
    assert Ledger(tmp_path).issued("id") == Issued(bare, "g1")
    assert Ledger(tmp_path).issued("ID") is None
    assert Ledger(tmp_path).check() == 2


def test_a_heading_is_read_as_one(tmp_path: Path) -> None:
    one = standing("The bridge")
    heading = replace(one, passage=replace(one.passage, heading=True))
    Ledger(tmp_path).record("g1", [heading], [])

    assert Ledger(tmp_path).issued(heading.passage.id) == Issued(heading, "g1")


def test_a_ledger_from_before_there_were_headings_is_read_and_added_to(tmp_path: Path) -> None:
    old, new = standing("One."), standing("Two.")
    Ledger(tmp_path).record("g1", [old], [])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("ALTER TABLE issued DROP COLUMN heading")

    assert Ledger(tmp_path).issued(old.passage.id) == Issued(old, "g1")
    Ledger(tmp_path).record("g2", [replace(new, passage=replace(new.passage, heading=True))], [])
    Ledger(tmp_path).record("g3", [], [])
    assert [*Ledger(tmp_path).with_texts(["One.", "Two."])] == [
        replace(s, passage=replace(s.passage, heading=s is new)) for s in sorted((old, new), key=lambda s: s.passage.id)
    ]


def test_an_id_that_was_issued_before_keeps_its_first_row(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first, again = standing("One.", before="Old."), standing("One.", before="New.", title="Other")

    ledger.record("g1", [first], [])
    ledger.record("g2", [again], [])

    assert ledger.issued(first.passage.id) == Issued(first, "g1")


def test_the_newest_fate_holds(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("g2", [], [Resolution("a", CitationStatus.MOVED, "b"), Resolution("b", CitationStatus.REMOVED, None)])
    ledger.record("g3", [], [Resolution("a", CitationStatus.CHANGED, "c")])

    assert ledger.resolution("a") == Resolution("a", CitationStatus.CHANGED, "c")
    assert ledger.resolution("b") == Resolution("b", CitationStatus.REMOVED, None)
    assert ledger.resolution("c") is None


def test_finds_every_citation_of_exactly_these_texts(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    wanted = [standing(f"Sentence {number}.", document) for number in range(1_200) for document in ("a.txt", "b.txt")]
    others = [standing(text) for text in ("Sentence 1", "sentence 1.", "Sentence 1. ", "Sentence 1200.")]
    ledger.record("g1", [*wanted, *others], [])

    found = list(ledger.with_texts([f"Sentence {number}." for number in range(1_200)] + ["Nobody said this."]))

    assert sorted(found, key=lambda s: s.passage.id) == sorted(wanted, key=lambda s: s.passage.id)


def test_a_text_asked_for_twice_gives_each_citation_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    one = standing("One.")
    ledger.record("g1", [one], [])

    assert list(ledger.with_texts(["One."] * 1_100)) == [one]


def test_what_is_interrupted_is_not_recorded_at_all(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("g1", [standing("One.")], [])

    def interrupted() -> Iterator[Resolution]:
        yield Resolution("a", CitationStatus.REMOVED, None)
        raise ValueError("interrupted")

    with pytest.raises(ValueError, match="interrupted"):
        ledger.record("g2", [standing("Two.")], interrupted())

    assert ledger.issued(standing("Two.").passage.id) is None
    assert ledger.resolution("a") is None
    assert ledger.check() == 1


def test_reading_does_not_wait_for_a_build_that_writes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    one = standing("One.")
    ledger.record("g1", [one], [])
    writer = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    writer.execute("DELETE FROM issued")

    assert ledger.issued(one.passage.id) == Issued(one, "g1")

    writer.execute("ROLLBACK")
    writer.close()


def test_a_ledger_that_is_no_database_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    damage = b"not a database, but long enough to be taken for one" * 20
    (tmp_path / FILE).write_bytes(damage)
    ledger = Ledger(tmp_path)

    for use in (ledger.check, lambda: ledger.issued("a"), lambda: ledger.record("g1", [standing("One.")], [])):
        with pytest.raises(LedgerError, match=r"ledger\.sqlite"):
            use()
    assert (tmp_path / FILE).read_bytes() == damage


def test_a_page_of_the_ledger_that_was_overwritten_is_found(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("g1", [standing(f"Sentence {number}.") for number in range(500)], [])
    data = bytearray((tmp_path / FILE).read_bytes())
    data[8_192:16_384] = b"\xff" * 8_192
    (tmp_path / FILE).write_bytes(data)

    with pytest.raises(LedgerError, match="ledger"):
        ledger.check()


def test_a_folder_in_the_place_of_the_ledger_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()

    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger(tmp_path).record("g1", [standing("One.")], [])


_standings = st.builds(
    standing,
    texts.map(lambda text: text[:5]),
    st.sampled_from(["a.txt", "b.txt"]),
    st.integers(0, 1),
    texts,
)
_resolutions = st.builds(
    Resolution, st.sampled_from(["a", "b", "c"]), st.sampled_from(CitationStatus), st.sampled_from([None, "a", "b"])
)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.lists(_standings, max_size=4), st.lists(_resolutions, max_size=3)), max_size=5))
def test_the_ledger_is_only_ever_added_to(builds: list[tuple[list[PassageInContext], list[Resolution]]]) -> None:
    with TemporaryDirectory() as folder:
        index = Path(folder)
        ledger = Ledger(index)
        ledger.record("g0", [], [])
        first: dict[str, Issued] = {}
        for number, (issued, resolutions) in enumerate(builds):
            issued_before, fates_before = rows(index)

            ledger.record(f"g{number}", issued, resolutions)

            issued_after, fates_after = rows(index)
            assert issued_before <= issued_after
            assert fates_before == fates_after[: len(fates_before)]
            assert len(fates_after) == len(fates_before) + len(resolutions)
            for one in issued:
                first.setdefault(one.passage.id, Issued(one, f"g{number}"))
            assert {id_: ledger.issued(id_) for id_ in first} == first
