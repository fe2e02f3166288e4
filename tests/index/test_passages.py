import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sourceline.index.passage_store import CONTEXT, DocumentEntry, PassageStore, PassageStoreWriter, stand
from sourceline.ingest.sentences import passages as split
from sourceline.types import Document, Location, Passage, PassageInContext
from tests.texts import document

LONG = f"{'a' * 70}. Mid one 👍. {'b' * 70}."
# Numbers 0 to 3 (the first is a heading), 4 to 6, none, 7, and 8 (a heading).
DOCUMENTS = [
    replace(document("# Plan\n\nWe met. We left.\n\nIt rained.\n", "d/plan.md"), title="Plan", sha256="0a"),
    replace(document(LONG, "long.txt"), title="long", sha256="0b"),
    replace(document("---\n", "rule.md"), title="rule", sha256="0c"),
    replace(document("We met.\r\n", "ü/会议.txt"), title="会议", sha256="0d"),
    replace(document("# Nothing yet\n", "ü/空.md"), title="Nothing yet", sha256="0e"),
]
TITLES = {one.id: one.title for one in DOCUMENTS}


def rows_of(documents: list[Document]) -> list[Passage]:
    return [passage for one in documents for passage in split(one) if not passage.heading]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    writer = PassageStoreWriter(tmp_path)
    for one in DOCUMENTS:
        writer.add(one, split(one))
    writer.write()
    return tmp_path


@pytest.fixture
def stored(folder: Path) -> PassageStore:
    return PassageStore(folder, 2)


def by_id(passages: PassageStore, id_: str) -> DocumentEntry:
    entry = passages.entry(id_)
    assert entry is not None
    return entry


def times_open(file: Path) -> int:
    """Return how many descriptors of this process are of the file."""
    count = 0
    for descriptor in os.listdir("/dev/fd"):
        with suppress(OSError):  # the one that listed the folder is closed by now
            count += os.path.samestat(os.fstat(int(descriptor)), file.stat())
    return count


def test_documents_are_listed_in_order_with_their_passages_and_the_rows_of_those_that_can_be_answers(
    stored: PassageStore,
) -> None:
    assert (len(stored), stored.row_count) == (9, 7)
    assert [(e.id, e.title, e.sha256) for e in stored.documents] == [(d.id, d.title, d.sha256) for d in DOCUMENTS]
    assert [e.numbers for e in stored.documents] == [range(4), range(4, 7), range(7, 7), range(7, 8), range(8, 9)]
    assert [e.rows for e in stored.documents] == [range(3), range(3, 6), range(6, 6), range(6, 7), range(7, 7)]


def test_every_passage_comes_back_as_it_was_written(stored: PassageStore) -> None:
    expected = {row: (one, TITLES[one.document_id]) for row, one in enumerate(rows_of(DOCUMENTS))}

    found = stored.rows(range(len(expected)))

    assert {row: (shown.passage, shown.title) for row, shown in found.items()} == expected


def test_beside_a_passage_stand_its_neighbours_in_the_document_headings_too(stored: PassageStore) -> None:
    found = stored.rows(range(7))

    assert [(found[row].before, found[row].passage.text, found[row].after) for row in range(7)] == [
        ("Plan", "We met.", "We left."),
        ("We met.", "We left.", "It rained."),
        ("We left.", "It rained.", ""),
        ("", f"{'a' * 70}.", "Mid one 👍."),
        (f"{'a' * 70}.", "Mid one 👍.", f"{'b' * 70}."),
        ("Mid one 👍.", f"{'b' * 70}.", ""),
        ("", "We met.", ""),
    ]


def test_passages_that_say_the_same_are_known_by_the_first_of_their_rows(stored: PassageStore) -> None:
    ids = {row: shown.passage.id for row, shown in stored.rows(range(7)).items()}

    assert stored.duplicates(range(-1, 9)) == {0: 0, 6: 0}
    assert stored.duplicates([5, 6]) == {6: 0}
    assert stored.with_duplicates([1, 0]) == [(0, 0, ids[0]), (0, 6, ids[6])]
    assert {
        row: shown.duplicate_of for row, shown in stored.rows(range(7)).items() if shown.duplicate_of is not None
    } == {0: 0, 6: 0}


def test_any_number_of_rows_may_be_asked_for(tmp_path: Path) -> None:
    writer = PassageStoreWriter(tmp_path)
    one = document("Yes.\n" * 2_500)
    writer.add(one, split(one))
    writer.write()

    assert PassageStore(tmp_path, 1).duplicates(range(2_500)) == dict.fromkeys(range(2_500), 0)
    assert len(PassageStore(tmp_path, 1).with_duplicates(range(2_500))) == 2_500


def test_a_documents_rows_hold_no_heading(stored: PassageStore) -> None:
    found = [{row: passage.text for row, passage in stored.of_rows(entry).items()} for entry in stored.documents]

    assert found[0] == {0: "We met.", 1: "We left.", 2: "It rained."}
    assert found[2:] == [{}, {6: "We met."}, {}]


def test_rows_that_there_are_not_are_left_out(stored: PassageStore) -> None:
    written = rows_of(DOCUMENTS)

    found = stored.rows([-1, 2, len(written), 0, 2, 10**12])

    assert {row: shown.passage for row, shown in found.items()} == {0: written[0], 2: written[2]}
    assert stored.rows([]) == {}


