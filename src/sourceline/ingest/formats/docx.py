"""Word documents (.docx): paragraphs, headings, lists, tables and notes in the order in which they are read.

python-docx opens the file and knows its parts. It passes over text in tracked changes, fields and text boxes, so the
paragraphs are read from their XML here.
"""

import datetime
import string
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from sourceline.errors import DocumentError
from sourceline.ingest.formats import plain
from sourceline.ingest.formats.extraction import CELL, TextBuilder, sane_title
from sourceline.types import BlockKind, ParsedFile

if TYPE_CHECKING:
    from docx.document import Document

Element = Any  # of lxml, which has no types

# What python-docx reads at once. Word itself packs text to a tenth, a bomb to a thousandth.
UNPACKED = 100_000_000
RATIO = 100
# Of this size a file may repeat itself as it likes.
_HARMLESS = 1_000_000

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
# What was deleted or moved away, codes of fields, pronunciation, properties; and what repeats a drawing for old Word.
_NOT_READ = {_FALLBACK, *(_W + name for name in ("del", "moveFrom", "instrText", "delText", "rt", "pPr", "rPr"))}
# Around paragraphs, rows and cells: form fields, tracked insertions.
_TRANSPARENT = {_W + name for name in ("sdt", "sdtContent", "customXml", "smartTag", "ins", "moveTo")}
_AS_TEXT = {_W + "tab": "\t", _W + "br": "\n", _W + "cr": "\n", _W + "noBreakHyphen": "\u2011", _W + "ptab": "\t"}
_NOTES = {_W + "footnoteReference": "footnotes", _W + "endnoteReference": "endnotes"}
_OLE = b"\xd0\xcf\x11\xe0"  # how .doc begins, and what Word encrypts
_NO_MEMORY = 2  # libxml2's XML_ERR_NO_MEMORY
# The date in the template of python-docx, which every document that it makes bears.
_TEMPLATE_DATE = datetime.date(2013, 12, 23)
_OLDEST = 1990


@dataclass(frozen=True, slots=True)
class _Style:
    """What matters of a style; ``numbering`` is the list and the level in it."""

    name: str = ""
    heading: bool = False
    bold: bool = False
    numbering: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class _Level:
    """How the items of a level of a list are numbered: ``text`` is like "%1.%2"."""

    format: str = "decimal"
    text: str = ""
    start: int = 1


def parse(data: bytes) -> ParsedFile:
    """Return the text of a Word document, a blank line between paragraphs, notes at its end.

    Headers and footers of pages, deleted text and comments are left out.

    Raises:
        DocumentError: it is no such document, is encrypted, or would unpack to too much.
    """
    if data.startswith(_OLE):
        raise DocumentError("it is a .doc of old Word, or protected by a password: save it as .docx without one")
    from docx import Document

    try:
        _check_archive(data)
        document = Document(BytesIO(data))
    except SyntaxError as error:  # lxml's
        if getattr(error, "code", None) == _NO_MEMORY:
            raise MemoryError from error
        raise DocumentError(f"it is damaged: {error.msg}") from error
    except (zipfile.BadZipFile, KeyError, ValueError) as error:  # no archive, or one of something else
        raise DocumentError("it is damaged, or no Word document") from error
    properties = document.core_properties
    created = properties.created.date() if properties.created else None
    created = created if created and created != _TEMPLATE_DATE and created.year >= _OLDEST else None
    return replace(_Reader(document).read(sane_title(properties.title)), created=created)


def _check_archive(data: bytes) -> None:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        unpacked = sum(info.file_size for info in archive.infolist())  # and no more than it says is ever unpacked
        if unpacked > UNPACKED:
            raise DocumentError(f"it unpacks to more than {UNPACKED // 1_000_000} MB")
        if unpacked > max(RATIO * len(data), _HARMLESS):
            raise DocumentError(f"it unpacks to more than {RATIO} times its size")
        for info in archive.infolist():
            if info.filename.endswith((".xml", ".rels")):
                part = archive.read(info)
                # Word writes none; entities are declared in one.
                if any("<!DOCTYPE".encode(encoding) in part for encoding in ("utf-8", "utf-16-le", "utf-16-be")):
                    raise DocumentError("it declares a DOCTYPE, as no Word document does")


