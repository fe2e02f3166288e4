import logging
import subprocess
import sys
from pathlib import Path

import pytest

from sourceline.encoders import export, load
from sourceline.encoders.base import Encoder, EncoderInput
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.load import ENCODERS, backend_of, open_encoder, prepare_encoder
from sourceline.encoders.onnx import OnnxEncoder, fingerprint
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL, Backend

# Run in a fresh process: this one has imported everything.
ASK = """
import sys
from sourceline import Index

with Index.open(sys.argv[1]) as index:
    print(index.ask("How many pilgrims make the trip in a year?", 1).hits[0].passage.text)
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_a_model_is_exported_only_once(exported: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    encoder = prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), exported)
    assert backend_of(encoder) is Backend.ONNX
    assert caplog.messages == []


def test_a_model_that_was_exported_under_another_name_goes_by_the_name_it_is_opened_by(exported: Path) -> None:
    folder = str(find_model(DEFAULT_MODEL, Backend.TORCH).folder)
    encoder = prepare_encoder(Backend.ONNX, find_model(folder), exported)
    assert isinstance(encoder, OnnxEncoder)
    assert (encoder.model, encoder.card.model) == (folder, DEFAULT_MODEL)
    assert open_encoder(Backend.ONNX, folder, encoder.fingerprint, exported).model == folder


def test_sentence_transformers_can_be_chosen_and_exports_nothing(small_model: Model, tmp_path: Path) -> None:
    encoder = prepare_encoder(Backend.TORCH, small_model, tmp_path / "index")
    assert isinstance(encoder, SentenceTransformerEncoder)
    assert backend_of(encoder) is Backend.TORCH
    assert (encoder.model, encoder.dim, encoder.max_tokens) == (small_model.name, 32, 254)
    assert encoder.fingerprint == f"torch-2-{small_model.digest[:16]}"
    assert not (tmp_path / "index").exists()


def test_a_model_is_exported_by_the_first_build(
    small_model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    encoder = prepare_encoder(Backend.ONNX, small_model, tmp_path)
    assert backend_of(encoder) is Backend.ONNX
    assert encoder.fingerprint == fingerprint(small_model)
    assert [path.name for path in (tmp_path / ENCODERS).iterdir()] == [encoder.fingerprint]
    assert caplog.messages[0] == f"exporting {small_model.name} to ONNX, once"


def test_a_model_that_cannot_be_exported_is_run_by_sentence_transformers_with_a_warning(
    small_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(export, "_COSINE_MEAN", 2)
    encoder = prepare_encoder(Backend.ONNX, small_model, tmp_path / "index")
    assert backend_of(encoder) is Backend.TORCH
    assert encoder.fingerprint == f"torch-2-{small_model.digest[:16]}"
    assert caplog.records[-1].levelno == logging.WARNING
    assert caplog.messages[-1] == (
        f"{small_model.name} does not export to the same vectors; using sentence-transformers, which is slower"
    )
    assert list((tmp_path / "index" / ENCODERS).iterdir()) == []


def test_a_damaged_exported_model_is_exported_again_to_the_same(small_model: Model, tmp_path: Path) -> None:
    inputs = [EncoderInput("The roof leaks.")]
    (before,) = prepare_encoder(Backend.ONNX, small_model, tmp_path).encode(inputs)
    (tmp_path / ENCODERS / fingerprint(small_model) / "model.onnx").write_bytes(b"damaged")
    encoder = prepare_encoder(Backend.ONNX, small_model, tmp_path)
    assert backend_of(encoder) is Backend.ONNX
    assert encoder.fingerprint == fingerprint(small_model)
    (after,) = encoder.encode(inputs)
    assert after.vectors.tolist() == before.vectors.tolist()
    assert [path.name for path in (tmp_path / ENCODERS).iterdir()] == [encoder.fingerprint]


def test_the_encoder_that_a_snapshot_was_built_with_is_opened(
    exported: Path, encoder: Encoder, small_model: Model
) -> None:
    onnx = open_encoder(Backend.ONNX, DEFAULT_MODEL, encoder.fingerprint, exported)
    assert isinstance(onnx, OnnxEncoder)
    assert onnx.fingerprint == encoder.fingerprint
    torch = open_encoder(Backend.TORCH, small_model.name, f"torch-2-{small_model.digest[:16]}", exported)
    assert isinstance(torch, SentenceTransformerEncoder)
    assert torch.fingerprint == f"torch-2-{small_model.digest[:16]}"


def test_an_exported_model_that_is_gone_is_refused_with_the_command_that_mends(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        open_encoder(Backend.ONNX, DEFAULT_MODEL, "0123456789abcdef", tmp_path)
    folder = tmp_path / ENCODERS / "0123456789abcdef"
    assert str(error.value) == f"no exported model in {folder}: run `sourceline rebuild-index`"


def test_another_model_in_the_place_of_the_right_one_is_refused(
    exported: Path, encoder: Encoder, tmp_path: Path
) -> None:
    folder = tmp_path / ENCODERS / "0123456789abcdef"
    folder.parent.mkdir()
    folder.symlink_to(exported / ENCODERS / encoder.fingerprint)
    with pytest.raises(ModelError) as error:
        open_encoder(Backend.ONNX, DEFAULT_MODEL, "0123456789abcdef", tmp_path)
    assert str(error.value) == f"the exported model in {folder} is another one: run `sourceline rebuild-index`"


@pytest.mark.parametrize("backend", Backend)
def test_without_the_libraries_that_run_a_model_the_error_says_how_to_install_them(
    small_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: Backend
) -> None:
    for name in ("export", "sentence_transformer"):
        monkeypatch.delitem(sys.modules, f"sourceline.encoders.{name}", raising=False)
        monkeypatch.delattr(sys.modules["sourceline.encoders"], name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match=r"is missing: pip install 'sourceline\[models\]'"):
        load.prepare_encoder(backend, small_model, tmp_path)


def test_answering_imports_no_deep_learning_framework(seed_index: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", ASK, str(seed_index)], capture_output=True, text=True, check=True, timeout=60
    )
    answer, modules = process.stdout.splitlines()
    assert answer == "Millions of pilgrims cross borders each year."
    assert {"onnxruntime", "tokenizers", "faiss", "tantivy"} <= set(modules.split())
    assert {"torch", "sentence_transformers", "transformers"}.isdisjoint(modules.split())
    assert process.stderr == ""
