"""Turns the bytes of a text file into text."""

import codecs
import itertools
from collections import Counter

from sourceline.errors import DocumentError

_NEARLY_ALL, _SOME = 0.9, 0.05  # shares of bytes
_SAMPLE = 1 << 20  # bytes that are enough to tell: a sparse file may have a hundred million NULs


def decode(data: bytes) -> str:
    """Return the text of a file.

    Raises:
        DocumentError: it is neither UTF-8 nor UTF-16 with a byte-order mark, or holds a NUL.
    """
    if looks := _wide_encoding(data):
        raise DocumentError(f"it looks like {looks}; save it as UTF-8")
    # Windows programs save "Unicode" as UTF-16 with a byte-order mark; without one it cannot be told from noise.
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-16":
            raise DocumentError(f"it is not UTF-16, as its byte-order mark says: {error.reason}") from error
        # The codec counts from behind a byte-order mark.
        at = error.start + (3 if data.startswith(codecs.BOM_UTF8) else 0)
        raise DocumentError(f"it is not UTF-8: byte {at} is 0x{data[at]:02x}; save it as UTF-8") from error
    if "\0" in text:
        raise DocumentError(f"it is not text: there is a NUL at character {text.index(chr(0))}")
    return text


def _wide_encoding(data: bytes) -> str | None:
    """Return which encoding the NULs of a file are of, if it is one that is not read."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if b"\0" not in data or len(data) % 2 or data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return None
    data = data[:_SAMPLE]
    # Of the four bytes of a character in UTF-32 two are NUL, and the higher one of two in UTF-16 is hardly ever another
    # than NUL and that of the script.
    nuls = [data[at::4].count(0) > _NEARLY_ALL * len(data[at::4]) for at in range(4)]
    if data.strip(b"\0") and (all(nuls[:2]) or all(nuls[2:])):
        return "UTF-32 without a byte-order mark"
    for higher, lower in itertools.permutations((data[::2], data[1::2])):
        usual = sum(count for _, count in Counter(higher).most_common(2))
        if higher.count(0) > _SOME * len(higher) > lower.count(0) and usual > _NEARLY_ALL * len(higher):
            return "UTF-16 without a byte-order mark"
    return None
