"""Builds a corpus of a few texts and opens it."""

from pathlib import Path

from sourceline.search.opening import open_searcher
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, Backend
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
        return open_searcher(self.index, DEFAULT_MODEL, Backend.ONNX)
