"""The corpus, cut into passages and windows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sourceline.corpus.documents import Skipped, read_documents
from sourceline.corpus.sentences import passages
from sourceline.corpus.windows import Window, windows
from sourceline.encoding.encoder import Encoder, token_counter
from sourceline.errors import CorpusError
from sourceline.types import Document, Passage


@dataclass(frozen=True, slots=True)
class CutDocument:
    """A document, cut into passages and windows."""

    document: Document
    passages: tuple[Passage, ...]
    windows: tuple[Window, ...]

    def answers(self) -> list[Passage]:
        """Return the passages that can be answers: all but the headings, which only are context of what follows."""
        return [passage for passage in self.passages if not passage.heading]

    def texts(self) -> list[str]:
        """Return the text of each window."""
        return [self.document.text[window.start : window.end] for window in self.windows]


def cut_documents(folder: Path, encoder: Encoder) -> tuple[list[CutDocument], dict[str, str]]:
    """Read and cut all documents below ``folder``; return them in order, and the files left out with the reason.

    Raises:
        CorpusError: there is no document that can be read.
    """
    cut: list[CutDocument] = []
    skipped: dict[str, str] = {}
    for found in read_documents(folder):
        if isinstance(found, Skipped):
            skipped[found.document_id] = found.reason
            continue
        sentences = passages(found)
        if not sentences:
            skipped[found.id] = "there is no sentence in it"
            continue
        starts = encoder.tokenize(found.text).spans[:, 0].astype(np.int64)
        count = token_counter(encoder, found.text)
        cut.append(CutDocument(found, sentences, tuple(windows(sentences, starts, encoder.limit, count))))
    if not cut:
        reasons = "; ".join(f"{document}: {reason}" for document, reason in skipped.items())
        raise CorpusError(f"no document in {folder} can be read" + (f": {reasons}" if reasons else ""))
    return cut, skipped
