"""Exports a sentence-transformers model to ONNX in 8 bits, and checks the result against the original."""

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn
from transformers import BertModel

from sourceline.durable import replace_folder, sha256
from sourceline.encoders.base import Encoder, EncoderInput, Float32
from sourceline.encoders.hub import Model
from sourceline.encoders.onnx import (
    INPUT,
    MODEL_FILE,
    TOKENIZER_FILE,
    EncoderCard,
    OnnxEncoder,
    fingerprint,
    write_card,
)
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder, load_model
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
_SCRATCH = ".exporting-"
# SmoothQuant's alpha: how much of the inputs' scale moves into the weights. Of .5 to .9, .7 to .75 measured best.
_ALPHA = 0.75


def export_model(model: Model, target: Path) -> EncoderCard:
    """Export a model into the new folder ``target``, published by rename.

    The exported model takes the token ids of one text, (tokens,) int64, and returns their states, (tokens, dim): the
    index needs both the tokens and their means, so that pooling stays outside. int8 is taken if it agrees with the
    original on the probe sentences, else fp32.

    Raises:
        ModelError: the model cannot be exported, or not even fp32 agrees with the original.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f"{_SCRATCH}*"):  # by an export that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_SCRATCH) as scratch, _temporary_files_in(Path(scratch)):
        fp32, int8 = Path(scratch) / "fp32", Path(scratch) / "int8"
        max_tokens = export_fp32(model.folder, fp32)
        int8.mkdir()
        shutil.copy(fp32 / TOKENIZER_FILE, int8)
        quantize(fp32 / MODEL_FILE, int8 / MODEL_FILE)
        for folder in (int8, fp32):
            fuse(folder / MODEL_FILE)
        expected = _probe_vectors(SentenceTransformerEncoder(model))
        for folder in (int8, fp32):
            card = _check(model, folder, max_tokens, expected)
            if card.cosine_mean >= _COSINE_MEAN and card.cosine_min >= _COSINE_MIN:
                replace_folder(folder, target)
                return card
            log.warning(
                "%s in %s agrees with the original only to a cosine of %.3f (worst %.3f)",
                model.name,
                card.precision,
                card.cosine_mean,
                card.cosine_min,
            )
    raise ModelError(f"{model.name} does not export to the same vectors")


def export_fp32(folder: Path, target: Path) -> int:
    """Write model and tokenizer; return how many tokens the model takes."""
    target.mkdir()
    model, tokenizer, max_tokens = load_model(folder)
    network = getattr(model[0], "auto_model", None)
    if network is None:
        raise ModelError(f"the model in {folder} does not begin with a transformer")
    tokenizer.save(str(target / TOKENIZER_FILE))
    texts = [torch.tensor(tokenizer.encode(probe).ids) for probe in PROBES]
    try:
        with torch.no_grad():
            write_onnx(_single_text(network.cpu(), texts), {INPUT: texts[1]}, "states", target / MODEL_FILE)
    except OSError:  # a full disk is no fault of the model
        raise
    except Exception as error:  # tracing runs the model's own code, which may raise anything; its cause is handed on
        raise ModelError(f"the model in {folder} cannot be exported: {error}") from error
    return max_tokens


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Let temporary files be made in a folder: the quantiser's would be left in the system's if this is killed."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def write_onnx(module: nn.Module, inputs: dict[str, torch.Tensor], output: str, target: Path) -> None:
    """Trace a module into a file.

    Args:
        module: takes the inputs in this order.
        inputs: examples of them by name, (tokens, …) each; the file takes any number of tokens.
        output: the name of the output, (tokens, …).
        target: the file.
    """
    # The TorchScript exporter: the newer one takes four times as long and two more packages, for a model that
    # answers a third slower (ONNX Runtime fuses this one's attention better).
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            str(target),
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes={name: {0: "tokens"} for name in (*inputs, output)},
            dynamo=False,
        )


def quantize(fp32: Path, int8: Path) -> None:
    """Write a copy of a model with its weights in 8 bits; its activations are quantised as they come."""
    with _quiet():
        quantize_dynamic(fp32, int8, per_channel=True, weight_type=QuantType.QInt8)


def fuse(model: Path) -> None:
    """Fuse a model's operations, in its file: done now rather than at each start, it then opens in half the time."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(model.with_suffix(".fused"))
    options.log_severity_level = 3
    # A sum and a normalisation are faster apart: together they are computed number by number.
    disabled = ["SkipLayerNormFusion"]
    with _quiet():
        onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"], disabled_optimizers=disabled
        )
    model.with_suffix(".fused").replace(model)


def _check(model: Model, folder: Path, max_tokens: int, expected: Float32) -> EncoderCard:
    """Write the card of a freshly exported model, with its agreement on the probe sentences."""
    files = {file: sha256(folder / file) for file in (MODEL_FILE, TOKENIZER_FILE)}

    def card(mean: float, worst: float) -> EncoderCard:
        return EncoderCard(
            model.name, fingerprint(model), folder.name, expected.shape[1], max_tokens, mean, worst, files
        )

    write_card(folder, card(0.0, 0.0))  # OnnxEncoder needs a card
    cosines = np.sum(_probe_vectors(OnnxEncoder(model.name, folder)) * expected, axis=1)
    checked = card(float(cosines.mean()), float(cosines.min()))
    write_card(folder, checked)
    return checked


def _probe_vectors(encoder: Encoder) -> Float32:
    means = np.stack([encoding.vectors.mean(axis=0) for encoding in encoder.encode([*map(EncoderInput, PROBES)])])
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's and the quantiser's advice, which is for their developers, from the terminal."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    # The quantiser calls `logging.warning`, which configures the root logger unless that has a handler.
    handler = logging.NullHandler()
    logging.root.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.removeHandler(handler)
        logging.disable(previous)


