"""Documents indexed by a model without weights, against which quotations are checked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sourceline.api import Index
from sourceline.citations.verify import verify
from sourceline.index.snapshot import open_current
from sourceline.types import CheckedQuote, Verification
from tests.support.index_folder import ledger_of
from tests.support.quick_encoder import build_with_it


class Checker:
    """An index of documents. Nothing is found by what it says: only by its words."""

    def __init__(self, index: Path) -> None:
        self.snapshot, self.ledger = open_current(index), ledger_of(index)

    def __call__(self, text: str, limit: int | None = None) -> Verification:
        quotes = verify(text, self.snapshot, self.ledger, lambda _: (), limit)
        return Verification(tuple(quotes), self.snapshot.id)

    def one(self, text: str) -> CheckedQuote:
        """Check a text with a single quotation, or a single sentence."""
        (quote,) = self(text).quotes
        return quote

    def text(self, document: str) -> str:
        """Return the text of a document."""
        entry = self.snapshot.passages.entry(document)
        assert entry
        return self.snapshot.passages.text_of(entry)

    def passages(self) -> list[tuple[str, str]]:
        """Return the id and the text of every sentence."""
        store = self.snapshot.passages
        return [(p.id, p.text) for entry in store.documents for p in store.of_document(entry)]


@contextmanager
def checker_of(fill: Callable[[Path], object], folder: Path) -> Iterator[Checker]:
    """Index what ``fill`` puts into a documents folder."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        build_with_it(monkeypatch)
        fill(folder / "documents")
        Index.build(folder / "documents", folder / "index")
    yield Checker(folder / "index")
