"""Compares a quotation with what a document says, word by word.

A text becomes tokens: words, and marks one by one. Two tokens are the same if they differ in typography alone, which
changes no id of a citation (``plain_typography``). Everything else says something: case, digits, signs, accents.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import Match as Block
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from sourceline.citations.quoting import NEGATION
from sourceline.text import plain_typography
from sourceline.types import Difference, Passage, Span

ELLIPSIS = "..."
MAX_STANDS_FOR = 12  # words of the document that words in brackets may stand for
MAX_INSERTED = 12  # words in such brackets
_JOINT = "[]"  # the key of what stands for words that are left out; no token's own
_STRAY = 6  # tokens between a few that agree by chance and what is compared
_OUTER = {"«": "«", "»": "»", "‹": "«", "›": "»"}  # which have blanks inside in French
_EMPHASIS = ("*", "_", "`")
_HYPHENS = ("-", "‐", "‑")
_LONG_WORD = 64  # characters, of which nothing is remembered
_MAX_LETTERS = 3  # letters in brackets, as in "[T]he", whose case may be either

# Scripts without blanks: a token a character.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"\.{{3}}|[{_UNSPACED}]|[^\W_{_UNSPACED}]+|[^\w\s]|_")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_SPACE = re.compile(r"\s*")
_LINE_START = re.compile(r"(?:\A|[\r\n])[\s>\ufeff]*$")
_CUT = re.compile(r"[ \t]*[\r\n]\s*")
# Marks that turn the direction of what is shown: "12" is seen as "21".
_OVERRIDES = re.compile("[\u202d\u202e]")


class Token(NamedTuple):
    """A word or a mark of a text: ``text[start:end]``.

    ``key`` is what it has in common with its like in other typography, ``raw`` how it is compared in the end, ``space``
    whether white space stands in front of it. ``cut`` is true of a hyphen at the end of a line, ``either`` of a word
    whose first letter may be of either case.
    """

    key: str
    start: int
    end: int
    raw: str
    space: bool
    cut: bool = False
    either: bool = False

    @property
    def is_word(self) -> bool:
        """Whether it is more than a mark."""
        return any(map(str.isalnum, self.key))

    @property
    def is_number(self) -> bool:
        """Whether it begins with a digit, or with a fraction."""
        return self.key[0].isnumeric() and not self.is_unspaced

    @property
    def is_unspaced(self) -> bool:
        """Whether it is of a script that is written without blanks."""
        return bool(_IS_UNSPACED.match(self.key))

    def with_other_case(self) -> "Token":
        """Return the word with its first letter in the other case."""
        return self._replace(
            key=self.key[0].swapcase() + self.key[1:], raw=self.raw[0].swapcase() + self.raw[1:], either=False
        )

    @property
    def ends_sentence(self) -> bool:
        """Whether it can be the last mark of a sentence."""
        return self.key in (".", "!", "?", "...")


@dataclass(frozen=True, slots=True)
class Joint:
    """What a quotation has between two of its pieces: an ellipsis, or words in brackets that stand for others."""

    start: int
    end: int
    inserted: str | None  # None for an ellipsis


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive passages of one document, and the tokens of all of them with offsets into the document's text.

    ``text`` is that of the document from the first passage to the last, with what stands between them.
    """

    passages: tuple[Passage, ...]
    title: str
    tokens: tuple[Token, ...]
    text: str

    @classmethod
    def of(cls, passages: Sequence[Passage], gaps: Sequence[str], title: str, raw: bool = False) -> "Stretch":
        """Return a stretch of passages; ``gaps`` are the texts in front of each.

        With ``raw``, what a passage does not say has tokens as well, such as the target of a link.
        """
        tokens: list[Token] = []
        for passage, gap in zip(passages, gaps, strict=True):
            own = tokenize(passage.text, passage.start, () if raw else passage.gaps)
            tokens += [own[0]._replace(space=bool(gap)), *own[1:]] if own else []
        first, *rest = passages
        text = first.text + "".join(gap + passage.text for gap, passage in zip(gaps[1:], rest, strict=True))
        return cls(tuple(passages), title, tuple(tokens), text)

    def owner(self, at: int) -> int:
        """Return in which of the passages the token with this number stands."""
        return bisect_right(self.passages, self.tokens[at].start, key=lambda passage: passage.start) - 1

    def limits(self, at: int) -> tuple[int, int]:
        """Return the tokens of the passage in which this one stands: the first, and the last, exclusive."""
        passage = self.passages[self.owner(at)]
        first = bisect_left(self.tokens, passage.start, key=lambda token: token.start)
        return first, bisect_left(self.tokens, passage.end, key=lambda token: token.start)

    def begins_passage(self, at: int) -> bool:
        """Return whether no word of its passage stands in front of the token with this number."""
        return not any(token.is_word for token in self.tokens[self.limits(at)[0] : at])

    def slice(self, start: int, end: int) -> str:
        """Return a stretch of the document's text."""
        first = self.passages[0].start
        return self.text[start - first : end - first]

    def words_between(self, first: int, last: int) -> str:
        """Return the text of the tokens from number ``first`` to ``last``, exclusive."""
        return self.slice(self.tokens[first].start, self.tokens[last - 1].end) if first < last else ""


