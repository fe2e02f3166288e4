"""The formats that are read, by file name extension.

To add a format, write a module here with a ``parse`` function and add a row to the table.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sourceline.ingest.decoding import decode
from sourceline.ingest.formats import csv, docx, html, mail, markdown, pdf, plain, rst, subtitles, transcript_json
from sourceline.ingest.speakers import attribute_turns
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


def _plain_or_subtitles(text: str) -> ParsedFile:
    return subtitles.parse(text) if subtitles.are_in(text) else plain.parse(text)


def _with_turns(parse: Callable[[bytes], ParsedFile]) -> Callable[[bytes], ParsedFile]:
    """Return the function with the names of those who speak taken off what they say, should it be a transcript."""

    def parse_turns(data: bytes) -> ParsedFile:
        parsed = parse(data)
        return replace(parsed, blocks=attribute_turns(parsed.text, parsed.blocks))

    return parse_turns


FORMATS: dict[str, Format] = {
    ".txt": Format("plain text", _of_text(_plain_or_subtitles)),
    ".md": Format("Markdown", _of_text(markdown.parse)),
    ".markdown": Format("Markdown", _of_text(markdown.parse)),
    ".rst": Format("reStructuredText", _of_text(rst.parse)),
    ".csv": Format("table", _of_text(csv.parse)),
    ".vtt": Format("WebVTT subtitles", _of_text(subtitles.parse)),
    ".srt": Format("SubRip subtitles", _of_text(subtitles.parse)),
    ".json": Format("transcripts in JSON", transcript_json.parse, isolated=True),
    ".pdf": Format("PDF", _with_turns(pdf.parse), isolated=True, seconds_a_megabyte=10),  # 40 ms for a page of 5 KB
    ".docx": Format("Word", _with_turns(docx.parse), isolated=True),
    ".html": Format("HTML", _with_turns(html.parse), isolated=True),
    ".htm": Format("HTML", _with_turns(html.parse), isolated=True),
    ".eml": Format("mail", mail.parse, isolated=True),
}
