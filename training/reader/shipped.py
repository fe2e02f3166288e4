"""The reader that ships, taken from its 8-bit ONNX file back to 16-bit floats, to train on from there.

    python -m training.reader.shipped WHEEL READER.safetensors [--model MODEL.onnx]

The embeddings are the base model's, which training leaves as they are; what rounding to 8 bits lost stays lost.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import save_file

from sourceline import encoders
from sourceline.encoders.onnx import MODEL_FILE
from training.reader.base import WIDTH, base_bert
from training.reader.model import Reader

# A product of the exported network, and the layers of BERT's that it stands for.
_PRODUCTS = {
    "query_key_value": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "joined": ("attention.output.dense",),
    "wide": ("intermediate.dense",),
    "narrow": ("output.dense",),
}
_NORMS = {"joined_norm": "attention.output.LayerNorm", "narrow_norm": "output.LayerNorm"}


def main() -> None:
    """Write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("reader", type=Path)
    parser.add_argument("--model", type=Path, default=Path(encoders.__file__).parent / "reader" / MODEL_FILE)
    arguments = parser.parse_args()
    reader = shipped_reader(arguments.wheel, arguments.model)
    save_file({name: value.half() for name, value in reader.state_dict().items()}, arguments.reader)


def shipped_reader(wheel: Path, model: Path) -> Reader:
    """Return the reader of an exported file, in float32."""
    graph = onnx.load(model).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    reader = Reader(base_bert(wheel, 1 + max(int(name.split(".")[2]) for name in tensors if ".layers." in name)))
    state = reader.state_dict()
    for at in range(len(reader.bert.encoder.layer)):
        ours, theirs = f"bert.layers.{at}", f"bert.encoder.layer.{at}"
        for product, layers in _PRODUCTS.items():
            # Smoothing divided each channel of the input, and multiplied its weights.
            smoothed = tensors[f"/bert/layers.{at}/{product}/Constant_output_0"]
            weight = _weight(tensors, f"{ours}.{product}") * smoothed
            bias = tensors[f"{ours}.{product}.bias"]
            for layer, part, added in zip(
                layers, np.split(weight, len(layers)), np.split(bias, len(layers)), strict=True
            ):
                state[f"{theirs}.{layer}.weight"] = torch.tensor(part)
                state[f"{theirs}.{layer}.bias"] = torch.tensor(added)
        for norm, layer in _NORMS.items():
            for kind in ("weight", "bias"):
                state[f"{theirs}.{layer}.{kind}"] = torch.tensor(tensors[f"{ours}.{norm}.{kind}"])
    heads = _weight(tensors, "heads")
    for at, head in enumerate(("sentence", "none")):
        state[f"{head}.weight"] = torch.tensor(heads[at].reshape(1, WIDTH))
        state[f"{head}.bias"] = torch.tensor(tensors["heads.bias"][at : at + 1])
    reader.load_state_dict(state)
    return reader


def _weight(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return a product's weight, (outputs, inputs)."""
    stored = f"{name}.weight_Transposed"
    quantized, zero = tensors[f"{stored}_quantized"].astype(np.float32), tensors[f"{stored}_zero_point"]
    return np.ascontiguousarray(((quantized - zero.astype(np.float32)) * tensors[f"{stored}_scale"]).T)


if __name__ == "__main__":
    main()
