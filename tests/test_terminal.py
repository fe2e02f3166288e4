import io
import logging
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from sourceline.cli import render as terminal
from sourceline.doctor import Finding
from sourceline.text import LogFormat, one_line, printable
from sourceline.types import (
    Answer,
    BuildReport,
    Citation,
    CitationStatus,
    Hit,
    Location,
    Passage,
    PassageInContext,
    Scores,
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
    return Answer("Who?", confidence >= 0.5, confidence, hits, "00000001")


def hit(sentence: str, title: str = "Title", document: str = "a.txt", highlights: tuple[Span, ...] = ()) -> Hit:
    return Hit(1, 0.7, passage(sentence, document), title, "", "", highlights, Scores(0.5, 1.25, 0.7))


def test_matched_words_are_bold() -> None:
    found = shown(terminal.answer(answer(hit("The bridge opens.", highlights=(Span(4, 10),))), explain=False))
    assert "1. The \x1b[1mbridge\x1b[0m opens." in found


def test_highlights_stay_in_their_place_behind_control_characters() -> None:
    found = shown(terminal.answer(answer(hit("\x1b\x07\r bridge", highlights=(Span(4, 10),))), explain=False))
    assert "    \x1b[1mbridge\x1b[0m" in found


@pytest.mark.parametrize(("confidence", "verdict"), [(0.9, "Answered, confidence 90%."), (0.2, "(confidence 20%)")])
def test_the_verdict_comes_first(confidence: float, verdict: str) -> None:
    found = text(terminal.answer(answer(hit("The bridge opens."), confidence=confidence), explain=True))
    assert verdict in found.splitlines()[0]
    assert found.splitlines()[-1] == "   late 0.700 · dense 0.500 · BM25 1.25"


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
    found = text(terminal.answer(answer(replace(hit("The bridge opens."), also=also)), explain=False))
    assert found.splitlines()[-1] == line


def test_nothing_found_is_said() -> None:
    assert text(terminal.answer(answer(confidence=0), explain=False)) == "No passage was found.\n"


def test_nothing_in_an_answer_is_obeyed_by_the_terminal() -> None:
    found = text(terminal.answer(answer(hit(HOSTILE, HOSTILE, HOSTILE)), explain=False))
    assert found.splitlines()[2:] == [
        f"1. {HARMLESS}",
        f"   {HARMLESS} · {HARMLESS}, line 3 · abcdefghijklmnop",
    ]


def test_nothing_in_a_citation_is_obeyed_by_the_terminal() -> None:
    old, new = (PassageInContext(passage(HOSTILE, HOSTILE, HOSTILE), HOSTILE, HOSTILE, HOSTILE) for _ in range(2))
    found = text(terminal.citation(Citation("abcdefghijklmnop", CitationStatus.CHANGED, old, new, 0.5)))
    assert found.splitlines() == [
        "changed: the sentence was edited",
        HARMLESS,
        f"  cited from {HARMLESS} · {HARMLESS}, line 3",
        "now (similarity 0.50):",
        HARMLESS,
        f"  {HARMLESS} · {HARMLESS}, line 3 · abcdefghijklmnop",
    ]


def test_nothing_in_a_report_or_finding_is_obeyed_by_the_terminal() -> None:
    report = BuildReport("00000001", (), (), (), (), {f"{HOSTILE}\nb": HOSTILE}, 1, 1, 1, 0.5)
    assert terminal.report(report).splitlines()[-1] == f"skipped {HARMLESS} b: {HARMLESS}"
    assert text(terminal.finding(Finding(HOSTILE, False, f"{HOSTILE}\nb"))) == f"BAD {HARMLESS}: {HARMLESS} b\n"


def test_the_log_keeps_its_lines_and_nothing_in_it_is_obeyed() -> None:
    record = logging.LogRecord("sourceline", logging.ERROR, "a.py", 1, "no %s\nhere", (HOSTILE,), None)
    assert LogFormat("sourceline: %(message)s").format(record) == f"sourceline: no {HARMLESS}\nhere"


@pytest.mark.parametrize("kept", ["می‌خواهم", "क्‍ष", "👩‍👩‍👧", "naïve 北京 😀", "two\nlines"])
def test_text_of_any_script_is_shown_as_it_stands(kept: str) -> None:
    assert printable(kept) == kept


@given(st.text())
def test_what_is_shown_has_the_same_length_and_nothing_that_a_terminal_obeys(written: str) -> None:
    found = printable(written)
    assert len(found) == len(written)
    assert all(now in (was, " ") for was, now in zip(written, found, strict=True))
    assert all(character in "\n\u200c\u200d" or character.isprintable() for character in found)
    assert "\n" not in one_line(written)


def on_terminal(what: Answer, width: int, explain: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="truecolor", highlight=False, width=width)
    console.print(terminal.answer(what, explain, on_terminal=True))
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
    found = hit("The bridge opens.", highlights=(Span(4, 10),))
    found = replace(found, before="It was long.", after="All came.")
    shown_there = on_terminal(answer(found), 80)
    assert "\x1b[2mIt was long.\x1b[0m The \x1b[1;33mbridge\x1b[0m opens. \x1b[2mAll came.\x1b[0m" in shown_there
    assert "\x1b[36mabcdefghijklmnop\x1b[0m" in shown_there


@pytest.mark.parametrize("width", [20, 33, 47, 60])
def test_a_citation_is_never_broken_over_two_lines(width: int) -> None:
    long = hit("The bridge opens.", title="A long title of a report", document="folder/with/a/long/name.txt")
    assert "abcdefghijklmnop" in STYLE.sub("", on_terminal(answer(long), width))


def test_on_a_terminal_control_characters_are_harmless_beside_the_sentence_too() -> None:
    found = replace(hit("It opens."), before=HOSTILE, after=HOSTILE)
    assert STYLE.sub("", on_terminal(answer(found), 500)).count(HARMLESS) == 2
