"""Cuts speech without punctuation, as automatic captions write it, into stretches that can be read and cited.

The cuts are made from left to right, and each depends on the next few hundred characters alone: what is said later does
not move them, so that citations survive.
"""

import itertools
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from enum import IntEnum

from sourceline.ingest.abbreviations import FUNCTION_WORDS
from sourceline.types import Cue

MAX_CHARACTERS = 200  # of a stretch, unless one word is longer
TARGET_CHARACTERS, MIN_CHARACTERS = 120, 40
# A sentence that begins with a capital and ends like one is cut only if it is longer than this; one with punctuation
# inside only if it is longer than that.
MAX_SENTENCE, MAX_PUNCTUATED = 500, 1_000
PAUSE_SECONDS = 0.7
MIN_UTTERANCE = 20  # characters before a pause
_LONG_WORD = 40  # of a longer one (an address, a hash) no more characters are counted

Spans = Sequence[tuple[int, int]]

_MARK = re.compile(r"[;!?…()\[\]{}\"“”„«»|—–、。，．：；！？「」『』（）《》【】،؛؟۔।॥•]|[,.:](?=\W|$)|(?<=\s)-(?=\s)")
_ENDS_SENTENCE = re.compile(r"[.!?;:…。！？।؟۔][\"'”’»)\]」』*_]*$")
# Thai, Lao, Tibetan, Burmese, Khmer, Japanese and Chinese have no blanks between words. Thai and Lao vowels that are
# written in front of their consonant stay with it.
_UNSPACED = "\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_PLACE = re.compile(rf"\s+|(?<=[{_UNSPACED}])(?<![เแโใไເແໂໃໄ])(?=[{_UNSPACED}])(?![ーっゃゅょッャュョๆฯะาำๅະາຳ々〻])")
_WORD_BEFORE = re.compile(r"([^\W\d_]+)\s*$")

_ENGLISH = (
    r"(?:i|we|you|he|she|it|they)(?:['’](?:m|s|re|ve|ll|d))?|there(?:['’]s)?|this|that(?:['’]s)?|these|those|let['’]s"
    r"|some(?:body|one)|every(?:body|one)|nobody|what|who|how|where|why"
)
_GERMAN = r"ich|wir|ihr|er|sie|es|man|das|dies|da|dort|hier|jetzt|jemand|alle|niemand|keiner"
# What opens a clause, by language: a word that hardly stands inside one, or one in front of a subject.
_OPENS_CLAUSE = {
    "en": rf"(?:and|so|then|well|also|now|plus)\s+(?:{_ENGLISH}|then|so|yeah|okay|ok|also|now|well|anyway)\b"
    rf"|(?:but|because|cause|cos|okay|ok|yeah|anyway|anyways|however|otherwise|meanwhile|actually)\b"
    rf"|well\s+(?:the|an?|my|our)\b|(?:so|also|then)\s+(?:the|my|our|next|if|when)\b|next\s+(?:item|point|thing|up)\b",
    "de": rf"(?:und|also|aber|dann|jetzt)\s+(?:{_GERMAN}|dann|danach|deshalb|außerdem|zwar|so)\b"
    r"|(?:und|also|aber)\s+(?:de[rmn]|die|eine?)\s+nächste\w*\b|(?:weil|außerdem|deshalb|deswegen|danach|jedenfalls"
    r"|trotzdem|okay|obwohl|genau)\b|(?:also|aber)\s+(?:de[rmn]|die|eine?|bei|im|in|mit|wenn)\b"
    r"|dann\s+(?:habe?n?|hat|hatten?|ist|sind|waren?|wird|werden|kommt|kam|gibt|gab|muss|müssen|kann|können|sollen?)\b",
    "fr": r"(?:et|mais|donc|alors)\s+(?:je|on|nous|vous|ils?|elles?|puis|après|ensuite|ça|c['’]est|là)\b"
    r"|j['’]ai\b|(?:mais|parce|puis|ensuite|donc|alors|voilà|bon)\b",
    "es": r"(?:y|pero)\s+(?:yo|nosotros|él|ella|ellos|luego|después|entonces|también|hay|así)\b"
    r"|(?:pero|porque|entonces|luego|además|bueno|así\s+que)\b",
    "it": r"(?:e|ma)\s+(?:io|noi|lui|lei|loro|poi|allora|quindi|c['’]è)\b|(?:ma|perché|quindi|allora|poi|inoltre)\b",
    "pt": r"(?:e|mas)\s+(?:eu|nós|ele|ela|eles|depois|então|aí|também|há)\b|(?:mas|porque|então|depois|além)\b",
    "nl": r"(?:en|maar|dus)\s+(?:ik|we|wij|hij|zij|ze|het|toen|dan|er|dat)\b|(?:maar|omdat|want|dus|daarna)\b",
    "ru": r"(?:и|а|но)\s+(?:я|мы|он|она|они|потом|затем|тогда|это)\b|(?:но|потому|поэтому|затем|потом|однако)\b",
    "ar": r"(?:ثم|لكن|ولكن|لأن|لأنه|وبعد|وهذا|وقال|أيضا)\b",
    "hi": r"(?:और\s+(?:फिर|मैं|हम|वह|वे|यह)|लेकिन|क्योंकि|इसलिए|फिर|तो)(?=\s)",
    "zh": r"然后|但是|可是|所以|因为|那么|还有|另外|接着|而且|不过|于是|下一|後來|然後|因為|還有",
    "ja": r"そして|それで|それから|でも|しかし|だから|ですから|次に|また|ただ|あと(?=[はで])|なので",
    "th": r"แล้ว|แต่|และ|เพราะ|ดังนั้น|หลังจาก|ส่วน|ต่อไป",
}
_OPENERS = {language: re.compile(pattern, re.IGNORECASE) for language, pattern in _OPENS_CLAUSE.items()}
_JOINS = re.compile(r"(?i)(?:and|so|then|if|when|while|which|und|oder|wenn|dass|et|ou|y|o|e|en|и|और)\b")
# Words that another must follow.
_NEVER_LAST = FUNCTION_WORDS | set("but so that which who what how i we they he she aber dass mais pero que".split())
# Japanese predicates end so, and what follows a particle is another word.
_ENDS_JAPANESE_CLAUSE = re.compile(r"(?:です|ます|ました|でした|ません|った|んだ)(?:[ねよが]|けど|から)?$")
_ENDS_JAPANESE_WORD = re.compile(r"[\u3040-\u309f]$")


