"""Late interaction: compares every token of the question with every token of a passage and of its context.

MaxSim (ColBERT; Khattab & Zaharia 2020) gives each token of the question its best cosine in the passage. A sentence
seldom says everything itself: "He was elected in 2016" answers with the name from the sentence before. So a token that
the passage lacks may be matched by the sentence before or after, or by the document's title, at a penalty.
"""

from dataclasses import dataclass

import numpy as np

from sourceline.encoders.base import Float32, Int32, Int64, norms
from sourceline.index.base import PassageIndex
from sourceline.index.multivector import TokenVectors
from sourceline.search.query import QueryEncoding

# The scores of equal passages differ by less than this, depending on where they stand in the matrix.
ROUNDING = 1e-6
_NO_PASSAGE = -1.0  # the cosine with what is not there


@dataclass(frozen=True, slots=True)
class TokenSimilarities:
    """The best cosine of each token of the question in each passage and in its context, both (passages, tokens).

    ``rows`` (ascending) are the rows that were read for that, with their ``tokens``; ``products`` are those with the
    question's tokens, (tokens of all rows, tokens).
    """

    self_sim: Float32
    context_sim: Float32
    rows: Int64
    tokens: TokenVectors
    products: Float32

    def cosines_of(self, row: int) -> tuple[Float32, Int32]:
        """Return the cosines of the tokens of one row, (its tokens, tokens), and their offsets into the passage."""
        part = self.tokens.row(int(np.searchsorted(self.rows, row)))
        return self.products[part] / norms(self.tokens.vectors[part]), self.tokens.starts[part]


@dataclass(frozen=True, slots=True)
class LateInteraction:
    """The ``scores`` of rows, (rows,), and the similarities that they are made of."""

    scores: Float32
    similarities: TokenSimilarities


def late_interaction(query: QueryEncoding, snapshot: PassageIndex, rows: list[int]) -> LateInteraction:
    """Score these rows, ascending, for a question.

    The score is ``Σ_t w_t · (self_t + g_t · max(0, context_t - self_t))`` with ``w`` the weight of a token (sum 1) and
    ``g`` its context gate. Equal passages in equal contexts get equal scores.
    """
    head = snapshot.head
    weights = head.query_weights(query.vectors, snapshot.tokens.idf(query.tokens.ids)) * query.token_weights
    weights /= weights.sum()
    sims = token_similarities(head.project_query(query.vectors), snapshot, rows)
    from_context = np.maximum(sims.context_sim - sims.self_sim, 0) * head.context_gates(query.vectors)
    # Not by `@`: it was once seen to warn of an invalid value here, which could not be reproduced.
    scores = ((sims.self_sim + from_context) * weights).sum(axis=1)
    return LateInteraction(equalize_ties(scores), sims)


def token_similarities(query: Float32, snapshot: PassageIndex, rows: list[int]) -> TokenSimilarities:
    """Compare the question's projected token vectors, (tokens, m), with these rows, ascending, and their contexts."""
    passages, row_array = snapshot.passages, np.array(rows, dtype=np.int64)
    documents = passages.documents_of(row_array)
    titles = passages.row_count + documents
    places = [row_array, row_array - 1, row_array + 1, titles]
    ordered = np.sort(np.concatenate(places))
    # Deduplicate, and drop row -1. Not by np.unique, which loads numpy.ma first.
    rows_read = ordered[np.diff(ordered, prepend=-1) > 0]
    tokens = snapshot.tokens.gather(rows_read)
    products = tokens.vectors @ query.T
    best = maxsim(products, tokens)
    self_sim, before, after, title = (best[np.searchsorted(rows_read, place)] for place in places)
    before[passages.documents_of(row_array - 1) != documents] = _NO_PASSAGE
    # Behind the last row stands the first title.
    after[(row_array + 1 == passages.row_count) | (passages.documents_of(row_array + 1) != documents)] = _NO_PASSAGE
    penalties = snapshot.head.context_penalties
    context_sim = np.maximum(np.maximum(before - penalties[0], after - penalties[1]), title - penalties[2])
    return TokenSimilarities(self_sim, context_sim, rows_read, tokens, products)


def maxsim(products: Float32, tokens: TokenVectors) -> Float32:
    """Return the best product of each token of the question in each row: (rows, tokens) float32.

    Args:
        products: of the rows' tokens with the question's, (tokens of all rows, tokens): cosines scaled by the weight
            of the row's token.
        tokens: says where each row begins.
    """
    return np.asarray(np.maximum.reduceat(products, tokens.row_starts, axis=0), dtype=np.float32)


def equalize_ties(scores: Float32) -> Float32:
    """Return the scores with those that differ by rounding alone made equal."""
    order = np.argsort(-scores)
    ranked = scores[order]
    leads = np.append(True, ranked[:-1] - ranked[1:] > ROUNDING)
    equalized = np.empty_like(scores)
    equalized[order] = ranked[np.maximum.accumulate(np.where(leads, np.arange(len(scores)), 0))]
    return equalized
