import re
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from sourceline.encoders.base import Float32, l2_normalize
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.ranking_head import (
    RankingHead,
    find_ranking_head,
    identity_head,
    read_ranking_head,
    write_ranking_head,
)
from sourceline.errors import ModelError
from sourceline.indexing.builder import build
from sourceline.search.query import encode_query
from sourceline.types import DEFAULT_MODEL, Backend
from tests.support.publishing import open_searcher

HEADS = Path(str(resources.files("sourceline.encoders"))) / "heads"
NAMES = [field.name for field in fields(RankingHead)]


def floats(*values: float) -> Float32:
    return np.array(values, dtype=np.float32)


# From three dimensions to two: the third is left out.
HEAD = RankingHead(
    projection=np.eye(3, 2, dtype=np.float32),
    passage=floats(2, 0),
    question=floats(0, 1, 0),
    context_gate=floats(0, 0, 4),
    biases=floats(-1, -2),
    context_penalties=floats(0.1, 0.2, 0.3),
)


def sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


def are_equal(head: RankingHead, other: RankingHead) -> bool:
    return all(np.array_equal(getattr(head, name), getattr(other, name)) for name in NAMES)


def test_a_token_of_a_passage_is_projected_and_its_length_is_its_weight() -> None:
    assert HEAD.dim == 2
    projected = HEAD.project_passage(np.array([[5, 0, 7], [3, 4, 0], [0, 0, 1]], dtype=np.float32))
    # Of length one: (1, 0), (.6, .8) and, with nothing left of it, (0, 0); the logits are 2·x - 1.
    assert projected == pytest.approx(
        np.array([[sigmoid(1), 0], [0.6 * sigmoid(0.2), 0.8 * sigmoid(0.2)], [0, 0]]), abs=1e-6
    )
    assert projected.dtype == np.float32


def test_a_token_of_a_question_is_projected_to_length_one() -> None:
    projected = HEAD.project_query(np.array([[5, 0, 7], [3, 4, 0], [0, 0, 1]], dtype=np.float32))
    assert projected == pytest.approx(floats(1, 0, 0.6, 0.8, 0, 0).reshape(3, 2))
    assert HEAD.project_query(np.zeros((0, 3), np.float32)).shape == (0, 2)


def test_the_tokens_of_a_question_weigh_by_rarity_times_what_was_learnt() -> None:
    weights = HEAD.query_weights(np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32), floats(3, 1))
    assert weights == pytest.approx(floats(3 / (3 + np.e), np.e / (3 + np.e)))
    assert HEAD.query_weights(floats(0, 1, 0)[None, :], floats(2)) == pytest.approx(floats(1))


def test_tokens_that_are_in_every_passage_weigh_the_same() -> None:
    assert HEAD.query_weights(np.eye(4, 3, dtype=np.float32), floats(0, 0, 0, 0)) == pytest.approx(floats(*[0.25] * 4))


def test_the_context_gate_of_a_token_is_the_sigmoid_of_its_logit() -> None:
    gates = HEAD.context_gates(np.array([[1, 0, 0], [0, 0, 1], [0, 0, -100]], dtype=np.float32))
    assert gates == pytest.approx(floats(sigmoid(-2), sigmoid(2), 0))


def test_the_identity_head_changes_nothing() -> None:
    vectors, idf = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32), floats(1, 2, 3, 0, 4)
    identity = identity_head(8)
    np.testing.assert_array_equal(identity.project_passage(vectors), l2_normalize(vectors))
    np.testing.assert_array_equal(identity.project_query(vectors), l2_normalize(vectors))
    assert identity.query_weights(l2_normalize(vectors), idf) == pytest.approx(idf / 10)
    assert identity.context_gates(l2_normalize(vectors)).tolist() == [0] * 5
    assert identity.context_penalties.tolist() == [0] * 3


@pytest.mark.parametrize("head", [HEAD, identity_head(4)])
def test_a_head_is_read_as_it_was_written(tmp_path: Path, head: RankingHead) -> None:
    write_ranking_head(tmp_path / "head", head, "digest")
    assert are_equal(read_ranking_head(tmp_path / "head"), head)
    write_ranking_head(tmp_path / "again", read_ranking_head(tmp_path / "head"), "digest")
    assert (tmp_path / "head").read_bytes() == (tmp_path / "again").read_bytes()


