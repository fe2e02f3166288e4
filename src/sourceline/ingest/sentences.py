"""Document to passages: one a sentence, with exact offsets."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator

import sentencex

from sourceline.ids import citation_id
from sourceline.types import BlockKind, Document, Location, Passage

_LINE_END = re.compile(r"\r\n?|\n")
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")  # white space beyond ASCII


def passages(document: Document) -> tuple[Passage, ...]:
    """Split a document into its sentences. ``document.text[p.start:p.end] == p.text`` holds for each of them."""
    line_starts = [0, *(match.end() for match in _LINE_END.finditer(document.text))]
    occurrences: Counter[str] = Counter()
    found: list[Passage] = []
    section: str | None = None
    for paragraph, mark in enumerate(document.marks, start=1):
        if mark.kind is BlockKind.HEADING:
            section = " ".join(document.text[mark.start : mark.end].split())
        for start, end in sentence_spans(document.text, mark.start, mark.end):
            text = document.text[start:end]
            found.append(
                Passage(
                    id=citation_id(document.id, text, occurrences[text]),
                    document_id=document.id,
                    ordinal=len(found),
                    start=start,
                    end=end,
                    text=text,
                    location=Location(bisect_right(line_starts, start), paragraph, section),
                    heading=mark.kind is BlockKind.HEADING,
                )
            )
            occurrences[text] += 1
    return tuple(found)


def sentence_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the sentences inside ``text[start:end]`` as offsets into ``text``, without the white space around them.

    A stretch without a letter or digit (a closing quote, a rule) belongs to the sentence before it.
    """
    pending: tuple[int, int] | None = None
    at = start
    # sentencex takes all white space before a full stop for one byte wide, and panics ("Plan B\u00a0.").
    for segment in sentencex.segment("en", _WIDE_SPACE.sub(" ", text[start:end])):
        first = at + len(segment) - len(segment.lstrip())
        last = at + len(segment.rstrip())
        at += len(segment)
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
