"""Rerankers: models that read a question together with a text and say how well each sentence of it answers.

The default one, the reader, comes with Sourceline. It reads whole chunks, so that a sentence is judged in its context.
"""

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from sourceline.durable import read_text, sha256
from sourceline.encoders.base import Float32, Int64, Reranker, RerankerInput, tokenize
from sourceline.encoders.onnx import INPUT, MODEL_FILE, TOKENIZER_FILE, are_last, open_session
from sourceline.errors import ModelError
from sourceline.types import DEFAULT_RERANKER, NO_RERANKER

CARD_FILE = "reader.json"
SEGMENTS = "segments"  # the reader's second input: 0 for the question, 1 for the text
# The most tokens of a question, and of a question with a text; special tokens count. Of a longer
# question the end is read, where it asks; a longer text is cut at the end.
MAX_QUESTION_TOKENS, MAX_TOKENS = 128, 384
_REINSTALL = "reinstall Sourceline"
_NAMES = f"the one that comes with Sourceline is called {DEFAULT_RERANKER!r}"


class OnnxReranker:
    """The reader: scores every sentence of a text in its context. Safe to call from many threads at once.

    A score is a difference of logits: how much better the sentence answers than nothing in its text does.
    """

    def __init__(self, folder: Path) -> None:
        """Open and verify an exported reader.

        Raises:
            ModelError: it is missing or differs from what was exported.
        """
        try:
            expected = json.loads(read_text(folder / CARD_FILE))["sha256"]
            hashes = {name: sha256(folder / name) for name in (MODEL_FILE, TOKENIZER_FILE)}
            if hashes != expected:
                raise ValueError("a file differs")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(f"the reader in {folder} is missing or damaged: {_REINSTALL}") from error
        self.name = DEFAULT_RERANKER
        self.fingerprint = hashlib.sha256("".join(hashes.values()).encode()).hexdigest()[:16]
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        # The file may say that every text is filled up to one length, or cut.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in a text is four letters and two brackets
        self._session = open_session(folder / MODEL_FILE, _REINSTALL)
        # Texts are read side by side, a core for each. The pool is shared by all questions, so that under load no more
        # of them run at once than there are cores. Its threads end with the reader, or with the process.
        self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="reader")

    def score(self, question: str, inputs: Sequence[RerankerInput]) -> list[Float32]:
        """Return the scores of the sentences of each text, (sentences,) each; NaN if nothing was read of one."""
        first, *question_ids = tokenize(self._tokenizer, question)[0]
        question_ids = [first, *question_ids[1 - MAX_QUESTION_TOKENS :]]
        return list(self._pool.map(partial(self._read, question_ids), inputs, are_last(inputs)))

    def _read(self, question_ids: list[int], item: RerankerInput, is_last: bool) -> Float32:
        """Score the sentences of one text; the question's ids are [CLS] … [SEP]."""
        all_ids, _, tokens = tokenize(self._tokenizer, item.text)
        text_ids = _cut(all_ids[1:], MAX_TOKENS - len(question_ids))  # … [SEP]
        ids = np.array(question_ids + text_ids, dtype=np.int64)
        first, last = len(question_ids), len(ids) - 1
        segments = (np.arange(len(ids)) >= first).astype(np.int64)
        # (tokens, 2): how well the token's sentence answers; at the first token, how well nothing in the text does
        scores = self._session.run({INPUT: ids, SEGMENTS: segments}, is_last)
        starts = tokens.spans[: last - first, 0].astype(np.int64)
        return np.asarray(sentence_scores(scores[first:last, 0], starts, item.spans) - scores[0, 1], dtype=np.float32)


def _cut(ids: list[int], limit: int) -> list[int]:
    """Return ids of which at most ``limit`` are kept: the first ones, and the last, which ends the text."""
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]


