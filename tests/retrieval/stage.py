"""Generations of made-up vectors, and late interaction in plain loops, to hold the real one against."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sourceline.encoding.encoder import Float32, Tokens
from sourceline.encoding.head import Head
from sourceline.index.block import NO_TOKEN, Block
from sourceline.index.codec import TWO_BYTES, Codec, open_codec
from sourceline.index.generation import Generation
from sourceline.index.passages import Passages
from sourceline.index.passages_writer import PassagesWriter
from sourceline.index.tokens import TokenIndex, TokensWriter
from sourceline.retrieval.question import EncodedQuestion
from sourceline.types import Document, Location, Passage

Vectors = Sequence[Sequence[float]] | Float32


@dataclass(frozen=True, slots=True)
class Made:
    """A document: the token vectors of its sentences, (tokens, m) each, and of its title. It begins with a heading."""

    sentences: Sequence[Vectors]
    title: Vectors | None = None


def stage(folder: Path, real: Generation, head: Head, documents: Sequence[Made]) -> Generation:
    """Return a generation with these documents in the place of its own. Every token of theirs has the id 0."""
    codec = open_codec(TWO_BYTES, head)
    with TokensWriter(folder, 10) as tokens, PassagesWriter(folder) as stored:
        for number, one in enumerate(documents):
            names = [f"{number}-{ordinal}" for ordinal in range(len(one.sentences) + 1)]
            place = Location(1, 1, None)
            passages = [
                Passage(name, f"{number}.txt", at, 0, 1, name, place, heading=not at) for at, name in enumerate(names)
            ]
            stored.add(Document(f"{number}.txt", "Title", "text", "", ()), passages)
            for sentence in one.sentences:
                tokens.add(block(sentence, head, codec))
        for one in documents:
            tokens.add_title(block([] if one.title is None else one.title, head, codec))
        stored.write()
        tokens.write()
    return replace(real, head=head, tokens=TokenIndex(folder, codec), passages=Passages(folder, 1))


def block(vectors: Vectors, head: Head, codec: Codec) -> Block:
    """Return a passage of tokens with the id 0, or of one that matches nothing."""
    found = np.asarray(vectors, dtype=np.float32).reshape(-1, head.dimension)
    ids = np.zeros(len(found), np.uint32) if len(found) else np.array([NO_TOKEN], np.uint32)
    found = found if len(found) else np.zeros((1, head.dimension), np.float32)
    starts, counts = np.zeros(len(found), np.uint16), np.array([len(found)], np.uint32)
    return Block(counts, ids, starts, codec.compute_codes(found), np.zeros((1, 1), np.float16))


def asked(vectors: Vectors, emphasis: Sequence[float] = (), ids: Sequence[int] = ()) -> EncodedQuestion:
    """Return a question of these token vectors, (tokens, d), which all ask and stand in no document by default."""
    states = np.asarray(vectors, dtype=np.float32)
    known = np.array(ids or [9] * len(states), np.int32)
    counts = np.array(emphasis or [1] * len(states), np.float32)
    tokens = Tokens(known, np.zeros((len(states), 2), np.int32))
    return EncodedQuestion("", tokens, states[0], states, counts, "")


def plainly(question: EncodedQuestion, generation: Generation, row: int) -> float:
    """Return the late-interaction score of a row by the definition."""
    head, tokens, rows = generation.head, generation.tokens, generation.passages.row_count
    ((number, entry),) = [(at, one) for at, one in enumerate(generation.passages.documents) if row in one.rows]
    before, after, title = head.discounts.tolist()
    beside = [(other, loss) for other, loss in ((row - 1, before), (row + 1, after)) if other in entry.rows]
    idf = tokens.idf(question.tokens.ids).tolist()
    counts = [
        math.exp(vector @ head.question) * rarity * told
        for vector, rarity, told in zip(question.vectors, idf, question.emphasis.tolist(), strict=True)
    ]
    score = 0.0
    for vector, count in zip(question.vectors, counts, strict=True):
        token = vector @ head.projection
        token = token / (np.linalg.norm(token) or 1)
        own = nearest(token, generation, row)
        around = max(nearest(token, generation, other) - loss for other, loss in [*beside, (rows + number, title)])
        reliance = 1 / (1 + math.exp(min(700.0, -(vector @ head.reliance + head.biases[1]))))
        score += count / sum(counts) * (own + reliance * max(0.0, around - own))
    return score


def nearest(token: Float32, generation: Generation, row: int) -> float:
    """Return the best product of a question's token with those of a row."""
    return max(float(token @ vector) for vector in generation.tokens.gather([row]).vectors)
