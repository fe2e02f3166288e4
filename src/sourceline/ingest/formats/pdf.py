"""PDF: the text of its pages as they are printed, read as plain text.

A PDF has no paragraphs, only letters in places. Where a line stands lower than the lines of a paragraph do, or in
another size or weight, a blank line is put in front of it; form feeds separate the pages. What plain text says of
blank lines, wrapped lines, running heads and page numbers then holds.
"""

import itertools
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from sourceline.errors import DocumentError
from sourceline.ingest.formats import plain
from sourceline.ingest.formats.extraction import sane_title
from sourceline.types import Block, BlockKind, ParsedFile

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

# Distances between lines are in font sizes. They are rounded to these, to be counted.
_STEP = 0.05
_WIDER = 1.2  # than the lines of a paragraph are apart: a blank line
_FARTHEST = 2.5  # that the lines of a paragraph are apart

_DIGITS = re.compile(r"\d+")


Style = tuple[float, bool]  # the size of letters, and whether they are bold


@dataclass(slots=True)
class _Line:
    """A line of a page. ``y`` grows upwards; ``styles`` counts its letters."""

    text: str = ""
    y: float = 0.0
    styles: Counter[Style] = field(default_factory=Counter)

    @property
    def style(self) -> Style:
        return self.styles.most_common(1)[0][0] if self.styles else (0.0, False)


def parse(data: bytes) -> ParsedFile:
    """Return the text of a PDF by pages, with headings and paragraphs as in plain text.

    Raises:
        DocumentError: it is encrypted, damaged, or holds no text.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, LimitReachedError, PyPdfError

    try:
        reader = PdfReader(BytesIO(data))
        _decrypt(reader)
        pages = [list(_lines(page)) for page in reader.pages]
        title = reader.metadata.title if reader.metadata else None
    except DependencyError as error:  # it needs the package cryptography
        raise DocumentError("it is encrypted with AES: print it to a PDF without protection") from error
    except LimitReachedError as error:
        raise DocumentError("it unpacks to more than is read of a page") from error
    except PyPdfError as error:
        raise DocumentError(f"it is damaged, or no PDF: {' '.join(str(error).split())}") from error
    if not any(line.text.strip() for lines in pages for line in lines):
        raise DocumentError("there is no text in it, only pictures: run OCR on it")
    text, starts = _joined(pages)
    parsed = plain.parse(text, proportional=True)
    styles = [line.style for lines in pages for line in lines]
    blocks = tuple(_headings_by_style(_without_furniture(parsed), text, starts, styles))
    # The metadata's dates are of the export, not of what is reported.
    # What has no form feed in it is one page.
    return replace(parsed, blocks=blocks, title=sane_title(title), pages=parsed.pages or (0,))


def _decrypt(reader: "PdfReader") -> None:
    from pypdf import PasswordType

    # Many only forbid printing or changing: everybody may read them, with the empty password.
    if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
        raise DocumentError("it is protected by a password: save it without one")


def _lines(page: "PageObject") -> Iterator[_Line]:
    """Yield the lines of a page from top to bottom, as far as the PDF has them in that order."""
    lines = [_Line()]

    def add(text: str, matrix: Sequence[float], text_matrix: Sequence[float], font: Any, size: float) -> None:
        for number, piece in enumerate(text.split("\n")):
            if number:
                lines.append(_Line())
            if not piece:
                continue
            line = lines[-1]
            if not line.text.strip():
                line.y = text_matrix[4] * matrix[1] + text_matrix[5] * matrix[3] + matrix[5]
            line.text += piece
            scale = abs(text_matrix[3] * matrix[3]) or abs(text_matrix[1] * matrix[2]) or 1.0
            name = str(font.get("/BaseFont", "")) if font else ""
            bold = "bold" in name.lower() or "black" in name.lower()
            line.styles[round(size * scale, 1), bold] += len(piece.strip())

    page.extract_text(visitor_text=add)
    return (line for line in lines if line.text.strip())


def _leading(pages: Sequence[Sequence[_Line]]) -> float:
    """Return how far apart the lines of paragraphs are: the distance that most have from the one above."""
    distances = Counter(
        round(distance / _STEP) * _STEP
        for lines in pages
        for above, line in itertools.pairwise(lines)
        if above.style == line.style and 0 < (distance := _distance(above, line)) <= _FARTHEST
    )
    if not distances:
        return _FARTHEST
    most = max(distances.values())
    return min(distance for distance, count in distances.items() if count == most)


def _distance(above: _Line, line: _Line) -> float:
    return (above.y - line.y) / (line.style[0] or 1.0)


def _joined(pages: Sequence[Sequence[_Line]]) -> tuple[str, list[int]]:
    """Return the text of all pages, and where each line starts in it."""
    leading = _leading(pages)
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    for number, lines in enumerate(pages):
        above: _Line | None = None
        for line in lines:
            # A line that stands higher begins the next column, in the middle of a sentence perhaps.
            apart = above and (above.style != line.style or _distance(above, line) > leading * _WIDER)
            between = "\n\n" if apart else "\n" if above else "\f" if number else ""
            starts.append(length + len(between))
            parts += (between, line.text.strip())
            length = starts[-1] + len(parts[-1])
            above = line
        if number + 1 < len(pages):
            ends = "\n" if lines else "\f" if number else ""
            parts.append(ends)
            length += len(ends)
    return "".join(parts), starts


def _without_furniture(parsed: ParsedFile) -> Iterator[Block]:
    """Yield the blocks without page numbers, and without running heads and feet but for the first of each."""
    pages = [bisect_right(parsed.pages, block.start) for block in parsed.blocks]
    texts = [parsed.text[block.start : block.end] for block in parsed.blocks]
    # Two lines at either end of a page: a head and a number.
    at_edge = [
        len(texts[at]) <= plain.HEADING_CHARACTERS
        and any(not 0 <= near < len(pages) or pages[near] != pages[at] for near in (at - 2, at + 2))
        for at in range(len(pages))
    ]
    edges = [text for text, edge in zip(texts, at_edge, strict=True) if edge]
    numbered = Counter(_DIGITS.sub("#", text) for text in edges)
    usual = max(3, len(parsed.pages) // 2)  # rows of tables, too, differ in nothing but numbers
    shown: set[str] = set()
    for block, text, edge in zip(parsed.blocks, texts, at_edge, strict=True):
        pattern = _DIGITS.sub("#", text)
        is_head = edge and not text.endswith((".", "!", "?")) and (text in shown or numbered[pattern] >= usual)
        repeats = is_head and bool({text, pattern} & shown)
        if not (repeats or (edge and parsed.pages and plain.is_page_number(text))):
            yield block
        if edge:
            shown |= {text, pattern}


def _headings_by_style(
    blocks: Iterable[Block], text: str, starts: Sequence[int], styles: Sequence[Style]
) -> Iterator[Block]:
    """Yield the blocks; of what looks like a heading to plain text, only what is set as one, in capitals or numbered.

    In a PDF much stands alone: rows of tables, addresses, names.
    """
    letters: Counter[Style] = Counter()
    for style, start, end in zip(styles, starts, [*starts[1:], len(text)], strict=True):
        letters[style] += end - start
    body_size, body_bold = letters.most_common(1)[0][0]
    for block in blocks:
        if block.kind is BlockKind.HEADING:
            line = text[block.start : block.end]
            size, bold = styles[bisect_right(starts, block.start) - 1]
            if not (bold > body_bold or size > body_size or line.isupper() or plain.is_numbered(line)):
                block = replace(block, kind=BlockKind.PARAGRAPH)
        yield block
