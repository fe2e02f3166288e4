from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.ranking_head import RankingHead, find_ranking_head, identity_head
from sourceline.index.multivector import BFLOAT16, INT8, PQ
from sourceline.index.snapshot import FORMAT, open_current
from sourceline.indexing import config as config_module
from sourceline.indexing.builder import build
from sourceline.indexing.config import COMPACT_ABOVE, DEFAULT_CONFIG, IndexConfig, resolve
from sourceline.types import DEFAULT_MODEL
from tests.support.index_folder import put

BRIDGES, TRAMS = (
    f"Item {number} is about {topic}. " + f"The council spoke of {topic} at length. " * 12
    for number, topic in enumerate(["bridges", "trams"])
)


@pytest.fixture(scope="module")
def model() -> Model:
    return find_model(DEFAULT_MODEL)


@pytest.fixture(scope="module")
def trained(model: Model) -> RankingHead:
    return find_ranking_head(model.digest, 384)


class OtherEncoder:
    """An encoder that differs in nothing but its fingerprint."""

    def __init__(self, encoder: Encoder) -> None:
        self.model, self.dim, self.max_tokens = encoder.model, encoder.dim, encoder.max_tokens
        self.vocabulary, self.unknown_id = encoder.vocabulary, encoder.unknown_id
        self.tokenize, self.encode = encoder.tokenize, encoder.encode
        self.fingerprint = "0123456789abcdef"


def test_without_a_head_the_one_that_was_trained_for_the_model_is_taken(
    encoder: Encoder, model: Model, trained: RankingHead
) -> None:
    by_default, by_name = (resolve(config, encoder, model, 0) for config in (DEFAULT_CONFIG, IndexConfig(trained)))
    unknown = resolve(DEFAULT_CONFIG, encoder, replace(model, digest="0" * 64), 0)

    np.testing.assert_array_equal(by_default.head.projection, trained.projection)
    assert by_default.digest == by_name.digest
    np.testing.assert_array_equal(unknown.head.projection, identity_head(384).projection)


def test_the_digest_depends_on_everything_that_the_encoded_chunks_depend_on(
    encoder: Encoder, model: Model, trained: RankingHead
) -> None:
    changed_head = replace(trained, passage=trained.passage + np.float32(0.5))
    digests = {
        "default": resolve(DEFAULT_CONFIG, encoder, model, 0).digest,
        "no titles": resolve(IndexConfig(titles=False), encoder, model, 0).digest,
        "longer chunks": resolve(IndexConfig(chunk_characters=900), encoder, model, 0).digest,
        "no chunks": resolve(IndexConfig(chunk_characters=0), encoder, model, 0).digest,
        "identity head": resolve(IndexConfig(identity_head(384)), encoder, model, 0).digest,
        "changed head": resolve(IndexConfig(changed_head), encoder, model, 0).digest,
        "identity head, large corpus": resolve(
            IndexConfig(identity_head(384)), encoder, model, COMPACT_ABOVE + 1
        ).digest,
        "other encoder": resolve(DEFAULT_CONFIG, OtherEncoder(encoder), model, 0).digest,
    }

    assert len({*digests.values()}) == len(digests)
    assert all(len(digest) == 16 for digest in digests.values())
    assert resolve(DEFAULT_CONFIG, encoder, model, COMPACT_ABOVE + 1).digest == digests["default"]


def test_the_digest_depends_on_the_format(encoder: Encoder, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = resolve(DEFAULT_CONFIG, encoder, model, 0).digest
    monkeypatch.setattr(config_module, "FORMAT", FORMAT + 1)

    assert resolve(DEFAULT_CONFIG, encoder, model, 0).digest != digest


@pytest.mark.parametrize(("size", "without_codebook"), [(0, BFLOAT16), (4_000_001, INT8)])
def test_with_a_codebook_every_corpus_is_kept_by_it_and_without_one_the_size_decides(
    encoder: Encoder, model: Model, size: int, without_codebook: str
) -> None:
    trained = resolve(DEFAULT_CONFIG, encoder, model, size)
    plain = resolve(IndexConfig(identity_head(384)), encoder, model, size)

    assert (trained.codec, plain.codec) == (PQ, without_codebook)
    assert trained.open_codec().code_size == 64
    assert plain.open_codec().code_size == {BFLOAT16: 2 * 384, INT8: 384}[without_codebook]


def citations_of(index: Path) -> list[str]:
    store = open_current(index).passages
    return [passage.id for entry in store.documents for passage in store.of_document(entry)]


def test_another_config_encodes_everything_anew_and_keeps_the_citations(documents: Path, index: Path) -> None:
    put(documents, {"a.txt": BRIDGES, "b.txt": TRAMS})
    first = build(documents, index, DEFAULT_MODEL)
    ids = citations_of(index)

    second = build(documents, index, DEFAULT_MODEL, config=IndexConfig(chunk_characters=0))

    assert (first.chunks, first.encoded) == (2, 2)
    assert (second.unchanged, second.chunks, second.encoded) == (("a.txt", "b.txt"), 26, 4)
    assert citations_of(index) == ids
