from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sourceline.encoders.base import RerankerInput
from sourceline.evaluation.baselines import (
    Ranked,
    RememberingReranker,
    ablations,
    baselines,
    cross_encoder,
    reciprocal_rank_fusion,
    sourceline,
)
from sourceline.evaluation.evaluate import open_searcher
from sourceline.search.confidence import ReaderCalibration, load_calibration
from sourceline.search.query import encode_query
from sourceline.search.searcher import Searcher
from sourceline.types import Filters, Mode
from tests.support.rerankers import ScriptedReranker

QUESTION = "Which minister did Pezeshkian meet in Tehran?"


@pytest.mark.parametrize(
    ("rankings", "expected"),
    [
        ([], []),
        ([[3, 1, 2]], [3, 1, 2]),
        # 1: 1/62 + 1/61; 5: 1/61; 7: 1/62
        ([[5, 1], [1, 7]], [1, 5, 7]),
        # 9 and 4 have 1/61 each, 8 and 6 1/62 each
        ([[9, 8], [4, 6]], [4, 9, 6, 8]),
        # 2/63 for the third of both is more than 1/61 for a first
        ([[1, 2, 3], [4, 5, 3]], [3, 1, 4, 2, 5]),
    ],
)
def test_ranks_are_fused_with_ties_by_row(rankings: list[list[int]], expected: list[int]) -> None:
    assert reciprocal_rank_fusion(rankings) == expected


@pytest.fixture(scope="module")
def searcher(seed_index: Path) -> Searcher:
    return open_searcher(seed_index)


def test_each_system_ranks_as_its_part_of_the_index_does(searcher: Searcher) -> None:
    query = encode_query(searcher.encoder, QUESTION)
    systems = [*sourceline(searcher), *baselines(searcher.snapshot)]
    rankings = {system.name: list(system.rank(query, 5, None).rows) for system in systems}
    bm25 = [scored.row for scored in searcher.snapshot.bm25.search(QUESTION, 100, None)]
    dense = [scored.row for scored in searcher.snapshot.dense.search(query.vector, 100, None)]
    assert rankings == {
        "Sourceline": list(searcher.rank(query, 5, None).rows[:5]),
        "BM25": bm25[:5],
        "dense": dense[:5],
        "dense + BM25, RRF": reciprocal_rank_fusion([dense, bm25])[:5],
    }
    assert len({tuple(rows) for rows in rankings.values()}) > 1


def test_each_system_stays_within_a_row_filter(searcher: Searcher) -> None:
    query = encode_query(searcher.encoder, QUESTION)
    systems = [
        *sourceline(searcher),
        *baselines(searcher.snapshot),
        cross_encoder(searcher.snapshot, ScriptedReranker({})),
    ]
    for system in systems:
        assert list(system.rank(query, 10, searcher.filter_rows(Filters(documents=("meeting.txt",)))).rows)
        assert list(system.rank(query, 10, searcher.filter_rows(Filters(documents=("other.txt",)))).rows) == []


# The confidence is 1 / (1 + exp(1 - score)).
CALIBRATION = ReaderCalibration(late_weight=0.0, unread=-1.0, decided=100.0, slope=1.0, intercept=-1.0)
RIGHT = "Economic ties between the two countries remain strong."


def reading(searcher: Searcher, reranker: ScriptedReranker, calibration: ReaderCalibration = CALIBRATION) -> Searcher:
    late = load_calibration(searcher.encoder.model)
    return Searcher(searcher.snapshot, searcher.encoder, late, reranker=reranker, reader_calibration=calibration)


def text_of(searcher: Searcher, row: int) -> str:
    return searcher.snapshot.passages.rows([row])[row].passage.text


def test_sourceline_is_measured_with_reading_and_without_each_with_its_confidence(searcher: Searcher) -> None:
    reader = reading(searcher, ScriptedReranker({RIGHT: 3.0}))
    query = encode_query(searcher.encoder, "What forms a major part of trade between the two countries?")
    read, fast = sourceline(reader)
    assert (read.name, fast.name) == ("Sourceline", "Sourceline, fast")
    ranked = read.rank(query, 5, None)
    assert text_of(searcher, ranked.rows[0]) == RIGHT
    assert ranked.confidence == pytest.approx(1 / (1 + np.exp(-2)))
    late = reader.rank(query, 5, None, Mode.FAST)
    assert fast.rank(query, 5, None) == Ranked(late.rows[:5], searcher.ask(query.text, 5).confidence)
    assert text_of(searcher, late.rows[0]) != RIGHT
    assert read.rank(query, 5, searcher.filter_rows(Filters(documents=("other.txt",)))) == Ranked((), 0.0)
    assert [system.name for system in sourceline(searcher)] == ["Sourceline"]


