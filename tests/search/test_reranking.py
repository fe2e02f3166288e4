"""What is read for a question, and how the passages rank after it."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sourceline.encoders.base import Float32, RerankerInput
from sourceline.encoders.ranking_head import identity_head
from sourceline.index.passage_store import PassageStore, PassageStoreWriter, Surroundings
from sourceline.index.row_filter import RowFilter
from sourceline.index.snapshot import Snapshot, open_current
from sourceline.ingest.sentences import split_passages
from sourceline.search.confidence import ReaderCalibration
from sourceline.search.late_interaction import late_interaction
from sourceline.search.query import QueryEncoding
from sourceline.search.ranking import RankedPassage, Ranking
from sourceline.search.reranking import (
    DEFAULT_READING,
    HEADING_CHARACTERS,
    chunk_around,
    plain_letters,
    rerank,
    select_chunks,
)
from tests.support.made_up_snapshots import MadeUpDocument, made_up_query, made_up_snapshot
from tests.support.rerankers import NOT_READ, ScriptedReranker, sentences
from tests.support.texts import document, texts

CALIBRATION = ReaderCalibration(late_weight=2, unread=-1, decided=100.0, slope=1, intercept=0)
READ_ONCE = replace(DEFAULT_READING, close=0)
E1, E2, E3 = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)

# Sentences of all lengths, and what is none; a passage always holds a letter or digit.
passages = (
    texts | st.builds(lambda word, count: word * count, st.sampled_from(["The ﬁre. ", "né ", "x"]), st.integers(1, 130))
).filter(plain_letters)


@st.composite
def surroundings(draw: st.DrawFn) -> Surroundings:
    """Passages of a document around one of them; of the others, some are headings."""
    around = draw(st.lists(passages, min_size=1, max_size=12))
    at = draw(st.integers(0, len(around) - 1))
    answers = [draw(st.booleans()) or number == at for number in range(len(around))]
    rows = [sum(answers[:number]) if answers[number] else None for number in range(len(around))]
    heading = st.sampled_from(["", "Plan", "Plan \n", "x" * 100, "x" * 101]) | st.sampled_from(around)
    return Surroundings(draw(heading), draw(heading | st.none()), tuple(rows), tuple(around), (None,) * len(around), at)


def around(*sentences: str, at: int = 0, title: str = "", section: str | None = None) -> Surroundings:
    return Surroundings(title, section, tuple(range(len(sentences))), sentences, (None,) * len(sentences), at)


@given(around=surroundings())
@example(around=around("x" * 50_000))
@settings(deadline=None)
def test_a_chunk_is_headings_and_consecutive_passages_around_its_own(around: Surroundings) -> None:
    chunk = chunk_around(around)
    plain = [plain_letters(text) for text in around.texts]
    numbers = [around.rows.index(row) for row in chunk.rows]

    # The spans are exactly those of the sentences, which are in order, and the passage itself is among them.
    assert sentences(chunk.input) == [plain[number] for number in numbers]
    assert all(first < second for first, second in pairwise(chunk.rows))
    assert around.rows[around.at] in chunk.rows
    assert all(first[1] < second[0] for first, second in pairwise(chunk.input.spans))

    # The text is the headings that are not among the passages, and then a line for each passage, first to last.
    lines = chunk.input.text.split("\n")[:-1]
    titles = list(dict.fromkeys([plain_letters(around.title), plain_letters(around.section or "")]))

    def expected(first: int, last: int) -> list[str]:
        passages = plain[first : last + 1]
        return [t for t in titles if 0 < len(t) <= HEADING_CHARACTERS and t not in passages] + passages

    # Where texts repeat, several ranges of passages look the same.
    assert any(
        is_small_and_full(range(first, last + 1), around.at, plain)
        for first in range(around.at + 1)
        for last in range(around.at, len(plain))
        if lines == expected(first, last)
        and [row for row in around.rows[first : last + 1] if row is not None] == list(chunk.rows)
    )


def is_small_and_full(inside: range, at: int, texts: list[str]) -> bool:
    """Return whether these passages are a chunk around one: as many as fit, and the one before it if that is short."""
    size = sum(len(texts[number]) for number in inside)
    before, reading = at - 1, DEFAULT_READING
    if before >= 0 and len(texts[before]) + len(texts[at]) <= reading.with_before_characters and before not in inside:
        return False
    with_before = list(inside) == [before, at] and size <= reading.with_before_characters
    if len(inside) > 1 and not with_before and size > reading.chunk_characters:
        return False
    others = (other for other in (inside[0] - 1, inside[-1] + 1) if 0 <= other < len(texts))
    return all(size + len(texts[other]) > reading.chunk_characters for other in others)


def test_a_chunk_grows_behind_its_passage_and_before_it_in_turn() -> None:
    sentence = [f"{number}" * 100 for number in range(8)]
    # The one before it, the one behind it, and again one before; a fifth would be too much.
    assert chunk_around(around(*sentence, at=3)).rows == (1, 2, 3, 4)
    assert chunk_around(around(*sentence, at=0)).rows == (0, 1, 2, 3)
    assert chunk_around(around(*sentence, at=7)).rows == (4, 5, 6, 7)
    assert chunk_around(around("a" * 300, "b" * 400, "c", at=1)).rows == (0, 1)
    assert chunk_around(around("a" * 300, "b" * 401, "c", at=1)).rows == (1, 2)


def test_title_and_section_stand_in_front_unless_they_are_long_or_said_already() -> None:
    for title, section, expected in [
        ("Plan", "Costs", "Plan\nCosts\nIt rose.\n"),
        ("Plan", "Plan", "Plan\nIt rose.\n"),
        ("The ﬁne\nplan", None, "The fine plan\nIt rose.\n"),
        ("x" * 100, "x" * 101, f"{'x' * 100}\nIt rose.\n"),
        ("It rose.", "", "It rose.\n"),
    ]:
        chunk = chunk_around(around("It rose.", title=title, section=section))
        assert chunk.input.text == expected
        assert sentences(chunk.input) == ["It rose."]


def test_a_heading_is_read_and_has_no_sentence() -> None:
    chunk = chunk_around(Surroundings("Plan", "Costs", (4, None, 5), ("It rose.", "Costs", "It fell."), (None,) * 3, 2))
    assert (chunk.input.text, chunk.rows) == ("Plan\nIt rose.\nCosts\nIt fell.\n", (4, 5))
    assert sentences(chunk.input) == ["It rose.", "It fell."]


def test_who_speaks_stands_in_front_where_that_changes() -> None:
    texts = ("Is it open?", "It is.", "Since May.", "The what is Oil.")
    speakers = ("Ilse Kern", "Bo Lind", "Bo Lind", None)
    chunk = chunk_around(Surroundings("Call", None, (0, 1, 2, 3), texts, speakers, 1))
    assert chunk.input.text == "Call\nIlse Kern: Is it open?\nBo Lind: It is.\nSince May.\nThe what is Oil.\n"
    assert sentences(chunk.input) == ["Ilse Kern: Is it open?", "Bo Lind: It is.", *texts[2:]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The ﬁnal\n  ﬁgures ", "The final figures"),
        ("ＡＢＣ　１２", "ABC 12"),
        ("re\u00adfur\u200bbish\ufeff", "refurbish"),
        ("2½ or 12½ hours, 10² m²", "2 1⁄2 or 12 1⁄2 hours, 10 2 m2"),
        ("Müller’s “café”", "Müller’s “café”"),
        ("\u200b", ""),
    ],
)
def test_plain_letters_are_what_people_type(text: str, expected: str) -> None:
    assert plain_letters(text) == expected


@pytest.fixture
def store(tmp_path: Path) -> PassageStore:
    """Two documents of ten sentences of 100 characters each."""
    with PassageStoreWriter(tmp_path) as writer:
        for name in ("a.txt", "b.txt"):
            made_up = document("\n\n".join(f"{name[0]}{number} {'word ' * 19}end." for number in range(10)), name)
            writer.add(made_up, split_passages(made_up))
        writer.write()
    return PassageStore(tmp_path, 1)


def test_chunks_are_around_the_first_rows_that_stand_in_none_before(store: PassageStore) -> None:
    def rows(*ranked: int, count: int = 3) -> list[tuple[int, ...]]:
        return [chunk.rows for chunk in select_chunks(store, ranked, count)]

    assert rows(3, 4, 12, 0, 19) == [(1, 2, 3, 4), (10, 11, 12, 13), (0, 1, 2, 3)]
    assert rows(3, 4, 12, 0, 19, count=1) == [(1, 2, 3, 4)]
    assert rows(9, 10) == [(6, 7, 8, 9), (10, 11, 12, 13)]  # never of two documents
    assert rows(3, 2, 4) == [(1, 2, 3, 4)]
    assert (rows(), rows(3, count=0)) == ([], [])


@pytest.fixture(scope="module")
def real(seed_index: Path) -> Snapshot:
    return open_current(seed_index)


@pytest.fixture
def snapshot(tmp_path: Path, real: Snapshot) -> Snapshot:
    """Sentences 0-1, 0-2 and 0-3 with the rows 0 to 2 below a heading 0-0, and 1-1 with the row 3 below 1-0."""
    documents = [MadeUpDocument([[E1], [E2], [E3]]), MadeUpDocument([[E1]])]
    return made_up_snapshot(tmp_path, real, identity_head(3), documents)


QUERY = made_up_query([E1])


def ranking(snapshot: Snapshot, *rows: int, query: QueryEncoding = QUERY) -> Ranking:
    """Return these rows in the order of late interaction, as it is before reading."""
    late = late_interaction(query, snapshot, sorted(rows))
    passages = [RankedPassage(row, s, s) for row, s in zip(sorted(rows), late.scores.tolist(), strict=True)]
    return Ranking(tuple(sorted(passages, key=lambda p: (-p.score, p.row))), (late.similarities,))


def reranked(
    snapshot: Snapshot,
    rows: tuple[int, ...],
    scores: dict[str, float],
    row_filter: RowFilter | None = None,
    calibration: ReaderCalibration | None = CALIBRATION,
) -> list[tuple[int, float, float, float | None]]:
    """Return what reading makes of a ranking of rows: row, score, late score and reader's score of each."""
    result = rerank(QUERY, ranking(snapshot, *rows), snapshot, row_filter, ScriptedReranker(scores), calibration)
    for passage in result.passages:
        result.cosines_of(passage.row)  # of every passage, for its highlights
    return [(p.row, p.score, p.late, p.reader) for p in result.passages]


