"""Compares a new generation with the one before and tells the ledger what was issued and what was lost."""

from collections.abc import Iterator

from sourceline.citations.ledger import Fate, Ledger
from sourceline.citations.succession import renamed_to, returned, vanished
from sourceline.index.generation import Generation
from sourceline.index.passages import DocumentEntry, Passages, stand
from sourceline.types import Standing


def record_citations(ledger: Ledger, before: Generation | None, after: Generation) -> None:
    """Issue the passages that are new in ``after`` and record what became of those that are gone.

    Only documents whose bytes changed are compared.

    Raises:
        LedgerError: the ledger cannot be read or written; nothing was recorded.
    """
    if before is None and not ledger.exists():
        # Nothing can have been lost, so that nothing need be compared: the passages go by one at a time.
        everything = (standing for entry in after.passages.documents for standing in standings(after.passages, entry))
        ledger.record(after.id, everything, ())
        return
    old = {entry.id: entry for entry in before.passages.documents} if before else {}
    new = {entry.id: entry for entry in after.passages.documents}
    touched = [id_ for id_ in {**old, **new} if id_ not in old or id_ not in new or _differ(old[id_], new[id_])]
    was = {id_: standings(before.passages, old[id_]) for id_ in touched if before and id_ in old}
    now = {id_: standings(after.passages, new[id_]) for id_ in touched if id_ in new}
    old_ids = {standing.passage.id for document in was.values() for standing in document}
    appeared = [s for document in now.values() for s in document if s.passage.id not in old_ids]
    # The old ones too, in case the ledger was lost: they must be known before anything is said of them.
    issued = [*(standing for document in was.values() for standing in document), *appeared]
    ledger.record(after.id, issued, list(_fates(ledger, after.passages, was, now, appeared)))


def standings(passages: Passages, entry: DocumentEntry) -> list[Standing]:
    """Return all passages of a document in their places."""
    text = passages.text_of(entry)
    return [stand(passage, entry.title, text) for passage in passages.of_document(entry)]


def follow(citation: str, passages: Passages, ledger: Ledger) -> Standing | None:
    """Go from successor to successor of a lost citation until one stands in this generation."""
    seen = {citation}
    while (fate := ledger.fate(citation)) and fate.successor and fate.successor not in seen:
        citation = fate.successor
        seen.add(citation)
        if standing := passages.standing(citation):
            return standing
    return None


def _fates(
    ledger: Ledger,
    passages: Passages,
    was: dict[str, list[Standing]],
    now: dict[str, list[Standing]],
    appeared: list[Standing],
) -> Iterator[Fate]:
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
    found = list(returned(lost, appeared))
    yield from found
    moved = {fate.citation: there[fate.successor] for fate in found if fate.successor}
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
        yield from vanished(old, new, moved, passages.standing_texts(texts))


def _place(standing: Standing) -> tuple[str, str]:
    return standing.passage.document_id, standing.passage.text


def _is_placed(standing: Standing, passages: Passages, ledger: Ledger) -> bool:
    """Return whether an earlier build found where a lost citation went, and its text stands there still."""
    now = follow(standing.passage.id, passages, ledger)
    return now is not None and now.passage.text == standing.passage.text


def _differ(one: DocumentEntry, other: DocumentEntry) -> bool:
    # The title is part of what a citation shows; the splitting of a text can change with Sourceline itself.
    return (one.sha256, one.title, len(one.numbers)) != (other.sha256, other.title, len(other.numbers))
