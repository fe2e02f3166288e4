"""Runs an exported model with ONNX Runtime and tokenizers. No deep-learning framework is imported."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from sourceline.durable import read_text, sha256
from sourceline.encoders.base import (
    EncoderInput,
    Encoding,
    Float32,
    Int64,
    Tokens,
    encode_long,
    tokenize,
    unknown_id,
    vocabulary_size,
)
from sourceline.encoders.hub import Model
from sourceline.errors import ModelError


@contextmanager
def _telemetry_off() -> Iterator[None]:
    """Set what ONNX Runtime reads when it is imported, and leave the process's environment as it was.

    Nothing leaves the machine: official builds keep and send records of their use unless this is set.
    """
    variable = "ORT_DISABLE_TELEMETRY"
    before = os.environ.get(variable)
    os.environ[variable] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


with _telemetry_off():
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as failures

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
CARD_FILE = "encoder.json"
INPUT = "ids"  # the exported model's only input
REBUILD = "run `sourceline rebuild-index`"
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # says nothing about the model
# What ONNX Runtime raises for a file that it cannot load. The classes have nothing in common but Exception.
_UNLOADABLE = (
    *(failures.Fail, failures.InvalidArgument, failures.InvalidGraph, failures.InvalidProtobuf),
    *(failures.NoSuchFile, failures.NotImplemented, failures.RuntimeException),
)
# Part of the fingerprint: to be changed whenever the same model would be exported to something else, its card included.
EXPORT_VERSION = "onnx-int8-perchannel-4"


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """What ``encoder.json`` says of an exported model.

    ``model`` is the name under which it was exported; ``precision`` is int8 or fp32; ``cosine_mean`` and ``cosine_min``
    compare it with the original on probe sentences.
    """

    model: str
    fingerprint: str
    precision: str
    dim: int
    max_tokens: int
    cosine_mean: float
    cosine_min: float
    sha256: dict[str, str]


class OnnxEncoder:
    """Encodes with the exported model in ``folder``. Safe to call from many threads at once."""

    def __init__(self, model: str, folder: Path) -> None:
        """Open and verify an exported model.

        Args:
            model: the name by which it is asked for; the same files may have been exported under another.
            folder: what ``export_model`` wrote.

        Raises:
            ModelError: it is missing or differs from what was exported.
        """
        self.card = verify_export(folder)
        self.model = model
        self.fingerprint = self.card.fingerprint
        self.dim = self.card.dim
        self.max_tokens = self.card.max_tokens
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        self.unknown_id = unknown_id(self._tokenizer)
        self._session = open_session(folder / MODEL_FILE)

    @property
    def vocabulary(self) -> int:
        """An upper bound (exclusive) of the token ids."""
        return vocabulary_size(self._tokenizer)

    def tokenize(self, text: str) -> Tokens:
        """Return the tokens of a text of any length."""
        return tokenize(self._tokenizer, text)[2]

    def encode(self, inputs: Sequence[EncoderInput]) -> Iterator[Encoding]:
        """Yield one encoding for each input, in order; several are encoded at a time, each on one core."""
        if len(inputs) == 1:
            yield self._encode(inputs[0], is_last=True)
            return
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from pool.map(self._encode, inputs, are_last(inputs))

    def _encode(self, item: EncoderInput, is_last: bool) -> Encoding:
        # One text a run: dynamic quantisation scales by the largest value of the whole batch, so that in a batch a
        # text's vectors would depend on its neighbours. A chunk is long enough to keep a core busy.
        def run(_: str, ids: list[int]) -> Float32:
            return self._session.run({INPUT: np.array(ids, dtype=np.int64)}, is_last)

        return encode_long(item, self._tokenizer, self.max_tokens, run)


def fingerprint(model: Model) -> str:
    """Return the id of a model's export. It depends on the model's files and on how they are exported."""
    return hashlib.sha256(f"{EXPORT_VERSION}\0{model.digest}".encode()).hexdigest()[:16]


def write_card(folder: Path, card: EncoderCard) -> None:
    """Write the card of an exported model, with a checksum over it."""
    body = asdict(card)
    (folder / CARD_FILE).write_text(json.dumps(body | {"checksum": _checksum(body)}, indent=2) + "\n", "utf-8")


def verify_export(folder: Path, remedy: str = REBUILD) -> EncoderCard:
    """Compare the files of an exported model with its card, and return that; ``remedy`` is what an error says to do.

    Raises:
        ModelError: it is missing, or differs from what was exported.
    """
    card = read_card(folder, remedy)
    for name, expected in card.sha256.items():
        if not (folder / name).is_file() or sha256(folder / name) != expected:
            raise ModelError(f"the exported model in {folder} is damaged: {remedy}")
    return card


def read_card(folder: Path, remedy: str = REBUILD) -> EncoderCard:
    """Read the card of an exported model; ``remedy`` is what an error says to do.

    Raises:
        ModelError: there is none, or it differs from what was written.
    """
    try:
        body = json.loads(read_text(folder / CARD_FILE))
        if body.pop("checksum") != _checksum(body):
            raise ValueError("its checksum differs")
        return EncoderCard(**body)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise ModelError(f"the model in {folder} cannot be read: {error.strerror}") from error
        raise ModelError(f"no exported model in {folder}: {remedy}") from error


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class Session:
    """An open model that can give its working memory back. Safe to run from many threads at once.

    Left alone, ONNX Runtime keeps what its longest texts ever needed, once for each thread: of the reader 13 MB a text.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """Take over a session that has an arena for the processor's memory."""
        self._session = session
        self._releasing = onnxruntime.RunOptions()
        self._releasing.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(self, inputs: Mapping[str, Int64], is_last: bool) -> Float32:
        """Return the output of the model, which has one.

        After the last of several texts, what no other run uses is given back. After each, reading takes 4 % longer.
        """
        (output,) = self._session.run(None, inputs, self._releasing if is_last else None)
        return np.asarray(output, dtype=np.float32)


def are_last(inputs: Sequence[object]) -> Iterator[bool]:
    """Yield, for each of these inputs, whether it is the last one."""
    return (number == len(inputs) for number in range(1, len(inputs) + 1))


def open_session(path: Path, remedy: str = REBUILD) -> Session:
    """Open an exported model; ``remedy`` is what the error tells the user to do.

    Raises:
        ModelError: it does not load.
    """
    onnxruntime.disable_telemetry_events()  # in case it was already imported
    options = onnxruntime.SessionOptions()
    # A core for each text; several texts run at a time. Spinning threads would only steal from the other requests.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Else it keeps, for each length of text that it ever met, where in one block everything would lie: tens of kB each.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # done by the export
    try:
        return Session(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))
    except _UNLOADABLE as error:
        raise ModelError(f"the exported model {path} does not load: {remedy}") from error
