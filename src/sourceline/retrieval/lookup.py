"""A citation id becomes the sentence as cited, what became of it, and where it stands now."""

from sourceline.citations.ledger import Ledger
from sourceline.citations.succession import returned, similarity
from sourceline.errors import UnknownCitationError
from sourceline.index.history import follow
from sourceline.index.passages import Passages
from sourceline.types import Citation, Standing, Status

_NEVER_ISSUED = "no citation with this id was ever issued"


def look_up(citation: str, passages: Passages, ledger: Ledger) -> Citation:
    """Look a citation up in the generation that ``passages`` belongs to.

    Raises:
        UnknownCitationError: this id was never issued.
        LedgerError: the id is not in this generation and the ledger cannot be read.
    """
    if not citation.isascii():  # every id is, and the database cannot be asked for half of a surrogate pair
        raise UnknownCitationError(_NEVER_ISSUED)
    standing = passages.standing(citation)
    if standing:
        return Citation(citation, Status.CURRENT, standing, standing, None)
    issued = ledger.issued(citation)
    if issued is None:
        raise UnknownCitationError(_NEVER_ISSUED)
    cited = issued.standing
    now = follow(citation, passages, ledger) or _same_text(cited, passages, ledger)
    if now is None:
        return Citation(citation, Status.REMOVED, cited, None, None)
    if now.passage.text == cited.passage.text:
        return Citation(citation, Status.MOVED, cited, now, None)
    return Citation(citation, Status.CHANGED, cited, now, similarity(cited.passage.text, now.passage.text))


def _same_text(cited: Standing, passages: Passages, ledger: Ledger) -> Standing | None:
    """Return where the text stands now if no build compared the old place with the new one.

    That happens when the generations were deleted, and the ledger was not.
    """
    if ledger.fate(cited.passage.id):
        return None
    fates = returned([cited], passages.standing_texts({cited.passage.text}))
    return next((passages.standing(fate.successor) for fate in fates if fate.successor), None)
