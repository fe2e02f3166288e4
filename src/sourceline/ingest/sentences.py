"""Splits a document into passages, one per sentence, with exact offsets.

sentencex proposes where sentences end. What it gets wrong in minutes and reports is mended here: ends that are none are
taken back, ends that it missed are added. Each rule says why it is there.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from unicodedata import combining, is_normalized, normalize

import sentencex

from sourceline.ids import citation_id
from sourceline.ingest.abbreviations import (
    BEFORE_NUMBERS,
    LIST_BULLET,
    LIST_NUMBER,
    MAYBE_LAST,
    MONTHS,
    OPENERS,
    SHORT_MONTHS,
    TITLES,
    UNFINISHED,
    UNITS,
    WEEKDAYS,
)
from sourceline.ingest.languages import DEFAULT_LANGUAGE, guess_language
from sourceline.ingest.unpunctuated import readable_stretches
from sourceline.text import plain_typography
from sourceline.types import Block, BlockKind, Document, Location, Passage, Time

# Part of an index's configuration: sentences of another version are not carried over to a new index.
SPLITTING = 4

ROW_CHARACTERS = 400  # a table's row of more is split into sentences, as other paragraphs are
_NEAR = 80  # how many characters around an end are looked at
_WINDOW, _WINDOW_OVERLAP = 1_000, 250  # characters that sentencex reads at a time, and reads again

Gaps = Sequence[tuple[int, int]]

_LINE_END = re.compile(r"\r\n?|\n")
_ELLIPSIS = re.compile(r"(?<!…)…(?=[\"'”’»)\]]*\s)")
_OPENING_QUOTE = re.compile("[“„]")
_UNSEEN = re.compile("[\u00ad\u200b\u2060\ufeff]")
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")  # white space beyond ASCII

_AFTER_TIME = re.compile(
    rf"(?i)(?:{WEEKDAYS}|{MONTHS}|today|tomorrow|tonight|yesterday|sharp|(?-i:[A-Z]{{2,4}}T|[A-Z]T|GMT|UTC|BST|CEST))\b"
    r"|(?:Eastern|Central|Mountain|Pacific)(?:\s(?:Standard|Daylight))?(?:\sTime\b|[.,;)]|(?-i:\s[a-z])|$)"
)
_MONTH = re.compile(rf"(?i){MONTHS}\b")

_OPENING = r"[(\[{\"'“”„«»‘‚¿¡*_]*"
_BEFORE_WORD = rf"(?:^|[\s/–—-]){_OPENING}"  # a word begins here
_ENDS_IN_TITLE = re.compile(rf"{_BEFORE_WORD}(?:{TITLES})$")
_ENDS_IN_REFERENCE = re.compile(rf"(?i){_BEFORE_WORD}(?:{BEFORE_NUMBERS})$")
_ENDS_UNFINISHED = re.compile(rf"{_BEFORE_WORD}(?:(?i:{UNFINISHED})|vs?\.)$")
_ENDS_IN_MAYBE_LAST = re.compile(rf"{_BEFORE_WORD}(?:{MAYBE_LAST})$")
_ENDS_IN_TIME = re.compile(r"(?i)\d\s*[ap]\.\s?m\.$")
_ENDS_IN_INITIAL = re.compile(rf"{_BEFORE_WORD}(?:[^\W\d_]\.[\s-]?)*([^\W\d_a-zß-öø-ÿ])\.$")
# A topic in bold type that its paragraph begins with: "**Crane.** The repair was approved."
_RUN_IN_HEADING = re.compile(r"(\*\*|__)(?:[^*_\s]+\s){0,4}[^*_\s]+[.:]\1")
_ENDS_IN_LETTER = re.compile(rf"{_BEFORE_WORD}(?:[^\W\d_]\.[\s-]?)*[^\W\d_]\.$")
_LETTER = re.compile(r"[^\W\d_]\.")
_PRONOUN_I = re.compile(r"(?:than|as|and|or|did|do|am|was|have|had|will|should|nor|so)\s+I\.$")
# Which letter it is, is said behind these: "Plan B.", "in room C."
_LETTERED = re.compile(
    r"(?i)\b(?:plan|room|option|annex|appendix|part|section|group|team|grade|class|vitamin|hall|block|line|type|version"
    r"|raum|anlage|teil|gruppe|klasse|salle|annexe|sala|anexo|grupo)\s+[a-z]\.$"
)
_ENUMERATOR = re.compile(rf"(?:{LIST_BULLET}\s*)?{LIST_NUMBER}\.?|§+\s*\d+\.")
# More of it follows these: "1. the boats, 2. the buoys", "III. 2", "2 hrs. 15 min.", "le 4 sept. 2026".
_ENDS_IN_NUMBER = re.compile(r"(?:^|\W)\d{1,3}\.$")
_ENDS_IN_ROMAN = re.compile(r"(?:^|\s)[IVXLC]{2,}\.$")
_ENDS_IN_UNIT = re.compile(rf"\d\s?{UNITS}$")
_ENDS_IN_MONTH = re.compile(rf"(?i)(?:^|[\s(]){SHORT_MONTHS}$")
_ORDINAL_SIGN = re.compile("[ºª°]")  # "n.º 12"
# Only numbers up to 99: a sentence may end in a year.
_ENDS_IN_ORDINAL = re.compile(r"(?:^|[\s(/–-])\d{1,2}\.$")
_LATER_ORDINAL = re.compile(r"\d{1,2}\.(?!\d)|[a-zß-öø-ÿ]")
# What stands before an ordinal in German: "am 3. Oktober", "der 2. Vorsitzende", "im 19. Jahrhundert".
_GERMAN_ORDINAL = re.compile(
    r"(?i)\b(?:der|die|das|dem|den|des|am|im|vom|zum|zur|beim|ab|bis|seit|und|oder|jede[rsnm]?|unser[esnm]*|ihr[esnm]*"
    r"|sein[esnm]*|kein[esnm]*|ein[esnm]*|diese[rsnm]?|könig|kaiser|papst)\s+\d{1,2}\.$"
)
# These are counted by ordinals in German, whatever stands before.
_GERMAN_COUNTED = re.compile(
    r"(?:Jahrhundert|Sitzung|Vorsitzend|Stellvertret|Quartal|Halbjahr|Etage|Stock\b|Obergeschoss|OG\b|Klasse|Lesung"
    r"|Auflage|Platz\b|Tag\b|Mal\b|Oktober|Änderung|Nachtrag|Bauabschnitt|Bürgermeister|Beigeordnet|Schriftführ|Kassier)"
)
_REFERENCED = re.compile(r"[\d§(°०-९٠-٩]|[IVXLC]{2,}\b|[B-HJ-Z]\b(?!['’.])")
_FIRST_WORD = re.compile(r"[\"'“”„«»‘(\[*_¿¡]*([^\W_]+(?:['’][^\W_]+)?)")

# A footnote's mark behind a full stop, where the next sentence follows: "12 members.1 The", "a fee.[^1] The". Behind a
# digit it would be a decimal fraction, unless a year stands there.
_FOOTNOTE = re.compile(
    r"(?:(?<=[^\W\d_]{2}[.!?…])|(?<=[)\]%€$][.!?])|(?<=[.!?…][\"”’»)])|(?<=\b(?:19|20)\d\d\.))"
    r"\d{1,3}(?:,\s?\d{1,3})*(?=\s+[^\W\da-zß-öø-ÿ_]|\s+[\"“„«(¿¡])"
    r"|(?:(?<=[.!?…])|(?<=[.!?…][\"”’»)]))"
    r"(?:(?:\s?\[\^[^\]\s]{1,40}\](?!:))+|(?:\[\d{1,3}\])+|\(\d{1,2}\)|[*†‡]{1,3}|[¹²³⁰⁴-⁹]+)"
    r"(?=\s+[^\W\da-zß-öø-ÿ_]|\s+[\"“„«(¿¡])"
)
# A sentence in brackets of its own, "(See above.) Others may appeal.", or the end of one in guillemets.
_BRACKETED = re.compile(r"(?:(?:^|(?<=[.!?]\s))\([^()]{2,300}[.!?]\)|(?<=[.!?…])\s?»)(?=\s+[^\W\da-zß-öø-ÿ_])")
# Who said it, behind a quotation: “很好。”他说。 「はい。」と言った。 "Is it open?" Ms. Kern asked. —¿Y ahora? —dijo.
_SAID = re.compile(
    r"\w{0,6}(?:说道?|說道?|问道?|問道?|答道?|(?<!知)道|表示)(?=[\s，。：！,.:!]|$)|と|って|[—–]\s?[a-zß-öø-ÿ]"
    r"|(?:[A-ZÀ-Þ][\w'’-]*\.?\s){1,3}(?:said|asked|replied|added|answered|called|cried)\b"
)
_ENDS_QUOTED = re.compile(r"[。？！…][”」’』]$|[?!…][\"”’»]$|[?!…]$")
# A quotation that ends its sentence has its speaker in front of it.
_INTRODUCED = re.compile(r"[:,：，]\s*[\"“«‘「『][^\"“«‘「『]*$")
_AFTER_QUOTED = re.compile(
    r"(?<=[.?!…][\"”’»])\s+(?=[\"“«‘]?[^\W\da-zß-öø-ÿ_])|(?<=[.?!…]\s»)\s+(?=[^\W\da-zß-öø-ÿ_])|(?<=[。？！][”」』])(?=\w)"
)
# Behind "etc." or "usw." sentencex never ends a sentence.
_AFTER_MAYBE_LAST = re.compile(rf"(?<=\s)(?:{MAYBE_LAST})\s+(?=[^\W\da-zß-öø-ÿ_])")
# Nor behind these, which are whole words where no number follows: "The mayor was ill. Nine members came."
_AFTER_WORD = re.compile(
    r"(?:(?<=[^\W\d_]\s)(?:no|ill|art|fig|mar)|(?<=\w\s)[Mm]a[yi]|(?<=\d\s)(?:[kcm]?m|k?g|l|t|h))\.\s+"
    r"(?=[^\W\da-zß-öø-ÿ_][^\W\dA-Z_])|(?<=\s(?:me|ok))\.\s+(?=I\b)"
)
# Nor behind some words that it takes for abbreviations: "en contra. El".
_AFTER_LONG_WORD = re.compile(r"(?<=[a-zß-öø-ÿ]{4})\.\s+(?=([^\W\da-zß-öø-ÿ_][^\W\d_]*)\b)")
_OPEN = re.compile(r"[(\[“„«][^()\[\]“”„«»]*$")
# Marks of footnotes alone are no sentence.
_NOTES = re.compile(r"(?:\s*(?:\[\^?[^\]\s]{1,40}\]|[¹²³⁰⁴-⁹]+))+\W*")


def split_passages(document: Document) -> tuple[Passage, ...]:
    """Split a document into its sentences. ``document.text[p.start:p.end] == p.text`` holds for each of them."""
    line_starts = [0, *(match.end() for match in _LINE_END.finditer(document.text))]
    occurrences: Counter[str] = Counter()
    passages: list[Passage] = []
    section: str | None = None
    language = guess_language(document.text)
    for paragraph, block in enumerate(document.blocks, start=1):
        if block.kind is BlockKind.HEADING:
            section = " ".join(document.text[block.start : block.end].split())
        for start, end in _passage_spans(document.text, block, language):
            text = document.text[start:end]
            form = plain_typography(text)
            passages.append(
                Passage(
                    id=citation_id(document.id, form, occurrences[form]),
                    document_id=document.id,
                    ordinal=len(passages),
                    start=start,
                    end=end,
                    text=text,
                    location=Location(
                        line=bisect_right(line_starts, start),
                        paragraph=paragraph,
                        section=section,
                        page=bisect_right(document.pages, start) or None,
                        speaker=block.speaker,
                        time=_time_of(block, start, end),
                        columns=block.columns,
                    ),
                    heading=block.kind is BlockKind.HEADING,
                    gaps=tuple(
                        (max(first, start) - start, min(last, end) - start)
                        for first, last in block.gaps
                        if first < end and start < last
                    ),
                )
            )
            occurrences[form] += 1
    return tuple(passages)


def _passage_spans(text: str, block: Block, language: str) -> Iterator[tuple[int, int]]:
    """Yield the sentences of a block, and the stretches of speech that has none.

    A table's row is one passage, as its cells say little without each other.
    """
    if block.columns and block.end - block.start <= ROW_CHARACTERS:
        if any(map(str.isalnum, text[block.start : block.end])):
            yield block.start, block.end
        return
    for start, end in sentence_spans(text, block.start, block.end, language, block.gaps):
        if block.kind is BlockKind.HEADING or block.columns:
            yield start, end
        else:
            yield from readable_stretches(text, start, end, language, block.cues, block.gaps)


def _time_of(block: Block, start: int, end: int) -> Time | None:
    """Return when ``start`` to ``end`` of a block was said: from its first cue's start to its last one's end."""
    first = bisect_right(block.cues, start, key=lambda cue: cue.end)
    last = bisect_left(block.cues, end, key=lambda cue: cue.start) - 1
    return Time(block.cues[first].time.start, block.cues[last].time.end) if first <= last else None


def sentence_spans(
    text: str, start: int, end: int, language: str = DEFAULT_LANGUAGE, gaps: Gaps = ()
) -> Iterator[tuple[int, int]]:
    """Yield the sentences of ``text[start:end]`` as offsets into ``text``, without the white space around them.

    A stretch without a letter or digit (a closing quote, a rule) belongs to the sentence before it.

    Args:
        text: the text of the document.
        start: where the paragraph starts.
        end: where it ends.
        language: the ISO 639-1 code of its language.
        gaps: stretches inside one of its sentences that are not read, such as the running head of a page.
    """
    read = blanked(text[start:end], [(first - start, last - start) for first, last in gaps])
    plain, places = _without_typography(read)
    plain_gaps = [(bisect_left(places, first - start), bisect_left(places, last - start)) for first, last in gaps]
    # The brackets and the target of a link stand with its words: "[The crane was repaired.](https://…)".
    opening = {last: first for first, last in gaps if text[last - 1] == "["}
    closing = {first: last for first, last in gaps if text[first] == "]"}
    pending: tuple[int, int] | None = None
    for plain_first, plain_last in _stretches(plain, plain_gaps, language):
        first, last = places[plain_first], places[plain_last]
        stretch = read[first:last]
        spoken = any(map(str.isalnum, stretch)) and not (pending and _NOTES.fullmatch(stretch))
        first, last = start + first, start + last
        while first in opening:
            first = opening[first]
        while last in closing:
            last = closing[last]
        if spoken:
            if pending:
                yield pending
            pending = (first, last)
        elif pending:
            pending = (pending[0], last)
    if pending:
        yield pending


def blanked(text: str, gaps: Gaps) -> str:
    """Return the text with blanks in its gaps, equally long."""
    if not gaps:
        return text
    starts = [0, *(last for _, last in gaps)]
    pieces = [text[start:first] + " " * (last - first) for start, (first, last) in zip(starts, gaps, strict=False)]
    return "".join(pieces) + text[starts[-1] :]


def _without_typography(text: str) -> tuple[str, Sequence[int]]:
    """Return a text as the rules below read it, and where each of its characters stands in ``text``, the end included.

    Accents are in one character with their letters (NFC), an ellipsis that can end a sentence is three full stops, and
    characters that cannot be seen are left out, so that what ends a sentence does not depend on typography.
    """
    if "”" in text and not _OPENING_QUOTE.search(text):
        text = text.replace("”", '"')  # which Swedish and Finnish open quotations with, too
    if text.isascii() or not (_ELLIPSIS.search(text) or _UNSEEN.search(text) or not is_normalized("NFC", text)):
        return text, range(len(text) + 1)
    ellipses = {match.start() for match in _ELLIPSIS.finditer(text)}
    # An accent behind white space has no letter, and the sentence that it begins has no white space in front.
    starts = [
        at
        for at, character in enumerate(text)
        if at == 0 or text[at - 1].isspace() or not _belongs_to_letter(character)
    ]
    plain: list[str] = []
    places: list[int] = []
    for start, end in pairwise([*starts, len(text)]):
        characters = "..." if start in ellipses else normalize("NFC", _UNSEEN.sub("", text[start:end]))
        plain.append(characters)
        places += [start] * len(characters)
    return "".join(plain), [*places, len(text)]


def _belongs_to_letter(character: str) -> bool:
    """Return whether a character is an accent, cannot be seen, or is a later part of a Korean syllable."""
    return bool(combining(character) or _UNSEEN.match(character) or "\u1160" <= character <= "\u11ff")


def _stretches(text: str, gaps: Gaps, language: str) -> Iterator[tuple[int, int]]:
    """Yield what stands between the ends of sentences, without the white space around it."""
    ends = _proposed_ends(text, language) | _missed_ends(text)
    first = 0
    for end in [*sorted(ends), len(text)]:
        before, after = text[max(first, end - _NEAR) : end].strip(), text[end : end + _NEAR].lstrip()
        run_in = not first and _RUN_IN_HEADING.fullmatch(before)
        gap = bisect_left(gaps, end, key=lambda gap: gap[0])  # the first that starts there or later
        in_gap = gap > 0 and end < gaps[gap - 1][1]
        if end < len(text) and (in_gap or run_in or _goes_on(before, after, language)):
            continue
        stretch = text[first:end]
        if stretch.strip():
            yield first + len(stretch) - len(stretch.lstrip()), first + len(stretch.rstrip())
        first = end


def _proposed_ends(text: str, language: str) -> set[int]:
    # sentencex takes all white space before a full stop to be one byte wide, and panics ("Plan B\u00a0.").
    text = _WIDE_SPACE.sub(" ", text)
    # It reads no sentence end inside quotation marks, so that one for an inch hides all up to the next.
    text = _without_inches(text)
    ends = set(_segment_ends(text, language))
    # A footnote's mark belongs to the sentence before it, but sentencex ends that in front of it.
    marks = [match.span() for match in _FOOTNOTE.finditer(text)]
    return {end for end in ends if not any(first <= end < last for first, last in marks)} if marks else ends


def _segment_ends(text: str, language: str) -> Iterator[int]:
    """Yield where sentencex ends sentences.

    It takes time that grows with the square of a paragraph's length, so it gets it in windows. Each begins where a
    sentence does; behind one without an end, a few words are read again.
    """
    first = 0
    while first + _WINDOW < len(text):
        # The end of the window is no end of a sentence, and near it a quotation may be cut.
        *ends, _ = accumulate(map(len, sentencex.segment(language, text[first : first + _WINDOW])))
        ends = [end for end in ends if end <= _WINDOW - _WINDOW_OVERLAP] or ends
        yield from (first + end for end in ends)
        first += ends[-1] if ends else _WINDOW - _NEAR
    yield from (first + end for end in accumulate(map(len, sentencex.segment(language, text[first:]))))


def _without_inches(text: str) -> str:
    """Return the text with each `"` replaced that stands for an inch: behind a number, while no quotation is open."""
    if '"' not in text:
        return text
    characters, is_open = list(text), False
    for match in re.finditer('"', text):
        at = match.start()
        if not is_open and at and text[at - 1].isdigit():
            characters[at] = "″"
        else:
            is_open = not is_open
    return "".join(characters)


def _missed_ends(text: str) -> set[int]:
    ends = {
        match.end()
        for match in _FOOTNOTE.finditer(text)
        if not _ENDS_IN_REFERENCE.search(text[max(0, match.start() - _NEAR) : match.start()])
    }
    ends.update(match.end() for match in _BRACKETED.finditer(text))
    ends.update(match.end() for match in _AFTER_MAYBE_LAST.finditer(text))
    ends.update(match.end() for match in _AFTER_WORD.finditer(text))
    ends.update(match.end() for match in _AFTER_QUOTED.finditer(text))
    ends.update(
        match.end()
        for match in _AFTER_LONG_WORD.finditer(text)
        if match[1].lower() in OPENERS and not _is_enclosed(text[max(0, match.start() - 4 * _NEAR) : match.start()])
    )
    return ends


def _is_enclosed(before: str) -> bool:
    """Return whether a bracket or quotation is open behind ``before``."""
    return bool(_OPEN.search(before)) or before.count('"') % 2 == 1


def _goes_on(before: str, after: str, language: str) -> bool:
    """Return whether a sentence goes on with ``after`` behind ``before``, which ends like one."""
    if _ENUMERATOR.fullmatch(before):  # "2. Crane": a number in front of its heading or item
        return True
    word = _FIRST_WORD.match(after)
    opens = bool(word and word[1][0].isupper() and word[1].lower().replace("’", "'") in OPENERS)
    if not before.endswith("."):
        if not _ENDS_QUOTED.search(before) or _INTRODUCED.search(before[:-1]):
            return False
        return bool(_SAID.match(after)) and (not opens or after.startswith("I "))
    if _ENDS_IN_ORDINAL.search(before) and _is_ordinal(before, after, opens, language):
        return True
    return _goes_on_behind_number(before, after) or _ends_abbreviated(before, after, opens)


def _goes_on_behind_number(before: str, after: str) -> bool:
    """Return whether ``before`` ends in a number, or in a unit or month beside one, that ``after`` belongs to."""
    if _ORDINAL_SIGN.match(after):
        return True
    if after[:1].islower():
        return bool(_ENDS_IN_NUMBER.search(before) or _ENDS_IN_UNIT.search(before))
    beside = _ENDS_IN_ROMAN.search(before) or _ENDS_IN_UNIT.search(before) or _ENDS_IN_MONTH.search(before)
    return after[:1].isdigit() and bool(beside)


def _ends_abbreviated(before: str, after: str, opens: bool) -> bool:
    """Return whether ``before`` ends in an abbreviation that ``after`` belongs to."""
    if _ENDS_IN_TITLE.search(before):
        return not (opens and before.endswith("St."))  # "St. John", but also "Main St. The"
    if _ENDS_UNFINISHED.search(before):
        return True
    if _ENDS_IN_REFERENCE.search(before) and _REFERENCED.match(after):
        return True
    if _ENDS_IN_TIME.search(before):
        return bool(_AFTER_TIME.match(after)) or after[:1].islower()
    if _ENDS_IN_MAYBE_LAST.search(before):
        return not opens
    if _ENDS_IN_LETTER.search(before) and _LETTER.match(after):  # "z. B.", "J. R."
        return True
    if initial := _ENDS_IN_INITIAL.search(before):
        is_name = not (_LETTERED.search(before) or (initial[1] == "I" and _PRONOUN_I.search(before)))
        return is_name and not opens
    return False


def _is_ordinal(before: str, after: str, opens: bool, language: str) -> bool:
    """Return whether the number that ``before`` ends in is an ordinal: "3. Oktober", "der 2. Vorsitzende"."""
    if _MONTH.match(after):
        return True
    if language == "en" or opens:
        return False
    if _LATER_ORDINAL.match(after):  # "3. 10. 2026", "am 3. und 4. Mai"
        return True
    return language == "de" and bool(_GERMAN_ORDINAL.search(before) or _GERMAN_COUNTED.match(after))
