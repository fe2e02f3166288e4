"""No text is stored twice, and a document's comes back whole; passages are read by row, id, text and document."""

import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.index import passage_store
from sourceline.index.passage_store import (
    FILE,
    SELECTOR_CHARACTERS,
    DocumentEntry,
    DuplicateFinder,
    PassageStore,
    PassageStoreWriter,
    SearchableText,
    Stretch,
    Surroundings,
)
from sourceline.ingest.sentences import split_passages
from sourceline.types import Block, BlockKind, Context, Cue, Document, Location, Passage, PassageInContext, Time
from tests.support.texts import document, texts

LONG = f"{'a' * 70}. Mid one 👍. {'b' * 70}."
# Numbers 0 to 3 (the first is a heading), 4 to 6, none, 7, and 8 (a heading).
DOCUMENTS = [
    replace(document("# Plan\n\nWe met. We left.\n\nIt rained.\n", "d/plan.md"), title="Plan", sha256="0a"),
    replace(document(LONG, "long.txt"), title="long", sha256="0b"),
    replace(document("---\n", "rule.md"), title="rule", sha256="0c"),
    replace(document("We met.\r\n", "ü/会议.txt"), title="会议", sha256="0d"),
    replace(document("# Nothing yet\n", "ü/空.md"), title="Nothing yet", sha256="0e"),
]
TITLES = {each.id: each.title for each in DOCUMENTS}
ANSWERS = [passage for each in DOCUMENTS for passage in split_passages(each) if not passage.heading]


def write(folder: Path, *documents: Document) -> Path:
    with PassageStoreWriter(folder) as writer:
        for each in documents:
            writer.add(each, split_passages(each))
        writer.write()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, *DOCUMENTS)


@pytest.fixture
def store(folder: Path) -> PassageStore:
    return PassageStore(folder, 2)


def entry_of(store: PassageStore, document_id: str) -> DocumentEntry:
    entry = store.entry(document_id)
    assert entry is not None
    return entry


def times_open(file: Path) -> int:
    """Return how many descriptors of this process are of the file."""
    count = 0
    for descriptor in os.listdir("/dev/fd"):
        with suppress(OSError):  # the one that listed the folder is closed by now
            count += os.path.samestat(os.fstat(int(descriptor)), file.stat())
    return count


def test_the_surroundings_of_a_row_are_the_passages_of_its_document_headings_included(store: PassageStore) -> None:
    assert store.surroundings(1, 12) == Surroundings(
        "Plan", "Plan", (None, 0, 1, 2), ("Plan", "We met.", "We left.", "It rained."), (None,) * 4, 2
    )
    assert store.surroundings(1, 1) == Surroundings(
        "Plan", "Plan", (0, 1, 2), ("We met.", "We left.", "It rained."), (None,) * 3, 1
    )
    assert store.surroundings(1, 0) == Surroundings("Plan", "Plan", (1,), ("We left.",), (None,), 0)
    assert store.surroundings(3, 1) == Surroundings(
        "long", None, (3, 4), (f"{'a' * 70}.", "Mid one 👍."), (None,) * 2, 0
    )
    assert store.surroundings(5, 1) == Surroundings(
        "long", None, (4, 5), ("Mid one 👍.", f"{'b' * 70}."), (None,) * 2, 1
    )
    assert store.surroundings(6, 5) == Surroundings("会议", None, (6,), ("We met.",), (None,), 0)


@pytest.mark.parametrize("row", [-1, 7, 10**12])
def test_a_row_that_does_not_exist_has_no_surroundings(store: PassageStore, row: int) -> None:
    with pytest.raises(IndexError, match=f"there is no row {row}"):
        store.surroundings(row, 3)


def test_documents_are_listed_in_order_with_the_numbers_and_rows_of_their_passages(store: PassageStore) -> None:
    assert (len(store), store.row_count) == (9, 7)
    assert [(e.id, e.title, e.sha256) for e in store.documents] == [(d.id, d.title, d.sha256) for d in DOCUMENTS]
    assert [e.number for e in store.documents] == [0, 1, 2, 3, 4]
    assert [e.numbers for e in store.documents] == [range(4), range(4, 7), range(7, 7), range(7, 8), range(8, 9)]
    assert [e.rows for e in store.documents] == [range(3), range(3, 6), range(6, 6), range(6, 7), range(7, 7)]


