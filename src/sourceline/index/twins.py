"""Twins: passages whose texts say the same, such as a report that was syndicated twice. They are shown once."""

import hashlib
import unicodedata

_PLAIN = str.maketrans(dict.fromkeys("\"'“”„‟«»‹›‘’‚‛") | dict.fromkeys("‐‑‒–—―−", "-"))


def same(text: str) -> str:
    """Return what twins have in common: the text without case, kinds of quotes, dashes and spaces, and closing marks.

    Marks within stay, for "$5" is not "€5" and "-5" is not "5". A text of closing marks alone is its own.

    >>> same("“Trade  grew”"), same("trade grew."), same("?!")
    ('trade grew', 'trade grew', '?!')
    """
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_PLAIN)
    folded = unicodedata.normalize("NFKC", folded)  # a mark may stand behind another letter now
    return " ".join(folded.split()).rstrip(" .,;:!?") or text


class TwinsFinder:
    """Finds twins among the texts of a generation that is being written."""

    def __init__(self) -> None:
        self._first: dict[bytes, int] = {}
        self.firsts: set[int] = set()  # the rows that have a twin behind them

    def add(self, text: str, row: int) -> int | None:
        """Take the text of the next row; return the first row of the same text, if it is another."""
        first = self._first.setdefault(hashlib.sha256(same(text).encode()).digest()[:16], row)
        if first == row:
            return None
        self.firsts.add(first)
        return first
