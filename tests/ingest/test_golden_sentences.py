"""Sentences by hand, in seven languages: what is split, what is not, and how many of them are right."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sourceline.ingest.languages import guess_language
from sourceline.ingest.sentences import sentence_spans

CASES = [
    json.loads(line) for line in (Path(__file__).parent / "golden_sentences.jsonl").read_text("utf-8").splitlines()
]
# These come out wrong: sentencex proposes no end before "Col.".
WRONG = {"en-title-18"}
FLOOR = 0.99


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text, 0, len(text), guess_language(text))]


def is_right(case: dict[str, Any]) -> bool:
    return bool(split(case["text"]) == case["sentences"])


def test_there_are_enough_cases_of_each_language() -> None:
    languages = Counter(case["language"] for case in CASES)
    assert len(CASES) >= 200
    assert languages["en"] >= 120
    assert all(languages[language] >= 10 for language in ("de", "fr", "es", "zh", "ar", "hi"))
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case["name"] not in WRONG], ids=lambda case: case["name"])
def test_sentences_end_where_they_do(case: dict[str, Any]) -> None:
    assert split(case["text"]) == case["sentences"]


def test_the_score_holds() -> None:
    right = {case["name"] for case in CASES if is_right(case)}
    for language, count in Counter(case["language"] for case in CASES).items():
        print(language, sum(name.startswith(language) for name in right), "of", count)
    assert {case["name"] for case in CASES} - right == WRONG
    assert len(right) / len(CASES) >= FLOOR


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The pool is open and the bridge is not.", "en"),
        ("Der Rat tagte im Zollhaus, und die Brücke wurde genehmigt.", "de"),
        ("Le pont est fermé et la route aussi.", "fr"),
        ("El puente está cerrado y la calle también.", "es"),
        ("会议于三点开始。", "zh"),
        ("会議は三時に始まった。", "ja"),
        ("اجتمع المجلس يوم الاثنين.", "ar"),
        ("बैठक सोमवार को हुई।", "hi"),
        ("Совет собрался в понедельник.", "ru"),
        ("Budget 2026", "en"),
        ("", "en"),
        ("👍 12", "en"),
    ],
)
def test_the_language_is_guessed(text: str, language: str) -> None:
    assert guess_language(text) == language
