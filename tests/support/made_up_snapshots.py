"""Snapshots of made-up vectors, and late interaction in plain loops, to hold the real one against."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sourceline.encoders.base import Float32, Tokens
from sourceline.encoders.ranking_head import RankingHead
from sourceline.index.base import PassageIndex
from sourceline.index.multivector import (
    BFLOAT16,
    NO_TOKEN,
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
class MadeUpDocument:
    """The token vectors of a document's sentences, (tokens, m) each, and of its title. It begins with a heading."""

    sentences: Sequence[Vectors]
    title: Vectors | None = None


def made_up_snapshot(folder: Path, real: Snapshot, head: RankingHead, documents: Sequence[MadeUpDocument]) -> Snapshot:
    """Return a snapshot with these documents in the place of its own. Every token of theirs has the id 0."""
    codec = open_codec(BFLOAT16, head)
    with MultiVectorWriter(folder, 10) as tokens, PassageStoreWriter(folder) as store:
        for number, document in enumerate(documents):
            name = f"{number}.txt"
            passages = [
                Passage(
                    id=f"{number}-{ordinal}",
                    document_id=name,
                    ordinal=ordinal,
                    start=0,
                    end=1,
                    text=f"{number}-{ordinal}",
                    location=Location(1, 1),
                    heading=ordinal == 0,
                )
                for ordinal in range(len(document.sentences) + 1)
            ]
            store.add(Document(name, "Title", "text", "", ()), passages)
            for sentence in document.sentences:
                tokens.add(made_up_chunk(sentence, head, codec))
        for document in documents:
            tokens.add_title(made_up_chunk([] if document.title is None else document.title, head, codec))
        store.write()
        tokens.write()
    return replace(real, head=head, tokens=MultiVectorIndex(folder, codec), passages=PassageStore(folder, 1))


def made_up_chunk(vectors: Vectors, head: RankingHead, codec: Codec) -> EncodedChunk:
    """Return a passage of tokens with the id 0; of one that matches nothing, if there are no vectors."""
    tokens = np.asarray(vectors, dtype=np.float32).reshape(-1, head.dim)
    ids = np.zeros(len(tokens), np.uint32)
    if not len(tokens):
        tokens, ids = np.zeros((1, head.dim), np.float32), np.array([NO_TOKEN], np.uint32)
    return EncodedChunk(
        counts=np.array([len(tokens)], np.uint32),
        ids=ids,
        starts=np.zeros(len(tokens), np.uint16),
        codes=codec.compute_codes(tokens),
        vectors=np.zeros((1, 1), np.float16),
    )


def made_up_query(
    vectors: Vectors, token_weights: Sequence[float] | None = None, ids: Sequence[int] | None = None
) -> QueryEncoding:
    """Return a question of these token vectors, (tokens, d), which all ask and stand in no document by default."""
    states = np.asarray(vectors, dtype=np.float32)
    return QueryEncoding(
        text="",
        tokens=Tokens(np.array(ids or [9] * len(states), np.int32), np.zeros((len(states), 2), np.int32)),
        vector=states[0],
        vectors=states,
        token_weights=np.array(token_weights or [1] * len(states), np.float32),
        question_part="",
    )


def score_by_definition(query: QueryEncoding, snapshot: PassageIndex, row: int) -> float:
    """Return the late-interaction score of a row, computed token by token."""
    head, rows = snapshot.head, snapshot.passages.row_count
    (entry,) = [entry for entry in snapshot.passages.documents if row in entry.rows]
    before, after, title = head.context_penalties.tolist()
    context = [(rows + entry.number, title)]
    context += [(other, penalty) for other, penalty in ((row - 1, before), (row + 1, after)) if other in entry.rows]
    idf = snapshot.tokens.idf(query.tokens.ids).tolist()
    weights = [
        math.exp(vector @ head.question) * rarity * weight
        for vector, rarity, weight in zip(query.vectors, idf, query.token_weights.tolist(), strict=True)
    ]
    score = 0.0
    for vector, weight in zip(query.vectors, weights, strict=True):
        token = vector @ head.projection
        token = token / (np.linalg.norm(token) or 1)
        self_sim = best_product(token, snapshot, row)
        context_sim = max(best_product(token, snapshot, other) - penalty for other, penalty in context)
        gate = 1 / (1 + math.exp(min(700.0, -(vector @ head.context_gate + head.biases[1]))))
        score += weight / sum(weights) * (self_sim + gate * max(0.0, context_sim - self_sim))
    return score


def best_product(token: Float32, snapshot: PassageIndex, row: int) -> float:
    """Return the best product of a question's token with those of a row."""
    return max(float(token @ vector) for vector in snapshot.tokens.gather([row]).vectors)