def test_passages_rank_by_the_readers_score_and_late_interaction(snapshot: Snapshot) -> None:
    scores = {"0-1": 0.5, "0-2": 3.0, "0-3": 1.0}
    assert reranked(snapshot, (0, 1, 2), scores) == [(1, 3, 0, 3), (0, 2.5, 1, 0.5), (2, 1, 0, 1)]


def test_sentences_beside_a_candidate_may_answer_with_a_late_score_of_their_own(snapshot: Snapshot) -> None:
    scores = {"0-1": 2.0, "0-2": 0.25, "0-3": -4.0}
    assert reranked(snapshot, (1,), scores) == [(0, 4, 1, 2), (1, 0.25, 0, 0.25), (2, -4, 0, -4)]


def test_sentences_beside_a_candidate_must_pass_the_filter(snapshot: Snapshot) -> None:
    scores = {"0-1": 2.0, "0-2": 0.25, "0-3": 4.0}
    row_filter = RowFilter.from_ranges([range(1, 2)])
    assert reranked(snapshot, (1,), scores, row_filter) == [(1, 0.25, 0, 0.25)]


def test_headings_and_titles_are_read_and_never_answer(snapshot: Snapshot) -> None:
    reader = ScriptedReranker({"0-0": 99, "Title": 99, "1-0": 99})
    result = rerank(QUERY, ranking(snapshot, 0, 3), snapshot, None, reader, CALIBRATION, READ_ONCE)
    assert sorted(result.rows) == [0, 1, 2, 3]
    assert [item.text for item in reader.inputs] == ["Title\n0-0\n0-1\n0-2\n0-3\n", "Title\n1-0\n1-1\n"]


