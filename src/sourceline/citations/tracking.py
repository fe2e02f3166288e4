"""What became of the passages that a build no longer found: moved, changed or removed."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from sourceline.citations.ledger import Ledger, Resolution
from sourceline.index.passage_store import DocumentEntry, PassageStore, stand
from sourceline.index.snapshot import Snapshot
from sourceline.types import CitationStatus, Passage, PassageInContext

# A text of fewer words ("Thank you.") says nothing of where it went, unless what stands around it went along.
DISTINCTIVE_WORDS = 4
# An edited sentence keeps about half of its words; if it alone stands where the old one stood, a third will do.
SIMILAR, SIMILAR_IN_PLACE = 0.5, 0.34
# How many new sentences on either side of the old one's place are compared with it.
NEAR = 50


def similarity(one: str, other: str) -> float:
    """Return how much of two texts agrees, word by word and in order, from 0 to 1 (Ratcliff & Obershelp).

    >>> similarity("Trade grew by 7 percent.", "Trade grew by 9 percent.")
    0.8
    """
    matcher = SequenceMatcher(None, one.casefold().split(), other.casefold().split(), autojunk=False)
    return matcher.ratio()


def match_reappeared(lost: Iterable[PassageInContext], appeared: Sequence[PassageInContext]) -> Iterator[Resolution]:
    """Yield where the lost citations went whose exact text a build sees for the first time in some place.

    Args:
        lost: citations, of whatever age, that are not in the new snapshot.
        appeared: passages of the new snapshot that were not in the one before.
    """
    by_text: dict[str, list[PassageInContext]] = defaultdict(list)
    for standing in appeared:
        by_text[standing.passage.text].append(standing)
    for old in lost:
        candidates = by_text[old.passage.text]
        if not candidates:
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
    here = {standing.passage.id: standing for standing in new}
    elsewhere: dict[str, list[PassageInContext]] = defaultdict(list)
    for standing in [*new, *kept]:
        elsewhere[standing.passage.text].append(standing)
    taken = {standing.passage.id for standing in [*old, *moved.values()]}
    fresh = [standing.passage for standing in new if standing.passage.id not in taken]
    places = _places(old, here, moved, len(new))
    for standing, (first, last) in zip(old, places, strict=True):
        if standing.passage.id in here or standing.passage.id in moved:
            continue
        duplicate_of = _twin(standing, elsewhere[standing.passage.text])
        if duplicate_of:
            yield Resolution(standing.passage.id, CitationStatus.MOVED, duplicate_of.passage.id)
            continue
        successor = _successor(standing.passage, fresh, first, last)
        if successor:
            yield Resolution(standing.passage.id, CitationStatus.CHANGED, successor.id)
        else:
            yield Resolution(standing.passage.id, CitationStatus.REMOVED, None)


def renamed_to(moved: Iterable[PassageInContext]) -> str | None:
    """Return the document that most of a lost document's passages moved to."""
    counts = Counter(standing.passage.document_id for standing in moved)
    return min(counts, key=lambda document: (-counts[document], document)) if counts else None


def _places(
    old: Sequence[PassageInContext], here: dict[str, PassageInContext], moved: dict[str, PassageInContext], end: int
) -> list[tuple[int, int]]:
    """Return between which ordinals of the new document each old passage belongs: [first, last).

    The nearest passages before and after it that are still there, or that moved along, are the fixed points.
    """
    anchors = [here.get(s.passage.id) or here.get(_id(moved.get(s.passage.id))) for s in old]
    firsts, lasts = [], []
    first, last = 0, end
    for anchor in anchors:
        firsts.append(first)
        first = anchor.passage.ordinal + 1 if anchor else first
    for anchor in reversed(anchors):
        lasts.append(last)
        last = anchor.passage.ordinal if anchor else last
    return list(zip(firsts, reversed(lasts), strict=True))


def _successor(old: Passage, fresh: list[Passage], first: int, last: int) -> Passage | None:
    """Return the new passage that an edit made of the old one: look where it stood first, then near there."""
    begin = bisect_left(fresh, first, key=lambda new: new.ordinal)
    end = bisect_left(fresh, last, key=lambda new: new.ordinal)
    in_place, near = fresh[begin:end][:NEAR], fresh[max(0, begin - NEAR) : begin + NEAR]
    for candidates, least in (
        (in_place, SIMILAR_IN_PLACE if len(in_place) == 1 else SIMILAR),
        (near, SIMILAR),
    ):
        rated = [(similarity(old.text, new.text), -new.ordinal, new) for new in candidates]
        best = max(rated, key=lambda entry: entry[:2], default=None)
        if best and best[0] >= least:
            return best[2]
    return None


def _twin(old: PassageInContext, candidates: list[PassageInContext]) -> PassageInContext | None:
    """Return the passage with the same text that stands for the old one although it is not new.

    In the same document any will do (the first of two equal sentences was deleted). Elsewhere the text around it must
    agree (the same report in two files, one of them deleted), for a short one on both sides: a phrase that merely
    recurs is another sentence.
    """
    same = [new for new in candidates if _same_document(old, new)]
    if same:
        return min(same, key=lambda new: abs(new.passage.ordinal - old.passage.ordinal))
    best = max(candidates, key=lambda new: _agreement(old, new), default=None)
    least = 1 if _is_distinctive(old) else 2
    return best if best and _agreement(old, best) >= least else None


