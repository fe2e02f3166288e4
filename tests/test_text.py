import doctest
import unicodedata

import pytest
from hypothesis import given

from sourceline import text as text_module
from sourceline.text import normalize_text
from tests.support.texts import texts


@pytest.mark.parametrize(
    ("text", "normalized"),
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
def test_normalizing_leaves_out_case_quotes_closing_marks_and_kinds_of_space(text: str, normalized: str) -> None:
    assert normalize_text(text) == unicodedata.normalize("NFC", normalized)


@pytest.mark.parametrize(
    ("text", "other"),
    [("7 percent", "8 percent"), ("कि", "का"), ("?!", "!?"), ("a b", "ab"), ("Resume", "Résumé"), ("1.5", "15")],
)
def test_texts_that_say_something_else_stay_different(text: str, other: str) -> None:
    assert normalize_text(text) != normalize_text(other)


@given(texts)
def test_a_normalized_text_is_words_or_the_text_itself_and_stays_as_it_is(text: str) -> None:
    normalized = normalize_text(text)

    assert normalized == text or normalized.split(" ") == normalized.split() != []
    assert normalize_text(normalized) == normalized
    assert normalize_text(f"  “{text}” !") == normalized or normalized == text


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(text_module).failed == 0
