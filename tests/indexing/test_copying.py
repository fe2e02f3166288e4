"""What is copied from the snapshot before is, file by file, what would have been written anew."""

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
from sourceline.index.multivector import BFLOAT16, EncodedChunk, MultiVectorIndex, MultiVectorWriter, open_codec
from sourceline.index.passage_store import FILE, DocumentEntry, PassageStore, PassageStoreWriter
from sourceline.ingest.sentences import split_passages
from tests.support.chunks import made_up_chunk
from tests.support.texts import document

# Duplicates within a document and across them, headings without an answer, answers without a heading.
CONTENTS = [
    "Trade grew. It rained.\n",
    "# Title\n",
    "“Trade grew!”\n\nTRADE GREW\n",
    "# A\n\nIt rained. No.\n",
    "No.\n",
]
NAMES = [f"{name}.md" for name in "abcdef"]
CORPORA = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(CONTENTS))
DIM, VOCABULARY = 96, 50
CODEC = open_codec(BFLOAT16, identity_head(DIM))
VECTORS = l2_normalize(np.random.default_rng(3).normal(size=(400, DIM)).astype(np.float32)).astype(np.float16)


def corpus(**numbers: int) -> dict[str, str]:
    """Return documents by name, each with one of the contents."""
    return {f"{name}.md": CONTENTS[number] for name, number in numbers.items()}