class _Reader:
    """Reads one document."""

    def __init__(self, document: "Document") -> None:
        self._document = document
        self._builder = TextBuilder()
        self._styles = dict(_styles(document.styles.element))
        self._levels, self._lists = _numbering(self._part("numbering"))
        self._counters: defaultdict[str, list[int]] = defaultdict(list)
        self._boxes: list[Element] = []
        letters = {True: 0, False: 0}
        for paragraph in document.element.body.iter(_W + "p"):
            letters[self._is_bold(paragraph, self._style(paragraph))] += sum(
                len(text.text or "") for text in paragraph.iter(_W + "t")
            )
        self._bold_marks_headings = letters[True] < letters[False]  # where most is bold, it marks nothing
        self._notes: list[tuple[str, str]] = []  # kind and id, in the order in which they are referred to

    def read(self, title: str | None) -> ParsedFile:
        self._add_blocks(self._document.element.body)
        texts = {kind: self._note_texts(kind) for kind in _NOTES.values()}
        for number, (kind, id_) in enumerate(tuple(self._notes), start=1):
            for text in texts[kind].get(id_, ()):
                self._builder.add(text, marker=f"[{number}] ")
        return self._builder.build(title)

    def _part(self, kind: str) -> Element | None:
        """Return the XML of a part of the document, such as its footnotes."""
        from docx.oxml import parse_xml

        for relation in self._document.part.rels.values():
            if relation.reltype.endswith(f"/{kind}") and not relation.is_external:
                return parse_xml(relation.target_part.blob)
        return None

    def _add_blocks(self, parent: Element) -> None:
        in_list = False
        for element in _children(parent):
            if element.tag == _W + "p":
                in_list = self._add_paragraph(element, in_list)
            elif element.tag == _W + "tbl":
                self._add_table(element)
                in_list = False

    def _add_paragraph(self, paragraph: Element, in_list: bool) -> bool:
        """Add a paragraph; return whether it is an item of a list."""
        style = self._style(paragraph)
        text = self._text(paragraph)
        marker = self._marker(paragraph, style) if text else ""
        looks = self._bold_marks_headings and plain.is_heading(text) and not plain.states_fact(text)
        heading = style.heading or (looks and self._is_bold(paragraph, style))
        self._builder.add(
            text,
            BlockKind.HEADING if heading else BlockKind.PARAGRAPH,
            marker=marker,
            tight=in_list and bool(marker),
            searched=not style.name.startswith("toc "),
        )
        boxes, self._boxes = self._boxes, []
        for box in boxes:
            self._add_blocks(box)
        return bool(marker) and not heading

    def _add_table(self, table: Element) -> None:
        rows = [[list(_children(cell)) for cell in _children(row, "tc")] for row in _rows(table)]
        laid_out = len(rows) == 1 or max(map(len, rows), default=0) == 1
        if laid_out:  # a box around something, or two columns of text
            for row in _rows(table):
                for cell in _children(row, "tc"):
                    self._add_blocks(cell)
            return
        texts = [[[text for part in cell for text in self._cell_texts(part)] for cell in row] for row in rows]
        first = next(_rows(table), None)
        header = first is not None and (first.find(f"{_W}trPr/{_W}tblHeader") is not None or self._is_bold_row(rows))
        self._builder.add_table(texts, header)

    def _cell_texts(self, part: Element) -> Iterator[str]:
        """Yield the paragraphs of a part of a cell; the rows of a table in it are paragraphs."""
        if part.tag == _W + "p":
            if text := self._text(part).strip():
                yield text
            boxes, self._boxes = self._boxes, []
            for box in boxes:
                for inner in _children(box):
                    yield from self._cell_texts(inner)
        elif part.tag == _W + "tbl":
            for row in _rows(part):
                cells = (
                    " ".join(t for p in _children(cell) for t in self._cell_texts(p)) for cell in _children(row, "tc")
                )
                yield CELL.join(cell for cell in cells if cell)

    def _text(self, paragraph: Element) -> str:
        return "".join(self._pieces(paragraph))

    def _pieces(self, element: Element) -> Iterator[str]:
        for child in element:
            tag = child.tag
            if tag == _W + "t" or tag == _MATH_TEXT:
                yield child.text or ""
            elif tag in _AS_TEXT:
                yield "" if child.get(_W + "type") in ("page", "column") else _AS_TEXT[tag]
            elif tag in _NOTES:
                self._notes.append((_NOTES[tag], child.get(_W + "id", "")))
                yield f"[{len(self._notes)}]"
            elif tag == _W + "txbxContent":
                self._boxes.append(child)
            elif tag not in _NOT_READ and not _is_on(child.find(f"{_W}rPr/{_W}vanish")):
                yield from self._pieces(child)

    def _note_texts(self, kind: str) -> dict[str, list[str]]:
        part = self._part(kind)
        notes = () if part is None else part.iterchildren(_W + kind.removesuffix("s"))
        return {
            note.get(_W + "id"): [text for child in _children(note) for text in self._cell_texts(child)]
            for note in notes
        }

    def _style(self, paragraph: Element) -> _Style:
        style = self._styles.get(_value(paragraph.find(f"{_W}pPr/{_W}pStyle")), _Style())
        outline = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
        return replace(style, heading=True) if outline is not None and _number(outline) < 9 else style

    def _is_bold(self, paragraph: Element, style: _Style) -> bool:
        runs = [
            run for run in paragraph.iter(_W + "r") if any((text.text or "").strip() for text in run.iter(_W + "t"))
        ]
        bold = (run.find(f"{_W}rPr/{_W}b") for run in runs)
        return bool(runs) and all(style.bold if mark is None else _is_on(mark) for mark in bold)

    def _is_bold_row(self, rows: list[list[list[Element]]]) -> bool:
        parts = (part for cell in rows[0] for part in cell)
        paragraphs = [part for part in parts if part.tag == _W + "p" and next(part.iter(_W + "t"), None) is not None]
        return bool(paragraphs) and all(self._is_bold(part, self._style(part)) for part in paragraphs)

    def _marker(self, paragraph: Element, style: _Style) -> str:
        """Return the bullet or number in front of a paragraph, and count it."""
        own = paragraph.find(f"{_W}pPr/{_W}numPr")
        number, level = style.numbering or ("0", 0)
        if own is not None:
            own_number, own_level = own.find(_W + "numId"), own.find(_W + "ilvl")
            number = number if own_number is None else _value(own_number)
            level = level if own_level is None else _number(own_level)
        if number not in self._lists:
            return ""
        key, definition = self._lists[number]
        levels = self._levels.get(definition, {})
        counters = self._counters[key]
        while len(counters) <= level:
            counters.append(levels.get(len(counters), _Level()).start - 1)
        counters[level] += 1
        del counters[level + 1 :]
        indent = "" if style.heading else "  " * level
        if (shape := levels.get(level, _Level())).format == "bullet":
            return f"{indent}• "
        text = shape.text
        for at, count in enumerate(counters):
            text = text.replace(f"%{at + 1}", _formatted(count, levels.get(at, _Level()).format))
        return f"{indent}{text} " if text.strip() else ""


