"""reStructuredText, read as text: titles, paragraphs, list items, lines of code and rows of tables."""

import datetime
import re
from collections.abc import Generator, Iterator

from sourceline.ingest.dates import find_date
from sourceline.ingest.formats.front_matter import FIELDS
from sourceline.types import Block, BlockKind, ParsedFile

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}$")
_TABLE_RULE = re.compile(r"\+[-=+]+\+$|=+(?: +=+)+$|-+(?: +-+)+$")
_FIELD = re.compile(r":(?P<name>[^:\s`][^:`]*):(?:\s+|$)")
_DIRECTIVE = re.compile(r"\.\. (?:\|[^|]+\| )?(?P<name>[\w:.-]+?)::(?:\s+|$)")
_FOOTNOTE = re.compile(r"\.\. (?=\[[^\]]+\](?:\s|$))")
# What stands below these says nothing, stands word for word, or is text as anywhere.
_SILENT = frozenset(
    "image include toctree contents raw meta highlight index only literalinclude bibliography replace date "
    "class role default-role sectnum target-notes header footer automodule autoclass autofunction".split()
)
_LITERAL = frozenset("code code-block sourcecode parsed-literal math prompt csv-table graphviz mermaid console".split())
_TEXT_ARGUMENT = frozenset(
    "note warning tip important caution danger error hint attention admonition seealso todo topic sidebar rubric "
    "versionadded versionchanged deprecated".split()
)
# No "A. " and "I. ", which may be initials.
_BULLET = re.compile(r"(?:[-*+•‣⁃]|\(?(?:\d{1,3}|#)[.)]|\(?[a-zA-Z]{1,4}\))\s+(?=\S)|\|(?:\s+|$)")
_LINK_TARGET = re.compile(r"(?<=[^`\s])\s+<[^<>`]+>(?=`)")

PARAGRAPH = BlockKind.PARAGRAPH


def parse(text: str) -> ParsedFile:
    """Return the headings and paragraphs of ``text``; its markers, comments and targets are no blocks.

    Offsets point into the source, which is the document's text. What is indented is read as what is not.
    """
    reader = _Reader(text.replace("\r\n", " \n").replace("\r", "\n"))
    blocks = tuple(reader.blocks())
    return ParsedFile(text, blocks, reader.title, reader.date)


