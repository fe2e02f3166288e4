import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.citations import ledger as module
from sourceline.citations.ledger import FILE, VERSION, Ledger, Resolution
from sourceline.errors import LedgerError
from sourceline.ids import citation_id, text_hash
from sourceline.types import CitationStatus, Context, Location, Passage, PassageInContext, Time
from tests.support.texts import texts

MOVED, CHANGED, REMOVED = CitationStatus.MOVED, CitationStatus.CHANGED, CitationStatus.REMOVED
# As version 0.1 of Sourceline made it; before there were headings, ``issued`` lacked its last column.
VERSION_1 = """
CREATE TABLE issued (
    id TEXT PRIMARY KEY, generation TEXT NOT NULL, document TEXT NOT NULL, title TEXT NOT NULL,
    ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    line INTEGER NOT NULL, paragraph INTEGER NOT NULL, section TEXT,
    text TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, text_hash INTEGER NOT NULL,
    heading INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX issued_text ON issued (text_hash);
CREATE TABLE fates (
    number INTEGER PRIMARY KEY, citation TEXT NOT NULL, generation TEXT NOT NULL, status TEXT NOT NULL, successor TEXT
);
CREATE INDEX fates_citation ON fates (citation);
"""
VERSION_1_WITHOUT_HEADINGS = VERSION_1.replace(",\n    heading INTEGER NOT NULL DEFAULT 0\n", "\n")
# Upgrades a ledger, and dies after some of the statements.
UPGRADE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from sourceline.citations import ledger

def statements(count):
    yield from ledger_statements[:count]
    os.kill(os.getpid(), signal.SIGKILL)

ledger_statements = (*ledger._FROM_1, *ledger._FROM_2)
ledger._FROM_1, ledger._FROM_2 = statements(int(sys.argv[2])), ()
ledger.Ledger(Path(sys.argv[1])).record("g2", [], [])
"""


def cited(
    text: str, document: str = "a.txt", occurrence: int = 0, prefix: str = "", title: str = "A", heading: bool = False
) -> PassageInContext:
    passage = Passage(
        id=citation_id(document, text, occurrence),
        document_id=document,
        ordinal=3,
        start=10,
        end=10 + len(text),
        text=text,
        location=Location(2, 1, "S"),
        heading=heading,
    )
    return PassageInContext(passage, title, Context("Before it.", "After it."), prefix, "After.")


def select(index: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(index / FILE)) as connection:
        return connection.execute(query).fetchall()


def content(index: Path) -> tuple[set[tuple[object, ...]], list[tuple[object, ...]]]:
    """Return everything in the ledger's file."""
    issued = set(select(index, "SELECT * FROM issued"))
    return issued, select(index, "SELECT * FROM resolutions ORDER BY number")


def test_an_index_without_a_ledger_reads_as_one_that_issued_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)

    assert not ledger.exists()
    assert ledger.issued("x") is None
    assert ledger.resolution("x") is None
    assert ledger.successors("x") == []
    assert list(ledger.with_texts(["One."])) == []
    assert ledger.check() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_citation_is_read_as_it_was_issued(tmp_path: Path) -> None:
    rich = cited("Café\r\n\u202e👍 \u2028x", "ü/é.md", 2, prefix="»\t")
    bare = PassageInContext(Passage("id", "b.txt", 0, 0, 2, "B.", Location(1, 1)), "B", Context(), "", "")
    Ledger(tmp_path).record("s1", [rich, bare], [])

    assert Ledger(tmp_path).exists()
    assert Ledger(tmp_path).issued(rich.passage.id) == rich
    assert Ledger(tmp_path).issued("id") == bare
    assert Ledger(tmp_path).issued("ID") is None
    assert Ledger(tmp_path).check() == 2
    assert select(tmp_path, "SELECT DISTINCT snapshot FROM issued") == [("s1",)]


def test_a_heading_is_read_as_a_heading(tmp_path: Path) -> None:
    heading = cited("The bridge", heading=True)
    Ledger(tmp_path).record("s1", [heading], [])

    assert Ledger(tmp_path).issued(heading.passage.id) == heading


