"""Finds who speaks in a text: labels such as "Anna:", "[00:12:03] Bo Lind:" or a line "Ilse Kern  0:49".

What looks like a label is one only in a document where people talk: `_spoken_names` and `_is_recording` decide.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from sourceline.ingest.people import FIELDS, GIVEN_NAMES, HONORIFICS, PARTICLES, QUESTION_AND_ANSWER, ROLES
from sourceline.types import Block, BlockKind, Cue, Time

LABEL_CHARACTERS = 120
LONGEST_JOINED = 600  # characters of a sentence over several stamps, these included
NAME_WORDS = 4  # of a name that nothing else is known of
# A recording begins at its beginning: at 6:00:00 it is morning.
_MORNING = 6 * 3600
_EARLY = 5 * 60
_AGENDA_STEP = 5  # "9:30 Opening", "9:45 Budget"

_TITLE = rf"(?i:{'|'.join(sorted(HONORIFICS, reverse=True))}|st|jr)\."
# Accents of their own (NFD) and the vowel signs of Indian scripts, which are no letters to \w.
_MARKS = r"\u0300-\u036f\u0900-\u0dff"
_WORD = rf"(?:{_TITLE}|(?:(?!I\.\s)[^\W\d_]\.-?)+|[^\W\d_][\w{_MARKS}'’\-/]*|\d{{1,3}}|[#&])"
_ASIDE = r"\s?\((?![\d:]+\))(?:[^()\n]|\([^()\n]*\)){1,60}\)"  # "Mr Smith (Leeds)"
_NAME = rf"(?P<name>(?![\d#&]){_WORD}(?:(?:,\s|\s){_WORD}){{0,6}}(?:{_ASIDE}){{0,2}})"
_CLOCK = r"\d{1,3}:\d\d(?::\d\d)?(?:[.,]\d{1,3})?"
_UNTIL = rf"(?:\s*(?:-->|[-–—]|to|bis)\s*(?P<until>{_CLOCK}))?"
_TIMES = rf"(?P<time>{_CLOCK})(?:\s?(?P<noon>[AaPp]\.?[Mm]\.?)(?!\w))?{_UNTIL}"
_BRACKETS = rf"(?<![\d:])(?P<open>[\[(<{{])\s*{_TIMES}\s*[\])>}}]"
_STAMP = rf"(?<![\d:])(?P<open>[\[(<{{]\s*)?{_TIMES}(?(open)\s*[\])>}}])"
_LEAD = r"\s*(?:>\s*|[-–—•+]\s+|\#+\s+)*"
_COLON = r"(?:\s{0,4}:(?=\s|$)|\s?：)"
_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{2,4}"
_DAYTIME = r"\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?:\s?[AaPp]\.?\s?[Mm]\.?)?"
_INVISIBLE = r"[\u200e\u200f\s]*"

# "[04.05.26, 10:12:33] Anna: …", "04/05/2026, 10:12 - Anna: …", "[10:12, 04/05/2026] Anna: …". Without a name it is a
# notice of the program: "Bo joined".
_CHAT = re.compile(
    rf"{_INVISIBLE}\[?(?:{_DATE},?\s+(?:at\s|um\s)?{_DAYTIME}|{_DAYTIME},?\s+{_DATE})\]?(?:\s*[-–—])?\s+"
    rf"(?:[\u200e\u200f~\s]*(?P<name>[^\s:\[][^:\n]{{0,50}}?):(?=\s|$)|(?=\S))"
)
# "14:03:11 From Anna to Everyone: …", as Zoom saves what was typed.
_TYPED = re.compile(r"\s*\d\d:\d\d:\d\d\s+From\s+(?P<name>[^:\n]{1,50}?)(?:\s+[Tt]o\s+[^:\n]{1,50})?\s*:(?=\s|$)")
_ONLY_STAMP = re.compile(rf"{_LEAD}{_BRACKETS}\s*[-–—:]?\s+(?=\S)")  # [0:49] …
_LINE = re.compile(r"[^\r\n]+")
_NAMED = re.compile(rf"{_LEAD}\[?{_NAME}\s?\]?{_COLON}")  # Anna: …
# A label inside a line, behind the sentence of somebody else: "Is it open? Bo: Yes."
_INLINE = re.compile(rf"(?<=[.!?…\"”)\]}}—–-])\s+(?=({_NAME}{_COLON}))")
_HAS_CLOCK = re.compile(r"\d[:.]\d\d")
# The first that matches counts.
_TIMED = (
    re.compile(rf"{_LEAD}{_STAMP}\s*[-–—|:]?\s*\[?{_NAME}\s?\]?{_COLON}"),  # [00:12:03] Anna: …
    re.compile(rf"{_LEAD}{_NAME}\s*[-–—|,·]?\s*{_STAMP}{_COLON}"),  # Anna (00:12:03): …
    re.compile(rf"{_LEAD}{_NAME}\s*{_BRACKETS}\s+(?=\S)"),  # Anna [00:12:03] …
    _ONLY_STAMP,
)
_TIMED_LINES = (
    re.compile(rf"{_LEAD}{_NAME}(?P<gap>\s*[-–—|,·:]?\s*){_STAMP}\s*$"),  # Anna  0:49
    re.compile(rf"{_LEAD}\[{_NAME}(?P<gap>\]\s+){_STAMP}\s*$"),  # [Anna] 14:03:11
    re.compile(rf"{_LEAD}{_STAMP}(?P<gap>\s*[-–—|:]?\s+){_NAME}\s*$"),  # 0:49 Anna
    re.compile(rf"{_LEAD}{_STAMP}\s*:?\s*$"),  # 0:49
)
_NAMED_LINES, _ONLY_TIME = _TIMED_LINES[:-1], _TIMED_LINES[-1]
_STAMP_FIRST = re.compile(rf"{_LEAD}{_STAMP}(?=\W|$)")
_ONLY_NAME = re.compile(_NAME)

_NUMBERED = re.compile(r"(?i)(?:speaker|participant|person|voice|caller|guest|sprecher|teilnehmer|spk)[ _#-]*\d{1,3}")
_CONTINUED = re.compile(r"(?i)\s*\((?:cont\.?(?:['’]d)?|continued|continuing|fortsetzung|forts\.)\)$")
_IN_BRACKETS = re.compile(r"\s?\((?:[^()]|\([^()]*\))*\)")
_SENTENCE_END = re.compile(r"(?:[.!?…。！？।؟]|--|—)[\"'”’)\]»」』]*$")
# "[Applause]", "<Media omitted>"; what a program writes below a transcript.
_EVENT = re.compile(
    r"(?i)\s*(?:[\[(][^\[\]()]*[\])][.\s]*|<[^<>]*>|transcribed by https?://\S+|end of (?:transcript|recording)\.?)\s*"
)
_TWO_LETTERS = re.compile(rf"[^\W\d_][{_MARKS}]*[^\W\d_]")
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")

# Words of people who talk, not of minutes: "I looked at it", "Did you?", "Yes."
_PERSONAL = re.compile(
    r"\b(?:I|I['’](?:m|d|ve|ll)|[Mm]y|me|[Yy]ou|[Yy]our|[Yy]eah|[Yy]es|[Nn]o,|[Oo]kay|OK|[Oo]k|[Tt]hanks|[Tt]hank you"
    r"|[Hh]ello|[Hh]i|[Gg]ood (?:morning|afternoon|evening)|[Ss]orry|[Pp]lease|[Uu]h|[Uu]m|[Hh]mm?|i|i['’]m"
    r"|[Ii]ch|[Mm]ir|[Mm]ich|[Mm]eine?[rnms]?|[Jj]a|[Nn]ein,|[Dd]anke|[Bb]itte|Sie|Ihnen|[Dd]u|[Dd]ein\w?|[Gg]uten"
    r"|[Jj]e|[Jj]['’]\w+|[Mm]oi|[Oo]ui|[Mm]erci|[Vv]ous|[Yy]o|[Ss]í|[Gg]racias|[Uu]sted(?:es)?"
    r"|[Яя]|[Мм]не|[Мм]еня|[Вв]ы|[Тт]ы|[Сс]пасибо|أنا|نحن|نعم|شكرا)\b|[?？؟]|[我你您吗]"
    r"|(?<!\S)(?:मैं|मैंने|मुझे|आप|आपने|धन्यवाद)(?![^\s।?])"  # vowel signs are no letters to \b
)
_WE = re.compile(r"\b(?:[Ww]e|[Oo]ur|us|[Ww]e['’]\w+|[Ww]ir|uns\w*|[Nn]ous|[Nn]osotr[oa]s)\b|我们")

_QUESTION = ("question", "frage")
_OF = frozenset("of for from der des für de du".split())
_NAME_PART = re.compile(r"[^\W\d_][\w'’.\-]*[,;]?")

_SHORT = re.compile(r".*\b[^\W\d_a-zß-öø-ÿ][^\W\d_]{1,4}\)?")
_INITIALS = r"(?P<initials>[^\W\d_a-zß-öø-ÿ][^\W\d_]{1,4})"  # BLD, HRa
_CAPITAL = r"[^\W\d_a-zß-öø-ÿ][\w'’.\-]*"
_FULL_NAME = rf"(?P<name>{_CAPITAL}(?:[^\S\n](?:{_CAPITAL}|de|da|van|von|der|den|la|al|bin)){{1,5}})"
_EXPLAINED = (
    # Bo Lind (BLD), Bo Lind (clerk, BLD)
    re.compile(
        rf"{_FULL_NAME}[^\S\n]*[(\[](?:[^()\[\]\n]{{1,40}}[,;]\s?)?{_INITIALS}(?:[,;][^()\[\]\n]{{1,40}})?[)\]]"
    ),
    re.compile(rf"\b{_INITIALS}[^\S\n]*(?:=|[-–—:|])[^\S\n]*{_FULL_NAME}"),  # BLD = Bo Lind
    re.compile(rf"{_FULL_NAME}[^\S\n]*(?:[=–—|,]|\s-)[^\S\n]*{_INITIALS}\b"),  # Bo Lind – BLD
    re.compile(rf"(?m)^[^\S\n]*{_INITIALS}(?:\t|[^\S\n]{{2,}}){_FULL_NAME}"),  # a column of initials, one of names
    re.compile(rf"{_FULL_NAME}(?:\t|[^\S\n]{{2,}}){_INITIALS}[^\S\n]*$", re.MULTILINE),
)
_DASHED = re.compile(rf"{_LEAD}{_INITIALS}\s+[-–—]\s+(?=\S)")  # HR – The pond is empty.


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a document, or the part of one from a label on, which is ``inline``.

    ``begins`` says whether a paragraph begins with it.
    """

    text: str
    begins: bool = True
    heading: bool = False
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """Where a turn begins. ``end`` is where its words begin, in the line.

    ``speaker`` is None where nobody is named; without ``seconds``, the time in a recording, a turn ends here.
    """

    end: int
    speaker: str | None = None
    seconds: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What may be a label. ``words`` is what is said, in its line or the next; "" where there is nothing.

    ``own_line`` says that nothing else stands in the line, ``marked`` that the time is set off by more than a blank.
    """

    line: int
    end: int
    name: str | None
    words: str
    own_line: bool = False
    seconds: float | None = None
    daytime: bool = False
    marked: bool = False
    chat: bool = False
    inline: bool = False
    until: float | None = None

    @property
    def key(self) -> str:
        return _key(self.name or "")


def attribute_turns(text: str, blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks with the labels cut off, and speaker and time set on all blocks of a turn.

    A turn lasts to the next label or heading. Where nobody speaks the blocks are returned as they are.

    >>> text = "Anna: Did you see it?\\nBo: Yes."
    >>> blocks = [Block(BlockKind.PARAGRAPH, 0, 21), Block(BlockKind.PARAGRAPH, 22, 30)]
    >>> [(block.speaker, text[block.start : block.end]) for block in attribute_turns(text, blocks)]
    [('Anna', 'Did you see it?'), ('Bo', 'Yes.')]
    """
    starts: list[int] = []
    lines: list[Line] = []
    owners: list[int] = []
    inline = _may_talk_inline(text, blocks)
    for number, block in enumerate(blocks):
        for at, (start, end) in enumerate(_lines(text, block.start, block.end)):
            line = "" if block.columns or block.speaker else text[start:end]
            parts = [0, *(_inline_starts(line) if inline else ()), len(line)]
            for part, following in itertools.pairwise(parts):
                starts.append(start + part)
                lines.append(Line(line[part:following], not at and not part, block.kind is BlockKind.HEADING, part > 0))
                owners.append(number)
    labels = find_labels(lines, whole=text)
    if not any(label and label.end for label in labels):
        return tuple(blocks)
    cuts: dict[int, list[tuple[int, int, Label, Time | None]]] = {}
    for owner, start, label, time in zip(owners, starts, labels, _times(labels), strict=True):
        if label:
            cuts.setdefault(owner, []).append((start, start + label.end, label, time))
    begins = {start + label.end for start, label in zip(starts, labels, strict=True) if label and label.until}
    return tuple(_joined_sentences(text, list(_attributed(text, blocks, cuts)), begins))


