"""Markdown (CommonMark with tables): headings, paragraphs, list items, table rows, lines of code."""

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from sourceline.ingest.speakers import attribute_turns
from sourceline.types import Block, BlockKind, ParsedFile

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A---[^\S\n]*\n(?:.*?\n)??---[^\S\n]*(?:\n|\Z)", re.DOTALL)


def parse(text: str) -> ParsedFile:
    """Return the headings and paragraphs of ``text``, without the markers in front of them.

    A table's row is one paragraph, and so is each line of code. Offsets point into the Markdown source, which is the
    document's text: what is cited is what stands in the file. Front matter is not searched.
    """
    # The parser reads "\r\n" and "\r" as one "\n": put something of equal length there, so that offsets agree.
    source = text.replace("\r\n", " \n").replace("\r", "\n")
    source = _FRONT_MATTER.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source)
    starts = [0, *(match.end() for match in re.finditer("\n", source)), len(source)]
    found = _blocks(source, starts)
    blocks = tuple(Block(kind, start, end) for kind, start, end in found if source[start:end].strip())
    return ParsedFile(text, attribute_turns(text, blocks))


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # slow, and only builds need it

    # What is nested deeper than maxNesting is dropped; its own 20 is a list ten levels deep. Only blocks are of use.
    return MarkdownIt("commonmark", {"maxNesting": 100}).enable("table").disable("inline")


def _blocks(source: str, starts: list[int]) -> Iterator[tuple[BlockKind, int, int]]:
    kind, in_row = BlockKind.PARAGRAPH, False
    for token in _parser().parse(source):
        match token.type:
            case "heading_open":
                kind = BlockKind.HEADING
            case "heading_close":
                kind = BlockKind.PARAGRAPH
            case "tr_open" if token.map:
                in_row = True
                yield BlockKind.PARAGRAPH, starts[token.map[0]], starts[token.map[1]]
            case "tr_close":
                in_row = False
            case "inline" if token.map and token.content and not in_row:
                yield kind, *_without_markers(source, starts, token)
            case "fence" | "code_block" | "html_block" if token.map:
                first = token.map[0] + (token.type == "fence")
                # The last line of the file can lack its line end.
                count = bool(token.content) + token.content.removesuffix("\n").count("\n")
                for line in range(first, first + count):
                    yield BlockKind.PARAGRAPH, starts[line], starts[line + 1]


def _without_markers(source: str, starts: list[int], token: "Token") -> tuple[int, int]:
    """Return where the token's content really stands: the parser stripped bullets, hashes and quote marks from it."""
    assert token.map is not None
    first, end = starts[token.map[0]], starts[token.map[1]]
    lines = token.content.strip().split("\n")
    start = source.find(lines[0].strip(), first, end)
    last = source.rfind(lines[-1].strip(), first, end)
    if start < 0 or last < start:  # the parser rewrote the line (a NUL, say): keep the markers rather than lose text
        return first, end
    return start, last + len(lines[-1].strip())
