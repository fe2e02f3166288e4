"""The formats that are read: for each file name extension a function from text to blocks.

To add a format, write a module here with a ``parse`` function and add a row to the table.
"""

from collections.abc import Callable

from sourceline.ingest.formats import markdown, plain
from sourceline.types import Block

FORMATS: dict[str, Callable[[str], tuple[Block, ...]]] = {
    ".txt": plain.parse,
    ".md": markdown.parse,
}
