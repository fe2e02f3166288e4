"""One file a format: the text of a document to the marks in it.

A new format is one module here with a ``marks`` function and one row in the table.
"""

from collections.abc import Callable

from sourceline.ingest.formats import markdown, plain
from sourceline.types import Block

FORMATS: dict[str, Callable[[str], tuple[Block, ...]]] = {
    ".txt": plain.marks,
    ".md": markdown.marks,
}