def _single_text(network: nn.Module, probes: list[torch.Tensor]) -> nn.Module:
    """Return a module from the token ids of one text, (tokens,), to their states, (tokens, dim)."""
    if not is_plain_bert(network):
        return _SingleText(network)
    bert = SingleTextBert(network)
    bert.smooth((ids,) for ids in probes)
    return bert


class _SingleText(nn.Module):
    """Any transformer, for one text."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.network(input_ids=ids[None]).last_hidden_state
        return states[0]


def is_plain_bert(network: nn.Module) -> TypeGuard[BertModel]:
    """Return whether a network is an original BERT, which ``SingleTextBert`` can stand for."""
    if type(network) is not BertModel:
        return False
    absolute = getattr(network.config, "position_embedding_type", None) in (None, "absolute")
    return absolute and not network.config.is_decoder and not network.config.add_cross_attention


class SingleTextBert(nn.Module):
    """BERT for one text, in fewer operations: the same states from the same weights, (tokens,) to (tokens, dim).

    A question is so short that much of its time is overhead around the matrix products. One text has no padding
    and needs no mask; query, key and value are one product; and no shape depends on anything but the number of tokens.
    Smoothing included, a run takes .86 of the time at 17 tokens and .82 at 170 (AVX2).
    """

    def __init__(self, network: BertModel) -> None:
        super().__init__()
        embeddings: Any = network.embeddings
        self.words, self.norm = embeddings.word_embeddings, embeddings.LayerNorm
        # Unless said otherwise, every token belongs to the first of the two segments that BERT was made for.
        positions, segments = embeddings.position_embeddings.weight, embeddings.token_type_embeddings.weight
        self.positions = nn.Parameter(positions + segments[0])
        self.second_segment = nn.Parameter(segments[-1] - segments[0])  # some models have one alone
        heads = network.config.num_attention_heads
        self.layers = nn.ModuleList(_Layer(layer, heads) for layer in network.encoder.layer)

    def forward(self, ids: torch.Tensor, segments: torch.Tensor | None = None) -> torch.Tensor:
        """Return the states of the last layer; ``segments`` (tokens,) is 0 or 1 for each token."""
        embedded = self.words(ids) + self.positions[: ids.shape[0]]
        if segments is not None:
            embedded = embedded + segments[:, None] * self.second_segment
        states: torch.Tensor = self.norm(embedded)
        for layer in self.layers:
            states = layer(states)
        return states

    @torch.no_grad()
    def smooth(self, inputs: Iterable[tuple[torch.Tensor, ...]]) -> None:
        """Move the scale of each input channel into the weights (SmoothQuant; Xiao et al. 2023).

        In 8 bits all channels of an input share one scale. Dividing a channel by a factor and multiplying its weights
        by it changes nothing but the rounding, and nearly halves what 8 bits lose: 1 - cosine from .0080 to .0048.

        Args:
            inputs: what to call it with, to see how large the channels get.
        """
        products = [module for module in self.modules() if isinstance(module, _SmoothedLinear)]
        hooks = [product.register_forward_pre_hook(_SmoothedLinear.observe) for product in products]
        for arguments in inputs:
            self(*arguments)
        for hook in hooks:
            hook.remove()
        for product in products:
            product.smooth()


class _SmoothedLinear(nn.Module):
    """A linear layer whose input channels can be divided by factors."""

    def __init__(self, *layers: nn.Linear) -> None:
        """Join layers with the same input into one."""
        super().__init__()
        self.weight = nn.Parameter(torch.cat([layer.weight for layer in layers]).detach())
        self.bias = nn.Parameter(torch.cat([layer.bias for layer in layers]).detach())
        channels = self.weight.shape[1]
        self.largest, self.inverse = torch.full((channels,), 1e-5), torch.ones(channels)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(states * self.inverse, self.weight, self.bias)

    def observe(self, inputs: tuple[torch.Tensor]) -> None:
        self.largest = torch.maximum(self.largest, inputs[0].abs().amax(dim=0))

    def smooth(self) -> None:
        weights = self.weight.abs().amax(dim=0).clamp(min=1e-5)
        factors = self.largest**_ALPHA / weights ** (1 - _ALPHA)
        self.inverse = factors.median() / factors
        self.weight = nn.Parameter(self.weight / self.inverse)


class _Layer(nn.Module):
    """One layer of BERT: attention, then the feed-forward network."""

    def __init__(self, layer: Any, heads: int) -> None:
        super().__init__()
        attention, output = layer.attention.self, layer.attention.output
        self.heads, self.size = heads, attention.query.out_features // heads
        self.query_key_value = _SmoothedLinear(attention.query, attention.key, attention.value)
        self.joined, self.joined_norm = _SmoothedLinear(output.dense), output.LayerNorm
        self.wide, self.activation = _SmoothedLinear(layer.intermediate.dense), layer.intermediate.intermediate_act_fn
        self.narrow, self.narrow_norm = _SmoothedLinear(layer.output.dense), layer.output.LayerNorm

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        split = self.query_key_value(states).reshape(-1, 3 * self.heads, self.size).transpose(0, 1).split(self.heads)
        query, key, value = split
        weights = torch.softmax(query @ key.transpose(1, 2) * self.size**-0.5, dim=-1)
        attended = (weights @ value).transpose(0, 1).reshape(-1, self.heads * self.size)
        states = self.joined_norm(self.joined(attended) + states)
        output: torch.Tensor = self.narrow_norm(self.narrow(self.activation(self.wide(states))) + states)
        return output
