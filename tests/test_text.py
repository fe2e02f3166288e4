import doctest
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceline import text as module
from sourceline.text import (
    escape_json,
    normalize_text,
    one_line,
    plain_typography,
    printable,
    same_but_typography,
)
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Run the installer.", "Run the installer."),
        (" Don’t \t“go”,\r\nsaid\u00a0O‘Neill\u2028… ", "Don't \"go\", said O'Neill ..."),
        ("„so“ »so« «so» “so” ”so” ‚so‘ ‹so›", '"so" "so" "so" "so" "so" \'so\' \'so\''),
        ("Il dit : «\u202foui\u202f», (« non »)", 'Il dit : "oui", ("non")'),
        ("»Hallo« sagte er, »Hallo«.", '"Hallo" sagte er, "Hallo".'),
        ("5′ 3″, צה״ל", '5\' 3", צה"ל'),
        ("Cafe\u0301 re\u00adfurb\u200bished\ufeff", "Caf\u00e9 refurbished"),
        ("e\u00ad\u0301", "\u00e9"),
        ("a no\u2011break and a\u2010hyphen", "a no-break and a-hyphen"),
        ("a well-\r\n  known Anglo-\nAmerican", "a well-known Anglo-American"),
        ("Ein- und Ausgang - Tür", "Ein-und Ausgang - Tür"),
        ("5 – 7 — 9 −1 -- x", "5 – 7 — 9 −1 -- x"),
        ("½ m² № Ⅳ ＡＢ", "½ m² № Ⅳ ＡＢ"),
        ("the ﬁnal oﬃce", "the final office"),
        ("> one\n> two\r\n>> three > two", "> one two three > two"),
        ("会议 于\n星期一 3 月\u3000举行", "会议于星期一3月举行"),
        ("ประชุม\nวันจันทร์", "ประชุมวันจันทร์"),
        ("서울\n시청", "서울 시청"),
        ("می‌خواهم 👩‍👩‍👧", "می‌خواهم 👩‍👩‍👧"),
        ("", ""),
        ("\u00ad", "\u00ad"),
    ],
)
def test_typography_is_made_plain_and_nothing_else(text: str, expected: str) -> None:
    assert plain_typography(text) == expected


@given(texts)
def test_plain_typography_stays_as_it_is_and_keeps_the_words(text: str) -> None:
    plain = plain_typography(text)
    assert plain_typography(plain) == plain
    assert plain or not text
    letters = [c for c in unicodedata.normalize("NFKC", plain) if c.isalnum()]
    assert letters == [c for c in unicodedata.normalize("NFKC", unicodedata.normalize("NFC", text)) if c.isalnum()]


@given(texts)
def test_line_ends_and_the_encoding_of_accents_make_no_difference(text: str) -> None:
    assert plain_typography(unicodedata.normalize("NFD", text)) == plain_typography(text)
    one = text.replace("\r\n", "\n").replace("\r", "\n")
    assert plain_typography("x" + one.replace("\n", "\r\n")) == plain_typography("x" + one)


@pytest.mark.parametrize(
    ("text", "other", "same"),
    [
        ("the refurbish-\nment", "the refurbishment", True),
        ("the refurbish-\nment", "the refur-\r\nbishment", True),
        ("the well-\nknown firm", "the well-known firm", True),
        ("the firm re-signed", "the firm resigned", False),
        ("Don’t go", "Don't\ngo", True),
        ("Trade grew", "trade grew", False),
        ("5-\n7", "57", False),
    ],
)
def test_texts_are_the_same_but_for_typography(text: str, other: str, same: bool) -> None:
    assert same_but_typography(text, other) is same
    assert same_but_typography(other, text) is same


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


def test_the_examples_of_the_module_hold() -> None:
    assert doctest.testmod(module).failed == 0


def test_json_says_the_same_with_nothing_in_it_that_a_terminal_obeys() -> None:
    value = {"text": "é 水 \u202e\u2066 \x9b31m \x1b[2J \U000e0041 \u200d \u2028 👍", "a\x85": [1, None]}

    escaped = escape_json(json.dumps(value, indent=1, ensure_ascii=False))

    assert json.loads(escaped) == value
    assert "é 水 " + r"\u202e\u2066 \u009b31m \u001b[2J \udb40\udc41 " + "\u200d " + r"\u2028" + " 👍" in escaped
    assert all(character.isprintable() or character in "\n\u200d" for character in escaped)
