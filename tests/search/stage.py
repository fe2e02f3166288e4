"""Snapshots of made-up vectors, and late interaction in plain loops, to hold the real one against."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sourceline.encoders.base import Float32, Tokens
from sourceline.encoders.ranking_head import RankingHead
from sourceline.index.multivector import (
    NO_TOKEN,
    TWO_BYTES,
    Codec,
    EncodedChunk,
    MultiVectorIndex,
    MultiVectorWriter,
    open_codec,
)
from sourceline.index.passage_store import PassageStore, PassageStoreWriter
from sourceline.index.snapshot import Snapshot
from sourceline.search.query import QueryEncoding
from sourceline.types import Document, Location, Passage

Vectors = Sequence[Sequence[float]] | Float32


@dataclass(frozen=True, slots=True)
class Made:
    """A document: the token vectors of its sentences, (tokens, m) each, and of its title. It begins with a heading."""

    sentences: Sequence[Vectors]
    title: Vectors | None = None


def stage(folder: Path, real: Snapshot, head: RankingHead, documents: Sequence[Made]) -> Snapshot:
    """Return a snapshot with these documents in the place of its own. Every token of theirs has the id 0."""
    codec = open_codec(TWO_BYTES, head)
    with MultiVectorWriter(folder, 10) as tokens, PassageStoreWriter(folder) as stored:
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
    return replace(real, head=head, tokens=MultiVectorIndex(folder, codec), passages=PassageStore(folder, 1))


def block(vectors: Vectors, head: RankingHead, codec: Codec) -> EncodedChunk:
    """Return a passage of tokens with the id 0, or of one that matches nothing."""
    found = np.asarray(vectors, dtype=np.float32).reshape(-1, head.dim)
    ids = np.zeros(len(found), np.uint32) if len(found) else np.array([NO_TOKEN], np.uint32)
    found = found if len(found) else np.zeros((1, head.dim), np.float32)
    starts, counts = np.zeros(len(found), np.uint16), np.array([len(found)], np.uint32)
    return EncodedChunk(counts, ids, starts, codec.compute_codes(found), np.zeros((1, 1), np.float16))


def query(vectors: Vectors, token_weights: Sequence[float] = (), ids: Sequence[int] = ()) -> QueryEncoding:
    """Return a question of these token vectors, (tokens, d), which all ask and stand in no document by default."""
    states = np.asarray(vectors, dtype=np.float32)
    known = np.array(ids or [9] * len(states), np.int32)
    counts = np.array(token_weights or [1] * len(states), np.float32)
    tokens = Tokens(known, np.zeros((len(states), 2), np.int32))
    return QueryEncoding("", tokens, states[0], states, counts, "")


def plainly(question: QueryEncoding, snapshot: Snapshot, row: int) -> float:
    """Return the late-interaction score of a row by the definition."""
    head, tokens, rows = snapshot.head, snapshot.tokens, snapshot.passages.row_count
    ((number, entry),) = [(at, one) for at, one in enumerate(snapshot.passages.documents) if row in one.rows]
    before, after, title = head.context_penalties.tolist()
    beside = [(other, loss) for other, loss in ((row - 1, before), (row + 1, after)) if other in entry.rows]
    idf = tokens.idf(question.tokens.ids).tolist()
    counts = [
        math.exp(vector @ head.question) * rarity * told
        for vector, rarity, told in zip(question.vectors, idf, question.token_weights.tolist(), strict=True)
    ]
    score = 0.0
    for vector, count in zip(question.vectors, counts, strict=True):
        token = vector @ head.projection
        token = token / (np.linalg.norm(token) or 1)
        own = nearest(token, snapshot, row)
        around = max(nearest(token, snapshot, other) - loss for other, loss in [*beside, (rows + number, title)])
        context_gate = 1 / (1 + math.exp(min(700.0, -(vector @ head.context_gate + head.biases[1]))))
        score += count / sum(counts) * (own + context_gate * max(0.0, around - own))
    return score


def nearest(token: Float32, snapshot: Snapshot, row: int) -> float:
    """Return the best product of a question's token with those of a row."""
    return max(float(token @ vector) for vector in snapshot.tokens.gather([row]).vectors)
