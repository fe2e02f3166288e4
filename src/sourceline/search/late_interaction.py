"""Late interaction: compares every token of the question with every token of a passage and of what stands around it.

MaxSim (ColBERT; Khattab & Zaharia 2020) gives each token of the question its best cosine in the passage. A sentence
seldom says everything itself: "He was elected in 2016" answers with the name that stands in the sentence before. So a
token that the passage lacks may be matched by the sentence before or after or by the document's title, at a discount.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sourceline.encoders.base import Float32, Int32, norms
from sourceline.index.multivector import TokenVectors
from sourceline.index.snapshot import Snapshot
from sourceline.search.query import QueryEncoding

# Equal passages get sums that differ by less than this, depending on where they stand in the matrix.
ROUNDING = 1e-6
_NOTHING = -1.0  # the cosine with what is not there


@dataclass(frozen=True, slots=True)
class TokenSimilarities:
    """The best cosine of each token of the question: in each passage, and around it, both (passages, tokens).

    ``seen`` (ascending): the rows that were looked at for that; ``tokens``, what stands in them; and its ``products``
    with the question's tokens, (tokens of all rows, tokens).
    """

    own: Float32
    around: Float32
    seen: npt.NDArray[np.int64]
    tokens: TokenVectors
    products: Float32

    def cosines_of(self, row: int) -> tuple[Float32, Int32]:
        """Return the cosines of the tokens of one row, (its tokens, tokens), and where its tokens start."""
        part = self.tokens.part(int(np.searchsorted(self.seen, row)))
        return self.products[part] / norms(self.tokens.vectors[part]), self.tokens.places[part]


@dataclass(frozen=True, slots=True)
class LateInteraction:
    """The ``scores`` of rows, (rows,), and the matches that they come of."""

    scores: Float32
    matches: TokenSimilarities


def late_interaction(question: QueryEncoding, snapshot: Snapshot, rows: list[int]) -> LateInteraction:
    """Compare a question with these rows, ascending.

    ``Σ_t w_t · (own_t + r_t · max(0, around_t - own_t))``, where ``w`` is how much a token counts (sum 1) and ``r``
    how far it may rely on what stands around. Equal passages in equal surroundings get equal scores.
    """
    head = snapshot.head
    weights = head.weights(question.vectors, snapshot.tokens.idf(question.tokens.ids)) * question.token_weights
    weights /= weights.sum()
    found = match(head.project_query(question.vectors), snapshot, rows)
    lent = np.maximum(found.around - found.own, 0) * head.context_gates(question.vectors)
    # Not by `@`: it was once seen to warn of an invalid value here, which could not be brought about again.
    return LateInteraction(_settled(((found.own + lent) * weights).sum(axis=1)), found)


def match(question: Float32, snapshot: Snapshot, rows: list[int]) -> TokenSimilarities:
    """Compare the question's projected token vectors, (tokens, m), with these rows, ascending, and around them."""
    passages, here = snapshot.passages, np.array(rows, dtype=np.int64)
    documents = passages.documents_of(here)
    titles = passages.row_count + documents
    places = [here, here - 1, here + 1, titles]
    ordered = np.sort(np.concatenate(places))
    # Each once, without what would stand before the first row (and without np.unique, which loads numpy.ma first).
    seen = ordered[np.diff(ordered, prepend=-1) > 0]
    tokens = snapshot.tokens.gather(seen)
    products = tokens.vectors @ question.T
    best = maxsim(products, tokens)
    own, before, after, title = (best[np.searchsorted(seen, place)] for place in places)
    before[passages.documents_of(here - 1) != documents] = _NOTHING
    # Behind the last row stands the first title.
    after[(here + 1 == passages.row_count) | (passages.documents_of(here + 1) != documents)] = _NOTHING
    context_penalties = snapshot.head.context_penalties
    around = np.maximum(
        np.maximum(before - context_penalties[0], after - context_penalties[1]), title - context_penalties[2]
    )
    return TokenSimilarities(own, around, seen, tokens, products)


def maxsim(products: Float32, passages: TokenVectors) -> Float32:
    """Return the best product of each token of the question in each passage: (passages, tokens) float32.

    Args:
        products: of the passages' tokens, each as long as it counts, with the question's, of length one: cosines that
            are less the less a token counts, (tokens of all passages, tokens).
        passages: which says where each begins.
    """
    return np.asarray(np.maximum.reduceat(products, passages.starts, axis=0), dtype=np.float32)


def _settled(scores: Float32) -> Float32:
    """Return the scores, those that differ by rounding alone made equal, so that ties are ties."""
    order = np.argsort(-scores)
    ranked = scores[order]
    leads = np.append(True, ranked[:-1] - ranked[1:] > ROUNDING)
    settled = np.empty_like(scores)
    settled[order] = ranked[np.maximum.accumulate(np.where(leads, np.arange(len(scores)), 0))]
    return settled
