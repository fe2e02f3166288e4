"""The prose of a page: paragraphs that are English sentences; no code, table, signature or menu."""

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

# A paragraph ends where one of these begins or ends; all other tags stand inside a sentence.
_BLOCKS = set(
    "address article aside blockquote body br caption center dd details div dl dt fieldset figcaption figure form h1 h2"
    " h3 h4 h5 h6 hr item li listitem main note ol p page para section simpara summary td term th title tr ul".split()
)
_SKIPPED = set("footer header math nav pre programlisting screen script style svg synopsis table".split())
_HTML = re.compile(r"\.(x?html?|page|docbook)(\.gz)?$")
_PLAIN = re.compile(r"\.(txt|pod)(\.gz)?$")
_NO_PAGE = re.compile(r"genindex|search\.html|robots|changelog|copyright|LICENSE", re.IGNORECASE)
_MARKUP = re.compile(r"[A-Z]<+\s*([^<>]*?)\s*>+")  # C<this> in manuals of Perl
# Words of which English prose is full, and which other languages do not have, or seldom.
_ENGLISH = re.compile(
    r"\b(the|and|to|that|this|with|are|not|or|by|it|can|you|if|from|which|will|when|be|has|have)\b", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+")
# A word as prose has it: letters, small but for the first, with the marks that may stand around it. No name of code.
_PLAIN_WORD = re.compile(r"[\"“‘(]*[^\W\d_]?[^\W\d_A-Z’'-]*(?:[’'-][^\W\d_]+)*[,.;:!?)\"”’]*")
_SENTENCE_END = re.compile(r"[.!?][\"”’)]?$")
LEAST_CHARACTERS, MOST_CHARACTERS = 60, 3_000  # of a paragraph


def pages(folder: Path) -> list[Path]:
    """Return the pages below a folder, sorted: those in HTML, or if there are few of them, those in plain text."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    files = [path for path in files if not _NO_PAGE.search(path.name)]
    marked = [path for path in files if _HTML.search(path.name)]
    # Where there are both, the one is most often the source of the other.
    return marked if len(marked) >= 5 else [path for path in files if _PLAIN.search(path.name)]


def paragraphs(path: Path) -> list[str]:
    """Return the paragraphs of a page, each one line; none if it is not in English."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8", errors="replace")
    found = _of_html(text) if _HTML.search(path.name) else _of_plain(text)
    found = [one for one in (" ".join(one.split()) for one in found) if is_prose(one)]
    return found if english(" ".join(found)) >= 0.12 else []


def english(text: str) -> float:
    """Return which share of the words only English has."""
    return len(_ENGLISH.findall(text)) / max(1, len(_WORD.findall(text)))


def is_prose(text: str) -> bool:
    """Return whether a text is made of whole English sentences.

    >>> is_prose("The file is read line by line, and each of them is split into words at its white space.")
    True
    >>> is_prose("See also QAbstractItemView::setModel(), QListView::flow, and the QListView::setWrapping() property.")
    False
    """
    if not LEAST_CHARACTERS <= len(text) <= MOST_CHARACTERS or not text[0].isupper() or "\ufffd" in text:
        return False
    if not _SENTENCE_END.search(text) or " : " in text or text.count(":") > 2:
        return False
    letters = sum(character.isalpha() or character == " " for character in text)
    words = text.split()
    names = sum(not _PLAIN_WORD.fullmatch(word) for word in words)
    return letters >= 0.92 * len(text) and names <= 0.2 * len(words) and english(text) >= 0.1


def _of_plain(text: str) -> list[str]:
    """Return the blocks between blank lines that are not indented, as code and lists are."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n"))
    kept = [one for one in blocks if not any(line[:1] in " \t.=|+-*#" for line in one.strip("\n").split("\n"))]
    return [_MARKUP.sub(r"\1", one) for one in kept]


def _of_html(text: str) -> list[str]:
    reader = _Paragraphs()
    reader.feed(text)
    reader.close()
    return reader.found


class _Paragraphs(HTMLParser):
    """Collects the text between the tags that begin or end a paragraph."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = [""]
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a paragraph, or what is left out."""
        if tag in _BLOCKS or tag in _SKIPPED:
            self.found.append("")
        self._skipped += tag in _SKIPPED

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an empty element as the end of a paragraph only."""
        if tag in _BLOCKS:
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        """End a paragraph, or what is left out."""
        if tag in _BLOCKS or tag in _SKIPPED:
            self.found.append("")
        self._skipped = max(0, self._skipped - (tag in _SKIPPED))

    def handle_data(self, data: str) -> None:
        """Take text."""
        if not self._skipped:
            self.found[-1] += data
