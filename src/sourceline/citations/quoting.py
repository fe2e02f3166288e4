"""Finds in a text what may be checked: quotations, and sentences without one; and to whom each is attributed.

Everything takes time that grows with the length of the text, however many marks are in it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sourceline.ingest.abbreviations import OPENERS
from sourceline.ingest.languages import guess_language
from sourceline.ingest.people import FIELDS, GIVEN_NAMES, HONORIFICS, PARTICLES, ROLES
from sourceline.ingest.sentences import sentence_spans
from sourceline.types import QuoteKind

MIN_WORDS = 3  # fewer prove nothing: they stand in many sentences
_BEFORE, _AFTER = 160, 100  # characters beside a quotation in which its speaker is looked for

# What ends a quotation that begins with a mark. Swedish and Finnish use ”…” and »…».
_CLOSING = {
    '"': '"',
    "“": '”"',
    "„": '“”"',
    "”": "”",
    "«": "»",
    "»": "«»",
    "‘": "’",
    "‚": "‘’",
    "'": "'",
    "‹": "›",
    "›": "‹",
}
_SINGLE = frozenset("‘‚'‹›")
_MARK = re.compile("[\"“”„«»‘’‚'‹›]")
_EDGE = "\"“”„«»‘’‚'‹› \t\r\n"
_WORD = re.compile(r"[^\W_]+")
# Letters of scripts without blanks, of which two count as a word.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
_ITEM = re.compile(r"[ \t]*(?:[-*+•·▪◦‣–—]|\(?\d{1,3}[.)]|#{1,6})[ \t]+")
_MAIL = re.compile(r"(?:>[ \t]*)+(?![\d+−$€£.,-])")  # of a quotation that is wrapped, as in mail

NEGATION = re.compile(
    r"(?i)\b(?:not|no|never|none|nobody|nothing|nor|neither|nowhere|cannot|without|hardly|scarcely|barely"
    r"|nicht|kein(?:e[mnrs]?)?|nie|niemals|nichts|niemand|weder|ohne|ne|pas|jamais|rien|aucune?|sans"
    r"|nunca|jamás|nadie|ning[uú]n[ao]?|senza)\b|n['’]t\b|\bn['’](?=\w)"
)
_SAID = (
    r"(?:said|says|saying|asked|asks|replied|replies|added|adds|told|tells|answered|argued|argues|noted|notes|explained"
    r"|stated|states|insisted|warned|wrote|writes|continued|announced|claimed|recalled|remarked|observed|declared"
    r"|stressed|admitted|confirmed|concluded|complained|commented|called|put it"
    r"|sagte|sagt|erklärte|erklärt|meinte|meint|fragte|antwortete|betonte|ergänzte"
    r"|a dit|dit|a déclaré|déclare|a répondu|dijo|dice|afirmó|explicó|ha detto|disse)"
)
_UPPER = r"[^\W\d_a-zß-öø-ÿ]"
_TITLES = r"(?:Mrs?|Ms|Drs?|Prof|Sen|Rep|Rev|Fr|Capt|Col|Gen|Sgt|Lt|Amb|Hon|Cllr|Hr|Abg|Sra?|Srta|St)"
# Only behind an initial or a title is a full stop a part of a name: behind others it ends the sentence.
_CAPITAL = rf"(?:(?:{_UPPER}\.)+|{_TITLES}\.|{_UPPER}[\w'’-]*)"
_SMALL = r"(?:de|da|di|do|du|dos|del|della|der|den|la|le|el|al|van|von|vom|zu|bin|ibn|ben|of|for|the)"
_NAME = rf"(?P<name>{_CAPITAL}(?:\s(?:{_SMALL}\s){{0,2}}{_CAPITAL}){{0,4}})"
_ASIDE = r"(?:\s*\([^()]{1,40}\)|,[^,.;:!?]{1,60},)?"
_ADVERB = r"(?:(?:has|had|then|also|later|once|again|however)\s)?"
_IN_FRONT = (
    re.compile(rf"(?:^|[.!?…\n\"”»“’]\s*|[-*•>]\s){_NAME}{_ASIDE}\s*:\s*$"),
    re.compile(rf"\b{_NAME}{_ASIDE}\s{_ADVERB}{_SAID}\b(?:\s[^.;:!?\"“„«]{{0,60}})?[:,]?\s*$"),
    re.compile(rf"(?i:\b(?:according to|in the words of|laut|selon|según|secondo))\s{_NAME}{_ASIDE}\s*[,:]?\s*$"),
)
_BEHIND = (
    re.compile(rf"[,.;]?\s*{_SAID}\s(?:the\s)?(?:[a-z]+\s){{0,2}}{_NAME}"),
    # Not behind a full stop, nor with a colon or "that" behind it: there it is of what follows.
    re.compile(rf",?\s*{_NAME}{_ASIDE}\s{_ADVERB}{_SAID}\b(?!\s*:|\sthat\b)"),
    re.compile(rf"[,.;]?\s*[—–-]{{1,2}}\s*{_NAME}\s*(?=[,.(\n]|$)"),
    re.compile(rf"\s*\({_NAME}\)"),
)
# Between the halves of “We go,” said Kern, “when we are ready.”
_BETWEEN = (re.compile(rf"{_SAID}\s{_NAME}\s*[,.:;]\s*$"), re.compile(rf"{_NAME}\s{_SAID}\s*[,.:;]\s*$"))
_LABEL = re.compile(rf"{_NAME}{_ASIDE}(?:\s{_ADVERB}{_SAID})?\s*[:：]\s+(?=\S)")
_SAID_BEHIND = (re.compile(rf",\s{_SAID}\s{_NAME}\s*\.?$"), re.compile(rf",\s{_NAME}\s{_SAID}\s*\.?$"))
_ARTICLES = frozenset("the a an der die das ein eine le la les un une el los las una il lo gli i".split())
# These say that a name is that of many people, for whom one of them speaks.
_ORGANISATIONS = frozenset(
    "agency association authority bank board bureau city club college commission committee company corp council county "
    "court department foundation government group hospital inc institute ltd ministry nations office organisation "
    "organization parliament party plc police school society town trust union university bundestag gmbh verein "
    "stadtrat gemeinderat ministerium gouvernement ministère gobierno ministerio".split()
)
_NOBODY = OPENERS | {"i", "he", "she", "they", "we", "it", "who", "him", "her", "them", "the", "both", "others"}


@dataclass(frozen=True, slots=True)
class Quote:
    """Something to check: ``text[start:end]`` of the text given.

    ``speaker`` is to whom the text attributes it, ``negated`` whether a negation stands right beside it in the text.
    ``inner`` is the sentence without the words that tell who said it. ``short`` are quotations in a sentence that are
    too short to be checked by themselves.
    """

    start: int
    end: int
    kind: QuoteKind
    speaker: str | None = None
    negated: bool = False
    inner: "Quote | None" = None
    short: tuple[tuple[int, int], ...] = ()


def count_words(text: str) -> int:
    """Return how many words a text has; of scripts without blanks, two characters count as one.

    >>> count_words("Don’t go – now!"), count_words("渡轮从五月起")
    (4, 3)
    """
    unspaced = len(_UNSPACED.findall(text))
    return unspaced // 2 + len(_WORD.findall(_UNSPACED.sub(" ", text) if unspaced else text))


def find_quotes(text: str) -> list[Quote]:
    """Return what a text quotes, in its order: each quotation, and each sentence without one.

    A quotation of fewer than MIN_WORDS words may be emphasis, so that the sentence around it is returned, with it.
    """
    quotations = _quotations(text)
    long = [span for span in quotations if count_words(text[slice(*span)]) >= MIN_WORDS]
    short = [span for span in quotations if count_words(text[slice(*span)]) < MIN_WORDS]
    ends = [0, *(end for _, end in long)]
    found = [_attributed(text, start, end, before) for (start, end), before in zip(long, ends, strict=False)]
    sentences: list[Quote] = []
    firsts, short_firsts = [start for start, _ in long], [start for start, _ in short]
    language = guess_language(text)
    for start, end in _paragraphs(text):
        for first, last in sentence_spans(text, start, end, language):
            at = bisect_right(firsts, last - 1)
            if at and long[at - 1][1] > first:
                continue
            inside = short[bisect_right(short_firsts, first - 1) : bisect_right(short_firsts, last - 1)]
            if at and found[at - 1].speaker == text[first:last].strip(f"{_EDGE}()—–-.,"):
                continue  # who said it
            if any(map(str.isalnum, text[first:last])):
                sentences.append(_sentence(text, first, last, tuple(inside)))
    return sorted([*found, *sentences], key=lambda quote: quote.start)


def name_words(name: str) -> list[str]:
    """Return the words of a name that tell one person from another, in small letters."""
    words = [word.strip(".,'’()") for word in re.sub(r"\(.*?\)", "", name).casefold().split()]
    return [word for word in words if word and word not in HONORIFICS | ROLES | PARTICLES | OPENERS]


def is_same_person(name: str, other: str) -> bool | None:
    """Return whether two names are of one person; None if that cannot be told, as of "the chair" and "Ilse Kern".

    >>> is_same_person("Ms Kern", "Ilse Kern"), is_same_person("Bo Lind", "Ilse Kern"), is_same_person("Chair", "Bo")
    (True, False, None)
    """
    if name.casefold() == other.casefold():
        return True
    words, others = name_words(name), name_words(other)
    if not words or not others or any(map(str.isdecimal, [*"".join(words), *"".join(others)])):
        return None
    if set(words) <= set(others) or set(others) <= set(words):
        return True
    for short, full in ((words, others), (others, words)):
        if len(short) == 1 and len(full) > 1 and short[0] == "".join(word[0] for word in full):  # initials
            return True
    if words[-1] == others[-1]:
        both_given = words[0] in GIVEN_NAMES and others[0] in GIVEN_NAMES
        if 1 in (len(words[0]), len(others[0])):  # "I. Kern"
            return words[0][0] == others[0][0]
        return False if both_given else None
    return False


def _quotations(text: str) -> list[tuple[int, int]]:
    """Return the offsets of what stands in quotation marks, without them and the blanks beside them."""
    paragraphs = list(_paragraphs(text, lines=False))
    spans: list[tuple[int, int]] = []
    for number, (start, end) in enumerate(paragraphs):
        marks = [match.start() for match in _MARK.finditer(text, start, end)]
        following = text[paragraphs[number + 1][0]] if number + 1 < len(paragraphs) else ""
        double = list(_closed(text, (at for at in marks if text[at] not in _SINGLE), end, following))
        single = list(_closed(text, marks, end, "", single=True))
        # British: 'outer "inner" quotation'. A single mark inside of another quotation is nested in it.
        outer = [(first, last) for first, last in single if not _within(first, double) and not _within(last, double)]
        spans += sorted([*outer, *((first, last) for first, last in double if not _within(first, outer))])
    return [trimmed for span in spans if (trimmed := _trimmed(text, *span))]


def _within(at: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Return whether an offset lies in one of these disjoint, ascending spans."""
    number = bisect_right(spans, at, key=lambda span: span[0])
    return number > 0 and at < spans[number - 1][1]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    inside = text[start:end]
    start, end = start + len(inside) - len(inside.lstrip()), end - len(inside) + len(inside.rstrip())
    return (start, end) if start < end else None


