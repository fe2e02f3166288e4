"""Stage 4: export a trained reader to ONNX in 8 bits, and check it against the original.

    python -m training.reader.export CACHE WHEEL READER TARGET SET...

Writes model.onnx, tokenizer.json and reader.json into TARGET. The scores on probes, some questions of the SETs with
their chunks, must agree with those in 32 bits.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sourceline.durable import sha256
from sourceline.encoders.export import SingleTextBert, fuse, quantize, write_onnx
from sourceline.encoders.onnx import INPUT, MODEL_FILE, TOKENIZER_FILE, open_session
from sourceline.encoders.reranker import CARD_FILE, SEGMENTS
from training.reader.base import base_tokenizer
from training.reader.data import Batch, batch, read_examples, training_reading
from training.reader.model import Reader
from training.reader.train import open_reader

PROBES = 200  # questions
SMOOTHING_PROBES = 40
# The least correlation of the scores in 8 bits with those in 32, and the largest mean difference (logits).
MIN_CORRELATION, MAX_DIFFERENCE = 0.99, 0.5


class SingleTextReader(nn.Module):
    """A reader for one text: (tokens,) ids and segments to (tokens, 2), a sentence score and a "none" for each."""

    def __init__(self, reader: Reader) -> None:
        """Take over the weights."""
        super().__init__()
        self.bert = SingleTextBert(reader.bert)
        self.heads = nn.Linear(reader.sentence.in_features, 2)
        with torch.no_grad():
            self.heads.weight.copy_(torch.cat([reader.sentence.weight, reader.none.weight]))
            self.heads.bias.copy_(torch.cat([reader.sentence.bias, reader.none.bias]))

    def forward(self, ids: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
        """Return both numbers for each token."""
        scores: torch.Tensor = self.heads(self.bert(ids, segments))
        return scores


def main() -> None:
    """Export and check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("reader", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("sets", nargs="+")
    arguments = parser.parse_args()
    arguments.target.mkdir(parents=True, exist_ok=True)
    reader, tokenizer = open_reader(arguments.wheel, arguments.reader), base_tokenizer(arguments.wheel)
    examples = random.Random(0).sample(read_examples(arguments.cache, arguments.sets, tokenizer), PROBES)
    readings = (training_reading(example, tokenizer, random.Random(0), 1) for example in examples)
    probes = [batch([reading], tokenizer) for reading in readings if reading]
    export(reader, probes, arguments.target)
    base_tokenizer(arguments.wheel).save(str(arguments.target / TOKENIZER_FILE))
    card = check(reader, probes, arguments.target)
    (arguments.target / CARD_FILE).write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    print(json.dumps(card, indent=2))
    if card["correlation"] < MIN_CORRELATION or card["mean_difference"] > MAX_DIFFERENCE:
        raise SystemExit("the export does not agree with the original")


def export(reader: Reader, probes: list[Batch], target: Path) -> None:
    """Write model.onnx in 8 bits."""
    module = SingleTextReader(reader).eval()
    module.bert.smooth(tensors(probe) for probe in probes[:SMOOTHING_PROBES])
    ids, segments = tensors(probes[0])
    fp32 = target / "fp32.onnx"
    write_onnx(module, {INPUT: ids, SEGMENTS: segments}, "scores", fp32)
    quantize(fp32, target / MODEL_FILE)
    fp32.unlink()
    fuse(target / MODEL_FILE)


def tensors(probe: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the ids and segments of a probe's text, without padding."""
    length = int(probe.mask[0].sum())
    return probe.ids[0, :length], probe.segments[0, :length]


def check(reader: Reader, probes: list[Batch], target: Path) -> dict[str, Any]:
    """Return the card: the files' hashes, and how the scores agree."""
    session = open_session(target / MODEL_FILE)
    original, exported = [], []
    for probe in probes:
        with torch.inference_mode():
            original += reader(probe).tolist()
        ids, segments = tensors(probe)
        numbers = session.run({INPUT: ids.numpy(), SEGMENTS: segments.numpy()}, is_last=False)
        spans = zip(probe.start.tolist(), probe.end.tolist(), strict=True)
        exported += [numbers[start:end, 0].mean() - numbers[0, 1] for start, end in spans]
    first, second = np.array(original), np.array(exported)
    return {
        "probes": len(first),
        "correlation": round(float(np.corrcoef(first, second)[0, 1]), 5),
        "mean_difference": round(float(np.abs(first - second).mean()), 4),
        "sha256": {name: sha256(target / name) for name in (MODEL_FILE, TOKENIZER_FILE)},
    }


if __name__ == "__main__":
    main()
