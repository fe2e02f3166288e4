"""What a snapshot takes over from the one before is what it would have been written anew, file by file."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sourceline.encoders.base import l2_normalize
from sourceline.encoders.ranking_head import identity_head
from sourceline.index import dense
from sourceline.index.dense import DenseIndex, DenseWriter
from sourceline.index.multivector import (
    NO_TOKEN,
    TWO_BYTES,
    EncodedChunk,
    MultiVectorIndex,
    MultiVectorWriter,
    open_codec,
)
from sourceline.index.passage_store import FILE, DocumentEntry, PassageStore, PassageStoreWriter
from sourceline.ingest.sentences import passages as split
from tests.texts import document

# Twins within a document and across them, headings without an answer, answers without a heading.
CONTENTS = [
    "Trade grew. It rained.\n",
    "# Title\n",
    "“Trade grew!”\n\nTRADE GREW\n",
    "# A\n\nIt rained. No.\n",
    "No.\n",
]
NAMES = [f"{name}.md" for name in "abcdef"]
CORPORA = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(CONTENTS))
DIMENSION, VOCABULARY = 96, 50
CODEC = open_codec(TWO_BYTES, identity_head(DIMENSION))
RANDOM = np.random.default_rng(3)
VECTORS = l2_normalize(RANDOM.normal(size=(400, DIMENSION)).astype(np.float32)).astype(np.float16)


def named(**numbers: int) -> dict[str, str]:
    return {f"{name}.md": CONTENTS[number] for name, number in numbers.items()}


def tables(folder: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        names = "documents", "passages", "parts"
        return [connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in names]


def write(folder: Path, corpus: dict[str, str], before: Path | None = None) -> list[str]:
    """Write a corpus, with what is unchanged taken over in runs; return the texts that were taken."""
    folder.mkdir()
    entries = {entry.id: entry for entry in PassageStore(before, 1).documents} if before else {}
    documents = [replace(document(text, name), sha256=text) for name, text in sorted(corpus.items())]
    texts: list[str] = []
    run: list[DocumentEntry] = []
    with PassageStoreWriter(folder, before) as writer:
        for one in documents:
            entry = entries.get(one.id)
            taken = entry is not None and entry.sha256 == one.sha256
            if run and not (taken and entry and entry.number == run[-1].number + 1):
                texts += writer.take(run)
                run = []
            if taken and entry:
                run.append(entry)
                continue
            found = split(one)
            rows = sum(not passage.heading for passage in found)
            parts = [(one.text.encode(), rows)] if rows else []
            writer.add(one, found, parts, len(parts))
        if run:
            texts += writer.take(run)
        writer.write()
    return texts


@settings(deadline=None, max_examples=200)
@given(CORPORA, CORPORA)
@example(named(b=0, c=2), named(a=4, b=0, c=2))  # one came at the start
@example(named(a=0, b=2, c=1), named(b=2, c=1))  # went at the start, with the first of some twins
@example(named(a=1, b=1, c=2), named(a=1, c=2))  # in the middle, without an answer
@example(named(a=0, b=2, c=4), named(a=0, b=3, c=4))  # changed in the middle
@example(named(a=0, b=1), named(a=0, b=1, c=2))  # came at the end
@example(named(a=0, b=2), named(a=0))  # went at the end, with the other of some twins
@example(named(a=0, b=3, c=2), named(b=3, c=2, f=0))  # was renamed from the start to the end
def test_passages_with_their_twins_wherever_documents_came_and_went(old: dict[str, str], new: dict[str, str]) -> None:
    with TemporaryDirectory() as root:
        before, steps, fresh = (Path(root) / name for name in ("before", "steps", "fresh"))
        write(before, old)
        taken = write(steps, new, before)
        assert write(fresh, new) == []
        assert tables(steps) == tables(fresh)
        unchanged = [document(new[name], name) for name in sorted(new) if old.get(name) == new[name]]
        assert taken == [p.text for one in unchanged for p in split(one) if not p.heading]


def test_passages_that_are_twins_no_more_have_none(tmp_path: Path) -> None:
    write(tmp_path / "before", {"a.md": "Trade grew.\n", "b.md": "Trade grew!\n"})
    write(tmp_path / "after", {"b.md": "Trade grew!\n"}, tmp_path / "before")
    (passage,) = tables(tmp_path / "after")[1]
    assert (passage[0], passage[1], passage[8], passage[12]) == (0, 0, "Trade grew!", None)


def block(counts: Sequence[int]) -> EncodedChunk:
    total = sum(counts)
    ids = RANDOM.integers(0, VOCABULARY, total).astype(np.uint32)
    ids[RANDOM.random(total) < 0.1] = NO_TOKEN
    starts = RANDOM.integers(0, 99, total).astype(np.uint16)
    codes = CODEC.compute_codes(RANDOM.normal(size=(total, DIMENSION)).astype(np.float32))
    return EncodedChunk(np.array(counts, np.uint32), ids, starts, codes, np.zeros((len(counts), 4), np.float16))


def token_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("vocabulary", [VOCABULARY, 70_000])
def test_tokens_byte_by_byte(tmp_path: Path, vocabulary: int) -> None:
    one, two, three, title = block([3, 1, 4]), block([2, 2]), block([5]), block([1])
    for name in ("before", "after", "fresh"):
        (tmp_path / name).mkdir()
    with MultiVectorWriter(tmp_path / "before", vocabulary) as writer:
        for each in (one, three):
            writer.add(each)
            writer.add_title(title)
        writer.write()
    before = MultiVectorIndex(tmp_path / "before", CODEC)
    with MultiVectorWriter(tmp_path / "after", vocabulary) as writer:
        writer.take(before, range(1, 3))
        writer.add(two)
        writer.take(before, range(3, 4))
        writer.add_title(before.block(range(4, 6)))
        assert writer.write() == 5 + 4 + 5 + 2
        known = writer.hashed()
    with MultiVectorWriter(tmp_path / "fresh", vocabulary) as writer:
        rest = slice(3, None)
        writer.add(EncodedChunk(one.counts[1:], one.ids[rest], one.starts[rest], one.codes[rest], one.vectors[1:]))
        for each in (two, three):
            writer.add(each)
        for _ in range(2):
            writer.add_title(title)
        writer.write()
        assert writer.hashed() == known
    assert token_files(tmp_path / "after") == token_files(tmp_path / "fresh")


def dense_index(
    folder: Path, parts: Sequence[npt.NDArray[np.float16] | range], before: DenseIndex | None = None
) -> DenseIndex:
    folder.mkdir()
    with DenseWriter(folder, DIMENSION, before) as writer:
        for part in parts:
            if isinstance(part, range):
                writer.take(part)
            else:
                writer.add(part)
        writer.write()
    assert [path.name for path in folder.iterdir()] == ["dense.faiss"]
    return DenseIndex(folder)


@pytest.mark.parametrize("batch", [64, 65_536])
def test_vectors_of_a_small_index_byte_by_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(dense, "_BATCH", batch)
    before = dense_index(tmp_path / "before", [VECTORS[:300]])
    dense_index(tmp_path / "after", [range(10, 90), VECTORS[300:], range(200, 300)], before)
    dense_index(tmp_path / "fresh", [VECTORS[10:90], VECTORS[300:], VECTORS[200:300]])
    one, other = ((tmp_path / name / "dense.faiss").read_bytes() for name in ("after", "fresh"))
    assert one == other


@pytest.mark.parametrize("batch", [64, 65_536])
def test_vectors_stay_in_their_lists_as_they_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(dense, "_BATCH", batch)
    monkeypatch.setattr(dense, "APPROXIMATE_ABOVE", 100)
    before = dense_index(tmp_path / "before", [VECTORS[:300]])
    after = dense_index(tmp_path / "after", [range(10, 90), VECTORS[300:], range(200, 300)], before)
    kept = [*range(10, 90), *range(200, 300)]
    places = [*range(80), *range(180, 280)]
    np.testing.assert_array_equal(after.vectors(places), before.vectors(kept))
    np.testing.assert_allclose(after.vectors(range(80, 180)), VECTORS[300:].astype(np.float32), atol=0.003)
    assert len(after) == 280
    for row in range(280):  # each is found, in its list or in any
        (vector,) = after.vectors([row])
        assert after.search(vector, 1, None)[0].row == row
        assert {one.row for one in after.search(vector, 280, None)} == set(range(280))


def test_lists_that_are_too_few_are_made_anew_of_what_is_taken_and_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "APPROXIMATE_ABOVE", 10)
    before = dense_index(tmp_path / "before", [VECTORS[:20]])
    stored = before.vectors(range(20)).astype(np.float16)
    dense_index(tmp_path / "after", [range(20), VECTORS[20:]], before)
    dense_index(tmp_path / "fresh", [before.vectors(range(20)).astype(np.float16), VECTORS[20:]])
    after, fresh = (DenseIndex(tmp_path / name) for name in ("after", "fresh"))
    assert len(stored) == 20
    np.testing.assert_allclose(after.vectors(range(400)), fresh.vectors(range(400)), atol=1e-6)
    one, other = after.centers(), fresh.centers()
    assert one is not None
    assert other is not None
    assert len(one) == len(other) == 80
