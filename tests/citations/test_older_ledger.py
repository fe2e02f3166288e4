"""Ledgers that indexes before format 9 kept in SQLite, in three versions: nothing of them is lost."""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sourceline.citations.ledger import Resolution
from sourceline.citations.older_ledger import FILE, OlderLedger
from sourceline.errors import LedgerError
from sourceline.ids import text_hash
from sourceline.types import CitationStatus, Context, Location, Passage, PassageInContext, Time

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
VERSION_3 = """
CREATE TABLE issued (
    id TEXT PRIMARY KEY, snapshot TEXT NOT NULL, document TEXT NOT NULL, title TEXT NOT NULL,
    ordinal INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    line INTEGER NOT NULL, paragraph INTEGER NOT NULL, section TEXT,
    text TEXT NOT NULL, prefix TEXT NOT NULL, suffix TEXT NOT NULL, text_hash INTEGER NOT NULL,
    heading INTEGER NOT NULL DEFAULT 0,
    context_before TEXT NOT NULL DEFAULT '', context_after TEXT NOT NULL DEFAULT '',
    page INTEGER, speaker TEXT, time_start REAL, time_end REAL, columns TEXT, form_hash INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX issued_form ON issued (form_hash);
CREATE TABLE resolutions (
    number INTEGER PRIMARY KEY, citation TEXT NOT NULL, snapshot TEXT NOT NULL, status TEXT NOT NULL, successor TEXT
);
CREATE INDEX resolutions_citation ON resolutions (citation);
PRAGMA user_version = 3;
"""
SCHEMAS = {
    "1, without headings": VERSION_1_WITHOUT_HEADINGS,
    "1": VERSION_1,
    "2": VERSION_2,
    "3": VERSION_3,
}


def passage(id_: str, document: str, ordinal: int, text: str, location: Location, heading: bool = False) -> Passage:
    return Passage(id_, document, ordinal, 10, 10 + len(text), text, location, heading)


# In the order in which they are read.
ISSUED = [
    PassageInContext(
        passage("zhiyzuiwnpkr56wq", "a.txt", 3, "One is here.", Location(2, 1, "S")), "A", Context("B", "C"), "»\t", "x"
    ),
    PassageInContext(
        passage("onamvjq3xrouc4y3", "a.txt", 4, "The bridge", Location(3, 2), True), "A", Context(), "", ""
    ),
    PassageInContext(
        passage(
            "aaaamvjq3xrouc4y",
            "ü/é.md",
            0,
            "Café\r\n\u202e👍 \u2028x",
            Location(1, 1, None, 7, "Bo “B.” Lind", Time(723.5, 730.25), ("Name", "Prix, €")),
        ),
        "É",
        Context(),
        "",
        "",
    ),
]
SNAPSHOTS = ["00000001-20260101T000000Z", "00000001-20260101T000000Z", "00000003-20260103T000000Z"]
RESOLUTIONS = [
    (1, "zhiyzuiwnpkr56wq", "00000002-20260102T000000Z", "changed", "onamvjq3xrouc4y3"),
    (2, "onamvjq3xrouc4y3", "00000002-20260102T000000Z", "removed", None),
    (7, "onamvjq3xrouc4y3", "00000003-20260103T000000Z", "moved", "aaaamvjq3xrouc4y"),
]


def write(index: Path, schema: str) -> Path:
    """Write a ledger as that version did; return its file."""
    is_first = "fates" in schema
    with closing(sqlite3.connect(index / FILE)) as connection, connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; {schema}")
        columns = {name for _, name, *_ in connection.execute("PRAGMA table_info (issued)")}
        for cited, snapshot in zip(ISSUED, SNAPSHOTS, strict=True):
            p, place = cited.passage, cited.passage.location
            before, after = ("before", "after") if is_first else ("prefix", "suffix")
            row = {
                "id": p.id, "document": p.document_id, "title": cited.title, "ordinal": p.ordinal, "start": p.start,
                "end": p.end, "line": place.line, "paragraph": place.paragraph, "section": place.section,
                "text": p.text, before: cited.prefix, after: cited.suffix, "text_hash": text_hash(p.text),
                "generation" if is_first else "snapshot": snapshot, "heading": p.heading,
                "context_before": cited.context.before, "context_after": cited.context.after, "page": place.page,
                "speaker": place.speaker, "time_start": place.time.start if place.time else None,
                "time_end": place.time.end if place.time else None,
                "columns": '["Name", "Prix, €"]' if place.columns else None,
            }  # fmt: skip
            row = {name: value for name, value in row.items() if name in columns}
            connection.execute(
                f"INSERT INTO issued ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
            )
        table = "fates" if is_first else "resolutions"
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", RESOLUTIONS)
    return index / FILE