def test_what_was_not_read_ranks_by_the_calibration_and_late_interaction(snapshot: Snapshot) -> None:
    scores = {"0-1": NOT_READ, "0-2": -2.0, "0-3": NOT_READ}
    assert reranked(snapshot, (0, 1, 2), scores) == [(0, 1, 1, None), (2, -1, 0, None), (1, -2, 0, -2)]


def test_a_sentence_that_was_not_read_becomes_no_candidate(snapshot: Snapshot) -> None:
    assert reranked(snapshot, (1,), {"0-1": NOT_READ, "0-2": 1.0, "0-3": NOT_READ}) == [(1, 1, 0, 1)]


def test_without_a_calibration_the_readers_score_decides_and_what_was_not_read_follows(snapshot: Snapshot) -> None:
    scores = {"0-1": NOT_READ, "0-2": -9.0, "0-3": NOT_READ}
    assert reranked(snapshot, (0, 1, 2), scores, calibration=None) == [
        (1, -9, 0, -9),
        (0, -10, 1, None),
        (2, -11, 0, None),
    ]
    assert reranked(snapshot, (0, 1), {"0-1": 1.0, "0-2": 1.5}, calibration=None)[:2] == [
        (1, 1.5, 0, 1.5),
        (0, 1, 1, 1),
    ]


