"""Chooses the encoder: exports the model on the first build, opens what was exported to serve."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.onnx import OnnxEncoder, fingerprint
from sourceline.errors import ModelError
from sourceline.types import Backend

log = logging.getLogger(__name__)

ENCODERS = "encoders"  # the folder of an index that holds the exported models


def prepare_encoder(backend: Backend, model: Model, index: Path) -> Encoder:
    """Return the encoder to build with; export the model into the index folder if that was not done yet.

    A model that cannot be exported is run by sentence-transformers, with a warning.

    Raises:
        ModelError: the model cannot be used.
    """
    if backend is Backend.ONNX:
        target = index / ENCODERS / fingerprint(model)
        try:
            return OnnxEncoder(model.name, target)
        except ModelError:
            log.info("exporting %s to ONNX, once", model.name)
        with _models_extra():
            from sourceline.encoders.export import export_model  # imports torch, which serving never does
        try:
            export_model(model, target)
            return OnnxEncoder(model.name, target)
        except ModelError as error:
            log.warning("%s; using sentence-transformers, which is slower", error)
    return _sentence_transformer(model)


def open_encoder(backend: Backend, model: str, fingerprint: str, index: Path) -> Encoder:
    """Return the encoder that a snapshot was built with.

    Raises:
        ModelError: it is gone or damaged.
    """
    if backend is Backend.TORCH:
        return _sentence_transformer(find_model(model))
    folder = index / ENCODERS / fingerprint
    encoder = OnnxEncoder(model, folder)
    if encoder.fingerprint != fingerprint:
        raise ModelError(f"the exported model in {folder} is another one: run `sourceline rebuild-index`")
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
