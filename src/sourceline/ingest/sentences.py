"""Splits a document into passages, one per sentence, with exact offsets."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator

import sentencex

from sourceline.ids import citation_id
from sourceline.types import BlockKind, Document, Location, Passage

_LINE_END = re.compile(r"\r\n?|\n")
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")  # white space beyond ASCII


def split_passages(document: Document) -> tuple[Passage, ...]:
    """Split a document into its sentences. ``document.text[p.start:p.end] == p.text`` holds for each of them."""
    line_starts = [0, *(match.end() for match in _LINE_END.finditer(document.text))]
    occurrences: Counter[str] = Counter()
    passages: list[Passage] = []
    section: str | None = None
    for paragraph, block in enumerate(document.blocks, start=1):
        if block.kind is BlockKind.HEADING:
            section = " ".join(document.text[block.start : block.end].split())
        for start, end in sentence_spans(document.text, block.start, block.end):
            text = document.text[start:end]
            passages.append(
                Passage(
                    id=citation_id(document.id, text, occurrences[text]),
                    document_id=document.id,
                    ordinal=len(passages),
                    start=start,
                    end=end,
                    text=text,
                    location=Location(bisect_right(line_starts, start), paragraph, section),
                    heading=block.kind is BlockKind.HEADING,
                )
            )
            occurrences[text] += 1
    return tuple(passages)


def sentence_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the sentences of ``text[start:end]`` as offsets into ``text``, without the white space around them.

    A stretch without a letter or digit (a closing quote, a rule) belongs to the sentence before it.
    """
    pending: tuple[int, int] | None = None
    offset = start
    # sentencex takes all white space before a full stop to be one byte wide, and panics ("Plan B\u00a0.").
    for segment in sentencex.segment("en", _WIDE_SPACE.sub(" ", text[start:end])):
        first = offset + len(segment) - len(segment.lstrip())
        last = offset + len(segment.rstrip())
        offset += len(segment)
        if first >= last:
            continue
        if any(map(str.isalnum, segment)):
            if pending:
                yield pending
            pending = (first, last)
        elif pending:
            pending = (pending[0], last)
    if pending:
        yield pending
