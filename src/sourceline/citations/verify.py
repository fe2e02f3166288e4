"""Says of every quotation in a text whether the documents say so: verbatim, reformatted, altered or absent, and where.

A whole sentence is looked up by its hash, over all documents. Part of one is looked for in the passages that have all
its words. What is found is held against the quotation token by token (``alignment``), so that nothing passes of which
a word, a sign or a digit is another. Only for the rest is something searched that is like it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sourceline.citations.alignment import (
    MAX_STANDS_FOR,
    Joint,
    Stretch,
    Token,
    differences,
    joint_token,
    negation_in,
    occurrences,
    resolve_cuts,
    span_of,
    split_at_joints,
    tokenize,
    variants,
    wording,
)
from sourceline.citations.base import CitationRecord
from sourceline.citations.quoting import MIN_WORDS, NEGATION, Quote, count_words, find_quotes, is_same_person
from sourceline.errors import QuestionError
from sourceline.index.base import PassageIndex
from sourceline.index.passage_store import NumberedPassage
from sourceline.ingest.sentences import sentence_spans
from sourceline.text import is_utf8, plain_typography, without_hyphens
from sourceline.types import CheckedQuote, Difference, QuotedPlace, QuoteKind, QuoteStatus, Span

MAX_PLACES = 10
NEAREST = 3  # passages that are shown for a quotation that is absent
# Of a quotation and what is nearest to it, this share of words must agree for it to be an altered one.
ALTERED = 0.6
MAX_JOINTS = 20  # ellipses and insertions of a quotation
REACH = 20  # passages that an ellipsis may leave out
# Passages with all the words of a part of a sentence that are looked at; more, if none of so many has it.
_HOLDING, _MORE_HOLDING = 50, 2_000
_BATCH = 1_000  # quotations that are looked up at once
_LIKE = 8  # passages that are compared with a quotation, by BM25
_COMPARED = 3  # of these, those with most of its words, word by word
_MAX_TOKENS = 1_000  # of a quotation, and of what it is compared with
_SEARCHED_CHARACTERS = 600
_SENTENCES = 5  # of a quotation by which it is searched
_ENDS = (".", ",")  # what American printers put inside quotation marks
_QUESTION = ("?", "!")
# What may stand beside a quotation without a blank. Anything else is a part of its first or last word, or changes it:
# "re-signed", "can't", "1,140", "−5", "10%".
_OPEN_BESIDE = frozenset(['"', "(", "[", "{", "*", "_", "—", "–", "...", "/", "¿", "¡", "#", "“"])
_CLOSE_BESIDE = frozenset(['"', ")", "]", "}", "*", "_", "—", "–", "...", "/", ",", ".", ";", ":", "!", "?"])
_IN_NUMBERS = frozenset([".", ",", ":", "/"])
# These change the number that they stand beside with a blank, too.
_SIGNS = frozenset("−+±<>≤≥≈~=€$£¥%‰°")
_CLOSERS = ('"', "'", ")", "]", "*", "_")
_NEGATES_LAST, _NEGATES_FIRST = (
    re.compile(rf"(?:{NEGATION.pattern.removeprefix('(?i)')})\W*$", re.IGNORECASE),
    re.compile(rf"\W*(?:{NEGATION.pattern.removeprefix('(?i)')})", re.IGNORECASE),
)
NUMBER = re.compile(
    r"(?i)\d+(?:[.,]\d+)*|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    r"|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand"
    r"|million|billion|half|third|quarter|dozen|twice|double|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf"
    r"|hundert|tausend|millionen?|deux|trois|quatre|cinq|sept|huit|neuf|dix|cent|mille)\b"
)

# Returns rows of passages that are like a text in what they say, best first.
Search = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A quotation as it is looked for: its tokens, its pieces between ``joints``, and the sentences of each."""

    quote: Quote
    tokens: list[Token]
    pieces: list[list[Token]]
    joints: list[Joint]
    sentences: tuple[str, ...]
    piece_sentences: tuple[tuple[str, ...], ...]
    inner: "_Prepared | None" = None


@dataclass(frozen=True, slots=True)
class _Pattern:
    """The pieces of a quotation that have words, as they are looked for in one stretch, with the joints around them."""

    pieces: list[list[Token]]
    before: Sequence[Joint]
    between: list[Sequence[Joint]]
    behind: Sequence[Joint]


