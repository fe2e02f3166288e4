import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sourceline.durable import sha256
from sourceline.encoders import export as compiling
from sourceline.encoders.base import Encoder, l2_normalize
from sourceline.encoders.export import PROBES, export_model
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.load import ENCODERS, backend_of, prepare_encoder
from sourceline.encoders.onnx import CARD_FILE, OnnxEncoder, fingerprint, read_card
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL, Backend


def require(monkeypatch: pytest.MonkeyPatch, cosine: float) -> None:
    monkeypatch.setattr(compiling, "_COSINE_MEAN", cosine)
    monkeypatch.setattr(compiling, "_COSINE_MIN", cosine)


def test_the_card_of_the_default_model(exported: Path, encoder: Encoder) -> None:
    folder = exported / encoder.fingerprint
    card = read_card(folder)
    assert replace(card, cosine_mean=0, cosine_min=0, sha256={}, precision="") == replace(
        card, model=DEFAULT_MODEL, fingerprint=folder.name, dim=384, limit=254,
        cosine_mean=0, cosine_min=0, sha256={}, precision="",
    )  # fmt: skip
    assert card.precision in {"int8", "fp32"}  # which, depends on the processor
    assert 1.001 > card.cosine_mean >= 0.98
    assert card.cosine_mean >= card.cosine_min >= 0.95
    assert card.sha256 == {name: sha256(folder / name) for name in ("model.onnx", "tokenizer.json")}


def test_the_probe_sentences_agree_as_the_card_says(small_model: Model, tmp_path: Path) -> None:
    card = export_model(small_model, tmp_path / "onnx")
    ours, theirs = OnnxEncoder(small_model.name, tmp_path / "onnx"), SentenceTransformerEncoder(small_model)
    cosines = [
        float(l2_normalize(one.vectors.mean(axis=0)) @ l2_normalize(other.vectors.mean(axis=0)))
        for one, other in zip(ours.encode(PROBES), theirs.encode(PROBES), strict=True)
    ]
    assert card.cosine_mean == pytest.approx(np.mean(cosines), abs=1e-6)
    assert card.cosine_min == pytest.approx(min(cosines), abs=1e-6)
    assert (card.dim, card.limit, card.model) == (32, 254, small_model.name)


def test_int8_is_taken_where_it_agrees(small_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(monkeypatch, -1)
    assert export_model(small_model, tmp_path / "store" / "onnx").precision == "int8"
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["onnx"]


def test_fp32_is_taken_where_int8_disagrees(
    small_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    require(monkeypatch, 0.999995)
    card = export_model(small_model, tmp_path / "onnx")
    assert card.precision == "fp32"
    assert card.cosine_min == pytest.approx(1, abs=1e-6)
    assert f"{small_model.name} in int8 agrees with the original only to a cosine of" in caplog.text
    (ours,) = OnnxEncoder(small_model.name, tmp_path / "onnx").encode(["The roof leaks."])
    (theirs,) = SentenceTransformerEncoder(small_model).encode(["The roof leaks."])
    np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=1e-5)


def test_a_model_that_does_not_compile_is_used_as_it_is_with_a_warning(
    small_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    require(monkeypatch, 2)
    encoder = prepare_encoder(Backend.ONNX, small_model, tmp_path / "store")
    assert backend_of(encoder) is Backend.TORCH
    assert encoder.fingerprint.startswith("reference-")
    assert caplog.records[-1].levelno == logging.WARNING
    assert caplog.records[-1].getMessage() == (
        f"{small_model.name} does not compile to the same vectors; using sentence-transformers itself, which is slower"
    )
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0{", b"weights"])
def test_damaged_weights_are_a_known_error(small_model: Model, tmp_path: Path, content: bytes) -> None:
    folder = shutil.copytree(small_model.folder, tmp_path / "model")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="does not load as a sentence-transformers model"):
        export_model(find_model(str(folder)), tmp_path / "onnx")


def test_a_folder_with_weights_alone_is_a_known_error(small_model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(small_model.folder / "model.safetensors", folder)
    with pytest.raises(ModelError, match="does not load as a sentence-transformers model") as error:
        prepare_encoder(Backend.ONNX, find_model(str(folder)), tmp_path / "store")
    assert "\n" not in str(error.value)


def test_the_fingerprint_is_of_the_model_alone(small_model: Model, tmp_path: Path) -> None:
    copy = shutil.copytree(small_model.folder, tmp_path / "copy")
    assert fingerprint(find_model(str(copy))) == fingerprint(small_model)
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert fingerprint(find_model(str(copy))) != fingerprint(small_model)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_file_is_refused(exported: Path, encoder: Encoder, tmp_path: Path, name: str, damage: str) -> None:
    folder = shutil.copytree(exported / ENCODERS / encoder.fingerprint, tmp_path / "onnx")
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 4
    match damage:
        case "flip":
            (folder / name).write_bytes(data)
        case "cut":
            (folder / name).write_bytes(data[:-1])
        case "remove":
            (folder / name).unlink()
    with pytest.raises(ModelError, match="is damaged: run `sourceline rebuild-index`"):
        OnnxEncoder(DEFAULT_MODEL, folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 1}', "\ud800"])
def test_an_unreadable_card_is_refused(exported: Path, encoder: Encoder, tmp_path: Path, content: str) -> None:
    folder = shutil.copytree(exported / ENCODERS / encoder.fingerprint, tmp_path / "onnx")
    (folder / CARD_FILE).write_text(content, "utf-8", errors="surrogatepass")
    with pytest.raises(ModelError, match=r"no compiled model in .*: run `sourceline rebuild-index`"):
        OnnxEncoder(DEFAULT_MODEL, folder)


def test_a_damaged_compiled_model_is_compiled_again_to_the_same(small_model: Model, tmp_path: Path) -> None:
    (before,) = prepare_encoder(Backend.ONNX, small_model, tmp_path).encode(["The roof leaks."])
    (tmp_path / fingerprint(small_model) / "model.onnx").write_bytes(b"damaged")
    encoder = prepare_encoder(Backend.ONNX, small_model, tmp_path)
    assert backend_of(encoder) is Backend.ONNX
    assert encoder.fingerprint == fingerprint(small_model)
    (after,) = encoder.encode(["The roof leaks."])
    np.testing.assert_array_equal(after.vectors, before.vectors)
    assert [path.name for path in tmp_path.iterdir()] == [encoder.fingerprint]
