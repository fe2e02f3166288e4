"""What became of the citations that a build no longer finds: moved, changed or removed."""

import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from difflib import SequenceMatcher
from typing import TypeVar

from sourceline.citations.base import CitationRecord, successors
from sourceline.citations.ledger import Resolution
from sourceline.ids import citation_id, exact_citation_id
from sourceline.index.base import PassageIndex, Passages
from sourceline.index.passage_store import SELECTOR_CHARACTERS, DocumentEntry
from sourceline.text import has_cut_word, nfc, plain_typography, same_but_typography, without_hyphens
from sourceline.types import CitationStatus, Passage, PassageInContext

Record = TypeVar("Record", bound=CitationRecord)
# A text of fewer words ("Thank you.") is too common to track unless its context moved too.
DISTINCTIVE_WORDS = 4
# An edited sentence keeps about half of its words; if it alone stands where the old one stood, a third will do.
SIMILAR, SIMILAR_IN_PLACE = 0.5, 0.34
# How many new sentences on either side of the old one's place are compared with it.
NEAR = 50


def record_citations(ledger: Record, before: PassageIndex | None, after: Passages, snapshot: str) -> Record:
    """Issue the passages that are new in ``after`` and record what became of those that are gone.

    Only documents whose bytes changed are compared.

    Args:
        ledger: as it was published; what nothing was recorded in was lost, or the index is new.
        before: the snapshot before.
        after: the passages of the one that is being built.
        snapshot: its id.

    Returns:
        The ledger for the new snapshot.

    Raises:
        LedgerError: the ledger cannot be read; nothing was recorded.
        OSError: it cannot be written; nothing was recorded.
    """
    old_entries = {entry.id: entry for entry in before.passages.documents} if before else {}
    new_entries = {entry.id: entry for entry in after.documents}
    # Issued by a newer snapshot, which is damaged now.
    later = ledger.issued_since(before.manifest.ledger) if before else {}
    touched = [
        id_
        for id_ in {**old_entries, **new_entries}
        if id_ not in old_entries or id_ not in new_entries or _differ(old_entries[id_], new_entries[id_])
    ]
    if not ledger.extent:
        stores = [*([before.passages] if before else []), after]
        everything = (p for store in stores for entry in store.documents for p in store.each_in_context(entry))
        if not before:  # nothing can have been lost, so nothing needs comparing
            return ledger.append(snapshot, everything, ())
    if before:
        old = {id_: before.passages.in_context(old_entries[id_]) for id_ in touched if id_ in old_entries}
    else:  # in an older format, or lost
        old = ledger.standing()
    new = {id_: after.in_context(new_entries[id_]) for id_ in {*touched, *later} if id_ in new_entries}
    appeared = _appeared(old, new)
    resolutions = list(_resolutions(ledger, after, old, new, appeared))
    if later:
        placed = {resolution.citation for resolution in resolutions if resolution.successor}
        # Where a build since then has told where one went, and it stands there again, that holds.
        unplaced = {
            cited.passage.id
            for document in later.values()
            for cited in document
            if cited.passage.id not in placed and not _has_same_text_now(cited, after, ledger)
        }
        also = _resolutions(ledger, after, later, new, _appeared(later, new))
        resolutions += [resolution for resolution in also if resolution.citation in unplaced]
    return ledger.append(snapshot, appeared if ledger.extent else everything, resolutions)


def _appeared(
    old: Mapping[str, Sequence[PassageInContext]], new: Mapping[str, Sequence[PassageInContext]]
) -> list[PassageInContext]:
    ids = _ids(old)
    return [passage for document in new.values() for passage in document if passage.passage.id not in ids]


def _ids(documents: Mapping[str, Sequence[PassageInContext]]) -> set[str]:
    return {passage.passage.id for document in documents.values() for passage in document}


