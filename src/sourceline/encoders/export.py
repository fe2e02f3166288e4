"""BERT in fewer operations, for one text at a time, and made ready for 8 bits: the same states from the same weights.

A question is so short that much of its time goes into what lies around the matrix products. One text has no padding, so
that no mask is needed; query, key and value come of one product; and no shape depends on anything but the number of
tokens. With what smoothing costs, a model's run takes .86 of the time at 17 tokens and .82 at 170 (AVX2).
"""

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

from sourceline.durable import sha256, sync, sync_tree
from sourceline.encoders.base import Float32
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
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder, load
from sourceline.errors import ModelError

# Between the scales of what is multiplied (1) and of the weights (0). Of .5 to .9, measured, .7 to .75 err least.
_ALPHA = 0.75


def is_plain(network: nn.Module) -> TypeGuard[BertModel]:
    """Return whether a network is a BERT as it was first made, whose states ``LeanBert`` gives."""
    if type(network) is not BertModel:
        return False
    absolute = getattr(network.config, "position_embedding_type", None) in (None, "absolute")
    return absolute and not network.config.is_decoder and not network.config.add_cross_attention


class LeanBert(nn.Module):
    """Token ids (tokens,) to the states of the last layer (tokens, dimension)."""

    def __init__(self, network: BertModel) -> None:
        super().__init__()
        given: Any = network.embeddings
        self.words, self.norm = given.word_embeddings, given.LayerNorm
        # Every token is of the first of the two texts that BERT was made for.
        self.places = nn.Parameter(given.position_embeddings.weight + given.token_type_embeddings.weight[0])
        heads = network.config.num_attention_heads
        self.layers = nn.ModuleList(_Layer(layer, heads) for layer in network.encoder.layer)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the states."""
        states: torch.Tensor = self.norm(self.words(ids) + self.places[: ids.shape[0]])
        for layer in self.layers:
            states = layer(states)
        return states

    def smooth(self, texts: Iterable[torch.Tensor]) -> None:
        """Even out what the products are given, whose scale is one for all channels in 8 bits, against their weights.

        Each channel is divided by a factor and its weights are multiplied by it (SmoothQuant; Xiao et al. 2023), which
        changes nothing but rounding. It halves what 8 bits lose: 1 - cosine to the original from .0080 to .0048.

        Args:
            texts: the ids of texts, (tokens,) each, that show how large the channels get.
        """
        products = [module for module in self.modules() if isinstance(module, _Product)]
        looking = [product.register_forward_pre_hook(_Product.look) for product in products]
        for ids in texts:
            self(ids)
        for look in looking:
            look.remove()
        for product in products:
            product.smooth()


class _Product(nn.Module):
    """A product with weights, whose input can be divided by a factor for each channel."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
        self.most, self.inverse = torch.full((weight.shape[1],), 1e-5), torch.ones(weight.shape[1])

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(given * self.inverse, self.weight, self.bias)

    def look(self, given: tuple[torch.Tensor]) -> None:
        self.most = torch.maximum(self.most, given[0].abs().amax(dim=0))

    def smooth(self) -> None:
        weights = self.weight.abs().amax(dim=0).clamp(min=1e-5)
        factors = self.most**_ALPHA / weights ** (1 - _ALPHA)
        self.inverse = factors.median() / factors
        self.weight = nn.Parameter(self.weight / self.inverse)


class _Layer(nn.Module):
    """One layer: attention, then the two products of each token by itself."""

    def __init__(self, layer: Any, heads: int) -> None:
        super().__init__()
        attention, given = layer.attention.output, layer.attention.self
        three = (given.query, given.key, given.value)
        self.heads, self.size = heads, given.query.out_features // heads
        self.three = _Product(torch.cat([one.weight for one in three]), torch.cat([one.bias for one in three]))
        self.joined, self.joined_norm = _product(attention.dense), attention.LayerNorm
        self.wide, self.active = _product(layer.intermediate.dense), layer.intermediate.intermediate_act_fn
        self.narrow, self.narrow_norm = _product(layer.output.dense), layer.output.LayerNorm

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        split = self.three(states).reshape(-1, 3 * self.heads, self.size).transpose(0, 1).split(self.heads)
        query, key, value = split
        weights = torch.softmax(query @ key.transpose(1, 2) * self.size**-0.5, dim=-1)
        attended = (weights @ value).transpose(0, 1).reshape(-1, self.heads * self.size)
        states = self.joined_norm(self.joined(attended) + states)
        output: torch.Tensor = self.narrow_norm(self.narrow(self.active(self.wide(states))) + states)
        return output


def _product(linear: nn.Linear) -> _Product:
    return _Product(linear.weight, linear.bias)


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


def export_model(model: Model, target: Path) -> EncoderCard:
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
        expected = _probe_means(SentenceTransformerEncoder(model))
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


def _check(model: str, name: str, folder: Path, limit: int, expected: Float32) -> EncoderCard:
    """Write the card of a freshly compiled model with its agreement on the probe sentences."""
    files = {file: sha256(folder / file) for file in (MODEL_FILE, TOKENIZER_FILE)}
    card = EncoderCard(model, name, folder.name, expected.shape[1], limit, 0.0, 0.0, files)
    write_card(folder, card)
    cosines = np.sum(_probe_means(OnnxEncoder(model, folder)) * expected, axis=1)
    card = EncoderCard(
        *(model, name, folder.name, expected.shape[1], limit, float(cosines.mean()), float(cosines.min())),
        files,
    )
    write_card(folder, card)
    return card


def _probe_means(encoder: SentenceTransformerEncoder | OnnxEncoder) -> Float32:
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
