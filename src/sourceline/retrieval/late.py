"""Late interaction: compares every token of the question with every token of a passage."""

import numpy as np

from sourceline.encoding.encoder import Float32
from sourceline.index.tokens import Gathered

# Equal passages get sums that differ by less than this, depending on where they stand in the matrix.
ROUNDING = 1e-6


def maxsim(question: Float32, weights: Float32, passages: Gathered) -> Float32:
    """Return the score of each passage: ``Σ_t w_t · max_{s ∈ p} cos(q_t, p_s)`` (ColBERT; Khattab & Zaharia 2020).

    Args:
        question: the question's token vectors, (tokens, dimension), of length one.
        weights: how much each token of the question counts, (tokens,), sum 1.
        passages: the passages' token vectors, of length one.

    Returns:
        (passages,) float32, at most 1; equal for equal passages.
    """
    cosines = passages.vectors @ question.T
    best = np.maximum.reduceat(cosines, passages.starts, axis=0)
    return _settled(np.asarray(best @ weights, dtype=np.float32))


def token_weights(idf: Float32) -> Float32:
    """Return weights (tokens,) in proportion to the inverse document frequencies (tokens,), with sum 1."""
    total = idf.sum()
    return idf / total if total > 0 else np.full_like(idf, 1 / len(idf))


def _settled(scores: Float32) -> Float32:
    """Return the scores, those that differ by rounding alone made equal, so that ties are ties."""
    order = np.argsort(-scores)
    ranked = scores[order]
    leads = np.append(True, ranked[:-1] - ranked[1:] > ROUNDING)
    settled = np.empty_like(scores)
    settled[order] = ranked[np.maximum.accumulate(np.where(leads, np.arange(len(scores)), 0))]
    return settled