def test_a_cross_encoder_orders_the_first_ten_of_the_fused_list_each_read_alone(searcher: Searcher) -> None:
    query = encode_query(searcher.encoder, QUESTION)
    *_, fusion = baselines(searcher.snapshot)
    fused = list(fusion.rank(query, 12, None).rows)
    tenth, eleventh = text_of(searcher, fused[9]), text_of(searcher, fused[10])
    reranker = ScriptedReranker({tenth: 2.0, eleventh: 3.0, text_of(searcher, fused[4]): -1.0})
    system = cross_encoder(searcher.snapshot, reranker)
    assert system.name == "dense + BM25, first 10 by scripted"
    expected = [fused[9], *fused[:4], *fused[5:9], fused[4], *fused[10:]]
    assert system.rank(query, 12, None) == Ranked(expected)
    assert reranker.questions == [QUESTION]
    assert [item.text for item in reranker.inputs] == [text_of(searcher, row) for row in fused[:10]]
    assert list(system.rank(query, 3, None).rows) == expected[:3]


def test_the_same_text_is_read_once_for_a_question() -> None:
    scripted = ScriptedReranker({"a": 1.0, "b": 2.0})
    remembering = RememberingReranker(scripted)
    first, second = (RerankerInput(text, ((0, 1),)) for text in "ab")
    assert (remembering.name, remembering.fingerprint) == (scripted.name, scripted.fingerprint)
    assert [scores.tolist() for scores in remembering.score("q", [first, second])] == [[1.0], [2.0]]
    assert [scores.tolist() for scores in remembering.score("q", [second, first])] == [[2.0], [1.0]]
    assert (scripted.questions, scripted.inputs) == (["q", "q"], [first, second])
    remembering.score("other", [first])
    assert (scripted.questions[2:], scripted.inputs[2:]) == (["other"], [first])


def test_reading_is_measured_without_each_of_its_parts(searcher: Searcher) -> None:
    query = encode_query(searcher.encoder, QUESTION)
    reranker = ScriptedReranker({})
    weighted = replace(CALIBRATION, late_weight=-5.0)
    reader = reading(searcher, reranker, weighted)
    systems = {system.name: system for system in ablations(reader, lambda _: reader)}
    assert list(systems)[-8:] == [
        "reader alone",
        "1 chunk read",
        "2 chunks read",
        "4 chunks read",
        "10 sentences read, each alone",
        "without reading close ones again",
        "without sentences beside the candidates",
        "without titles in chunks read",
    ]

    def texts_read(name: str) -> list[str]:
        reranker.inputs.clear()
        systems[name].rank(query, 5, None)
        return [item.text for item in reranker.inputs]

    four = texts_read("without reading close ones again")
    assert len(four) == 4
    # All score the same, so that the two best are read again.
    read = texts_read("reader alone")
    again = read[4:]
    assert read[:4] == four
    assert 1 <= len(again) <= 2
    assert all(len(text) > max(map(len, four)) for text in again)
    assert [text for text in texts_read("1 chunk read") if text in four] == four[:1]
    assert [text for text in texts_read("2 chunks read") if text in four] == four[:2]
    assert texts_read("4 chunks read")[:4] == texts_read("without sentences beside the candidates")[:4] == four
    assert all(text.startswith("meeting\n") for text in read)
    assert texts_read("without titles in chunks read")[:4] == [text.removeprefix("meeting\n") for text in four]
    late = searcher.rank(query, 5, None, Mode.FAST).rows
    alone = texts_read("10 sentences read, each alone")
    assert alone == [f"meeting\n{text_of(searcher, row)}\n" for row in late[:10]]
    # All scores are equal: alone, the reader leaves what was read in the order of the late score.
    assert systems["reader alone"].rank(query, 5, None).rows[0] == late[0]
    assert reader.rank(query, 5, None).rows[0] != late[0]


def test_sentences_beside_the_candidates_can_be_left_out(searcher: Searcher) -> None:
    query = encode_query(searcher.encoder, QUESTION)
    candidates = searcher.rank(query, 5, None, Mode.FAST).rows
    beside = [row for row in range(searcher.snapshot.passages.row_count) if row not in candidates]
    reader = reading(searcher, ScriptedReranker({text_of(searcher, row): 1.0 for row in beside}))
    (system,) = (item for item in ablations(reader, lambda _: reader) if "beside" in item.name)
    assert not set(system.rank(query, 5, None).rows) & set(beside)
    assert reader.rank(query, 5, None).rows[0] in beside


def test_parts_of_reading_are_left_out_only_where_something_reads(searcher: Searcher) -> None:
    names = [system.name for system in ablations(searcher, lambda _: searcher)]
    assert names[-1] == "each sentence encoded alone"
    plain = Searcher(
        searcher.snapshot,
        searcher.encoder,
        load_calibration(searcher.encoder.model),
        reranker=ScriptedReranker({}),
    )
    names = [system.name for system in ablations(plain, lambda _: plain)]
    assert "1 chunk read" in names
    assert "reader alone" not in names  # without a calibration it is alone anyway


def test_candidates_of_one_retriever_are_read_too(searcher: Searcher) -> None:
    query = encode_query(searcher.encoder, "What forms a major part of trade between the two countries?")
    reader = reading(searcher, ScriptedReranker({RIGHT: 3.0}))
    without = {
        system.name: system for system in ablations(reader, lambda _: reader) if system.name.endswith("candidates")
    }
    for name in ("without BM25 candidates", "without dense candidates"):
        assert text_of(searcher, without[name].rank(query, 5, None).rows[0]) == RIGHT