def _closed(
    text: str, marks: "Iterator[int] | Sequence[int]", end: int, following: str, single: bool = False
) -> Iterator[tuple[int, int]]:
    """Yield what stands between an opening mark and the one that closes it, in one paragraph that ends at ``end``.

    A quotation over several paragraphs opens in each of them, and closes in the last: ``following`` is the character
    that the next one begins with.
    """
    opened: int | None = None
    marks = list(marks)
    # What opens with a curly mark closes with a straight one only where there is no curly one.
    curly = any(text[at] == "”" or (text[at] == "“" and not _may_open(text, at)) for at in marks)
    for at in marks:
        mark = text[at]
        straight = mark == '"' and curly and opened is not None and text[opened] in "“„"
        if opened is not None and mark in _CLOSING[text[opened]] and _may_close(text, at) and not straight:
            # An apostrophe behind a plural is no end: 'the boys' boats were lost'.
            if not single or count_words(text[opened + 1 : min(at, opened + 60)]) >= MIN_WORDS:
                yield opened + 1, at
                opened = None
        elif (
            mark in _CLOSING
            and (mark in _SINGLE) == single
            and _may_open(text, at)
            and (opened is None or mark == text[opened])
        ):
            opened = at
    if opened is not None and text[opened] in "“„«" and following == text[opened]:
        yield opened + 1, end