@dataclass(frozen=True, slots=True)
class _Placement:
    """Where each piece of a quotation stands in a stretch: numbers of its first token and its last, exclusive.

    ``exact`` says that every character is the same, ``against`` what nevertheless makes it another quotation.
    """

    stretch: Stretch
    spans: tuple[tuple[int, int], ...]
    exact: bool
    omitted: tuple[Difference, ...] = ()
    against: tuple[Difference, ...] = ()

    @property
    def bounds(self) -> tuple[int, int]:
        """Where it begins and ends in the document's text."""
        return self.stretch.tokens[self.spans[0][0]].start, self.stretch.tokens[self.spans[-1][1] - 1].end

    def place(self) -> QuotedPlace:
        """Return it as it is told."""
        owners = {
            number
            for first, last in self.spans
            for number in range(self.stretch.owner(first), self.stretch.owner(last - 1) + 1)
        }
        start, end = self.bounds
        return QuotedPlace(
            passages=tuple(self.stretch.passages[number] for number in sorted(owners)),
            title=self.stretch.title,
            start=start,
            end=end,
            omitted=self.omitted,
        )


def verify(
    text: str, snapshot: PassageIndex, ledger: CitationRecord, search: Search, limit: int | None = None
) -> Iterator[CheckedQuote]:
    """Yield every quotation of a text, and every sentence without one, as it was checked.

    Args:
        text: any text.
        snapshot: whose documents it is checked against.
        ledger: the snapshot's.
        search: finds passages that are like a text in what they say; asked only for what nothing else finds.
        limit: the most that are checked.

    Raises:
        QuestionError: there are more than ``limit``, or the text holds half of a surrogate pair.
        LedgerError: the ledger cannot be read.
    """
    if not is_utf8(text):
        raise QuestionError("the text holds half of a surrogate pair")
    quotes = find_quotes(text)
    if limit is not None and len(quotes) > limit:
        raise QuestionError(f"the text has {len(quotes):,} quotations and sentences; at most {limit:,} are checked")
    return _Verifier(text, quotes, snapshot, ledger, search).run()