def tokenize(text: str, offset: int = 0, gaps: Sequence[tuple[int, int]] = ()) -> list[Token]:
    """Return the tokens of a text, with ``offset`` added to where they stand; those in ``gaps`` are left out.

    >>> [token.key for token in tokenize("“Don’t…”")]
    ['"', 'Don', "'", 't', '...', '"']
    """
    tokens: list[Token] = []
    extended: set[int] = set()  # tokens of which more has been found
    end = 0
    joins = space = False  # whether letters belong to the token before: behind an accent, or what cannot be seen
    for match in _TOKEN.finditer(text):
        piece, start = match[0], match.start()
        adjacent = start == end and bool(tokens) and not space
        space, end = space or start > end, match.end()
        mark = len(piece) == 1 and _is_mark(piece)
        if adjacent and (mark or (joins and piece[0].isalnum() and tokens[-1].is_word)):
            tokens[-1] = tokens[-1]._replace(end=end)
            extended.add(len(tokens) - 1)
            joins = mark
        elif not (mark and unicodedata.category(piece) == "Cf") and not _is_markup(text, start, end):
            tokens.append(_token(text, start, end, space))
            joins = space = False
    for number in extended:
        token = tokens[number]
        raw = text[token.start : token.end]
        tokens[number] = token._replace(raw=raw, key=_key(raw))
    kept: list[Token] = []
    space = False
    for token in tokens:
        space = space or token.space
        if not any(first <= token.start < last for first, last in gaps):
            kept.append(token._replace(start=token.start + offset, end=token.end + offset, space=space))
            space = False
    return kept


def _token(text: str, start: int, end: int, space: bool) -> Token:
    piece = text[start:end]
    cut = piece in _HYPHENS and not space and bool(_CUT.match(text, end))
    key, raw = (piece if piece.isascii() else _key(piece)), piece
    if key in ("'", '"') and not _in_word(text, start, end):
        key, raw = '"', _OUTER.get(piece, '"')  # quotation marks in quotation marks are of the other kind
    return Token(key, start, end, raw, space, cut)


def _key(piece: str) -> str:
    return _short_key(piece) if len(piece) < _LONG_WORD else plain_typography(piece)


@lru_cache(8192)
def _short_key(piece: str) -> str:
    return plain_typography(piece)


def _is_markup(text: str, start: int, end: int) -> bool:
    """Return whether this is a mark of Markdown's emphasis, or one in front of a line of a quotation, as in mail."""
    if text[start:end] in _EMPHASIS:
        around = text[max(0, start - 3) : start].rstrip("*_`")[-1:], text[end : end + 3].lstrip("*_`")[:1]
        # "snake_case", "2*3" and "2 * 3" have none.
        return around[0].isalnum() != around[1].isalnum()
    return (
        text[start:end] == ">"
        and bool(_LINE_START.search(text, max(0, start - 80), start))
        and not _compares(text, end)
    )


def _is_mark(character: str) -> bool:
    """Return whether a character is an accent or cannot be seen, and belongs to the letter before it."""
    if character.isascii() or _OVERRIDES.match(character):
        return False
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")


def _compares(text: str, end: int) -> bool:
    """Return whether a ">" is a sign in front of a number: "> 5 %"."""
    at = _SPACE.match(text, end)
    after = text[at.end() : at.end() + 1] if at else ""
    return after.isnumeric() or after in tuple("+-−–$€£¥.,=")


def _in_word(text: str, start: int, end: int) -> bool:
    """Return whether a quotation mark is an apostrophe or a prime: between letters, or behind a digit."""
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    return (before.isalnum() and after.isalnum()) or before.isdigit()


