"""Subtitles: WebVTT and SubRip, as Teams, Zoom, YouTube and Whisper write them."""

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from webvtt import WebVTT
from webvtt.errors import MalformedCaptionError, MalformedFileError

from sourceline.errors import DocumentError
from sourceline.ingest.abbreviations import FUNCTION_WORDS
from sourceline.ingest.people import FIELDS, SOUNDS
from sourceline.ingest.speakers import Label, Line, find_labels
from sourceline.ingest.turns import Utterance, ends_sentence, set_turns
from sourceline.types import ParsedFile, Time

_CLOCK = r"(?:(\d{1,5}):)?(\d{1,4}):(\d{1,2})(?:[.,:](\d+))?"
_TIMING = re.compile(rf"\s*{_CLOCK}\s*-{{1,2}}>\s*{_CLOCK}(?!\d)")
_OPENING = re.compile(r"\ufeff?\s*(?:WEBVTT\b[^\n]*\n|(?:\d+[^\S\n]*\n)?(?=[^\n]*\d\s*-->\s*\d))")
# Any other "<" is the text's own: "if x < 5 and y > 3".
_TAG = re.compile(
    r"(</?(?:c|i|b|u|s|ruby|rt|rp|v|lang|font|span|br)(?:[.\s][^<>]*)?/?>|<\d[\d:.,]*>|\{\\[^{}\n]*\})", re.IGNORECASE
)
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>", re.IGNORECASE)
# In front of what another person says: "- Is it open?", ">> It is."
_CHANGE = re.compile(r"(?:^[-–—](?!\d)|>>+)\s*(?=\S)")
# Webex has the speaker in the name of a cue.
_NAMED_CUE = re.compile(r"\d+\s+\"([^\"<>]+)\"\s+\(\d+\)\s*")
# What people call themselves in calls: "jsmith: ", "Karl's iPhone: ", "Amy O. | Acme: ".
_LABEL = re.compile(
    r"(?=[^:：]*[^\W\d_])(?!https?:)(?P<name>[^\s:：\[<](?:[^:：?!;…<>]{0,58}[^\s:：?!;…<>])?)\s?(?::(?:\s+|$)|：\s*)"
)
_IN_BRACKETS = re.compile(r"\[(?P<name>[^\W\d_a-zß-öø-ÿ][^\[\]:]{0,59})\]\s+(?=[^\s:])")  # [Ann Lee] The kiln is hot.
_SENTENCE_IN = re.compile(r"[a-zß-öø-ÿ]{4,}\.\s")
# A label with more words is a phrase: "And the reason for it all is this: …".
_NAME_WORDS = 6
# Words that a cue repeats from the one before; more of them are never looked for.
_MOST_REPEATED = 60


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a cue, or what one voice says in it. ``cue`` numbers the cues."""

    cue: int
    words: tuple[str, ...]
    time: Time
    voice: str | None = None
    begins_turn: bool = False

    @property
    def text(self) -> str:
        return " ".join(self.words)


def parse(text: str) -> ParsedFile:
    """Return what is said, a paragraph for each turn below a line with its speaker and time.

    A speaker is known from WebVTT's voices, or from names in front of the words ("Ilse Kern: We will paint it").

    Raises:
        DocumentError: no cue can be read.
    """
    lines = _without_repetitions(list(_lines(text)))
    if not lines:
        raise DocumentError("no words stand in it below times like 00:01:02.500 --> 00:01:05.000")
    if not any(line.voice for line in lines):
        return set_turns(list(_named(lines)))
    return set_turns([Utterance(line.text, line.time, line.voice, line.begins_turn) for line in lines])


def are_in(text: str) -> bool:
    """Return whether a text file holds subtitles.

    >>> are_in("1\\n00:00:01,000 --> 00:00:04,000\\nGood morning.\\n"), are_in("The train leaves at 00:01.")
    (True, False)
    """
    source = text.replace("\r\n", "\n").replace("\r", "\n")
    return bool(_OPENING.match(source)) and any(map(_TIMING.match, source.split("\n")))


def _lines(text: str) -> Iterator[_Line]:
    """Yield the lines of all cues."""
    try:
        captions = WebVTT.from_string(_tidied(text)).captions
    except (MalformedFileError, MalformedCaptionError) as error:
        raise DocumentError(f"it is not WebVTT or SubRip: {error}") from error
    for number, caption in enumerate(captions):
        start, end = (time.in_milliseconds() / 1000 for time in (caption.start_time, caption.end_time))
        time = Time(start, end if end >= start else None)
        voice: str | None = None
        for raw in caption.lines:
            said = ""
            for piece in _TAG.split(raw):
                if not _TAG.fullmatch(piece):
                    said += html.unescape(piece)
                elif (spoken := _VOICE.fullmatch(piece)) or piece.lower() == "</v>":
                    yield from _line(number, said, time, voice)
                    voice, said = (" ".join(html.unescape(spoken[1]).split()) or None) if spoken else None, ""
                elif piece.lower().startswith("<br"):
                    said += " "
            yield from _line(number, said, time, voice)


def _line(number: int, said: str, time: Time, voice: str | None) -> Iterator[_Line]:
    said = said.strip()
    at, changes = 0, False
    for match in [] if voice else _CHANGE.finditer(said):
        if words := said[at : match.start()].split():
            yield _Line(number, tuple(words), time, voice, changes)
        at, changes = match.end(), True
    if words := said[at:].split():
        yield _Line(number, tuple(words), time, voice, changes)


def _tidied(text: str) -> str:
    """Return subtitles as strict WebVTT, without what players forgive.

    Times may lack hours or milliseconds and have a comma; the blank line between cues may be missing; SubRip may have
    one inside a cue. A cue with times that cannot be read is taken to follow the one before it.
    """
    source = text.removeprefix("\ufeff").replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    is_vtt = next((line.startswith("WEBVTT") for line in source if line.strip()), False)
    tidy = ["WEBVTT", ""]
    latest = _milliseconds(("0", "0", "0", "0"))
    seen_cue = False
    voice: list[str] = []
    for line, following in pairwise([*source, ""]):
        timing = _TIMING.match(line)
        if timing or "-->" in line:
            start, latest = (
                map(_milliseconds, (timing.groups()[:4], timing.groups()[4:])) if timing else (latest, latest)
            )
            tidy += ["", f"{_vtt_clock(start)} --> {_vtt_clock(latest)}", *voice]
            seen_cue, voice = True, []
        elif line.strip().isdecimal() and (
            _TIMING.match(following) or "-->" in following
        ):  # SubRip's number of the cue
            tidy.append("")
        elif named := _NAMED_CUE.fullmatch(line):
            voice = [f"<v {named[1]}>"]
        elif line.strip() or (is_vtt and not line):
            tidy.append(line if seen_cue or (is_vtt and not line.startswith("WEBVTT")) else "")
    return "\n".join(tidy)


def _milliseconds(clock: Sequence[str | None]) -> int:
    hours, minutes, seconds, fraction = clock
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    return whole * 1000 + int((fraction or "0")[:3].ljust(3, "0"))


def _vtt_clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def _without_repetitions(lines: Sequence[_Line]) -> list[_Line]:
    """Return the lines without those that roll up: where cues show the line before once more above the new one."""
    cues: list[list[_Line]] = []
    for line in lines:
        if not cues or cues[-1][0].cue != line.cue:
            cues.append([])
        cues[-1].append(line)
    repeated = [0, *(_repeated(before, after) for before, after in pairwise(cues))]
    rolls = len(cues) > 1 and 2 * sum(map(bool, repeated)) >= len(cues) - 1
    if not rolls:
        return list(lines)
    return [new for cue, count in zip(cues, repeated, strict=True) for new in _behind(cue, count)]


def _repeated(before: Sequence[_Line], after: Sequence[_Line]) -> int:
    """Return how many words ``after`` repeats from the end of ``before``: whole lines, or at least two words."""
    old = [(line.voice, word) for line in before for word in line.words][-_MOST_REPEATED:]
    new = [(line.voice, word) for line in after for word in line.words][:_MOST_REPEATED]
    for count in range(min(len(old), len(new)), 0, -1):
        if old[-count:] == new[:count]:
            whole = count == len(old) or count == len(after[0].words)
            return count if whole or count > 1 else 0
    return 0


def _behind(cue: Sequence[_Line], count: int) -> Iterator[_Line]:
    for line in cue:
        if line.words[count:]:
            yield replace(line, words=line.words[count:])
        count = max(0, count - len(line.words))


def _named(lines: Sequence[_Line]) -> Iterator[Utterance]:
    """Yield the lines, with the speakers that names in front of the words tell."""
    labels = _cue_labels(lines, find_labels([Line(line.text) for line in lines], spoken=True))
    # Where only some lines are named, as those of people who are not in the picture, the others are somebody else's.
    mostly = 3 * sum(label is not None for label in labels) >= len({line.cue for line in lines})
    speaker: str | None = None
    goes_on = False
    for line, label in zip(lines, labels, strict=True):
        text = line.text[label.end :] if label else line.text
        if label:
            speaker = label.speaker
        elif line.begins_turn or not (mostly or goes_on):
            speaker = None
        yield Utterance(text, line.time, speaker, line.begins_turn)
        goes_on = not ends_sentence(text)


def _cue_labels(lines: Sequence[_Line], known: Sequence[Label | None]) -> list[Label | None]:
    """Return the labels, ``known`` and those that begin a cue like them, though nothing tells that they are names.

    Where most cues begin so, the program has set who speaks; elsewhere a label must come again, or stand among others.
    """
    starts = [not at or line.cue != lines[at - 1].cue or line.begins_turn for at, line in enumerate(lines)]
    labels = list(known)
    for pattern in (_LABEL, _IN_BRACKETS):
        found = {
            at: Label(match.end(), " ".join(match["name"].split()))
            for at, line in enumerate(lines)
            if starts[at] and not known[at] and (match := pattern.match(line.text)) and _may_call(match["name"])
        }
        counts = Counter(label.speaker for label in found.values())
        labelled = len(found) + sum(label is not None for label in known)
        if labelled < 2 or (pattern is _IN_BRACKETS and len(counts) == len(found) and 2 * labelled < sum(starts)):
            continue
        mostly = 4 * labelled >= 3 * sum(starts)
        among = 3 * labelled >= sum(starts)
        for at, label in found.items():
            if mostly or (among and (counts[label.speaker] > 1 or _is_like_handle(label.speaker or ""))):
                labels[at] = label
    return labels


def _may_call(name: str) -> bool:
    """Return whether somebody may be called so: not "Note", "[Laughter]", or the end of a sentence and another."""
    words = name.casefold().split()
    if name.casefold() in FIELDS or words[0].strip(".,") in SOUNDS or words[-1].strip(".,") in SOUNDS:
        return False
    return len(words) <= _NAME_WORDS and not _SENTENCE_IN.search(name)


def _is_like_handle(name: str) -> bool:
    """Return whether a label is one word, or no phrase of a sentence: "jsmith", "Conference Room 3"."""
    words = name.split()
    if any(word.casefold() in FUNCTION_WORDS for word in words[:1]):
        return False
    return len(words) == 1 or 2 * sum(not word[0].islower() for word in words) >= len(words)