class _Verifier:
    def __init__(
        self, text: str, quotes: Sequence[Quote], snapshot: PassageIndex, ledger: CitationRecord, search: Search
    ) -> None:
        self._text, self._snapshot, self._search = text, snapshot, search
        self._passages, self._ledger, self._quotes = snapshot.passages, ledger, quotes
        # Sentences that stand in the snapshot, and those that stood in an earlier one, whatever their typography.
        self._whole: dict[str, list[NumberedPassage]] = {}
        self._earlier: dict[str, list[str]] = {}

    def run(self) -> Iterator[CheckedQuote]:
        for start in range(0, len(self._quotes), _BATCH):
            batch = [self._prepare(quote) for quote in self._quotes[start : start + _BATCH]]
            self._look_up(batch)
            for prepared in batch:
                yield from self._check(prepared)

    def _look_up(self, batch: Sequence[_Prepared]) -> None:
        """Look all sentences of some quotations up by their hashes."""
        self._whole, self._earlier = defaultdict(list), defaultdict(list)
        everything = [*batch, *(prepared.inner for prepared in batch if prepared.inner)]
        cited = list(self._ledger.with_texts(text for p in everything for text in _wordings(p)))
        now = self._passages.with_ids({passage.passage.id for passage in cited})
        for passage in cited:
            form = without_hyphens(passage.passage.text)
            if known := now.get(passage.passage.id):
                self._whole[form].append(known)
            else:
                self._earlier[form].append(passage.passage.id)
        for passages in self._whole.values():
            passages.sort(key=lambda passage: passage.number)

    def _prepare(self, quote: Quote) -> _Prepared:
        content = self._text[quote.start : quote.end]
        tokens = tokenize(content, quote.start)
        pieces, joints = split_at_joints(tokens, self._text)
        if len(joints) > MAX_JOINTS:
            pieces, joints = [tokens], []
        inner = self._prepare(quote.inner) if quote.inner else None
        sentences = (content,) if quote.kind is QuoteKind.SENTENCE else _sentences(content)
        if len(pieces) == 1 and not any(token.either for token in pieces[0]):
            return _Prepared(quote, tokens, pieces, joints, sentences, (sentences,), inner)
        in_pieces = tuple(_sentences(wording(piece, self._text)) if piece else () for piece in pieces)
        return _Prepared(quote, tokens, pieces, joints, sentences, in_pieces, inner)

    def _check(self, prepared: _Prepared) -> Iterator[CheckedQuote]:
        """Yield a quotation as it was checked; instead of a sentence that is not found, the short quotations in it."""
        quote = prepared.quote
        placements = self._placements(prepared)
        stands = any(not placement.against for placement in placements)
        if prepared.inner and not stands:
            yield self._checked(prepared.inner, self._placements(prepared.inner))
        elif quote.short and not stands:
            for start, end in quote.short:
                short = replace(quote, start=start, end=end, kind=QuoteKind.QUOTATION)
                yield self._told(short, QuoteStatus.TOO_SHORT)
        else:
            yield self._checked(prepared, placements)

    def _checked(self, prepared: _Prepared, placements: Sequence[_Placement]) -> CheckedQuote:
        quote = prepared.quote
        standing = [placement for placement in placements if not placement.against]
        if standing:
            return self._standing(quote, standing)
        if count_words(self._text[quote.start : quote.end]) < MIN_WORDS:
            return self._told(quote, QuoteStatus.TOO_SHORT)
        numbers: list[tuple[int, int]] = []
        if not placements:
            # Its words may be cut, or its sentences end elsewhere.
            sentences = [sentence for piece in prepared.piece_sentences for sentence in piece]
            numbers = self._like_in_words(sentences)
            placements = self._among(prepared, numbers, len(sentences))
            if standing := [placement for placement in placements if not placement.against]:
                return self._standing(quote, standing)
        if placements:
            best = min(placements, key=lambda placement: len(placement.against))
            agreeing = sum(token.is_word for token in prepared.tokens)
            differing = sum(max(count_words(d.quoted), count_words(d.text)) for d in best.against)
            likeness = agreeing / (agreeing + differing / 2)
            altered = self._told(quote, QuoteStatus.ALTERED, [best.place()], likeness, best.against)
        else:
            altered = self._nearest(prepared, numbers)
        earlier = self._earlier.get(without_hyphens(altered.text), ())
        places = altered.places if altered.status is QuoteStatus.ALTERED else ()
        wrong = self._wrong_speaker(quote.speaker, places)
        return replace(altered, earlier=tuple(dict.fromkeys(earlier)), wrong_speaker=wrong)

    def _wrong_speaker(self, name: str | None, places: Sequence[QuotedPlace]) -> tuple[str, ...]:
        """Return who says these places, if each is said by somebody else than who is named."""
        if not name or not all(self._said_by(name, place) is False for place in places):
            return ()
        return tuple(dict.fromkeys(speaker for place in places for speaker in place.speakers))[:MAX_PLACES]

    def _standing(self, quote: Quote, placements: Sequence[_Placement]) -> CheckedQuote:
        exact = any(placement.exact for placement in placements)
        places: dict[tuple[str, int, int], QuotedPlace] = {}
        for placement in sorted(placements, key=lambda placement: not placement.exact):
            place = placement.place()
            places.setdefault((place.passages[0].document_id, place.start, place.end), place)
        found = list(places.values())
        if name := quote.speaker:
            found.sort(key=lambda place: self._said_by(name, place) is not True)
        status = QuoteStatus.VERBATIM if exact else QuoteStatus.REFORMATTED
        return replace(self._told(quote, status, found), wrong_speaker=self._wrong_speaker(name, found))

    def _told(
        self,
        quote: Quote,
        status: QuoteStatus,
        places: Sequence[QuotedPlace] = (),
        likeness: float | None = None,
        differing: Sequence[Difference] = (),
    ) -> CheckedQuote:
        return CheckedQuote(
            kind=quote.kind,
            start=quote.start,
            end=quote.end,
            text=self._text[quote.start : quote.end],
            status=status,
            places=tuple(places[:MAX_PLACES]),
            place_count=len(places),
            similarity=likeness,
            differences=tuple(differing),
            speaker=quote.speaker,
        )

    def _said_by(self, name: str, place: QuotedPlace) -> bool | None:
        """Return whether somebody says all of a place; None if that cannot be told."""
        answers = []
        for passage in place.passages:
            speaker = passage.location.speaker
            same = is_same_person(name, speaker) if speaker else None
            if speaker and same is None:  # "the chair" is not Ilse Kern where both of them speak
                entry = self._passages.entry(passage.document_id)
                others = entry.speakers if entry else ()
                same = False if any(is_same_person(name, other) for other in others if other != speaker) else None
            answers.append(same)
        return False if False in answers else True if all(answers) else None

    # What stands in the documents

    def _placements(self, prepared: _Prepared) -> list[_Placement]:
        """Return where a quotation stands; also where all of its words do, but something makes it another."""
        if not any(token.is_word for token in prepared.tokens):
            return []
        whole = self._text[prepared.quote.start : prepared.quote.end]
        found = [
            placement
            for known in self._whole.get(without_hyphens(whole), ())
            for raw in ((False, True) if known.passage.gaps else (False,))
            for placement in self._match([prepared.tokens], (), _stretch([known], raw), prepared.quote)
        ]
        if found or count_words(whole) < MIN_WORDS:
            return found
        found = self._placed([prepared.tokens], (), (prepared.sentences,), prepared.quote)
        if prepared.pieces == [prepared.tokens] or any(not placement.against for placement in found):
            return found
        pieces = [piece for piece in prepared.pieces if any(token.is_word for token in piece)]
        if sum(token.is_word for piece in pieces for token in piece) < MIN_WORDS:
            return found
        return self._placed(prepared.pieces, prepared.joints, prepared.piece_sentences, prepared.quote) or found

    def _placed(
        self,
        pieces: Sequence[Sequence[Token]],
        joints: Sequence[Joint],
        sentences: Sequence[tuple[str, ...]],
        quote: Quote,
    ) -> list[_Placement]:
        longest = max(range(len(pieces)), key=lambda number: sum(token.is_word for token in pieces[number]))
        count = len(sentences[longest])
        seen: set[range] = set()
        found: dict[tuple[str, int, int], _Placement] = {}
        for numbers in self._holding(sentences[longest]):
            for number, at in numbers:
                first, spare = number - at, int(count > 1)  # a document may have its ends elsewhere
                around = self._within_document(number, first - spare, first + count + spare)
                if around in seen:
                    continue
                seen.add(around)
                stretch = _stretch(self._passages.numbered(around))
                if joints:  # only around what has the longest piece
                    if not any(self._match([pieces[longest]], (), stretch, quote)):
                        continue
                    around = self._within_document(number, around.start - REACH, around.stop + REACH)
                    stretch = _stretch(self._passages.numbered(around))
                for placement in self._match(pieces, joints, stretch, quote):
                    found.setdefault((stretch.passages[0].document_id, *placement.bounds), placement)
            if any(not placement.against for placement in found.values()):
                break
        return list(found.values())

    def _among(self, prepared: _Prepared, numbers: Iterable[tuple[int, int]], count: int) -> list[_Placement]:
        """Return where a quotation of so many sentences stands around some passages, one of which is its own."""
        pieces, joints = prepared.pieces, prepared.joints
        if not any(token.is_word for piece in pieces for token in piece):
            return []
        found: dict[tuple[str, int, int], _Placement] = {}
        for around in {self._within_document(n, n - at - 1, max(n + 2, n - at + count + 1)) for n, at in numbers}:
            stretch = _stretch(self._passages.numbered(around))
            for placement in self._match(pieces, joints, stretch, prepared.quote):
                found.setdefault((stretch.passages[0].document_id, *placement.bounds), placement)
        return [found[place] for place in sorted(found)]

    def _within_document(self, number: int, first: int, stop: int) -> range:
        """Return the numbers from ``first`` to ``stop`` that are of the same document as ``number``."""
        numbers = self._passages.document_of(number).numbers
        return range(max(numbers.start, first), min(numbers.stop, stop))

    def _holding(self, sentences: Sequence[str]) -> Iterator[list[tuple[int, int]]]:
        """Yield passages that may hold one of some consecutive sentences, each with the number of that sentence.

        First those that are one of them, then those with all the words of the longest, more of them each time.
        """
        known = [
            (passage.number, at)
            for at, sentence in enumerate(sentences)
            for text in _endings(sentence)
            for passage in self._whole.get(without_hyphens(text), ())
        ]
        if known:
            yield known
        at = max(range(len(sentences)), key=lambda number: count_words(sentences[number]))
        words = plain_typography(sentences[at])
        rows = self._snapshot.bm25.search_all(words, _HOLDING)
        yield [(number, at) for number in sorted(self._passages.numbers_of_rows(rows))]
        if len(rows) == _HOLDING:
            rows = self._snapshot.bm25.search_all(words, _MORE_HOLDING)
            yield [(number, at) for number in sorted(self._passages.numbers_of_rows(rows))]

    def _match(
        self, pieces: Sequence[Sequence[Token]], joints: Sequence[Joint], stretch: Stretch, quote: Quote
    ) -> Iterator[_Placement]:
        """Yield where the pieces stand in a stretch, one behind the other."""
        kept = [number for number, piece in enumerate(pieces) if any(token.is_word for token in piece)]
        words = [token for number in kept for token in pieces[number]]
        tokens = resolve_cuts(stretch.tokens, words)
        if tokens is not stretch.tokens:
            stretch = replace(stretch, tokens=tuple(tokens))
        pattern = _Pattern(
            pieces=[list(resolve_cuts(pieces[number], stretch.tokens)) for number in kept],
            before=joints[: kept[0]],
            between=[joints[first:last] for first, last in pairwise(kept)],
            behind=joints[kept[-1] :],
        )
        anchor = max(range(len(kept)), key=lambda number: len(pattern.pieces[number]))
        for cased in _in_either_case(pattern.pieces):
            may_begin = cased is pattern.pieces or _is_capital(pattern.pieces[0])
            for ends in _with_and_without_end(cased):
                found = False
                for variant in variants(ends[anchor]):
                    for span in occurrences(variant, stretch.tokens):
                        spans = self._around(span, anchor, ends, pattern.between, stretch)
                        if spans is None or not (may_begin or stretch.begins_passage(spans[0][0])):
                            continue
                        found = True
                        yield self._judged(spans, pattern, ends, stretch, quote)
                if found:
                    return

    def _around(
        self,
        span: tuple[int, int],
        anchor: int,
        pieces: Sequence[Sequence[Token]],
        between: Sequence[Sequence[Joint]],
        stretch: Stretch,
    ) -> list[tuple[int, int]] | None:
        """Return where all pieces stand if one of them, the ``anchor``, stands at a span; each as near as may be."""
        spans = [span]
        for number in range(anchor + 1, len(pieces)):
            behind = (
                at
                for variant in variants(pieces[number])
                for at in occurrences(variant, stretch.tokens, spans[-1][1])
                if _may_join(spans[-1], at, between[number - 1], stretch)
            )
            nearest = min(behind, default=None)
            if nearest is None:
                return None
            spans.append(nearest)
        for number in range(anchor - 1, -1, -1):
            in_front = (
                at
                for variant in variants(pieces[number])
                for at in occurrences(variant, stretch.tokens)
                if at[1] <= spans[0][0] and _may_join(at, spans[0], between[number], stretch)
            )
            nearest = max(in_front, default=None)
            if nearest is None:
                return None
            spans.insert(0, nearest)
        return None if _is_pieced_together(spans, pieces, stretch) else spans

    def _judged(
        self,
        spans: Sequence[tuple[int, int]],
        pattern: _Pattern,
        matched: Sequence[Sequence[Token]],
        stretch: Stretch,
        quote: Quote,
    ) -> _Placement:
        """Return a placement with what an ellipsis leaves out, and with what makes it another quotation."""
        tokens = stretch.tokens
        against: list[Difference] = []
        omitted: list[Difference] = []
        for ((_, last), (first, _)), joined in zip(pairwise(spans), pattern.between, strict=True):
            left_out = stretch.words_between(last, first)
            source = Span(tokens[last - 1].end, tokens[first].start) if not left_out else span_of(tokens, last, first)
            for joint in joined:
                where = Span(joint.start, joint.end)
                told = Difference(where, source, self._text[joint.start : joint.end], left_out)
                omitted.append(told)
                same_sentence = stretch.owner(last - 1) == stretch.owner(first)
                misleads = (
                    same_sentence and negation_in(left_out)
                    if joint.inserted is None
                    else _changes_meaning(joint.inserted, left_out)
                )
                if misleads:
                    against.append(told)
        for joint, first, last in _edges(pattern, spans, stretch):
            if joint.inserted and _changes_meaning(joint.inserted, stretch.words_between(first, last)):
                span = (
                    span_of(tokens, first, last) if first < last else Span(tokens[first - 1].end, tokens[first - 1].end)
                )
                inserted = self._text[joint.start : joint.end]
                against.append(
                    Difference(Span(joint.start, joint.end), span, inserted, stretch.words_between(first, last))
                )
        dropped = pattern.pieces[-1][len(matched[-1]) :]
        against += self._ending(spans, dropped, stretch)
        against += self._negations(spans, stretch, quote)
        for piece, (first, last) in zip(matched, spans, strict=True):
            against += _cut_words(piece, first, last, stretch)
        exact = not dropped and all(
            self._text[piece[0].start : piece[-1].end] == stretch.slice(tokens[first].start, tokens[last - 1].end)
            for piece, (first, last) in zip(matched, spans, strict=True)
        )
        return _Placement(stretch, tuple(spans), exact, tuple(omitted), tuple(against))

    def _ending(self, spans: Sequence[tuple[int, int]], dropped: Sequence[Token], stretch: Stretch) -> list[Difference]:
        """Return what the full stop or comma of a quotation hides, which is not the document's own.

        A question or exclamation; and, behind what begins as a sentence does, how the sentence goes on. Behind a part
        of one it is the printer's.
        """
        if not dropped:
            return []
        tokens, last = stretch.tokens, spans[-1][1]
        begin, end = stretch.limits(last - 1)
        following = last
        while following < end and tokens[following].key in _CLOSERS:
            following += 1
        if following == end:
            return []
        starts_sentence = spans[-1][0] <= begin
        if tokens[following].key in _QUESTION:
            end = following + 1
        elif not (starts_sentence and dropped[-1].key == "."):
            return []
        where = Span(dropped[0].start, dropped[-1].end)
        return [
            Difference(
                where,
                Span(tokens[last].start, tokens[end - 1].end),
                self._text[where.start : where.end],
                stretch.words_between(last, end),
            )
        ]

    def _negations(self, spans: Sequence[tuple[int, int]], stretch: Stretch, quote: Quote) -> list[Difference]:
        """Return the negations right in front of and behind a quotation, if the text given does not have one there."""
        if quote.negated:
            return []
        tokens, found = stretch.tokens, []
        (first, _), (_, last) = spans[0], spans[-1]
        begin, end = stretch.limits(first)[0], stretch.limits(last - 1)[1]
        before = stretch.words_between(max(begin, first - 3), first)
        if before and (match := _NEGATES_LAST.search(before)):
            start = tokens[max(begin, first - 3)].start
            source = Span(start + match.start(), start + len(before))
            found.append(
                Difference(Span(quote.start, quote.start), source, "", stretch.slice(source.start, source.end))
            )
        after = stretch.words_between(last, min(end, last + 3))
        if after and (match := _NEGATES_FIRST.match(after)) and tokens[last].key not in (",", ".", ";", ":", "–", "—"):
            source = Span(tokens[last].start, tokens[last].start + match.end())
            found.append(Difference(Span(quote.end, quote.end), source, "", stretch.slice(source.start, source.end)))
        return found

    # What is like it

    def _nearest(self, prepared: _Prepared, numbers: Sequence[tuple[int, int]]) -> CheckedQuote:
        """Return a quotation with the passage that is most like it, or those that say something like it."""
        quote = prepared.quote
        compared: list[Token] = []
        for number, piece in enumerate(prepared.pieces):
            if number and compared and piece:
                compared.append(joint_token(prepared.joints[number - 1]))
            compared += piece
        compared = compared[:_MAX_TOKENS]
        count = sum(map(len, prepared.piece_sentences))
        best = self._most_like(compared, count, numbers)
        if best is None or best[0] < ALTERED:  # parts of neighbours may have been put together
            wider = self._most_like(compared, count + 2, ((number, at + 1) for number, at in numbers))
            best = max(filter(None, (best, wider)), key=lambda like: like[0], default=None)
        if best is None or best[0] < ALTERED:
            rows = self._search(self._text[quote.start : quote.end][:_SEARCHED_CHARACTERS])
            near = [(number, 0) for number in self._passages.numbers_of_rows(rows)]
            other = self._most_like(compared, count, near)
            best = max(filter(None, (best, other)), key=lambda like: like[0], default=None)
            if best is None or best[0] < ALTERED:
                shown = [known for number, _ in near[:NEAREST] for known in self._numbered(number)]
                places = [
                    QuotedPlace((known.passage,), known.title, known.passage.start, known.passage.end)
                    for known in shown
                ]
                return self._told(quote, QuoteStatus.ABSENT, places)
        likeness, differing, (first, last), stretch = best
        place = _Placement(stretch, ((first, last),), exact=False).place()
        return self._told(quote, QuoteStatus.ALTERED, [place], likeness, differing)

    def _numbered(self, number: int) -> list[NumberedPassage]:
        return self._passages.numbered(range(number, number + 1))

    def _like_in_words(self, sentences: Sequence[str]) -> list[tuple[int, int]]:
        """Return passages that have words of some consecutive sentences, each with the number of that sentence."""
        known = [
            (passage.number, at)
            for at, sentence in enumerate(sentences)
            for passage in self._whole.get(without_hyphens(sentence), ())[:_COMPARED]
        ]
        by_length = sorted(range(len(sentences)), key=lambda at: -count_words(sentences[at]))
        for at in by_length[:_SENTENCES]:
            words = plain_typography(sentences[at])[:_SEARCHED_CHARACTERS]
            rows = [scored.row for scored in self._snapshot.bm25.search(words, _LIKE, None)]
            known += [(number, at) for number in self._passages.numbers_of_rows(rows)]
        return known

    def _most_like(
        self, compared: Sequence[Token], count: int, numbers: Iterable[tuple[int, int]]
    ) -> tuple[float, list[Difference], tuple[int, int], Stretch] | None:
        """Return the stretch that is most like a quotation of ``count`` sentences, around one of these passages."""
        words = Counter(token.key for token in compared if token.is_word)
        stretches: dict[range, tuple[int, Stretch]] = {}
        for number, at in numbers:
            around = self._within_document(number, number - at, max(number + 1, number - at + count))
            if around not in stretches:
                stretch = _stretch(self._passages.numbered(around))
                stretches[around] = ((words & Counter(token.key for token in stretch.tokens)).total(), stretch)
        best = None
        for _, stretch in sorted(stretches.values(), key=lambda item: -item[0])[:_COMPARED]:
            tokens = resolve_cuts(stretch.tokens, compared)[:_MAX_TOKENS]
            own = resolve_cuts(compared, tokens)
            like = differences(own, tokens, self._text, stretch)
            if like and (best is None or like[0] > best[0]):
                best = *like, replace(stretch, tokens=tuple(tokens))
        return best