def tables_of(folder: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        names = "documents", "passages", "chunks"
        return [connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in names]


def write_passages(folder: Path, files: dict[str, str], before: Path | None = None) -> list[str]:
    """Write a corpus, its unchanged documents copied in runs from a folder; return the texts that were copied."""
    folder.mkdir()
    entries = {(entry.id, entry.sha256): entry for entry in PassageStore(before, 1).documents} if before else {}
    copied: list[str] = []
    run: list[DocumentEntry] = []
    with PassageStoreWriter(folder, before) as writer:

        def copy_run() -> None:
            if run:
                copied.extend(text.text for text in writer.copy_from_before(run))
                run.clear()

        for name, text in sorted(files.items()):
            entry = entries.get((name, text))
            if run and not (entry and entry.number == run[-1].number + 1):
                copy_run()
            if entry:
                run.append(entry)
                continue
            new = replace(document(text, name), sha256=text)
            passages = split_passages(new)
            rows = sum(not passage.heading for passage in passages)
            writer.add(new, passages, [(text.encode(), rows)] if rows else [])
        copy_run()
        writer.write()
    return copied


@settings(deadline=None, max_examples=200)
@given(CORPORA, CORPORA)
@example(corpus(b=0, c=2), corpus(a=4, b=0, c=2))  # one came at the start
@example(corpus(a=0, b=2, c=1), corpus(b=2, c=1))  # went at the start, with the first of some duplicates
@example(corpus(a=1, b=1, c=2), corpus(a=1, c=2))  # in the middle, without an answer
@example(corpus(a=0, b=2, c=4), corpus(a=0, b=3, c=4))  # changed in the middle
@example(corpus(a=0, b=1), corpus(a=0, b=1, c=2))  # came at the end
@example(corpus(a=0, b=2), corpus(a=0))  # went at the end, with the other of some duplicates
@example(corpus(a=0, b=3, c=2), corpus(b=3, c=2, f=0))  # was renamed from the start to the end
def test_copied_passages_and_their_duplicates_are_those_that_would_be_written_anew(
    old: dict[str, str], new: dict[str, str]
) -> None:
    with TemporaryDirectory() as root:
        before, copied, anew = (Path(root) / name for name in ("before", "copied", "anew"))
        write_passages(before, old)
        texts = write_passages(copied, new, before)
        assert write_passages(anew, new) == []
        assert tables_of(copied) == tables_of(anew)
        unchanged = [document(new[name], name) for name in sorted(new) if old.get(name) == new[name]]
        assert texts == [p.text for each in unchanged for p in split_passages(each) if not p.heading]


def test_a_copied_passage_whose_duplicate_is_gone_has_none(tmp_path: Path) -> None:
    write_passages(tmp_path / "before", {"a.md": "Trade grew.\n", "b.md": "Trade grew!\n"})
    write_passages(tmp_path / "after", {"b.md": "Trade grew!\n"}, tmp_path / "before")

    stored = PassageStore(tmp_path / "after", 1).rows(range(9))
    assert {row: (each.passage.text, each.duplicate_of) for row, each in stored.items()} == {0: ("Trade grew!", None)}


def chunk(*counts: int, seed: int = 0) -> EncodedChunk:
    """Return a chunk of passages with so many tokens; 0 stands for a passage without a token."""
    random = np.random.default_rng(seed)
    return made_up_chunk([random.integers(0, VOCABULARY, count).tolist() for count in counts], CODEC, DIM, seed)


def rows_from(whole: EncodedChunk, first: int) -> EncodedChunk:
    """Return a chunk without its first passages."""
    tokens = int(whole.counts[:first].sum())
    return EncodedChunk(
        counts=whole.counts[first:],
        ids=whole.ids[tokens:],
        starts=whole.starts[tokens:],
        codes=whole.codes[tokens:],
        vectors=whole.vectors[first:],
    )


@pytest.mark.parametrize("vocabulary", [VOCABULARY, 70_000])
def test_copied_tokens_are_byte_for_byte_those_that_would_be_written_anew(tmp_path: Path, vocabulary: int) -> None:
    first, second, third, title = chunk(3, 0, 4), chunk(2, 2, seed=1), chunk(5, seed=2), chunk(1, seed=3)
    before, copied, anew = (tmp_path / name for name in ("before", "copied", "anew"))
    for folder in (before, copied, anew):
        folder.mkdir()
    with MultiVectorWriter(before, vocabulary) as writer:
        for each in (first, third):
            writer.add(each)
            writer.add_title(title)
        writer.write()
    source = MultiVectorIndex(before, CODEC)
    with MultiVectorWriter(copied, vocabulary) as writer:
        writer.copy_from(source, range(1, 3))
        writer.add(second)
        writer.copy_from(source, range(3, 4))
        writer.add_title(source.chunk(range(4, 6)))
        assert writer.write() == 5 + 4 + 5 + 2
        hashed = writer.hashed()
    with MultiVectorWriter(anew, vocabulary) as writer:
        for each in (rows_from(first, 1), second, third):
            writer.add(each)
        for _ in range(2):
            writer.add_title(title)
        writer.write()
        assert writer.hashed() == hashed

    assert {p.name: p.read_bytes() for p in copied.iterdir()} == {p.name: p.read_bytes() for p in anew.iterdir()}


def write_dense(
    folder: Path, parts: Sequence[npt.NDArray[np.float16] | range], before: DenseIndex | None = None
) -> DenseIndex:
    """Write vectors, and ranges of rows of the index before."""
    folder.mkdir()
    with DenseWriter(folder, DIM, before) as writer:
        for part in parts:
            if isinstance(part, range):
                writer.copy_from_before(part)
            else:
                writer.add(part)
        writer.write()
    assert [path.name for path in folder.iterdir()] == ["dense.faiss"]
    return DenseIndex(folder)


@pytest.mark.parametrize("batch", [64, 65_536])
def test_copied_vectors_of_a_small_index_are_byte_for_byte_those_that_would_be_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(dense, "_BATCH", batch)
    before = write_dense(tmp_path / "before", [VECTORS[:300]])

    write_dense(tmp_path / "copied", [range(10, 90), VECTORS[300:], range(200, 300)], before)
    write_dense(tmp_path / "anew", [VECTORS[10:90], VECTORS[300:], VECTORS[200:300]])

    assert (tmp_path / "copied/dense.faiss").read_bytes() == (tmp_path / "anew/dense.faiss").read_bytes()


@pytest.mark.parametrize("batch", [64, 65_536])
def test_copied_vectors_stay_in_their_lists_as_they_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(dense, "_BATCH", batch)
    monkeypatch.setattr(dense, "APPROXIMATE_ABOVE", 100)
    before = write_dense(tmp_path / "before", [VECTORS[:300]])

    index = write_dense(tmp_path / "after", [range(10, 90), VECTORS[300:], range(200, 300)], before)

    old_rows, new_rows = [*range(10, 90), *range(200, 300)], [*range(80), *range(180, 280)]
    np.testing.assert_array_equal(index.vectors(new_rows), before.vectors(old_rows))
    np.testing.assert_allclose(index.vectors(range(80, 180)), VECTORS[300:].astype(np.float32), atol=0.003)
    assert len(index) == 280
    for row in range(280):  # each is found, in its list or in any
        (vector,) = index.vectors([row])
        assert index.search(vector, 1, None)[0].row == row
        assert {hit.row for hit in index.search(vector, 280, None)} == set(range(280))


def test_lists_that_are_too_few_are_trained_anew_from_copied_and_new_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "APPROXIMATE_ABOVE", 10)
    before = write_dense(tmp_path / "before", [VECTORS[:20]])
    stored = before.vectors(range(20)).astype(np.float16)

    copied = write_dense(tmp_path / "copied", [range(20), VECTORS[20:]], before)
    anew = write_dense(tmp_path / "anew", [stored, VECTORS[20:]])

    np.testing.assert_allclose(copied.vectors(range(400)), anew.vectors(range(400)), atol=1e-6)
    for index in (copied, anew):
        centers = index.centers()
        assert centers is not None
        assert len(centers) == 80
