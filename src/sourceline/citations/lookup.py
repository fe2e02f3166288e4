"""Looks a citation up: the sentence as cited, what became of it, and where it stands now."""

from sourceline.citations.ledger import Ledger
from sourceline.citations.tracking import latest_successor, match_reappeared, similarity
from sourceline.errors import UnknownCitationError
from sourceline.index.passage_store import PassageStore
from sourceline.types import Citation, CitationStatus, PassageInContext

_NEVER_ISSUED = "no citation with this id was ever issued"


def look_up(citation: str, passages: PassageStore, ledger: Ledger) -> Citation:
    """Decide the status of a citation in the snapshot that ``passages`` belongs to.

    Raises:
        UnknownCitationError: this id was never issued.
        LedgerError: the id is not in this snapshot and the ledger cannot be read.
    """
    if not citation.isascii():  # every id is, and SQLite rejects lone surrogates
        raise UnknownCitationError(_NEVER_ISSUED)
    current = passages.find([citation])
    if current:
        return Citation(citation, CitationStatus.CURRENT, current, current, None)
    cited = ledger.issued(citation)
    if cited is None:
        raise UnknownCitationError(_NEVER_ISSUED)
    now = latest_successor(citation, passages, ledger) or _same_text_elsewhere(cited, passages, ledger)
    if now is None:
        return Citation(citation, CitationStatus.REMOVED, cited, None, None)
    if now.passage.text == cited.passage.text:
        return Citation(citation, CitationStatus.MOVED, cited, now, None)
    return Citation(citation, CitationStatus.CHANGED, cited, now, similarity(cited.passage.text, now.passage.text))


def _same_text_elsewhere(cited: PassageInContext, passages: PassageStore, ledger: Ledger) -> PassageInContext | None:
    """Return where the text stands now if no build compared the old place with the new one.

    That happens when the snapshots were deleted, or were in an older format, and the ledger was kept.
    """
    if ledger.resolution(cited.passage.id):
        return None
    resolutions = match_reappeared([cited], passages.find_texts({cited.passage.text}))
    return next((passages.find([r.successor]) for r in resolutions if r.successor), None)
