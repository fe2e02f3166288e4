"""What became of the passages that a build no longer found: moved, changed or removed."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from sourceline.citations.ledger import Fate
from sourceline.types import Passage, Standing, Status

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


def returned(lost: Iterable[Standing], appeared: Sequence[Standing]) -> Iterator[Fate]:
    """Yield where the lost citations went whose exact text a build sees for the first time in some place.

    Args:
        lost: citations, of whatever age, that are not in the new generation.
        appeared: passages of the new generation that were not in the one before.
    """
    by_text: dict[str, list[Standing]] = defaultdict(list)
    for standing in appeared:
        by_text[standing.passage.text].append(standing)
    for old in lost:
        candidates = by_text[old.passage.text]
        if not candidates:
            continue
        best = max(candidates, key=lambda new: (_same_document(old, new), _agreement(old, new)))
        if _is_distinctive(old) or _same_document(old, best) or _agreement(old, best):
            yield Fate(old.passage.id, Status.MOVED, best.passage.id)


def vanished(
    old: Sequence[Standing], new: Sequence[Standing], moved: dict[str, Standing], kept: Iterable[Standing]
) -> Iterator[Fate]:
    """Yield what became of the passages of one document that are not in the new generation.

    Args:
        old: all passages of the document as it was, in order.
        new: all passages of the document as it is, or of the one that it was renamed to; none if it is gone.
        moved: the citations of this document that ``returned`` placed, and where.
        kept: passages of other documents that stand as before; one of them can hold the text as well.
    """
    here = {standing.passage.id: standing for standing in new}
    elsewhere: dict[str, list[Standing]] = defaultdict(list)
    for standing in [*new, *kept]:
        elsewhere[standing.passage.text].append(standing)
    taken = {standing.passage.id for standing in [*old, *moved.values()]}
    fresh = [standing.passage for standing in new if standing.passage.id not in taken]
    places = _places(old, here, moved, len(new))
    for standing, (first, last) in zip(old, places, strict=True):
        if standing.passage.id in here or standing.passage.id in moved:
            continue
        twin = _twin(standing, elsewhere[standing.passage.text])
        if twin:
            yield Fate(standing.passage.id, Status.MOVED, twin.passage.id)
            continue
        successor = _successor(standing.passage, fresh, first, last)
        if successor:
            yield Fate(standing.passage.id, Status.CHANGED, successor.id)
        else:
            yield Fate(standing.passage.id, Status.REMOVED, None)


def renamed_to(moved: Iterable[Standing]) -> str | None:
    """Return the document that most of a lost document's passages moved to."""
    counts = Counter(standing.passage.document_id for standing in moved)
    return min(counts, key=lambda document: (-counts[document], document)) if counts else None


def _places(
    old: Sequence[Standing], here: dict[str, Standing], moved: dict[str, Standing], end: int
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


def _twin(old: Standing, candidates: list[Standing]) -> Standing | None:
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


def _agreement(old: Standing, new: Standing) -> int:
    """Return on how many sides, of two, the text around two passages agrees.

    Every document has a beginning and an end: to stand there says something only beside text that agrees.
    """
    sides = [(old.before.split(), new.before.split()), (old.after.split(), new.after.split())]
    agreed = [one for one, other in sides if one == other]
    return len(agreed) if any(agreed) else 0


def _is_distinctive(standing: Standing) -> bool:
    return len(standing.passage.text.split()) >= DISTINCTIVE_WORDS


def _same_document(old: Standing, new: Standing) -> bool:
    return old.passage.document_id == new.passage.document_id


def _id(standing: Standing | None) -> str:
    return standing.passage.id if standing else ""
