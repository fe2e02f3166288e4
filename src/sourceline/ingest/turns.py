"""Sets what was said, by whom and when, as a text: the text of subtitles and of transcripts in JSON."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sourceline.types import Block, BlockKind, Cue, ParsedFile, Time

# Where nobody is named, a silence of this many seconds begins a paragraph.
PAUSE = 2.0
# A paragraph that is longer ends with its sentence, though the same person goes on.
LONG_PARAGRAPH = 1_000

_SENTENCE_END = re.compile(r"[.!?…。！？।؟۔][\"'”’)\]»」』]*$")
# Chinese and Japanese have no blanks between words, nor has Thai.
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff65]")


@dataclass(frozen=True, slots=True)
class Utterance:
    """Words that were said at one time. ``begins_turn`` says that another person speaks, if no name tells."""

    text: str
    time: Time | None = None
    speaker: str | None = None
    begins_turn: bool = False


def set_turns(utterances: Sequence[Utterance]) -> ParsedFile:
    """Return a text with one paragraph for each turn.

    A line with speaker and time stands above it, outside every block. Utterances are joined to sentences; the cues say
    which words belong to which time. Where nobody is named, a pause ends a paragraph.

    >>> set_turns([Utterance("The ferry", Time(49, 51), "Bo"), Utterance("leaves at six.", Time(51, 53), "Bo")]).text
    'Bo  0:49\\nThe ferry leaves at six.\\n'
    """
    said = [utterance for utterance in utterances if utterance.text.strip()]
    punctuated = _is_punctuated(said)
    setter = _Setter()
    for turn in _turns(said, punctuated):
        setter.add(turn, punctuated)
    return ParsedFile("".join(setter.pieces), tuple(setter.blocks))


def clock(seconds: float) -> str:
    """Return a time as people write it.

    >>> clock(49.9), clock(3661)
    ('0:49', '1:01:01')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class _Setter:
    """The text so far, in pieces, and its blocks."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.blocks: list[Block] = []
        self._length = 0

    def add(self, turn: Sequence[Utterance], punctuated: bool) -> None:
        """Set a turn: the line that says who and when, and its paragraphs."""
        first = turn[0]
        self._append("\n" if self.pieces else "")
        head = [first.speaker or "", clock(first.time.start) if first.time else ""]
        self._append("  ".join(filter(None, head)))
        self._append("\n" if any(head) else "")
        for number, paragraph in enumerate(_paragraphs(turn, punctuated)):
            self._append("\n" if number else "")
            self._paragraph(paragraph)

    def _paragraph(self, paragraph: Sequence[Utterance]) -> None:
        begin = self._length
        cues: list[Cue] = []
        last = ""
        for utterance in paragraph:
            text = " ".join(utterance.text.split())
            self._append("" if not last or (_UNSPACED.match(last) and _UNSPACED.match(text)) else " ")
            start = self._length
            self._append(text)
            if utterance.time:
                cues.append(Cue(start, self._length, utterance.time))
            last = text[-1]
        block = Block(BlockKind.PARAGRAPH, begin, self._length, speaker=paragraph[0].speaker, cues=tuple(cues))
        self.blocks.append(block)
        self._append("\n")

    def _append(self, piece: str) -> None:
        self.pieces.append(piece)
        self._length += len(piece)


def _turns(utterances: Sequence[Utterance], punctuated: bool) -> Iterator[list[Utterance]]:
    turn: list[Utterance] = []
    latest: Time | None = None  # of the turn; what has no time may stand behind it
    for utterance in utterances:
        if turn and _changes(turn[-1], latest, utterance, punctuated):
            yield turn
            turn, latest = [], None
        turn.append(utterance)
        latest = utterance.time or latest
    if turn:
        yield turn


def _changes(before: Utterance, latest: Time | None, after: Utterance, punctuated: bool) -> bool:
    """Return whether a turn begins with ``after``."""
    if after.begins_turn or before.speaker != after.speaker:
        return True
    if latest and after.time and after.time.start < latest.start:  # a second recording in one file
        return True
    if after.speaker or not (before.time and after.time):
        return False
    pause = after.time.start - (before.time.start if before.time.end is None else before.time.end)
    return pause >= PAUSE and (not punctuated or ends_sentence(before.text))


def _paragraphs(turn: Sequence[Utterance], punctuated: bool) -> Iterator[list[Utterance]]:
    paragraph: list[Utterance] = []
    length = 0
    for utterance in turn:
        if length > LONG_PARAGRAPH and (not punctuated or ends_sentence(paragraph[-1].text)):
            yield paragraph
            paragraph, length = [], 0
        paragraph.append(utterance)
        length += len(utterance.text) + 1
    yield paragraph


def _is_punctuated(utterances: Sequence[Utterance]) -> bool:
    """Return whether full stops tell where sentences end; speech recognition may write none."""
    return 10 * sum(ends_sentence(utterance.text) for utterance in utterances) >= len(utterances)


def ends_sentence(text: str) -> bool:
    """Return whether the last of the words ends a sentence."""
    return bool(_SENTENCE_END.search(text.rstrip()[-20:]))
