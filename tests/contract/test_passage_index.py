"""The passage index: whatever engine holds it, the same documents give the same answers."""

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from sourceline.api import Index
from sourceline.encoders.base import Encoder
from sourceline.errors import UnknownCitationError
from sourceline.index.postgres.snapshot import _CANDIDATES, PostgresPassages, PostgresSnapshot
from sourceline.index.row_filter import RowFilter
from sourceline.search.confidence import load_calibration
from sourceline.search.query import encode_query
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, Answer, Filters, Mode
from tests.conftest import SEEDS
from tests.support import quick_encoder
from tests.support.engines import opened

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from campaigns.corpus import CHANGES, Folder
from campaigns.truth import Truth

CORPUS = {
    "2026-03-01 council.txt": (
        "# Council\n\nAnna Berg: Who repaired the bridge?\nJan Holt: The harbour company repaired it in May.\n"
        "Anna Berg: Thank you.\n\nThe vote was carried by 7 to 3.\n"
    ),
    "2026-04-02 council.txt": (
        "# Council\n\nJan Holt: The bridge is closed again.\nAnna Berg: Thank you.\n"
        "Jan Holt: Trade grew by 7 percent.\n"
    ),
    "copy/2026-03-01 council.txt": "# Council\n\nThe vote was carried by 7 to 3.\nNobody spoke about résumés.\n",
    "headings.md": "# Only a heading\n\nOne sentence.\n",
    "notes.txt": "Thank you.\nThe bridge, the bridge, the bridge! It is long, wide and old.\n",
}
QUESTIONS = ("Who repaired the bridge?", "What did trade do?", "How was the vote?", "résumé", "Thank you.")
FILTERS = (
    Filters(),
    Filters(documents=("*council*",)),
    Filters(speakers=("anna berg",)),
    Filters(documents=("2026-04*", "notes.txt"), speakers=("Jan Holt",)),
    Filters(after=date(2026, 4, 1)),
    Filters(documents=("nothing",)),
)


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, encoder: Encoder
) -> Iterator[tuple[Searcher, Searcher]]:
    """The corpus in files and in a database, searched with the same encoder."""
    folder = tmp_path_factory.mktemp("both")
    documents = folder / "documents"
    for name, text in CORPUS.items():
        (documents / name).parent.mkdir(parents=True, exist_ok=True)
        (documents / name).write_text(text, "utf-8")
    (documents / "meeting.txt").write_bytes((SEEDS / "meeting.txt").read_bytes())
    database = request.getfixturevalue("postgres").new_database()
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("XDG_CACHE_HOME", str(folder / "cache"))
        searchers = []
        for address in (folder / "index", database):
            Index.build(documents, address)
            reading = stack.enter_context(opened(address))
            searchers.append(Searcher(reading.snapshot, encoder, load_calibration(DEFAULT_MODEL)))
        yield searchers[0], searchers[1]


def filters_of(searcher: Searcher) -> list[RowFilter | None]:
    return [searcher.filter_rows(filters) if filters else None for filters in FILTERS]


def test_documents_and_passages_are_numbered_alike(both: tuple[Searcher, Searcher]) -> None:
    ours, theirs = (searcher.snapshot.passages for searcher in both)
    assert [entry.id for entry in theirs.documents] == sorted([*CORPUS, "meeting.txt"])
    assert theirs.documents == ours.documents
    assert (len(theirs), theirs.row_count, theirs.speakers) == (len(ours), ours.row_count, ours.speakers)
    every, rows = range(len(ours)), range(ours.row_count)
    assert theirs.numbered(range(-3, len(ours) + 3)) == ours.numbered(every)
    assert theirs.numbers_of_rows(rows) == ours.numbers_of_rows(rows)
    assert theirs.numbers_of_rows([5, 2, 10**6]) == ours.numbers_of_rows([5, 2, 10**6])
    assert (
        theirs.documents_of(np.arange(-1, ours.row_count + 1)).tolist()
        == ours.documents_of(np.arange(-1, ours.row_count + 1)).tolist()
    )
    for entry in ours.documents:
        assert theirs.text_of(entry) == ours.text_of(entry)
        assert theirs.in_context(entry) == ours.in_context(entry)
        assert theirs.answers_of(entry) == ours.answers_of(entry)
        assert theirs.entry(entry.id) == entry
        for start, limit in ((0, 10**9), (0, 0), (20, 30), (60, 1), (10**6, 5)):
            assert theirs.stretch(entry, start, limit) == ours.stretch(entry, start, limit)
    assert theirs.entry("nothing") is None


