"""HTML pages: their main content, with headings, paragraphs, list items and table rows.

The parser of the standard library is used because it reads whatever it is given in one pass: 200,000 nested tags take
half a second.
"""

import codecs
import datetime
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import groupby

from sourceline.ingest.formats.extraction import TextBuilder, sane_title
from sourceline.types import BlockKind, ParsedFile

_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
# What begins a new line, where it opens and where it closes.
_BLOCKS = _HEADINGS | set(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure"
    " footer form head header hr html legend li main menu nav ol p pre search section summary table tbody td tfoot th"
    " thead tr ul".split()
)
# Neither read nor shown, whatever is in them; and what a page has around its content.
_UNREAD = set(
    "script style noscript template iframe object embed svg canvas audio video select textarea button datalist"
    " map".split()
)
_AROUND = {"nav", "aside", "header", "footer", "menu", "search", "dialog"}
_ROLES_AROUND = set("navigation banner contentinfo complementary search menu menubar toolbar dialog".split())
_VOID = set("area base br col embed hr img input link meta param source track wbr".split())
# Of these, one ends where the next begins.
_UNCLOSED = {"p", "li", "dt", "dd", "tr", "td", "th", "option"}
_HIDDEN_STYLE = re.compile(r"(?i)display\s*:\s*none|visibility\s*:\s*hidden")
_SPACES = re.compile(r"[ \t\r\n\f]+")
_BLANK_LINE = re.compile(r"\n[ \n]*\n")
_ANCHORS = {"¶", "§", "#", "🔗"}  # links of headings to themselves
_DEEPEST = 5  # list or quotation that is marked as such

_DATE_NAMES = re.compile(
    r"(?i)(?:dc(?:terms)?\.)?(?:date|created|issued)|article:published_time|date_?published|pubdate|publish-?date"
)
_DATE = re.compile(r"\s*(\d{4}-\d\d-\d\d)(?:$|[T\s])")

_CHARSET = re.compile(rb"""(?i)<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)|^<\?xml[^>]+encoding\s*=\s*["']([\w.:-]+)""")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def parse(data: bytes) -> ParsedFile:
    """Return the text of a page's main content."""
    return read_page(decode(data))


def read_page(markup: str) -> ParsedFile:
    """Return the text of a page's main content: that of ``main`` or ``article``, else all but what stands around it."""
    page = _Page(_AROUND)
    page.read(markup)
    if not page.paragraphs:  # all of it stands in a header, say
        page = _Page(set())
        page.read(markup)
    builder = TextBuilder()
    for number, paragraphs in groupby(_main_content(page.paragraphs), key=lambda paragraph: paragraph.table):
        if (table := page.tables.get(number)) and table.holds_facts:
            _add_table(builder, table, list(paragraphs))
        else:
            _add_paragraphs(builder, paragraphs)
    dates = page.meta_dates or page.times
    return replace(builder.build(sane_title("".join(page.title))), date=dates.pop() if len(dates) == 1 else None)


def decode(data: bytes, charset: str | None = None) -> str:
    """Return the text of a page. ``charset`` is what a mail or server says, if it does.

    A page that does not say what it is in, is UTF-8, or windows-1252 if it is no UTF-8.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if charset is None and (declared := _CHARSET.search(data[:4096])):
        charset = (declared[1] or declared[2]).decode()
    try:
        encoding = codecs.lookup(charset or "utf-8").name
        text = b"".decode(encoding)  # refuses those that make no text of bytes, such as hex
    except LookupError:
        encoding = "utf-8"
    # As all browsers do: who writes iso-8859-1 means windows-1252; and a tag that could be read is not in UTF-16.
    encoding = {"iso8859-1": "cp1252", "ascii": "cp1252", "utf-16": "utf-8"}.get(encoding, encoding)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252" if charset is None else encoding, "replace")
    return text


@dataclass(frozen=True, slots=True)
class _Paragraph:
    """A paragraph of a page. It stands in a table's row and cell, which are counted from 1, or in none."""

    text: str
    kind: BlockKind
    marker: str
    preformatted: bool
    around: frozenset[str]  # which of main, article and form it is in
    table: int
    row: int
    cell: int