def find_labels(lines: Sequence[Line], *, whole: str = "", spoken: bool = False) -> list[Label | None]:
    """Return the label that each line begins with, if any.

    Args:
        lines: the lines of a document.
        whole: its text, where initials may be explained.
        spoken: whether all of it is known to be speech, so that less evidence is enough.
    """
    candidates = [candidate for at in range(len(lines)) if (candidate := _candidate(lines, at))]
    stamped, above = _stamped_names(lines)
    candidates = [c for c in candidates if c.line not in stamped and c.line + 1 not in above] + [*stamped.values()]
    dashed = [at for at, line in enumerate(lines) if _DASHED.match(line.text)]
    labels: list[Label | None] = [None] * len(lines)
    if not candidates and not dashed:
        return labels
    full_names = _explained(whole) if dashed or any(_SHORT.fullmatch(c.name or "") for c in candidates) else {}
    candidates += _behind_initials(lines, dashed, full_names)
    accepted = [*_accepted_chat(candidates), *_accepted_stamps(candidates, sum(not line.heading for line in lines))]
    untimed = [c for c in candidates if not c.chat and c.seconds is None]
    paragraphs = sum(line.begins and not line.heading for line in lines)
    names = _spoken_names(untimed, {c.key for c in accepted if c.name}, full_names, paragraphs, spoken)
    accepted += _turns_of(names, untimed, full_names)
    if not accepted:
        return labels
    keys = {c.key for c in accepted}
    stamps = [c.seconds for c in accepted if c.seconds is not None]
    daytime = any(c.daytime for c in accepted) or min(stamps, default=0) >= _MORNING
    for candidate in untimed:
        if not spoken and lines[candidate.line].begins and _ends_turn(candidate, 2 * len(accepted) >= paragraphs):
            labels[candidate.line] = Label(0)
    for candidate in accepted:
        speaker = _full_name(candidate.name, full_names, keys) if candidate.name else None
        label = Label(candidate.end, speaker, *((None, None) if daytime else (candidate.seconds, candidate.until)))
        labels[candidate.line] = label if speaker or label.seconds is not None else Label(0)
        if candidate.line in above:
            labels[candidate.line - 1] = replace(label, end=len(lines[candidate.line - 1].text))
    return labels