def _may_open(text: str, at: int) -> bool:
    before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    return not before.isalnum() and bool(after) and (text[at] == "«" or not after.isspace())


def _may_close(text: str, at: int) -> bool:
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    return not after.isalnum() and (text[at] == "»" or not before.isspace())


def _paragraphs(text: str, lines: bool = True) -> Iterator[tuple[int, int]]:
    """Yield the paragraphs of a text: blank lines part them; with ``lines``, so do items of a list and turns."""
    start = end = at = 0
    for line in text.splitlines(keepends=True):
        blank = not line.strip()
        item = _ITEM.match(line) if lines and not blank else None
        begins = item or (lines and _LABEL.match(line[:200]))
        if (blank or begins) and start < end:
            yield start, end
            start = end
        if not blank:
            if start == end:
                start = at + (item.end() if item else 0)
            end = at + len(line)
        else:
            start = end = at + len(line)
        at += len(line)
    if start < end:
        yield start, end


def _attributed(text: str, start: int, end: int, before: int) -> Quote:
    """Return a quotation with whom the words around it say has said it; ``before`` is where the last one ended."""
    in_front = text[max(before, start - _BEFORE) : start].rstrip(_EDGE)
    lead = text[max(before, start - _BEFORE) : start]
    lead = lead[: len(lead.rstrip("\"“”„«»‘’‚'‹›"))] if lead[-1:] in _CLOSING else lead
    lead = re.split(r"\n\s*\n", lead)[-1]
    tail = re.split(r"\n\s*\n", text[end : end + _AFTER])[0].lstrip("\"“”„«»‘’‚'‹› \t\u00a0")
    speaker = _first_name(_IN_FRONT, lead, search=True) or _first_name(_BEHIND, tail, search=False)
    if speaker is None and before:
        speaker = _first_name(_BETWEEN, lead.lstrip(_EDGE + ",."), search=False)
    ended = text[end - 1] in ".!?…"
    negated = bool(NEGATION.search(" ".join(in_front.split()[-3:]))) or bool(not ended and NEGATION.match(tail))
    return Quote(start, end, QuoteKind.QUOTATION, speaker, negated)


