"""What is said in a document, by whom and when."""

from pathlib import PurePath

from sourceline.ingest.formats import FORMATS
from sourceline.ingest.sentences import split_passages
from sourceline.types import Document, ParsedFile

Said = tuple[str | None, tuple[float, float | None] | None, str]


def read(text: str | bytes, name: str = "talk.txt") -> Document:
    """Return a document as the format of its name reads it."""
    data = text if isinstance(text, bytes) else text.encode()
    parsed: ParsedFile = FORMATS[PurePath(name).suffix].parse(data)
    return Document(name, name, parsed.text, "", parsed.blocks, parsed.date, parsed.pages)


def said(text: str | bytes, name: str = "talk.txt") -> list[Said]:
    """Return speaker, start and end in seconds, and text of each passage; check that it is verbatim."""
    document = read(text, name)
    passages = split_passages(document)
    assert all(document.text[passage.start : passage.end] == passage.text for passage in passages)
    times = [passage.location.time for passage in passages]
    spans = [(time.start, time.end) if time else None for time in times]
    return [(passage.location.speaker, span, passage.text) for passage, span in zip(passages, spans, strict=True)]


def spoken(text: str | bytes, name: str = "talk.txt") -> list[tuple[str | None, str]]:
    """Return the speaker and text of each passage."""
    return [(speaker, words) for speaker, _, words in said(text, name)]


def check_turns(document: ParsedFile | Document) -> None:
    """Check that blocks are in order, that cues lie in their blocks, and that times do not go back in a turn."""
    end = 0
    speaker, latest = None, 0.0
    for block in document.blocks:
        assert end <= block.start < block.end <= len(document.text)
        assert document.text[block.start : block.end].strip()
        end = block.end
        at = block.start
        if block.speaker is None or block.speaker != speaker:
            latest = 0.0
        speaker = block.speaker
        for cue in block.cues:
            assert at <= cue.start < cue.end <= block.end
            assert cue.time.end is None or cue.time.end >= cue.time.start
            at = cue.end
        starts = [cue.time.start for cue in block.cues]
        assert starts == sorted(starts)
        latest = max(starts, default=latest)
