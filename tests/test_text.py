import doctest
import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceline import text as module
from sourceline.text import PrintableFormatter, normalize_text, one_line, printable
from tests.support.texts import texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Trade grew by 7.5 percent.", "trade grew by 7.5 percent"),
        ("  – “TRADE”\u00a0grew\r\nby 7.5 percent!", "- trade grew by 7.5 percent"),
        ("Straße", "strasse"),
        ("ﬁne \uff34\uff52\uff41\uff44\uff45", "fine trade"),
        ("Cafe\u0301", "caf\u00e9"),
        ("ß\u0301", "s\u015b"),
        ("e’\u0301", "\u00e9"),
        ("It costs $5", "it costs $5"),
        ("It costs €5", "it costs €5"),
        ("हिन्दी", "हिन्दी"),
        ("東京。", "東京。"),
        ("?!", "?!"),
        ("👍", "👍"),
    ],
)
def test_case_quotes_spaces_and_closing_marks_are_normalized_away(text: str, expected: str) -> None:
    assert normalize_text(text) == unicodedata.normalize("NFC", expected)


@pytest.mark.parametrize(
    ("text", "other"),
    [("7 percent", "8 percent"), ("कि", "का"), ("?!", "!?"), ("a b", "ab"), ("Resume", "Résumé"), ("1.5", "15")],
)
def test_texts_that_say_something_else_stay_apart(text: str, other: str) -> None:
    assert normalize_text(text) != normalize_text(other)


@given(texts)
def test_normalized_text_is_words_or_the_text_itself_and_stays_as_it_is(text: str) -> None:
    normalized = normalize_text(text)
    assert normalized == text or normalized.split(" ") == normalized.split() != []
    assert normalize_text(normalized) == normalized
    assert normalize_text(f"  “{text}” !") == normalized or normalized == text


@pytest.mark.parametrize("text", ["می‌خواهم", "क्‍ष", "👩‍👩‍👧", "naïve 北京 😀", "two\nlines"])
def test_text_of_any_script_is_shown_as_it_stands(text: str) -> None:
    assert printable(text) == text


@given(st.text())
def test_shown_text_has_the_same_length_and_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(after in (before, " ") for before, after in zip(text, shown, strict=True))
    assert all(character in "\n\u200c\u200d" or character.isprintable() for character in shown)
    assert one_line(text) == shown.replace("\n", " ")


def test_the_log_keeps_its_lines_and_nothing_in_it_is_obeyed_by_the_terminal() -> None:
    hostile = "\x1b[2J\x1b]0;pwned\x07 \x9b31m\r\x08 \u202e\u2066"
    record = logging.LogRecord("sourceline", logging.ERROR, "a.py", 1, "no %s\nhere", (hostile,), None)
    harmless = " [2J ]0;pwned   31m     "
    assert PrintableFormatter("sourceline: %(message)s").format(record) == f"sourceline: no {harmless}\nhere"


def test_the_examples_of_the_module_hold() -> None:
    assert doctest.testmod(module).failed == 0
