"""Opens what is needed to answer: the current snapshot with its encoder and calibration."""

import logging
from pathlib import Path

from sourceline.encoders.base import Encoder
from sourceline.encoders.load import ENCODERS, open_encoder
from sourceline.errors import MismatchError
from sourceline.index.snapshot import MEND, Manifest, open_current
from sourceline.search.confidence import is_calibrated, load_calibration
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_THRESHOLD, Backend

log = logging.getLogger(__name__)


def open_searcher(
    index: Path,
    model: str,
    kind: Backend,
    connections: int = 1,
    encoder: Encoder | None = None,
    threshold: float = DEFAULT_THRESHOLD,
) -> Searcher:
    """Open the snapshot that is current.

    Args:
        index: the index folder.
        model: the model that is wanted, as it was named when the index was built.
        kind: the encoder that is wanted.
        connections: how many threads will read passages at once.
        encoder: one that is open already; it is used again if the snapshot was built with it.
        threshold: the least confidence with which a question counts as answered.

    Raises:
        SnapshotError: there is no snapshot, none is whole, or it was built with another model.
        ModelError: the encoder cannot be opened.
    """
    snapshot = open_current(index, connections)
    manifest = snapshot.manifest
    _require(manifest, model, kind)
    if encoder is None or encoder.fingerprint != manifest.fingerprint:
        encoder = open_encoder(Backend(manifest.encoder), model, manifest.fingerprint, index / ENCODERS)
        if not is_calibrated(model):
            log.warning("%s has no calibration: its confidence is the default model's, and rough", model)
    return Searcher(snapshot, encoder, load_calibration(model), threshold)


def _require(manifest: Manifest, model: str, kind: Backend) -> None:
    if manifest.model != model:
        raise MismatchError(f"snapshot {manifest.id} was built with the model {manifest.model}, not {model}: {MEND}")
    # The other way round is no mismatch: a model that does not compile is served by the reference encoder.
    if kind is Backend.TORCH and manifest.encoder != kind:
        raise MismatchError(f"snapshot {manifest.id} was not built with the {kind} encoder: {MEND}")