def test_a_head_is_written_as_float32_row_by_row_whatever_it_is_in_memory(tmp_path: Path) -> None:
    by_columns: Any = np.asfortranarray(np.arange(6, dtype=np.float64).reshape(3, 2))
    write_ranking_head(tmp_path / "head", replace(HEAD, projection=by_columns))
    projection = read_ranking_head(tmp_path / "head").projection
    assert projection.dtype == np.float32
    assert projection.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_what_float16_holds_as_it_is_takes_two_bytes_and_the_rest_four(tmp_path: Path) -> None:
    head = replace(HEAD, passage=floats(1 / 3, 0), biases=floats(np.inf, -np.inf), question=floats(0, 1e5, 0))
    write_ranking_head(tmp_path / "head", head)
    with safe_open(tmp_path / "head", framework="numpy") as file:
        types = {name: file.get_tensor(name).dtype.name for name in sorted(set(file.keys()))}
    assert [name for name, type_ in types.items() if type_ == "float32"] == ["context_penalties", "passage", "question"]
    assert {*types.values()} == {"float16", "float32"}
    assert are_equal(read_ranking_head(tmp_path / "head"), head)


def test_a_file_that_is_not_a_head_is_a_known_error(tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    write_ranking_head(path, HEAD)
    whole = path.read_bytes()
    for content in (b"", b"no head", whole[:-1], whole[:9], whole + b"\0", save({"projection": HEAD.projection})):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"the ranking head .*head\.safetensors cannot be read: "):
            read_ranking_head(path)
    path.unlink()
    with pytest.raises(ModelError, match=r"the ranking head .*head\.safetensors cannot be read: "):
        read_ranking_head(path)


def test_a_model_gets_the_head_that_was_trained_for_it_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "heads").mkdir()
    (tmp_path / "heads" / "one.md").write_text("About it.")
    by_model = {name: replace(HEAD, biases=floats(number, 0)) for number, name in enumerate(["one", "two"])}
    for name, head in by_model.items():
        write_ranking_head(tmp_path / "heads" / f"{name}.safetensors", head, f"digest of {name}")
    monkeypatch.setattr("sourceline.encoders.ranking_head.resources.files", lambda _: tmp_path)
    for name, head in by_model.items():
        assert are_equal(find_ranking_head(f"digest of {name}", 3), head)
    for unknown in ("digest of three", "digest", "one"):
        assert are_equal(find_ranking_head(unknown, 3), identity_head(3))
    (tmp_path / "heads" / "one.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"one\.safetensors cannot be read: reinstall Sourceline"):
        find_ranking_head("digest of three", 3)


def test_the_head_of_the_default_model_is_shipped_with_its_card() -> None:
    digest = find_model(DEFAULT_MODEL).digest
    head = find_ranking_head(digest, 384)
    assert are_equal(head, read_ranking_head(HEADS / "all-MiniLM-L6-v2.safetensors"))
    assert "# The ranking head of all-MiniLM-L6-v2" in (HEADS / "all-MiniLM-L6-v2.md").read_text("utf-8")
    assert {name: getattr(head, name).shape for name in NAMES} == {
        "projection": (384, 192),
        "passage": (192,),
        "question": (384,),
        "context_gate": (384,),
        "biases": (2,),
        "context_penalties": (3,),
        "codebook": (64, 256, 3),
        "code_gain": (1,),
    }
    for name in NAMES:
        assert getattr(head, name).dtype == np.float32
        assert np.isfinite(getattr(head, name)).all()
    assert head.projection.T @ head.projection == pytest.approx(np.eye(192), abs=2e-4)  # as float16 holds it
    assert (head.context_penalties >= 0).all()


def test_every_shipped_head_names_its_model_and_is_as_it_would_be_written(tmp_path: Path) -> None:
    for path in HEADS.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as file:
            digest = file.metadata()["model_digest"]
        assert re.fullmatch("[0-9a-f]{64}", digest)
        write_ranking_head(tmp_path / "again", read_ranking_head(path), digest)
        assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_model_without_a_head_ranks_by_the_identity_head(small_model: Model, tmp_path: Path) -> None:
    documents, index = tmp_path / "documents", tmp_path / "index"
    documents.mkdir()
    (documents / "a.txt").write_text("The bridge opens on Monday. The roof leaks.\n\nSeven trams were ordered.\n")
    build(documents, index, small_model.name, Backend.TORCH)
    searcher = open_searcher(index)
    snapshot = searcher.snapshot
    assert are_equal(snapshot.head, identity_head(32))
    query = encode_query(searcher.encoder, "Which bridge opens?")
    weights = snapshot.tokens.idf(query.tokens.ids) / snapshot.tokens.idf(query.tokens.ids).sum()
    hits = searcher.ask("Which bridge opens?", 3).hits
    assert len(hits) == 3
    for hit in hits:
        cosines = query.vectors @ snapshot.tokens.gather([hit.passage.ordinal]).vectors.T
        assert hit.score == pytest.approx(float(weights @ cosines.max(axis=1)), abs=1e-5)