def _first_name(patterns: Sequence[re.Pattern[str]], text: str, search: bool) -> str | None:
    for pattern in patterns:
        match = pattern.search(text) if search else pattern.match(text)
        if match and (person := _person(match["name"])):
            return person
    return None


def _person(name: str) -> str | None:
    """Return a name without small words in front of it; None if it says nobody, by name or by role.

    Behind an article stands a role ("The Chair") or a noun that is none ("Der Rat").
    """
    words = name.split()
    first = words[0].casefold()
    while words and words[0].casefold() in _NOBODY:
        words = words[1:]
    name = " ".join(words).rstrip(".,")
    own = name_words(name)
    is_none = not name or (first in _ARTICLES and own) or not set(own).isdisjoint(_ORGANISATIONS)
    return None if is_none or (own and set(own) <= FIELDS) else name


def _sentence(text: str, start: int, end: int, short: tuple[tuple[int, int], ...]) -> Quote:
    """Return a sentence without stray quotation marks around it; ``short`` are quotations of few words in it."""
    if (start == 0 or text[start - 1] in "\r\n") and (mark := _MAIL.match(text, start, end)):
        start = mark.end()
    sentence = text[start:end]
    if not short:
        kept = sentence.strip(_EDGE)
        # Inside a word's edge it is an apostrophe: "the boys'".
        start, end = (start + sentence.index(kept), start + sentence.index(kept) + len(kept)) if kept else (start, end)
    inner = None
    if label := _LABEL.match(text[start : min(end, start + 200)]):
        if (person := _person(label["name"])) and (span := _trimmed(text, start + label.end(), end)):
            inner = Quote(*span, QuoteKind.SENTENCE, person)
    else:
        tail = max(start, end - 120)
        said = next(filter(None, (pattern.search(text[tail:end]) for pattern in _SAID_BEHIND)), None)
        if said and (person := _person(said["name"])) and tail + said.start() > start:
            inner = Quote(start, tail + said.start(), QuoteKind.SENTENCE, person)
    return Quote(start, end, QuoteKind.SENTENCE, inner=inner, short=short)
