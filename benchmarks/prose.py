"""Extract English prose from documentation: sentences, no code, tables, signatures or menus. Used by ``corpus.py``."""

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

# A paragraph ends where one of these begins or ends; all other tags are inside a sentence.
_BLOCKS = set(
    "address article aside blockquote body br caption center dd details div dl dt fieldset figcaption figure form h1 h2"
    " h3 h4 h5 h6 hr item li listitem main note ol p page para section simpara summary td term th title tr ul".split()
)
_SKIPPED = set("footer header math nav pre programlisting screen script style svg synopsis table".split())
_HTML = re.compile(r"\.(x?html?|page|docbook)(\.gz)?$")
_PLAIN = re.compile(r"\.(txt|pod)(\.gz)?$")
_NO_PAGE = re.compile(r"genindex|search\.html|robots|changelog|copyright|LICENSE", re.IGNORECASE)
_MARKUP = re.compile(r"[A-Z]<+\s*([^<>]*?)\s*>+")  # C<this> in manuals of Perl
# Words that are frequent in English prose, and rare or absent in other languages.
_ENGLISH = re.compile(
    r"\b(the|and|to|that|this|with|are|not|or|by|it|can|you|if|from|which|will|when|be|has|have)\b", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+")
# A word of prose, not a name in code: lower case but for the first letter, with the punctuation around it.
_PLAIN_WORD = re.compile(r"[\"“‘(]*[^\W\d_]?[^\W\d_A-Z’'-]*(?:[’'-][^\W\d_]+)*[,.;:!?)\"”’]*")
_SENTENCE_END = re.compile(r"[.!?][\"”’)]?$")
MIN_CHARACTERS, MAX_CHARACTERS = 60, 3_000  # of a paragraph


def find_pages(folder: Path) -> list[Path]:
    """Return the pages below a folder, sorted: those in HTML, or, if these are few, those in plain text."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    files = [path for path in files if not _NO_PAGE.search(path.name)]
    marked = [path for path in files if _HTML.search(path.name)]
    # Where there are both, the plain text is usually the source of the HTML.
    return marked if len(marked) >= 5 else [path for path in files if _PLAIN.search(path.name)]


def read_paragraphs(path: Path) -> list[str]:
    """Return the paragraphs of a page, each as a single line; none if the page is not in English."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8", errors="replace")
    candidates = _html_paragraphs(text) if _HTML.search(path.name) else _plain_paragraphs(text)
    lines = (" ".join(candidate.split()) for candidate in candidates)
    paragraphs = [line for line in lines if is_prose(line)]
    return paragraphs if english_share(" ".join(paragraphs)) >= 0.12 else []


def english_share(text: str) -> float:
    """Return the share of the words that are typical of English."""
    return len(_ENGLISH.findall(text)) / max(1, len(_WORD.findall(text)))


def is_prose(text: str) -> bool:
    """Return whether a text consists of whole English sentences.

    >>> is_prose("The file is read line by line, and each of them is split into words at its white space.")
    True
    >>> is_prose("See also QAbstractItemView::setModel(), QListView::flow, and the QListView::setWrapping() property.")
    False
    """
    if not MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS or not text[0].isupper() or "\ufffd" in text:
        return False
    if not _SENTENCE_END.search(text) or " : " in text or text.count(":") > 2:
        return False
    letters = sum(character.isalpha() or character == " " for character in text)
    words = text.split()
    names = sum(not _PLAIN_WORD.fullmatch(word) for word in words)
    return letters >= 0.92 * len(text) and names <= 0.2 * len(words) and english_share(text) >= 0.1


def _plain_paragraphs(text: str) -> list[str]:
    """Return the blocks between blank lines that are not indented, as code and lists are."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n"))
    kept = [block for block in blocks if not any(line[:1] in " \t.=|+-*#" for line in block.strip("\n").split("\n"))]
    return [_MARKUP.sub(r"\1", block) for block in kept]


def _html_paragraphs(text: str) -> list[str]:
    parser = _ParagraphParser()
    parser.feed(text)
    parser.close()
    return parser.paragraphs


class _ParagraphParser(HTMLParser):
    """Collects the text between the tags that begin or end a paragraph."""

    def __init__(self) -> None:
        super().__init__()
        self.paragraphs: list[str] = [""]
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Start a paragraph, or a part that is left out."""
        if tag in _BLOCKS or tag in _SKIPPED:
            self.paragraphs.append("")
        self._skipped += tag in _SKIPPED

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """End a paragraph at an empty element."""
        if tag in _BLOCKS:
            self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        """End a paragraph, or a part that is left out."""
        if tag in _BLOCKS or tag in _SKIPPED:
            self.paragraphs.append("")
        self._skipped = max(0, self._skipped - (tag in _SKIPPED))

    def handle_data(self, data: str) -> None:
        """Add text to the paragraph."""
        if not self._skipped:
            self.paragraphs[-1] += data
