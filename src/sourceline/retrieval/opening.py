"""Opens what is needed to answer: the current generation with its encoder and calibration."""

import logging
from pathlib import Path

from sourceline.encoding.encoder import Encoder
from sourceline.encoding.encoders import ENCODERS, open_encoder
from sourceline.errors import MismatchError
from sourceline.index.generation import open_current
from sourceline.index.manifest import MEND, Manifest
from sourceline.retrieval.answerability import is_calibrated, load_calibration
from sourceline.retrieval.search import Searcher
from sourceline.types import DEFAULT_THRESHOLD, EncoderKind

log = logging.getLogger(__name__)


def open_searcher(
    index: Path,
    model: str,
    kind: EncoderKind,
    connections: int = 1,
    encoder: Encoder | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> Searcher:
    """Open the generation that is current.

    Args:
        index: the index folder.
        model: the model that is wanted, as it was named when the index was built.
        kind: the encoder that is wanted.
        connections: how many threads will read passages at once.
        encoder: one that is open already; it is used again if the generation was built with it.
        threshold: the least confidence with which a question counts as answered.

    Raises:
        GenerationError: there is no generation, none is whole, or it was built with another model.
        ModelError: the encoder cannot be opened.
    """
    generation = open_current(index, connections)
    manifest = generation.manifest
    _require(manifest, model, kind)
    if encoder is None or encoder.fingerprint != manifest.fingerprint:
        encoder = open_encoder(EncoderKind(manifest.encoder), model, manifest.fingerprint, index / ENCODERS)
        if not is_calibrated(model):
            log.warning("%s has no calibration: its confidence is the default model's, and rough", model)
    return Searcher(generation, encoder, load_calibration(model), threshold)


def _require(manifest: Manifest, model: str, kind: EncoderKind) -> None:
    if manifest.model != model:
        raise MismatchError(f"generation {manifest.id} was built with the model {manifest.model}, not {model}: {MEND}")
    # The other way round is no mismatch: a model that does not compile is served by the reference encoder.
    if kind is EncoderKind.REFERENCE and manifest.encoder != kind:
        raise MismatchError(f"generation {manifest.id} was not built with the {kind} encoder: {MEND}")