def _children(parent: Element, name: str = "") -> Iterator[Element]:
    """Yield the elements below ``parent``, of a tag if one is named, also those in form fields and insertions."""
    for child in parent:
        if child.tag in _TRANSPARENT:
            yield from _children(child, name)
        elif not name or child.tag == _W + name:
            yield child


def _rows(table: Element) -> Iterator[Element]:
    """Yield the rows that were not deleted."""
    return (row for row in _children(table, "tr") if row.find(f"{_W}trPr/{_W}del") is None)


def _value(element: Element | None) -> str:
    return "" if element is None else str(element.get(_W + "val", ""))


def _number(element: Element) -> int:
    value = _value(element)
    return int(value) if value.isdecimal() and len(value) < 3 else 0


def _is_on(element: Element | None) -> bool:
    return element is not None and _value(element) not in ("0", "false", "off")


def _styles(styles: Element) -> Iterator[tuple[str, _Style]]:
    """Yield the styles by id, with what they inherit."""
    elements = {style.get(_W + "styleId"): style for style in styles.iterchildren(_W + "style")}
    for id_ in elements:
        chain: list[Element] = []
        while (style := elements.get(id_)) is not None and style not in chain:
            chain.append(style)
            id_ = _value(style.find(_W + "basedOn"))
        names = [_value(style.find(_W + "name")).lower() for style in chain]
        outline = next((mark for style in chain if (mark := style.find(f"{_W}pPr/{_W}outlineLvl")) is not None), None)
        bold = next((mark for style in chain if (mark := style.find(f"{_W}rPr/{_W}b")) is not None), None)
        list_ = next((mark for style in chain if (mark := style.find(f"{_W}pPr/{_W}numPr")) is not None), None)
        level = None if list_ is None else list_.find(_W + "ilvl")
        yield (
            chain[0].get(_W + "styleId"),
            _Style(
                name=names[0],
                heading=(outline is not None and _number(outline) < 9)
                or any(name.startswith("heading ") or name in ("title", "subtitle") for name in names),
                bold=_is_on(bold),
                numbering=None
                if list_ is None
                else (_value(list_.find(_W + "numId")), 0 if level is None else _number(level)),
            ),
        )


