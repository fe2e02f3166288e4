import logging
import shutil
from pathlib import Path

import pytest
from sourceline.search.opening import open_searcher

from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import find_model
from sourceline.encoders.load import ENCODERS, open_encoder
from sourceline.errors import MismatchError, ModelError, NoSnapshotError
from sourceline.index.snapshot import current_id
from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL, Backend


@pytest.fixture
def own_index(seed_index: Path, tmp_path: Path) -> Path:
    """The seed documents, indexed, to be written to."""
    return shutil.copytree(seed_index, tmp_path / "index")


def test_what_was_published_is_opened_with_its_encoder(seed_index: Path, encoder: Encoder) -> None:
    searcher = open_searcher(seed_index, DEFAULT_MODEL, Backend.ONNX)
    assert searcher.snapshot.id == current_id(seed_index)
    assert searcher.encoder.fingerprint == encoder.fingerprint == searcher.snapshot.manifest.fingerprint


def test_an_encoder_that_is_open_is_used_again(seed_index: Path, encoder: Encoder) -> None:
    assert open_searcher(seed_index, DEFAULT_MODEL, Backend.ONNX, 1, encoder).encoder is encoder


def test_an_encoder_of_another_model_is_not_used_again(seed_index: Path, exported: Path, encoder: Encoder) -> None:
    other = open_encoder(Backend.ONNX, DEFAULT_MODEL, encoder.fingerprint, exported)
    other.__dict__["fingerprint"] = "0123456789abcdef"
    searcher = open_searcher(seed_index, DEFAULT_MODEL, Backend.ONNX, 1, other)
    assert searcher.encoder is not other
    assert searcher.encoder.fingerprint == encoder.fingerprint


def test_an_index_of_another_model_is_refused_with_the_command_that_mends(seed_index: Path) -> None:
    with pytest.raises(MismatchError) as error:
        open_searcher(seed_index, "maker/another", Backend.ONNX)
    assert str(error.value) == (
        f"snapshot {current_id(seed_index)} was built with the model {DEFAULT_MODEL}, not maker/another: "
        "run `sourceline rebuild-index`"
    )


def test_an_index_of_the_compiled_encoder_is_refused_if_the_reference_is_wanted(seed_index: Path) -> None:
    with pytest.raises(MismatchError) as error:
        open_searcher(seed_index, DEFAULT_MODEL, Backend.TORCH)
    assert str(error.value) == (
        f"snapshot {current_id(seed_index)} was not built with the reference encoder: run `sourceline rebuild-index`"
    )


def test_a_folder_without_an_index_is_refused_with_the_command_that_builds_one(index: Path) -> None:
    with pytest.raises(NoSnapshotError) as error:
        open_searcher(index, DEFAULT_MODEL, Backend.ONNX)
    assert str(error.value) == f"there is no index in {index} yet: run `sourceline rebuild-index`"


def test_a_damaged_encoder_is_refused_with_the_command_that_mends(own_index: Path, encoder: Encoder) -> None:
    (own_index / ENCODERS / encoder.fingerprint / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="is damaged: run `sourceline rebuild-index`"):
        open_searcher(own_index, DEFAULT_MODEL, Backend.ONNX)


def test_a_missing_encoder_is_refused_with_the_command_that_mends(own_index: Path) -> None:
    shutil.rmtree(own_index / ENCODERS)
    with pytest.raises(ModelError, match=r"no compiled model in .*: run `sourceline rebuild-index`"):
        open_searcher(own_index, DEFAULT_MODEL, Backend.ONNX)


def test_a_calibrated_model_is_opened_without_a_warning(seed_index: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    open_searcher(seed_index, DEFAULT_MODEL, Backend.ONNX)
    assert caplog.messages == []


def test_a_model_without_a_calibration_is_opened_with_a_warning(
    documents: Path, index: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (documents / "a.txt").write_text("The bridge was closed on Monday.")
    model = str(find_model(DEFAULT_MODEL).folder)
    build(documents, index, model)
    searcher = open_searcher(index, model, Backend.ONNX)
    assert caplog.messages == [f"{model} has no calibration: its confidence is the default model's, and rough"]
    assert searcher.ask("When was the bridge closed?", 1).answerable
    # Told once, not with every snapshot that is taken.
    open_searcher(index, model, Backend.ONNX, 1, searcher.encoder)
    assert len(caplog.messages) == 1