def _wordings(prepared: _Prepared) -> Iterator[str]:
    """Yield the sentences of a quotation as documents may have them."""
    yield from prepared.sentences
    for sentence in {*prepared.sentences, *(s for piece in prepared.piece_sentences for s in piece)}:
        yield from _endings(sentence)


def _endings(sentence: str) -> Iterator[str]:
    """Yield a sentence, and as it is if its last mark is the printer's."""
    yield sentence
    bare = sentence.rstrip(" ,;:")
    if bare and bare[-1] not in ".!?…":
        yield from (bare + end for end in (".", "?", "!"))
    if bare != sentence:
        yield bare


def _sentences(text: str) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in sentence_spans(text, 0, len(text))) or (text,)


def _stretch(passages: Sequence[NumberedPassage], raw: bool = False) -> Stretch:
    texts, gaps = [known.passage for known in passages], [known.gap for known in passages]
    return Stretch.of(texts, gaps, passages[0].title, raw)


def _in_either_case(pieces: list[list[Token]]) -> Iterator[list[list[Token]]]:
    """Yield pieces as they are, and with the first letter in the other case.

    A quotation may begin within a sentence of the document with a capital, and within one of its writer without.
    """
    yield pieces
    at = next(number for number, token in enumerate(pieces[0]) if token.is_word)
    swapped = pieces[0][at].with_other_case()
    if swapped.key != pieces[0][at].key:
        yield [[*pieces[0][:at], swapped, *pieces[0][at + 1 :]], *pieces[1:]]


