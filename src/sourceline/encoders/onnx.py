"""Runs the compiled model with onnxruntime and tokenizers. No deep-learning framework is imported."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as failures
from tokenizers import Tokenizer

from sourceline.durable import sha256
from sourceline.encoders.base import Encoding, Tokens, require_fit, tokenize, vocabulary
from sourceline.encoders.hub import Model
from sourceline.errors import ModelError

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
CARD_FILE = "encoder.json"
INPUT = "ids"  # of the compiled model
# What onnxruntime raises for a file that it cannot load. The classes have nothing in common but Exception.
_UNLOADABLE = (
    *(failures.Fail, failures.InvalidArgument, failures.InvalidGraph, failures.InvalidProtobuf),
    *(failures.NoSuchFile, failures.NotImplemented, failures.RuntimeException),
)
# Part of the fingerprint: to be changed whenever the same model would compile to something else.
RECIPE = "onnx-int8-perchannel-2"


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """What ``encoder.json`` says of a compiled model.

    ``model`` is the name under which it was compiled; ``precision`` is int8 or fp32; ``cosine_mean`` and ``cosine_min``
    are over probe sentences, against the original.
    """

    model: str
    fingerprint: str
    precision: str
    dim: int
    limit: int
    cosine_mean: float
    cosine_min: float
    sha256: dict[str, str]


class OnnxEncoder:
    """Encodes with the model compiled into ``folder``. Safe to call from many threads at once."""

    def __init__(self, model: str, folder: Path) -> None:
        """Open and verify a compiled model.

        Args:
            model: the name by which it is asked for; the same files may have been compiled under another.
            folder: what ``export_model`` wrote.

        Raises:
            ModelError: it is missing or not as it was compiled.
        """
        self.card = read_card(folder)
        for name, expected in self.card.sha256.items():
            if not (folder / name).is_file() or sha256(folder / name) != expected:
                raise ModelError(f"the compiled model in {folder} is damaged: run `sourceline rebuild-index`")
        self.model = model
        self.fingerprint = self.card.fingerprint
        self.dim = self.card.dim
        self.limit = self.card.limit
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        self._session = _session(folder / MODEL_FILE)

    @property
    def vocabulary(self) -> int:
        """The greatest token id and one: there can be fewer tokens than that."""
        return vocabulary(self._tokenizer)

    def tokenize(self, text: str) -> Tokens:
        """Return the tokens of a text of any length."""
        return tokenize(self._tokenizer, text)[2]

    def encode(self, texts: Sequence[str]) -> Iterator[Encoding]:
        """Yield one encoding for each text, in order, several texts at a time on several cores."""
        if len(texts) == 1:
            yield self._encode(texts[0])
            return
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from pool.map(self._encode, texts)

    def _encode(self, text: str) -> Encoding:
        ids, ordinary, tokens = tokenize(self._tokenizer, text)
        require_fit(tokens, self.limit)
        # One text a run: dynamic quantisation scales by the largest value of the whole batch, so in a batch a text's
        # vectors would depend on its neighbours. A window is long enough to keep a core busy alone.
        (states,) = self._session.run(None, {INPUT: np.array(ids, dtype=np.int64)})
        return Encoding(tokens, np.asarray(states, dtype=np.float32)[ordinary])


def fingerprint(model: Model) -> str:
    """Return the name of what a model compiles to: it depends on the model's files and on how they are compiled."""
    return hashlib.sha256(f"{RECIPE}\0{model.digest}".encode()).hexdigest()[:16]


def write_card(folder: Path, card: EncoderCard) -> None:
    """Write what a compiled model says of itself, with a checksum over it."""
    body = asdict(card)
    (folder / CARD_FILE).write_text(json.dumps(body | {"checksum": _checksum(body)}, indent=2) + "\n", "utf-8")


def read_card(folder: Path) -> EncoderCard:
    """Read what a compiled model says of itself.

    Raises:
        ModelError: there is none, or it is not as it was written.
    """
    try:
        body = json.loads((folder / CARD_FILE).read_text("utf-8"))
        if body.pop("checksum") != _checksum(body):
            raise ValueError("its checksum differs")
        return EncoderCard(**body)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"no compiled model in {folder}: run `sourceline rebuild-index`") from error


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # A core for each text; several texts run at a time. Spinning threads would only steal from the other requests.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # that was done by compiling
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _UNLOADABLE as error:
        raise ModelError(f"the compiled model {path} does not load: run `sourceline rebuild-index`") from error
