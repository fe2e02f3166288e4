import io
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console, RenderableType

from sourceline.cli import render
from sourceline.search.confidence import verdict
from sourceline.types import (
    Answer,
    Backend,
    BuildReport,
    Citation,
    CitationStatus,
    Context,
    DocumentInfo,
    DocumentList,
    Finding,
    Hit,
    Location,
    Passage,
    PassageInContext,
    Scores,
    SnapshotInfo,
    Span,
)

# What rich itself writes for bold, dim and colours.
STYLE = re.compile(r"\x1b\[(?:\d+;?)*m")
HOSTILE = "\x1b[2J\x1b]0;pwned\x07 \x9b31m\r\x08 [red]x[/red] \u202e\u2066 :smile: https://a.example"
HARMLESS = " [2J ]0;pwned   31m   [red]x[/red]    :smile: https://a.example"


def shown(what: RenderableType) -> str:
    """What a terminal is sent."""
    file = io.StringIO()
    Console(file=file, force_terminal=True, color_system="truecolor", highlight=False, width=500).print(what)
    return file.getvalue()


def text(what: RenderableType) -> str:
    return STYLE.sub("", shown(what))


def passage(sentence: str, document: str = "a.txt", section: str | None = None) -> Passage:
    return Passage("abcdefghijklmnop", document, 0, 0, len(sentence), sentence, Location(3, 2, section))


def answer(*hits: Hit, confidence: float = 0.9) -> Answer:
    return Answer("Who?", verdict(confidence, threshold=0.5), confidence, hits, "00000001")


def hit(sentence: str, title: str = "Title", document: str = "a.txt", highlights: tuple[Span, ...] = ()) -> Hit:
    return Hit(1, 0.7, passage(sentence, document), title, Context(), highlights, Scores(0.5, 1.25, 0.7))


def test_matched_words_are_bold() -> None:
    printed = shown(render.answer(answer(hit("The bridge opens.", highlights=(Span(4, 10),))), explain=False))
    assert "1. The \x1b[1mbridge\x1b[0m opens." in printed


def test_highlights_stay_in_their_place_behind_control_characters() -> None:
    printed = shown(render.answer(answer(hit("\x1b\x07\r bridge", highlights=(Span(4, 10),))), explain=False))
    assert "    \x1b[1mbridge\x1b[0m" in printed


@pytest.mark.parametrize(
    ("confidence", "line"),
    [
        (0.9, "\x1b[32mAnswered, confidence 90%.\x1b[0m"),
        (0.3, "\x1b[1mThe first passage may be an answer (confidence 30%).\x1b[0m"),
        (
            0.1,
            "\x1b[33mThe documents do not seem to answer this (confidence 10%). The nearest passages:\x1b[0m",
        ),
    ],
)
def test_the_verdict_comes_first_in_a_look_of_its_own(confidence: float, line: str) -> None:
    printed = shown(render.answer(answer(hit("The bridge opens."), confidence=confidence), explain=False))
    assert printed.splitlines()[0] == line


def test_of_the_scores_that_of_the_reader_comes_first_if_it_read() -> None:
    unread = hit("The bridge opens.")
    read = replace(unread, scores=replace(unread.scores, reader=3.214))
    assert text(render.answer(answer(unread), explain=True)).splitlines()[-1] == (
        "   late 0.700 · dense 0.500 · BM25 1.25"
    )
    assert text(render.answer(answer(read), explain=True)).splitlines()[-1] == (
        "   reader 3.21 · late 0.700 · dense 0.500 · BM25 1.25"
    )


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (1, "   also: a"),
        (5, "   also: a b c d e"),
        (6, "   also: a b c d e and 1 more"),
        (1_007, "   also: a b c d e and 1,002 more"),
    ],
)
def test_other_citations_of_the_same_text_are_named(count: int, line: str) -> None:
    also = tuple("abcdef"[:count]) + ("x",) * (count - 6)
    printed = text(render.answer(answer(replace(hit("The bridge opens."), also=also)), explain=False))
    assert printed.splitlines()[-1] == line


def test_nothing_found_is_said() -> None:
    assert text(render.answer(answer(confidence=0), explain=False)) == "No passage was found.\n"


def test_nothing_in_an_answer_is_obeyed_by_the_terminal() -> None:
    printed = text(render.answer(answer(hit(HOSTILE, HOSTILE, HOSTILE)), explain=False))
    assert printed.splitlines()[2:] == [
        f"1. {HARMLESS}",
        f"   {HARMLESS} · {HARMLESS}, line 3 · abcdefghijklmnop",
    ]


