"""Transcripts in JSON, as Whisper, AssemblyAI and Deepgram return them."""

import json
import math
import re
from collections.abc import Iterator, Sequence

from sourceline.errors import DocumentError
from sourceline.ingest.decoding import decode
from sourceline.ingest.turns import Utterance, ends_sentence, set_turns
from sourceline.types import ParsedFile, Time

# Between two words, a silence of as many seconds ends a stretch that has a time of its own.
_PAUSE = 0.7
# What a time can be: a recording of a year is none.
_LONGEST = 366 * 24 * 3600
_NOT_READ = "it is no transcript; of JSON files, only those of Whisper, AssemblyAI and Deepgram are read"
# Beside the whole "text", one of these shows that it is a transcript.
_SIGNS = {"segments", "utterances", "words", "audio_url", "audio_duration", "task", "usage"}
_SURROGATES = re.compile("[\ud800-\udfff]")

_Object = dict[str, object]


def parse(data: bytes) -> ParsedFile:
    """Return what is said, a paragraph for each turn below a line with its speaker and time.

    Raises:
        DocumentError: it is not JSON, or no transcript in one of the three shapes.
    """
    content = _load(decode(data))
    if isinstance(content, list):  # Whisper's segments alone
        content = {"segments": [item for item in content if isinstance(item, dict) and "start" in item]}
    utterances = _utterances(content) if isinstance(content, dict) else []
    if not any(utterance.text.strip() for utterance in utterances):
        raise DocumentError(_NOT_READ)
    return set_turns(utterances)


def _load(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise DocumentError("it is not JSON that can be read: too deeply nested") from error
    except ValueError as error:  # not JSON, or a number of too many digits
        reason = str(error).partition(";")[0]
        raise DocumentError(f"it is not JSON: {reason}") from error


def _object(pairs: list[tuple[str, object]]) -> _Object:
    item = dict(pairs)
    if len(item) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return item


def _utterances(content: _Object) -> list[Utterance]:
    """Return what is said in a transcript of any of the three shapes, [] if it is none."""
    results = content.get("results")
    if isinstance(results, dict):
        return list(_of_deepgram(results))
    if segments := _objects(content, "segments"):
        return [utterance for segment in segments for utterance in _phrases(segment, "text", 1)]
    if utterances := _objects(content, "utterances"):
        return [utterance for item in utterances for utterance in _phrases(item, "text", 1000)]
    # AssemblyAI without speakers; its times are whole milliseconds.
    if (words := _objects(content, "words")) and _string(content, "text"):
        return list(_of_words(words, "text", 1000))
    return [Utterance(_string(content, "text"))] if _SIGNS & content.keys() else []


def _of_deepgram(results: _Object) -> Iterator[Utterance]:
    if utterances := _objects(results, "utterances"):
        for item in utterances:
            yield from _phrases(item, "transcript", 1)
        return
    channels = _objects(results, "channels")
    for number, channel in enumerate(channels):
        # With several channels, each has one speaker's microphone.
        speaker = f"Channel {number + 1}" if len(channels) > 1 else None
        for alternative in _objects(channel, "alternatives")[:1]:
            paragraphs = alternative.get("paragraphs")
            if isinstance(paragraphs, dict) and (items := _objects(paragraphs, "paragraphs")):
                for paragraph in items:
                    for sentence in _objects(paragraph, "sentences"):
                        yield Utterance(_string(sentence, "text"), _time(sentence, 1), _speaker(paragraph) or speaker)
            elif words := _objects(alternative, "words"):
                yield from _of_words(words, "punctuated_word", 1, speaker)
            else:
                yield Utterance(_string(alternative, "transcript"), None, speaker)


def _phrases(item: _Object, text_key: str, unit: int) -> Iterator[Utterance]:
    """Yield an utterance, in stretches with times of their own as far as the times of its words tell.

    ``unit`` is how many of its units of time make a second.
    """
    text, speaker, time = _string(item, text_key), _speaker(item), _time(item, unit)
    words = _objects(item, "words")
    ends = []
    at = 0
    for word in words:
        said = next((said for key in ("punctuated_word", "text", "word") if (said := _string(word, key).strip())), "")
        place = text.find(said, at, at + len(said) + 3)
        if place < 0:  # its words are written in another way than its text
            yield Utterance(text, time, speaker)
            return
        at = place + len(said)
        ends.append(at)
    if not words:
        yield Utterance(text, time, speaker)
        return
    first = start = 0
    for number, (word, end) in enumerate(zip(words, ends, strict=True)):
        following = words[number + 1] if number + 1 < len(words) else None
        stretch = text[start : end if following else len(text)]
        if following is None or ends_sentence(stretch) or _silence(word, following, unit) >= _PAUSE:
            yield Utterance(stretch, _spanned(words[first : number + 1], unit) or time, speaker)
            first, start = number + 1, end


def _of_words(words: Sequence[_Object], key: str, unit: int, channel: str | None = None) -> Iterator[Utterance]:
    """Yield words as stretches that end with a sentence, a pause or a speaker."""
    stretch: list[_Object] = []
    for word, following in zip(words, [*words[1:], None], strict=True):
        stretch.append(word)
        said = _string(word, key) or _string(word, "word")
        changes = following is None or _speaker(word) != _speaker(following)
        if following is None or changes or ends_sentence(said) or _silence(word, following, unit) >= _PAUSE:
            text = " ".join(_string(item, key) or _string(item, "word") for item in stretch)
            yield Utterance(text, _spanned(stretch, unit), _speaker(word) or channel)
            stretch = []


def _spanned(words: Sequence[_Object], unit: int) -> Time | None:
    """Return when words were said. Some, such as numbers, may have no time."""
    times = [time for word in words if (time := _time(word, unit))]
    return Time(times[0].start, times[-1].end) if times else None


def _silence(word: _Object, following: _Object, unit: int) -> float:
    before, after = _time(word, unit), _time(following, unit)
    return after.start - before.end if before and after and before.end is not None else 0


def _objects(item: _Object, key: str) -> list[_Object]:
    """Return the objects in a list; [] where there is none."""
    value = item.get(key)
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


def _string(item: _Object, key: str) -> str:
    value = item.get(key)
    return _SURROGATES.sub("\ufffd", value.replace("\0", " ")) if isinstance(value, str) else ""


def _speaker(item: _Object) -> str | None:
    """Return who speaks. Where only letters or numbers tell speakers apart, "Speaker" stands in front."""
    value = item.get("speaker")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1000:
        return f"Speaker {value}"
    name = " ".join(_string(item, "speaker").split())[:100]
    return f"Speaker {name}" if len(name) == 1 or name.isdecimal() else name or None


def _time(item: _Object, unit: int) -> Time | None:
    start, end = (_seconds(item.get(key), unit) for key in ("start", "end"))
    if start is None:
        return None
    return Time(start, end if end is not None and end >= start else None)


def _seconds(value: object, unit: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST * unit:
        return None
    return value / unit if math.isfinite(value) else None
