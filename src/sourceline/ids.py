"""The id of a passage, which is its citation."""

import base64
import hashlib

from sourceline.text import nfc, plain_typography, without_hyphens


def citation_id(document_id: str, text: str, occurrence: int) -> str:
    """Return the durable id of a passage: 16 characters of lower-case base 32 (80 bits of SHA-256).

    It depends only on the document's path, the text but for its typography, and which repetition of that this is,
    counted from 0. A rebuild, another model, other line ends or an edit elsewhere in the document leave it unchanged.

    >>> citation_id("guide/setup.txt", "Run the installer.", 0)
    'zhiyzuiwnpkr56wq'
    >>> citation_id("guide/setup.txt", "Run the\\r\\ninstaller.", 0)
    'zhiyzuiwnpkr56wq'
    """
    return exact_citation_id(nfc(document_id), plain_typography(text), occurrence)


def exact_citation_id(document_id: str, text: str, occurrence: int) -> str:
    """Return the id that indexes before format 8 gave a passage: of its exact text, and which repetition of that it is.

    >>> exact_citation_id("guide/setup.txt", "Run the\\r\\ninstaller.", 0)
    'onamvjq3xrouc4y3'
    """
    # A path holds no NUL and the count is digits, so the three parts cannot run into each other.
    digest = hashlib.sha256(f"{document_id}\0{occurrence}\0{text}".encode()).digest()
    return base64.b32encode(digest[:10]).decode("ascii").lower()


def text_hash(text: str) -> int:
    """Return 64 bits of a hash of a text, as SQLite holds them."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def form_hash(text: str) -> int:
    """Return the hash by which texts are found again that differ in typography alone.

    Others can share it: compare with ``same_but_typography``.
    """
    return text_hash(without_hyphens(text))