def test_every_passage_comes_back_as_it_was_written(store: PassageStore) -> None:
    stored = store.rows(range(len(ANSWERS)))

    assert {row: (each.passage, each.title) for row, each in stored.items()} == {
        row: (passage, TITLES[passage.document_id]) for row, passage in enumerate(ANSWERS)
    }


def test_the_context_is_the_neighbouring_sentences_of_the_same_paragraph(store: PassageStore) -> None:
    stored = store.rows(range(7))

    assert [(stored[row].passage.text, stored[row].context) for row in range(7)] == [
        ("We met.", Context("", "We left.")),
        ("We left.", Context("We met.", "")),
        ("It rained.", Context("", "")),
        (f"{'a' * 70}.", Context("", "Mid one 👍.")),
        ("Mid one 👍.", Context(f"{'a' * 70}.", f"{'b' * 70}.")),
        (f"{'b' * 70}.", Context("Mid one 👍.", "")),
        ("We met.", Context("", "")),
    ]


def test_a_hit_a_citation_and_a_document_give_the_same_context(store: PassageStore) -> None:
    for entry in store.documents:
        by_document = {each.passage.id: each for each in store.in_context(entry)}
        for passage in store.of_document(entry):
            assert store.find([passage.id]) == by_document[passage.id]
        for row, stored in store.rows(entry.rows).items():
            assert stored.passage == ANSWERS[row]
            assert stored.context == by_document[stored.passage.id].context


def test_duplicates_are_known_by_the_first_of_their_rows(store: PassageStore) -> None:
    ids = {row: stored.passage.id for row, stored in store.rows(range(7)).items()}
    duplicate_of = {row: stored.duplicate_of for row, stored in store.rows(range(7)).items()}

    assert duplicate_of == dict.fromkeys(range(7)) | {0: 0, 6: 0}
    assert store.duplicates(range(-1, 9)) == {0: 0, 6: 0}
    assert store.duplicates([5, 6]) == {6: 0}
    assert store.with_duplicates([1, 0]) == [(0, 0, ids[0]), (0, 6, ids[6])]


def test_the_duplicate_finder_names_the_first_row_of_each_text_that_occurs_twice() -> None:
    finder = DuplicateFinder()
    for row, text in enumerate(["One.", "Two.", "one", "Three.", "TWO", "“one”"]):
        finder.add(text, row)

    assert finder.first_rows == {0: 0, 2: 0, 5: 0, 1: 1, 4: 1}


def test_any_number_of_rows_can_be_looked_up_at_once(tmp_path: Path) -> None:
    store = PassageStore(write(tmp_path, document("Yes.\n" * 2_500)), 1)

    assert store.duplicates(range(2_500)) == dict.fromkeys(range(2_500), 0)
    assert len(store.with_duplicates(range(2_500))) == 2_500
    assert len(store.rows(range(2_500))) == 2_500


def test_the_answers_of_a_document_are_its_passages_without_headings_by_row(store: PassageStore) -> None:
    answers = [{row: p.text for row, p in store.answers_of(entry).items()} for entry in store.documents]

    assert answers[0] == {0: "We met.", 1: "We left.", 2: "It rained."}
    assert answers[2:] == [{}, {6: "We met."}, {}]


def test_rows_that_do_not_exist_are_left_out(store: PassageStore) -> None:
    stored = store.rows([-1, 2, len(ANSWERS), 0, 2, 10**12])

    assert {row: each.passage for row, each in stored.items()} == {0: ANSWERS[0], 2: ANSWERS[2]}
    assert store.rows([]) == {}


def test_a_document_gives_its_own_passages_in_order_headings_included(store: PassageStore) -> None:
    for entry, written in zip(store.documents, DOCUMENTS, strict=True):
        assert store.of_document(entry) == list(split_passages(written))


