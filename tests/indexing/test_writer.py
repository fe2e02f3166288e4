from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sourceline.encoders.base import Encoder, Float32
from sourceline.encoders.ranking_head import identity_head
from sourceline.errors import BuildError, DamagedError
from sourceline.index.dense import DenseIndex
from sourceline.index.multivector import BFLOAT16, EncodedChunk, open_codec
from sourceline.index.row_filter import RowFilter
from sourceline.index.snapshot import CURRENT, MANIFEST, LedgerExtent, Snapshot, open_current, open_snapshot
from sourceline.indexing import builder
from sourceline.indexing.config import ResolvedConfig
from sourceline.indexing.writer import SnapshotWriter, check_snapshot
from sourceline.ingest.chunking import ChunkedDocument, chunk_document
from sourceline.ingest.sentences import split_passages
from sourceline.types import Document, ScoredRow
from tests.conftest import Rebuild
from tests.support.chunks import made_up_chunk, same_chunk
from tests.support.index_folder import current_texts, put, snapshot_names
from tests.support.texts import document

DIM = 384  # the encoder's
HEAD = identity_head(DIM)
CODEC = open_codec(BFLOAT16, HEAD)
CONFIG = ResolvedConfig(HEAD, BFLOAT16, "0123456789abcdef")
MINUTES = document("# Minutes\n\nTrade grew. It rained.\n\nNobody left.\n", "a.md")
PRESS = document("Trade grew!\n", "b.txt")


def chunked(text: str, name: str) -> ChunkedDocument:
    written = document(text, name)
    return ChunkedDocument(written, split_passages(written), (), None)


def chunk(*passages: Sequence[int], seed: int = 0) -> EncodedChunk:
    return made_up_chunk(passages, CODEC, DIM, seed)


def apart(chunks: Sequence[tuple[bytes, EncodedChunk]]) -> tuple[list[tuple[bytes, int]], list[EncodedChunk]]:
    """Return the keys of chunks, each with how many rows it has, and the chunks, as a writer takes them."""
    return [(key, len(each.counts)) for key, each in chunks], [each for _, each in chunks]


def finish(writer: SnapshotWriter, skipped: dict[str, str] | None = None, ignored: dict[str, str] | None = None) -> str:
    """Write the rest of a snapshot, beside an empty ledger; return its id."""
    writer.write()
    return writer.write_manifest(skipped or {}, ignored or {}, LedgerExtent("", "", 0, ""))


def test_a_written_snapshot_gives_back_its_documents_chunks_and_counts(index: Path, encoder: Encoder) -> None:
    minutes = ChunkedDocument(MINUTES, split_passages(MINUTES), (), None)
    press = ChunkedDocument(PRESS, split_passages(PRESS), (), None)
    chunks = [(b"first", chunk([1, 2], [3])), (b"second", chunk([4, 5, 6], seed=1)), (b"third", chunk([1], seed=2))]
    before = datetime.now(UTC)
    with SnapshotWriter(index, encoder, CONFIG, None, None) as writer:
        writer.add(minutes, *apart(chunks[:2]), chunk([7, 8], seed=3))
        writer.add(press, *apart(chunks[2:]), chunk([9], seed=4))
        snapshot_id = finish(writer, {"c.txt": "there is no text in it"}, {"d.jpg": "its format is not read"})
        assert writer.chunks == 3
    snapshot = check_snapshot(index, snapshot_id)

    assert snapshot_names(index) == [snapshot_id]
    assert not (index / CURRENT).exists()  # nothing is published
    assert [snapshot.passages.text_of(entry) for entry in snapshot.passages.documents] == [MINUTES.text, PRESS.text]
    assert [entry.chunks for entry in snapshot.passages.documents] == [2, 1]
    for key, written in chunks:
        rows = snapshot.passages.chunk(key)
        assert rows is not None
        assert same_chunk(snapshot.chunk(rows), written)
    assert snapshot.passages.duplicates(range(4)) == {0: 0, 3: 0}
    assert [hit.row for hit in snapshot.bm25.search("trade", 9, None)] == [0, 3]
    manifest = snapshot.manifest
    assert (manifest.documents, manifest.passages, manifest.rows, manifest.tokens) == (2, 5, 4, 7 + 3)
    assert (manifest.codec, manifest.config) == (BFLOAT16, "0123456789abcdef")
    assert (manifest.fingerprint, manifest.model) == (encoder.fingerprint, encoder.model)
    assert manifest.skipped == {"c.txt": "there is no text in it"}
    assert manifest.ignored == {"d.jpg": "its format is not read"}
    assert timedelta(seconds=-1) < datetime.fromisoformat(manifest.created) - before < timedelta(minutes=1)


