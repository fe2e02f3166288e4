"""Markdown (CommonMark with tables, footnotes, definition lists, notes and front matter), read by its syntax tree."""

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sourceline.ingest.formats.front_matter import read_front_matter
from sourceline.ingest.speakers import attribute_turns
from sourceline.types import Block, BlockKind, ParsedFile

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

Stretch = tuple[int, int]
InlineRule = Callable[["StateInline", bool], bool]

_TASK = re.compile(r"\[[ xX]\][ \t]+(?=\S)")
# The first line of a quotation that is a note: "> [!NOTE]", and what titles it, "> [!warning]- Crane closed".
_NOTE = re.compile(r"\[![\w-]+\][+-]?[ \t]*")
_ATTRIBUTES = re.compile(r"[ \t]*\{:?[ \t]*[#.][^{}\n]*\}\s*\Z")  # of a heading: "# Crane {#crane}"
_FOOTNOTE_MARK = re.compile(r"\[\^[^\]\n]*\]:")
_SCRIPT = re.compile(r"<(script|style|template|svg)\b", re.I)
_TAG_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)")
# Cells of a row stay together.
_HARD_BREAK = re.compile(r"(?<!\\)(?:\\\\)*\\(?=\n)")  # a backslash at a line's end
_CELLS = frozenset({"td", "th"})
_TAG_CHARACTERS = 2000  # a longer tag is text
_MAX_BRACKETS = 4000  # in a paragraph; the parser tries each that is not closed up to the paragraph's end

PARAGRAPH = BlockKind.PARAGRAPH


def parse(text: str) -> ParsedFile:
    """Return the headings and paragraphs of ``text``, without the markers in front of them.

    A table's row is one paragraph, and so is each line of code. Offsets point into the Markdown source, which is the
    document's text: what is cited is what stands in the file. Comments, tags and the targets of links are gaps.
    """
    # The parser reads "\r\n" and "\r" as one "\n": put something of equal length there, so that offsets agree.
    source = text.replace("\r\n", " \n").replace("\r", "\n")
    front_matter = read_front_matter(source)
    if front_matter:
        source = re.sub(r"[^\n]", " ", source[: front_matter.end]) + source[front_matter.end :]
    blocks = attribute_turns(text, tuple(_Reader(source).blocks()))
    if front_matter:
        return ParsedFile(text, front_matter.blocks + blocks, front_matter.title, front_matter.date)
    return ParsedFile(text, blocks)


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # slow, and only builds need it
    from markdown_it.rules_block import html_block
    from mdit_py_plugins.admon import admon_plugin
    from mdit_py_plugins.container import container_plugin
    from mdit_py_plugins.deflist import deflist_plugin
    from mdit_py_plugins.footnote import footnote_plugin

    def html_of_its_own(state: "StateBlock", line: int, end: int, silent: bool) -> bool:
        # A line that begins with a comment may be a paragraph's, and go on in the next.
        is_text = _has_text_behind_comment(state.src, state.bMarks[line] + state.tShift[line])
        return not is_text and html_block(state, line, end, silent)

    # What is nested deeper than maxNesting is dropped; its own 20 is a list ten levels deep.
    parser = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table").disable("inline")
    parser.block.ruler.at("html_block", html_of_its_own, {"alt": ["paragraph", "reference", "blockquote"]})
    footnote_plugin(parser, inline=False, move_to_end=False)
    deflist_plugin(parser)
    admon_plugin(parser)
    container_plugin(parser, "note", validate=lambda params, _markup: bool(params.strip()))
    return parser


@cache
def _inline_parser(links: bool = True) -> "MarkdownIt":
    """Return the parser of what stands in a paragraph, with or without links.

    It notes in its environment what is not read of ``content``: comments and tags (``hidden``), and the brackets and
    targets around the words of links (``targets``).
    """
    from markdown_it import MarkdownIt
    from markdown_it.helpers import parseLinkLabel
    from markdown_it.rules_inline import autolink, image, link

    def html(state: "StateInline", silent: bool) -> bool:
        end = _markup_end(state.src, state.pos)
        state.pos = max(state.pos, end)
        return end >= 0

    def around_words(state: "StateInline", start: int) -> list[Stretch]:
        words = state.src.index("[", start) + 1
        return [(start, words), (parseLinkLabel(state, words - 1), state.pos)]

    parser = MarkdownIt("commonmark")
    rules = parser.inline.ruler
    rules.at("html_inline", _noting("hidden", html, lambda state, start: [(start, state.pos)]))
    rules.at("autolink", _noting("targets", autolink, lambda state, start: [(start + 1, state.pos - 1)]))
    rules.at("link", _noting("targets", link, around_words))
    rules.at("image", _noting("targets", image, around_words))
    return parser if links else parser.disable(["link", "image"])


