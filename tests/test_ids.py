import doctest
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceline import ids
from sourceline.ids import citation_id, exact_citation_id
from sourceline.ingest.sentences import split_passages
from sourceline.text import nfc, plain_typography
from tests.support.texts import document, texts

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@pytest.mark.parametrize(
    ("document_id", "text", "occurrence", "id_"),
    [
        ("guide/setup.txt", "Run the installer.", 0, "zhiyzuiwnpkr56wq"),
        ("guide/setup.txt", "Run the installer.", 1, "hqvf3cuxv3mu5mg6"),
        ("guide/setup.txt", "Run the installer", 0, "7ojalg7zmnyejh2p"),
        ("guide/setup.md", "Run the installer.", 0, "rroubs2upt6kjkbd"),
        ("ü/会议.md", "Ça va 👍 bien.", 12, "5f22rwxkhgmcp2ai"),
    ],
)
def test_an_id_is_the_same_for_ever(document_id: str, text: str, occurrence: int, id_: str) -> None:
    assert citation_id(document_id, text, occurrence) == id_
    assert exact_citation_id(document_id, text, occurrence) == id_


def test_an_id_of_an_older_index_is_of_the_exact_text() -> None:
    assert exact_citation_id("ü/会议.md", "Ça va 👍\r\nbien.", 12) == "dz7ln2ejbvxgafc2"
    assert citation_id("ü/会议.md", "Ça va 👍\r\nbien.", 12) == citation_id("ü/会议.md", "Ça va 👍 bien.", 12)


def test_the_name_of_a_document_is_the_same_on_macos() -> None:
    assert citation_id("u\u0308/a\u0301.md", "One.", 0) == citation_id("\u00fc/\u00e1.md", "One.", 0)


@given(names, texts, st.integers(0, 10**9))
def test_an_id_is_16_characters_that_any_program_can_carry(document_id: str, text: str, occurrence: int) -> None:
    assert re.fullmatch(r"[a-z2-7]{16}", citation_id(document_id, text, occurrence))


@given(st.lists(st.tuples(names, texts, st.integers(0, 200)), unique=True, min_size=2, max_size=8))
def test_another_document_text_or_occurrence_gives_another_id(parts: list[tuple[str, str, int]]) -> None:
    different = {(nfc(document_id), plain_typography(text), number) for document_id, text, number in parts}
    assert len({citation_id(*part) for part in parts}) == len(different)


def test_the_parts_of_an_id_do_not_run_into_each_other() -> None:
    assert citation_id("a1", "2", 3) != citation_id("a", "12", 3)
    assert citation_id("a", "b", 11) != citation_id("a", "1\0b", 1)


@given(st.dictionaries(st.sampled_from(["a.txt", "b.txt", "a.md", "d/a.txt"]), texts.map(lambda text: text * 3)))
def test_ids_are_unique_within_a_corpus(corpus: dict[str, str]) -> None:
    citations = [passage.id for id_, text in corpus.items() for passage in split_passages(document(text, id_))]

    assert len(set(citations)) == len(citations)


def test_the_example_of_the_module_holds() -> None:
    assert doctest.testmod(ids).failed == 0
