"""Plain text: paragraphs are lines, or blocks of lines that were wrapped to a width."""

import itertools
import re

from sourceline.types import Mark, MarkKind

_BLOCK = re.compile(r"\S(?:.|\n(?![^\S\n]*\n))*")  # up to the next blank line
_LINE = re.compile(r"[^\n]+")
_SENTENCE_END = re.compile(r"[.!?:;…。！？][\"'”’)\]»]*\s*$")


def marks(text: str) -> tuple[Mark, ...]:
    """Return the paragraphs of ``text``.

    Blank lines part blocks. A block whose lines were wrapped to a width is one paragraph; in any other block (a
    report with a paragraph a line, a transcript with a turn a line) each line is one.
    """
    # One kind of line end, of equal length, so that offsets agree.
    source = text.replace("\r\n", " \n").replace("\r", "\n")
    found: list[Mark] = []
    for block in _BLOCK.finditer(source):
        lines = [line for line in _LINE.finditer(source, block.start(), block.end()) if line.group().strip()]
        if is_wrapped([line.group().rstrip() for line in lines]):
            found.append(Mark(MarkKind.PARAGRAPH, block.start(), block.end()))
        else:
            found.extend(Mark(MarkKind.PARAGRAPH, line.start(), line.end()) for line in lines)
    return tuple(found)


def is_wrapped(lines: list[str]) -> bool:
    """Return whether these lines are one paragraph that a program or a typist broke at a width.

    Greedy wrapping leaves a trace: at every break the next word would not have fitted into the longest line. That a
    sentence runs across a break as well tells a wrapped paragraph from lines that only happen to be of a length.

    >>> is_wrapped(["The quick brown fox jumps over", "the lazy dog."])
    True
    >>> is_wrapped(["Forecasting", "Averages of past values are the forecast."])
    False
    """
    if len(lines) < 2:
        return False
    width = max(map(len, lines))
    pairs = list(itertools.pairwise(lines))
    return all(len(line) + 1 + len(following.split()[0]) > width for line, following in pairs) and any(
        not _SENTENCE_END.search(line) for line, _ in pairs
    )