def test_rows_have_the_same_passages_surroundings_and_duplicates(both: tuple[Searcher, Searcher]) -> None:
    ours, theirs = (searcher.snapshot.passages for searcher in both)
    rows = list(range(ours.row_count))
    assert theirs.rows([*rows, 10**6, -1]) == ours.rows(rows)
    assert [theirs.surroundings(row, 2) for row in rows] == [ours.surroundings(row, 2) for row in rows]
    with pytest.raises(IndexError):
        theirs.surroundings(ours.row_count, 2)
    asking = theirs.asking(rows)
    assert asking == ours.asking(rows)
    assert {theirs.rows([row])[row].passage.text for row in asking} == {"Who repaired the bridge?"}
    firsts = theirs.duplicates(rows)
    assert firsts == ours.duplicates(rows)
    assert len(firsts) == 8  # "# Council" and "Thank you." three times, the vote twice
    assert theirs.count_duplicates(set(firsts.values())) == 8
    assert isinstance(theirs, PostgresPassages)
    sent = theirs.connection.rows(_CANDIDATES, theirs.places(rows))
    assert len(sent) == len(rows)
    assert len([places for *_, places in sent if places]) == len({same for _, _, _, same, *_ in sent})
    assert theirs.with_duplicates(set(firsts.values())) == ours.with_duplicates(set(firsts.values()))
    assert theirs.speakers_named(["ANNA BERG", "nobody"]) == ["Anna Berg"]
    assert theirs.rows_of_speakers(["Anna Berg"]).tolist() == ours.rows_of_speakers(["Anna Berg"]).tolist()


def test_passages_are_found_by_citation_and_by_text(both: tuple[Searcher, Searcher]) -> None:
    ours, theirs = (searcher.snapshot.passages for searcher in both)
    ids = [known.passage.id for known in ours.numbered(range(len(ours)))]
    assert [theirs.find([id_]) for id_ in ids] == [ours.find([id_]) for id_ in ids]
    assert theirs.find(["none", ids[3], ids[2]]) == ours.find([ids[3]])
    assert theirs.find(["none"]) is None
    assert theirs.with_ids([*ids, "none"]) == ours.with_ids(ids)
    texts = {"Thank you.", "The vote was carried by 7 to 3."}
    assert theirs.find_texts(texts) == ours.find_texts(texts)
    assert len(theirs.find_texts(texts)) == 5


def test_the_words_find_the_same_rows_with_the_same_scores(both: tuple[Searcher, Searcher]) -> None:
    ours, theirs = (searcher.snapshot.bm25 for searcher in both)
    rows = list(range(both[0].snapshot.passages.row_count))
    for question in (*QUESTIONS, "the bridge the bridge", "zzz", ""):
        for ours_filter, theirs_filter in zip(filters_of(both[0]), filters_of(both[1]), strict=True):
            expected = ours.search(question, 5, ours_filter)
            found = theirs.search(question, 5, theirs_filter)
            assert [hit.row for hit in found] == [hit.row for hit in expected]
            assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], rel=1e-6)
        assert theirs.scores(question, rows).tolist() == pytest.approx(ours.scores(question, rows).tolist(), rel=1e-6)
        assert theirs.max_score(question) == pytest.approx(ours.max_score(question))
        assert theirs.search_all(question, 5) == ours.search_all(question, 5)
    assert theirs.search_all("bridge long", 5) == []
    assert len(theirs.search_all("the bridge", 5)) == 3