def test_an_id_that_was_issued_before_keeps_its_first_row(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    first, again = cited("One.", prefix="Old."), cited("One.", prefix="New.", title="Other")

    ledger.record("s1", [first], [])
    ledger.record("s2", [again], [])

    assert ledger.issued(first.passage.id) == first
    assert select(tmp_path, "SELECT snapshot FROM issued") == [("s1",)]


def test_the_newest_resolution_holds(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("s2", [], [Resolution("a", MOVED, "b"), Resolution("b", REMOVED, None)])
    ledger.record("s3", [], [Resolution("a", CHANGED, "c")])

    assert ledger.resolution("a") == Resolution("a", CHANGED, "c")
    assert ledger.resolution("b") == Resolution("b", REMOVED, None)
    assert ledger.resolution("c") is None
    assert select(tmp_path, "SELECT citation, snapshot FROM resolutions") == [("a", "s2"), ("b", "s2"), ("a", "s3")]


def test_successors_are_followed_to_the_end_of_the_chain(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("s2", [], [Resolution("a", MOVED, "b"), Resolution("x", MOVED, "y")])
    ledger.record("s3", [], [Resolution("b", CHANGED, "c")])
    ledger.record("s4", [], [Resolution("c", REMOVED, None)])

    assert ledger.successors("a") == ["b", "c"]
    assert ledger.successors("b") == ["c"]
    assert ledger.successors("c") == []
    assert ledger.successors("never issued") == []


def test_each_step_of_a_chain_is_the_one_that_the_newest_build_named(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("s2", [], [Resolution("a", MOVED, "b"), Resolution("b", MOVED, "c")])
    ledger.record("s3", [], [Resolution("b", CHANGED, "d"), Resolution("d", MOVED, "e")])
    assert ledger.successors("a") == ["b", "d", "e"]

    ledger.record("s4", [], [Resolution("b", REMOVED, None)])
    assert ledger.successors("a") == ["b"]

    ledger.record("s5", [], [Resolution("a", REMOVED, None)])
    assert ledger.successors("a") == []


def test_a_chain_goes_on_behind_an_id_that_came_back(tmp_path: Path) -> None:
    # b was gone, stood in the snapshot again, and went once more: what stands in a snapshot is not for the ledger.
    ledger = Ledger(tmp_path)
    ledger.record("s2", [], [Resolution("a", MOVED, "b")])
    ledger.record("s3", [], [Resolution("b", MOVED, "c")])
    ledger.record("s4", [], [Resolution("c", MOVED, "b")])
    assert ledger.successors("a") == ["b", "c"]

    ledger.record("s5", [], [Resolution("b", MOVED, "d")])
    assert ledger.successors("a") == ["b", "d"]
    assert ledger.successors("c") == ["b", "d"]


def test_a_chain_that_turns_in_a_circle_ends(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    circle = [Resolution("a", MOVED, "b"), Resolution("b", MOVED, "c"), Resolution("c", MOVED, "a")]
    ledger.record("s2", [], [*circle, Resolution("x", MOVED, "b"), Resolution("self", MOVED, "self")])

    assert ledger.successors("a") == ["b", "c"]
    assert ledger.successors("x") == ["b", "c", "a"]
    assert ledger.successors("self") == []


def test_a_chain_of_thousands_is_followed_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("s2", [], [Resolution(f"{at}", MOVED, f"{at + 1}") for at in range(5_000)])

    assert ledger.successors("0") == [f"{at}" for at in range(1, 5_001)]


def test_where_a_sentence_stood_is_kept_with_its_page_speaker_time_and_columns(tmp_path: Path) -> None:
    locations = [
        Location(3, 2, "Ferry", page=7, speaker="Bo “B.” Lind", time=Time(723.5, 730.25), columns=("Name", "Prix, €")),
        Location(3, 2, time=Time(0.0)),
        Location(1, 1, columns=("",)),
    ]
    issued = [
        PassageInContext(Passage(f"id{n}", "a", n, 0, 2, "A.", place), "A", Context(), "", "")
        for n, place in enumerate(locations)
    ]
    Ledger(tmp_path).record("s1", issued, [])

    assert [Ledger(tmp_path).issued(f"id{n}") for n in range(3)] == issued
    assert select(tmp_path, "SELECT page, speaker, time_start, time_end, columns FROM issued ORDER BY id") == [
        (7, "Bo “B.” Lind", 723.5, 730.25, '["Name", "Prix, €"]'),
        (None, None, 0.0, None, None),
        (None, None, None, None, '[""]'),
    ]


def test_columns_that_are_no_list_are_detected(tmp_path: Path) -> None:
    Ledger(tmp_path).record("s1", [cited("One.")], [])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE issued SET columns = '[1, 2'")

    with pytest.raises(LedgerError, match="is not as it was cited: restore it from a backup"):
        Ledger(tmp_path).check()


def test_a_citation_is_found_by_its_text_whatever_its_typography(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    same = [cited(text, f"{n}.txt") for n, text in enumerate(["Don’t\r\ngo.", "Don't go.", "Don't\u00a0go."])]
    ledger.record("s1", [*same, cited("Do not go."), cited("don't go."), cited("Re-sign."), cited("Re-\nform.")], [])

    assert {c.passage.text for c in ledger.with_texts(["Don‘t go."])} == {c.passage.text for c in same}
    assert [c.passage.text for c in ledger.with_texts(["Reform.", "Resign."])] == ["Re-\nform."]


def test_citations_that_no_build_found_gone_are_given_by_document_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    one, two, cafe, gone = cited("One."), cited("Two."), cited("Un.", "cafe\u0301.txt"), cited("Gone.")
    two = replace(two, passage=replace(two.passage, ordinal=0))
    ledger.record("s1", [one, two, cafe, gone], [Resolution(gone.passage.id, REMOVED, None)])

    assert ledger.standing() == {"a.txt": [two, one], "caf\u00e9.txt": [cafe]}
    assert ledger.latest_successors([one.passage.id, gone.passage.id, "never"]) == dict.fromkeys(
        [one.passage.id, gone.passage.id]
    )


VERSION_2 = """
CREATE TABLE issued (
    id TEXT PRIMARY KEY, snapshot TEXT NOT NULL, document TEXT NOT NULL, title TEXT NOT NULL,
    ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    line INTEGER NOT NULL, paragraph INTEGER NOT NULL, section TEXT,
    text TEXT NOT NULL, prefix TEXT NOT NULL, suffix TEXT NOT NULL, text_hash INTEGER NOT NULL,
    heading INTEGER NOT NULL DEFAULT 0,
    context_before TEXT NOT NULL DEFAULT '', context_after TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX issued_text ON issued (text_hash);
CREATE TABLE resolutions (
    number INTEGER PRIMARY KEY, citation TEXT NOT NULL, snapshot TEXT NOT NULL, status TEXT NOT NULL, successor TEXT
);
CREATE INDEX resolutions_citation ON resolutions (citation);
PRAGMA user_version = 2;
"""


def test_a_ledger_of_version_2_keeps_every_row_and_finds_texts_in_any_typography(tmp_path: Path) -> None:
    old = [cited("Don’t go\nthere.", prefix="»"), cited("Un.", "b.txt", heading=True)]
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; {VERSION_2}")
        for c in old:
            p = c.passage
            row: list[object] = [p.id, "s1", p.document_id, c.title, p.ordinal, p.start, p.end, 2, 1, "S", p.text]
            row += [c.prefix, c.suffix, text_hash(p.text), p.heading, c.context.before, c.context.after]
            connection.execute(f"INSERT INTO issued VALUES ({', '.join('?' * len(row))})", row)
        connection.execute("INSERT INTO resolutions VALUES (4, 'a', 's2', 'moved', 'b')")
    ledger = Ledger(tmp_path)

    assert [ledger.issued(c.passage.id) for c in old] == old
    assert list(ledger.with_texts(["Don't go there."])) == old[:1]
    assert ledger.resolution("a") == Resolution("a", MOVED, "b")
    assert select(tmp_path, "PRAGMA user_version") == [(VERSION,)]
    ledger.record("s3", [cited("New.")], [])
    assert ledger.check() == 3


def test_every_citation_of_exactly_these_texts_is_returned(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    same = [cited(f"Sentence {number}.", document) for number in range(1_200) for document in ("a.txt", "b.txt")]
    others = [cited(text) for text in ("Sentence 1", "sentence 1.", "Sentence 1 .", "Sentence 1200.")]
    ledger.record("s1", [*same, *others], [])

    citations = list(ledger.with_texts([f"Sentence {number}." for number in range(1_200)] + ["Nobody said this."]))

    assert sorted(citations, key=lambda c: c.passage.id) == sorted(same, key=lambda c: c.passage.id)


def test_a_text_that_is_named_twice_gives_each_citation_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("s1", [cited("One.")], [])

    assert list(ledger.with_texts(["One."] * 1_100)) == [cited("One.")]


def test_a_record_that_is_interrupted_is_not_made_at_all(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("s1", [cited("One.")], [])

    def interrupted() -> Iterator[Resolution]:
        yield Resolution("a", REMOVED, None)
        raise ValueError("interrupted")

    with pytest.raises(ValueError, match="interrupted"):
        ledger.record("s2", [cited("Two.")], interrupted())

    assert ledger.issued(cited("Two.").passage.id) is None
    assert ledger.resolution("a") is None
    assert ledger.check() == 1


def test_reading_does_not_wait_for_a_build_that_writes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("s1", [cited("One.")], [])
    writer = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    writer.execute("DELETE FROM issued")

    assert ledger.issued(cited("One.").passage.id) == cited("One.")

    writer.execute("ROLLBACK")
    writer.close()


@pytest.mark.parametrize("damage", [b"", b"not a database, but long enough to be taken for one" * 20])
def test_a_ledger_that_is_no_database_is_an_error_that_names_the_file(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    ledger = Ledger(tmp_path)
    calls: list[Callable[[], object]] = [
        ledger.check,
        lambda: ledger.issued("a"),
        lambda: ledger.resolution("a"),
        lambda: ledger.successors("a"),
        lambda: list(ledger.with_texts(["One."])),
        lambda: ledger.record("s1", [cited("One.")], []),
    ]

    for call in calls:
        with pytest.raises(LedgerError, match=r"ledger\.sqlite, cannot be used: "):
            call()
    assert (tmp_path / FILE).read_bytes() == damage


def test_an_overwritten_page_of_the_ledger_is_detected(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("s1", [cited(f"Sentence {number}.") for number in range(500)], [])
    data = bytearray((tmp_path / FILE).read_bytes())
    data[8_192:16_384] = b"\xff" * 8_192
    (tmp_path / FILE).write_bytes(data)

    with pytest.raises(LedgerError, match="ledger"):
        ledger.check()


@pytest.mark.parametrize("text", ["Another text.", b"Two."])
def test_a_text_that_is_not_as_it_was_cited_is_detected(tmp_path: Path, text: str | bytes) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("s1", [cited("One."), cited("Two.")], [])
    id_ = cited("Two.").passage.id
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE issued SET text = ? WHERE id = ?", (text, id_))

    assert ledger.issued(cited("One.").passage.id) == cited("One.")
    with pytest.raises(LedgerError, match=f"the text of {id_} is not as it was cited: restore it from a backup"):
        ledger.issued(id_)


def test_a_resolution_without_a_known_status_is_detected(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("s1", [], [Resolution("a", REMOVED, None)])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE resolutions SET status = 'lost'")

    with pytest.raises(LedgerError, match="a has no status: restore it from a backup"):
        ledger.resolution("a")


def test_a_folder_in_the_place_of_the_ledger_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()

    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger(tmp_path).record("s1", [cited("One.")], [])


OLD = [
    cited("One is here.", prefix="»\t"),
    cited("Café\r\n\u202e👍 \u2028x", "ü/é.md", 2),
    cited("The bridge", heading=True),
]
OLD_RESOLUTIONS = [
    (1, OLD[0].passage.id, "g2", "changed", OLD[1].passage.id),
    (2, OLD[1].passage.id, "g3", "removed", None),
    (7, OLD[1].passage.id, "g4", "moved", OLD[2].passage.id),
]


@pytest.fixture(params=[VERSION_1, VERSION_1_WITHOUT_HEADINGS], ids=["with headings", "without headings"])
def old_index(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """An index folder with a ledger as version 1 of it wrote it."""
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; {request.param}")
        for number, old in enumerate(OLD):
            p = old.passage
            row: list[str | int | None] = [p.id, f"g{number}", p.document_id, old.title, p.ordinal, p.start, p.end]
            row += [p.location.line, p.location.paragraph, p.location.section, p.text, old.prefix, old.suffix]
            row += [text_hash(p.text), *([p.heading] if request.param == VERSION_1 else [])]
            connection.execute(f"INSERT INTO issued VALUES ({', '.join('?' * len(row))})", row)
        connection.executemany("INSERT INTO fates VALUES (?, ?, ?, ?, ?)", OLD_RESOLUTIONS)
    return tmp_path


def has_headings(old_index: Path) -> bool:
    return any(name == "heading" for _, name, *_ in select(old_index, "PRAGMA table_info (issued)"))


def old_content(old_index: Path) -> list[list[tuple[object, ...]]]:
    """Return everything in a ledger of version 1, its tables and version included."""
    return [
        select(old_index, "SELECT * FROM issued ORDER BY id"),
        select(old_index, "SELECT * FROM fates ORDER BY number"),
        select(old_index, "SELECT type, name, sql FROM sqlite_master ORDER BY name"),
        select(old_index, "PRAGMA user_version"),
    ]


def expected_citations(headings: bool) -> dict[str, PassageInContext]:
    """Return what is to be read of a ledger of version 1, which knew no sentences before and after."""
    return {
        old.passage.id: replace(
            old, context=Context("", ""), passage=replace(old.passage, heading=old.passage.heading and headings)
        )
        for old in OLD
    }


def assert_upgraded(index: Path, before: list[list[tuple[object, ...]]], headings: bool) -> None:
    """Check that a ledger is of this version and that nothing that was in it differs by a byte."""
    issued, resolutions, *_ = before
    columns = "id, snapshot, document, title, ordinal, start, end, line, paragraph, section, text, prefix, suffix"
    columns += ", text_hash, heading" if headings else ", text_hash"
    ids = ", ".join(f"'{row[0]}'" for row in issued)
    assert select(index, f"SELECT {columns} FROM issued WHERE id IN ({ids}) ORDER BY id") == issued
    assert select(index, "SELECT * FROM resolutions ORDER BY number")[: len(resolutions)] == resolutions
    assert select(index, "PRAGMA user_version") == [(VERSION,)]
    with TemporaryDirectory() as folder:
        Ledger(Path(folder)).record("s1", [], [])
        columns_of_new = select(Path(folder), "SELECT name FROM pragma_table_info('issued')")
    assert {*select(index, "SELECT name FROM pragma_table_info('issued')")} == {*columns_of_new}


def test_a_ledger_of_version_1_keeps_every_id_text_and_resolution(old_index: Path) -> None:
    before, headings = old_content(old_index), has_headings(old_index)
    ledger = Ledger(old_index)

    ledger.record("s5", [cited("New.", heading=True)], [Resolution(OLD[2].passage.id, REMOVED, None)])

    assert_upgraded(old_index, before, headings)
    for id_, citation in expected_citations(headings).items():
        assert ledger.issued(id_) == citation
    assert ledger.issued(cited("New.").passage.id) == cited("New.", heading=True)
    assert ledger.resolution(OLD[0].passage.id) == Resolution(OLD[0].passage.id, CHANGED, OLD[1].passage.id)
    assert ledger.resolution(OLD[1].passage.id) == Resolution(OLD[1].passage.id, MOVED, OLD[2].passage.id)
    assert ledger.resolution(OLD[2].passage.id) == Resolution(OLD[2].passage.id, REMOVED, None)
    assert ledger.successors(OLD[0].passage.id) == [OLD[1].passage.id, OLD[2].passage.id]
    assert select(old_index, "SELECT number FROM resolutions ORDER BY number") == [(1,), (2,), (7,), (8,)]
    assert ledger.check() == 4


def test_a_ledger_of_version_1_is_read_before_anything_is_recorded(old_index: Path) -> None:
    before, headings = old_content(old_index), has_headings(old_index)
    ledger, expected = Ledger(old_index), expected_citations(headings)

    assert {id_: ledger.issued(id_) for id_ in expected} == expected
    assert {c.passage.id: c for c in ledger.with_texts([old.passage.text for old in OLD])} == expected
    assert ledger.successors(OLD[0].passage.id) == [OLD[1].passage.id, OLD[2].passage.id]
    assert ledger.resolution(OLD[0].passage.id) == Resolution(OLD[0].passage.id, CHANGED, OLD[1].passage.id)
    assert ledger.check() == 3
    assert_upgraded(old_index, before, headings)


def test_a_ledger_is_upgraded_once_by_whoever_comes_first(old_index: Path) -> None:
    before, headings = old_content(old_index), has_headings(old_index)
    script = "import sys; from pathlib import Path; from sourceline.citations.ledger import Ledger"
    script += "\nprint(Ledger(Path(sys.argv[1])).check())"
    command = [sys.executable, "-c", script, str(old_index)]

    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]

    assert [process.communicate()[0] for process in processes] == [b"3\n"] * 4
    assert_upgraded(old_index, before, headings)


@pytest.mark.parametrize("count", range(len(module._FROM_1) + len(module._FROM_2) + 1))
def test_a_crash_in_the_middle_of_an_upgrade_leaves_the_old_tables(old_index: Path, count: int) -> None:
    before, headings = old_content(old_index), has_headings(old_index)

    process = subprocess.run([sys.executable, "-c", UPGRADE_AND_DIE, str(old_index), str(count)], check=False)

    assert process.returncode == -signal.SIGKILL
    assert old_content(old_index) == before
    Ledger(old_index).record("s5", [], [])
    assert_upgraded(old_index, before, headings)


def test_an_upgrade_that_fails_leaves_the_old_tables(old_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = old_content(old_index)
    monkeypatch.setattr(module, "_FROM_2", (*module._FROM_2, "ALTER TABLE missing RENAME TO other"))

    with pytest.raises(LedgerError, match="no such table: missing"):
        Ledger(old_index).record("s5", [cited("New.")], [])

    assert old_content(old_index) == before


citations = st.builds(
    cited,
    texts.map(lambda text: text[:5]),
    st.sampled_from(["a.txt", "b.txt"]),
    st.integers(0, 1),
    texts,
)
resolutions = st.builds(
    Resolution, st.sampled_from(["a", "b", "c"]), st.sampled_from(CitationStatus), st.sampled_from([None, "a", "b"])
)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.lists(citations, max_size=4), st.lists(resolutions, max_size=3)), max_size=5))
def test_the_ledger_is_only_ever_added_to(builds: list[tuple[list[PassageInContext], list[Resolution]]]) -> None:
    with TemporaryDirectory() as folder:
        index = Path(folder)
        ledger = Ledger(index)
        ledger.record("s0", [], [])
        first: dict[str, PassageInContext] = {}
        for number, (issued, resolved) in enumerate(builds):
            issued_before, resolutions_before = content(index)

            ledger.record(f"s{number}", issued, resolved)

            issued_after, resolutions_after = content(index)
            assert issued_before <= issued_after
            assert resolutions_before == resolutions_after[: len(resolutions_before)]
            assert len(resolutions_after) == len(resolutions_before) + len(resolved)
            for citation in issued:
                first.setdefault(citation.passage.id, citation)
            assert {id_: ledger.issued(id_) for id_ in first} == first


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("00000001", [], [])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA user_version = 9")
    before = (tmp_path / FILE).read_bytes()

    with pytest.raises(LedgerError, match="is of a newer version of Sourceline"):
        ledger.record("00000002", [], [])
    assert (tmp_path / FILE).read_bytes() == before


def test_a_check_finds_a_text_that_was_changed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("00000001", [cited("The bridge opens.")], [])
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE issued SET text = 'forged'")

    with pytest.raises(LedgerError, match="is not as it was cited"):
        ledger.check()