class _Reader:
    """Reads line by line; ``title`` and ``date`` are what fields of these names say."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.starts = [0, *(match.end() for match in re.finditer("\n", source))]
        self.lines = [line.rstrip() for line in source.split("\n")]
        self.title: str | None = None
        self.date: datetime.date | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in the order of the source."""
        at = 0
        while at < len(self.lines):
            line = self.lines[at].strip()
            if not line or (_ADORNMENT.match(line) and not self._is_title(at + 1)):
                at += 1
            elif self._is_title(at):
                yield self._block(BlockKind.HEADING, at, at + 1)
                at += 2
            elif _TABLE_RULE.match(line):
                end = self._paragraph_end(at)
                yield from self._table(at, end)
                at = end
            elif line.startswith((".. ", "__ ")) or line == "..":
                at = yield from self._explicit(at)
            elif field := _FIELD.match(line):
                end = self._below(at)
                yield from self._field(field["name"], at, end, len(field[0]))
                at = end
            else:
                at = yield from self._paragraph(at, self._indent(at))

    def _indent(self, at: int) -> int:
        return len(self.lines[at]) - len(self.lines[at].lstrip())

    def _is_title(self, at: int) -> bool:
        """Return whether a line is underlined, as far as it is long."""
        if at + 1 >= len(self.lines):
            return False
        title, under = self.lines[at].strip(), self.lines[at + 1].rstrip()
        is_under = bool(_ADORNMENT.match(under)) and not _TABLE_RULE.match(title) and not _ADORNMENT.match(title)
        return bool(title) and is_under and (len(under) >= len(title) or len(under) >= 4) and not self._in_table(at)

    def _in_table(self, at: int) -> bool:
        return at > 0 and bool(_TABLE_RULE.match(self.lines[at - 1].strip()))

    def _paragraph_end(self, at: int) -> int:
        while at < len(self.lines) and self.lines[at].strip():
            at += 1
        return at

    def _below(self, at: int) -> int:
        """Return where what belongs to a line ends: the lines below it that are indented further, and blank ones."""
        indent, end = self._indent(at), at + 1
        for number in range(at + 1, len(self.lines)):
            if self.lines[number].strip():
                if self._indent(number) <= indent:
                    break
                end = number + 1
        return end

    def _explicit(self, at: int) -> Generator[Block, None, int]:
        """Yield what is said in a directive's first lines; return the line to go on with."""
        line = self.lines[at].strip()
        if line == ".." and not "".join(self.lines[at + 1 : at + 2]).strip():
            return at + 1  # what is indented below an empty comment is a quotation
        if footnote := _FOOTNOTE.match(line):
            return (yield from self._paragraph(at, self._indent(at), skip=len(footnote[0])))
        directive = _DIRECTIVE.match(line)
        end = self._below(at)
        if not directive or directive["name"] in _SILENT:
            return end
        first = at + 1
        while first < end and _FIELD.match(self.lines[first].strip()):
            first += 1
        if directive["name"] in _LITERAL:
            yield from self._literal(first, end)
            return end
        if directive["name"] in _TEXT_ARGUMENT and directive.end() < len(line):
            return (yield from self._paragraph(at, self._indent(at), skip=directive.end()))
        return first

    def _field(self, name: str, at: int, end: int, marker: int) -> Iterator[Block]:
        """Yield a field of those that say something of the document, as in front matter."""
        value = self.lines[at][self._indent(at) + marker :]
        if name.lower() not in FIELDS or not any(map(str.isalnum, value)):
            return
        if name.lower() == "title":
            self.title = self.title or value
            yield self._block(BlockKind.HEADING, at, end, marker)
        else:
            self.date = self.date or (find_date(value) if name.lower() == "date" else None)
            yield self._block(PARAGRAPH, at, end)

    def _paragraph(self, at: int, indent: int, skip: int = 0) -> Generator[Block, None, int]:
        """Yield the paragraph that begins in a line and the code that it announces; return the line to go on with."""
        line = self.lines[at].lstrip()[skip:]
        in_list = bool(_BULLET.match(line))
        while bullet := _BULLET.match(line):
            skip, line = skip + len(bullet[0]), line[len(bullet[0]) :]
            if bullet[0].startswith("|"):
                break
        end = at + 1
        is_line = line.startswith(">>>") or self.lines[at].lstrip().startswith("|")
        while end < len(self.lines) and self.lines[end].strip() and not is_line:
            following = self.lines[end].lstrip()
            if _FIELD.match(following) or self._is_title(end) or (in_list and _BULLET.match(following)):
                break
            end += 1
        literal = self.lines[end - 1].endswith("::")
        if any(map(str.isalnum, line)) or end > at + 1:
            yield self._block(PARAGRAPH, at, end, skip)
        if literal:
            first = end
            end = max(end, self._below_indent(end, indent))
            yield from self._literal(first, end)
        return end

    def _below_indent(self, at: int, indent: int) -> int:
        """Return where the lines from ``at`` on end that are blank or indented further than ``indent``."""
        end = at
        for number in range(at, len(self.lines)):
            if self.lines[number].strip():
                if self._indent(number) <= indent:
                    break
                end = number + 1
        return end

    def _literal(self, first: int, end: int) -> Iterator[Block]:
        for number in range(first, end):
            if self.lines[number].strip():
                yield self._block(PARAGRAPH, number, number + 1)

    def _table(self, first: int, end: int) -> Iterator[Block]:
        """Yield the rows of a table, with the names of its columns where its head is one line."""
        rules = [number for number in range(first, end) if _TABLE_RULE.match(self.lines[number].strip())]
        is_grid = self.lines[first].lstrip().startswith("+")
        head = next((number for number in rules[1:] if "=" in self.lines[number]), 0)
        if not is_grid and (len(rules) < 3 or not head):
            head = 0
        columns: tuple[str, ...] = ()
        if head == first + 2:
            line = self.lines[first + 1].strip()
            cells = line.strip("|").split("|") if is_grid else self._cells(first, first + 1)
            columns = tuple(" ".join(cell.split()) for cell in cells)
        for number in range(head + 1 if head else first, end):
            if number not in rules and any(map(str.isalnum, self.lines[number])):
                yield self._block(PARAGRAPH, number, number + 1, columns=columns)

    def _cells(self, rule: int, row: int) -> list[str]:
        """Return the cells of a simple table's row, which stand below its rule."""
        columns = [match.start() for match in re.finditer("=+", self.lines[rule])]
        ends = [*columns[1:], None]
        return [self.lines[row][start:end] for start, end in zip(columns, ends, strict=True)]

    def _block(self, kind: BlockKind, first: int, end: int, skip: int = 0, columns: tuple[str, ...] = ()) -> Block:
        """Return lines as a block, from behind the markers in the first of them on."""
        last = end - 1
        while last > first and not self.lines[last].strip():
            last -= 1
        start = self.starts[first] + self._indent(first) + skip
        stop = self.starts[last] + len(self.lines[last])
        gaps = tuple(match.span() for match in _LINK_TARGET.finditer(self.source, start, stop))
        return Block(kind, start, stop, gaps, columns=columns)