def test_a_document_gives_its_own_passages_in_order(stored: PassageStore) -> None:
    for entry, one in zip(stored.documents, DOCUMENTS, strict=True):
        assert stored.of_document(entry) == list(split(one))


def test_a_document_gives_its_text_unchanged(stored: PassageStore) -> None:
    assert [stored.text_of(entry) for entry in stored.documents] == [one.text for one in DOCUMENTS]


def test_an_entry_is_found_by_its_exact_id(stored: PassageStore) -> None:
    assert [stored.entry(entry.id) for entry in stored.documents] == stored.documents
    assert [stored.entry(id_) for id_ in ("", "plan.md", "D/PLAN.MD", "%", "long.txt ")] == [None] * 5


def test_a_passage_stands_between_64_characters_of_its_document(stored: PassageStore) -> None:
    passage = split(DOCUMENTS[1])[1]

    assert passage.text == "Mid one 👍."
    assert stored.standing(passage.id) == PassageInContext(passage, "long", "a" * 62 + ". ", " " + "b" * 63)


def test_there_is_less_around_a_passage_near_an_edge(stored: PassageStore) -> None:
    heading, met, left, rained = split(DOCUMENTS[0])

    assert stored.standing(heading.id) == PassageInContext(
        heading, "Plan", "# ", "\n\nWe met. We left.\n\nIt rained.\n"
    )
    assert stored.standing(met.id) == PassageInContext(met, "Plan", "# Plan\n\n", " We left.\n\nIt rained.\n")
    assert stored.standing(left.id) == PassageInContext(left, "Plan", "# Plan\n\nWe met. ", "\n\nIt rained.\n")
    assert stored.standing(rained.id) == PassageInContext(rained, "Plan", "# Plan\n\nWe met. We left.\n\n", "\n")


@pytest.mark.parametrize("citation", ["", "aaaaaaaaaaaaaaaa", "' OR 1=1 --"])
def test_an_unknown_id_stands_nowhere(stored: PassageStore, citation: str) -> None:
    assert stored.standing(citation) is None


def test_equal_sentences_are_all_found_each_in_its_place(stored: PassageStore) -> None:
    found = stored.find_texts({"We met.", "It rained.", "We", "never said"})

    assert [(one.passage.document_id, one.passage.text, one.after) for one in found] == [
        ("d/plan.md", "We met.", " We left.\n\nIt rained.\n"),
        ("d/plan.md", "It rained.", "\n"),
        ("ü/会议.txt", "We met.", "\r\n"),
    ]
    assert stored.find_texts(set()) == []


@pytest.mark.parametrize("start", [0, 1, CONTEXT - 1, CONTEXT, CONTEXT + 1, 150])
def test_standing_counts_in_characters(start: int) -> None:
    text = "".join(chr(0x1F300 + number) for number in range(160))
    passage = Passage("id", "a.txt", 0, start, start + 5, text[start : start + 5], Location(1, 1))

    standing = stand(passage, "Title", text)

    assert (standing.passage, standing.title) == (passage, "Title")
    assert len(standing.before) == min(start, 64)
    assert len(standing.after) == min(160 - start - 5, 64)
    assert standing.before + passage.text + standing.after in text


def test_many_threads_read_at_once_over_two_connections(stored: PassageStore) -> None:
    written = rows_of(DOCUMENTS)

    def read(turn: int) -> bool:
        row = turn % len(written)
        passage = written[row]
        entry = by_id(stored, passage.document_id)
        standing = stored.standing(passage.id)
        return (
            (stored.rows([row])[row].passage, stored.rows([row])[row].title) == (passage, entry.title)
            and standing is not None
            and standing.passage == passage
            and passage in stored.of_document(entry)
            and stored.text_of(entry)[passage.start : passage.end] == passage.text
        )

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(read, range(600))) == [True] * 600


def test_an_error_while_reading_gives_the_connection_back(stored: PassageStore) -> None:
    for _ in range(5):
        with pytest.raises(OverflowError):
            stored.rows([2**70])

    assert stored.text_of(stored.documents[1]) == LONG


def test_what_is_open_can_be_read_after_it_was_deleted(folder: Path, stored: PassageStore) -> None:
    shutil.rmtree(folder)

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda number: stored.text_of(stored.documents[number % 4]), range(40)))
    assert found == [one.text for one in DOCUMENTS[:4]] * 10
    assert stored.rows([0])[0].passage == split(DOCUMENTS[0])[1]


def test_reading_writes_nothing_beside_the_file(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    PassageStore(folder, 2).rows([0])

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(before) == ["passages.sqlite"]


def test_files_are_open_as_long_as_somebody_may_read_and_no_longer(folder: Path) -> None:
    passages = PassageStore(folder, 3)
    assert times_open(folder / "passages.sqlite") == 3

    del passages  # the last reference, whose end is what closes
    assert times_open(folder / "passages.sqlite") == 0


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "passages.sqlite").write_bytes(b"not a database" * 100)

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        PassageStore(tmp_path, 1)


def test_a_file_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        PassageStore(tmp_path, 1)

    assert list(tmp_path.iterdir()) == []
