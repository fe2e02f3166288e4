"""Packs passages into chunks: what is encoded together, so that a sentence's vectors carry its context.

This is "late chunking" (Günther et al. 2024): a chunk is encoded once, and each passage gets the token vectors inside
its own offsets. The document's title stands in front of a chunk, so that its sentences know what they are about.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt

from sourceline.ingest.sentences import blanked, split_passages
from sourceline.types import Document, Location, Passage

# 600 to 900 measured best; 300 loses a point of R@1.
CHUNK_CHARACTERS = 800
# A longer title is not put in front of chunks, nor one of more than this share of the model's limit: it would take the
# place of the text.
TITLE_TOKENS, TITLE_SHARE = 40, 0.25
# A document is tokenized in pieces of so many characters: tokenizers take hundreds of bytes for each.
_PIECE = 100_000

# Where each token of a text starts in it: (tokens,), ascending.
TokenStarts = Callable[[str], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole passages that are encoded together.

    ``prefix`` (the title, and the lead of the first passage) is encoded in front of ``text`` and adds no vectors of its
    own. ``spans`` are the offsets into ``text``
    of the passages that can answer, at least one.
    """

    text: str
    prefix: str
    spans: tuple[tuple[int, int], ...]

    def key(self, config: str) -> bytes:
        """Return a hash of everything that the encoded chunk depends on, but not of its position.

        Args:
            config: the digest of the index's configuration.
        """
        return hashlib.sha256(json.dumps([config, self.prefix, self.text, self.spans]).encode()).digest()[:16]


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document with its passages and chunks.

    A stretch that holds only headings is in no chunk. ``title`` is the title as a chunk of one passage, or None if the
    title is too long or not wanted.
    """

    document: Document
    passages: tuple[Passage, ...]
    chunks: tuple[Chunk, ...]
    title: Chunk | None


def chunk_document(
    document: Document,
    token_starts: TokenStarts,
    max_tokens: int,
    max_characters: int = CHUNK_CHARACTERS,
    titles: bool = True,
) -> ChunkedDocument:
    """Split a document into passages and pack these into chunks. One without a sentence has no passages.

    Args:
        document: the document.
        token_starts: the encoder's tokens.
        max_tokens: how many tokens the encoder takes at once.
        max_characters: the most that a chunk of several passages holds; 0 makes each passage a chunk.
        titles: whether the title stands in front of chunks.
    """
    passages = split_passages(document)
    title_tokens = len(token_starts(document.title))
    fits = 0 < title_tokens <= min(TITLE_TOKENS, TITLE_SHARE * max_tokens)
    title = document.title if titles and fits else ""
    starts = _token_starts_in(document.text, passages, token_starts)
    budget = max_tokens - (title_tokens if title else 0)
    chunks = []
    answers = [passage for passage in passages if not passage.heading]
    first = 0
    for start, end in pack(passages, starts, budget, max_characters):
        last = bisect_right(answers, end, lo=first, key=lambda passage: passage.end)
        if last > first:
            inside = answers[first:last]
            # Equally long, so that offsets agree.
            gaps = [(p.start + a - start, p.start + b - start) for p in inside for a, b in p.gaps]
            text = blanked(document.text[start:end], gaps)
            spans = tuple((passage.start - start, passage.end - start) for passage in inside)
            chunks.append(Chunk(text, _prefix(title, text) + _lead(answers[first].location), spans))
        first = last
    title_chunk = Chunk(title, "", ((0, len(title)),)) if title else None
    return ChunkedDocument(document, passages, tuple(chunks), title_chunk)


def _token_starts_in(text: str, passages: Sequence[Passage], token_starts: TokenStarts) -> npt.NDArray[np.int64]:
    """Return where the tokens of a text start, as ``token_starts`` would for all of it at once, in less memory.

    Pieces begin at passages with white space in front of them, where no token goes on.
    """
    edges = [0]
    for passage in passages:
        if passage.start - edges[-1] >= _PIECE and text[passage.start - 1].isspace():
            edges.append(passage.start)
    pieces = pairwise([*edges, len(text)])
    return np.concatenate([token_starts(text[start:end]) + start for start, end in pieces])


def pack(
    passages: Sequence[Passage], token_starts: npt.NDArray[np.int64], max_tokens: int, max_characters: int
) -> list[tuple[int, int]]:
    """Return the offsets of chunks that cover all passages of a document, in order.

    A paragraph stays whole where it fits, and short ones share a chunk. A passage of more than ``max_tokens`` is a
    chunk by itself; the encoder takes it in overlapping windows, so that nothing is ever cut.
    """

    def tokens(start: int, end: int) -> int:
        return int(np.searchsorted(token_starts, end) - np.searchsorted(token_starts, start))

    def fits(start: int, end: int) -> bool:
        return end - start <= max_characters and tokens(start, end) <= max_tokens

    chunks: list[tuple[int, int]] = []
    can_grow = False
    for start, end in _indivisible(passages, fits):
        if can_grow and fits(chunks[-1][0], end):
            chunks[-1] = (chunks[-1][0], end)
        else:
            chunks.append((start, end))
            can_grow = tokens(start, end) <= max_tokens
    return chunks


def _indivisible(passages: Sequence[Passage], fits: Callable[[int, int], bool]) -> Iterator[tuple[int, int]]:
    """Yield the indivisible spans: each paragraph that fits into a chunk, the sentences of the others."""
    for _, group in groupby(passages, key=lambda passage: passage.location.paragraph):
        paragraph = list(group)
        if fits(paragraph[0].start, paragraph[-1].end):
            yield paragraph[0].start, paragraph[-1].end
        else:
            yield from ((passage.start, passage.end) for passage in paragraph)


def _lead(location: Location) -> str:
    """Return what its first passage needs in front of it: who says it, or the names of a row's columns."""
    if location.columns:
        return f"{' | '.join(location.columns)}\n"
    return f"{location.speaker}: " if location.speaker else ""


def _prefix(title: str, text: str) -> str:
    """Return what is put in front of a chunk: the title, unless the chunk begins with it."""
    text = text.lstrip()
    # The title "a" does not stand at the beginning of "another".
    begins_with_it = text.startswith(title) and not text[len(title) :][:1].isalnum()
    return "" if begins_with_it or not title else f"{title}\n"