def test_documents_copied_from_the_snapshot_before_keep_their_chunks_and_titles(index: Path, encoder: Encoder) -> None:
    documents = [chunked("One. Two.\n", "a.txt"), chunked("Three.\n", "b.txt"), chunked("Four.\n", "c.txt")]
    chunks = [chunk([1, 2], [3], seed=1), chunk([4], seed=2), chunk([5], seed=3)]
    titles = [chunk([number], seed=number) for number in (7, 8, 9)]
    with SnapshotWriter(index, encoder, CONFIG, None, None) as writer:
        for number in range(3):
            writer.add(documents[number], *apart([(b"%d" % number, chunks[number])]), titles[number])
        before = open_snapshot(index, finish(writer))
    new = chunked("New.\n", "aa.txt")
    with SnapshotWriter(index, encoder, CONFIG, before, None) as writer:
        writer.add(new, *apart([(b"new", chunk([6], seed=4))]), titles[0])
        writer.copy_from_before(before.passages.documents[1:])
        snapshot = check_snapshot(index, finish(writer))

    def chunk_of(key: bytes, opened: Snapshot) -> EncodedChunk:
        rows = opened.passages.chunk(key)
        assert rows is not None
        return opened.chunk(rows)

    assert [entry.id for entry in snapshot.passages.documents] == ["aa.txt", "b.txt", "c.txt"]
    assert same_chunk(chunk_of(b"new", snapshot), chunk([6], seed=4))
    for number in (1, 2):
        assert same_chunk(chunk_of(b"%d" % number, snapshot), chunks[number])
    for row, title in zip(range(3, 6), titles, strict=True):
        assert snapshot.tokens.gather([row]).vectors.tolist() == CODEC.decode(title.codes).tolist()
    assert snapshot.passages.chunk(b"0") is None


def test_a_snapshot_that_was_not_finished_has_no_manifest_and_does_not_open(index: Path, encoder: Encoder) -> None:
    with SnapshotWriter(index, encoder, CONFIG, None, None) as writer:
        writer.add(chunked("One.\n", "a.txt"), *apart([(b"one", chunk([1]))]), chunk([2]))

    with pytest.raises(DamagedError, match=MANIFEST):
        open_snapshot(index, snapshot_names(index)[0])


def test_a_passage_that_is_not_verbatim_is_refused(index: Path, encoder: Encoder) -> None:
    whole = chunked("The bridge opens. It rains.\n", "a.txt")
    passages = (whole.passages[0], replace(whole.passages[1], text="It snows."))

    with (
        SnapshotWriter(index, encoder, CONFIG, None, None) as writer,
        pytest.raises(BuildError, match=r"^a\.txt: a passage is not verbatim; this is a defect of Sourceline$"),
    ):
        writer.add(replace(whole, passages=passages), *apart([(b"one", chunk([1], [2]))]), chunk([3]))


def test_a_build_with_a_passage_that_is_not_verbatim_is_not_published(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, {"a.txt": "The bridge opens on Monday.\n"})
    names = [rebuild(documents, index).snapshot]

    def shifted(written: Document, *arguments: Any) -> ChunkedDocument:
        result = chunk_document(written, *arguments)
        return replace(result, passages=tuple(replace(each, start=each.start + 1) for each in result.passages))

    put(documents, {"a.txt": "Seven trams were ordered.\n"})
    monkeypatch.setattr(builder, "chunk_document", shifted)
    with pytest.raises(BuildError, match=r"a\.txt: a passage is not verbatim"):
        rebuild(documents, index)
    assert snapshot_names(index) == names
    assert current_texts(index) == {"a.txt": "The bridge opens on Monday.\n"}


def test_a_snapshot_that_does_not_find_its_own_passages_is_damaged_and_not_published(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, {"a.txt": "The bridge opens on Monday.\n"})
    names = [rebuild(documents, index).snapshot]

    def search(self: DenseIndex, vector: Float32, n: int, row_filter: RowFilter | None) -> list[ScoredRow]:
        return [ScoredRow(0, 0.5)]

    monkeypatch.setattr(DenseIndex, "search", search)
    with pytest.raises(DamagedError, match=f"snapshot {names[0]} does not find its own passage 0"):
        check_snapshot(index, names[0])
    with pytest.raises(BuildError, match="does not find its own passage 0"):
        rebuild(documents, index)
    assert snapshot_names(index) == [open_current(index).id] == names
