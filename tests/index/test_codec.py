"""What every codec promises."""

from dataclasses import replace

import numpy as np
import pytest

from sourceline.encoders.base import l2_normalize
from sourceline.encoders.hub import find_model
from sourceline.encoders.ranking_head import RankingHead, find_ranking_head, identity_head
from sourceline.index.multivector import BYTES, QUANTISED, TWO_BYTES, codec_name, open_codec
from sourceline.types import DEFAULT_MODEL

RANDOM = np.random.default_rng(3)


@pytest.fixture(scope="module")
def head() -> RankingHead:
    return find_ranking_head(find_model(DEFAULT_MODEL).digest, 384)


def test_which_is_used_depends_on_how_much_there_is_and_on_the_head(head: RankingHead) -> None:
    assert (codec_name(head, False), codec_name(head, True)) == (TWO_BYTES, QUANTISED)
    assert (codec_name(identity_head(384), False), codec_name(identity_head(384), True)) == (TWO_BYTES, BYTES)


@pytest.mark.parametrize(
    ("name", "size", "least"), [(TWO_BYTES, 384, 0.9999), (QUANTISED, 48, 0.6), (BYTES, 192, 0.998)]
)
def test_vectors_come_back_near_to_what_they_were(head: RankingHead, name: str, size: int, least: float) -> None:
    vectors = l2_normalize(RANDOM.normal(size=(500, 192)).astype(np.float32))
    codec = open_codec(name, head)
    codes = codec.compute_codes(vectors)
    assert codes.shape == (500, size)
    assert codec.code_size == size
    assert (l2_normalize(codec.decode(codes)) * vectors).sum(axis=1).min() > least


@pytest.mark.parametrize("name", [TWO_BYTES, QUANTISED, BYTES])
def test_a_vector_has_the_same_code_whatever_stands_beside_it(head: RankingHead, name: str) -> None:
    vectors = l2_normalize(RANDOM.normal(size=(300, 192)).astype(np.float32))
    codec = open_codec(name, head)
    codes = codec.compute_codes(vectors)
    for at in (0, 7, 299):
        np.testing.assert_array_equal(codec.compute_codes(vectors[at : at + 1]), codes[at : at + 1])
        np.testing.assert_array_equal(codec.decode(codes[at : at + 1]), codec.decode(codes)[at : at + 1])
    np.testing.assert_array_equal(open_codec(name, head).compute_codes(vectors), codes)


@pytest.mark.parametrize(("name", "most"), [(TWO_BYTES, 0), (QUANTISED, 0), (BYTES, 0.06)])
def test_what_matches_nothing_matches_hardly_anything(head: RankingHead, name: str, most: float) -> None:
    codec = open_codec(name, head)
    assert np.linalg.norm(codec.decode(codec.compute_codes(np.zeros((1, 192), np.float32)))) <= most


def test_a_codec_that_there_is_not_is_refused(head: RankingHead) -> None:
    for name, of in (("zip", head), (QUANTISED, replace(head, codebook=None))):
        with pytest.raises(ValueError, match=f"there is no codec '{name}' for this ranking head"):
            open_codec(name, of)
