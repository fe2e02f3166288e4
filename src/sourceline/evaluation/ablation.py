"""Sourceline with one of its stages switched off: what each is worth."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sourceline.encoding.head import Head, plain_head
from sourceline.evaluation.systems import System, sourceline
from sourceline.retrieval.search import Searcher


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an index is built in another way: with another head, or without titles in front of windows."""

    head: Head | None = None
    titles: bool = True


def ablations(searcher: Searcher, rebuild: Callable[[Recipe], Searcher]) -> list[System]:
    """Return Sourceline without each stage of its ranking.

    Args:
        searcher: the whole.
        rebuild: builds the same documents in another way, for stages that are in the index.
    """
    head = searcher.generation.head
    equal = replace(head, question=np.zeros_like(head.question))
    alone = replace(head, biases=np.array([head.biases[0], -np.inf], dtype=np.float32))
    flat = replace(head, passage=np.zeros_like(head.passage), biases=np.array([np.inf, head.biases[1]], np.float32))
    return [
        sourceline(searcher.with_head(equal), "without weights of question tokens"),
        sourceline(rebuild(Recipe(flat)), "without weights of passage tokens"),
        sourceline(searcher.with_head(alone), "without what stands around"),
        sourceline(rebuild(Recipe(titles=False)), "without titles"),
        sourceline(rebuild(Recipe(plain_head(searcher.encoder.dimension))), "without the head"),
    ]