def as_known_to(version: str, cited: PassageInContext) -> PassageInContext:
    """Return what a version kept of a citation."""
    place = cited.passage.location
    if version != "3":
        place = Location(place.line, place.paragraph, place.section)
    context = cited.context if version in ("2", "3") else Context()
    heading = cited.passage.heading and version != "1, without headings"
    return replace(cited, passage=replace(cited.passage, location=place, heading=heading), context=context)


@pytest.mark.parametrize("version", SCHEMAS)
def test_every_citation_and_resolution_is_read_and_the_file_is_left_as_it_is(tmp_path: Path, version: str) -> None:
    file = write(tmp_path, SCHEMAS[version])
    before = file.read_bytes()

    ledger = OlderLedger(tmp_path, SNAPSHOTS[-1])

    assert ledger.exists()
    assert list(ledger.issued()) == [as_known_to(version, cited) for cited in ISSUED]
    assert list(ledger.resolutions()) == [
        Resolution(citation, CitationStatus(status), successor) for _, citation, _, status, successor in RESOLUTIONS
    ]
    assert file.read_bytes() == before


def test_what_a_build_recorded_that_was_not_published_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, VERSION_3)

    ledger = OlderLedger(tmp_path, "00000002-20260102T000000Z")

    assert [cited.passage.id for cited in ledger.issued()] == [cited.passage.id for cited in ISSUED[:2]]
    assert [resolution.status.value for resolution in ledger.resolutions()] == ["changed", "removed"]
    assert len(list(OlderLedger(tmp_path, None).resolutions())) == 3


def test_there_may_be_none(tmp_path: Path) -> None:
    assert not OlderLedger(tmp_path, None).exists()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "UPDATE issued SET text = 'Another.' WHERE ordinal = 4",
            "the text of onamvjq3xrouc4y3 is not as it was cited",
        ),
        ("UPDATE issued SET text = x'00ff' WHERE ordinal = 4", "the text of onamvjq3xrouc4y3 is not as it was cited"),
        ("UPDATE issued SET columns = '[1, 2'", "is damaged"),
        ("UPDATE resolutions SET status = 'lost'", "zhiyzuiwnpkr56wq has no status"),
        ("DROP TABLE resolutions", "is damaged: no such table: resolutions"),
        ("ALTER TABLE issued DROP COLUMN prefix", "is damaged"),
        ("PRAGMA user_version = 9", "is of another version of Sourceline"),
    ],
)
def test_damage_is_an_error(tmp_path: Path, statement: str, message: str) -> None:
    write(tmp_path, VERSION_3)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute(statement)
    ledger = OlderLedger(tmp_path, None)

    with pytest.raises(LedgerError, match=re.escape(message)):
        [*ledger.issued(), *ledger.resolutions()]


@pytest.mark.parametrize("damage", [b"", b"not a database, but long enough to be taken for one" * 20])
def test_a_file_that_is_no_ledger_is_an_error_that_names_it(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)

    with pytest.raises(LedgerError, match=r"ledger\.sqlite is damaged: .*: restore it from a backup"):
        list(OlderLedger(tmp_path, None).issued())
    assert (tmp_path / FILE).read_bytes() == damage


def test_an_overwritten_page_is_noticed(tmp_path: Path) -> None:
    file = write(tmp_path, VERSION_3)
    data = bytearray(file.read_bytes())
    data[8_192:12_288] = b"\xff" * 4_096
    file.write_bytes(data)

    with pytest.raises(LedgerError, match="is damaged"):
        list(OlderLedger(tmp_path, None).issued())