def _agreement(old: PassageInContext, new: PassageInContext) -> int:
    """Return on how many sides, of two, the text around two passages agrees.

    Every document has a beginning and an end: to stand there says something only beside text that agrees.
    """
    sides = [(old.before.split(), new.before.split()), (old.after.split(), new.after.split())]
    agreed = [one for one, other in sides if one == other]
    return len(agreed) if any(agreed) else 0


def _is_distinctive(standing: PassageInContext) -> bool:
    return len(standing.passage.text.split()) >= DISTINCTIVE_WORDS


def _same_document(old: PassageInContext, new: PassageInContext) -> bool:
    return old.passage.document_id == new.passage.document_id


def _id(standing: PassageInContext | None) -> str:
    return standing.passage.id if standing else ""


def record_citations(ledger: Ledger, before: Snapshot | None, after: Snapshot) -> None:
    """Issue the passages that are new in ``after`` and record what became of those that are gone.

    Only documents whose bytes changed are compared.

    Raises:
        LedgerError: the ledger cannot be read or written; nothing was recorded.
    """
    if before is None and not ledger.exists():
        # Nothing can have been lost, so that nothing need be compared: the passages go by one at a time.
        everything = (
            standing for entry in after.passages.documents for standing in passages_in_context(after.passages, entry)
        )
        ledger.record(after.id, everything, ())
        return
    old = {entry.id: entry for entry in before.passages.documents} if before else {}
    new = {entry.id: entry for entry in after.passages.documents}
    touched = [id_ for id_ in {**old, **new} if id_ not in old or id_ not in new or _differ(old[id_], new[id_])]
    was = {id_: passages_in_context(before.passages, old[id_]) for id_ in touched if before and id_ in old}
    now = {id_: passages_in_context(after.passages, new[id_]) for id_ in touched if id_ in new}
    old_ids = {standing.passage.id for document in was.values() for standing in document}
    appeared = [s for document in now.values() for s in document if s.passage.id not in old_ids]
    # The old ones too, in case the ledger was lost: they must be known before anything is said of them.
    issued = [*(standing for document in was.values() for standing in document), *appeared]
    ledger.record(after.id, issued, list(_resolutions(ledger, after.passages, was, now, appeared)))


def passages_in_context(passages: PassageStore, entry: DocumentEntry) -> list[PassageInContext]:
    """Return all passages of a document in their places."""
    text = passages.text_of(entry)
    return [stand(passage, entry.title, text) for passage in passages.of_document(entry)]


def latest_successor(citation: str, passages: PassageStore, ledger: Ledger) -> PassageInContext | None:
    """Go from successor to successor of a lost citation until one stands in this snapshot."""
    seen = {citation}
    while (resolution := ledger.resolution(citation)) and resolution.successor and resolution.successor not in seen:
        citation = resolution.successor
        seen.add(citation)
        if standing := passages.standing(citation):
            return standing
    return None


def _resolutions(
    ledger: Ledger,
    passages: PassageStore,
    was: dict[str, list[PassageInContext]],
    now: dict[str, list[PassageInContext]],
    appeared: list[PassageInContext],
) -> Iterator[Resolution]:
    there = {standing.passage.id: standing for standing in appeared}
    stayed = {_place(s) for document in now.values() for s in document if s.passage.id not in there}
    fell = {standing.passage.id for document in was.values() for standing in document}
    lost = [
        standing
        for standing in ledger.with_texts(standing.passage.text for standing in appeared)
        if standing.passage.id not in there
        and passages.standing(standing.passage.id) is None
        # A new copy of a text takes nothing from where the text still stands.
        and _place(standing) not in stayed
        and (standing.passage.id in fell or not _is_placed(standing, passages, ledger))
    ]
    found = list(match_reappeared(lost, appeared))
    yield from found
    moved = {resolution.citation: there[resolution.successor] for resolution in found if resolution.successor}
    standing_ids = {standing.passage.id for document in now.values() for standing in document}
    for document_id, old in was.items():
        gone = [s for s in old if s.passage.id not in standing_ids and s.passage.id not in moved]
        if not gone:
            continue
        target = document_id
        if document_id not in now:
            target = renamed_to(moved[s.passage.id] for s in old if s.passage.id in moved) or document_id
        new = now.get(target, [])
        texts = {standing.passage.text for standing in gone}
        yield from match_missing(old, new, moved, passages.find_texts(texts))


def _place(standing: PassageInContext) -> tuple[str, str]:
    return standing.passage.document_id, standing.passage.text


def _is_placed(standing: PassageInContext, passages: PassageStore, ledger: Ledger) -> bool:
    """Return whether an earlier build found where a lost citation went, and its text stands there still."""
    now = latest_successor(standing.passage.id, passages, ledger)
    return now is not None and now.passage.text == standing.passage.text


def _differ(one: DocumentEntry, other: DocumentEntry) -> bool:
    # The title is part of what a citation shows; the splitting of a text can change with Sourceline itself.
    return (one.sha256, one.title, len(one.numbers)) != (other.sha256, other.title, len(other.numbers))