def _is_capital(piece: Sequence[Token]) -> bool:
    return next(token for token in piece if token.is_word).key[0].isupper()


def _with_and_without_end(pieces: Sequence[Sequence[Token]]) -> Iterator[list[Sequence[Token]]]:
    """Yield pieces as they are, and without the full stop or comma of the last one."""
    yield list(pieces)
    last = list(pieces[-1])
    while last and last[-1].key in _ENDS:
        last.pop()
    if last and len(last) < len(pieces[-1]):
        yield [*pieces[:-1], last]


def _edges(pattern: _Pattern, spans: Sequence[tuple[int, int]], stretch: Stretch) -> Iterator[tuple[Joint, int, int]]:
    """Yield the insertions at the edges of a quotation, with the tokens of the sentence that they may stand for."""
    (first, _), (_, last) = spans[0], spans[-1]
    begin, end = stretch.limits(first)[0], stretch.limits(last - 1)[1]
    for joint in pattern.before:
        yield joint, max(begin, first - max(1, count_words(joint.inserted or ""))), first
    for joint in pattern.behind:
        yield joint, last, min(end, last + max(1, count_words(joint.inserted or "")))


def _is_pieced_together(spans: Sequence[tuple[int, int]], pieces: Sequence[Sequence[Token]], stretch: Stretch) -> bool:
    """Return whether a piece of few words stands in another sentence than both of its neighbours: chance finds it."""
    owners = [stretch.owner(first) for first, _ in spans]
    last_owners = [stretch.owner(last - 1) for _, last in spans]
    for number, piece in enumerate(pieces):
        if sum(token.is_word for token in piece) >= MIN_WORDS or len(pieces) == 1:
            continue
        before = number > 0 and last_owners[number - 1] == owners[number]
        behind = number + 1 < len(pieces) and last_owners[number] == owners[number + 1]
        if not (before or behind):
            return True
    return False


