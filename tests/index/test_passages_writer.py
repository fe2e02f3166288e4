"""No text is there twice, and a document's comes back whole; parts are known by their keys and their places."""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.index.passage_store import FILE, PassageStore, PassageStoreWriter
from sourceline.ingest.sentences import passages as split
from tests.texts import document, texts


@settings(deadline=None, max_examples=150)
@given(st.lists(texts, min_size=1, max_size=3), st.sampled_from(["txt", "md"]))
def test_a_text_comes_back_as_it_was_whatever_stands_between_its_passages(contents: list[str], ending: str) -> None:
    documents = [document(text, f"{number}.{ending}") for number, text in enumerate(contents)]
    with TemporaryDirectory() as folder:
        with PassageStoreWriter(Path(folder)) as writer:
            for one in documents:
                writer.add(one, split(one))
            writer.write()
        stored = PassageStore(Path(folder), 1)
        assert [stored.text_of(entry) for entry in stored.documents] == contents
        for entry, one in zip(stored.documents, documents, strict=True):
            assert all(one.text[p.start : p.end] == p.text for p in stored.of_document(entry))


@pytest.fixture
def stored(tmp_path: Path) -> PassageStore:
    """Two documents of four answers each. The second part of the first comes back twice."""
    one, other = (document("One. Two. Three. Four.\n", name) for name in ("a.txt", "b.txt"))
    with PassageStoreWriter(tmp_path) as writer:
        writer.add(one, split(one), [(b"first", 1), (b"again", 1), (b"again", 1), (b"last", 1)], 4)
        writer.add(other, split(other), [(b"again", 1), (b"own", 3)], 2)
        writer.add(document("# Empty\n", "c.md"), split(document("# Empty\n", "c.md")))
        writer.write()
    return PassageStore(tmp_path, 1)


def test_parts_are_stored_in_order_those_too_that_are_repeated(stored: PassageStore, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        parts = connection.execute("SELECT * FROM parts ORDER BY first_row").fetchall()
    assert parts == [
        *((0, b"first", 1), (1, b"again", 1), (2, b"again", 1), (3, b"last", 1)),
        *((4, b"again", 1), (5, b"own", 3)),
    ]
    assert [entry.parts for entry in stored.documents] == [4, 2, 0]


def test_a_part_is_found_by_its_key_in_a_place_where_it_stands(stored: PassageStore) -> None:
    assert [stored.part(key) for key in (b"first", b"last", b"own")] == [range(1), range(3, 4), range(5, 8)]
    assert stored.part(b"again") in (range(1, 2), range(2, 3), range(4, 5))
    assert stored.part(b"none") is None
