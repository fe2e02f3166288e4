"""What a build reads, encodes, stores and reports."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.api import Index
from sourceline.encoders.base import Encoder, EncoderInput, Encoding, Float32, Tokens, l2_normalize
from sourceline.encoders.hub import find_model
from sourceline.encoders.onnx import OnnxEncoder
from sourceline.encoders.ranking_head import RankingHead, find_ranking_head, identity_head, read_ranking_head
from sourceline.errors import CorpusError, MismatchError
from sourceline.index.multivector import BFLOAT16, NO_TOKEN, PQ, open_codec
from sourceline.index.snapshot import HEAD, SNAPSHOTS, Snapshot, current_id, open_current
from sourceline.indexing import builder
from sourceline.indexing.builder import build, empty_chunk, encode_chunk
from sourceline.indexing.config import IndexConfig
from sourceline.ingest.chunking import Chunk, ChunkedDocument, chunk_document
from sourceline.ingest.loader import DocumentReader
from sourceline.types import DEFAULT_MODEL, Backend, BuildProgress, BuildReport, Document
from tests.conftest import Rebuild
from tests.support.files import docx_of, page_of, paragraph, pdf_of
from tests.support.hostile import entity_bomb
from tests.support.index_folder import leftovers, put, snapshot_names
from tests.support.texts import texts

BRIDGE = "The bridge opens on Monday. The roof leaks.\n"
TRAMS = "Seven trams were ordered.\n"
LONG_TITLE = " ".join(["bridge"] * 41)
# One word, as a URL is: speech without punctuation would be cut at blanks.
OVERLONG = "The-chair-read-out-" + "the-names-of-all-members,-" * 60 + "and-left."


def test_a_build_reports_what_it_did(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, {"a.txt": BRIDGE, "b.txt": TRAMS, "c.txt": "It closes early.", "photo.jpg": ""})
    first = rebuild(documents, index)
    put(documents, {"a.txt": BRIDGE.replace("Monday", "Sunday"), "b.txt": TRAMS, "d.txt": "", "e.txt": "A new one."})
    second = rebuild(documents, index)

    assert first == BuildReport(
        snapshot=snapshot_names(index)[0],
        added=("a.txt", "b.txt", "c.txt"),
        changed=(),
        unchanged=(),
        removed=(),
        skipped={},
        ignored={"photo.jpg": "its format is not read"},
        passages=4,
        chunks=3,
        encoded=3,
        seconds=first.seconds,
    )
    assert second == BuildReport(
        snapshot=snapshot_names(index)[1],
        added=("e.txt",),
        changed=("a.txt",),
        unchanged=("b.txt",),
        removed=("c.txt",),
        skipped={"d.txt": "there is no text in it"},
        ignored={},
        passages=4,
        chunks=3,
        encoded=2,
        seconds=second.seconds,
    )
    assert first.snapshot < second.snapshot == current_id(index)
    assert 0 < first.seconds < 60


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"This is {name}.\n")


def test_folders_that_held_documents_and_hold_none_now_are_warned_of(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    write(documents, "a.txt", "2024/b.txt", "2025/may/c.txt", "2025/june/d.txt", "2026/e.txt", "2026/deep/f.txt")
    write(documents, "old/g.txt", "bad/h.txt")
    assert rebuild(documents, index).warnings == ()

    (documents / "2024/b.txt").unlink()
    (documents / "2024/notes.png").touch()
    shutil.rmtree(documents / "2025")
    (documents / "2026/deep/f.txt").unlink()
    (documents / "old").rename(documents / "new")  # the documents are all there
    (documents / "bad/h.txt").write_bytes(b"caf\xe9")  # which is told as skipped
    report = rebuild(documents, index)

    assert report.warnings == (
        "2024 held 1 document and holds none now: is the share mounted?",
        "2025 held 2 documents and is gone now: is the share mounted?",
        "2026/deep held 1 document and is empty now: is the share mounted?",
    )
    assert report.unchanged == ("2026/e.txt", "a.txt")
    assert rebuild(documents, index).warnings == ()


def test_a_folder_that_lost_all_documents_is_refused_and_the_index_stays(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    write(documents, "a.txt", "2024/b.txt")
    first = rebuild(documents, index).snapshot
    shutil.rmtree(documents)
    with pytest.raises(CorpusError, match="no documents folder"):
        rebuild(documents, index)
    documents.mkdir()
    with pytest.raises(CorpusError, match="it is empty"):
        rebuild(documents, index)
    assert current_id(index) == first


def test_a_file_above_the_limit_is_skipped(documents: Path, index: Path) -> None:
    write(documents, "a.txt", "bb.txt")
    report = Index.build(documents, index, max_document_bytes=15)
    assert report.added == ("a.txt",)
    assert report.skipped == {"bb.txt": "it is too large: 16 bytes; max_document_bytes is 15"}


def test_progress_counts_the_bytes_of_new_documents(documents: Path, index: Path) -> None:
    def progress_of(files: dict[str, str]) -> list[BuildProgress]:
        put(documents, files)
        steps: list[BuildProgress] = []
        build(documents, index, DEFAULT_MODEL, progress=steps.append)
        return steps

    total = len((BRIDGE + TRAMS).encode())
    assert progress_of({"a.txt": BRIDGE, "b.txt": TRAMS}) == [BuildProgress(0, total), BuildProgress(total, total)]
    assert progress_of({"a.txt": BRIDGE, "b.txt": "Ü.\n"}) == [BuildProgress(0, 4), BuildProgress(4, 4)]


def test_the_newest_two_snapshots_are_kept(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, {"a.txt": BRIDGE})
    ids = [rebuild(documents, index).snapshot for _ in range(4)]

    assert snapshot_names(index) == ids[2:]
    assert leftovers(index) == set()


def test_only_changed_documents_are_read_and_go_through_the_encoder(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, {"a.txt": BRIDGE, "b.txt": TRAMS})
    rebuild(documents, index)
    put(documents, {"a.txt": BRIDGE, "b.txt": "Nine trams were ordered.\n"})
    read: list[str] = []
    tokenized: list[str] = []
    read_document = DocumentReader.read
    tokenize = OnnxEncoder.tokenize

    def noting_read(self: DocumentReader, document_id: str) -> Document:
        read.append(document_id)
        return read_document(self, document_id)

    def noting_tokenize(self: OnnxEncoder, text: str) -> Tokens:
        tokenized.append(text)
        return tokenize(self, text)

    monkeypatch.setattr(DocumentReader, "read", noting_read)
    monkeypatch.setattr(OnnxEncoder, "tokenize", noting_tokenize)
    report = rebuild(documents, index)

    assert (report.unchanged, report.changed, report.encoded) == (("a.txt",), ("b.txt",), 1)
    assert read == ["b.txt"]
    assert "Nine trams were ordered.\n" in tokenized
    assert not any("bridge" in text for text in tokenized)


def test_files_that_are_no_text_are_indexed_and_a_hostile_one_is_skipped(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.pdf").write_bytes(pdf_of(page_of([(700, 12, "F1", "The rope is blue.")])))
    (documents / "b.docx").write_bytes(docx_of(paragraph("The crane is red.")))
    (documents / "c.docx").write_bytes(entity_bomb())

    report = rebuild(documents, index)

    assert report.added == ("a.pdf", "b.docx")
    assert report.skipped == {"c.docx": "it declares a DOCTYPE, as no Word document does"}
    with Index.open(index, lazy=True) as opened:
        assert [passage.text for id_ in report.added for passage in opened.document(id_).passages] == [
            "The rope is blue.",
            "The crane is red.",
        ]


def test_each_new_document_is_chunked_once_and_each_chunk_hashed_once(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunked_ids: list[str] = []
    hashed: list[Chunk] = []
    key = Chunk.key

    def noting_chunk_document(document: Document, *arguments: Any) -> ChunkedDocument:
        chunked_ids.append(document.id)
        return chunk_document(document, *arguments)

    def noting_key(self: Chunk, config: str) -> bytes:
        hashed.append(self)
        return key(self, config)

    monkeypatch.setattr(builder, "chunk_document", noting_chunk_document)
    monkeypatch.setattr(Chunk, "key", noting_key)
    paragraphs = [f"Item {number}. " + "The council spoke of it at length. " * 15 for number in range(3)]
    put(documents, {"a.txt": "\n\n".join(paragraphs), "b.md": f"# Trams\n\n{TRAMS}"})
    report = rebuild(documents, index)

    assert report.chunks == report.encoded == 4
    assert chunked_ids == ["a.txt", "b.md"]
    assert Counter(chunk.text for chunk in hashed if chunk.prefix or "\n" in chunk.text) == Counter(
        [*(paragraph.rstrip() for paragraph in paragraphs), f"Trams\n\n{TRAMS.rstrip()}"]
    )
    assert [chunk.text for chunk in hashed if not chunk.prefix and "\n" not in chunk.text] == ["a", "Trams"]

    chunked_ids.clear()
    hashed.clear()
    put(documents, {"a.txt": "\n\n".join(paragraphs), "b.md": "# Trams\n\nNine trams were ordered.\n"})
    assert rebuild(documents, index).encoded == 1
    assert chunked_ids == ["b.md"]
    assert [chunk.text for chunk in hashed] == ["Trams\n\nNine trams were ordered.", "Trams"]


def test_text_that_was_encoded_before_is_not_encoded_again_wherever_it_stands(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    put(documents, {"a.txt": BRIDGE, "b.txt": TRAMS})
    assert rebuild(documents, index).encoded == 2
    assert rebuild(documents, index).encoded == 0
    (documents / "2024").mkdir()
    (documents / "a.txt").rename(documents / "2024" / "a.txt")
    assert rebuild(documents, index).encoded == 0
    (documents / "2024" / "b.txt").write_text(TRAMS)
    assert rebuild(documents, index).encoded == 0


def test_text_under_another_title_is_encoded_again(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, {"a.txt": BRIDGE, "b.txt": TRAMS})
    rebuild(documents, index)
    (documents / "a.txt").rename(documents / "z.txt")

    assert rebuild(documents, index).encoded == 1


def test_a_build_that_stops_amid_a_document_continues_behind_the_last_batch(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    paragraphs = [f"Item {number}. " + "The council spoke of it at length. " * 15 for number in range(7)]
    put(documents, {"a.txt": "\n\n".join(paragraphs)})
    monkeypatch.setattr(builder, "BATCH", 2)
    encode = OnnxEncoder.encode

    def stop_after_four(self: OnnxEncoder, inputs: Sequence[EncoderInput]) -> Iterator[Encoding]:
        yield from islice(encode(self, inputs), 4)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(OnnxEncoder, "encode", stop_after_four)
        with pytest.raises(KeyboardInterrupt):
            rebuild(documents, index)
    assert snapshot_names(index) == []
    assert (index / "cache" / "chunks.sqlite").is_file()

    report = rebuild(documents, index)
    assert (report.chunks, report.encoded) == (7, 4)  # the title was one of the four that were kept
    assert not (index / "cache").exists()


def test_documents_that_an_interrupted_build_encoded_are_not_encoded_again(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 30
    put(documents, {f"{number:02}.txt": f"Report number {number:02} was filed.\n" for number in range(count)})
    size = len("Report number 00 was filed.\n")
    monkeypatch.setattr(builder, "GROUP_BYTES", 10 * size)

    def interrupt(progress: BuildProgress) -> None:
        assert progress.total == count * size
        if progress.done == 10 * size:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(documents, index, DEFAULT_MODEL, progress=interrupt)
    assert snapshot_names(index) == []

    report = rebuild(documents, index)
    assert (report.chunks, report.encoded) == (count, count - 10)
    assert not (index / "cache").exists()


def test_a_passage_over_the_models_limit_is_one_chunk_and_loses_no_token(
    documents: Path, index: Path, rebuild: Rebuild, encoder: Encoder
) -> None:
    def encoded(*paragraphs: str) -> tuple[int, int]:
        put(documents, {"a.txt": "\n\n".join(paragraphs)})
        report = rebuild(documents, index)
        return report.encoded, report.chunks

    assert encoded("It rained.", OVERLONG, "It snowed.") == (3, 3)
    starts = open_current(index).tokens.gather([1]).starts
    np.testing.assert_array_equal(starts, encoder.tokenize(OVERLONG).spans[:, 0])
    assert encoded("It hailed.", OVERLONG, "It snowed.") == (1, 3)
    assert encoded("It hailed.", OVERLONG.replace("left", "went"), "It snowed.") == (1, 3)


def test_a_model_under_another_name_encodes_nothing_anew_and_makes_an_index_of_that_name(
    documents: Path, index: Path, rebuild: Rebuild, tmp_path: Path
) -> None:
    put(documents, {"a.txt": TRAMS})
    rebuild(documents, index)
    mine = str(shutil.copytree(find_model(DEFAULT_MODEL, Backend.TORCH).folder, tmp_path / "mine"))

    report = build(documents, index, mine)

    assert (report.unchanged, report.encoded) == (("a.txt",), 0)
    with Index.open(index, model=mine) as opened:
        assert opened.ask("How many trams?", 1).hits[0].passage.text == TRAMS.strip()
    with pytest.raises(MismatchError, match=r"was built with .*mine, not sentence-transformers/"):
        Index.open(index, model=DEFAULT_MODEL)


def test_files_of_another_encoder_are_removed_once_nothing_needs_them(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    put(documents, {"a.txt": TRAMS})
    (index / "cache").mkdir()
    (index / "cache" / "0123456789abcdef.sqlite").write_bytes(b"an older encoder's")
    (index / "encoders" / "0123456789abcdef").mkdir()
    (index / SNAPSHOTS / "00000001-20200101T000000Z.damaged").mkdir(parents=True)

    assert rebuild(documents, index).snapshot.startswith("00000002-")
    assert leftovers(index) == set()


def characters_at_starts(snapshot: Snapshot, row: int, text: str) -> list[str]:
    return [text[start] for start in snapshot.tokens.gather([row]).starts.tolist()]


def test_the_start_of_each_token_is_its_offset_in_its_passage(documents: Path, index: Path, rebuild: Rebuild) -> None:
    report = "# The bridge\n\nIt opens on Monday. Nobody  was hurt!\n"
    put(documents, {"a.md": report, "b.txt": "“Trade”, they said.\n"})
    rebuild(documents, index)
    snapshot = open_current(index)

    stored = snapshot.passages.rows([0, 1, 2])
    assert [characters_at_starts(snapshot, row, stored[row].passage.text) for row in (0, 1, 2)] == [
        ["I", "o", "o", "M", "."],
        ["N", "w", "h", "!"],
        ["“", "T", "”", ",", "t", "s", "."],
    ]


@settings(deadline=None, max_examples=20)
@given(st.lists(texts, min_size=1, max_size=3))
@pytest.mark.usefixtures("quick_builds")
def test_every_token_starts_inside_its_passage_whatever_stands_in_front_of_it(contents: list[str]) -> None:
    with TemporaryDirectory() as root:
        index, documents = Path(root) / "index", Path(root) / "documents"
        documents.mkdir()
        (documents / "z.md").write_text("# Always\n\nSomething is here.\n")
        for number, content in enumerate(contents):
            (documents / f"{number}.md").write_text(f"# The bridge\n\n{content}\n", "utf-8", newline="")
        build(documents, index, DEFAULT_MODEL)
        snapshot = open_current(index)
        for row, stored in snapshot.passages.rows(range(snapshot.passages.row_count)).items():
            starts = snapshot.tokens.gather([row]).starts
            assert (starts >= 0).all()
            assert (starts < len(stored.passage.text)).all()
            assert (np.diff(starts) >= 0).all()


def as_kept(vectors: Float32) -> Float32:
    """Return what the codes of token vectors stand for, in an index of the default model."""
    codec = open_codec(PQ, find_ranking_head(find_model(DEFAULT_MODEL).digest, 384))
    return codec.decode(codec.compute_codes(vectors))


def test_vectors_are_those_of_the_text_with_its_title_in_front(
    documents: Path, index: Path, rebuild: Rebuild, encoder: Encoder
) -> None:
    put(documents, {"The bridge.txt": "It opens on Monday. Nobody was hurt.\n"})
    rebuild(documents, index)
    snapshot = open_current(index)

    (encoding,) = encoder.encode([EncoderInput("The bridge\nIt opens on Monday. Nobody was hurt.")])
    expected = as_kept(snapshot.head.project_passage(encoding.vectors[2:]))  # behind the title's two tokens
    np.testing.assert_allclose(snapshot.tokens.gather([0, 1]).vectors, expected, atol=1e-6)
    means = [encoding.vectors[2:7].mean(axis=0), encoding.vectors[7:].mean(axis=0)]
    for vector, mean in zip(snapshot.dense.vectors([0, 1]), means, strict=True):
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=0.0022)  # half a step of 8 bits


def test_each_document_has_a_row_for_its_title_which_matches_nothing_if_the_title_is_too_long(
    documents: Path, index: Path, rebuild: Rebuild, encoder: Encoder
) -> None:
    put(
        documents,
        {"a.md": "# The bridge\n\nIt opens.\n", "b.md": f"# {LONG_TITLE}\n\nIt is long.\n", "c.md": "# Empty roads\n"},
    )
    rebuild(documents, index)
    snapshot = open_current(index)

    assert (snapshot.passages.row_count, len(snapshot.tokens)) == (2, 5)
    titles = [snapshot.tokens.gather([row]).vectors for row in (2, 3, 4)]
    assert titles[1].tolist() == [[0.0] * snapshot.head.dim]
    for title, text in ((titles[0], "The bridge"), (titles[2], "Empty roads")):
        (encoding,) = encoder.encode([EncoderInput(text)])
        np.testing.assert_allclose(title, as_kept(snapshot.head.project_passage(encoding.vectors)), atol=1e-6)


def test_without_titles_no_title_matches_anything(documents: Path, index: Path) -> None:
    put(documents, {"The bridge.txt": "It opens on Monday.\n"})

    report = build(documents, index, DEFAULT_MODEL, config=IndexConfig(titles=False))

    assert (report.chunks, report.encoded) == (1, 1)
    assert not open_current(index).tokens.gather([1]).vectors.any()


def test_a_snapshot_keeps_the_head_that_it_was_built_with(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, {"a.txt": "It opens on Monday.\n"})
    rebuild(documents, index)
    snapshot = open_current(index)

    shipped = find_ranking_head(find_model(DEFAULT_MODEL).digest, 384)
    for head in (snapshot.head, read_ranking_head(snapshot.folder / HEAD)):
        for field in fields(RankingHead):
            np.testing.assert_array_equal(getattr(head, field.name), getattr(shipped, field.name))


DIM = 8
PLAIN = identity_head(DIM)
CODEC = open_codec(BFLOAT16, PLAIN)


def encoding_of(ids: list[int], starts: list[int]) -> Encoding:
    """Return tokens with the vectors (1, 0, …), (2, 0, …) and so on, turned by one place from token to token."""
    vectors = np.zeros((len(ids), DIM), np.float32)
    for at in range(len(ids)):
        vectors[at, at % DIM] = at + 1
    spans = np.array([(start, start + 1) for start in starts], np.int32).reshape(-1, 2)
    return Encoding(Tokens(np.array(ids, np.int32), spans), vectors)


def test_an_encoded_chunk_holds_the_tokens_of_its_passages_and_their_means() -> None:
    chunk = Chunk("# Head. One two. \u200b. Three.", "", ((8, 16), (17, 19), (20, 26)))
    encoding = encoding_of([7, 8, 9, 10, 11], [2, 8, 12, 20, 25])

    encoded = encode_chunk(chunk, encoding, PLAIN, CODEC)

    assert encoded.counts.tolist() == [2, 1, 2]
    assert encoded.ids.tolist() == [8, 9, NO_TOKEN, 10, 11]  # not the heading's
    assert encoded.starts.tolist() == [0, 4, 0, 0, 5]
    one_hot = np.eye(DIM, dtype=np.float32)
    nothing = np.zeros(DIM, np.float32)
    expected = np.stack([one_hot[1], one_hot[2], nothing, one_hot[3], one_hot[4]])
    np.testing.assert_array_equal(CODEC.decode(encoded.codes), expected)
    means = np.stack([2 * one_hot[1] + 3 * one_hot[2], nothing, 4 * one_hot[3] + 5 * one_hot[4]])
    np.testing.assert_allclose(encoded.vectors, l2_normalize(means), atol=1e-3)


def test_a_token_too_far_into_its_passage_is_kept_at_the_greatest_offset_that_can_be_stored() -> None:
    chunk = Chunk("x" * 70_010, "", ((10, 70_010),))

    encoded = encode_chunk(chunk, encoding_of([1, 2, 3], [10, 65_545, 70_000]), PLAIN, CODEC)

    assert encoded.starts.tolist() == [0, 65_535, 65_535]


def test_the_chunk_of_a_missing_title_has_one_token_that_matches_nothing() -> None:
    chunk = empty_chunk(DIM, PLAIN, CODEC)

    assert (chunk.counts.tolist(), chunk.ids.tolist(), chunk.starts.tolist()) == ([1], [NO_TOKEN], [0])
    assert not CODEC.decode(chunk.codes).any()
    assert chunk.vectors.tolist() == [[0.0] * DIM]


def test_a_long_document_is_encoded_piece_by_piece_as_it_is_written(
    documents: Path, index: Path, tmp_path: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    paragraphs = [f"Item {number}. " + "The council spoke of it at length. " * 15 for number in (0, 1, 2, 3, 0)]
    put(documents, {"a.txt": "\n\n".join(paragraphs), "b.md": f"# Trams\n\n{TRAMS}"})
    other = shutil.copytree(index, tmp_path / "other")
    at_once = rebuild(documents, index)

    encoded: list[int] = []
    encode = OnnxEncoder.encode

    def noting_encode(self: OnnxEncoder, inputs: Sequence[EncoderInput]) -> Iterator[Encoding]:
        encoded.append(len(inputs))
        return encode(self, inputs)

    monkeypatch.setattr(OnnxEncoder, "encode", noting_encode)
    monkeypatch.setattr(builder, "AHEAD", 3)
    in_pieces = rebuild(documents, other)

    # The title of a.txt and two chunks; two more, and the first one again; the title of b.md and its chunk.
    assert encoded == [3, 2, 2]
    assert (at_once.chunks, at_once.encoded) == (in_pieces.chunks, in_pieces.encoded) == (6, 5)
    first, second = (open_current(folder) for folder in (index, other))
    assert [entry.chunks for entry in second.passages.documents] == [5, 1]
    for row in range(first.passages.row_count + len(first.passages.documents)):
        assert np.array_equal(first.tokens.gather([row]).vectors, second.tokens.gather([row]).vectors)
    rows = range(first.passages.row_count)
    assert np.array_equal(first.dense.vectors(rows), second.dense.vectors(rows))
