"""One file a format: the text of a document to the marks in it.

A new format is one module here with a ``marks`` function and one row in the table.
"""

from collections.abc import Callable

from sourceline.corpus.formats import markdown, plain
from sourceline.types import Mark

FORMATS: dict[str, Callable[[str], tuple[Mark, ...]]] = {
    ".txt": plain.marks,
    ".md": markdown.marks,
}
