"""The ranking head: what was learnt about which tokens matter, on top of a frozen encoder.

Late interaction compares token vectors. The head adds a projection to fewer dimensions, the weight of each token of a
passage and of a question, and how far a question's token may be matched by the passage's context: the sentences beside
it and the document's title. ``training/train_head.py`` trains it and ``training/train_codebook.py`` its codebook; the
result is in ``heads/`` with its model card.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from sourceline.encoders.base import Float32, l2_normalize
from sourceline.errors import ModelError

_NAMES = ("projection", "passage", "question", "context_gate", "biases", "context_penalties")
_CODEBOOK_NAMES = ("codebook", "code_gain")
_MODEL_DIGEST = "model_digest"  # in the file's metadata: the encoder it was trained for


@dataclass(frozen=True, slots=True)
class RankingHead:
    """The learnt parameters, all float32; ``d`` is the encoder's dimension, ``m`` the projection's.

    ``projection`` (d, m) has orthonormal columns. ``passage`` (m,) gives the logit of a passage token's weight;
    ``question`` (d,) the logarithm of a question token's weight, beside its IDF; ``context_gate`` (d,) the logit of the
    context gate: how much of what a passage lacks its context may supply. ``biases`` (2,) are those of ``passage`` and
    ``context_gate``.
    ``context_penalties`` (3,) are subtracted from cosines with the sentence before, the sentence after, and the title.
    ``codebook`` (pieces, 256, m / pieces) is for product quantization, and ``code_gain`` (1,) the factor by which
    decoded vectors are lengthened, without which they would be too short on average; the identity head has neither.
    """

    projection: Float32
    passage: Float32
    question: Float32
    context_gate: Float32
    biases: Float32
    context_penalties: Float32
    codebook: Float32 | None = None
    code_gain: Float32 | None = None

    @property
    def dim(self) -> int:
        """Length of a projected vector."""
        return int(self.projection.shape[1])

    def project_passage(self, vectors: Float32) -> Float32:
        """Return a passage's token vectors (tokens, m); the length of each is its weight, from 0 to 1.

        Args:
            vectors: as the encoder made them, (tokens, d), of any length.
        """
        projected = l2_normalize(vectors @ self.projection)
        return np.asarray(projected * _sigmoid(projected @ self.passage + self.biases[0])[:, None], dtype=np.float32)

    def project_query(self, vectors: Float32) -> Float32:
        """Return a question's token vectors (tokens, m), of length one, from the encoder's (tokens, d)."""
        return l2_normalize(vectors @ self.projection)

    def query_weights(self, vectors: Float32, idf: Float32) -> Float32:
        """Return the weight of each token of a question, (tokens,), sum 1: ``idf · exp(question · vector)``.

        Args:
            vectors: the encoder's, (tokens, d), of length one.
            idf: the tokens' inverse document frequencies, (tokens,).
        """
        weights = idf * np.exp(vectors @ self.question)
        total = weights.sum()
        return np.asarray(weights / total if total > 0 else np.full_like(idf, 1 / len(idf)), dtype=np.float32)

    def context_gates(self, vectors: Float32) -> Float32:
        """Return how far each token of a question may be matched by the context, (tokens,), from 0 to 1.

        Args:
            vectors: the encoder's, (tokens, d), of length one.
        """
        return _sigmoid(vectors @ self.context_gate + self.biases[1])


def identity_head(dim: int) -> RankingHead:
    """Return the head that changes nothing: vectors as they are, IDF weights, no context."""
    zeros = np.zeros(dim, dtype=np.float32)
    certain = np.array([np.inf, -np.inf], dtype=np.float32)
    return RankingHead(np.eye(dim, dtype=np.float32), zeros, zeros, zeros, certain, np.zeros(3, dtype=np.float32))


def find_ranking_head(model_digest: str, dim: int) -> RankingHead:
    """Return the head that was trained for a model, else the identity head.

    Raises:
        ModelError: a head of this package cannot be read.
    """
    for file in (resources.files("sourceline.encoders") / "heads").iterdir():
        if file.name.endswith(".safetensors"):
            with resources.as_file(file) as path:
                if _trained_for(path) == model_digest:
                    return read_ranking_head(path)
    return identity_head(dim)


def read_ranking_head(path: Path) -> RankingHead:
    """Read a head.

    Raises:
        ModelError: the file is not a ranking head.
    """
    try:
        return parse_ranking_head(path.read_bytes())
    except (SafetensorError, OSError) as error:
        raise ModelError(f"the ranking head {path} cannot be read: {error}") from error


def parse_ranking_head(data: bytes) -> RankingHead:
    """Return the head that these bytes of a file are.

    Raises:
        SafetensorError: they are none.
    """
    tensors = load(data)
    names = (*_NAMES, *_CODEBOOK_NAMES) if tensors.keys() & set(_CODEBOOK_NAMES) else _NAMES
    if missing := [name for name in names if name not in tensors]:
        raise SafetensorError(f"it has no {missing[0]}")
    return RankingHead(**{name: tensors[name].astype(np.float32) for name in names})


def write_ranking_head(path: Path, head: RankingHead, model_digest: str = "") -> None:
    """Write a head; ``model_digest`` names the model that it was trained for."""
    path.write_bytes(ranking_head_bytes(head, model_digest))


def ranking_head_bytes(head: RankingHead, model_digest: str = "") -> bytes:
    """Return the contents of a head's file: float16 for what that holds as it is, float32 for the rest."""
    names = _NAMES if head.codebook is None else (*_NAMES, *_CODEBOOK_NAMES)
    return save({name: _smallest(getattr(head, name)) for name in names}, {_MODEL_DIGEST: model_digest})


def _smallest(values: Float32) -> npt.NDArray[Any]:
    with np.errstate(over="ignore"):  # what is too large for float16 becomes infinite, and so another value
        half = np.ascontiguousarray(values, dtype=np.float16)
    return half if np.array_equal(half, values) else np.ascontiguousarray(values, dtype=np.float32)


def _trained_for(path: Path) -> str:
    try:
        with safe_open(path, framework="numpy") as file:
            return str((file.metadata() or {}).get(_MODEL_DIGEST, ""))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"the ranking head {path} cannot be read: reinstall Sourceline") from error


def _sigmoid(values: Float32) -> Float32:
    with np.errstate(over="ignore"):  # exp of a large number is infinite, and the sigmoid rightly 0
        return np.asarray(1 / (1 + np.exp(-values)), dtype=np.float32)