def is_label_line(line: str) -> bool:
    """Return whether a line holds nothing but a name and a time, like those above the turns of a transcript.

    >>> is_label_line("Ilse Kern  0:49"), is_label_line("Bo: Every day at 6:00")
    (True, False)
    """
    if len(line.rstrip()) > LABEL_CHARACTERS or ":" not in line:
        return False
    match = next(filter(None, (pattern.match(line) for pattern in _NAMED_LINES)), None)
    return match is not None and _may_name(match["name"])


def _may_talk_inline(text: str, blocks: Sequence[Block]) -> bool:
    """Return whether enough paragraphs begin with what may be a name to look for others inside of them."""
    matches = (
        _NAMED.match(_plain(text[block.start : min(block.end, block.start + LABEL_CHARACTERS)])) for block in blocks
    )
    count = sum(match is not None and _may_name(match["name"]) for match in matches)
    return count > 1 or 0 < len(blocks) <= 2 * count


def _inline_starts(line: str) -> Iterator[int]:
    """Yield where a line may have labels behind the first one."""
    first = _NAMED.match(line[:LABEL_CHARACTERS])
    at = first.end() if first else 0
    while match := _INLINE.search(line, at):
        before = line[max(0, match.start() - 20) : match.start()].rpartition(" ")[2].strip(".").lower()
        if before not in HONORIFICS:
            yield match.end()
        at = match.end(1)


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _LINE.finditer(text, start, end):
        if match.group().strip():
            yield match.span()


