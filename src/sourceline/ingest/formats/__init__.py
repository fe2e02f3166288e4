"""The formats that are read, by file name extension.

To add a format, write a module here with a ``parse`` function and add a row to the table.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sourceline.ingest.decoding import decode
from sourceline.ingest.formats import markdown, plain, rst, subtitles, transcript_json
from sourceline.types import ParsedFile


@dataclass(frozen=True, slots=True)
class Format:
    """How files of a format are read.

    ``parse`` makes text and blocks of a file's bytes; it raises DocumentError. One that is ``isolated`` runs in a child
    process with limits, since a file can make its library take all memory, or hang.
    """

    name: str
    parse: Callable[[bytes], ParsedFile]
    isolated: bool = False


def _of_text(parse: Callable[[str], ParsedFile]) -> Callable[[bytes], ParsedFile]:
    return lambda data: parse(decode(data))


def _plain_or_subtitles(text: str) -> ParsedFile:
    return subtitles.parse(text) if subtitles.are_in(text) else plain.parse(text)


FORMATS: dict[str, Format] = {
    ".txt": Format("plain text", _of_text(_plain_or_subtitles)),
    ".md": Format("Markdown", _of_text(markdown.parse)),
    ".markdown": Format("Markdown", _of_text(markdown.parse)),
    ".rst": Format("reStructuredText", _of_text(rst.parse)),
    ".vtt": Format("WebVTT subtitles", _of_text(subtitles.parse)),
    ".srt": Format("SubRip subtitles", _of_text(subtitles.parse)),
    ".json": Format("transcripts in JSON", transcript_json.parse, isolated=True),
}