def _numbering(part: Element | None) -> tuple[dict[str, dict[int, _Level]], dict[str, tuple[str, str]]]:
    """Return the definitions of lists by level, and for each list what counts its items and its definition."""
    definitions: dict[str, dict[int, _Level]] = {}
    lists: dict[str, tuple[str, str]] = {}
    if part is None:
        return definitions, lists
    for definition in part.iterchildren(_W + "abstractNum"):
        levels = definitions[definition.get(_W + "abstractNumId")] = {}
        for level in definition.iterchildren(_W + "lvl"):
            start = level.find(_W + "start")
            levels[int(level.get(_W + "ilvl"))] = _Level(
                format=_value(level.find(_W + "numFmt")) or "decimal",
                text=_value(level.find(_W + "lvlText")),
                start=1 if start is None else _number(start),
            )
    for list_ in part.iterchildren(_W + "num"):
        number, definition = list_.get(_W + "numId"), _value(list_.find(_W + "abstractNumId"))
        # Lists of one definition count on, unless they say where they start.
        restarts = list_.find(f"{_W}lvlOverride/{_W}startOverride") is not None
        lists[number] = (f"list {number}" if restarts else definition, definition)
    return definitions, lists


def _formatted(count: int, shape: str) -> str:
    """Return a number as it is shown.

    >>> _formatted(4, "lowerRoman"), _formatted(28, "upperLetter"), _formatted(4, "decimal")
    ('iv', 'BB', '4')
    """
    match shape:
        case "none":
            return ""
        case "lowerLetter" | "upperLetter" if count > 0:
            letter = string.ascii_lowercase[(count - 1) % 26] * ((count - 1) // 26 + 1)
        case "lowerRoman" | "upperRoman" if 0 < count < 4000:
            letter = _roman(count)
        case _:
            return str(count)
    return letter.upper() if shape.startswith("upper") else letter


def _roman(count: int) -> str:
    letters = ""
    for value, letter in zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1), "m cm d cd c xc l xl x ix v iv i".split(), strict=True
    ):
        letters += letter * (count // value)
        count %= value
    return letters
