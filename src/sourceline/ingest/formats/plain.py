"""Plain text: headings, and paragraphs that are lines, or several lines where these were wrapped to a width."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sourceline.ingest.abbreviations import (
    BEFORE_NUMBERS,
    FUNCTION_WORDS,
    LIST_BULLET,
    LIST_NUMBER,
    MONTHS,
    TITLES,
    UNFINISHED,
)
from sourceline.ingest.people import GIVEN_NAMES
from sourceline.ingest.speakers import attribute_turns, is_label_line
from sourceline.types import Block, BlockKind, ParsedFile

_LINE = re.compile(r"[^\n]+")
_SENTENCE_END = re.compile(r"[.!?:;…。！？।؟۔][\"'”’)\]»」』]*\s*$")
_INNER_END = re.compile(r"[a-zß-öø-ÿ][.!?]\s+[^\W\da-zß-öø-ÿ_]")
_ENDS_TEXT = re.compile(r"[.!?…。！？।؟۔][\"'”’)\]»」』]*\s*$")  # a sentence, not what announces another
# What a heading does not end with or begin with: a comma, a dash; a small letter, a bullet, a quote.
_NO_HEADING = re.compile(r"[,\-–—]$|^[^\w(¿¡§]|^[a-zß-öø-ÿ]")
_TURN = re.compile(r"[^:]{1,40}:\s+\S")  # of a transcript
_CONTINUES_LINE = re.compile(r"\s*[\da-zß-öø-ÿ]")
_NUMBERED_PART = re.compile(
    r"(?i)(?:chapter|part|section|appendix|annex|item|day|session|top|punkt|teil|anlage|point|punto)\s+[\divxlc]+\s*:"
)
_NUMBERED = re.compile(
    r"(?P<number>\d{1,2}(?:\.\d{1,2})*)(?:[.)]|(?=\s))\s+(?=[^\W\da-zß-öø-ÿ_])|(?P<letter>[IVX]{1,5}"
    r"|[A-Z])[.)]\s+(?=[^\W\da-z_])"
    r"|(?P<word>§|TOP|Item|Punkt|Article|Artikel)\s*\d+\b"
)
HEADING_CHARACTERS = 80

# A line of its own that says what is or happened is no heading: "Motion to repair the crane carried", "Entry 4 euros".
_FACT = re.compile(
    r"\b(?:is|are|was|were|has|have|had|must|shall|should|cannot|wurden?|wird|werden|ist|sind|will (?:be|not))\b"
    r"|\bto be [a-z]+(?:ed|n|t)\b"
    r"|\b(?:sold|sent|given|paid|lent|put off|moved|referred|awarded|returned) (?:to|by|until)\b"
    r"|(?:[a-z]{2}[^\We]ed"
    r"|\b(?:agreed|lost|sold|paid|made|chosen|held|put off|withdrawn|sent|built|given|won|unanimously)"
    r"|angenommen|abgelehnt|vertagt|beschlossen|verschoben|genehmigt|gewählt|zurückgezogen|bewilligt|verkauft)$"
    # "Ann Weller elected chair", "Venue changed to Lund"; "Approved minutes" may be a heading
    r"|\S\s(?:(?:re-?)?elected|appointed|resigned|changed|deferred|postponed|delayed|adjourned|approved|adopted|rejected"
    r"|defeated|refused|passed|carried|tabled|lost|seconded|accepted|extended|cancell?ed|gewählt|vertagt|verschoben)"
    r"\s[a-zß-öø-ÿ\d]|\S\s(?:opens|closes|begins|starts|fails|passes|remains|stays|resigns|needs|takes|reports|öffnet"
    r"|schließt|beginnt|bleibt)\s[a-zß-öø-ÿ\d]|\b(?:fails|passes)$|\s(?:euros|pounds|dollars)$"
    r"|[€£$]\s?\d|\d\s?(?:€|%|(?i:euros?|eur|pounds?|dollars?|percent|prozent)\b)"  # "Entry 4 euros"
    r"|\b\d{1,2}:\d\d\b|\b\d{1,2}[.]\d\d\s?(?:[ap]\.?m|Uhr)\b|^(?i:next|nächste)\s.*\d"
)
_SHORT_FACT = re.compile(
    r"\S\s(?:not|nicht)\s[a-zß-öø-ÿ]+$|(?i:ed|lost|angenommen|abgelehnt)\s\d{1,3}\s?[-–:]\s?\d{1,3}$"
)
_TASK = re.compile(r"(?:[^\W\da-z_]\S*\s){1,3}(?:to|will|has|needs)\s[a-z]")  # "Bo Lind to order rope by Friday"
_ASKS = re.compile(r"(?i)(?:how|what|why|who|where|when|which|wie|was|warum|wer|wo|wann)\b")
FACT_WORDS = 4

# A line that begins a list's item, a turn, or "Name: value" continues no other.
_BULLET = re.compile(rf"\s*(?:(?!–){LIST_BULLET}|o|[–—](?=\s[^\Wa-zß-öø-ÿ_]))\s+\S")
_ENUMERATOR = re.compile(
    rf"\s*(?:{LIST_NUMBER}\s+(?!and\b|or\b|to\b|und\b|oder\b|et\b|y\b)\S"
    r"|\d{1,2}(?:\.\d{1,2})+\s+[^\W\da-zß-öø-ÿ_]|\[\^?\w+\][:\s])"
)
_LABEL = re.compile(r"\s*[\"'*_[(]*(?=[^\Wa-zß-öø-ÿ_])[^\s:：.!?]+(?:\s{1,4}[^\s:：.!?]+){0,4}\s?[:：](?:\s+\S|$)")
_NAME = r"(?:[^\W\da-zß-öø-ÿ_][^\s()]*|\([^()]*\)[,;]?|and|und|&)"
_NAMES = re.compile(rf"{_NAME}(?:\s+{_NAME})*")  # "Bo Lind (chair), Ilse Kern"
_LABEL_ALONE = re.compile(rf"(?:{LIST_BULLET}\s+)?[^:：.!?]{{1,40}}[:：]")
_TIME_OR_LINK = re.compile(r"\s*(?:[\[(]?\d{1,2}:\d\d|https?://|www\.)")
_BARE_NUMBER = re.compile(rf"\s*(?:{LIST_NUMBER}|{LIST_BULLET})\s*")
_DATE = re.compile(rf"(?i)\s*\d{{1,2}}\.\s+{MONTHS}\b")
# "7 June, 19:30", "7. Juni 2026", but not "2. May Day parade"
_DATE_ALONE = re.compile(rf"(?i)\d{{1,2}}(?:\s+{MONTHS}\b|\.\s+{MONTHS}\b(?=\W*(?:\d|$)))")

_SMALL = re.compile(r"\s*[\"'“‘(\[«]*[a-zß-öø-ÿа-яά-ώ]")
_CASELESS = re.compile(r"\s*[\"'“‘(\[«「『]*[\u0590-\u0eff\u1000-\u109f\u3040-\ud7ff]")
_CHINESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_ABBREVIATED = re.compile(rf"(?:^|[\s(])(?:{TITLES}|{UNFINISHED}|{BEFORE_NUMBERS}|[A-Z]\.)$")
_HYPHENATED = re.compile(r"[^\W\d_]-$")
# Such a word may end a short line ("Lights on"), but hardly a long one.
_PREPOSITION = re.compile(r"\s(?:on|in|before|after|about|under|over|off|up|an|auf|vor|en|dans|sous|chez|sobre)$")
_LAST_WORD = re.compile(r"([^\W\d_]+)$")
_LAST_CHARACTERS = 40  # of a line, where its last words stand
# Lines of a list are shorter than paragraphs are wrapped to, and ragged: only wide ones may miss the width by a share.
MIN_WIDTH, LOOSE_WIDTH, LOOSE_SHARE = 24, 40, 0.75
NARROW_WIDTH, NARROW_LINES = 16, 3  # of columns of running text
# A line of so many characters that ends no sentence is no item of a list, if a small letter begins the next one.
GOES_ON_WIDTH = 32
# A full line in letters of different widths has at least this share of the longest one's.
PROPORTIONAL_SHARE = 0.88

_PAGE = r"(?:page|p\.|seite|s\.|página|pág\.|pagina|blatt)"
_PAGE_NUMBER = re.compile(
    rf"(?i)\W*{_PAGE}[\s|:]*\d{{1,4}}(?:\s*(?:of|von|de|sur|di|/)\s*\d{{1,4}})?\W*|\W*\d{{1,4}}\s*(?:of|von"
    rf"|/)\s*\d{{1,4}}\W*"
    r"|第?\s*\d{1,4}\s*[页頁]"
)
# "Minutes of 4 May            Page 2"
_HEAD_WITH_NUMBER = re.compile(rf"(?i).*\S\s{{3,}}{_PAGE}[\s|:]*\d{{1,4}}(?:\s*(?:of|von|de|sur|di|/)\s*\d{{1,4}})?")
_LONE_NUMBER = re.compile(r"[-–—\s\[(]*\d{1,4}[-–—\s\])]*")
_YEAR = re.compile(r"(?:1[89]|20)\d\d")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that is not blank. ``text`` is without white space behind it, ``own`` whether a blank line is above."""

    start: int
    end: int
    text: str
    own: bool
    page: bool  # whether a new page begins with it

    @property
    def indent(self) -> int:
        return len(self.text) - len(self.text.lstrip())


