"""Builds an index of a few texts and opens it for questions."""

from pathlib import Path

from sourceline.encoders.load import open_encoder
from sourceline.index.base import Passages
from sourceline.index.snapshot import open_current
from sourceline.search.confidence import load_calibration
from sourceline.search.searcher import Searcher
from sourceline.types import Backend, Passage
from tests.conftest import Rebuild


class Publish:
    """Builds a corpus of these texts by name and opens it."""

    def __init__(self, documents: Path, index: Path, rebuild: Rebuild) -> None:
        self.documents, self.index, self.rebuild = documents, index, rebuild

    def __call__(self, corpus: dict[str, str]) -> Searcher:
        for name, text in corpus.items():
            (self.documents / name).parent.mkdir(parents=True, exist_ok=True)
            (self.documents / name).write_text(text, "utf-8")
        self.rebuild(self.documents, self.index)
        return open_searcher(self.index)


def open_searcher(index: Path) -> Searcher:
    """Return what answers questions from the current snapshot of an index."""
    snapshot = open_current(index)
    manifest = snapshot.manifest
    encoder = open_encoder(Backend(manifest.backend), manifest.model, manifest.fingerprint, index)
    return Searcher(snapshot, encoder, load_calibration(manifest.model))


def all_passages(store: Passages) -> list[Passage]:
    """Return the passages of all documents in order, headings included."""
    return [passage for entry in store.documents for passage in store.of_document(entry)]
