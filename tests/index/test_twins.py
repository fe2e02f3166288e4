import doctest
import unicodedata

import pytest
from hypothesis import given

from sourceline.index import passage_store as duplicates
from sourceline.index.passage_store import DuplicateFinder, same
from tests.texts import texts


@pytest.mark.parametrize(
    ("text", "words"),
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
def test_case_punctuation_and_spaces_are_left_out(text: str, words: str) -> None:
    assert same(text) == unicodedata.normalize("NFC", words)


@pytest.mark.parametrize(
    ("one", "other"),
    [("7 percent", "8 percent"), ("कि", "का"), ("?!", "!?"), ("a b", "ab"), ("Resume", "Résumé"), ("1.5", "15")],
)
def test_what_says_something_else_is_no_twin(one: str, other: str) -> None:
    assert same(one) != same(other)


@given(texts)
def test_what_twins_have_in_common_is_words_or_the_text_itself(text: str) -> None:
    words = same(text)
    assert words == text or words.split(" ") == words.split() != []
    assert same(words) == words
    assert same(f"  “{text}” !") == words or words == text


def test_the_first_of_each_text_is_named() -> None:
    finder = DuplicateFinder()
    for row, text in enumerate(["One.", "Two.", "one", "Three.", "TWO", "“one”"]):
        finder.add(text, row)
    assert finder.duplicates == {0: 0, 2: 0, 5: 0, 1: 1, 4: 1}


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(duplicates).failed == 0