def resolve_cuts(tokens: Sequence[Token], others: Sequence[Token]) -> Sequence[Token]:
    """Return tokens with each word that is cut at the end of a line put together, if ``others`` have it so.

    Nothing tells whether a hyphen at the end of a line is the word's own.
    """
    if not any(token.cut for token in tokens):
        return tokens
    known = {token.key for token in others}
    result: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.cut and result and at + 1 < len(tokens) and result[-1].key + tokens[at + 1].key in known:
            before, after = result[-1], tokens[at + 1]
            key = before.key + after.key
            result[-1] = before._replace(key=key, end=after.end, raw=key)
            at += 2
        else:
            result.append(token)
            at += 1
    return result


def split_at_joints(tokens: Sequence[Token], text: str) -> tuple[list[list[Token]], list[Joint]]:
    """Return the pieces of a quotation between its ellipses and insertions, and these.

    There is one piece more than joints; the first and the last may be empty. ``[T]he`` is no joint but a word.
    """
    pieces: list[list[Token]] = [[]]
    joints: list[Joint] = []
    at = 0
    while at < len(tokens):
        length, inserted = _joint_at(tokens, at, text)
        if length:
            joints.append(Joint(tokens[at].start, tokens[at + length - 1].end, inserted))
            pieces.append([])
            at += length
            # Four full stops are an ellipsis and the end of a sentence.
            while inserted is None and at < len(tokens) and tokens[at].key in (".", ",") and not tokens[at].space:
                at += 1
        elif letter := _letter_at(tokens, at):
            pieces[-1].append(letter)
            at += 4 if letter.end > tokens[at + 2].end else 3
        else:
            pieces[-1].append(tokens[at])
            at += 1
    return pieces, joints


def _joint_at(tokens: Sequence[Token], at: int, text: str) -> tuple[int, str | None]:
    """Return how many tokens a joint has that begins here, 0 if none does, and what it inserts."""
    keys = [token.key for token in tokens[at : at + 5]]
    if keys[:1] == [ELLIPSIS]:
        return 1, None
    if keys[:3] == [".", ".", "."]:
        return 3, None
    if keys[:1] not in (["["], ["("]):
        return 0, None
    closing = "]" if keys[0] == "[" else ")"
    if keys[1:3] == [ELLIPSIS, closing]:
        return 3, None
    if keys[1:5] == [".", ".", ".", closing]:
        return 5, None
    if keys[0] == "(" or _letter_at(tokens, at):
        return 0, None
    for last in range(at + 1, min(at + 2 * MAX_INSERTED, len(tokens))):
        if tokens[last].key == "]":
            return last - at + 1, text[tokens[at].end : tokens[last].start]
        if tokens[last].key == "[":
            break
    return 0, None


def _letter_at(tokens: Sequence[Token], at: int) -> Token | None:
    """Return the word that begins here with a letter in brackets: "[T]he"."""
    if at + 3 > len(tokens):
        return None
    opening, letter, closing = tokens[at : at + 3]
    behind = tokens[at + 3] if at + 3 < len(tokens) else None
    if opening.key != "[" or closing.key != "]" or len(letter.key) != 1 or not letter.key.isalpha():
        return None
    if at and not opening.space and tokens[at - 1].is_word:
        return None  # "the[y]" puts a letter in
    if behind and not behind.space and behind.is_word and behind.key[0].islower():
        word = letter.key + behind.key
        return Token(word, opening.start, behind.end, word, opening.space, either=True)
    if letter.key in ("A", "a", "I"):  # "[A] committee"
        return Token(letter.key, opening.start, closing.end, letter.key, opening.space, either=True)
    return None


