"""The corpus, cut into passages and windows.

A window is encoded with the document's title in front of it, so that its sentences know what they are about.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sourceline.corpus.documents import Skipped, read_documents
from sourceline.corpus.sentences import passages
from sourceline.corpus.windows import WINDOW_CHARACTERS, Window, windows
from sourceline.encoding.encoder import Encoder, token_counter
from sourceline.errors import CorpusError
from sourceline.types import Document, Passage

# A longer title is not put in front of windows, nor one of more than this share of the model's limit: it would take the
# place of what they hold.
TITLE_TOKENS, TITLE_SHARE = 40, 0.25


@dataclass(frozen=True, slots=True)
class CutDocument:
    """A document, cut into passages and windows. ``title`` is what is put in front of windows, or empty."""

    document: Document
    passages: tuple[Passage, ...]
    windows: tuple[Window, ...]
    title: str

    def answers(self) -> list[Passage]:
        """Return the passages that can be answers: all but the headings, which only are context of what follows."""
        return [passage for passage in self.passages if not passage.heading]

    def texts(self) -> list[str]:
        """Return what is encoded: the text of each window with its prefix, then the title if there is one."""
        windows = [self.prefix(window) + self.document.text[window.start : window.end] for window in self.windows]
        return [*windows, *([self.title] if self.title else [])]

    def prefix(self, window: Window) -> str:
        """Return what is put in front of a window's text: the title, unless the window begins with it."""
        text = self.document.text[window.start : window.end].lstrip()
        # The title "a" does not stand in front of "another".
        starts = text.startswith(self.title) and not text[len(self.title) :][:1].isalnum()
        return "" if starts or not self.title else f"{self.title}\n"


def cut_documents(
    folder: Path, encoder: Encoder, titles: bool = True, window: int = WINDOW_CHARACTERS
) -> tuple[list[CutDocument], dict[str, str]]:
    """Read and cut all documents below ``folder``; return them in order, and the files left out with the reason.

    Without ``titles``, none is put in front of windows; ``window`` is the most characters that one has.

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
        title_tokens = len(encoder.tokenize(found.title).ids)
        short = title_tokens <= min(TITLE_TOKENS, TITLE_SHARE * encoder.limit)
        title = found.title if titles and title_tokens and short else ""
        starts = encoder.tokenize(found.text).spans[:, 0].astype(np.int64)
        limit = encoder.limit - (title_tokens if title else 0)
        packed = windows(sentences, starts, limit, token_counter(encoder, found.text), window)
        cut.append(CutDocument(found, sentences, tuple(packed), title))
    if not cut:
        reasons = "; ".join(f"{document}: {reason}" for document, reason in skipped.items())
        raise CorpusError(f"no document in {folder} can be read" + (f": {reasons}" if reasons else ""))
    return cut, skipped