def sentence_scores(scores: Float32, starts: Int64, spans: Sequence[tuple[int, int]]) -> Float32:
    """Return the mean score of the tokens of each sentence, (sentences,); NaN for one without tokens.

    Args:
        scores: of the tokens, (tokens,).
        starts: where each of them starts in the text, (tokens,), ascending.
        spans: the sentences, offsets into the text.
    """
    if not spans:
        return np.zeros(0, dtype=np.float32)
    sums = np.concatenate([[0.0], np.cumsum(scores, dtype=np.float64)])
    firsts, lasts = np.searchsorted(starts, np.array(spans, dtype=np.int64).T)
    counts = lasts - firsts
    means = (sums[lasts] - sums[firsts]) / np.maximum(counts, 1)
    return np.where(counts > 0, means, np.nan).astype(np.float32)


class CrossEncoderReranker:
    """Any sentence-transformers CrossEncoder with one score: scores each sentence alone, and is not calibrated.

    Safe to call from many threads: one question at a time is scored.
    """

    def __init__(self, name: str) -> None:
        """Load a model by name or folder.

        Raises:
            ModelError: there is no such model, it is not a CrossEncoder, or the extra is missing.
        """
        from sourceline.encoders.hub import find_model

        if name.lower() in (DEFAULT_RERANKER, NO_RERANKER):
            raise ModelError(f"there is no reranker {name!r}: did you mean {name.lower()}?")
        if os.path.isdir(name) and not os.path.isfile(os.path.join(name, "config.json")):
            raise ModelError(f"{name} is no reranker: there is no config.json in it; {_NAMES}")
        model = find_model(name)
        _require_cross_encoder(name, model.folder)
        try:
            import torch
            from safetensors import SafetensorError
            from sentence_transformers import CrossEncoder
            from transformers.utils import logging as transformers_logging
        except ModuleNotFoundError as error:
            raise ModelError(f"{error.name} is missing: pip install 'sourceline[models]'") from error
        transformers_logging.disable_progress_bar()
        torch.set_num_threads(os.cpu_count() or 1)  # the command line sets one, for what serves
        try:
            self._model = CrossEncoder(str(model.folder), trust_remote_code=False, local_files_only=True)
        except (OSError, ValueError, ImportError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
            # What the library raises for a folder that holds something else depends on how far it got.
            reason = " ".join(str(error).split())  # it often has several lines
            raise ModelError(f"{name} cannot be used as a reranker: {reason}") from error
        if self._model.num_labels != 1:
            raise ModelError(
                f"{name} cannot be used as a reranker: it gives {self._model.num_labels} scores, a reranker one"
            )
        self.name, self.fingerprint = name, model.digest[:16]
        self._logits = torch.nn.Identity()
        self._scoring = threading.Lock()  # its tokenizer fails when two threads use it at once

    def score(self, question: str, inputs: Sequence[RerankerInput]) -> list[Float32]:
        """Return the scores of the sentences of each text, (sentences,) each."""
        with self._scoring:
            return [
                np.array([self._score(question, item.text[start:end]) for start, end in item.spans], dtype=np.float32)
                for item in inputs
            ]

    def _score(self, question: str, sentence: str) -> float:
        # One at a time: padding to a batch's longest text changes the last bits of a score. And as logits: what the
        # library makes of them by default is 1 for every sentence that answers well.
        (score,) = self._model.predict([(question, sentence)], activation_fn=self._logits, show_progress_bar=False)
        return float(score)


def _require_cross_encoder(name: str, folder: Path) -> None:
    """Refuse a model that is none: the library would add a layer of random weights, and say so at length."""
    try:
        architectures = list(json.loads((folder / "config.json").read_text("utf-8")).get("architectures") or [])
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ModelError(f"{name} cannot be used as a reranker: its config.json cannot be read") from error
    if not any(str(architecture).endswith("ForSequenceClassification") for architecture in architectures):
        raise ModelError(f"{name} cannot be used as a reranker: it is no CrossEncoder; {_NAMES}")


def open_reranker(name: str) -> Reranker | None:
    """Return a reranker by name: ``reader``, ``none``, or a CrossEncoder by name or folder.

    Raises:
        ModelError: it cannot be used.
    """
    if name == NO_RERANKER:
        return None
    if name == DEFAULT_RERANKER:
        return OnnxReranker(Path(str(resources.files("sourceline.encoders") / "reader")))
    return CrossEncoderReranker(name)