def variants(piece: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield a piece with each letter in brackets as it is, and in the other case."""
    marked = [at for at, token in enumerate(piece) if token.either][:_MAX_LETTERS]
    for choice in product((False, True), repeat=len(marked)):
        result = list(piece)
        for at, swap in zip(marked, choice, strict=True):
            if swap:
                result[at] = piece[at].with_other_case()
        yield result


def occurrences(piece: Sequence[Token], tokens: Sequence[Token], first: int = 0) -> Iterator[tuple[int, int]]:
    """Yield where a piece stands among tokens, from number ``first`` on: first and last, exclusive."""
    keys = [token.key for token in piece]
    length = len(keys)
    for at in range(first, len(tokens) - length + 1):
        agree = tokens[at].key == keys[0] and all(tokens[at + n].key == keys[n] for n in range(1, length))
        if agree and _plain(piece) == _plain(tokens[at : at + length]):
            yield at, at + length


def _plain(tokens: Sequence[Token]) -> str:
    """Return the text of tokens but for its typography."""
    text = "".join(f" {token.raw}" if token.space else token.raw for token in tokens)
    return plain_typography(text.strip())


def wording(tokens: Sequence[Token], text: str) -> str:
    """Return what tokens of a text say, with words like "[T]he" without their brackets."""
    pieces = (
        (" " if token.space and at else "") + (token.key if token.either else text[token.start : token.end])
        for at, token in enumerate(tokens)
    )
    return "".join(pieces)


def negation_in(text: str) -> bool:
    """Return whether a text negates something."""
    return bool(NEGATION.search(text))


def differences(
    quote: Sequence[Token], source: Sequence[Token], quote_text: str, stretch: Stretch
) -> tuple[float, list[Difference], tuple[int, int]] | None:
    """Return how alike a quotation and the nearest part of a stretch are, what differs, and which tokens that part is.

    The likeness is the share of words that both have in order. None if they have no word in common.
    """
    keys = [token.key for token in quote]
    matcher = SequenceMatcher(None, keys, [token.key for token in source], autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    blocks = _without_strays(blocks)
    if not any(quote[block.a + n].is_word for block in blocks for n in range(block.size)):
        return None
    first, last = blocks[0], blocks[-1]
    # What the quotation has before and behind is held against as many words of the document.
    begin = max(0, first.b - first.a)
    rest = len(quote) - last.a - last.size
    finish = min(len(source), last.b + last.size + rest)
    found: list[Difference] = []
    left_out: list[Difference] = []
    at_quote, at_source = 0, begin
    for block in [*blocks, None]:
        a, b = (block.a, block.b) if block else (len(quote), finish)
        if (at_quote, at_source) != (a, b):
            joint = [token for token in quote[at_quote:a] if token.key == _JOINT]
            span, place = span_of(quote, at_quote, a), span_of(source, at_source, b)
            differing = Difference(
                span, place, quote_text[span.start : span.end], stretch.slice(place.start, place.end)
            )
            (left_out if joint and a - at_quote == 1 else found).append(differing)
        if block:
            at_quote, at_source = a + block.size, b + block.size
    if not found:  # the same words and marks, with other blanks between them
        found = list(_other_blanks(quote, source, blocks, quote_text, stretch)) or left_out
    agreeing = sum(quote[block.a + n].is_word for block in blocks for n in range(block.size))
    words = sum(t.is_word and t.key != _JOINT for t in quote) + sum(t.is_word for t in source[begin:finish])
    return 2 * agreeing / words, found, (begin, finish)


def _other_blanks(
    quote: Sequence[Token], source: Sequence[Token], blocks: Sequence[Block], quote_text: str, stretch: Stretch
) -> Iterator[Difference]:
    """Yield what has a blank in one of two texts alone: "- 5" and "-5"."""
    for block in blocks:
        for n in range(1, block.size):
            pairs = (quote[block.a + n - 1 : block.a + n + 1], source[block.b + n - 1 : block.b + n + 1])
            if _plain(pairs[0]) != _plain(pairs[1]):
                span, place = (Span(pair[0].start, pair[1].end) for pair in pairs)
                yield Difference(span, place, quote_text[span.start : span.end], stretch.slice(place.start, place.end))


def _without_strays(blocks: list[Block]) -> list[Block]:
    """Return the matching blocks without single tokens at either end that stand far from the others."""
    while len(blocks) > 1:
        sizes = (blocks[0].size, blocks[-1].size)
        gaps = (blocks[1].b - blocks[0].b - blocks[0].size, blocks[-1].b - blocks[-2].b - blocks[-2].size)
        if sizes[0] < 3 and gaps[0] > _STRAY:
            blocks = blocks[1:]
        elif sizes[1] < 3 and gaps[1] > _STRAY:
            blocks = blocks[:-1]
        else:
            break
    return blocks


def span_of(tokens: Sequence[Token], first: int, last: int) -> Span:
    """Return where tokens stand; where there are none, the place in front of the next one."""
    if first < last:
        return Span(tokens[first].start, tokens[last - 1].end)
    at = tokens[first].start if first < len(tokens) else tokens[-1].end
    return Span(at, at)


def joint_token(joint: Joint) -> Token:
    """Return a token that stands for what a quotation leaves out, and agrees with nothing."""
    return Token(_JOINT, joint.start, joint.end, _JOINT, True)