def _times(labels: Sequence[Label | None]) -> list[Time | None]:
    """Return when the turn of each label was: until the next one begins."""
    times: list[Time | None] = []
    following: float | None = None
    for label in reversed(labels):
        if label is None:
            times.append(None)
            continue
        if label.seconds is None:
            times.append(None)
        else:
            end = following if label.until is None else label.until
            times.append(Time(label.seconds, end if end is not None and end >= label.seconds else None))
        following = label.seconds
    return times[::-1]


def _attributed(
    text: str, blocks: Sequence[Block], cuts: dict[int, list[tuple[int, int, Label, Time | None]]]
) -> Iterator[Block]:
    """Yield the blocks, cut before and behind each label."""
    speaker: str | None = None
    time: Time | None = None
    for number, block in enumerate(blocks):
        if number not in cuts:
            if block.kind is BlockKind.HEADING or block.columns or block.speaker:
                speaker = time = None
            is_event = _EVENT.fullmatch(text, block.start, block.end)
            yield block if is_event or not (speaker or time) else _said(block, block.start, block.end, speaker, time)
            continue
        begin = block.start
        for start, end, label, label_time in cuts[number]:
            yield from _part(text, block, begin, start, speaker, time)
            begin = end
            speaker = label.speaker or (speaker if label.seconds is not None else None)
            time = label_time
        yield from _part(text, block, begin, block.end, speaker, time)


def _joined_sentences(text: str, blocks: Sequence[Block], stamped: set[int]) -> Iterator[Block]:
    """Yield the blocks, those made one that a sentence runs over with a stamp between, which becomes a gap.

    ``stamped`` is where words begin behind a stamp with an end. Speech without punctuation stays apart.
    """
    waiting: list[Block] = []
    for block in blocks:
        goes_on = block.start in stamped and block.cues and not block.columns
        if waiting and not (goes_on and block.speaker == waiting[-1].speaker):
            yield from waiting
            waiting = []
        if not goes_on:
            yield block
            continue
        waiting.append(block)
        if _SENTENCE_END.search(text[block.end - 5 : block.end]):
            first, length = waiting[0], block.end - waiting[0].start
            between = [(a.end, b.start) for a, b in itertools.pairwise(waiting)]
            gaps = tuple(sorted([*between, *(gap for part in waiting for gap in part.gaps)]))
            cues = tuple(cue for part in waiting for cue in part.cues)
            yield from [replace(first, end=block.end, gaps=gaps, cues=cues)] if length <= LONGEST_JOINED else waiting
            waiting = []
    yield from waiting