class _Fit(IntEnum):
    """How good a place is to cut at."""

    TEARS = 0  # behind "the" or "of"
    SPACE = 1
    JOINT = 2  # in front of "and", which may join two words
    CLAUSE = 3
    MARK = 4


def readable_stretches(
    text: str, start: int, end: int, language: str = "en", cues: Sequence[Cue] = (), gaps: Spans = ()
) -> Iterator[tuple[int, int]]:
    """Yield ``text[start:end]``, a sentence, in stretches of at most some 200 characters if it has no punctuation.

    It is cut at pauses of the speaker, else at the end of a cue, else at the best place: a mark, words that open a
    clause, a blank; in a script without blanks between characters. No word is cut. A sentence with punctuation stays
    whole.

    Args:
        text: the text of the document.
        start: where the sentence starts.
        end: where it ends.
        language: the ISO 639-1 code of its language.
        cues: when its parts were said, if that is known.
        gaps: stretches that are not read; nothing is cut inside them.

    >>> text = "so we went down to the harbour and the crane is bad " * 4 + "but the rope is good"
    >>> [text[start:end][-7:] for start, end in readable_stretches(text, 0, len(text))]
    [' is bad', 'is good']
    """
    if not _is_wall(text, start, end):
        yield start, end
        return
    stop = end  # behind the last letter or digit: no stretch is without one
    while not text[stop - 1].isalnum():
        stop -= 1
    for first, last in _utterances(text, start, end, stop, cues):
        while last - first > MAX_CHARACTERS:
            cut = _best_cut(text, first, min(last, stop), language, cues, gaps)
            if cut is None:
                break
            yield first, cut[0]
            first = cut[1]
        yield first, last


def in_gap(place: int, gaps: Spans) -> bool:
    """Return whether a place is inside one of ``gaps``, which are in order, or at its edge."""
    at = bisect_right(gaps, place, key=lambda gap: gap[0]) - 1
    return at >= 0 and place <= gaps[at][1]


