"""The record of citations in the database of an index.

What a build records is written in the transaction that publishes its snapshot, and says of which snapshot it is.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sourceline.citations.ledger import Resolution, issued_body, issued_of
from sourceline.ids import form_hash
from sourceline.index.postgres.database import Connection, array
from sourceline.index.snapshot import LedgerExtent
from sourceline.text import nfc, same_but_typography
from sourceline.types import CitationStatus, PassageInContext

_BATCH = 10_000


class PostgresLedger:
    """The record as it is for one snapshot, over a connection."""

    def __init__(self, connection: Connection, number: int, extent: LedgerExtent | None) -> None:
        """Take a connection and the number of the snapshot; without an ``extent``, nothing was recorded yet."""
        self._connection, self._number, self.extent = connection, number, extent

    def issued(self, citation: str) -> PassageInContext | None:
        """Return a citation as it was when first issued; None if it never was."""
        query = "SELECT body FROM citations WHERE id = %s AND snapshot <= %s"
        body = self._connection.value(query, citation, self._number)
        return None if body is None else issued_of(json.loads(body))

    def resolution(self, citation: str) -> Resolution | None:
        """Return what the newest build that found this id gone says of it."""
        query = "SELECT status, successor FROM resolutions WHERE citation = %s AND snapshot <= %s"
        rows = self._connection.rows(f"{query} ORDER BY number DESC LIMIT 1", citation, self._number)
        return Resolution(citation, CitationStatus(rows[0][0]), rows[0][1]) if rows else None

    def origin(self, citation: str) -> str | None:
        """Return None: a database never serves an older snapshot because the newest one is damaged."""
        return None

    def with_texts(self, texts: Iterable[str]) -> Iterator[PassageInContext]:
        """Yield every citation ever issued for one of these texts, whatever its typography."""
        by_form: dict[int, list[str]] = defaultdict(list)
        for text in dict.fromkeys(texts):
            by_form[form_hash(text)].append(text)
        query = "SELECT form, body FROM citations WHERE form = ANY(%s::bigint[]) AND snapshot <= %s ORDER BY form, id"
        forms = iter(by_form)
        while batch := list(islice(forms, _BATCH)):
            for form, body in self._connection.rows(query, array(batch), self._number):
                cited = issued_of(json.loads(body))
                if any(same_but_typography(cited.passage.text, text) for text in by_form[form]):
                    yield cited

    def latest_successors(self, citations: Sequence[str]) -> dict[str, str | None]:
        """Return those of these ids that were issued, each with the successor that the newest resolution names."""
        query = """
            SELECT DISTINCT ON (c.id) c.id, r.successor
            FROM citations c LEFT JOIN resolutions r ON r.citation = c.id AND r.snapshot <= %s
            WHERE c.id = ANY(%s) AND c.snapshot <= %s ORDER BY c.id, r.number DESC
        """
        found: dict[str, str | None] = {}
        for start in range(0, len(citations), _BATCH):
            batch = list(citations[start : start + _BATCH])
            found |= dict(self._connection.rows(query, self._number, batch, self._number))
        return {citation: found[citation] for citation in citations if citation in found}

    def standing(self) -> dict[str, list[PassageInContext]]:
        """Return the citations that no build found gone, by document and in their order there."""
        gone = "SELECT FROM resolutions r WHERE r.citation = c.id AND r.snapshot <= %s"
        query = f"SELECT body FROM citations c WHERE snapshot <= %s AND NOT EXISTS ({gone})"
        return _by_document(self._connection.rows(query, self._number, self._number))

    def issued_since(self, extent: LedgerExtent) -> dict[str, list[PassageInContext]]:
        """Return what was first issued after this part of the record, by document and in order."""
        query = "SELECT body FROM citations WHERE snapshot > %s AND snapshot <= %s"
        return _by_document(self._connection.rows(query, int(extent.snapshot[:8]), self._number))

    def check(self) -> int:
        """Read all that belongs to the snapshot; return the number of citations."""
        query = "SELECT id, body FROM citations WHERE id > %s AND snapshot <= %s ORDER BY id LIMIT %s"
        count, last = 0, ""
        while rows := self._connection.rows(query, last, self._number, _BATCH):
            for _, body in rows:
                issued_of(json.loads(body))
            count, last = count + len(rows), rows[-1][0]
        return count

    def append(
        self, snapshot: str, issued: Iterable[PassageInContext], resolutions: Iterable[Resolution]
    ) -> "PostgresLedger":
        """Record what a build issues and what it found gone; return the record with that.

        An id that was issued before keeps its first entry. To be called in the transaction that publishes.
        """
        number, remaining = int(snapshot[:8]), iter(issued)
        query = "SELECT id FROM citations WHERE id = ANY(%s)"
        while batch := list(islice(remaining, _BATCH)):
            new = {cited.passage.id: cited for cited in reversed(batch)}
            for (known,) in self._connection.rows(query, list(new)):
                del new[known]
            self._connection.copy(
                "citations",
                ("id", "snapshot", "form", "body"),
                (
                    (id_, number, form_hash(cited.passage.text), json.dumps(issued_body(cited), ensure_ascii=False))
                    for id_, cited in new.items()
                ),
            )
        self._connection.copy(
            "resolutions",
            ("snapshot", "citation", "status", "successor"),
            ((number, gone.citation, gone.status.value, gone.successor) for gone in resolutions),
        )
        ledger = self._connection.value("SELECT id FROM ledger")
        return PostgresLedger(self._connection, number, LedgerExtent(ledger, snapshot, 0, ""))


def _by_document(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[PassageInContext]]:
    documents: dict[str, list[PassageInContext]] = defaultdict(list)
    for (body,) in rows:
        cited = issued_of(json.loads(body))
        documents[nfc(cited.passage.document_id)].append(cited)
    for passages in documents.values():
        passages.sort(key=lambda cited: (cited.passage.document_id, cited.passage.ordinal, cited.passage.id))
    return documents
