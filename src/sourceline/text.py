"""Text that is compared, and text that a terminal may show."""

import logging
import unicodedata

_PLAIN = str.maketrans(dict.fromkeys("\"'“”„‟«»‹›‘’‚‛") | dict.fromkeys("‐‑‒–—―−", "-"))
# Line breaks, and the joiners that Persian, Hindi and emoji need.
_KEPT = "\n\u200c\u200d"


def normalize_text(text: str) -> str:
    """Return the normal form by which duplicates are compared.

    It is without case, quotes, kinds of dash and space, and closing marks. Marks inside the text stay, for "$5" is
    not "€5" and "-5" is not "5". A text of closing marks alone is kept.

    >>> normalize_text("“Trade  grew”"), normalize_text("trade grew."), normalize_text("?!")
    ('trade grew', 'trade grew', '?!')
    """
    if text.isascii():  # the same result in less time, and most texts are
        folded = text.lower().replace('"', "").replace("'", "")
    else:
        folded = unicodedata.normalize("NFKC", text).casefold().translate(_PLAIN)
        folded = unicodedata.normalize("NFKC", folded)  # a removed quote may have stood between a letter and its accent
    return " ".join(folded.split()).rstrip(" .,;:!?") or text


def is_utf8(text: str) -> bool:
    """Return whether a text can be written: half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """Return the text with each control character, which a terminal would obey, replaced by a blank."""
    return "".join(character if character.isprintable() or character in _KEPT else " " for character in text)


def one_line(text: str) -> str:
    """Return the text as one line without control characters, for names and messages."""
    return printable(text).replace("\n", " ")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "document"), counted(1200, "document")
    ('1 document', '1,200 documents')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class PrintableFormatter(logging.Formatter):
    """Log records without control characters: they may contain file names."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of one record."""
        return printable(super().format(record))


def log_to_stderr() -> None:
    """Show Sourceline's log on standard error, and other libraries' warnings."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("sourceline: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("sourceline").setLevel(logging.INFO)
