"""The record of citations: what looking them up and building need of it, whatever engine keeps it.

``Ledger`` (``citations/ledger.py``) keeps it in a file, ``PostgresLedger`` in a database.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, Self

from sourceline.citations.ledger import Resolution
from sourceline.index.snapshot import LedgerExtent
from sourceline.types import PassageInContext


class CitationRecord(Protocol):
    """Every citation ever issued, and what became of it, as it is for one snapshot.

    Everything raises LedgerError if the record cannot be read.
    """

    @property
    def extent(self) -> LedgerExtent | None:
        """The part that belongs to the snapshot; None if nothing was recorded yet."""

    def issued(self, citation: str) -> PassageInContext | None:
        """Return a citation as it was when first issued; None if it never was."""

    def resolution(self, citation: str) -> Resolution | None:
        """Return what the newest build that found this id gone says of it."""

    def origin(self, citation: str) -> str | None:
        """Return what a citation came of that only a newer snapshot holds, which is damaged; None for any other."""

    def with_texts(self, texts: Iterable[str]) -> Iterator[PassageInContext]:
        """Yield every citation ever issued for one of these texts, whatever its typography."""

    def latest_successors(self, citations: Sequence[str]) -> dict[str, str | None]:
        """Return those of these ids that were issued, each with the successor that the newest resolution names."""

    def standing(self) -> dict[str, list[PassageInContext]]:
        """Return the citations that no build found gone, by document and in their order there."""

    def issued_since(self, extent: LedgerExtent) -> dict[str, list[PassageInContext]]:
        """Return what was first issued after this part of the record, by document and in order."""

    def check(self) -> int:
        """Read all that belongs to the snapshot; return the number of citations."""

    def append(self, snapshot: str, issued: Iterable[PassageInContext], resolutions: Iterable[Resolution]) -> Self:
        """Record what a build issues and what it found gone; return the record with that.

        An id that was issued before keeps its first entry. Readers see nothing of it until the snapshot is published.
        """


def successors(ledger: CitationRecord, citation: str) -> list[str]:
    """Return the chain of successors of a citation, by the newest resolution of each; it ends at a cycle.

    Raises:
        LedgerError: the record cannot be read.
    """
    chain = {citation: None}
    while (step := ledger.resolution(citation)) and step.successor and step.successor not in chain:
        citation = step.successor
        chain[citation] = None
    return list(chain)[1:]
