import io
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from sourceline import terminal
from sourceline.doctor import Finding
from sourceline.evaluation.score import Asked, Evaluation
from sourceline.index.build import Report
from sourceline.types import Answer, Citation, Hit, Location, Passage, Scores, Span, Standing, Status

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


def test_nothing_found_is_said() -> None:
    assert text(terminal.answer(answer(confidence=0), explain=False)) == "No passage was found.\n"


def test_nothing_in_an_answer_is_obeyed_by_the_terminal() -> None:
    found = text(terminal.answer(answer(hit(HOSTILE, HOSTILE, HOSTILE)), explain=False))
    assert found.splitlines()[2:] == [
        f"1. {HARMLESS}",
        f"   {HARMLESS} · {HARMLESS}, line 3 · abcdefghijklmnop",
    ]


def test_nothing_in_a_citation_is_obeyed_by_the_terminal() -> None:
    old, new = (Standing(passage(HOSTILE, HOSTILE, HOSTILE), HOSTILE, HOSTILE, HOSTILE) for _ in range(2))
    found = text(terminal.citation(Citation("abcdefghijklmnop", Status.CHANGED, old, new, 0.5)))
    assert found.splitlines() == [
        "changed: the sentence was edited",
        HARMLESS,
        f"  cited from {HARMLESS} · {HARMLESS}, line 3",
        "now (similarity 0.50):",
        HARMLESS,
        f"  {HARMLESS} · {HARMLESS}, line 3 · abcdefghijklmnop",
    ]


def test_nothing_in_a_report_or_finding_is_obeyed_by_the_terminal() -> None:
    report = Report("00000001", (), (), (), (), {f"{HOSTILE}\nb": HOSTILE}, 1, 1, 1, 0.5)
    assert terminal.report(report).splitlines()[-1] == f"skipped {HARMLESS} b: {HARMLESS}"
    assert text(terminal.finding(Finding(HOSTILE, False, f"{HOSTILE}\nb"))) == f"BAD {HARMLESS}: {HARMLESS} b\n"


def test_the_name_of_a_labelled_set_is_no_markup() -> None:
    found = text(terminal.evaluation(HOSTILE, Evaluation(2, (Asked("1", True, 0.5, {"R@1": 1}),), {"R@1": 1}, None)))
    # The title is broken to the width of the table.
    assert " ".join(f"{HARMLESS}: 2 passages, 1 questions".split()) in " ".join(found.split())


def test_the_log_keeps_its_lines_and_nothing_in_it_is_obeyed() -> None:
    record = logging.LogRecord("sourceline", logging.ERROR, "a.py", 1, "no %s\nhere", (HOSTILE,), None)
    assert terminal.LogFormat("sourceline: %(message)s").format(record) == f"sourceline: no {HARMLESS}\nhere"


@pytest.mark.parametrize("kept", ["می‌خواهم", "क्‍ष", "👩‍👩‍👧", "naïve 北京 😀", "two\nlines"])
def test_text_of_any_script_is_shown_as_it_stands(kept: str) -> None:
    assert terminal.printable(kept) == kept


@given(st.text())
def test_what_is_shown_has_the_same_length_and_nothing_that_a_terminal_obeys(written: str) -> None:
    found = terminal.printable(written)
    assert len(found) == len(written)
    assert all(now in (was, " ") for was, now in zip(written, found, strict=True))
    assert all(character in "\n\u200c\u200d" or character.isprintable() for character in found)
    assert "\n" not in terminal.one_line(written)