def test_if_nothing_was_read_the_order_stays(snapshot: Snapshot) -> None:
    for calibration in (CALIBRATION, None):
        result = reranked(snapshot, (0, 1, 2), dict.fromkeys(("0-1", "0-2", "0-3"), NOT_READ), calibration=calibration)
        assert [row for row, *_ in result] == [0, 1, 2]
        assert all(reader is None and math.isfinite(score) for _, score, _, reader in result)


def test_ties_are_in_document_order_whatever_their_order_before(snapshot: Snapshot) -> None:
    # Late interaction puts row 0 first; reading makes up for it.
    assert reranked(snapshot, (0, 1, 2), {"0-1": -1.0, "0-2": 1.0, "0-3": 1.0}) == [
        (0, 1, 1, -1),
        (1, 1, 0, 1),
        (2, 1, 0, 1),
    ]


def test_so_many_chunks_are_read_and_all_candidates_stay(tmp_path: Path, real: Snapshot) -> None:
    few, all_ = DEFAULT_READING.chunks, DEFAULT_READING.chunks + DEFAULT_READING.more
    documents = [MadeUpDocument([[E1]]) for _ in range(2 * all_)]
    made_up = made_up_snapshot(tmp_path, real, identity_head(3), documents)

    def chunks_read(calibration: ReaderCalibration | None) -> int:
        reader = ScriptedReranker({})
        result = rerank(QUERY, ranking(made_up, *range(2 * all_)), made_up, None, reader, calibration, READ_ONCE)
        count = len(reader.inputs)
        assert [sentences(item) for item in reader.inputs] == [[f"{number}-1"] for number in range(count)]
        assert result.rows == tuple(range(2 * all_))
        assert [passage.reader for passage in result.passages] == [0] * count + [None] * (2 * all_ - count)
        return count

    # All sentences score 0. Without a calibration, nobody knows what decides.
    assert chunks_read(replace(CALIBRATION, decided=0)) == few
    assert chunks_read(replace(CALIBRATION, decided=0.001)) == chunks_read(None) == all_