def _part(text: str, block: Block, start: int, end: int, speaker: str | None, time: Time | None) -> Iterator[Block]:
    part = text[start:end]
    if any(map(str.isalnum, part)) and not _EVENT.fullmatch(part):
        yield _said(block, start + len(part) - len(part.lstrip()), start + len(part.rstrip()), speaker, time)


def _said(block: Block, start: int, end: int, speaker: str | None, time: Time | None) -> Block:
    gaps = tuple(gap for gap in block.gaps if start < gap[0] and gap[1] < end)
    cues = (Cue(start, end, time),) if time else ()
    kind = BlockKind.PARAGRAPH if speaker or time else block.kind
    return Block(kind, start, end, gaps, speaker, cues, block.columns)


def _candidate(lines: Sequence[Line], at: int) -> _Candidate | None:
    """Return what the line may begin with, a label with a time before one without."""
    plain = _plain(lines[at].text)
    if ":" not in plain and "：" not in plain:
        return None
    if not lines[at].inline and _HAS_CLOCK.search(plain):
        timed = _chat(lines, at, plain) or _timed_line(lines, at, plain) or _timed(lines, at, plain)
        if timed:
            return timed
    match = None if lines[at].heading else _NAMED.match(plain)
    end = _behind_emphasis(lines[at].text, match.end()) if match else None
    if not match or end is None:
        return None
    words = lines[at].text[end:].strip(" *_\t")
    return _Candidate(at, end, match["name"], words or _next_words(lines, at), not words, inline=lines[at].inline)


def _stamped_names(lines: Sequence[Line]) -> tuple[dict[int, _Candidate], set[int]]:
    """Return the labels of turns whose words stand below a time and a name: "0:49 Wanyu Lind", or one above the other.

    They are such where (nearly) all lines with a time are, and what stands below them sounds like people talking. Also
    return on which lines the time stands whose name is above it.
    """
    found: dict[int, _Candidate] = {}
    above: set[int] = set()
    stamps = 0
    for at, line in enumerate(lines):
        plain = _plain(line.text)
        if not (_HAS_CLOCK.search(plain) and _STAMP_FIRST.match(plain)) or len(line.text.rstrip()) > LABEL_CHARACTERS:
            continue
        stamps += 1
        behind, alone = _NAMED_LINES[-1].match(plain), _ONLY_TIME.match(plain)
        match = behind or alone
        name = behind["name"] if behind else lines[at - 1].text.strip(" \t*_#>") if alone and at else ""
        seconds = _seconds(match["time"]) if match else None
        words = _next_words(lines, at)
        if not match or seconds is None or not name or match["noon"] or not _is_speech(words):
            continue
        if _STAMP_FIRST.match(_plain(words)) or not _ONLY_NAME.fullmatch(name) or not _may_name(name):
            continue
        found[at] = _Candidate(at, len(line.text), name, words, True, seconds, marked=True)
        if not behind:
            above.add(at)
    turns = list(found.values())
    repeats = len({c.key for c in turns}) < len(turns)
    persons = all(_is_person(c.name or "") for c in turns)
    talk = repeats or persons or 2 * sum(_personal(c.words) for c in turns) >= len(turns)
    return (found, above) if len(turns) > 1 and 5 * len(turns) >= 4 * stamps and talk else ({}, set())


def _behind_initials(lines: Sequence[Line], at: Sequence[int], full_names: dict[str, str]) -> Iterator[_Candidate]:
    """Yield the labels that are initials with a dash behind, where it is said whose they are."""
    for number in at:
        match = _DASHED.match(lines[number].text)
        if match and match["initials"] in full_names:
            yield _Candidate(number, match.end(), match["initials"], lines[number].text[match.end() :].strip())


def _chat(lines: Sequence[Line], at: int, plain: str) -> _Candidate | None:
    match = _CHAT.match(plain) or _TYPED.match(plain)
    if not match:
        return None
    end = match.end() if match["name"] else 0
    return _Candidate(at, end, match["name"], lines[at].text[match.end() :].strip() or "…", chat=True)


def _timed_line(lines: Sequence[Line], at: int, plain: str) -> _Candidate | None:
    """Return the name and time that a line holds and nothing else."""
    if len(lines[at].text.rstrip()) > LABEL_CHARACTERS:
        return None
    for pattern in _TIMED_LINES:
        match = pattern.match(plain)
        seconds = _seconds(match["time"]) if match else None
        if not match or seconds is None:
            continue
        name, gap = match.groupdict().get("name"), match.groupdict().get("gap") or ""
        # Behind a time stands what is said, more often than a name.
        if name and not (_may_name(name) if match.start("name") < match.start("time") else _is_person(name)):
            continue
        marked = bool(match["open"]) or len(gap) > 1
        words, daytime = _next_words(lines, at), bool(match["noon"])
        return _Candidate(at, len(lines[at].text), name, words, True, seconds, daytime, marked)
    return None