def test_the_vectors_find_the_same_rows(both: tuple[Searcher, Searcher]) -> None:
    ours, theirs = (searcher.snapshot.dense for searcher in both)
    rows = range(both[0].snapshot.passages.row_count)
    # The embedded index has a byte a number, where the database has two.
    assert np.abs(theirs.vectors(rows) - ours.vectors(rows)).max() < 0.003
    for question in QUESTIONS:
        vector = encode_query(both[0].encoder, question).vector
        for ours_filter, theirs_filter in zip(filters_of(both[0]), filters_of(both[1]), strict=True):
            expected = {hit.row: hit.score for hit in ours.search(vector, len(rows), ours_filter)}
            found = theirs.search(vector, len(rows), theirs_filter)
            assert {hit.row for hit in found} == expected.keys()
            assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
            assert all(hit.score == pytest.approx(expected[hit.row], abs=0.01) for hit in found)
            assert theirs.search(vector, 3, theirs_filter) == found[:3]


def test_the_tokens_are_the_same_byte_for_byte(both: tuple[Searcher, Searcher]) -> None:
    ours, theirs = (searcher.snapshot for searcher in both)
    rows = range(ours.passages.row_count)
    expected, held = ours.chunk(rows), theirs.chunk(rows)
    for name in ("counts", "ids", "starts", "codes"):
        assert getattr(held, name).tolist() == getattr(expected, name).tolist()
    some = [7, 2, ours.passages.row_count, ours.passages.row_count + 3]  # two of them titles
    gathered, ours_gathered = theirs.tokens.gather(some), ours.tokens.gather(some)
    assert gathered.vectors.tolist() == ours_gathered.vectors.tolist()
    assert gathered.row_starts.tolist() == ours_gathered.row_starts.tolist()
    ids = np.arange(-1, 31_000, dtype=np.int32)[1:]
    assert theirs.tokens.idf(ids).tolist() == ours.tokens.idf(ids).tolist()


def test_answers_are_the_same(both: tuple[Searcher, Searcher]) -> None:
    for question in (*QUESTIONS, "Which minister did Pezeshkian meet in Tehran?"):
        for filters in FILTERS:
            ours, theirs = (searcher.ask(question, 5, filters, Mode.FAST) for searcher in both)
            assert shown(theirs) == shown(ours)
            assert theirs.confidence == pytest.approx(ours.confidence, abs=0.01)


def shown(answer: Answer) -> list[tuple[object, ...]]:
    return [(hit.passage, hit.title, hit.context, hit.also, hit.highlights, hit.score) for hit in answer.hits]


def test_citations_are_the_same_after_random_edits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: str
) -> None:
    quick_encoder.build_with_it(monkeypatch)
    folder, truth = Folder(tmp_path / "documents", random.Random(3)), Truth()
    folder.fill()
    addresses = (tmp_path / "index", database)
    for number in range(50):
        if number:
            random.Random(number).choice(CHANGES)(folder)
        folder.write()
        truth.attempt(folder.corpus)
        reports = [Index.build(folder.path, address) for address in addresses]
        assert reports[1].passages == reports[0].passages
        assert reports[1].changed == reports[0].changed
    with Index.open(addresses[0], lazy=True) as ours, Index.open(addresses[1], lazy=True) as theirs:
        ids = {p.id for info in ours.documents().documents for p in ours.document(info.id).passages}
        assert theirs.check_citations() == ours.check_citations()
        with opened(addresses[1]) as reading:
            assert isinstance(reading.snapshot, PostgresSnapshot)
            issued = [row[0] for row in reading.snapshot.passages.connection.rows("SELECT id FROM citations")]
        assert ids < set(issued)
        assert len(issued) == ours.check_citations()
        for citation in issued:
            assert theirs.cite(citation, source=False) == ours.cite(citation, source=False)
        for index in (ours, theirs):
            with pytest.raises(UnknownCitationError):
                index.cite("a\0b")
