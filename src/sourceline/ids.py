"""The id of a passage, which is its citation."""

import base64
import hashlib


def citation_id(document_id: str, text: str, occurrence: int) -> str:
    """Return the durable id of a passage: 16 characters of lower-case base 32 (80 bits of SHA-256).

    It depends only on the document's path, the exact text, and which repetition of that text this is, counted from 0.
    A rebuild, another model or an edit elsewhere in the document leaves it unchanged.

    >>> citation_id("guide/setup.txt", "Run the installer.", 0)
    'zhiyzuiwnpkr56wq'
    """
    # A path holds no NUL and the count is digits, so the three parts cannot run into each other.
    digest = hashlib.sha256(f"{document_id}\0{occurrence}\0{text}".encode()).digest()
    return base64.b32encode(digest[:10]).decode("ascii").lower()