@dataclass(slots=True)
class _Table:
    """A table; ``cells`` and ``names`` count the cells of each row, and those of them that are names."""

    number: int
    cells: list[int] = field(default_factory=list)
    names: list[int] = field(default_factory=list)
    laid_out: bool = False  # it holds parts of the page: headings, other tables

    @property
    def holds_facts(self) -> bool:
        return not self.laid_out and len(self.cells) > 1 and max(self.cells) > 1

    def begin_row(self) -> None:
        self.cells.append(0)
        self.names.append(0)

    def begin_cell(self, is_name: bool) -> None:
        if not self.cells:
            self.begin_row()
        self.cells[-1] += 1
        self.names[-1] += is_name


class _Page(HTMLParser):
    """Collects the paragraphs of a page. Elements in ``left_out`` that stand around the content are not read."""

    def __init__(self, left_out: set[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[_Paragraph] = []
        self.tables: dict[int, _Table] = {}
        self.title: list[str] = []
        self.meta_dates: set[datetime.date] = set()
        self.times: set[datetime.date] = set()
        self._left_out = left_out
        self._open: list[tuple[str, bool]] = []  # the elements that are open, and whether they are not read
        self._count: Counter[str] = Counter()  # of the open ones, by tag
        self._unread = 0  # how many of them are not read
        self._open_tables: list[_Table] = []
        self._lists: list[tuple[bool, int]] = []  # whether the open ones are numbered, and how many items they have
        self._text: list[str] = []
        self._marker = ""

    def read(self, markup: str) -> None:
        """Read all of a page."""
        self.feed(markup)
        self.close()
        self._end_paragraph()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Note what begins."""
        attributes = {name: value or "" for name, value in attrs}
        if tag in _VOID:
            self._handle_void(tag, attributes)
            return
        if tag in _UNCLOSED and self._open and self._open[-1][0] == tag:
            self.handle_endtag(tag)
        if tag in _BLOCKS:
            self._end_paragraph()
        unread = tag in _UNREAD or _is_hidden(attributes) or self._is_around(tag, attributes)
        self._open.append((tag, unread))
        self._count[tag] += 1
        self._unread += unread
        if not self._unread:
            self._begin(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        """Close an element, with all that is open in it; one that is not open is passed over."""
        if not self._count[tag]:
            return
        if tag in _BLOCKS:
            self._end_paragraph()
        closed = ""
        while closed != tag:
            closed, unread = self._open.pop()
            self._count[closed] -= 1
            if not self._unread:
                if closed == "table" and self._open_tables:
                    self._end_paragraph()
                    self._open_tables.pop()
                elif closed in ("ul", "ol") and self._lists:
                    self._lists.pop()
            self._unread -= unread

    def handle_data(self, data: str) -> None:
        """Collect text."""
        if self._unread or (self._count["a"] and data.strip() in _ANCHORS):
            return
        if self._count["title"]:
            self.title.append(data)
        # Of what stands above a page only its own name is kept.
        elif "header" not in self._left_out or self._is_content() or not self._count["header"] or self._count["h1"]:
            self._text.append(data if self._count["pre"] else _SPACES.sub(" ", data))

    def _handle_void(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "meta":
            name = attributes.get("name") or attributes.get("property") or attributes.get("itemprop") or ""
            if _DATE_NAMES.fullmatch(name):
                self.meta_dates |= _dates(attributes.get("content", ""))
        elif tag == "hr":
            self._end_paragraph()
        elif tag == "br" and not self._unread:
            self._text.append("\n")

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        match tag:
            case "ul" | "ol":
                self._lists.append((tag == "ol", 0))
            case "li":
                self._begin_item()
            case "table":
                if self._open_tables:
                    self._open_tables[-1].laid_out = True
                self._open_tables.append(_Table(len(self.tables) + 1))
                self.tables[len(self.tables) + 1] = self._open_tables[-1]
            case "tr" if self._open_tables:
                self._open_tables[-1].begin_row()
            case "td" | "th" if self._open_tables:
                self._open_tables[-1].begin_cell(tag == "th" or self._count["thead"] > 0)
            case "time":
                self.times |= _dates(attributes.get("datetime", ""))

    def _is_content(self) -> bool:
        return bool(self._count["main"] or self._count["article"])

    def _is_around(self, tag: str, attributes: dict[str, str]) -> bool:
        """Return whether an element stands around the content of a page. What an article has at its head is content."""
        role = attributes.get("role", "")
        if tag == "header" or not self._left_out or role.startswith("doc-"):
            return False
        in_content = self._is_content()
        return (tag in self._left_out and not (in_content and tag == "footer")) or (
            role in _ROLES_AROUND and not in_content
        )

    def _begin_item(self) -> None:
        numbered, items = self._lists.pop() if self._lists else (False, 0)
        self._marker = "  " * min(len(self._lists), _DEEPEST) + (f"{items + 1}. " if numbered else "• ")
        self._lists.append((numbered, items + 1))

    def _end_paragraph(self) -> None:
        text, self._text = "".join(self._text), []
        if not text.strip():
            return
        headings = sum(self._count[tag] for tag in _HEADINGS)
        table = self._open_tables[-1] if self._open_tables else None
        if table and headings:
            table.laid_out = True
        self.paragraphs.append(
            _Paragraph(
                text=text.strip("\n").rstrip() if self._count["pre"] else text,
                kind=BlockKind.HEADING if headings else BlockKind.PARAGRAPH,
                marker="> " * min(self._count["blockquote"], _DEEPEST) + self._marker,
                preformatted=self._count["pre"] > 0,
                around=frozenset(tag for tag in ("main", "article", "form") if self._count[tag]),
                table=table.number if table else 0,
                row=len(table.cells) if table else 0,
                cell=table.cells[-1] if table and table.cells else 0,
            )
        )
        self._marker = ""


def _is_hidden(attributes: dict[str, str]) -> bool:
    if "hidden" in attributes or attributes.get("aria-hidden") == "true" or attributes.get("role") == "doc-backlink":
        return True
    return bool(_HIDDEN_STYLE.search(attributes.get("style", "")))


def _dates(value: str) -> set[datetime.date]:
    match = _DATE.match(value)
    try:
        return {datetime.date.fromisoformat(match[1])} if match else set()
    except ValueError:  # 2026-02-31
        return set()


def _main_content(paragraphs: Sequence[_Paragraph]) -> Iterator[_Paragraph]:
    """Yield the paragraphs of ``main``; else of articles, if these are most of the page; else all."""
    kept = [paragraph for paragraph in paragraphs if "main" in paragraph.around]
    if not kept:
        articles = [paragraph for paragraph in paragraphs if "article" in paragraph.around]
        kept = articles if 2 * _length(articles) > _length(paragraphs) else list(paragraphs)
    # Old pages are all one form; on others a form is what a visitor fills in.
    outside = [paragraph for paragraph in kept if "form" not in paragraph.around]
    yield from outside if 2 * _length(outside) > _length(kept) else kept


def _length(paragraphs: Sequence[_Paragraph]) -> int:
    return sum(len(paragraph.text) for paragraph in paragraphs)


def _add_paragraphs(builder: TextBuilder, paragraphs: Iterable[_Paragraph]) -> None:
    in_list = False
    for paragraph in paragraphs:
        is_item = paragraph.marker.endswith(("• ", ". "))
        for text in [paragraph.text] if paragraph.preformatted else _BLANK_LINE.split(paragraph.text):
            builder.add(
                text,
                paragraph.kind,
                marker=paragraph.marker,
                tight=in_list and is_item,
                preformatted=paragraph.preformatted,
            )
        in_list = is_item


def _add_table(builder: TextBuilder, table: _Table, paragraphs: Sequence[_Paragraph]) -> None:
    rows: list[list[list[str]]] = [[[] for _ in range(cells)] for cells in table.cells]
    caption = [paragraph for paragraph in paragraphs if not paragraph.cell]
    _add_paragraphs(builder, caption)
    for paragraph in paragraphs:
        if paragraph.cell:
            rows[paragraph.row - 1][paragraph.cell - 1].append(paragraph.text)
    quotes = paragraphs[0].marker.count("> ")
    header = table.names[0] == table.cells[0] > 1
    builder.add_table([row for row in rows if any(row)], header and any(rows[0]), marker="> " * quotes)