def _may_join(
    before: tuple[int, int],
    after: tuple[int, int],
    joints: Sequence[Joint],
    stretch: Stretch,
) -> bool:
    """Return whether what a quotation has between two pieces may stand for what the document has there."""
    if after[0] < before[1]:
        return False
    same_sentence = stretch.owner(before[1] - 1) == stretch.owner(after[0])
    if any(joint.inserted is None for joint in joints):
        return True
    return same_sentence and sum(token.is_word for token in stretch.tokens[before[1] : after[0]]) <= MAX_STANDS_FOR


def _cut_words(piece: Sequence[Token], first: int, last: int, stretch: Stretch) -> Iterator[Difference]:
    """Yield what a piece of a quotation cuts off its first word or number, or its last."""
    tokens = stretch.tokens
    begin, end = stretch.limits(first)[0], stretch.limits(last - 1)[1]
    if first > begin and (at := _cut_in_front(tokens, begin, first)) < first:
        where = Span(piece[0].start, piece[0].start)
        yield Difference(where, span_of(tokens, at, first), "", stretch.words_between(at, first))
    if last < end and (at := _cut_behind(tokens, last, end)) > last:
        where = Span(piece[-1].end, piece[-1].end)
        yield Difference(where, span_of(tokens, last, at), "", stretch.words_between(last, at))


