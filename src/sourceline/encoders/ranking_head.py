"""The ranking head: what was learnt on top of a frozen encoder, about which tokens matter.

Late interaction compares token vectors as the encoder makes them. The head adds a projection to fewer dimensions, how
much each token of a passage and of a question counts, and how far a question's token may be answered by what stands
around the passage. ``benchmarks/train_head.py`` trains it; ``heads/`` holds what it wrote, with a model card.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sourceline.encoders.base import Float32, l2_normalize
from sourceline.errors import ModelError

_NAMES = ("projection", "passage", "question", "context_gate", "biases", "context_penalties")
_CODEBOOK = "codebook"
MODEL = "model_digest"  # in the file's metadata: the encoder it was trained for


@dataclass(frozen=True, slots=True)
class RankingHead:
    """The learnt numbers, all float32; ``d`` is the encoder's dimension, ``m`` the head's.

    ``projection`` (d, m): orthonormal columns. ``passage`` (m,): the logit of how much a passage's token counts.
    ``question`` (d,): the logarithm of how much a question's token counts, beside its IDF. ``context_gate`` (d,): the logit
    of how much of what the passage lacks its surroundings may give. ``biases`` (2,): of ``passage`` and ``context_gate``.
    ``context_penalties`` (3,): taken from cosines with the sentence before, the sentence after, and the title. ``codebook``
    (pieces, 256, m / pieces): what product quantisation keeps vectors by, if there are many; a plain head has none.
    """

    projection: Float32
    passage: Float32
    question: Float32
    context_gate: Float32
    biases: Float32
    context_penalties: Float32
    codebook: Float32 | None = None

    @property
    def dim(self) -> int:
        """Length of a projected vector."""
        return int(self.projection.shape[1])

    def project_passage(self, vectors: Float32) -> Float32:
        """Return a passage's token vectors (tokens, m), each as long as it counts: from 0 to 1.

        Args:
            vectors: as the encoder made them, (tokens, d), of any length.
        """
        projected = l2_normalize(vectors @ self.projection)
        return np.asarray(projected * _sigmoid(projected @ self.passage + self.biases[0])[:, None], dtype=np.float32)

    def project_query(self, vectors: Float32) -> Float32:
        """Return a question's token vectors (tokens, m), of length one, from the encoder's (tokens, d)."""
        return l2_normalize(vectors @ self.projection)

    def weights(self, vectors: Float32, idf: Float32) -> Float32:
        """Return how much each token of a question counts, (tokens,), sum 1: ``idf · exp(question · vector)``.

        Args:
            vectors: the encoder's, (tokens, d), of length one.
            idf: the tokens' inverse document frequencies, (tokens,).
        """
        weights = idf * np.exp(vectors @ self.question)
        total = weights.sum()
        return np.asarray(weights / total if total > 0 else np.full_like(idf, 1 / len(idf)), dtype=np.float32)

    def context_gates(self, vectors: Float32) -> Float32:
        """Return how far each token of a question may be matched around the passage, (tokens,), from 0 to 1.

        Args:
            vectors: the encoder's, (tokens, d), of length one.
        """
        return _sigmoid(vectors @ self.context_gate + self.biases[1])


def identity_head(dim: int) -> RankingHead:
    """Return the head that changes nothing: the vectors as they are, IDF weights, passages by themselves."""
    zeros = np.zeros(dim, dtype=np.float32)
    certain = np.array([np.inf, -np.inf], dtype=np.float32)
    return RankingHead(np.eye(dim, dtype=np.float32), zeros, zeros, zeros, certain, np.zeros(3, dtype=np.float32))


def find_ranking_head(digest: str, dim: int) -> RankingHead:
    """Return the head that was trained for the model with this digest, else the plain one.

    Raises:
        ModelError: a head of this package cannot be read.
    """
    for file in (resources.files("sourceline.encoders") / "heads").iterdir():
        if file.name.endswith(".safetensors"):
            with resources.as_file(file) as path:
                if _trained_for(path) == digest:
                    return read_ranking_head(path)
    return identity_head(dim)


def read_ranking_head(path: Path) -> RankingHead:
    """Read a head.

    Raises:
        ModelError: the file is not one.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            codebook = file.get_tensor(_CODEBOOK) if _CODEBOOK in set(file.keys()) else None
            return RankingHead(**{name: file.get_tensor(name) for name in _NAMES}, codebook=codebook)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"the ranking head {path} cannot be read: {error}") from error


def write_ranking_head(path: Path, head: RankingHead, digest: str = "") -> None:
    """Write a head; ``digest`` names the model that it was trained for."""
    path.write_bytes(ranking_head_bytes(head, digest))


def ranking_head_bytes(head: RankingHead, digest: str = "") -> bytes:
    """Return the file of a head."""
    tensors = {name: np.ascontiguousarray(getattr(head, name), dtype=np.float32) for name in _NAMES}
    if head.codebook is not None:
        tensors[_CODEBOOK] = np.ascontiguousarray(head.codebook, dtype=np.float32)
    return save(tensors, {MODEL: digest})


def _trained_for(path: Path) -> str:
    try:
        with safe_open(path, framework="numpy") as file:
            return str((file.metadata() or {}).get(MODEL, ""))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"the ranking head {path} cannot be read: reinstall Sourceline") from error


def _sigmoid(values: Float32) -> Float32:
    with np.errstate(over="ignore"):  # exp of a large number is infinite, and the sigmoid rightly 0
        return np.asarray(1 / (1 + np.exp(-values)), dtype=np.float32)