def _timed(lines: Sequence[Line], at: int, plain: str) -> _Candidate | None:
    """Return a label with a time in front of words."""
    for pattern in _TIMED:
        match = pattern.match(plain)
        seconds = _seconds(match["time"]) if match else None
        end = _behind_emphasis(lines[at].text, match.end()) if match else None
        if not match or seconds is None or end is None:
            continue
        words = lines[at].text[end:].strip(" *_\t")
        said, daytime = words or _next_words(lines, at), bool(match["noon"])
        name, until = match.groupdict().get("name"), _seconds(match["until"]) if match["until"] and words else None
        return _Candidate(at, end, name, said, not words, seconds, daytime, marked=True, until=until)
    return None


def _plain(line: str) -> str:
    """Return the start of a line with blanks in place of Markdown's emphasis and escapes."""
    line = line[:LABEL_CHARACTERS]
    return re.sub(r"__|[*\\]", lambda match: " " * len(match.group()), line) if re.search(r"__|[*\\]", line) else line


def _behind_emphasis(line: str, end: int) -> int | None:
    """Return where the words begin behind a label that ends at ``end``; None if they share its emphasis."""
    opening = re.match(r"[\s>#+•–-]*(\*{1,3}|__)", line[:end])
    if not opening or line.count(opening[1][0], 0, end) >= 2 * len(opening[1]):
        return end
    return end + len(opening[1]) if line.startswith(opening[1], end) else None


def _next_words(lines: Sequence[Line], at: int) -> str:
    return lines[at + 1].text.strip() if at + 1 < len(lines) else ""


def _seconds(clock: str) -> float | None:
    """Return a time in seconds; None if it is none: "1:75"."""
    *larger, last = clock.replace(",", ".").split(":")
    if float(last) >= 60 or (len(larger) > 1 and int(larger[1]) >= 60):
        return None
    minutes = 0
    for number in larger:
        minutes = 60 * minutes + int(number)
    return 60 * minutes + float(last)


@lru_cache(4096)
def _key(name: str) -> str:
    """Return a name by which those of one speaker are known to be the same."""
    return " ".join(_CONTINUED.sub("", name).casefold().split())


def _bare_words(name: str) -> list[str]:
    """Return the words of a name in small letters, without what is in brackets behind it."""
    return [bare for word in _IN_BRACKETS.sub("", name).lower().split() if (bare := word.strip(".,&#"))]


@lru_cache(4096)
def _is_role(name: str) -> bool:
    """Return whether a label says what somebody is, and not the name: "The Deputy Chair", "Minister of Finance"."""
    words = [word for word in _bare_words(name) if not word.isdecimal()]
    of = next((at for at, word in enumerate(words) if word in _OF), len(words))
    if not of or len(words) > NAME_WORDS + 3 or words[of - 1] not in ROLES:
        return False
    small = [word for word in _IN_BRACKETS.sub("", name).split()[: of - 1] if word[0].islower()]
    return sum(word not in PARTICLES for word in small) <= 1


@lru_cache(4096)
def _is_person(name: str) -> bool:
    """Return whether the words of a label tell that it is a person or role."""
    words = _bare_words(name)
    if _NUMBERED.fullmatch(name.strip()) or _is_role(name):
        return True
    if (
        not words
        or any(word.isdecimal() for word in words)
        or (len(words) > 1 and not _is_capital(name, NAME_WORDS + 2))
    ):
        return False
    if words[0] in HONORIFICS and len(words) > 1:
        return True
    surname_first = "," in name and len(words) <= NAME_WORDS and words[-1] in GIVEN_NAMES
    return words[0] in GIVEN_NAMES or words[0].split("-")[0] in GIVEN_NAMES or surname_first


def _is_capital(name: str, most: int) -> bool:
    """Return whether a name has so many words at most, each but small ones with a capital letter."""
    words = _IN_BRACKETS.sub("", name).split()
    if not words or words[0][0].islower():
        return False
    small = [word for word in words if word[0].islower()]
    return len(words) - len(small) <= most and all(word.lower() in PARTICLES - {"and", "for"} for word in small)


@lru_cache(4096)
def _is_field(name: str) -> bool:
    """Return whether a label names something else than who speaks: "Date", "Next meeting", "Figure 2"."""
    words = _bare_words(name)
    if " ".join(words) in FIELDS:
        return True
    return not _is_person(name) and any(word in FIELDS for word in words if word not in PARTICLES)


def _is_like_name(name: str) -> bool:
    """Return whether a label is written as names are: few words, each with a capital letter."""
    name, _, rest = name.partition(",")  # "LOOR, Radio Kankantri"
    if not _is_capital(name, NAME_WORDS) or (_IDEOGRAPHS.match(name) and len(name) > 5):
        return False
    return not rest or not rest.strip()[0].islower()


def _may_name(name: str) -> bool:
    return not _is_field(name) and (_is_person(name) or _is_like_name(name))