@dataclass(frozen=True, slots=True)
class _Paragraph:
    """Lines that belong together. ``own`` says whether a blank line is above, ``furniture`` whether it is a page's."""

    lines: tuple[_Line, ...]
    furniture: bool = False
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def own(self) -> bool:
        return self.lines[0].own

    @property
    def text(self) -> str:
        return " ".join(line.text.strip() for line in self.lines)

    @property
    def is_line(self) -> bool:
        return len(self.lines) == 1 or bool(_BARE_NUMBER.fullmatch(self.lines[0].text) and len(self.lines) == 2)


def parse(text: str, proportional: bool = False) -> ParsedFile:
    """Return the headings and paragraphs of ``text``.

    Blank lines separate blocks, and in a block each line is a paragraph (a report with one paragraph per line, a
    transcript with one turn per line), but for lines that were wrapped to a width. A short line that ends no sentence
    and stands above a paragraph is a heading, if it begins its block or is numbered. A sentence that goes on behind a
    running head or page number is not cut by it.

    Args:
        text: the text.
        proportional: whether it was set in letters of different widths, so that lines that are equally wide have
            different numbers of them.
    """
    # One kind of line end, of equal length, so that offsets agree.
    source = text.replace("\r\n", " \n").replace("\r", "\n")
    lines = list(_lines(source))
    furniture = _page_furniture(lines)
    width = _document_width(lines)
    paragraphs: list[_Paragraph] = []
    for first, last in _runs(lines, furniture):
        if first in furniture:
            paragraphs.append(_Paragraph((lines[first],), furniture=True))
        else:
            paragraphs.extend(_paragraphs(lines[first:last], width, proportional))
    paragraphs = _without_furniture(_joined_over_pages(paragraphs, source))
    blocks = [
        Block(kind, paragraph.lines[0].start, paragraph.lines[-1].end, paragraph.gaps)
        for paragraph, kind in zip(paragraphs, _kinds(paragraphs), strict=True)
    ]
    if len(blocks) > 1 and source.count("\n", blocks[0].end, blocks[1].start) > 1:
        title, below = (source[block.start : block.end].strip() for block in blocks[:2])
        if is_title(title, below):
            blocks[0] = replace(blocks[0], kind=BlockKind.HEADING)
    return ParsedFile(text, attribute_turns(source, _above_paragraphs(blocks)), pages=_pages(text))


