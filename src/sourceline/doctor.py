"""Checks installation, model, index and documents, and says what to do."""

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sourceline import __version__
from sourceline.citations.ledger import Ledger
from sourceline.encoders.hub import find_model
from sourceline.encoders.load import ENCODERS, open_encoder
from sourceline.errors import SourcelineError
from sourceline.index.snapshot import current_id, open_snapshot
from sourceline.ingest.loader import SkippedFile, read_documents
from sourceline.types import Backend

_PACKAGES = ("faiss-cpu", "onnxruntime", "tantivy", "tokenizers", "sentence-transformers", "torch")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``detail`` says what to do if it is not well."""

    subject: str
    well: bool
    detail: str


def examine(documents: Path, index: Path, model: str, kind: Backend) -> Iterator[Finding]:
    """Look at everything that an answer depends on. Nothing is changed."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield Finding("installation", True, f"sourceline {__version__}, Python {platform.python_version()}, {packages}")
    yield _look("model", lambda: f"{model} in {find_model(model).folder}")
    yield from _documents(documents)
    yield _look("index", lambda: _index(index, model))
    yield _look("encoder", lambda: _encoder(index, model, kind))
    yield _look("citations", lambda: f"{Ledger(index).check():,} were issued")


def _look(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, look())
    except SourcelineError as error:
        return Finding(subject, False, str(error))


def _documents(folder: Path) -> Iterator[Finding]:
    try:
        found = list(read_documents(folder))
    except SourcelineError as error:
        yield Finding("documents", False, str(error))
        return
    skipped = [one for one in found if isinstance(one, SkippedFile)]
    readable = len(found) - len(skipped)
    yield Finding("documents", readable > 0, f"{readable} can be read in {folder}")
    for one in skipped:
        yield Finding(f"document {one.document_id}", False, one.reason)


def _index(index: Path, model: str) -> str:
    current = current_id(index)
    if current is None:
        raise SourcelineError("none was built yet: run `sourceline rebuild-index`")
    manifest = open_snapshot(index, current).manifest
    if manifest.model != model:
        raise SourcelineError(f"built with {manifest.model}, not {model}: run `sourceline rebuild-index`")
    return f"snapshot {manifest.id}, {manifest.documents} documents, {manifest.passages:,} passages"


def _encoder(index: Path, model: str, kind: Backend) -> str:
    current = current_id(index)
    if current is None:
        raise SourcelineError("none was compiled yet: run `sourceline rebuild-index`")
    manifest = open_snapshot(index, current).manifest
    encoder = open_encoder(Backend(manifest.encoder), manifest.model, manifest.fingerprint, index / ENCODERS)
    (encoding,) = encoder.encode(["Is anybody there?"])
    wanted = "" if manifest.encoder == kind else f", though {kind} is wanted"
    return f"{manifest.encoder}{wanted}, {encoding.vectors.shape[1]} dimensions"