def _is_entry(candidate: _Candidate, full_names: dict[str, str]) -> bool:
    """Return whether somebody is named behind a role or initials, as in the head of minutes: "Chair: Ilse Kern"."""
    words = _IN_BRACKETS.sub("", candidate.words).strip(" .,;")
    if candidate.name in full_names:
        return words.startswith(full_names[candidate.name])
    if not _is_role(candidate.name or "") or _is_speech(candidate.words):
        return False
    parts = words.split()
    named = len(parts) > 1 or words.casefold() in GIVEN_NAMES
    return named and all(_NAME_PART.fullmatch(part) for part in parts) and _is_capital(words, len(parts))


def _is_speech(words: str) -> bool:
    if not _TWO_LETTERS.search(words) or words.startswith(("/", "http")):
        return False
    return bool(_SENTENCE_END.search(words.strip()[-5:]) or _PERSONAL.search(words)) or len(words) > LABEL_CHARACTERS


def _personal(words: str) -> float:
    """Return how much words sound like somebody talking, from 0 to 1."""
    return 1.0 if _PERSONAL.search(words) else 0.25 if _WE.search(words) else 0.0


def _accepted_chat(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    chat = [c for c in candidates if c.chat]
    return chat if sum(c.name is not None for c in chat) > 1 else []


def _accepted_stamps(candidates: Sequence[_Candidate], lines_said: int) -> list[_Candidate]:
    """Return the candidates with a time that begin turns. Agendas and results have times, too.

    Two times are enough where no line is without one.
    """
    timed = [c for c in candidates if c.seconds is not None and c.words]
    named = [c for c in timed if c.name and _may_name(c.name)]
    lines = {c.line for c in named}
    # What is said stands below a line with name and time, and not the next name.
    turns = [c for c in named if not (c.own_line and c.line + 1 in lines)]
    if not _is_recording(turns, len(named)):
        turns = []
    nameless = [c for c in timed if not c.name]
    enough = 2 if len(nameless) == lines_said else 3
    alone = len(nameless) >= enough and (nameless[0].seconds or 0) < _EARLY and _rises(nameless)
    return [*turns, *nameless] if turns or alone else []


def _is_recording(turns: Sequence[_Candidate], named: int) -> bool:
    """Return whether the times of turns are those of a recording or chat."""
    if not turns or 2 * len(turns) <= named or not _rises(turns):
        return False
    first = turns[0].seconds or 0
    if len(turns) == 1:
        return turns[0].marked and _is_speech(turns[0].words) and (not turns[0].own_line or first < _EARLY)
    repeats = len({c.key for c in turns}) < len(turns)
    if not repeats and first >= _EARLY and all((c.seconds or 0) % _AGENDA_STEP == 0 for c in turns):
        return all(_is_speech(c.words) for c in turns)
    return repeats or first < _EARLY or all(c.marked or _is_person(c.name or "") for c in turns)


def _rises(stamps: Sequence[_Candidate]) -> bool:
    pairs = list(itertools.pairwise(stamp.seconds or 0 for stamp in stamps))
    return 4 * sum(before <= after for before, after in pairs) >= 3 * len(pairs)


def _spoken_names(
    candidates: Sequence[_Candidate], known: set[str], full_names: dict[str, str], paragraphs: int, spoken: bool
) -> set[str]:
    """Return the labels that are speakers, in small letters. ``known`` are those that have times as well.

    People talk where names or roles stand in front of what sounds like speech. Words that nothing tells from topics
    ("Crane: the repair was approved") must take turns, or what stands behind them must sound like people talking.
    """
    names = known | _questions_and_answers(candidates)
    usable = [c for c in candidates if c.words and not _is_entry(c, full_names)]
    usable = [c for c in usable if c.key in names or c.name in full_names or not _is_field(c.name or "")]
    initials = [c for c in usable if c.name in full_names]
    if len(initials) > 1 and 2 * sum(_is_speech(c.words) for c in initials) >= len(initials):
        names |= {c.key for c in initials}
    names |= {c.key for c in usable if _NUMBERED.fullmatch(c.key)}
    if spoken:  # Capitals name somebody in subtitles: "SHERIFF: Nobody moves!"
        certain = [c for c in usable if _is_person(c.name or "") or (c.name or "").isupper()]
        names |= {c.key for c in certain} if len(certain) > 1 else set()
    persons = names | {c.key for c in usable if _is_person(c.name or "")}
    by_persons = [c for c in usable if c.key in persons]
    weak = [c for c in usable if c.key not in persons and _is_like_name(c.name or "")]
    everybody = [*by_persons, *weak]
    if _is_talk(by_persons, paragraphs, persons=True):
        names |= {c.key for c in candidates if c.key.startswith(_QUESTION) and "?" in c.words}  # of a reporter
        return names | persons | _others_who_talk(weak, by_persons, paragraphs)
    if _is_talk(everybody, paragraphs, persons=False) or (spoken and 5 * len(everybody) >= 4 * paragraphs):
        return names | persons | {c.key for c in weak if spoken or _is_speech(c.words)}
    return names


def _questions_and_answers(candidates: Sequence[_Candidate]) -> set[str]:
    names: set[str] = set()
    for question, answer in QUESTION_AND_ANSWER:
        asked = [c for c in candidates if c.key == question]
        if any(c.key == answer for c in candidates) and 2 * sum("?" in c.words for c in asked) > len(asked):
            names |= {question, answer}
    return names


def _others_who_talk(weak: Sequence[_Candidate], persons: Sequence[_Candidate], paragraphs: int) -> set[str]:
    """Return the names that tell nothing, of those who talk where ``persons`` do."""
    counts = Counter(c.key for c in weak)
    most = 2 * (len(weak) + len(persons)) >= paragraphs
    shout = all((c.name or "").isupper() for c in persons)
    return {
        c.key
        for c in weak
        if _is_speech(c.words)
        and (counts[c.key] > 1 or (most and (not c.inline or (shout and (c.name or "").isupper()))))
    }


def _turns_of(names: set[str], candidates: Sequence[_Candidate], full_names: dict[str, str]) -> Iterator[_Candidate]:
    """Yield the candidates with one of these names; among full sentences, none with a lone phrase ("Chair: Kern")."""
    named = [c for c in candidates if c.key in names and c.words and not _is_entry(c, full_names)]
    counts = Counter(c.key for c in named)
    in_sentences = 10 * sum(_is_speech(c.words) for c in named) >= 7 * len(named)
    yield from (c for c in named if counts[c.key] > 1 or _is_speech(c.words) or not in_sentences)


def _is_talk(turns: Sequence[_Candidate], paragraphs: int, *, persons: bool) -> bool:
    """Return whether turns sound like people talking. ``persons`` says that their labels are known to be persons'."""
    counts = Counter(c.key for c in turns)
    if len(turns) < 2 or (len(counts) < 2 and len(turns) < 3):
        return False
    speech = sum(_is_speech(c.words) for c in turns) / len(turns)
    personal = sum(_personal(c.words) for c in turns) / len(turns)
    share = len(turns) / max(1, paragraphs)
    alternate = len(turns) > 3 and sum(count > 1 for count in counts.values()) > 1
    if persons:
        if alternate and share >= 0.8 and personal >= 0.25:  # speech recognition may write no full stops
            return True
        return speech >= 0.5 and share >= 0.04 and (personal >= 0.25 or (share >= 0.4 and speech >= 0.8))
    # A turn may have more paragraphs than the one with its label.
    most = 0.5 if 1 < len(counts) < len(turns) else 0.8
    return speech >= 0.7 and ((alternate and personal >= 0.2) or (share >= most and personal >= 0.5))


def _explained(text: str) -> dict[str, str]:
    """Return initials and the names that a text explains them by.

    >>> _explained("Present: Ilse Kern (IK), Bo Lind (BLD)")
    {'IK': 'Ilse Kern', 'BLD': 'Bo Lind'}
    """
    names: dict[str, str] = {}
    for pattern in _EXPLAINED:
        for match in pattern.finditer(text):
            words = match["name"].rstrip(".,").split()
            before = (words[at:] for at in range(len(words) - 2, -1, -1))  # "Present Bo Lind (BLD)"
            behind = (words[:to] for to in range(2, len(words) + 1))  # "BLD = Bo Lind of the harbour board"
            for full in itertools.chain(before, behind):
                if _abbreviates(match["initials"].casefold(), [word.casefold() for word in full]):
                    names.setdefault(match["initials"], " ".join(full))
    return names


def _abbreviates(initials: str, words: Sequence[str]) -> bool:
    """Return whether initials stand for a name: the first letter of each word, and letters behind it in their order.

    >>> _abbreviates("bld", ["bo", "lind"]), _abbreviates("bld", ["bold", "road"])
    (True, False)
    """
    if not words or not initials:
        return not words and not initials
    first, *others = words
    if initials[0] == first[0]:
        for count in range(1, len(initials) + 1):
            letters = iter(first[1:])
            if all(letter in letters for letter in initials[1:count]) and _abbreviates(initials[count:], others):
                return True
    return first in PARTICLES and _abbreviates(initials, others)


def _ends_turn(candidate: _Candidate, labelled: bool) -> bool:
    """Return whether a label that is no speaker's ends a turn: "Decision: approved". Most lines may be ``labelled``."""
    name = candidate.name or ""
    return _is_field(name) or not _is_speech(candidate.words) or (labelled and _may_name(name))


def _full_name(name: str, full_names: dict[str, str], keys: set[str]) -> str:
    """Return what somebody is called: for initials the name, without a party or paper where it is left out later."""
    name = " ".join(_CONTINUED.sub("", name).split())
    for initials, full in full_names.items():
        if name == initials or name == f"{full} ({initials})":
            return full
    bare = _IN_BRACKETS.sub("", name) if "(" in name else name.partition(",")[0]
    return bare if bare.casefold() in keys else name