class TwoMinded(ScriptedReranker):
    """Scores a sentence otherwise if it stands alone."""

    def __init__(self, alone: dict[str, float], together: dict[str, float]) -> None:
        super().__init__(together)
        self._alone = ScriptedReranker(alone)

    def score(self, question: str, inputs: Sequence[RerankerInput]) -> list[Float32]:
        together = super().score(question, inputs)
        alone = self._alone.score(question, inputs)
        return [a if len(a) == 1 else t for a, t in zip(alone, together, strict=True)]


def read_alone_first(
    snapshot: Snapshot, reader: TwoMinded, calibration: ReaderCalibration | None = CALIBRATION
) -> list[tuple[int, float | None]]:
    """Return the rows in their order with the reader's scores, if sentences are read alone unless they are close."""
    reading = replace(DEFAULT_READING, chunks=3, chunk_characters=0, with_before_characters=0)
    result = rerank(QUERY, ranking(snapshot, 0, 1, 2), snapshot, None, reader, calibration, reading)
    return [(passage.row, passage.reader) for passage in result.passages]


def test_two_that_are_close_are_read_once_more_with_what_stands_around_them(snapshot: Snapshot) -> None:
    reader = TwoMinded({"0-1": 0.0, "0-2": 3.5, "0-3": 1.75}, {"0-1": 9.0, "0-2": -2.0, "0-3": 2.0})
    # Of 2 + 0, 3.5 and 1.75 the second is the best, by 1.5. Read again, all that stands there has the mean of both.
    assert read_alone_first(snapshot, reader) == [(0, 4.5), (2, 1.875), (1, 0.75)]
    assert [sentences(item) for item in reader.inputs] == [["0-1"], ["0-2"], ["0-3"], ["0-1", "0-2", "0-3"]]


def test_two_that_are_not_close_are_read_once(snapshot: Snapshot) -> None:
    together = {"0-1": 9.0, "0-2": -9.0, "0-3": 9.0}
    reader = TwoMinded({"0-1": 0.0, "0-2": 4.0, "0-3": 1.0}, together)
    assert read_alone_first(snapshot, reader) == [(1, 4), (0, 0), (2, 1)]
    assert len(reader.inputs) == 3
    # Without a calibration nobody knows what is close.
    reader = TwoMinded({"0-1": 0.0, "0-2": 0.5, "0-3": 0.25}, together)
    assert read_alone_first(snapshot, reader, calibration=None) == [(1, 0.5), (2, 0.25), (0, 0)]
    assert len(reader.inputs) == 3


def test_what_the_second_reading_leaves_out_keeps_its_score(snapshot: Snapshot) -> None:
    reader = TwoMinded({"0-1": 0.0, "0-2": 3.5, "0-3": 1.0}, {"0-1": 1.0, "0-2": NOT_READ, "0-3": NOT_READ})
    assert read_alone_first(snapshot, reader) == [(1, 3.5), (0, 0.5), (2, 1)]


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        ("We met. Who was it?", "Who was it?", "We met. Who was it?"),
        ("Thank you for the papers. Who chairs?", "Who chairs?", "Who chairs?"),
        (
            "I sold the cranes. What did they cost? Tell me.",
            "What did they cost?",
            "I sold the cranes. What did they cost? Tell me.",
        ),
        ("The ﬁne\n plan?", "The ﬁne\n plan?", "The fine plan?"),
        ("We met. " * 60 + "Who was it?", "Who was it?", "Who was it?"),
    ],
)
def test_the_part_that_asks_is_read_with_what_it_refers_to(
    snapshot: Snapshot, text: str, part: str, expected: str
) -> None:
    reader = ScriptedReranker({})
    query = replace(QUERY, text=text, question_part=part)
    rerank(query, ranking(snapshot, 0, query=query), snapshot, None, reader, CALIBRATION)
    assert reader.questions == [expected]