def test_nothing_in_a_citation_is_obeyed_by_the_terminal() -> None:
    hostile = passage(HOSTILE, HOSTILE, HOSTILE)
    old = new = PassageInContext(hostile, HOSTILE, Context(HOSTILE, HOSTILE), HOSTILE, HOSTILE)
    printed = text(render.citation(Citation("abcdefghijklmnop", CitationStatus.CHANGED, old, new, 0.5)))
    assert printed.splitlines() == [
        "changed: the sentence was edited",
        HARMLESS,
        f"  cited from {HARMLESS} · {HARMLESS}, line 3",
        "now (similarity 0.50):",
        HARMLESS,
        f"  {HARMLESS} · {HARMLESS}, line 3 · abcdefghijklmnop",
    ]


def test_nothing_in_a_report_or_finding_is_obeyed_by_the_terminal() -> None:
    report = BuildReport(
        "00000001", (), (), (), (), {f"{HOSTILE}\nb": HOSTILE}, {f"{HOSTILE}\nc": HOSTILE}, 1, 1, 1, 0.5
    )
    assert render.report(report).splitlines()[-2:] == [
        f"skipped {HARMLESS} b: {HARMLESS}",
        f"not read {HARMLESS} c: {HARMLESS}",
    ]
    assert text(render.finding(Finding(HOSTILE, False, f"{HOSTILE}\nb"))) == f"BAD {HARMLESS}: {HARMLESS} b\n"


def on_terminal(shown: Answer, width: int, explain: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="truecolor", highlight=False, width=width)
    console.print(render.answer(shown, explain, on_terminal=True))
    return file.getvalue()


@pytest.mark.parametrize("width", [24, 40, 80])
def test_on_a_terminal_lines_are_as_wide_as_it_and_begin_below_the_text(width: int) -> None:
    sentence = "The council voted for the long bridge over the river in a session that lasted until midnight."
    lines = STYLE.sub("", on_terminal(answer(hit(sentence)), width, explain=True)).splitlines()
    lines = lines[lines.index("") + 1 :]
    assert lines[0].startswith("1. The council")
    assert all(line.startswith("   ") for line in lines[1:])
    assert all(len(line.rstrip()) <= width for line in lines)
    assert " ".join(" ".join(lines).split()).startswith(f"1. {sentence} Title · a.txt, line 3 · abcdefghijklmnop")


def test_on_a_terminal_neighbours_are_quiet_and_matched_words_and_the_citation_in_colour() -> None:
    printed = hit("The bridge opens.", highlights=(Span(4, 10),))
    printed = replace(printed, context=Context("It was long.", "All came."))
    shown_there = on_terminal(answer(printed), 80)
    assert "\x1b[2mIt was long.\x1b[0m The \x1b[1;33mbridge\x1b[0m opens. \x1b[2mAll came.\x1b[0m" in shown_there
    assert "\x1b[36mabcdefghijklmnop\x1b[0m" in shown_there


@pytest.mark.parametrize("width", [20, 33, 47, 60])
def test_a_citation_is_never_broken_over_two_lines(width: int) -> None:
    long = hit("The bridge opens.", title="A long title of a report", document="folder/with/a/long/name.txt")
    assert "abcdefghijklmnop" in STYLE.sub("", on_terminal(answer(long), width))


def test_on_a_terminal_control_characters_are_harmless_beside_the_sentence_too() -> None:
    printed = replace(hit("It opens."), context=Context(HOSTILE, HOSTILE))
    assert STYLE.sub("", on_terminal(answer(printed), 500)).count(HARMLESS) == 2


def test_documents_are_listed_with_what_was_left_out() -> None:
    created = datetime(2026, 11, 26, tzinfo=UTC)
    ignored = {f"{number:02}.png": "why" for number in range(22)}
    info = SnapshotInfo("00000001", created, "model", Backend.ONNX, 1, 1_200, 9, 9, {"b.txt": "empty"}, ignored)
    documents = DocumentList((DocumentInfo("a.txt", "A title", "0" * 64, 1_200),), "00000001")
    lines = render.documents(documents, info).splitlines()
    assert lines[:4] == [
        "snapshot 00000001: 1 document, 1,200 passages",
        "a.txt: A title, 1,200 passages",
        "skipped b.txt: empty",
        "not read 00.png: why",
    ]
    assert lines[-2:] == ["not read 19.png: why", "not read: 2 more files, which --json lists"]
