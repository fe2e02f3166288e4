"""What every codec promises, and how tokens are stored and read."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.encoders.base import Encoder, EncoderInput, Float32, l2_normalize
from sourceline.encoders.hub import find_model
from sourceline.encoders.ranking_head import RankingHead, find_ranking_head, identity_head
from sourceline.index.multivector import (
    BFLOAT16,
    INT8,
    NO_TOKEN,
    PQ,
    EncodedChunk,
    MultiVectorIndex,
    MultiVectorWriter,
    ProductCodec,
    codec_name,
    idf,
    open_codec,
)
from sourceline.types import DEFAULT_MODEL
from tests.conftest import SEEDS
from tests.support.chunks import made_up_chunk, same_chunk

RANDOM = np.random.default_rng(3)
DIM, VOCABULARY = 64, 1_000
CODEC = open_codec(BFLOAT16, identity_head(DIM))
LENGTHS = [3, 1, 0, 7, 2]


@pytest.fixture(scope="module")
def head() -> RankingHead:
    return find_ranking_head(find_model(DEFAULT_MODEL).digest, 384)


def chunk(*passages: Sequence[int], seed: int = 0) -> EncodedChunk:
    return made_up_chunk(passages, CODEC, DIM, seed)


def vectors_of(encoded: EncodedChunk) -> Float32:
    return CODEC.decode(encoded.codes)


def write(folder: Path, chunks: Sequence[EncodedChunk], vocabulary: int = VOCABULARY) -> int:
    with MultiVectorWriter(folder, vocabulary) as writer:
        for encoded in chunks:
            writer.add(encoded)
        return writer.write()


@pytest.fixture
def passages() -> list[EncodedChunk]:
    return [chunk(range(length), seed=seed) for seed, length in enumerate(LENGTHS)]


@pytest.fixture
def tokens(tmp_path: Path, passages: list[EncodedChunk]) -> MultiVectorIndex:
    assert write(tmp_path, passages) == 14  # the row without a token has one all the same
    return MultiVectorIndex(tmp_path, CODEC)


def test_the_codec_depends_on_the_size_of_the_corpus_and_on_the_head(head: RankingHead) -> None:
    assert (codec_name(head, False), codec_name(head, True)) == (PQ, PQ)
    assert (codec_name(identity_head(384), False), codec_name(identity_head(384), True)) == (BFLOAT16, INT8)


@pytest.mark.parametrize(("name", "size", "least"), [(BFLOAT16, 384, 0.9999), (PQ, 64, 0.6), (INT8, 192, 0.998)])
def test_decoded_vectors_are_near_to_the_encoded_ones(head: RankingHead, name: str, size: int, least: float) -> None:
    vectors = l2_normalize(RANDOM.normal(size=(500, 192)).astype(np.float32))
    codec = open_codec(name, head)

    codes = codec.compute_codes(vectors)

    assert codes.shape == (500, size)
    assert codec.code_size == size
    assert (l2_normalize(codec.decode(codes)) * vectors).sum(axis=1).min() > least


def test_codes_of_text_lose_little_and_leave_its_scores_where_they_are(head: RankingHead, encoder: Encoder) -> None:
    (encoding,) = encoder.encode([EncoderInput((SEEDS / "meeting.txt").read_text("utf-8"))])
    vectors = head.project_passage(encoding.vectors)
    codec = open_codec(PQ, head)

    decoded = codec.decode(codec.compute_codes(vectors))

    assert ((vectors - decoded) ** 2).sum() / (vectors**2).sum() < 0.05
    assert (vectors * decoded).sum() / (vectors**2).sum() == pytest.approx(1, abs=0.01)


def test_a_vector_gets_the_nearest_centroid_of_each_piece() -> None:
    codebook = RANDOM.normal(size=(2, 256, 3)).astype(np.float32)
    vectors = RANDOM.normal(size=(50, 6)).astype(np.float32)
    codec = ProductCodec(codebook, gain=2)

    codes = codec.compute_codes(vectors)

    pieces = vectors.reshape(50, 2, 1, 3)
    assert codes.tolist() == np.linalg.norm(pieces - codebook, axis=3).argmin(axis=2).tolist()
    np.testing.assert_array_equal(codec.decode(codes), 2 * codebook[[0, 1], codes].reshape(50, 6))
    assert codec.compute_codes(vectors[:0]).shape == (0, 2)


@pytest.mark.parametrize("name", [BFLOAT16, PQ, INT8])
def test_the_code_of_a_vector_does_not_depend_on_the_vectors_beside_it(head: RankingHead, name: str) -> None:
    vectors = l2_normalize(RANDOM.normal(size=(300, 192)).astype(np.float32))
    codec = open_codec(name, head)

    codes = codec.compute_codes(vectors)

    for at in (0, 7, 299):
        np.testing.assert_array_equal(codec.compute_codes(vectors[at : at + 1]), codes[at : at + 1])
        np.testing.assert_array_equal(codec.decode(codes[at : at + 1]), codec.decode(codes)[at : at + 1])
    np.testing.assert_array_equal(open_codec(name, head).compute_codes(vectors), codes)


@pytest.mark.parametrize(("name", "most"), [(BFLOAT16, 0), (PQ, 0), (INT8, 0.06)])
def test_the_zero_vector_comes_back_as_nearly_zero(head: RankingHead, name: str, most: float) -> None:
    codec = open_codec(name, head)

    assert np.linalg.norm(codec.decode(codec.compute_codes(np.zeros((1, 192), np.float32)))) <= most


def test_an_unknown_codec_and_one_that_lacks_a_codebook_are_refused(head: RankingHead) -> None:
    for name, its_head in (("zip", head), (PQ, replace(head, codebook=None))):
        with pytest.raises(ValueError, match=f"there is no codec '{name}' for this ranking head"):
            open_codec(name, its_head)


def test_every_row_and_token_is_counted(tokens: MultiVectorIndex) -> None:
    assert (len(tokens), tokens.tokens) == (5, 14)


@pytest.mark.parametrize("rows", [[0], [4], [0, 1, 3, 4], [3, 0], [4, 4, 1]])
def test_gathered_tokens_are_those_that_were_written(
    tokens: MultiVectorIndex, passages: list[EncodedChunk], rows: list[int]
) -> None:
    gathered = tokens.gather(rows)

    np.testing.assert_array_equal(gathered.vectors, np.concatenate([vectors_of(passages[row]) for row in rows]))
    np.testing.assert_array_equal(gathered.starts, np.concatenate([passages[row].starts for row in rows]))
    assert gathered.row_starts.tolist() == np.cumsum([0, *(LENGTHS[row] for row in rows[:-1])]).tolist()


def test_each_row_is_a_slice_of_the_gathered_tokens(tokens: MultiVectorIndex, passages: list[EncodedChunk]) -> None:
    rows = [3, 0, 4]

    gathered = tokens.gather(rows)

    for number, row in enumerate(rows):
        np.testing.assert_array_equal(gathered.vectors[gathered.row(number)], vectors_of(passages[row]))
        np.testing.assert_array_equal(gathered.starts[gathered.row(number)], passages[row].starts)


def test_a_passage_without_a_token_has_a_zero_vector(tokens: MultiVectorIndex) -> None:
    gathered = tokens.gather([1, 2, 3])

    assert gathered.vectors[gathered.row(1)].tolist() == [[0.0] * DIM]
    assert gathered.starts[gathered.row(1)].tolist() == [0]


def test_titles_have_rows_behind_all_passages_and_do_not_count_for_idf(tmp_path: Path) -> None:
    titles = [chunk([1, 2], seed=7), chunk([]), chunk([5], seed=8)]
    with MultiVectorWriter(tmp_path, VOCABULARY) as writer:
        writer.add_title(titles[0])  # as they come, between the passages
        writer.add(chunk([3, 5]))
        writer.add_title(titles[1])
        writer.add(chunk([5]))
        writer.add_title(titles[2])
        assert writer.write() == 3 + 2 + 1 + 1
    tokens = MultiVectorIndex(tmp_path, CODEC)

    assert len(tokens) == 5
    expected = np.concatenate([vectors_of(title) for title in titles])
    np.testing.assert_array_equal(tokens.gather([2, 3, 4]).vectors, expected)
    assert tokens.idf(np.array([3, 5, 0], np.int32)).tolist() == idf(np.array([1, 2, 0]), 2)[:3].tolist()


def test_idf_is_as_worked_by_hand() -> None:
    # log(1 + (10 - n + .5) / (n + .5)) for n = 0, 1, 4, 10, and for ids never seen.
    expected = [math.log(22), math.log(11 / 1.5), math.log(11 / 4.5), math.log(11 / 10.5), math.log(22)]

    assert idf(np.array([0, 1, 4, 10]), 10).tolist() == pytest.approx(expected)


def test_idf_counts_passages_and_not_tokens(tmp_path: Path) -> None:
    write(tmp_path, [chunk([3, 3, 3, 5]), chunk([5], []), chunk([1, 5])])

    values = MultiVectorIndex(tmp_path, CODEC).idf(np.array([3, 5, 1, 0, 4, 6, 30_000], np.int32))

    # Of 4 passages: token 3 in one, 5 in three, 1 in one, the others in none, be they below or above all that occur.
    once, thrice, never = math.log(5 / 1.5), math.log(5 / 3.5), math.log(5 / 0.5)
    assert values.tolist() == pytest.approx([once, thrice, once, never, never, never, never])


def test_an_index_of_nothing_but_passages_without_tokens_can_be_read(tmp_path: Path) -> None:
    assert write(tmp_path, [chunk([], [])]) == 2

    tokens = MultiVectorIndex(tmp_path, CODEC)

    assert tokens.gather([0, 1]).vectors.tolist() == [[0.0] * DIM] * 2
    assert tokens.idf(np.array([7], np.int32)).tolist() == pytest.approx([math.log(2.5 / 0.5 + 1)])


def test_the_files_are_little_endian_arrays(tmp_path: Path, passages: list[EncodedChunk]) -> None:
    write(tmp_path, passages)

    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"tokens.codes", "tokens.offsets", "tokens.ids", "tokens.starts", "tokens.idf.npz"}
    upper_halves = np.fromfile(tmp_path / "tokens.codes", "<u2").astype("<u4")
    vectors = (upper_halves << 16).view("<f4").reshape(14, DIM)
    np.testing.assert_array_equal(vectors[5:12], vectors_of(passages[3]))
    assert np.fromfile(tmp_path / "tokens.offsets", "<i8").tolist() == [0, 3, 4, 5, 12, 14]
    assert np.fromfile(tmp_path / "tokens.ids", "<u2").tolist() == [0, 1, 2, 0, 0xFFFF, *range(7), 0, 1]
    np.testing.assert_array_equal(np.fromfile(tmp_path / "tokens.starts", "<u2")[12:], passages[4].starts)


@pytest.mark.parametrize(("vocabulary", "size"), [(0xFFFE, 2), (0xFFFF, 4), (250_000, 4)])
def test_ids_take_as_many_bytes_as_the_vocabulary_needs(tmp_path: Path, vocabulary: int, size: int) -> None:
    chunks = [chunk([0, vocabulary - 1]), chunk([]), chunk([vocabulary - 1])]
    write(tmp_path, chunks, vocabulary)
    tokens = MultiVectorIndex(tmp_path, CODEC)

    assert (tmp_path / "tokens.ids").stat().st_size == 4 * size
    for row, encoded in enumerate(chunks):
        assert same_chunk(tokens.chunk(range(row, row + 1), encoded.vectors), encoded)
    last = tokens.chunk(range(1, 3))
    assert (last.counts.tolist(), last.ids.tolist()) == ([1, 1], [NO_TOKEN, vocabulary - 1])
    known, never = tokens.idf(np.array([vocabulary - 1, 1], np.int32)).tolist()
    assert (known, never) == pytest.approx((math.log1p(1.5 / 2.5), math.log1p(3.5 / 0.5)))


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=6), min_size=1, max_size=6))
def test_passages_of_one_chunk_are_stored_like_those_of_several(passages: list[list[int]]) -> None:
    chunks = [chunk(ids, seed=seed) for seed, ids in enumerate(passages)]
    names = EncodedChunk.__dataclass_fields__
    joined = EncodedChunk(**{name: np.concatenate([getattr(each, name) for each in chunks]) for name in names})
    with TemporaryDirectory() as together, TemporaryDirectory() as apart:
        write(Path(together), [joined])
        write(Path(apart), chunks)
        for path in Path(together).iterdir():
            assert path.read_bytes() == (Path(apart) / path.name).read_bytes()
