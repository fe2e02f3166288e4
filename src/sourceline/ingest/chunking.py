"""Passages to windows: the stretches of text that are encoded together, so that a sentence carries its context.

"Late chunking" (Günther et al. 2024): a window is encoded once, and each passage gets the token vectors that stand
inside its own offsets.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from sourceline.encoders.base import Encoder, token_counter
from sourceline.ingest.sentences import passages
from sourceline.types import Document, Passage

# 600 to 900 measured best; 300 loses a point of R@1.
WINDOW_CHARACTERS = 800
# A passage longer than the model's limit is encoded in stretches; each brings this share of the limit as context.
OVERLAP = 0.25


@dataclass(frozen=True, slots=True)
class Window:
    """``text[start:end]`` is encoded in one pass; the token vectors between ``keep_start`` and ``keep_end`` are kept.

    The kept stretches of a document's windows do not overlap and cover every passage.
    """

    start: int
    end: int
    keep_start: int
    keep_end: int


def windows(
    passages: Sequence[Passage],
    token_starts: npt.NDArray[np.int64],
    limit: int,
    count: Callable[[int, int], int],
    characters: int = WINDOW_CHARACTERS,
) -> list[Window]:
    """Pack consecutive passages into windows.

    A paragraph stays whole where it fits; short ones share a window; a passage over the limit is split into
    overlapping windows, so that nothing is ever cut silently.

    Args:
        passages: all passages of one document, in order.
        token_starts: shape (tokens,), where each token of the document starts, ascending.
        limit: the most tokens that a window may have.
        count: how many tokens ``text[start:end]`` has when it is encoded alone.
        characters: the most that a window of several passages has.
    """

    def size(start: int, end: int) -> int:
        return int(np.searchsorted(token_starts, end) - np.searchsorted(token_starts, start))

    def fits(start: int, end: int) -> bool:
        return end - start <= characters and size(start, end) <= limit

    packed: list[Window] = []
    joinable = False  # whether the last window may still grow
    for start, end in _units(passages, fits):
        if joinable and fits(packed[-1].start, end):
            packed[-1] = Window(packed[-1].start, end, packed[-1].start, end)
        elif size(start, end) <= limit:
            packed.append(Window(start, end, start, end))
            joinable = True
        else:
            packed.extend(stretches(start, end, token_starts, limit, count))
            joinable = False
    return packed


def stretches(
    start: int, end: int, token_starts: npt.NDArray[np.int64], limit: int, count: Callable[[int, int], int]
) -> list[Window]:
    """Split ``[start, end)`` into windows of at most ``limit`` tokens that overlap; every token is kept just once.

    A token is kept by the window in which it stands farther from an edge.
    """
    inside = token_starts[(token_starts >= start) & (token_starts < end)]
    if len(inside) <= limit:
        return [Window(start, end, start, end)]
    edges = [start, *map(int, inside[1:]), end]  # where a window may begin or end: before each token, or at the end
    overlap = int(limit * OVERLAP)
    found: list[Window] = []
    first, keep = 0, start
    while True:
        last = min(first + limit, len(edges) - 1)
        # What was cut inside a word can have more tokens alone than it has in the document.
        while (excess := count(edges[first], edges[last]) - limit) > 0 and last - excess > first + overlap:
            last -= excess
        if last == len(edges) - 1:
            return [*found, Window(edges[first], end, keep, end)]
        middle = edges[last - overlap + overlap // 2]
        found.append(Window(edges[first], edges[last], keep, middle))
        first, keep = last - overlap, middle


def _units(passages: Sequence[Passage], fits: Callable[[int, int], bool]) -> Iterator[tuple[int, int]]:
    """Yield what is not to be torn apart: each paragraph that fits into a window, the sentences of the others."""
    for _, group in groupby(passages, key=lambda passage: passage.location.paragraph):
        paragraph = list(group)
        if fits(paragraph[0].start, paragraph[-1].end):
            yield paragraph[0].start, paragraph[-1].end
        else:
            yield from ((passage.start, passage.end) for passage in paragraph)


# A longer title is not put in front of windows, nor one of more than this share of the model's limit: it would take the
# place of what they hold.
TITLE_TOKENS, TITLE_SHARE = 40, 0.25


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """A text to encode. A token at ``s`` in it stands at ``s + shift`` in the part; it is kept if that lies between."""

    text: str
    shift: int
    keep_start: int
    keep_end: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole passages that are encoded together: in one window, or in several if one of them is over the model's limit.

    ``spans``: where the passages that can be answers stand in the part, at least one.
    """

    windows: tuple[EncoderInput, ...]
    spans: tuple[tuple[int, int], ...]

    def key(self, config: str) -> bytes:
        """Return what names the part's block: all that it is made of, but not where the part stands."""
        made_of = [[config, self.spans], [[w.text, w.shift, w.keep_start, w.keep_end] for w in self.windows]]
        return hashlib.sha256(json.dumps(made_of).encode()).digest()[:16]


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document, cut into passages and windows. ``title`` is what is put in front of windows, or empty."""

    document: Document
    passages: tuple[Passage, ...]
    windows: tuple[Window, ...]
    title: str

    def parts(self) -> list[Chunk]:
        """Return the parts, in order; a window with nothing but headings is in none."""
        return list(self._parts())

    def title_chunk(self) -> Chunk | None:
        """Return the title as a part of one passage, or None if there is no title."""
        if not self.title:
            return None
        length = len(self.title)
        return Chunk((EncoderInput(self.title, 0, 0, length),), ((0, length),))

    def _parts(self) -> Iterator[Chunk]:
        answers = [passage for passage in self.passages if not passage.heading]
        at, group = 0, list[Window]()
        for window in self.windows:
            group.append(window)
            first, last = at, at
            while last < len(answers) and answers[last].end <= window.keep_end:
                last += 1
            cut_through = last < len(answers) and answers[last].start < window.keep_end
            if cut_through:
                continue
            if last > first:
                yield self._part(group, answers[first:last])
            at, group = last, []

    def _part(self, group: list[Window], answers: list[Passage]) -> Chunk:
        start = group[0].start
        found = []
        for window in group:
            prefix = self.prefix(window)
            text = prefix + self.document.text[window.start : window.end]
            shift = window.start - len(prefix) - start
            found.append(EncoderInput(text, shift, window.keep_start - start, window.keep_end - start))
        return Chunk(tuple(found), tuple((answer.start - start, answer.end - start) for answer in answers))

    def prefix(self, window: Window) -> str:
        """Return what is put in front of a window's text: the title, unless the window begins with it."""
        text = self.document.text[window.start : window.end].lstrip()
        # The title "a" does not stand in front of "another".
        starts = text.startswith(self.title) and not text[len(self.title) :][:1].isalnum()
        return "" if starts or not self.title else f"{self.title}\n"


def chunk_document(
    document: Document, encoder: Encoder, titles: bool = True, window: int = WINDOW_CHARACTERS
) -> ChunkedDocument:
    """Cut a document; one without a sentence has no passages.

    Args:
        document: what to cut.
        encoder: counts the tokens.
        titles: whether the title is put in front of windows.
        window: the most characters that a window of several passages has.
    """
    sentences = passages(document)
    title_tokens = len(encoder.tokenize(document.title).ids)
    short = title_tokens <= min(TITLE_TOKENS, TITLE_SHARE * encoder.limit)
    title = document.title if titles and title_tokens and short else ""
    starts = encoder.tokenize(document.text).spans[:, 0].astype(np.int64)
    limit = encoder.limit - (title_tokens if title else 0)
    packed = windows(sentences, starts, limit, token_counter(encoder, document.text), window)
    return ChunkedDocument(document, sentences, tuple(packed), title)
