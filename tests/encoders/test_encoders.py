import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from sourceline.durable import sha256
from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.load import ENCODERS, backend_of, open_encoder, prepare_encoder
from sourceline.encoders.onnx import CARD_FILE, MODEL_FILE, OnnxEncoder, read_card, write_card
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL, Backend

# What is answered here is asked in a fresh process: this one has imported everything.
ASK = """
import sys
from pathlib import Path
from sourceline.search.opening import open_searcher
from sourceline.types import DEFAULT_MODEL
from sourceline.types import EncoderKind

searcher = open_searcher(Path(sys.argv[1]), DEFAULT_MODEL, EncoderKind.COMPILED)
print(searcher.ask("How many pilgrims make the trip in a year?", 1).hits[0].passage.text)
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_a_model_is_compiled_only_once(exported: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    encoder = prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), exported)
    assert backend_of(encoder) is Backend.ONNX
    assert caplog.messages == []


def test_a_model_compiled_under_another_name_goes_by_the_name_it_is_asked_for(exported: Path) -> None:
    folder = str(find_model(DEFAULT_MODEL).folder)
    encoder = prepare_encoder(Backend.ONNX, find_model(folder), exported)
    assert isinstance(encoder, OnnxEncoder)
    assert (encoder.model, encoder.card.model) == (folder, DEFAULT_MODEL)
    assert open_encoder(Backend.ONNX, folder, encoder.fingerprint, exported).model == folder


def test_the_reference_can_be_chosen(small_model: Model, tmp_path: Path) -> None:
    encoder = prepare_encoder(Backend.TORCH, small_model, tmp_path / "store")
    assert isinstance(encoder, SentenceTransformerEncoder)
    assert backend_of(encoder) is Backend.TORCH
    assert (encoder.model, encoder.dim, encoder.limit) == (small_model.name, 32, 254)
    assert not (tmp_path / "store").exists()


def test_what_a_snapshot_was_built_with_is_opened(exported: Path, encoder: Encoder) -> None:
    opened = open_encoder(Backend.ONNX, DEFAULT_MODEL, encoder.fingerprint, exported)
    assert isinstance(opened, OnnxEncoder)
    assert opened.fingerprint == encoder.fingerprint


def test_what_is_not_compiled_any_more_is_refused_with_the_command_that_mends(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        open_encoder(Backend.ONNX, DEFAULT_MODEL, "0123456789abcdef", tmp_path)
    expected = f"no compiled model in {tmp_path / '0123456789abcdef'}: run `sourceline rebuild-index`"
    assert str(error.value) == expected


@pytest.mark.parametrize("failure", ["is empty", "is no model", "has an unknown operation", "is of the future"])
def test_a_compiled_model_that_this_onnxruntime_cannot_load_is_refused_with_the_command_that_mends(
    exported: Path, encoder: Encoder, tmp_path: Path, failure: str
) -> None:
    folder = shutil.copytree(exported / ENCODERS / encoder.fingerprint, tmp_path / encoder.fingerprint)
    model = onnx.load(str(folder / MODEL_FILE))
    if failure == "is of the future":
        model.ir_version = 99
    else:
        model.graph.node[0].op_type = "NoSuchOperation"
    written = {"is empty": b"", "is no model": b"no model"}.get(failure, model.SerializeToString())
    (folder / MODEL_FILE).write_bytes(written)
    card = read_card(folder)
    write_card(folder, replace(card, sha256=card.sha256 | {MODEL_FILE: sha256(folder / MODEL_FILE)}))
    with pytest.raises(ModelError) as error:
        open_encoder(Backend.ONNX, DEFAULT_MODEL, encoder.fingerprint, tmp_path)
    assert str(error.value) == f"the compiled model {folder / MODEL_FILE} does not load: run `sourceline rebuild-index`"


def test_another_model_in_the_place_of_the_one_wanted_is_refused(
    exported: Path, encoder: Encoder, tmp_path: Path
) -> None:
    folder = shutil.copytree(exported / ENCODERS / encoder.fingerprint, tmp_path / "0123456789abcdef")
    assert json.loads((folder / CARD_FILE).read_text())["fingerprint"] == encoder.fingerprint
    with pytest.raises(ModelError, match="is another: run `sourceline rebuild-index`"):
        open_encoder(Backend.ONNX, DEFAULT_MODEL, "0123456789abcdef", tmp_path)


def test_answering_imports_no_deep_learning_framework(seed_index: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", ASK, str(seed_index)], capture_output=True, text=True, check=True, timeout=60
    )
    answer, modules = run.stdout.splitlines()
    assert answer == "Millions of pilgrims cross borders each year."
    assert {"onnxruntime", "tokenizers", "faiss", "tantivy"} <= set(modules.split())
    assert {"torch", "sentence_transformers", "transformers"}.isdisjoint(modules.split())
    assert run.stderr == ""
