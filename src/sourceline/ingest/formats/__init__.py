"""The formats that are read, by file name extension.

To add a format, write a module here with a ``parse`` function and add a row to the table.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sourceline.ingest.decoding import decode
from sourceline.ingest.formats import csv, docx, html, mail, markdown, pdf, plain
from sourceline.types import ParsedFile


@dataclass(frozen=True, slots=True)
class Format:
    """How files of a format are read.

    ``parse`` makes text and blocks of a file's bytes; it raises DocumentError. One that is ``isolated`` runs in a child
    process with limits, since a file can make its library take all memory, or hang; ``seconds_a_megabyte`` of processor
    time are added to what any file has.
    """

    name: str
    parse: Callable[[bytes], ParsedFile]
    isolated: bool = False
    seconds_a_megabyte: int = 0


def _of_text(parse: Callable[[str], ParsedFile]) -> Callable[[bytes], ParsedFile]:
    return lambda data: parse(decode(data))


FORMATS: dict[str, Format] = {
    ".txt": Format("plain text", _of_text(plain.parse)),
    ".md": Format("Markdown", _of_text(markdown.parse)),
    ".csv": Format("table", _of_text(csv.parse)),
    ".pdf": Format("PDF", pdf.parse, isolated=True, seconds_a_megabyte=10),  # 40 ms for a page of 5 KB
    ".docx": Format("Word", docx.parse, isolated=True),
    ".html": Format("HTML", html.parse, isolated=True),
    ".htm": Format("HTML", html.parse, isolated=True),
    ".eml": Format("mail", mail.parse, isolated=True),
}
