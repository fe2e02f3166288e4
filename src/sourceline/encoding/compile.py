"""Compiles a sentence-transformers model: ONNX, int8, token states, checked against the original."""

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from sourceline.durable import sha256, sync, sync_tree
from sourceline.encoding.bert import LeanBert, is_plain
from sourceline.encoding.compiled import (
    INPUT,
    MODEL_FILE,
    TOKENIZER_FILE,
    Card,
    CompiledEncoder,
    fingerprint,
    write_card,
)
from sourceline.encoding.encoder import Float32
from sourceline.encoding.models import Model
from sourceline.encoding.reference import ReferenceEncoder, load
from sourceline.errors import ModelError

log = logging.getLogger(__name__)

# int8 measured .992 on average and .973 at worst; a processor on which it saturates falls far below these.
_COSINE_MEAN, _COSINE_MIN = 0.98, 0.95
PROBES = (
    "Thank you.",
    "What did the committee decide about the budget?",
    "The meeting was adjourned at half past four.",
    "Trade between the two countries grew by 7.5 percent in 2024, to $3.1 billion.",
    "who was the foreign minister at the time",
    "He said that shared history continues to guide modern diplomacy, and that trust has grown over decades.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
    "Dr. Müller’s naïve café résumé — “quoted” — costs €5.",
    "The defendant shall be presumed innocent until proved guilty according to law.",
    "The quick brown fox jumps over the lazy dog. " * 12,
    "Speaker one: shall we begin? Speaker two: yes, the first item is the repair of the town hall's roof. "
    "Speaker one: the estimate came back higher than we had planned for, so we have to choose what to delay.",
)


def compile_model(model: Model, target: Path) -> Card:
    """Compile a model into the new folder ``target``, published by rename.

    The compiled model takes the token ids of one text, (tokens,) int64, and returns their states, (tokens, dimension):
    the index needs both tokens and their means, so pooling stays outside. int8 is taken if it agrees with the original
    on the probe sentences, else fp32.

    Raises:
        ModelError: the model cannot be exported, or not even fp32 agrees with the original.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".compiling-") as scratch:
        exact, small = Path(scratch) / "fp32", Path(scratch) / "int8"
        limit = _export(model.folder, exact)
        small.mkdir()
        shutil.copy(exact / TOKENIZER_FILE, small)
        with _quiet():
            quantize_dynamic(exact / MODEL_FILE, small / MODEL_FILE, per_channel=True, weight_type=QuantType.QInt8)
            for compiled in (small, exact):
                _fuse(compiled / MODEL_FILE)
        expected = _probe_means(ReferenceEncoder(model))
        for compiled in (small, exact):
            card = _check(model.name, fingerprint(model), compiled, limit, expected)
            if card.cosine_mean >= _COSINE_MEAN and card.cosine_min >= _COSINE_MIN:
                sync_tree(compiled)
                shutil.rmtree(target, ignore_errors=True)  # a damaged one
                compiled.rename(target)
                sync(target.parent)
                return card
            log.warning(
                "%s in %s agrees with the original only to a cosine of %.3f (worst %.3f)",
                *(model.name, card.precision, card.cosine_mean, card.cosine_min),
            )
    raise ModelError(f"{model.name} does not compile to the same vectors")


def _export(folder: Path, target: Path) -> int:
    target.mkdir()
    model, tokenizer, limit = load(folder)
    network = getattr(model[0], "auto_model", None)
    if network is None:
        raise ModelError(f"the model in {folder} does not begin with a transformer")
    tokenizer.save(str(target / TOKENIZER_FILE))
    texts = [torch.tensor(tokenizer.encode(probe).ids) for probe in PROBES]
    try:
        with _quiet(), torch.no_grad():
            states = _states(network.cpu(), texts)
            # The TorchScript exporter: the newer one takes four times as long and two more packages, for a model that
            # answers a third slower (onnxruntime fuses this one's attention better).
            torch.onnx.export(
                states,
                (texts[1],),
                str(target / MODEL_FILE),
                input_names=[INPUT],
                output_names=["states"],
                dynamic_axes={INPUT: {0: "tokens"}, "states": {0: "tokens"}},
                dynamo=False,
            )
    except Exception as error:  # the exporter raises whatever the model's own code raises under tracing
        raise ModelError(f"the model in {folder} does not compile: {error}") from error
    return limit


def _states(network: torch.nn.Module, texts: list[torch.Tensor]) -> torch.nn.Module:
    """Return what gives the states of the network, for one text at a time."""
    if not is_plain(network):
        return _TokenStates(network)
    lean = LeanBert(network)
    lean.smooth(texts)
    return lean


class _TokenStates(torch.nn.Module):
    """Any transformer, for one text: its token ids as the only input, their states as the only output."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.network(input_ids=ids[None]).last_hidden_state
        return states[0]


def _fuse(model: Path) -> None:
    """Let onnxruntime join operations now rather than at each start: the model then opens in half the time."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(model.with_suffix(".fused"))
    options.log_severity_level = 3
    # A sum and a normalisation are faster apart: together they are computed number by number.
    left_out = ["SkipLayerNormFusion"]
    onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"], disabled_optimizers=left_out)
    model.with_suffix(".fused").replace(model)


def _check(model: str, name: str, folder: Path, limit: int, expected: Float32) -> Card:
    """Write the card of a freshly compiled model with its agreement on the probe sentences."""
    files = {file: sha256(folder / file) for file in (MODEL_FILE, TOKENIZER_FILE)}
    card = Card(model, name, folder.name, expected.shape[1], limit, 0.0, 0.0, files)
    write_card(folder, card)
    cosines = np.sum(_probe_means(CompiledEncoder(model, folder)) * expected, axis=1)
    card = Card(
        *(model, name, folder.name, expected.shape[1], limit, float(cosines.mean()), float(cosines.min())),
        files,
    )
    write_card(folder, card)
    return card


def _probe_means(encoder: ReferenceEncoder | CompiledEncoder) -> Float32:
    means = np.stack([encoding.vectors.mean(axis=0) for encoding in encoder.encode(PROBES)])
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's and the quantiser's own advice, which is for their developers, from the terminal."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
