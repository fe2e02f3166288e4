"""A document, cut into passages, and these into parts that are encoded together.

A window is encoded with the document's title in front of it, so that its sentences know what they are about.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sourceline.corpus.sentences import passages
from sourceline.corpus.windows import WINDOW_CHARACTERS, Window, windows
from sourceline.encoding.encoder import Encoder, token_counter
from sourceline.types import Document, Passage

# A longer title is not put in front of windows, nor one of more than this share of the model's limit: it would take the
# place of what they hold.
TITLE_TOKENS, TITLE_SHARE = 40, 0.25


@dataclass(frozen=True, slots=True)
class PartWindow:
    """A text to encode. A token at ``s`` in it stands at ``s + shift`` in the part; it is kept if that lies between."""

    text: str
    shift: int
    keep_start: int
    keep_end: int


@dataclass(frozen=True, slots=True)
class Part:
    """Whole passages that are encoded together: in one window, or in several if one of them is over the model's limit.

    ``spans``: where the passages that can be answers stand in the part, at least one.
    """

    windows: tuple[PartWindow, ...]
    spans: tuple[tuple[int, int], ...]

    def key(self, recipe: str) -> bytes:
        """Return what names the part's block: all that it is made of, but not where the part stands."""
        made_of = [[recipe, self.spans], [[w.text, w.shift, w.keep_start, w.keep_end] for w in self.windows]]
        return hashlib.sha256(json.dumps(made_of).encode()).digest()[:16]


@dataclass(frozen=True, slots=True)
class CutDocument:
    """A document, cut into passages and windows. ``title`` is what is put in front of windows, or empty."""

    document: Document
    passages: tuple[Passage, ...]
    windows: tuple[Window, ...]
    title: str

    def parts(self) -> list[Part]:
        """Return the parts, in order; a window with nothing but headings is in none."""
        return list(self._parts())

    def title_part(self) -> Part | None:
        """Return the title as a part of one passage, or None if there is no title."""
        if not self.title:
            return None
        length = len(self.title)
        return Part((PartWindow(self.title, 0, 0, length),), ((0, length),))

    def _parts(self) -> Iterator[Part]:
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

    def _part(self, group: list[Window], answers: list[Passage]) -> Part:
        start = group[0].start
        found = []
        for window in group:
            prefix = self.prefix(window)
            text = prefix + self.document.text[window.start : window.end]
            shift = window.start - len(prefix) - start
            found.append(PartWindow(text, shift, window.keep_start - start, window.keep_end - start))
        return Part(tuple(found), tuple((answer.start - start, answer.end - start) for answer in answers))

    def prefix(self, window: Window) -> str:
        """Return what is put in front of a window's text: the title, unless the window begins with it."""
        text = self.document.text[window.start : window.end].lstrip()
        # The title "a" does not stand in front of "another".
        starts = text.startswith(self.title) and not text[len(self.title) :][:1].isalnum()
        return "" if starts or not self.title else f"{self.title}\n"


def cut_document(
    document: Document, encoder: Encoder, titles: bool = True, window: int = WINDOW_CHARACTERS
) -> CutDocument:
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
    return CutDocument(document, sentences, tuple(packed), title)