def _pages(text: str) -> tuple[int, ...]:
    """Return where pages start, if form feeds tell."""
    starts = [match.end() for match in re.finditer("\f", text)]
    return (0, *starts) if starts else ()


def is_heading(line: str) -> bool:
    """Return whether a line looks like a heading: short, begins like one, ends no sentence.

    >>> is_heading("Early life"), is_heading("Yes, I do."), is_heading("Chair: Good morning")
    (True, False, False)
    """
    if len(line) > HEADING_CHARACTERS or _SENTENCE_END.search(line) or not any(map(str.isalpha, line)):
        return False
    return not _NO_HEADING.search(line) and (not _TURN.match(line) or bool(_NUMBERED_PART.match(line)))


def is_numbered(line: str) -> bool:
    """Return whether a line begins with the number of a heading.

    >>> is_numbered("2.1 Costs"), is_numbered("TOP 3"), is_numbered("9,000 euros"), is_numbered("7 June 2026")
    (True, True, False, False)
    """
    return bool(_level(line))


def is_page_number(line: str) -> bool:
    """Return whether a line is the number of a page and no more: "Page 2 of 3", "- 2 -"."""
    return bool(_PAGE_NUMBER.fullmatch(line) or _LONE_NUMBER.fullmatch(line))


def states_fact(line: str) -> bool:
    """Return whether a line that looks like a heading says what is or happened.

    >>> states_fact("Motion to repair the crane carried"), states_fact("Repair of the crane")
    (True, False)
    """
    line = line[number.end() :] if (number := _NUMBERED.match(line)) else line
    words = line.split()
    if _ASKS.match(line):
        return False
    if words and words[0].lower() in GIVEN_NAMES and _TASK.match(line):
        return True
    return bool(_SHORT_FACT.search(line)) or (len(words) >= FACT_WORDS and bool(_FACT.search(line)))


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


