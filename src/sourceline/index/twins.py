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
    if text.isascii():  # the same in less time: most texts are
        folded = text.lower().replace('"', "").replace("'", "")
    else:
        folded = unicodedata.normalize("NFKC", text).casefold().translate(_PLAIN)
        folded = unicodedata.normalize("NFKC", folded)  # a mark may stand behind another letter now
    return " ".join(folded.split()).rstrip(" .,;:!?") or text


class TwinsFinder:
    """Finds twins among the texts of a generation that is being written.

    ``twins``: of each row that has a twin the first row that says the same, which can be itself.
    """

    def __init__(self) -> None:
        self._first: dict[bytes, int] = {}
        self.twins: dict[int, int] = {}

    def add(self, text: str, row: int) -> None:
        """Take the text of the next row."""
        first = self._first.setdefault(hashlib.sha256(same(text).encode()).digest()[:16], row)
        if first != row:
            self.twins[row] = self.twins[first] = first
