"""Chooses the encoder: compile on first use to build, open what was compiled to serve."""

import logging
from pathlib import Path

from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.onnx import OnnxEncoder, fingerprint
from sourceline.errors import ModelError
from sourceline.types import Backend

log = logging.getLogger(__name__)

# Where compiled models are kept, in the folder of an index.
ENCODERS = "encoders"


def prepare_encoder(kind: Backend, model: Model, store: Path) -> Encoder:
    """Return the encoder to build with; compile the model into ``store`` if that was not done yet.

    A model that does not compile is used as it is, with a warning.

    Raises:
        ModelError: the model cannot be used.
    """
    if kind is Backend.ONNX:
        target = store / fingerprint(model)
        try:
            return OnnxEncoder(model.name, target)
        except ModelError:
            log.info("compiling %s, once", model.name)
        # Imports torch and sentence-transformers, which is slow and never done to serve.
        from sourceline.encoders.export import export_model

        try:
            export_model(model, target)
            return OnnxEncoder(model.name, target)
        except ModelError as error:
            log.warning("%s; using sentence-transformers itself, which is slower", error)
    return _reference(model)


def open_encoder(kind: Backend, model: str, fingerprint: str, store: Path) -> Encoder:
    """Return the encoder that a snapshot was built with.

    Raises:
        ModelError: it is not there any more, or damaged.
    """
    if kind is Backend.TORCH:
        return _reference(find_model(model))
    encoder = OnnxEncoder(model, store / fingerprint)
    if encoder.fingerprint != fingerprint:
        raise ModelError(f"the compiled model in {store / fingerprint} is another: run `sourceline rebuild-index`")
    return encoder


def backend_of(encoder: Encoder) -> Backend:
    """Return which implementation an encoder is."""
    return Backend.ONNX if isinstance(encoder, OnnxEncoder) else Backend.TORCH


def _reference(model: Model) -> Encoder:
    from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder

    return SentenceTransformerEncoder(model)
