"""Plain text: headings, and paragraphs that are lines, or blocks of lines that were wrapped to a width."""

import itertools
import re
from dataclasses import replace

from sourceline.types import Block, BlockKind

_BLOCK = re.compile(r"\S(?:.|\n(?![^\S\n]*\n))*")  # up to the next blank line
_LINE = re.compile(r"[^\n]+")
_SENTENCE_END = re.compile(r"[.!?:;…。！？][\"'”’)\]»]*\s*$")
# What a heading does not end with or begin with: a comma, a dash; a small letter, a bullet, a quote.
_NO_HEADING = re.compile(r"[,\-–—]$|^[^\w(¿¡]|^[a-zß-öø-ÿ]")
_TURN = re.compile(r"[^:]{1,40}:\s+\S")  # of a transcript
_CONTINUES_LINE = re.compile(r"\s*[\da-zß-öø-ÿ]")
_NUMBERED_PART = re.compile(r"(?i)(?:chapter|part|section|appendix|annex|item|day|session)\s+[\divxlc]+\s*:")
HEADING_CHARACTERS = 80


def parse(text: str) -> tuple[Block, ...]:
    """Return the headings and paragraphs of ``text``.

    Blank lines separate blocks. A block whose lines were wrapped to a width is one paragraph; in any other block (a
    report with one paragraph per line, a transcript with one turn per line) each line is one. A short line that ends no
    sentence and stands above a paragraph is a heading, if it begins its block.
    """
    # One kind of line end, of equal length, so that offsets agree.
    source = text.replace("\r\n", " \n").replace("\r", "\n")
    blocks: list[Block] = []
    for match in _BLOCK.finditer(source):
        lines = [line for line in _LINE.finditer(source, match.start(), match.end()) if line.group().strip()]
        texts = [line.group().rstrip() for line in lines]
        if is_wrapped(texts):
            blocks.append(Block(BlockKind.PARAGRAPH, match.start(), match.end()))
            continue
        # Several short lines in a row are a list or verse; a small letter or a digit continues a wrapped line.
        first_is_heading = is_heading(texts[0]) and (
            len(texts) == 1 or not (_CONTINUES_LINE.match(texts[1]) or is_heading(texts[1]))
        )
        kinds = [
            BlockKind.HEADING if first_is_heading else BlockKind.PARAGRAPH,
            *[BlockKind.PARAGRAPH] * (len(lines) - 1),
        ]
        blocks.extend(Block(kind, line.start(), line.end()) for kind, line in zip(kinds, lines, strict=True))
    if len(blocks) > 1 and source.count("\n", blocks[0].end, blocks[1].start) > 1:
        title, below = (source[block.start : block.end].strip() for block in blocks[:2])
        if is_title(title, below):
            blocks[0] = replace(blocks[0], kind=BlockKind.HEADING)
    return tuple(_above_paragraphs(blocks))


def is_heading(line: str) -> bool:
    """Return whether a line looks like a heading: short, begins like one, ends no sentence.

    >>> is_heading("Early life"), is_heading("Yes, I do."), is_heading("Chair: Good morning")
    (True, False, False)
    """
    if len(line) > HEADING_CHARACTERS or _SENTENCE_END.search(line) or not any(map(str.isalpha, line)):
        return False
    return not _NO_HEADING.search(line) and (not _TURN.match(line) or bool(_NUMBERED_PART.match(line)))


def is_title(line: str, below: str) -> bool:
    """Return whether the first line of a document, alone in its block, is a title.

    It may end in ? or !, and contain a colon unless the next block has one too.

    >>> is_title("War: What is it good for?", "A song from the year 1970."), is_title("Ann: Hi", "Bob: Hi to all.")
    (True, False)
    """
    if len(line) > HEADING_CHARACTERS or len(below) <= len(line) or _NO_HEADING.search(line):
        return False
    if _TURN.match(line) and _TURN.match(below):
        return False
    return any(map(str.isalpha, line)) and (line.endswith("...") or line[-1] not in ".;:")


def _above_paragraphs(blocks: list[Block]) -> list[Block]:
    """Return the blocks, headings with nothing below them made paragraphs, such as the signature of a letter."""
    body = max((at for at, block in enumerate(blocks) if block.kind is BlockKind.PARAGRAPH), default=-1)
    return [*blocks[: body + 1], *(replace(block, kind=BlockKind.PARAGRAPH) for block in blocks[body + 1 :])]


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