def test_a_document_gives_its_text_unchanged(store: PassageStore) -> None:
    assert [store.text_of(entry) for entry in store.documents] == [each.text for each in DOCUMENTS]


def test_a_document_is_looked_up_by_its_exact_id(store: PassageStore) -> None:
    assert [store.entry(entry.id) for entry in store.documents] == store.documents
    assert [store.entry(id_) for id_ in ("", "plan.md", "D/PLAN.MD", "%", "long.txt ")] == [None] * 5


def test_the_document_of_each_row_is_known(store: PassageStore) -> None:
    assert store.documents_of(np.array([6, 0, 2, 3, 5])).tolist() == [3, 0, 0, 1, 1]


def test_a_cited_passage_has_64_characters_of_its_document_on_either_side(store: PassageStore) -> None:
    passage = split_passages(DOCUMENTS[1])[1]

    assert passage.text == "Mid one 👍."
    assert store.find([passage.id]) == PassageInContext(
        passage=passage,
        title="long",
        context=Context(f"{'a' * 70}.", f"{'b' * 70}."),
        prefix="a" * 62 + ". ",
        suffix=" " + "b" * 63,
    )


def test_near_the_edge_of_a_document_there_are_fewer_characters_beside_a_passage(store: PassageStore) -> None:
    cited = [store.find([passage.id]) for passage in split_passages(DOCUMENTS[0])]

    assert [each and (each.prefix, each.passage.text, each.suffix) for each in cited] == [
        ("# ", "Plan", "\n\nWe met. We left.\n\nIt rained.\n"),
        ("# Plan\n\n", "We met.", " We left.\n\nIt rained.\n"),
        ("# Plan\n\nWe met. ", "We left.", "\n\nIt rained.\n"),
        ("# Plan\n\nWe met. We left.\n\n", "It rained.", "\n"),
    ]


@pytest.mark.parametrize(
    "start", [0, 1, SELECTOR_CHARACTERS - 1, SELECTOR_CHARACTERS, SELECTOR_CHARACTERS + 1, 150, 155]
)
def test_prefix_and_suffix_are_counted_in_code_points(tmp_path: Path, start: int) -> None:
    text = "".join(chr(0x1F300 + number) for number in range(160))
    whole = Document("a.txt", "Title", text, "", (Block(BlockKind.PARAGRAPH, 0, 160),))
    passage = Passage("id", "a.txt", 0, start, start + 5, text[start : start + 5], Location(1, 1))
    with PassageStoreWriter(tmp_path) as writer:
        writer.add(whole, [passage])
        writer.write()

    cited = PassageStore(tmp_path, 1).find(["id"])

    assert cited is not None
    assert (cited.passage, cited.title, cited.context) == (passage, "Title", Context())
    assert (cited.prefix, cited.suffix) == (text[max(0, start - 64) : start], text[start + 5 : start + 69])


def test_of_several_ids_the_first_one_that_is_in_the_snapshot_is_returned(store: PassageStore) -> None:
    we_met, we_left = ANSWERS[0], ANSWERS[1]

    cited = [
        store.find(citations) for citations in (["x", we_left.id, we_met.id], [we_met.id, we_left.id], ["x", "y"], [])
    ]

    assert [each and each.passage for each in cited] == [we_left, we_met, None, None]
    assert store.find([*map(str, range(2_500)), we_met.id]) == store.find([we_met.id])


@pytest.mark.parametrize("citation", ["", "aaaaaaaaaaaaaaaa", "' OR 1=1 --"])
def test_an_unknown_id_is_not_found(store: PassageStore, citation: str) -> None:
    assert store.find([citation]) is None


def test_passages_are_found_by_their_text_in_any_typography_each_in_its_place(store: PassageStore) -> None:
    same_text = store.find_texts({"We\r\n met.", "It rained.", "We", "never said", "we met."})

    assert [(each.passage.document_id, each.passage.text, each.suffix) for each in same_text] == [
        ("d/plan.md", "We met.", " We left.\n\nIt rained.\n"),
        ("d/plan.md", "It rained.", "\n"),
        ("ü/会议.txt", "We met.", "\r\n"),
    ]
    assert store.find_texts(set()) == []


