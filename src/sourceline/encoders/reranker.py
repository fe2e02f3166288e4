"""Rerankers: models that read a question together with a text and say how well each sentence of it answers.

The default one, the reader, comes with Sourceline. It reads whole chunks, so that a sentence is judged in its context.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from sourceline.durable import sha256
from sourceline.encoders.base import Float32, Int64, Reranker, RerankerInput, tokenize
from sourceline.encoders.onnx import MODEL_FILE, TOKENIZER_FILE, open_session
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_RERANKER, NO_RERANKER

CARD_FILE = "reader.json"
SEGMENTS = "segments"  # the reader's second input: 0 for the question, 1 for the text
# Of a longer question the reader sees the first tokens; of a text, as many as the rest of MAX_TOKENS takes.
MAX_QUESTION_TOKENS, MAX_TOKENS = 128, 384


class OnnxReranker:
    """The reader. Safe to call from many threads at once.

    A score is a difference of logits: how much better the sentence answers than nothing in its text does.
    """

    def __init__(self, folder: Path) -> None:
        """Open and verify an exported reader.

        Raises:
            ModelError: it is missing or differs from what was exported.
        """
        try:
            card = json.loads((folder / CARD_FILE).read_text("utf-8"))
            files: dict[str, str] = card["sha256"]
            if any(sha256(folder / name) != expected for name, expected in files.items()):
                raise ValueError("a file differs")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"the reader in {folder} is missing or damaged: reinstall Sourceline") from error
        self.name = DEFAULT_RERANKER
        self.fingerprint = hashlib.sha256("".join(sorted(files.values())).encode()).hexdigest()[:16]
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        self._session = open_session(folder / MODEL_FILE)
        # Texts are read side by side, a core for each. The pool is shared by all questions, so that under load no more
        # of them run at once than there are cores.
        self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="reader")

    def score(self, question: str, inputs: Sequence[RerankerInput]) -> list[Float32]:
        """Return the scores of the sentences of each text, (sentences,) each; NaN for one that was not read."""
        first = tokenize(self._tokenizer, question)[0]
        if len(first) > MAX_QUESTION_TOKENS:
            first = [*first[: MAX_QUESTION_TOKENS - 1], first[-1]]
        return list(self._pool.map(lambda item: self._read(first, item), inputs))

    def _read(self, question: list[int], item: RerankerInput) -> Float32:
        """Score the sentences of one text; ``question`` are ids with the special tokens, [CLS] … [SEP]."""
        ids, _, tokens = tokenize(self._tokenizer, item.text)
        room = MAX_TOKENS - len(question) - 1
        ids = [*question, *ids[1 : room + 1], ids[-1]] if len(ids) - 2 > room else [*question, *ids[1:]]
        segments = np.zeros(len(ids), dtype=np.int64)
        segments[len(question) :] = 1
        (scores,) = self._session.run(None, {"ids": np.array(ids, dtype=np.int64), SEGMENTS: segments})
        starts = tokens.spans[:room, 0].astype(np.int64)
        means = sentence_scores(scores[len(question) : len(ids) - 1, 0], starts, item.spans)
        return np.asarray(means - scores[0, 1], dtype=np.float32)


def sentence_scores(scores: Float32, starts: Int64, spans: Sequence[tuple[int, int]]) -> Float32:
    """Return the mean score of the tokens of each sentence, (sentences,); NaN for one without tokens.

    Args:
        scores: of the tokens, (tokens,).
        starts: where each of them starts, (tokens,), ascending.
        spans: the sentences.
    """
    sums = np.concatenate([[0.0], np.cumsum(scores, dtype=np.float64)])
    firsts = np.searchsorted(starts, [start for start, _ in spans])
    lasts = np.searchsorted(starts, [end for _, end in spans])
    counts = lasts - firsts
    means = (sums[lasts] - sums[firsts]) / np.maximum(counts, 1)
    return np.where(counts > 0, means, np.nan).astype(np.float32)


class CrossEncoderReranker:
    """Any sentence-transformers CrossEncoder: scores each sentence alone, and is not calibrated."""

    def __init__(self, name: str) -> None:
        """Load a model by name or folder.

        Raises:
            ModelError: there is no such model, it is not a CrossEncoder, or the extra is missing.
        """
        from sourceline.encoders.hub import find_model

        model = find_model(name)
        try:
            from sentence_transformers import CrossEncoder
        except ModuleNotFoundError as error:
            raise ModelError(f"{error.name} is missing: pip install 'sourceline[models]'") from error
        try:
            self._model = CrossEncoder(str(model.folder), local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(f"{name} cannot be used as a reranker: {error}") from error
        if self._model.num_labels != 1:
            raise ModelError(f"{name} gives {self._model.num_labels} scores: a reranker gives one")
        self.name, self.fingerprint = name, model.digest[:16]

    def score(self, question: str, inputs: Sequence[RerankerInput]) -> list[Float32]:
        """Return the scores of the sentences of each text, (sentences,) each."""
        sentences = [item.text[start:end] for item in inputs for start, end in item.spans]
        scores = np.asarray(self._model.predict([(question, s) for s in sentences], show_progress_bar=False))
        ends = np.cumsum([len(item.spans) for item in inputs])
        return [np.asarray(part, dtype=np.float32) for part in np.split(scores, ends[:-1])]


def open_reranker(name: str) -> Reranker | None:
    """Return a reranker by name: the reader, none, or a CrossEncoder.

    Raises:
        ModelError: it cannot be used.
    """
    if name == NO_RERANKER:
        return None
    if name == DEFAULT_RERANKER:
        return OnnxReranker(Path(str(resources.files("sourceline.encoders") / "reader")))
    return CrossEncoderReranker(name)
