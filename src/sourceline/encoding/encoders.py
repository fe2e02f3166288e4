"""Chooses the encoder: compile on first use to build, open what was compiled to serve."""

import logging
from pathlib import Path

from sourceline.encoding.compiled import CompiledEncoder, fingerprint
from sourceline.encoding.encoder import Encoder
from sourceline.encoding.models import Model, find_model
from sourceline.errors import ModelError
from sourceline.types import EncoderKind

log = logging.getLogger(__name__)

# Where compiled models are kept, in the folder of an index.
ENCODERS = "encoders"


def prepare_encoder(kind: EncoderKind, model: Model, store: Path) -> Encoder:
    """Return the encoder to build with; compile the model into ``store`` if that was not done yet.

    A model that does not compile is used as it is, with a warning.

    Raises:
        ModelError: the model cannot be used.
    """
    if kind is EncoderKind.COMPILED:
        target = store / fingerprint(model)
        try:
            return CompiledEncoder(model.name, target)
        except ModelError:
            log.info("compiling %s, once", model.name)
        # Imports torch and sentence-transformers, which is slow and never done to serve.
        from sourceline.encoding.compile import compile_model

        try:
            compile_model(model, target)
            return CompiledEncoder(model.name, target)
        except ModelError as error:
            log.warning("%s; using sentence-transformers itself, which is slower", error)
    return _reference(model)


def open_encoder(kind: EncoderKind, model: str, fingerprint: str, store: Path) -> Encoder:
    """Return the encoder that a generation was built with.

    Raises:
        ModelError: it is not there any more, or damaged.
    """
    if kind is EncoderKind.REFERENCE:
        return _reference(find_model(model))
    encoder = CompiledEncoder(model, store / fingerprint)
    if encoder.fingerprint != fingerprint:
        raise ModelError(f"the compiled model in {store / fingerprint} is another: run `sourceline rebuild-index`")
    return encoder


def kind_of(encoder: Encoder) -> EncoderKind:
    """Return which implementation an encoder is."""
    return EncoderKind.COMPILED if isinstance(encoder, CompiledEncoder) else EncoderKind.REFERENCE


def _reference(model: Model) -> Encoder:
    from sourceline.encoding.reference import ReferenceEncoder

    return ReferenceEncoder(model)
