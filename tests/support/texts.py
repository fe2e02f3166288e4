"""Texts that break programs: what the property tests feed to everything that counts characters."""

import re
from collections import Counter
from collections.abc import Iterable

from hypothesis import strategies as st

from sourceline.ingest.formats import FORMATS, markdown, plain
from sourceline.types import Document

# As a message names them that says what is read.
FORMATS_READ = ", ".join(sorted(FORMATS))

_FRAGMENTS = [
    *("The council met on Monday. ", "Dr. Smith left. ", "word ", "A", "b.", "?!", "…", "。", "1.5 ", "7"),
    *("\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x85", "\t", " ", "  "),
    *("\u00a0", "\u3000", "\u200b", "\u200d", "\ufeff", "\u200f", "\u202e", "e\u0301", "\u0301", "ﷺ", "İ", "ß"),
    *("👍", "👩‍👩‍👧‍👦", "🇩🇪", "مرحبا بالعالم", "שלום", "대한민국은 ", "日本語。", "नमस्ते", "x" * 120, "qz" * 45 + " "),
    *('"', "”", "(", ")", "- ", "* ", "1. ", "> ", "# ", "===\n", "---\n", "```", "    ", "|", "\\|"),
    *("| a | b |\n|--|--|\n", "<div>", "</div>", "<!--", "-->", "`", "~~~\n", "[x]: /y\n", "\\", "&amp;"),
]  # fmt: skip

# Anything that a file of UTF-8 text can hold, and much of what its parsers stumble over.
texts = st.lists(
    st.sampled_from(_FRAGMENTS)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    max_size=24,
).map("".join)  # fmt: skip


_PAGE_NUMBER = re.compile(r"(?i)\W*(?:(?:page|seite|p\.|s\.)\s*)?\d+(?:\s*(?:of|von|de|sur|di|/)\s*\d+)?\W*")


def lost_lines(text: str, spans: Iterable[tuple[int, int]]) -> list[str]:
    """Return what has a letter or digit and is in none of ``spans``, by line, but for what pages repeat."""
    lost, first = [], 0
    for start, end in [*spans, (len(text), len(text))]:
        lost += [line for line in re.split(r"[\r\n\f]+", text[first:start]) if any(map(str.isalnum, line))]
        first = end
    heads = Counter(re.sub(r"\d+", "#", line.strip()) for line in re.split(r"[\r\n\f]+", text))
    return [line for line in lost if not _PAGE_NUMBER.fullmatch(line) and heads[re.sub(r"\d+", "#", line.strip())] < 2]


def document(text: str, id_: str = "report.txt") -> Document:
    """Return a document as its format reads it."""
    parsed = (markdown.parse if id_.endswith(".md") else plain.parse)(text)
    return Document(id_, "Report", parsed.text, "", parsed.blocks, parsed.date, parsed.pages)
