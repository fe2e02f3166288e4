"""What the benchmarks compute and draw; that they run is up to whoever runs them."""

import datetime
import json
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from sourceline.encoders import reranker
from sourceline.encoders.base import RerankerInput
from sourceline.evaluation.dataset import Question, Relevant
from sourceline.types import (
    Answer,
    Context,
    DocumentText,
    Hit,
    Location,
    Mode,
    Passage,
    Scores,
    Time,
    Verdict,
)

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import answer_profile
import peer
import postgres
import scale
import serving
import transcripts

ROWS = [
    {
        "sentences": size,
        "fast p50 ms": 6 + at,
        "read p50 ms": 9 + at,
        "resident MB": 200 + at,
        "build MB": 190 + at,
        "snapshot B": 2_000 - at,
        "index B": 2_500 - at,
        "build s": 2 * 10**at,
        "R@1": 0.8 - at / 100,
        "R@1 common": 0.8,
        "recall": 1.0,
    }
    for at, size in enumerate((1_000, 10_000, 100_000))
]


def run(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, dict[str, float]]:
    return {peer.OURS: ours, peer.PEER: theirs}


def test_a_ratio_says_how_many_times_better_ours_is() -> None:
    speed, time, failed = "sentences indexed/s", f"read: {serving.P50}", f"read: {peer.FAILED}"
    runs = [
        run({speed: 500, time: 4, failed: 0}, {speed: 100, time: 20, failed: 2}),
        run({speed: 600, time: 5, failed: 0}, {speed: 100, time: 20, failed: 2}),
        run({speed: 700, time: 8, failed: 0}, {speed: 100, time: 20, failed: 2}),
    ]
    compared = peer.compare(runs)
    assert compared[speed] == {"Sourceline": (600, 500, 700), "txtai": (100, 100, 100), "ratio": (6, 5, 7)}
    assert compared[time]["ratio"] == (4, 2.5, 5)
    assert compared[failed] == {"Sourceline": (0, 0, 0), "txtai": (2, 2, 2), "ratio": None}
    served = f"fast: requests/s at {peer.CLIENTS} clients"
    assert peer.compare([run({served: 300}, {served: 100})])[served]["ratio"] == (3, 3, 3)
    assert peer.table(compared, "9.1", 5_250).splitlines() == [
        "| 5,250 sentences indexed | Sourceline | txtai 9.1 | ratio |",
        "|---|---|---|---|",
        "| sentences indexed/s | 600 (500 to 700) | 100 (100 to 100) | 6.0 × (5.0 to 7.0) |",
        "| read: p50 at one client, ms | 5.00 (4.00 to 8.00) | 20.0 (20.0 to 20.0) | 4.0 × (2.5 to 5.0) |",
        f"| {failed} | 0.00 (0.00 to 0.00) | 2.00 (2.00 to 2.00) |  |",
    ]


def test_percentiles_are_of_the_questions_that_were_timed_and_p95_of_the_short_ones() -> None:
    questions = ["x" * 200 if at % 10 == 0 else "short" for at in range(1_000)]
    # As answer_times asks: in turn, after the ones to warm up.
    asked = [questions[at % 1_000] for at in range(serving.WARM_UP, serving.WARM_UP + 2_000)]
    times = [50.0 if len(question) == 200 else 3.0 for question in asked]
    assert serving.percentiles(questions, times) == {serving.P50: 3.0, serving.P95: 3.0, serving.P99: 50.0}


def test_a_server_is_asked_in_a_mode() -> None:
    for mode in Mode:
        _, path, body = serving.sourceline(mode).request("Who?")
        assert (path, json.loads(body)) == ("/v1/ask", {"question": "Who?", "mode": mode.value})


def test_a_profile_has_both_modes_and_the_shares_of_the_peak() -> None:
    fast = {stage: 0.5 for stage in answer_profile.STAGES if not stage.startswith("read")}
    modes = {
        "read": fast | {"read: tokenize": 1.0, "read: run": 11.0, "in the process": 16.0, "HTTP": 4.0, "over HTTP": 20},
        "fast": fast | {"in the process": 4.0, "HTTP": 1.0, "over HTTP": 5.0},
    }
    encoder = {
        "operations of a token": 21.3e6,
        "tokens of a question": 20,
        "share of a question": 0.5,
        "tokens/s": 9_000,
        "share of chunks": 0.8,
    }
    reading = {
        "operations of a token": 42.5e6,
        "chunks": 3,
        "tokens": 390,
        "cores at work": 1.6,
        "share of a core at work": 0.7,
        "share": 0.55,
    }
    profile = {
        "modes": modes,
        "cores": 2,
        "peak of one core": 300e9,
        "peak of all cores": 500e9,
        "encoder": encoder,
        "reader": reading,
    }
    lines = answer_profile.table_of(profile).splitlines()
    assert lines[:3] == [
        "| where the time goes | read, ms | share | fast, ms | share |",
        "|---|---|---|---|---|",
        "| tokenize | 0.500 | 2 % | 0.500 | 10 % |",
    ]
    assert "| read: run | 11.000 | 55 % |  |  |" in lines
    assert lines[-3:] == [
        "int8 peak: 300 GOP/s on one core, 500 on 2",
        "encoder: 21.3 MOP a token; a question (20.0 tokens, one core): 50 % of the peak; "
        "chunks (all cores): 9,000 tokens/s, 80 % of the peak",
        "reader: 42.5 MOP a token; 3.0 chunks a question, 390 tokens in all; "
        "1.6 cores at work, each at 70 % of the peak of one; 55 % of the peak of all",
    ]