def latest_successor(citation: str, passages: Passages, ledger: CitationRecord) -> PassageInContext | None:
    """Go from successor to successor of a lost citation until one is in this snapshot.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    return passages.find(successors(ledger, citation))


def similarity(text: str, other: str) -> float:
    """Return how much of two texts agrees, word by word and in order, from 0 to 1 (Ratcliff & Obershelp).

    >>> similarity("Trade grew by 7 percent.", "Trade grew by 9 percent.")
    0.8
    """
    words, others = (plain_typography(both).casefold().split() for both in (text, other))
    return SequenceMatcher(None, words, others, autojunk=False).ratio()


def match_reappeared(lost: Iterable[PassageInContext], appeared: Sequence[PassageInContext]) -> Iterator[Resolution]:
    """Yield the new location of each lost citation whose text reappeared, whatever its typography.

    Args:
        lost: citations of any age that are not in the new snapshot.
        appeared: passages of the new snapshot that were not in the one before.
    """
    by_text = _ByText(appeared)
    for old in lost:
        candidates = by_text.same(old)
        if not candidates:
            continue
        if same := _by_older_id(old, candidates) or _otherwise_cut(old, candidates):
            yield Resolution(old.passage.id, CitationStatus.CURRENT, same.passage.id)
            continue
        best = max(candidates, key=lambda new: (_same_document(old, new), _agreement(old, new)))
        if _is_distinctive(old) or _same_document(old, best) or _agreement(old, best):
            yield Resolution(old.passage.id, CitationStatus.MOVED, best.passage.id)


def match_missing(
    old: Sequence[PassageInContext],
    new: Sequence[PassageInContext],
    moved: dict[str, PassageInContext],
    kept: Iterable[PassageInContext],
) -> Iterator[Resolution]:
    """Yield what became of the passages of one document that are not in the new snapshot.

    Args:
        old: all passages of the document as it was, in order.
        new: all passages of the document as it is, or of the one that it was renamed to; none if it is gone.
        moved: the citations of this document that ``match_reappeared`` placed, and where.
        kept: passages of other documents that stand as before; one of them can hold the text as well.
    """
    present = {passage.passage.id: passage for passage in new}
    by_text = _ByText([*new, *kept])
    moved_along = [moved[passage.passage.id] for passage in old if passage.passage.id in moved]
    accounted_for = {passage.passage.id for passage in [*old, *moved_along]}
    fresh = [passage.passage for passage in new if passage.passage.id not in accounted_for]
    for missing, (first, last) in zip(old, _ordinal_ranges(old, present, moved, len(new)), strict=True):
        citation = missing.passage.id
        if citation in present or citation in moved:
            continue
        copies = by_text.same(missing)
        if same := _by_older_id(missing, copies):
            yield Resolution(citation, CitationStatus.CURRENT, same.passage.id)
            continue
        copy = _surviving_copy(missing, copies)
        if copy:
            yield Resolution(citation, CitationStatus.MOVED, copy.passage.id)
            continue
        edited = _edited(missing.passage, fresh, first, last)
        if edited:
            yield Resolution(citation, CitationStatus.CHANGED, edited.id)
        else:
            yield Resolution(citation, CitationStatus.REMOVED, None)


def renamed_to(moved: Iterable[PassageInContext]) -> str | None:
    """Return the document that most of a lost document's passages moved to."""
    counts = Counter(passage.passage.document_id for passage in moved)
    return min(counts, key=lambda document: (-counts[document], document)) if counts else None


def _resolutions(
    ledger: CitationRecord,
    passages: Passages,
    old: dict[str, list[PassageInContext]],
    new: dict[str, list[PassageInContext]],
    appeared: list[PassageInContext],
) -> Iterator[Resolution]:
    """Yield a resolution for every citation missing from the new snapshot.

    ``old`` and ``new`` hold the documents that changed, ``appeared`` the passages whose ids are not in ``old``.
    """
    by_id = {passage.passage.id: passage for document in new.values() for passage in document}
    renamed = list(_older_ids(ledger, new))
    yield from renamed
    moved = {r.citation: by_id[r.successor] for r in renamed if r.successor}
    for document_id, passages_before in old.items():
        shortened = list(_shortened(passages_before, new.get(document_id, []), by_id.keys() | moved.keys()))
        yield from shortened
        moved |= {r.citation: by_id[r.successor] for r in shortened if r.successor}
    appeared_ids = {passage.passage.id for passage in appeared}
    stayed = {_document_and_text(p) for document in new.values() for p in document if p.passage.id not in appeared_ids}
    just_lost = {passage.passage.id for document in old.values() for passage in document}
    appeared_texts = _ByText(appeared)
    lost = [
        cited
        for cited in ledger.with_texts(passage.passage.text for passage in appeared)
        if cited.passage.id not in appeared_ids
        and cited.passage.id not in moved
        and passages.find([cited.passage.id]) is None
        # A new copy of a text takes nothing from where the text still stands.
        and _document_and_text(cited) not in stayed
        and (
            cited.passage.id in just_lost
            or _by_older_id(cited, appeared_texts.same(cited))
            or not _has_same_text_now(cited, passages, ledger)
        )
    ]
    reappeared = list(match_reappeared(lost, appeared))
    yield from reappeared
    moved |= {r.citation: by_id[r.successor] for r in reappeared if r.successor}
    for document_id, old_passages in old.items():
        missing = [p for p in old_passages if p.passage.id not in by_id and p.passage.id not in moved]
        if not missing:
            continue
        target = document_id
        if document_id not in new:
            target = renamed_to(moved[p.passage.id] for p in old_passages if p.passage.id in moved) or document_id
        texts = {passage.passage.text for passage in missing}
        yield from match_missing(old_passages, new.get(target, []), moved, passages.find_texts(texts))


