import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Rebuild
from tests.support.api import serve
from tests.support.commands import Command
from tests.support.reading import SURELY, read_with, score_for

BRIDGE = "The bridge opens on Monday."


@pytest.fixture
def bridges(documents: Path, index: Path, rebuild: Rebuild) -> Path:
    """An index of two documents, about a bridge and a tower."""
    (documents / "a.txt").write_text(f"{BRIDGE} It is made of oak.\n")
    (documents / "towers").mkdir()
    (documents / "towers" / "b.md").write_text("# Towers\n\nThe tower was sold in June.\n")
    rebuild(documents, index)
    return index


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with scores that are made up: the bridge answers whatever is asked."""
    read_with(monkeypatch, {BRIDGE: SURELY})


def test_the_sentences_are_printed_best_first_with_their_citations(sourceline: Command, bridges: Path) -> None:
    answer = sourceline("ask", "When does the bridge open?", "-k", "2", "--index", bridges, "--json").json()
    outcome = sourceline("ask", "When does the bridge open?", "-k", "2", "--index", bridges)
    first, second = (passage["citation"] for passage in answer["passages"])
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        f"Answered, confidence {answer['confidence']:.0%}.",
        "",
        f"1. {BRIDGE}",
        f"   a · a.txt, line 1 · {first}",
        "",
        f"2. {answer['passages'][1]['text']}",
        f"   {answer['passages'][1]['document']['title']} · {answer['passages'][1]['document']['id']}, "
        f"line {answer['passages'][1]['location']['line']} · {second}",
    ]


def test_colour_is_for_terminals_only(sourceline: Command, bridges: Path) -> None:
    arguments = ("ask", "When does the bridge open?", "-k", "1", "--mode", "fast", "--index", str(bridges))
    terminal, end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "30"}
    environment.pop("NO_COLOR", None)
    subprocess.run([sys.executable, "-m", "sourceline", *arguments], stdout=end, check=True, env=environment)
    os.close(end)
    with open(terminal, "rb", buffering=0) as shown:
        coloured = shown.read(10_000).decode()
    piped = sourceline(*arguments).out
    assert "\x1b[1;33mbridge\x1b[0m" in coloured
    assert "\x1b" not in piped
    words = re.sub(r"\x1b\[[\d;]*m", "", coloured).split()
    sentence, where = piped.split(BRIDGE)
    assert words == [*sentence.split(), *BRIDGE.split(), *"It is made of oak.".split(), *where.split()]


def test_what_is_not_answered_is_said_before_the_nearest_passages(sourceline: Command, bridges: Path) -> None:
    outcome = sourceline("ask", "At what temperature does mercury boil?", "--mode", "fast", "--index", bridges)
    first, *rest = outcome.out.splitlines()
    assert re.fullmatch(r"The documents do not seem to answer this \(confidence \d+%\)\. The nearest passages:", first)
    assert sum(line[:1].isdigit() for line in rest) == 3


@pytest.mark.parametrize(
    ("threshold", "verdict", "line"),
    [
        ("0", "answered", "Answered, confidence 35%."),
        ("0.5", "unsure", "The first passage may be an answer (confidence 35%)."),
        ("1", "not_answered", "The documents do not seem to answer this (confidence 35%). The nearest passages:"),
    ],
)
def test_the_threshold_says_what_counts_as_answered(
    sourceline: Command, bridges: Path, monkeypatch: pytest.MonkeyPatch, threshold: str, verdict: str, line: str
) -> None:
    read_with(monkeypatch, {BRIDGE: score_for(0.35)})
    arguments = ("ask", "When does the bridge open?", "--index", bridges, "--threshold", threshold)
    printed = sourceline(*arguments, "--json").json()
    assert (printed["verdict"], printed["answerable"]) == (verdict, verdict == "answered")
    assert sourceline(*arguments).out.splitlines()[0] == line


def test_in_mode_fast_and_without_a_reranker_nothing_reads(
    sourceline: Command, bridges: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first(*more: str) -> str:
        (passage,) = sourceline("ask", "Who bought the tower?", "-k", "1", "--index", bridges, "--json", *more).json()[
            "passages"
        ]
        return str(passage["text"])

    tower = "The tower was sold in June."
    assert first() == first("--mode", "read") == first("--reranker", "reader") == BRIDGE
    assert first("--mode", "fast") == tower
    monkeypatch.setenv("SOURCELINE_RERANKER", "reader")
    assert first("--reranker", "none") == first("--reranker=none", "--mode", "read") == tower
    monkeypatch.setenv("SOURCELINE_RERANKER", "none")
    assert first() == tower


def test_explain_shows_the_component_scores(sourceline: Command, bridges: Path) -> None:
    arguments = ("ask", "When does the bridge open?", "-k", "1", "--explain", "--index", bridges)
    (passage,) = sourceline(*arguments, "--json").json()["passages"]
    scores = passage["scores"]
    assert scores["reader"] == SURELY
    shown = f"   reader 50.00 · late {scores['late']:.3f} · dense {scores['dense']:.3f} · BM25 {scores['bm25']:.2f}"
    assert sourceline(*arguments).out.splitlines()[-1] == shown
    assert "reader" not in sourceline(*arguments, "--mode", "fast").out


def test_a_filter_that_no_document_matches_finds_nothing(sourceline: Command, bridges: Path) -> None:
    outcome = sourceline("ask", "When?", "--document", "nowhere/*", "--index", bridges)
    assert (outcome.code, outcome.out) == (0, "No passage was found.\n")


@pytest.mark.parametrize(
    "more", [[], ["-k", "1"], ["--explain"], ["--mode", "fast"], ["--document", "towers/*", "--document", "a.txt"]]
)
def test_json_is_the_answer_of_the_api(sourceline: Command, documents: Path, bridges: Path, more: list[str]) -> None:
    printed = sourceline("ask", "Who bought the tower?", *more, "--index", bridges, "--json").json()
    query = {
        "k": more[1] if more[:1] == ["-k"] else 5,
        "explain": "--explain" in more,
        "mode": "fast" if "fast" in more else "read",
    }
    patterns = [pattern for pattern in more if pattern.endswith(("*", ".txt"))]
    with serve(documents, bridges) as client:
        answer = client.get(
            "/v1/ask", params={"question": "Who bought the tower?", "document": patterns, **query}
        ).json()
    assert printed["took_ms"] > 0
    assert printed | {"took_ms": 0} == answer | {"took_ms": 0}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--index", "INDEX", "ask", "--json", "When does the bridge open?"],
        ["ask", "--json", "When does the bridge open?", "--index", "INDEX"],
        ["ask", "--index=INDEX", "--json", "When does the bridge open?"],
        ["ask", "--json", "--backend", "onnx", "When does the bridge open?", "--documents=x", "--index", "INDEX"],
        ["--index", "nowhere", "ask", "--json", "When does the bridge open?", "--index", "INDEX"],
        ["--index", "INDEX", "ask", "--json", "--", "When does the bridge open?"],
    ],
)
def test_global_options_stand_before_or_behind_the_command(
    sourceline: Command, bridges: Path, arguments: list[str]
) -> None:
    answer = sourceline(*(argument.replace("INDEX", str(bridges)) for argument in arguments)).json()
    assert answer["passages"][0]["text"] == BRIDGE


@pytest.mark.parametrize("question", ["-when does the bridge open?", "--index", "--help", "-k", "--", "-1 bridge"])
def test_a_question_that_begins_with_a_dash_stands_behind_two(
    sourceline: Command, bridges: Path, question: str
) -> None:
    assert sourceline("ask", "--json", "--index", bridges, "--", question).json()["question"] == question


def test_markup_and_control_characters_are_shown_as_text(
    sourceline: Command, documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "[bold]x.md").write_text(
        "# [red]Title\x1b[31m[/red]\n\nThe [red]budget[/red] of \x1b]0;pwned\x07 Ostrava \x9b2J grew by [9] percent.\n"
    )
    rebuild(documents, index)
    question = "How much did the [red]budget[/] \x1b[31m grow?"
    outcome = sourceline("ask", question, "-k", "1", "--index", index)
    assert outcome.out.splitlines()[2] == "1. The [red]budget[/red] of  ]0;pwned  Ostrava  2J grew by [9] percent."
    assert outcome.out.splitlines()[3].startswith("   [red]Title [31m[/red] · [bold]x.md, line 3 · ")
    assert not set(outcome.out) & set("\x1b\x07\x9b")
    printed = sourceline("ask", question, "-k", "1", "--index", index, "--json")
    assert "\x1b" not in printed.out
    assert printed.json()["question"] == question
    (passage,) = printed.json()["passages"]
    assert passage["text"] == "The [red]budget[/red] of \x1b]0;pwned\x07 Ostrava \x9b2J grew by [9] percent."
    assert sourceline("cite", passage["citation"], "--index", index).out.splitlines()[1:] == [
        "The [red]budget[/red] of  ]0;pwned  Ostrava  2J grew by [9] percent.",
        "  cited from [red]Title [31m[/red] · [bold]x.md, line 3",
    ]


def test_a_long_sentence_is_not_broken_for_a_pipe(
    sourceline: Command, documents: Path, index: Path, rebuild: Rebuild
) -> None:
    sentence = f"The bridge, {'the tower, ' * 40}the mill and the pier were sold."
    (documents / "a.txt").write_text(sentence)
    rebuild(documents, index)
    assert sourceline("ask", "What was sold?", "--index", index).out.splitlines()[2] == f"1. {sentence}"
    printed = sourceline("ask", "What was sold?", "--index", index, "--json").out
    assert json.loads(printed)["passages"][0]["text"] == sentence
