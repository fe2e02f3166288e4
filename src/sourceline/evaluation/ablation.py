"""Sourceline with one of its stages switched off: what each is worth."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sourceline.encoding.head import plain_head
from sourceline.evaluation.systems import System, sourceline
from sourceline.index.recipe import Recipe
from sourceline.index.rows import Rows
from sourceline.retrieval.late import late_interaction
from sourceline.retrieval.question import EncodedQuestion
from sourceline.retrieval.search import CANDIDATES, Searcher
from sourceline.types import Neighbor


def ablations(searcher: Searcher, rebuild: Callable[[Recipe], Searcher]) -> list[System]:
    """Return Sourceline without each stage of its ranking.

    Args:
        searcher: the whole.
        rebuild: builds the same documents in another way, for stages that are in the index.
    """
    index, head = searcher.generation, searcher.generation.head
    equal = replace(head, question=np.zeros_like(head.question))
    alone = replace(head, biases=np.array([head.biases[0], -np.inf], dtype=np.float32))
    flat = replace(head, passage=np.zeros_like(head.passage), biases=np.array([np.inf, head.biases[1]], np.float32))
    return [
        sourceline(searcher.with_head(equal), "without weights of question tokens"),
        sourceline(rebuild(Recipe(flat)), "without weights of passage tokens"),
        sourceline(searcher.with_head(alone), "without what stands around"),
        sourceline(rebuild(Recipe(titles=False)), "without titles"),
        sourceline(rebuild(Recipe(plain_head(searcher.encoder.dimension))), "without the head"),
        _among(searcher, lambda asked, within: index.dense.search(asked.vector, CANDIDATES, within), "without BM25"),
        _among(searcher, lambda asked, within: index.lexical.search(asked.asking, CANDIDATES, within), "without dense"),
        *(sourceline(rebuild(Recipe(window=size)), f"windows of {size:,} characters") for size in (400, 1_200)),
        sourceline(rebuild(Recipe(window=0)), "sentences encoded alone"),
    ]


def _among(
    searcher: Searcher, search: Callable[[EncodedQuestion, Rows | None], Sequence[Neighbor]], name: str
) -> System:
    """Return late interaction over the candidates of one search."""

    def rank(asked: EncodedQuestion, k: int, within: Rows | None) -> list[int]:
        rows = sorted(neighbor.row for neighbor in search(asked, within))
        if not rows:
            return []
        scores = late_interaction(asked, searcher.generation, rows).scores
        return [rows[at] for at in np.argsort(-scores, kind="stable")[:k]]

    return System(name, rank)
