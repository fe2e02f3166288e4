"""Puts together the text of documents whose file is no text: Word, HTML, mail."""

import re
from collections.abc import Sequence
from dataclasses import replace

from sourceline.ingest.formats import plain
from sourceline.ingest.people import GIVEN_NAMES
from sourceline.types import Block, BlockKind, ParsedFile

CELL = " | "  # between the cells of a table's row
# A row with a longer cell is no row of facts but a page that is laid out as a table.
_LONGEST_CELL = 200
_LONGEST_NAME = 40

_SPACES = re.compile(r"[^\S\n\u00a0\u202f]+")
# A name of a column is no sentence, number (but for a year), date or address.
_NO_NAME = re.compile(r"[.:;!?]$|^(?!(?:19|20)\d\d$)[\W\d_]*$|\d[./-]\d|\d\d:\d\d|\w@\w")
_DIGIT = re.compile(r"\d")
_YEAR = re.compile(r"(?:19|20)\d\d")
_FEWEST_BELOW = 2  # rows of words below one that names the columns
# Not in any file of UTF-8 text: libraries make them of damaged files, and databases and terminals stumble over them.
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
# What programs write where nobody wrote a title.
_NO_TITLE = re.compile(
    r"(?i)(?:microsoft (?:word|powerpoint|excel)\b.*|untitled.*|unbenannt.*|sans titre.*|(?:word )?do[ck]ument ?\d*"
    r"|title|\(?(?:anonymous|unspecified)\)?|powerpoint presentation|(?:scan|img)[\W_\d].*"
    r"|.*\.(?:docx?|dotx?|odt|rtf|pdf|indd|qxd|tex|dvi|html?|pptx?|xlsx?)"
    r"|[\W\d_]*)"
)


class TextBuilder:
    """Joins paragraphs to a text, and notes where they are in it. White space inside of them becomes single spaces."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []

    def add(
        self,
        text: str,
        kind: BlockKind = BlockKind.PARAGRAPH,
        marker: str = "",
        columns: Sequence[str] = (),
        tight: bool = False,
        searched: bool = True,
        preformatted: bool = False,
    ) -> None:
        """Append a paragraph, if there is anything in it. Several lines are read as those of plain text are.

        Args:
            text: the paragraph.
            kind: what it is.
            marker: what is shown in front of it and not searched, such as a bullet.
            columns: the names of the columns, of a table's row.
            tight: whether no blank line stands between it and the paragraph before, as in a list.
            searched: whether it is more than shown.
            preformatted: whether its white space is kept.
        """
        if not preformatted:
            text = "\n".join(line.strip() for line in _SPACES.sub(" ", text).strip().split("\n"))
        if not text.strip():
            return
        if self._parts:
            marker = ("\n" if tight else "\n\n") + marker
        start = self._length + len(marker)
        self._parts += (marker, text)
        self._length = start + len(text)
        if searched:
            blocks = (
                plain.parse(text).blocks
                if "\n" in text and kind is BlockKind.PARAGRAPH
                else (Block(kind, 0, len(text)),)
            )
            self._blocks += (replace(shifted(block, start), kind=kind, columns=tuple(columns)) for block in blocks)

    def add_table(self, rows: Sequence[Sequence[Sequence[str]]], header: bool, marker: str = "") -> None:
        """Append a table: a line for each row, or for each paragraph of its cells if these are long.

        A first row that surely names the columns is shown and not searched, for the others know the names.

        Args:
            rows: the rows, of cells, of paragraphs.
            header: whether the first row is marked as the names of the columns. If not, a look at it can tell.
            marker: what is shown in front of each row.
        """
        cells = [[" ".join(" ".join(cell).split()) for cell in row] for row in rows]
        header = header or is_header(cells)
        columns = cells[0] if header else []
        tight = False
        for number, (row, texts) in enumerate(zip(rows, cells, strict=True)):
            names = columns if number else []
            if all(len(cell) <= 1 for cell in row) and max(map(len, texts), default=0) <= _LONGEST_CELL:
                searched = number > 0 or not header
                self.add(CELL.join(texts).strip(" "), columns=names, marker=marker, tight=tight, searched=searched)
                tight = True
            else:
                for at, cell in enumerate(row):
                    for paragraph in cell:
                        self.add(paragraph, columns=names[at : at + 1], marker=marker)
                tight = False

    def build(self, title: str | None = None) -> ParsedFile:
        """Return the text and its blocks."""
        return ParsedFile("".join(self._parts), tuple(self._blocks), title)


def shifted(block: Block, by: int) -> Block:
    """Return a block for a text in which it stands this much further behind."""
    gaps = tuple((start + by, end + by) for start, end in block.gaps)
    return replace(block, start=block.start + by, end=block.end + by, gaps=gaps)


def names_columns(cells: Sequence[str]) -> bool:
    """Return whether a table's row could be the names of its columns.

    >>> names_columns(["Item", "Cost", "2026"]), names_columns(["Crane", "9,000"]), names_columns(["Chair:", "Kern"])
    (True, False, False)
    """
    if len(cells) < 2 or len(set(cells)) < len(cells):
        return False
    return all(cell and len(cell) <= _LONGEST_NAME and not _NO_NAME.search(cell) for cell in cells)


def is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a table's first row surely names its columns, though nothing marks it.

    It has no number where the next one has, or is one of words above two or more others, and none of its cells is like
    a value: a person, or what stands in the column again.

    >>> is_header([["Post", "Holder"], ["Reeve", "Ida Roth"], ["Clerk", "Ulf Berg"]])
    True
    >>> is_header([["Reeve", "Ida Roth"], ["Clerk", "Ulf Berg"], ["Cook", "Bo Lind"]])
    False
    """
    if differs_from_others(rows):
        return True
    if len(rows) <= _FEWEST_BELOW or not names_columns(rows[0]):
        return False
    if any(len(row) != len(rows[0]) or max(map(len, row)) > _LONGEST_CELL for row in rows[1:]):
        return False  # no table but a page that is laid out as one
    return not any(
        (_DIGIT.search(name) and not _YEAR.fullmatch(name))
        or (" " in name and name.split()[0].lower() in GIVEN_NAMES)
        or any(name == row[at] for row in rows[1:])
        for at, name in enumerate(rows[0])
    )


def differs_from_others(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row could name the columns, and has no number where the next one has.

    >>> differs_from_others([["Item", "Cost"], ["Crane", "9,000"]])
    True
    >>> differs_from_others([["Chair", "Kern"], ["Clerk", "Lind"]])
    False
    """
    if len(rows) < 2 or not names_columns(rows[0]):
        return False
    return any(_DIGIT.search(below) and not _DIGIT.search(name) for name, below in zip(*rows[:2], strict=False))


def as_text(value: str) -> str:
    """Return a text with U+FFFD for each character that stands in no file of UTF-8 text.

    >>> as_text("A\\0B\\ud800")
    'A\ufffdB\ufffd'
    """
    return _NO_TEXT.sub("\ufffd", value)


def sane_title(title: str | None) -> str | None:
    """Return a title from a file's metadata in one line, None if it says nothing.

    >>> sane_title(" Minutes of 4 May\\n"), sane_title("Microsoft Word - minutes_final2.doc"), sane_title("(anonymous)")
    ('Minutes of 4 May', None, None)
    """
    title = " ".join((title or "").split())
    return None if _NO_TITLE.fullmatch(title) else title
