import shutil
from pathlib import Path

import pytest

from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder, load_model
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL, Backend


def test_a_model_is_loaded_with_a_tokenizer_that_does_not_truncate() -> None:
    _, tokenizer, max_tokens = load_model(find_model(DEFAULT_MODEL, Backend.TORCH).folder)
    assert max_tokens == 254
    assert len(tokenizer.encode("yes " * 1_000).ids) == 1_002
    assert tokenizer.truncation is None
    assert tokenizer.padding is None


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0{", b"weights"])
def test_damaged_weights_are_an_error_of_one_line(small_model: Model, tmp_path: Path, content: bytes) -> None:
    folder = shutil.copytree(small_model.folder, tmp_path / "model")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="does not load as a sentence-transformers model") as error:
        SentenceTransformerEncoder(find_model(str(folder)))
    assert "\n" not in str(error.value)


def test_a_folder_that_holds_nothing_but_weights_is_an_error_of_one_line(small_model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(small_model.folder / "model.safetensors", folder)
    with pytest.raises(ModelError, match="does not load as a sentence-transformers model") as error:
        SentenceTransformerEncoder(find_model(str(folder)))
    assert "\n" not in str(error.value)
