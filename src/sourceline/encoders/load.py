"""Chooses the encoder: puts the exported model into the index on the first build, opens it to serve."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sourceline.durable import replace_folder
from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import DEFAULT_DIGEST, SHIPPED, Model, find_model
from sourceline.encoders.onnx import CARD_FILE, REBUILD, OnnxEncoder, fingerprint, verify_export
from sourceline.errors import ModelError
from sourceline.types import Backend

log = logging.getLogger(__name__)

ENCODERS = "encoders"  # the folder of an index that holds the exported models
_REINSTALL = "reinstall Sourceline"


def locate_model(name: str, backend: Backend) -> Path:
    """Return the folder of the files that a backend runs a model from, verified.

    Raises:
        ModelError: there is no such model, or it is not the one expected.
    """
    model = find_model(name, backend)
    if model.folder == SHIPPED:
        verify_export(SHIPPED, _REINSTALL)
    return model.folder


def prepare_encoder(backend: Backend, model: Model, index: Path) -> Encoder:
    """Return the encoder to build with; put its export into the index folder if it is not there yet.

    An index has an export of its own, whose vectors stay the same when Sourceline is upgraded. That of the default
    model is copied, another model is exported. One that cannot be exported is run by sentence-transformers, with a
    warning.

    Raises:
        ModelError: the model cannot be used.
    """
    if backend is Backend.ONNX:
        target = index / ENCODERS / fingerprint(model)
        try:
            return OnnxEncoder(model.name, target)
        except ModelError:  # there is none yet, or it is damaged
            if model.digest == DEFAULT_DIGEST:
                _copy_shipped(target)
                return OnnxEncoder(model.name, target)
            log.info("exporting %s to ONNX, once", model.name)
        with _models_extra():
            from sourceline.encoders.export import export_model  # imports torch, which serving never does
        try:
            export_model(model, target)
            return OnnxEncoder(model.name, target)
        except ModelError as error:
            log.warning("%s; using sentence-transformers, which is slower", error)
    return _sentence_transformer(model)


def _copy_shipped(target: Path) -> None:
    """Copy the export that comes with Sourceline into the new folder ``target``, published by rename.

    Raises:
        ModelError: it is damaged.
    """
    card = verify_export(SHIPPED, _REINSTALL)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".copying-") as scratch:
        copy = Path(scratch) / target.name
        copy.mkdir()
        for name in (*card.sha256, CARD_FILE):
            shutil.copyfile(SHIPPED / name, copy / name)
        replace_folder(copy, target)


def open_encoder(backend: Backend, model: str, fingerprint: str, index: Path) -> Encoder:
    """Return the encoder that a snapshot was built with.

    Raises:
        ModelError: it is gone or damaged.
    """
    if backend is Backend.TORCH:
        return _sentence_transformer(find_model(model, Backend.TORCH))
    folder = index / ENCODERS / fingerprint
    encoder = OnnxEncoder(model, folder)
    if encoder.fingerprint != fingerprint:
        raise ModelError(f"the exported model in {folder} is another one: {REBUILD}")
    return encoder


def _sentence_transformer(model: Model) -> Encoder:
    with _models_extra():
        from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder
    return SentenceTransformerEncoder(model)


@contextmanager
def _models_extra() -> Iterator[None]:
    """Turn a missing import into an install hint."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModelError(f"{error.name} is missing: pip install 'sourceline[models]'") from error


def backend_of(encoder: Encoder) -> Backend:
    """Return an encoder's backend."""
    return Backend.ONNX if isinstance(encoder, OnnxEncoder) else Backend.TORCH
