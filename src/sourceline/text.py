"""Text that is compared, and text that a terminal may show."""

import json
import re
import unicodedata

_PLAIN = str.maketrans(dict.fromkeys("\"'“”„‟«»‹›‘’‚‛") | dict.fromkeys("‐‑‒–—―−", "-"))

_REMOVED = dict.fromkeys(
    map(ord, "\u00ad\u200b\u2060\ufeff\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
)
_SAME = {
    **dict.fromkeys("“”„‟″״", '"'),
    **dict.fromkeys("‘’‚‛′´ʼʻ׳", "'"),
    **dict.fromkeys("‐‑", "-"),
    **{"…": "...", "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"},
}
_TYPOGRAPHY = _REMOVED | str.maketrans(_SAME)
_GUILLEMETS = str.maketrans({"«": '"', "»": '"', "‹": "'", "›": "'"})
# French puts a blank inside its quotation marks; German and Danish turn them round: »so«.
_INSIDE_GUILLEMETS = re.compile(r"(?:(?<=[«‹])(?<![^\s(\[\"'—–-].) )|(?: (?=[»›](?!\w)))")
# Of a quotation that is wrapped, as in Markdown and mail: "> " at the start of each line.
_LINE_OF_QUOTATION = re.compile(r"[\r\n]\s*>[>\s]*")
# A line can end behind a hyphen, where no blank is.
_BEHIND_HYPHEN = re.compile(r"(?<=[^\s-]-) (?=\S)")
# These are written without blanks, so that a line can end anywhere: Thai, Lao, Burmese, Khmer, Chinese, Japanese.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff\ufe30-\ufe4f"
    "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff9f\U00020000-\U0003ffff"
)
_BESIDE_UNSPACED = re.compile(f"(?<=[{_UNSPACED}]) | (?=[{_UNSPACED}])")
_NOT_PLAIN = re.compile(r"[^ -~]|^ | $|  |[^ -]- ")
_IN_WORD = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])")
_CUT = re.compile(r"[^\s-][-‐‑]\s*[\r\n]")

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


def nfc(text: str) -> str:
    """Return the text with each accent in one character with its letter, where there is one (Unicode's NFC)."""
    return unicodedata.normalize("NFC", text)


def plain_typography(text: str) -> str:
    """Return what texts share that differ in typography alone; an id is made from it.

    It has straight quotation marks, hyphens of one kind and three full stops for an ellipsis; one blank for any white
    space, line ends too, and none beside a script that is written without; accents in NFC; ligatures of Latin letters
    apart; and no characters that cannot be seen (soft hyphens, marks of direction). Everything else says something:
    words, case, dashes, and characters that are only like others (½, m²). A text of nothing but typography is kept.

    >>> plain_typography("“Don’t,”\\r\\nshe said…")
    '"Don\\'t," she said...'
    """
    if not _NOT_PLAIN.search(text):  # the same result in less time, and most texts are
        return text
    plain = _LINE_OF_QUOTATION.sub("\n", nfc(text).translate(_TYPOGRAPHY))
    plain = " ".join(plain.split())
    plain = _INSIDE_GUILLEMETS.sub("", plain).translate(_GUILLEMETS)
    plain = _BEHIND_HYPHEN.sub("", plain)
    # What was removed may have stood between a letter and its accent.
    return nfc(_BESIDE_UNSPACED.sub("", plain)) or text


def without_hyphens(text: str) -> str:
    """Return the text in plain typography without the hyphens inside words: texts that are the same share it.

    >>> without_hyphens("a well-\\nknown refurbish-\\nment")
    'a wellknown refurbishment'
    """
    return _IN_WORD.sub("", plain_typography(text))


def same_but_typography(text: str, other: str) -> bool:
    """Return whether two texts differ in nothing but typography: also in words cut at the end of a line.

    Nothing tells whether a hyphen at the end of a line is the word's own. One inside a line is.

    >>> same_but_typography("the refurbish-\\nment", "the refurbishment"), same_but_typography("re-signed", "resigned")
    (True, False)
    """
    if plain_typography(text) == plain_typography(other):
        return True
    return (has_cut_word(text) or has_cut_word(other)) and without_hyphens(text) == without_hyphens(other)


def has_cut_word(text: str) -> bool:
    """Return whether a line of a text ends in a hyphen behind which a word may go on."""
    return bool(_CUT.search(text))


def printable(text: str) -> str:
    """Return the text with each control character, which a terminal would obey, replaced by a blank."""
    return "".join(character if character.isprintable() or character in _KEPT else " " for character in text)


def escape_json(text: str) -> str:
    """Return JSON that says the same with each character escaped that a terminal would obey or not show."""
    return "".join(
        character if character.isprintable() or character in _KEPT else json.dumps(character)[1:-1]
        for character in text
    )


def one_line(text: str) -> str:
    """Return the text as one line without control characters, for names and messages."""
    return printable(text).replace("\n", " ")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "document"), counted(1200, "document")
    ('1 document', '1,200 documents')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