def continues(line: str, following: str, width: int, wrapped: bool, min_width: int = MIN_WIDTH) -> bool:
    """Return whether a line was broken at a width, so that ``following`` continues its paragraph.

    Greedy wrapping leaves a trace: the next word would not have fitted into the longest line. Short facts that only
    happen to be of a length are told from it by how the lines end and begin.

    Args:
        line: the line.
        following: the line below it.
        width: the length of the longest line around.
        wrapped: whether other lines around were certainly wrapped.
        min_width: the least width that paragraphs are wrapped to.

    >>> continues("The quick brown fox jumps over", "the lazy dog.", width=30, wrapped=False)
    True
    >>> continues("Motion to repair the crane carried", "Fence put off until next year", width=34, wrapped=False)
    False
    """
    if _BARE_NUMBER.fullmatch(line):
        return not _begins_item(following)
    if _HYPHENATED.search(line) and _SMALL.match(following):
        return True
    ended = bool(_SENTENCE_END.search(line)) and not _ABBREVIATED.search(line)
    dangling = not ended and (_is_dangling(line) or (len(line) >= LOOSE_WIDTH and bool(_PREPOSITION.search(line))))
    if _begins_item(following) and not (dangling and not _BULLET.match(following)):
        return False
    chinese = bool(_CHINESE.match(following.lstrip()[:1]))
    first_word = 1 if chinese else len(following.split()[0])
    full = len(line) + 1 + first_word > width and width >= (min_width * 2 // 3 if chinese else min_width)
    if ended:
        return full and wrapped
    if len(line) >= GOES_ON_WIDTH and _SMALL.match(following):  # wherever an edit put the line break
        return True
    if dangling or line.endswith(",") or _SMALL.match(following):
        return full or (width >= LOOSE_WIDTH and len(line) >= LOOSE_SHARE * width)
    if _CASELESS.match(following):
        return full and (chinese or width >= LOOSE_WIDTH)
    return full and wrapped


def _begins_item(line: str) -> bool:
    """Return whether a line begins an item of a list, a turn, or "Name: value"."""
    if _DATE.match(line):
        return False
    return any(pattern.match(line) for pattern in (_BULLET, _ENUMERATOR, _LABEL, _TIME_OR_LINK))


def _is_dangling(line: str) -> bool:
    """Return whether a line ends in a word that another must follow: "a firm from", "by Ms."."""
    if _ABBREVIATED.search(line):
        return True
    word = _LAST_WORD.search(line[-_LAST_CHARACTERS:])
    return word is not None and word[1] in FUNCTION_WORDS


def _lines(source: str) -> Iterator[_Line]:
    end = 0
    for match in _LINE.finditer(source):
        if match.group().strip():
            between = source[end : match.start()]
            indent = match.group()[: len(match.group()) - len(match.group().lstrip())]
            # Form feeds take no room on the line.
            text = match.group().replace("\f", "").rstrip()
            start = match.start() + len(indent)
            yield _Line(start, match.end(), text, between.count("\n") > 1 or not end, "\f" in between + indent)
            end = match.end()


def _runs(lines: Sequence[_Line], furniture: set[int]) -> Iterator[tuple[int, int]]:
    """Yield the lines that no blank line or page furniture separates, as ranges.

    A line of furniture is alone, and so is one with the name and time of a turn.
    """
    alone = furniture | {at for at, line in enumerate(lines) if is_label_line(line.text)}
    first = 0
    for at in range(1, len(lines) + 1):
        if at == len(lines) or lines[at].own or at in alone or at - 1 in alone:
            yield first, at
            first = at


def _document_width(lines: Sequence[_Line]) -> int:
    """Return the width that paragraphs were wrapped to, as far as a small letter below a line shows; 0 if none does."""
    widths = [len(line.text) for line, following in itertools.pairwise(lines) if _surely_wrapped(line, following)]
    return max(widths, default=0)


def _surely_wrapped(line: _Line, following: _Line) -> bool:
    """Return whether a sentence goes on from a long line to the next."""
    if following.own or len(line.text) < LOOSE_WIDTH or _SENTENCE_END.search(line.text):
        return False
    return bool(_SMALL.match(following.text)) and not _begins_item(following.text)


def _paragraphs(lines: Sequence[_Line], document_width: int, proportional: bool) -> Iterator[_Paragraph]:
    """Yield the paragraphs of lines without a blank one between them."""
    width = max(len(line.text) for line in lines)
    wrapped = abs(width - document_width) <= 0.1 * width
    if proportional:
        width = int(PROPORTIONAL_SHARE * width)
    wrapped = wrapped or any(
        not _SENTENCE_END.search(line.text)
        and not _begins_item(following.text)
        and (_is_dangling(line.text) or _SMALL.match(following.text))
        and len(line.text) + 1 + len(following.text.split()[0]) > width >= MIN_WIDTH
        for line, following in itertools.pairwise(lines)
    )
    narrow = not wrapped and _is_narrow_column(lines, width)
    min_width = NARROW_WIDTH if narrow else MIN_WIDTH
    turns = sum(bool(_LABEL.match(line.text)) for line in lines) > 1
    paragraph = [lines[0]]
    for at, (line, following) in enumerate(itertools.pairwise(lines)):
        head = paragraph[0]
        hangs = following.indent > head.indent and (_BULLET.match(head.text) or _ENUMERATOR.match(head.text))
        # A turn goes on, whatever its next line begins with, where both its lines are what a wrapped one's are.
        in_turn = turns and _LABEL.match(head.text) and _ENDS_TEXT.search(following.text)
        in_turn = in_turn or (_LABEL.match(head.text) and "," in line.text and _NAMES.fullmatch(following.text))
        certain = wrapped or narrow or bool(in_turn and width >= LOOSE_WIDTH)
        if (
            (hangs and not _begins_item(following.text))
            or _is_value(lines, at)
            or continues(line.text, following.text, width, certain, min_width)
        ):
            paragraph.append(following)
        else:
            yield _Paragraph(tuple(paragraph))
            paragraph = [following]
    yield _Paragraph(tuple(paragraph))


def _is_narrow_column(lines: Sequence[_Line], width: int) -> bool:
    """Return whether lines too short to be surely wrapped are running text: sentences that no line's end ends."""
    if not (len(lines) >= NARROW_LINES and NARROW_WIDTH <= width < MIN_WIDTH and _ENDS_TEXT.search(lines[-1].text)):
        return False
    pairs = list(itertools.pairwise(lines))
    if _SMALL.match(lines[0].text) or any(_begins_item(line.text) for line in lines):
        return False
    if any(len(line.text) + 1 + len(following.text.split()[0]) <= width for line, following in pairs):
        return False
    goes_on = sum(not _ENDS_TEXT.search(line.text) and bool(_SMALL.match(following.text)) for line, following in pairs)
    return 2 * goes_on >= len(pairs) and any(_is_dangling(line.text) or _INNER_END.search(line.text) for line in lines)


def _is_value(lines: Sequence[_Line], at: int) -> bool:
    """Return whether the line behind this one is the value of its label: "Place:", and below "Customs house"."""
    if not _LABEL_ALONE.fullmatch(lines[at].text.strip()) or _begins_item(lines[at + 1].text):
        return False
    return at + 2 == len(lines) or bool(_LABEL.match(lines[at + 2].text))


def _page_furniture(lines: Sequence[_Line]) -> set[int]:
    """Return which lines are page numbers or running heads: what repeats beside page breaks and page numbers."""
    count = len(lines)
    alone = [line.own and (at + 1 == count or lines[at + 1].own) for at, line in enumerate(lines)]
    at_break = {at for at in range(count) if lines[at].page or (at + 1 < count and lines[at + 1].page)}
    numbers = {
        at
        for at, line in enumerate(lines)
        if _PAGE_NUMBER.fullmatch(line.text) or (_LONE_NUMBER.fullmatch(line.text) and (alone[at] or at in at_break))
    }
    repeated = Counter(_DIGITS.sub("#", line.text.strip()) for line in lines)
    edges = at_break | numbers
    edges |= {
        at
        for at, line in enumerate(lines)
        if alone[at] and repeated[_DIGITS.sub("#", line.text.strip())] > 1 and _HEAD_WITH_NUMBER.fullmatch(line.text)
    }
    if not edges:
        return set()
    heads = {
        near
        for at in edges
        for near in (at - 1, at, at + 1)
        if 0 <= near < count
        and len(lines[near].text) <= HEADING_CHARACTERS
        and repeated[_DIGITS.sub("#", lines[near].text.strip())] > 1
        and not _SENTENCE_END.search(lines[near].text)
    }
    return numbers | heads


def _joined_over_pages(paragraphs: list[_Paragraph], source: str) -> list[_Paragraph]:
    """Return the paragraphs, those made one between which only the end of a page stands."""
    joined: list[_Paragraph] = []
    waiting: list[_Paragraph] = []  # the furniture behind the last of them
    for paragraph in paragraphs:
        if paragraph.furniture and joined:
            waiting.append(paragraph)
            continue
        if joined and (waiting or paragraph.lines[0].page) and not joined[-1].furniture:
            above, below = joined[-1].lines[-1], paragraph.lines[0]
            if _goes_on_over_page(above.text, below.text):
                gap = (above.end, below.start)
                lines = joined[-1].lines + paragraph.lines
                joined[-1] = _Paragraph(lines, gaps=(*joined[-1].gaps, gap, *paragraph.gaps))
                waiting = []
                continue
        joined.extend(waiting)
        waiting = []
        joined.append(paragraph)
    return joined + waiting


def _without_furniture(paragraphs: list[_Paragraph]) -> list[_Paragraph]:
    """Return the paragraphs without page numbers and repeated running heads; the first head may be the title.

    A number is one of a page where a sentence has ended above it. Others may be the value of what stands there.
    """
    kept: list[_Paragraph] = []
    heads: set[str] = set()
    for paragraph in paragraphs:
        text, is_left_out = paragraph.text, False
        if paragraph.furniture and any(map(str.isalpha, text)):
            head = _DIGITS.sub("#", text)
            is_left_out = head in heads or (len(paragraphs) > 1 and bool(_PAGE_NUMBER.fullmatch(text)))
            heads.add(head)
        elif paragraph.furniture and not _YEAR.fullmatch(text):
            is_left_out = paragraph.lines[0].page or bool(kept and _ENDS_TEXT.search(kept[-1].text))
        if not is_left_out:
            kept.append(paragraph)
    return kept


def _goes_on_over_page(above: str, below: str) -> bool:
    if _begins_item(below) or len(above) < MIN_WIDTH:
        return False
    if _ABBREVIATED.search(above) or not _SENTENCE_END.search(above):
        return _is_dangling(above) or bool(_SMALL.match(below)) or bool(_CASELESS.match(below))
    return False


def _kinds(paragraphs: Sequence[_Paragraph]) -> Iterator[BlockKind]:
    """Yield which paragraphs are headings: the first of a block, and numbered ones that are no list."""
    for at, paragraph in enumerate(paragraphs):
        above = paragraphs[at - 1] if at and not paragraph.own else None
        following = paragraphs[at + 1] if at + 1 < len(paragraphs) else None
        below = following if following and not following.own else None
        text = paragraph.text
        looks = paragraph.is_line and is_heading(text) and not states_fact(text)
        if paragraph.furniture:
            looks = looks and at == 0 and not _PAGE_NUMBER.fullmatch(text)  # the first running head is the title
            below = None
        if looks and (level := _level(text)):
            in_list = any(beside and _level(beside.text) == level for beside in (above, below))
            # Its list may be lettered: "3) Parking", and below "a) Bicycles go into the yard."
            goes_on = below and _SMALL.match(below.text) and not _begins_item(below.text)
            heading = not in_list and not goes_on
        else:
            # Several short lines in a row are a list or verse; a small letter or a digit continues a wrapped line.
            beside = below and not _level(below.text) and (_CONTINUES_LINE.match(below.text) or _looks_alike(below))
            heading = looks and above is None and not beside
        yield BlockKind.HEADING if heading else BlockKind.PARAGRAPH


def _looks_alike(paragraph: _Paragraph) -> bool:
    return paragraph.is_line and is_heading(paragraph.text)


def _level(text: str) -> str:
    """Return the kind of number in front of a heading, "" if there is none: "2.1 Budget" is "#.#"."""
    match = _NUMBERED.match(text)
    if not match or _DATE_ALONE.match(text):
        return ""
    return _DIGITS.sub("#", match["number"]) if match["number"] else match["word"] or "A"


def _above_paragraphs(blocks: list[Block]) -> list[Block]:
    """Return the blocks, headings with nothing below them made paragraphs, such as the signature of a letter."""
    body = max((at for at, block in enumerate(blocks) if block.kind is BlockKind.PARAGRAPH), default=-1)
    return [*blocks[: body + 1], *(replace(block, kind=BlockKind.PARAGRAPH) for block in blocks[body + 1 :])]