def _noting(name: str, rule: InlineRule, stretches: Callable[["StateInline", int], list[Stretch]]) -> InlineRule:
    """Return an inline rule that also notes the stretches of what it matched, which starts at their second argument."""

    def noting(state: "StateInline", silent: bool) -> bool:
        start = state.pos
        matched = rule(state, silent)
        # The words of an image are parsed by themselves.
        if matched and not silent and state.src is state.env["content"]:
            state.env[name].extend(stretches(state, start))
        return matched

    return noting


def _markup_end(text: str, at: int) -> int:
    """Return where the tag or comment ends that ``text[at]`` begins, -1 if it begins none.

    A comment that is not closed goes on to the end.
    """
    from markdown_it.common.html_re import HTML_OPEN_CLOSE_TAG_RE

    if text.startswith("<!--", at):
        end = text.find("-->", at + 2)
        return end + 3 if end >= 0 else len(text)
    for opening, closing in (("<?", "?>"), ("<![CDATA[", "]]>")):
        if text.startswith(opening, at):
            end = text.find(closing, at + 2, at + _TAG_CHARACTERS)
            return end + len(closing) if end >= 0 else -1
    if text.startswith("<", at) and (tag := HTML_OPEN_CLOSE_TAG_RE.match(text[at : at + _TAG_CHARACTERS])):
        return at + tag.end()
    return -1


def _has_text_behind_comment(text: str, at: int) -> bool:
    """Return whether there are comments at ``at``, and text behind them on the line that they end in."""
    begin = at
    while text.startswith("<!--", at):
        end = text.find("-->", at + 2)
        if end < 0:
            return False
        at = end + 3
        while text.startswith((" ", "\t"), at):
            at += 1
    return at > begin and not text.startswith(("\n", "<"), at) and at < len(text)


@dataclass(frozen=True, slots=True)
class _Content:
    """The content of a token: lines of the source without the markers of quotations, lists and headings.

    ``starts`` are where its lines start in ``text``, ``positions`` where they start in the source.
    """

    text: str
    starts: list[int]
    positions: list[int]

    def position(self, at: int) -> int:
        """Return where a character of the content stands in the source."""
        line = bisect_right(self.starts, at) - 1
        return self.positions[line] + at - self.starts[line]

    def span(self, start: int, end: int) -> Stretch:
        """Return where ``text[start:end]``, which is not empty, stands in the source."""
        return self.position(start), self.position(end - 1) + 1


@dataclass(slots=True)
class _Unread:
    """What is not read of a block, as offsets into the source.

    ``hidden`` are comments, tags, and markers in front of a paragraph's lines; ``targets`` are the brackets and
    targets of links, which are cited with them.
    """

    hidden: list[Stretch]
    targets: list[Stretch]