def stretches_of(store: PassageStore, entry: DocumentEntry, limit: int) -> list[Stretch]:
    """Go through a document, as a reader does who begins at the top."""
    stretches = [store.stretch(entry, 0, limit)]
    while (end := stretches[-1].start + len(stretches[-1].text)) < stretches[-1].length:
        stretches.append(store.stretch(entry, end, limit))
    return stretches


def test_a_stretch_begins_with_the_passage_at_its_offset_and_ends_before_one_that_reaches_too_far(
    store: PassageStore,
) -> None:
    entry = entry_of(store, "d/plan.md")  # "# Plan", "\n\nWe met.", " We left.", "\n\nIt rained.\n"

    def stretch(start: int, limit: int) -> tuple[int, str, list[str]]:
        each = store.stretch(entry, start, limit)
        assert each.length == 37
        return each.start, each.text, [passage.text for passage in each.passages]

    assert stretch(0, 100) == (0, DOCUMENTS[0].text, ["Plan", "We met.", "We left.", "It rained."])
    assert stretch(0, 15) == (0, "# Plan\n\nWe met.", ["Plan", "We met."])
    assert stretch(0, 14) == (0, "# Plan", ["Plan"])
    assert stretch(6, 9) == stretch(7, 10) == stretch(14, 1) == (6, "\n\nWe met.", ["We met."])
    assert stretch(15, 1) == (15, " We left.", ["We left."])
    assert stretch(24, 1) == stretch(36, 10**20) == (24, "\n\nIt rained.\n", ["It rained."])
    assert stretch(37, 5) == stretch(10**20, 5) == (37, "", [])


def test_a_document_without_passages_is_one_stretch(store: PassageStore) -> None:
    assert store.stretch(entry_of(store, "rule.md"), 2, 1) == Stretch(0, "---\n", (), 4)


def test_a_stretch_and_a_cited_passage_read_only_what_is_near_them(tmp_path: Path) -> None:
    store = PassageStore(write(tmp_path, document("Yes. No.\n" * 5_000)), 1)
    entry = store.documents[0]
    middle = store.of_document(entry)[5_000].id
    connection, steps = store._pool.get(), []
    connection.set_progress_handler(lambda: steps.append(1), 100)  # after every 100 instructions of SQLite
    store._pool.put(connection)

    assert len(store.stretch(entry, 20_000, 900).passages) == 200
    cited = store.find([middle])

    assert cited is not None
    assert (cited.prefix, cited.suffix) == (("Yes. No.\n" * 8)[-64:], (" No.\n" + "Yes. No.\n" * 8)[:64])
    assert len(steps) < 300


@settings(deadline=None, max_examples=100)
@given(texts, st.sampled_from(["txt", "md"]), st.integers(1, 60), st.integers(0, 200))
def test_stretches_hold_every_character_and_every_passage_once(text: str, ending: str, limit: int, start: int) -> None:
    whole = document(text, f"a.{ending}")
    with TemporaryDirectory() as folder:
        store = PassageStore(write(Path(folder), whole), 1)
        entry = store.documents[0]
        stretches = stretches_of(store, entry, limit)
        assert "".join(stretch.text for stretch in stretches) == text
        assert [p for stretch in stretches for p in stretch.passages] == store.of_document(entry)
        assert {stretch.length for stretch in stretches} == {len(text)}
        somewhere = store.stretch(entry, start, limit)
        assert somewhere.start <= start or somewhere.start == len(text)
        assert text[somewhere.start :].startswith(somewhere.text)
        for passage in store.in_context(entry):
            assert store.find([passage.passage.id]) == passage


@settings(deadline=None, max_examples=150)
@given(st.lists(texts, min_size=1, max_size=3), st.sampled_from(["txt", "md"]))
def test_a_text_comes_back_unchanged_whatever_stands_between_its_passages(contents: list[str], ending: str) -> None:
    documents = [document(text, f"{number}.{ending}") for number, text in enumerate(contents)]
    with TemporaryDirectory() as folder:
        store = PassageStore(write(Path(folder), *documents), 1)
        assert [store.text_of(entry) for entry in store.documents] == contents
        for entry, written in zip(store.documents, documents, strict=True):
            passages = store.in_context(entry)
            assert all(written.text[p.passage.start : p.passage.end] == p.passage.text for p in passages)
            assert all(f"{p.prefix}{p.passage.text}{p.suffix}" in written.text for p in passages)