def _is_wall(text: str, start: int, end: int) -> bool:
    """Return whether a sentence is none, but text that goes on and on."""
    if end - start <= MAX_CHARACTERS:
        return False
    if end - start <= MAX_SENTENCE and not text[start].islower() and _ENDS_SENTENCE.search(text[end - 10 : end]):
        return False
    first = start
    for mark in _MARK.finditer(text, start, end):
        if _is_bare(text[first : mark.start()]):
            return True
        first = mark.end()
    return end - start > MAX_PUNCTUATED or _is_bare(text[first:end])


def _is_bare(run: str) -> bool:
    """Return whether a run without punctuation is longer than a stretch may be, long words left out of account."""
    if len(run) <= MAX_CHARACTERS:
        return False
    if re.search(f"[{_UNSPACED}]", run):
        return True
    return sum(min(len(word), _LONG_WORD) + 1 for word in run.split()) > MAX_CHARACTERS


def _utterances(text: str, start: int, end: int, stop: int, cues: Sequence[Cue]) -> Iterator[tuple[int, int]]:
    """Yield what stands between pauses."""
    first = start
    at = bisect_right(cues, start, key=lambda cue: cue.end)
    for cue, following in itertools.pairwise(cues[at : bisect_left(cues, stop, key=lambda cue: cue.start)]):
        spoken_until, spoken_from = cue.time.end, following.time.start
        if spoken_until is None or spoken_from - spoken_until < PAUSE_SECONDS:
            continue
        before, after = following.start, following.start
        while text[before - 1].isspace() and before > first:
            before -= 1
        while text[after].isspace():
            after += 1
        if before - _first_word(text, first, end) >= MIN_UTTERANCE and after < stop and not _is_torn(text, before):
            yield first, before
            first = after
    yield first, end


def _best_cut(
    text: str, start: int, stop: int, language: str, cues: Sequence[Cue], gaps: Spans
) -> tuple[int, int] | None:
    """Return where the best place to cut starts and ends, or None if there is none."""
    best: tuple[int, int] | None = None
    best_key: tuple[bool, _Fit, int] | None = None
    least = _first_word(text, start, stop) + MIN_CHARACTERS
    for match in _PLACE.finditer(text, start + 1, stop):
        before, after = match.span()
        # Only where one word is too long, more of the text is looked at.
        if best and before > start + MAX_CHARACTERS:
            break
        if before < least or after >= stop or in_gap(before, gaps) or in_gap(after, gaps):
            continue
        if unicodedata.category(text[after])[0] == "M":  # an accent of the character before it
            continue
        fit = _fit(text, before, after, language)
        at = bisect_left(cues, before, key=lambda cue: cue.start)
        at_cue = fit > _Fit.TEARS and at < len(cues) and cues[at].start <= after
        key = (at_cue, fit, -abs(before - start - TARGET_CHARACTERS))
        if best_key is None or key > best_key:
            best, best_key = (before, after), key
    return best


def _fit(text: str, before: int, after: int, language: str) -> _Fit:
    """Return how good a place between ``before`` and ``after`` is."""
    if _MARK.match(text, before - 1):
        return _Fit.MARK
    if before < after and _is_torn(text, before):
        return _Fit.TEARS
    opener = _OPENERS.get(language, _OPENERS["en"])
    if opener.match(text, after) or (language == "ja" and _ENDS_JAPANESE_CLAUSE.search(text[before - 6 : before])):
        return _Fit.CLAUSE
    if _JOINS.match(text, after):
        return _Fit.JOINT
    if before == after and not (language == "ja" and _ENDS_JAPANESE_WORD.search(text[before - 1 : before])):
        return _Fit.TEARS
    return _Fit.SPACE


def _first_word(text: str, start: int, end: int) -> int:
    """Return where the first letter or digit stands."""
    return next((at for at in range(start, end) if text[at].isalnum()), end)


def _is_torn(text: str, end: int) -> bool:
    """Return whether another word must follow what ends here: "because of the"."""
    word = _WORD_BEFORE.search(text[max(0, end - 20) : end])
    return word is not None and word[1].lower() in _NEVER_LAST
