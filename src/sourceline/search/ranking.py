"""Candidates in their order, as the stages of ranking pass them on."""

from dataclasses import dataclass

import numpy as np

from sourceline.encoders.base import Float32, Int32
from sourceline.search.late_interaction import TokenSimilarities


@dataclass(frozen=True, slots=True)
class RankedPassage:
    """A candidate: its final ``score``, its late-interaction score, and the reader's, None if it was not read."""

    row: int
    score: float
    late: float
    reader: float | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, best first, each text once; ``similarities`` hold the token similarities of all of them."""

    passages: tuple[RankedPassage, ...] = ()
    similarities: tuple[TokenSimilarities, ...] = ()

    @property
    def was_read(self) -> bool:
        """Whether a reranker scored any of the passages."""
        return any(passage.reader is not None for passage in self.passages)

    @property
    def rows(self) -> tuple[int, ...]:
        """The rows, best first."""
        return tuple(passage.row for passage in self.passages)

    def cosines_of(self, row: int) -> tuple[Float32, Int32]:
        """Return the cosines of the tokens of one row, (its tokens, tokens), and their offsets into the passage.

        Raises:
            KeyError: it was not compared.
        """
        for similarities in self.similarities:
            at = int(np.searchsorted(similarities.rows, row))
            if at < len(similarities.rows) and similarities.rows[at] == row:
                return similarities.cosines_of(row)
        raise KeyError(row)