def _older_ids(ledger: CitationRecord, new: dict[str, list[PassageInContext]]) -> Iterator[Resolution]:
    """Yield the ids that indexes before format 8 gave passages of these documents, with the ids that they have now."""
    ids = {passage.passage.id for document in new.values() for passage in document}
    renamed: dict[str, str] = {}
    for document in new.values():
        repetitions: Counter[str] = Counter()
        for passage in document:
            p = passage.passage
            # They took a file's name as the file system has it, and that of macOS had accents apart.
            for name in {p.document_id, unicodedata.normalize("NFD", p.document_id)}:
                renamed[exact_citation_id(name, p.text, repetitions[p.text])] = p.id
            repetitions[p.text] += 1
    older = renamed.keys() - ids
    for citation, successor in ledger.latest_successors(sorted(older)).items():
        if successor != renamed[citation]:
            yield Resolution(citation, CitationStatus.CURRENT, renamed[citation])


def _shortened(
    old: Sequence[PassageInContext], new: Sequence[PassageInContext], known: Set[str]
) -> Iterator[Resolution]:
    """Yield the passages of a document that stand where they stood, without what was in front of them.

    That is so when another version no longer takes the name of a speaker or the box of a task for a part of what is
    said. An edit would have moved the end of the sentence.
    """
    by_end = {passage.passage.end: passage.passage for passage in new}
    for passage in old:
        before, now = passage.passage, by_end.get(passage.passage.end)
        if before.id not in known and now and before.start < now.start and before.text.endswith(now.text):
            yield Resolution(before.id, CitationStatus.CURRENT, now.id)


def _by_older_id(old: PassageInContext, candidates: Sequence[PassageInContext]) -> PassageInContext | None:
    """Return which of these passages of the same text had the id of ``old`` before format 8."""
    here = {new.passage.id: new for new in candidates if _same_document(old, new)}
    p = old.passage
    for repetition in range(len(here)):
        if exact_citation_id(p.document_id, p.text, repetition) == p.id:
            id_now = citation_id(p.document_id, p.text, repetition)
            return here.get(id_now) if id_now != p.id else None
    return None


def _otherwise_cut(old: PassageInContext, candidates: Sequence[PassageInContext]) -> PassageInContext | None:
    """Return the passage in which the same words are cut at other line ends, which changes an id."""
    form = plain_typography(old.passage.text)
    here = [new for new in candidates if _same_document(old, new) and plain_typography(new.passage.text) != form]
    return max(here, key=lambda new: _agreement(old, new), default=None)


class _ByText:
    """Passages by their text, whatever its typography."""

    def __init__(self, passages: Iterable[PassageInContext]) -> None:
        self._groups: dict[str, dict[tuple[str, bool], list[PassageInContext]]] = defaultdict(lambda: defaultdict(list))
        for passage in passages:
            text = passage.passage.text
            self._groups[without_hyphens(text)][plain_typography(text), has_cut_word(text)].append(passage)

    def same(self, passage: PassageInContext) -> list[PassageInContext]:
        """Return the passages whose text is the same but for typography, as ``same_but_typography`` has it."""
        text = passage.passage.text
        form, is_cut = plain_typography(text), has_cut_word(text)
        groups = self._groups.get(without_hyphens(text), {}).items()
        return [
            other for (other_form, cut), others in groups if other_form == form or is_cut or cut for other in others
        ]