def test_the_passages_of_a_long_document_are_read_some_at_a_time(
    store: PassageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store.documents[0]
    at_once = store.in_context(entry)
    monkeypatch.setattr(passage_store, "_BATCH", 3)
    passages = store.each_in_context(entry)
    assert next(passages) == at_once[0]
    assert [store.text_of(entry)] == [DOCUMENTS[0].text]  # the only connection is free meanwhile
    assert [at_once[0], *passages] == at_once
    assert len(at_once) == 4


@pytest.fixture
def with_chunks(tmp_path: Path) -> PassageStore:
    """Two documents of four answers each. The second chunk of the first comes back twice."""
    first, second = (document("One. Two. Three. Four.\n", name) for name in ("a.txt", "b.txt"))
    empty = document("# Empty\n", "c.md")
    with PassageStoreWriter(tmp_path) as writer:
        writer.add(first, split_passages(first), [(b"first", 1), (b"again", 1), (b"again", 1), (b"last", 1)])
        writer.add(second, split_passages(second), [(b"again", 1), (b"own", 3)])
        writer.add(empty, split_passages(empty))
        writer.write()
    return PassageStore(tmp_path, 1)


def test_chunks_are_stored_in_order_repeated_ones_included(with_chunks: PassageStore, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        chunks = connection.execute("SELECT first_row, key, rows FROM chunks ORDER BY first_row").fetchall()

    assert chunks == [
        (0, b"first", 1),
        (1, b"again", 1),
        (2, b"again", 1),
        (3, b"last", 1),
        (4, b"again", 1),
        (5, b"own", 3),
    ]
    assert [entry.chunks for entry in with_chunks.documents] == [4, 2, 0]


def test_a_chunk_is_found_by_its_key_in_any_place_where_it_stands(with_chunks: PassageStore) -> None:
    assert [with_chunks.chunk(key) for key in (b"first", b"last", b"own")] == [range(1), range(3, 4), range(5, 8)]
    assert with_chunks.chunk(b"again") in (range(1, 2), range(2, 3), range(4, 5))
    assert with_chunks.chunk(b"none") is None


def test_many_threads_read_at_once_over_two_connections(store: PassageStore) -> None:
    def read(turn: int) -> bool:
        row = turn % len(ANSWERS)
        passage = ANSWERS[row]
        entry = entry_of(store, passage.document_id)
        cited, stored = store.find([passage.id]), store.rows([row])[row]
        return (
            (stored.passage, stored.title) == (passage, entry.title)
            and cited is not None
            and cited.passage == passage
            and passage in store.of_document(entry)
            and store.text_of(entry)[passage.start : passage.end] == passage.text
        )

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(read, range(600))) == [True] * 600


def test_an_error_while_reading_gives_the_connection_back(store: PassageStore) -> None:
    for _ in range(5):
        with pytest.raises(OverflowError):
            store.rows([2**70])

    assert store.text_of(store.documents[1]) == LONG


def test_an_open_store_can_be_read_after_its_file_was_deleted(folder: Path, store: PassageStore) -> None:
    shutil.rmtree(folder)

    with ThreadPoolExecutor(4) as threads:
        read = list(threads.map(lambda number: store.text_of(store.documents[number % 4]), range(40)))
    assert read == [each.text for each in DOCUMENTS[:4]] * 10
    assert store.rows([0])[0].passage == ANSWERS[0]


def test_reading_writes_nothing_beside_the_file(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    PassageStore(folder, 2).rows([0])

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(before) == [FILE]


def test_the_file_is_closed_when_nothing_refers_to_the_store_any_more(folder: Path) -> None:
    store = PassageStore(folder, 3)
    assert times_open(folder / FILE) == 3

    del store
    assert times_open(folder / FILE) == 0


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database" * 100)

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        PassageStore(tmp_path, 1)


def test_a_missing_file_is_refused_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        PassageStore(tmp_path, 1)

    assert list(tmp_path.iterdir()) == []


TURN = Time(49.0, 62.5)
CALL = Document(
    id="call.vtt",
    title="Call",
    text="Is it open? It is. Oil | 4",
    sha256="0f",
    blocks=(
        Block(BlockKind.PARAGRAPH, 0, 11, speaker="Ilse Kern"),
        Block(BlockKind.PARAGRAPH, 12, 18, speaker="Bo Lind", cues=(Cue(12, 18, TURN),)),
        Block(BlockKind.PARAGRAPH, 19, 26, columns=("What", "Litres")),
    ),
    date=date(2026, 3, 4),
    pages=(0, 19),
)


def test_speaker_time_page_columns_and_date_are_kept_and_copied(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    before = write(tmp_path, DOCUMENTS[0], CALL)
    with PassageStoreWriter(tmp_path / "new", before) as writer:
        texts = writer.copy_from_before(PassageStore(before, 1).documents[1:])
        writer.write()

    assert texts == [
        SearchableText("Ilse Kern: Is it open?", 0, "Ilse Kern"),
        SearchableText("Bo Lind: It is.", 0, "Bo Lind"),
        SearchableText("The what is Oil, the litres is 4.", 0, None),
    ]
    for folder in (before, tmp_path / "new"):
        store = PassageStore(folder, 1)
        entry = entry_of(store, "call.vtt")
        assert (entry.date, entry.speakers) == (date(2026, 3, 4), ("Ilse Kern", "Bo Lind"))
        assert [passage.location for passage in store.of_document(entry)] == [
            Location(1, 1, page=1, speaker="Ilse Kern"),
            Location(1, 2, page=1, speaker="Bo Lind", time=TURN),
            Location(1, 3, page=2, columns=("What", "Litres")),
        ]


def test_speakers_are_found_by_name_whatever_its_case(tmp_path: Path) -> None:
    store = PassageStore(write(tmp_path, DOCUMENTS[0], CALL), 1)
    assert store.speakers == ("Ilse Kern", "Bo Lind")
    assert store.speakers_by_name == ("Bo Lind", "Ilse Kern")
    assert store.speakers_named(["bo  LIND", "Bo", "nobody"]) == ["Bo Lind"]
    assert store.rows_of_speakers(["Bo Lind", "Ilse Kern"]).tolist() == [3, 4]
    assert store.rows_of_speakers([]).tolist() == []


def test_a_question_is_the_context_of_what_follows_it(tmp_path: Path) -> None:
    store = PassageStore(write(tmp_path, CALL), 1)
    other = tmp_path / "other"
    other.mkdir()
    assert store.asking(range(3)) == {0}
    assert PassageStore(write(other, DOCUMENTS[1]), 1).asking([0, 1]) == set()
    question, answer, row = (stored.context for stored in store.rows([0, 1, 2]).values())
    assert (question, answer, row) == (Context("", "It is."), Context("Is it open?", ""), Context("", ""))
    assert store.surroundings(1, 1).speakers == ("Ilse Kern", "Bo Lind", None)


def test_passages_are_found_by_number_and_by_id_with_what_stands_in_front_of_them(store: PassageStore) -> None:
    for entry in store.documents:
        passages = store.of_document(entry)
        numbered = store.numbered(entry.numbers)
        assert [known.passage for known in numbered] == passages
        assert [known.number for known in numbered] == list(entry.numbers)
        text = store.text_of(entry)
        assert text.startswith("".join(known.gap + known.passage.text for known in numbered))
        assert store.with_ids([passage.id for passage in passages]) == {k.passage.id: k for k in numbered}
        assert all(store.document_of(number) == entry for number in entry.numbers)
    rows = range(store.row_count)
    numbers = store.numbers_of_rows([*rows, store.row_count])
    assert [known.passage.heading for n in numbers for known in store.numbered(range(n, n + 1))] == [False] * len(rows)
    assert store.with_ids(["aaaaaaaaaaaaaaaa"]) == {}