def test_what_the_readers_threads_did_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tokenize", "open_session"):
        monkeypatch.setattr(reranker, name, getattr(reranker, name))  # put back at the end
    readings = answer_profile.Readings()
    readings.open_reader(answer_profile.READER).score(
        "Who came?", [RerankerInput("Ann came.", ((0, 9),)), RerankerInput("Bob left.", ((0, 9),))]
    )
    totals = readings.totals()
    assert totals["chunks"] == 2
    # [CLS] who came ? [SEP] and the three tokens of each text with [SEP]
    assert totals["tokens"] == 2 * (5 + 4)
    split = readings.split({"rest": 1.0, "read": 2.0})
    assert list(split) == ["rest", "read: tokenize", "read: run"]
    assert split["read: tokenize"] + split["read: run"] == pytest.approx(2.0)
    assert readings.split({"rest": 1.0}) == {"rest": 1.0}


def test_ratios_are_on_a_logarithmic_axis_that_holds_all_of_them_and_one() -> None:
    figure = Figure()
    peer.draw({"start": (10, 5, 20), "disk": (4, 4, 4)}, figure)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    low, high = axes.get_xlim()
    assert low <= 0.5
    assert high >= 20
    assert [label.get_text() for label in axes.get_yticklabels()] == ["start", "disk"]
    assert [text.get_text() for text in axes.texts] == ["10.0 ×", "4.0 ×"]
    (intervals,) = (item for item in axes.collections if isinstance(item, LineCollection))
    assert [segment[:, 0].tolist() for segment in intervals.get_segments()] == [[5, 20], [4, 4]]
    points, parity = axes.get_lines()
    assert np.asarray(points.get_xdata()).tolist() == [10, 4]
    assert np.asarray(parity.get_xdata()).tolist() == [1, 1]


def test_each_panel_draws_its_columns_over_the_sizes() -> None:
    figure = Figure()
    scale.draw(ROWS, figure)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [title for title, _, _ in scale.PANELS]
    for axes, (_, columns, logarithmic) in zip(figure.axes, scale.PANELS, strict=True):
        assert axes.get_yscale() == ("log" if logarithmic else "linear")
        lines = axes.get_lines()
        assert [line.get_label() for line in lines] == list(columns)
        for line, column in zip(lines, columns, strict=True):
            assert np.asarray(line.get_xdata()).tolist() == [1_000, 10_000, 100_000]
            assert np.asarray(line.get_ydata()).tolist() == [row[column] for row in ROWS]


@pytest.mark.parametrize(
    ("value", "label"), [(1_000_000, "1M"), (15_000, "15k"), (1_000, "1k"), (100, "100"), (0.1 + 0.2, "0.3")]
)
def test_ticks_are_short(value: float, label: str) -> None:
    assert scale.format_tick(value) == label


def test_a_plot_in_a_file_brings_its_own_colors() -> None:
    for svg in (peer.plot("Times & more", {"start": (3, 2, 4)}), scale.plot(ROWS)):
        root = ET.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "prefers-color-scheme: dark" in (root.findtext("{http://www.w3.org/2000/svg}style") or "")


@pytest.mark.parametrize(
    ("value", "cell"),
    [(105_700, "105,700"), (1_234.5, "1,234"), (12.345, "12.3"), (0.82651, "0.827"), ("fast", "fast")],
)
def test_a_figure_has_three_digits(value: object, cell: str) -> None:
    assert postgres.format_cell(value) == cell


CALL = "Bo 0:01\nThe crane is old.\nWe sell it\nin May.\nAnna 0:09\nI would keep it."
SOLD = transcripts.Sentence("call.vtt", "We sell it in May.", "Bo", 1.0, 9.0)
KEPT = transcripts.Sentence("call.vtt", "I would keep it.", "Anna", 9.0, None)


def said(text: str, speaker: str | None, time: Time | None) -> Passage:
    start = CALL.index(text)
    return Passage(text, "call.vtt", 0, start, start + len(text), text, Location(1, 1, speaker=speaker, time=time))


def ranked(*passages: Passage, verdict: Verdict = Verdict.ANSWERED) -> Answer:
    hits = [
        Hit(rank, 1.0, passage, "Call", Context(), (), Scores(0, 0, 0))
        for rank, passage in enumerate(passages, start=1)
    ]
    return Answer("?", verdict, 0.5, tuple(hits), "1")


PASSAGES = (
    said("The crane is old.", "Bo", Time(1.0, 9.0)),
    said("We sell it\nin May.", "Bo", Time(1.0004, 9.0)),
    said("I would keep it.", "Anna", Time(9.0)),
)
TEXT = DocumentText("call.vtt", "Call", "", CALL, PASSAGES, "1", len(CALL), len(PASSAGES))