def _ordinal_ranges(
    old: Sequence[PassageInContext],
    present: dict[str, PassageInContext],
    moved: dict[str, PassageInContext],
    end: int,
) -> list[tuple[int, int]]:
    """Return the ordinals of the new document between which each old passage belongs: [first, last).

    The nearest passages before and after it that are still there, or that moved along, are the anchors.
    """

    def anchor_of(passage: PassageInContext) -> PassageInContext | None:
        moved_to = moved.get(passage.passage.id)
        return present.get(passage.passage.id) or (present.get(moved_to.passage.id) if moved_to else None)

    anchors = [anchor_of(passage) for passage in old]
    firsts, lasts = [], []
    first, last = 0, end
    for anchor in anchors:
        firsts.append(first)
        first = anchor.passage.ordinal + 1 if anchor else first
    for anchor in reversed(anchors):
        lasts.append(last)
        last = anchor.passage.ordinal if anchor else last
    return list(zip(firsts, reversed(lasts), strict=True))


def _edited(old: Passage, fresh: list[Passage], first: int, last: int) -> Passage | None:
    """Return the new passage that an edit made of the old one: look where it stood first, then near there."""
    begin = bisect_left(fresh, first, key=lambda new: new.ordinal)
    end = bisect_left(fresh, last, key=lambda new: new.ordinal)
    in_place, near = fresh[begin:end][:NEAR], fresh[max(0, begin - NEAR) : begin + NEAR]
    for candidates, threshold in (
        (in_place, SIMILAR_IN_PLACE if len(in_place) == 1 else SIMILAR),
        (near, SIMILAR),
    ):
        scored = [(similarity(old.text, new.text), -new.ordinal, new) for new in candidates]
        best = max(scored, key=lambda entry: entry[:2], default=None)
        if best and best[0] >= threshold:
            return best[2]
    return None


def _surviving_copy(old: PassageInContext, candidates: list[PassageInContext]) -> PassageInContext | None:
    """Return the passage with the same text that stands for the old one although it is not new.

    In the same document any will do (the first of two equal sentences was deleted). Elsewhere the text around it must
    agree (the same report in two files, one of them deleted), for a short one on both sides: a phrase that merely
    recurs is another sentence.
    """
    same_document = [new for new in candidates if _same_document(old, new)]
    if same_document:
        return min(same_document, key=lambda new: abs(new.passage.ordinal - old.passage.ordinal))
    best = max(candidates, key=lambda new: _agreement(old, new), default=None)
    sides = 1 if _is_distinctive(old) else 2
    return best if best and _agreement(old, best) >= sides else None


def _agreement(old: PassageInContext, new: PassageInContext) -> int:
    """Return on how many sides, of two, the text around two passages agrees.

    Every document has a beginning and an end, so an empty prefix or suffix counts only if the other side matches.
    """
    prefixes = [without_hyphens(passage.prefix).strip()[::-1] for passage in (old, new)]
    suffixes = [without_hyphens(passage.suffix).strip() for passage in (old, new)]
    agreeing = [text for text, other in (prefixes, suffixes) if _begin_alike(text, other)]
    return len(agreeing) if any(agreeing) else 0


def _begin_alike(text: str, other: str) -> bool:
    """Return whether two texts are the same as far as both go, where at least one goes far.

    How far the characters on one side of a passage go depends on the typography, and their last may be half a letter.
    """
    length = min(len(text), len(other))
    return text == other or (length > SELECTOR_CHARACTERS // 2 and text[: length - 2] == other[: length - 2])


def _is_distinctive(passage: PassageInContext) -> bool:
    return len(passage.passage.text.split()) >= DISTINCTIVE_WORDS


def _same_document(old: PassageInContext, new: PassageInContext) -> bool:
    return nfc(old.passage.document_id) == nfc(new.passage.document_id)


def _document_and_text(passage: PassageInContext) -> tuple[str, str]:
    return nfc(passage.passage.document_id), without_hyphens(passage.passage.text)


def _has_same_text_now(cited: PassageInContext, passages: Passages, ledger: CitationRecord) -> bool:
    """Return whether an earlier build found where a lost citation went, and its text still stands there."""
    now = latest_successor(cited.passage.id, passages, ledger)
    return now is not None and same_but_typography(now.passage.text, cited.passage.text)


def _differ(old: DocumentEntry, new: DocumentEntry) -> bool:
    # The title is part of what a citation shows; how a text is split can change with Sourceline itself.
    return (old.sha256, old.title, len(old.numbers)) != (new.sha256, new.title, len(new.numbers))