class _Reader:
    """Reads the blocks of a source, whose lines end in a line feed."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.line_starts = [0, *(match.end() for match in re.finditer("\n", source)), len(source)]
        self.env: dict[str, Any] = {}
        # The last comments that their paragraphs do not close: a paragraph may end one and begin another.
        self.commented: deque[Stretch] = deque(maxlen=2)

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in the order of the source."""
        tokens = _parser().parse(self.source, self.env)
        at = 0
        while at < len(tokens):
            token = tokens[at]
            match token.type:
                case "table_open":
                    end = next(i for i in range(at, len(tokens)) if tokens[i].type == "table_close")
                    yield from self._table(tokens[at:end])
                    at = end
                case "dt_open":
                    if [token.type for token in tokens[at + 3 : at + 6]] == ["dd_open", "paragraph_open", "inline"]:
                        yield from self._definition(tokens[at + 1], tokens[at + 5])
                        at += 5
                case "inline" if token.map and token.content:
                    yield from self._inline(token, tokens[at - 1], tokens[at - 2] if at > 1 else None)
                case "fence" | "code_block" if token.map:
                    yield from self._code(token)
                case "html_block" if token.map:
                    yield from self._html(token)
            at += 1

    def _inline(self, token: "Token", opening: "Token", around: "Token | None") -> Iterator[Block]:
        """Yield a heading or paragraph.

        Args:
            token: its content.
            opening: the token before.
            around: the token before that, which opens the list item or quotation that it may be the first part of.
        """
        if opening.type == "heading_open":
            yield from self._heading(token, opening.markup.strip("=-"))
            return
        if opening.type == "admonition_title_open":
            yield from self._note_title(token)
            return
        content = self._content(token)
        unread = self._unread(content)
        start, end = content.span(0, len(content.text))
        within = around.type if around else ""
        if within == "list_item_open" and (task := _TASK.match(content.text)):
            start = content.position(task.end())
        elif within == "blockquote_open" and (note := _NOTE.match(content.text)):
            line_end = content.text.find("\n", note.end())
            if note.end() < line_end:  # the note's title
                yield from self._block(PARAGRAPH, *content.span(note.end(), line_end), unread)
            start = content.position(max(note.end(), line_end))
        elif within == "footnote_reference_open":
            # The mark says what the note is on.
            line_start = self.line_starts[bisect_right(self.line_starts, start) - 1]
            if mark := _FOOTNOTE_MARK.search(self.source, line_start, start):
                start = mark.start()
        yield from self._block(PARAGRAPH, start, end, unread)

    def _heading(self, token: "Token", hashes: str) -> Iterator[Block]:
        content = self._content(token, behind=hashes)
        # A rule right below a paragraph makes a heading of it, which nobody meant.
        kind = PARAGRAPH if not hashes and content.text.endswith((".", "。")) else BlockKind.HEADING
        attributes = _ATTRIBUTES.search(content.text)
        end = attributes.start() if attributes else len(content.text)
        if end:
            yield from self._block(kind, *content.span(0, end), self._unread(content))

    def _note_title(self, token: "Token") -> Iterator[Block]:
        """Yield the title of a note: `!!! note "Title"`."""
        assert token.map
        start, end = (self.line_starts[line] for line in token.map)
        # Where the source does not say one, the parser takes the note's kind for its title.
        if len(self.source[start:end].split()) > 2 and (at := self.source.rfind(token.content, start, end)) >= 0:
            yield from self._block(PARAGRAPH, at, at + len(token.content), _Unread([], []))

    def _definition(self, term: "Token", definition: "Token") -> Iterator[Block]:
        """Yield a term and the first paragraph of its definition as one paragraph."""
        contents = [self._content(token) for token in (term, definition)]
        (start, term_end), (begin, end) = (content.span(0, len(content.text)) for content in contents)
        parts = [self._unread(content) for content in contents]
        marker = (self.source.rindex("\n", term_end, begin) + 1, begin)
        hidden = [*parts[0].hidden, marker, *parts[1].hidden]
        yield from self._block(PARAGRAPH, start, end, _Unread(hidden, parts[0].targets + parts[1].targets))

    def _table(self, tokens: list["Token"]) -> Iterator[Block]:
        """Yield the rows of a table, each with the names of its columns; the row with the names is no block."""
        in_head, names = True, []
        # A table of nothing but a head says something in it.
        has_body = sum(token.type == "tr_open" for token in tokens) > 1
        for token in tokens:
            if token.type == "thead_close":
                in_head = False
            elif token.type == "inline" and in_head:
                names.append(self._plain(token.content))
            elif token.type == "tr_open" and token.map and not (in_head and has_body):
                start, end = (self.line_starts[line] for line in token.map)
                line = self.source[start:end]
                row = line.lstrip("> \t").rstrip()  # in a quotation or a list
                content = _Content(row, [0], [start + line.index(row)])
                columns = tuple(names) if any(names) and not in_head else ()
                yield from self._block(PARAGRAPH, *content.span(0, len(row)), self._unread(content), columns)

    def _code(self, token: "Token") -> Iterator[Block]:
        assert token.map
        content = self._content(token, token.map[0] + (token.type == "fence"))
        for line in re.finditer(r"[^\n]+", content.text):
            yield from self._block(PARAGRAPH, *content.span(*line.span()), _Unread([], []))

    def _html(self, token: "Token") -> Iterator[Block]:
        """Yield the text between the tags of HTML; those that only mark words do not end a paragraph."""
        from markdown_it.common.html_blocks import block_names

        content = self._content(token)
        text = content.text
        begin, at = 0, 0
        markers = self._markers(content).hidden
        hidden: list[Stretch] = []

        def piece(start: int, end: int) -> Iterator[Block]:
            if start < end:
                first, last = content.span(start, end)
                between = markers[bisect_left(markers, (first, 0)) : bisect_left(markers, (last, 0))]
                yield from self._block(PARAGRAPH, first, last, _Unread(between + hidden, []))

        while (at := text.find("<", at)) >= 0:
            end = _markup_end(text, at)
            if end < 0:
                at += 1
                continue
            if text.startswith("<!--", at):
                self._note_unclosed(content, at, end)
            elif script := _SCRIPT.match(text, at):
                close = re.compile(rf"</{script[1]}\s*>", re.I).search(text, end)
                end = close.end() if close else len(text)
            hidden.append(content.span(at, end))
            tag = _TAG_NAME.match(text, at)
            if tag and tag[1].lower() in {*block_names, "pre"} - _CELLS:
                yield from piece(begin, at)
                begin = end
                hidden.clear()
            at = end
        yield from piece(begin, len(text))

    def _content(self, token: "Token", first: int | None = None, behind: str = "") -> _Content:
        """Find the token's content in the source: the parser stripped bullets, hashes and quotation marks from it.

        Args:
            token: the token.
            first: the line that its content starts in, if not its own first.
            behind: what the content of a line stands behind.
        """
        assert token.map
        starts = [0, *(match.end() for match in re.finditer("\n", token.content))]
        lines = token.content.split("\n")
        if first is None:
            first = token.map[0]
            # The parser also strips lines of white space that it takes for text.
            while not behind and first + 1 < token.map[1] and not self._line(first).rstrip().endswith(lines[0].strip()):
                first += 1
        positions = []
        for number, line in enumerate(lines, start=first):
            begin, stands, words = self._line_start(number), self._line(number), line.strip()
            # A line ends as it does in the source, but for the hashes that close a heading.
            at = stands.find(words, stands.find(behind) + len(behind)) if behind else len(stands.rstrip()) - len(words)
            indent = len(line) - len(line.lstrip()) if words else 0  # of white space that the parser takes for text
            positions.append(begin + at - indent)
        return _Content(token.content, starts, positions)

    def _line_start(self, number: int) -> int:
        return self.line_starts[min(number, len(self.line_starts) - 1)]

    def _line(self, number: int) -> str:
        return self.source[self._line_start(number) : self._line_start(number + 1)]

    def _markers(self, content: _Content) -> _Unread:
        """Return the markers of a quotation in front of all lines but the first, as what is not read."""
        hidden = []
        for start, position in zip(content.starts[1:], content.positions[1:], strict=True):
            line_start = self.line_starts[bisect_right(self.line_starts, position) - 1]
            if start < len(content.text) and self.source[line_start:position].strip():
                hidden.append((line_start, position))
        return _Unread(hidden, [])

    def _unread(self, content: _Content) -> _Unread:
        """Return what is not read of a paragraph."""
        unread = self._markers(content)
        unread.hidden.extend(content.span(match.end() - 1, match.end()) for match in _HARD_BREAK.finditer(content.text))
        if any(sign in content.text for sign in "<["):
            hidden: list[Stretch] = []
            targets: list[Stretch] = []
            self.env.update(content=content.text, hidden=hidden, targets=targets)
            parser = _inline_parser(content.text.count("[") <= _MAX_BRACKETS)
            parser.inline.parse(content.text, parser, self.env, [])
            for start, end in hidden:
                if content.text.startswith("<!--", start):
                    self._note_unclosed(content, start, end)
            unread.hidden.extend(content.span(*stretch) for stretch in hidden)
            unread.targets.extend(content.span(*stretch) for stretch in targets)
        return unread

    def _note_unclosed(self, content: _Content, start: int, end: int) -> None:
        """Let a comment that its paragraph does not close go on to where it is closed, if no other begins before."""
        if end < len(content.text) or content.text.endswith("-->"):
            return
        begin = content.position(start)
        another = self.source.find("<!--", begin + 4)
        close = self.source.find("-->", begin + 2, another if another >= 0 else len(self.source))
        if close >= 0:
            self.commented.append((begin, close + 3))

    def _plain(self, content: str) -> str:
        """Return what a cell says, without markup."""
        parser = _inline_parser()
        env = {**self.env, "content": None}
        tokens = parser.inline.parse(content, parser, env, [])
        said = (token.content for token in tokens if token.type in {"text", "text_special", "code_inline", "image"})
        return " ".join("".join(said).split())

    def _block(
        self, kind: BlockKind, start: int, end: int, unread: _Unread, columns: tuple[str, ...] = ()
    ) -> Iterator[Block]:
        """Yield ``source[start:end]`` as a block, without white space, comments and tags at its ends."""
        hidden = sorted([*unread.hidden, *self.commented])
        for first, last in hidden:
            start = self._skipped(start, end)
            if first <= start < last:
                start = last
        start = self._skipped(start, end)
        for first, last in reversed(hidden):
            end = self._skipped_back(start, end)
            if first < end <= last:
                end = first
        end = self._skipped_back(start, end)
        if start < end:
            yield Block(kind, start, end, tuple(_merged(hidden + unread.targets, start, end)), columns=columns)

    def _skipped(self, start: int, end: int) -> int:
        while start < end and self.source[start].isspace():
            start += 1
        return start

    def _skipped_back(self, start: int, end: int) -> int:
        while start < end and self.source[end - 1].isspace():
            end -= 1
        return end


def _merged(stretches: list[Stretch], start: int, end: int) -> Iterator[Stretch]:
    """Yield stretches in order without overlap, and only what lies between ``start`` and ``end``."""
    for first, last in sorted(stretches):
        first, last = max(first, start), min(last, end)
        if first < last:
            yield first, last
            start = last
