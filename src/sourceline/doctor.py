"""Checks installation, model, reranker, documents, index and citations, and says what to do."""

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from sourceline import __version__
from sourceline.address import PostgresAddress
from sourceline.api import Index
from sourceline.errors import CorpusError, SourcelineError
from sourceline.text import counted
from sourceline.types import DEFAULT_MODEL, DEFAULT_RERANKER, MAX_DOCUMENT_BYTES, NO_RERANKER, Backend, Finding

_PACKAGES = ("faiss-cpu", "onnxruntime", "tantivy", "tokenizers", "sentence-transformers", "torch")


def examine(
    documents: Path,
    path: Path | PostgresAddress,
    model: str,
    backend: Backend,
    reranker: str,
    max_document_bytes: int = MAX_DOCUMENT_BYTES,
    follow_links: bool = False,
    deep: bool = False,
) -> Iterator[Finding]:
    """Check everything that an answer depends on. Nothing is changed.

    ``deep`` reads and compares all that the index holds, too, which takes a while.
    """
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    yield Finding("installation", True, f"sourceline {__version__}, Python {platform.python_version()}, {packages}")
    yield _check("model", lambda: _find_model(model, backend))
    yield _check("reranker", lambda: _try_reranker(reranker))
    yield from _check_documents(documents, max_document_bytes, follow_links)
    try:
        index = Index.open(path, reranker=NO_RERANKER, lazy=True, fallback=False, documents=documents)
    except SourcelineError as error:
        yield Finding("index", False, str(error))
        if deep:
            yield from _check_files(path)
        return
    with index:
        yield _check("index", lambda: _describe(index, model))
        yield _check("changes", lambda: _describe_changes(index))
        yield _check("encoder", lambda: _try_encoder(index, backend))
        yield _check("citations", lambda: f"{index.check_citations():,} were issued")
        if deep:
            yield from index.check_contents()
            yield from _check_files(path)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _find_model(model: str, backend: Backend) -> str:
    if (model, backend) != (DEFAULT_MODEL, Backend.ONNX) and find_spec("sentence_transformers") is None:
        return f"{model} was not looked for: to build an index with it ({backend}), pip install 'sourceline[models]'"
    return f"{model} in {Index.locate_model(model, backend)}"


def _try_reranker(reranker: str) -> str:
    Index.check_reranker(reranker)
    if reranker == NO_RERANKER:
        return f"{reranker}: questions are answered without reading"
    return reranker if reranker == DEFAULT_RERANKER else f"{reranker}, not calibrated: confidence is that of mode fast"


def _check(subject: str, describe: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, describe())
    except SourcelineError as error:
        return Finding(subject, False, str(error))


def _check_documents(folder: Path, max_document_bytes: int, follow_links: bool) -> Iterator[Finding]:
    try:
        contents = Index.scan(folder, max_document_bytes, follow_links)
    except SourcelineError as error:
        yield Finding("documents", False, str(error))
        return
    readable = len(contents.documents)
    yield Finding("documents", readable > 0, f"{readable} can be read in {folder}")
    for document, reason in contents.skipped.items():
        yield Finding(f"document {document}", False, reason)
    for name, reason in contents.ignored.items():
        yield Finding(f"not read {name}", True, reason)


def _check_files(path: Path | PostgresAddress) -> Iterator[Finding]:
    """Compare every file of the snapshots that are kept with its checksum; each damaged one is a finding."""
    try:
        for snapshot in Index.snapshots(path):
            files = size = 0
            damaged = []
            for checked in Index.check_files(path, snapshot):
                files, size = files + 1, size + checked.bytes
                if checked.fault:
                    damaged.append(Finding(f"file {checked.name}", False, checked.fault))
            whole = f"{counted(files, 'file')} with encoder and ledger, {size:,} bytes"
            told = f"{len(damaged):,} damaged of {whole}" if damaged else f"{whole}, as they were written"
            yield Finding(f"files of {snapshot}", not damaged, told)
            yield from damaged
    except SourcelineError as error:
        yield Finding("files", False, str(error))


def _describe(index: Index, model: str) -> str:
    snapshot = index.snapshot
    if snapshot.model != model:
        raise SourcelineError(f"built with {snapshot.model}, not {model}: run `sourceline rebuild-index`")
    return f"snapshot {snapshot.id}, {counted(snapshot.documents, 'document')}, {counted(snapshot.passages, 'passage')}"


def _describe_changes(index: Index) -> str:
    """Return how the documents folder differs from the index, which is no fault: it may be rebuilt later."""
    try:
        changes = index.changes()
    except CorpusError as error:
        return f"cannot be told: {error}"
    if changes is None:
        return "the snapshot does not say what the documents folder held"
    if not changes:
        return "none since the snapshot"
    counts = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
    told = ", ".join(f"{len(names):,} {kind}" for kind, names in counts.items() if names)
    return f"{told} since the snapshot: run `sourceline rebuild-index` to take that into the index"


def _try_encoder(index: Index, backend: Backend) -> str:
    index.ask("Is anybody there?", k=1)
    used = index.snapshot.backend
    return used if used == backend else f"{used}, though {backend} is set"
