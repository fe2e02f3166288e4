"""Turns the bytes of a text file into text."""

import codecs

from sourceline.errors import DocumentError


def decode(data: bytes) -> str:
    """Return the text of a file.

    Raises:
        DocumentError: it is neither UTF-8 nor UTF-16 with a byte-order mark, or holds a NUL.
    """
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