def test_a_sentence_of_the_truth_stands_in_the_text_wherever_its_lines_end() -> None:
    elsewhere = transcripts.Sentence("other.srt", "We sell it in May.", "Bo", None, None)
    found = transcripts.ranges([SOLD, KEPT, elsewhere], [TEXT])
    assert [[CALL[start:end] for start, end in ranges] for ranges in found.values()] == [
        ["We sell it\nin May."],
        ["I would keep it."],
        [],
    ]


def test_a_passage_is_exact_if_words_speaker_and_time_are_those_of_the_truth() -> None:
    assert transcripts.exact(SOLD, PASSAGES)
    assert transcripts.exact(KEPT, PASSAGES)
    for wrong in (
        said("We sell it\nin May.", "Anna", Time(1.0, 9.0)),
        said("We sell it\nin May.", "Bo", Time(1.1, 9.0)),
        said("We sell it\nin May.", "Bo", Time(1.0)),
        said("We sell it\nin May.", "Bo", None),
        said("The crane is old.\nWe sell it\nin May.", "Bo", Time(1.0, 9.0)),
    ):
        assert not transcripts.exact(SOLD, [wrong])


def test_an_answer_is_judged_by_its_first_right_passage_and_the_speaker_of_its_first() -> None:
    stands = transcripts.ranges([SOLD, KEPT], [TEXT])
    old, sold, kept = PASSAGES
    question = transcripts.Question("1", "When do we sell the crane?", "said", (SOLD,))
    assert transcripts.judge(question, ranked(kept, old, sold), stands) == transcripts.Result(
        answerable=True, rank=3, speaker=False, shown=True
    )
    assert transcripts.judge(question, ranked(old, verdict=Verdict.UNSURE), stands) == transcripts.Result(
        answerable=True, rank=None, speaker=True, shown=False
    )
    unanswerable = transcripts.Question("2", "What did Anna say about May?", "swap", ())
    assert transcripts.judge(unanswerable, ranked(sold), stands) == transcripts.Result(
        answerable=False, rank=None, speaker=False, shown=True
    )
    assert transcripts.judge(unanswerable, ranked(verdict=Verdict.NOT_ANSWERED), stands).shown is False


def test_an_answer_is_right_if_its_first_passage_overlaps_a_label() -> None:
    old, sold, _ = PASSAGES
    label = Relevant("call.vtt", sold.end - 1, sold.end + 10)
    question = Question("1", "When do we sell the crane?", (label,), answerable=True)
    assert postgres.is_right(ranked(sold, old), question)
    assert not postgres.is_right(ranked(old, sold), question)
    assert not postgres.is_right(ranked(), question)
    elsewhere = Question("2", question.text, (replace(label, document="other.srt"),), answerable=True)
    assert not postgres.is_right(ranked(sold), elsewhere)


def test_the_table_counts_the_sentences_read_and_the_questions_answered() -> None:
    results = [
        transcripts.Result(answerable=True, rank=1, speaker=True, shown=True),
        transcripts.Result(answerable=True, rank=1, speaker=True, shown=True),
        transcripts.Result(answerable=True, rank=4, speaker=True, shown=True),
        transcripts.Result(answerable=True, rank=None, speaker=False, shown=False),
        transcripts.Result(answerable=False, rank=None, speaker=False, shown=True),
    ]
    assert transcripts.measures(results) == [[1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 0.25, 1], [0, 0, 0, 0]]
    unread = transcripts.Sentence("other.srt", "Nobody heard it.", None, None, None)
    lines = transcripts.table([SOLD, KEPT, unread], [TEXT], {("as they are", Mode.READ): results}).splitlines()
    assert lines[2:4] == ["| call.vtt | 2 | 2 |", "| other.srt | 1 | 0 |"]
    assert lines[5] == "| questions | | R@1 | R@5 | MRR@10 | right speaker | shown without answer |"
    cells = [cell.split(" ±")[0] for cell in lines[-1].strip("| ").split(" | ")]
    assert cells == ["5 as they are", "read", ".500", ".750", ".562", ".750", "1 of 1"]


def test_questions_about_the_meetings_are_answered_by_sentences_that_pass_their_filters() -> None:
    questions = transcripts.read_questions(transcripts.SET)
    dates = {row["document"]: row["date"] for row in transcripts.read_rows(transcripts.SET / "documents.jsonl")}
    assert len(questions) >= 80
    assert len(questions) / 6 <= sum(not question.answers for question in questions) < len(questions) / 5
    for question in questions:
        speakers = {name.casefold() for name in question.filters.get("speakers", ())}
        after = question.filters.get("after", datetime.date.min)
        before = question.filters.get("before", datetime.date.max)
        for answer in question.answers:
            assert not speakers or (answer.speaker or "").casefold() in speakers
            if {"after", "before"} & set(question.filters):
                assert after <= datetime.date.fromisoformat(dates[answer.document]) < before