def _cut_in_front(tokens: Sequence[Token], begin: int, first: int) -> int:
    """Return the first token of the word or number that token ``first`` is in the middle of; else ``first``."""
    before, own = tokens[first - 1], tokens[first]
    signed = own.is_number and before.key in _SIGNS
    glued = (
        own.is_word and not own.space and before.key not in _OPEN_BESIDE and not (own.is_unspaced or before.is_unspaced)
    )
    if signed or (not own.space and own.is_number and before.key == "–") or (glued and not before.ends_sentence):
        at = first - 1
        while at > begin and not tokens[at].space:
            at -= 1
        return at
    if _is_number_word(own) and _is_number_word(before):
        return first - 1
    if first - 2 >= begin and before.key == "and" and _is_number_word(own) and _is_number_word(tokens[first - 2]):
        return first - 2
    return first


def _cut_behind(tokens: Sequence[Token], last: int, end: int) -> int:
    """Return where the word or number ends that the token before ``last`` is in the middle of; else ``last``."""
    own, after = tokens[last - 1], tokens[last]
    behind = tokens[last + 1] if last + 1 < end else None
    goes_on = behind is not None and not behind.space and behind.is_word and not after.is_unspaced
    signed = own.is_number and after.key in _SIGNS
    glued = not after.space and not (own.is_unspaced or after.is_unspaced)
    if signed or (glued and own.is_word and (after.key not in _CLOSE_BESIDE or (goes_on and after.key in _IN_NUMBERS))):
        at = last + 1
        while at < end and not tokens[at].space and not (signed and at > last):
            at += 1
        return at
    if _is_number_word(own) and _is_number_word(after):
        return last + 1
    if behind and after.key == "and" and _is_number_word(own) and _is_number_word(behind):
        return last + 2
    return last


def _is_number_word(token: Token) -> bool:
    return bool(NUMBER.fullmatch(token.key))


def _changes_meaning(inserted: str, replaced: str) -> bool:
    """Return whether words in brackets negate what the document does not, or the other way round, or lose a number."""
    numbers = {match.casefold() for match in NUMBER.findall(replaced)}
    kept = {match.casefold() for match in NUMBER.findall(inserted)}
    return negation_in(inserted) != negation_in(replaced) or not numbers <= kept
