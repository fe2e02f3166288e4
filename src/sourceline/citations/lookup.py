"""Looks a citation up: the sentence as cited, what became of it, and where it stands now."""

from sourceline.citations.base import CitationRecord, successors
from sourceline.citations.tracking import latest_successor, match_reappeared, similarity
from sourceline.errors import UnknownCitationError
from sourceline.index.base import Passages
from sourceline.text import same_but_typography
from sourceline.types import Citation, CitationStatus, PassageInContext

_NEVER_ISSUED = "no citation with this id was ever issued"


def look_up(citation: str, passages: Passages, ledger: CitationRecord) -> Citation:
    """Decide the status of a citation in the snapshot that ``passages`` belongs to.

    Raises:
        UnknownCitationError: this id was never issued.
        LedgerError: the id is not in this snapshot and the ledger cannot be read.
    """
    if not (citation.isascii() and citation.isalnum()):  # every id is; databases reject NULs and lone surrogates
        raise UnknownCitationError(_NEVER_ISSUED)
    current = passages.find([citation])
    if current:
        return Citation(citation, CitationStatus.CURRENT, current, current, None)
    cited = ledger.issued(citation)
    if cited is None:
        raise UnknownCitationError(_NEVER_ISSUED)
    now = latest_successor(citation, passages, ledger) or _origin(citation, passages, ledger)
    stands = now is not None and _changed_id_alone(citation, now.passage.id, ledger)
    if now is None and ledger.resolution(citation) is None:
        now, stands = _same_text_now(cited, passages)
    if now is None:
        return Citation(citation, CitationStatus.REMOVED, cited, None, None)
    if stands:
        return Citation(citation, CitationStatus.CURRENT, now, now, None)
    if same_but_typography(now.passage.text, cited.passage.text):
        return Citation(citation, CitationStatus.MOVED, cited, now, None)
    return Citation(citation, CitationStatus.CHANGED, cited, now, similarity(cited.passage.text, now.passage.text))


def _origin(citation: str, passages: Passages, ledger: CitationRecord) -> PassageInContext | None:
    """Return what the sentence was before the newest snapshot, if that is damaged and this is the one before."""
    origin = ledger.origin(citation)
    return passages.find([origin]) if origin else None


def _changed_id_alone(citation: str, now: str, ledger: CitationRecord) -> bool:
    """Return whether the sentence stands as cited and only its id is another, ``now``."""
    chain = [citation, *successors(ledger, citation)]
    if now not in chain:
        return False
    steps = (ledger.resolution(id_) for id_ in chain[: chain.index(now)])
    return all(step is not None and step.status is CitationStatus.CURRENT for step in steps)


def _same_text_now(cited: PassageInContext, passages: Passages) -> tuple[PassageInContext | None, bool]:
    """Return where the text of a citation stands now that no build found gone, and whether that is as it was cited.

    There are such when a ledger is put beside snapshots that were built without it.
    """
    for resolution in match_reappeared([cited], passages.find_texts({cited.passage.text})):
        if resolution.successor:
            return passages.find([resolution.successor]), resolution.status is CitationStatus.CURRENT
    return None, False
