"""The examples that the reader learns from: questions with the chunks that are read for them."""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

FOLDS = 6
MAX_TOKENS = 384
# Forms whose questions make sense only if the document is known: another document can answer them just as well.
NEEDS_SCOPE = {"general", "followup", "follow-up"}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A text to read, with the spans of its sentences and the rows that they are."""

    text: str
    rows: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A question of a labelled set.

    ``gold`` are the rows that answer. ``scope`` and ``open`` are chunks around the best candidates of its own document
    and of the whole set, best first; ``around_gold`` is the chunk around the first row that answers. ``late`` has the
    late-interaction score of every candidate, by setting and row.
    """

    set: str
    id: str
    form: str
    document: str
    question: str
    answerable: bool
    gold: frozenset[int]
    scope: tuple[Chunk, ...]
    open: tuple[Chunk, ...]
    around_gold: Chunk | None
    late: dict[str, dict[int, float]]

    @property
    def fold(self) -> int:
        """The fold of its document, 0 to FOLDS - 1."""
        return fold_of(self.document)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one question reads in one step: token ids of each chunk, sentences, and which of them answer."""

    ids: list[list[int]]
    second: list[int]  # where the second segment begins
    sentences: list[list[tuple[int, int]]]  # token ranges
    answers: list[list[bool]]


def fold_of(document: str) -> int:
    """Return the fold of a document, 0 to FOLDS - 1."""
    return int(hashlib.sha256(document.encode()).hexdigest(), 16) % FOLDS


def read_examples(folder: Path, names: Sequence[str]) -> list[Example]:
    """Read what ``candidates.py`` wrote of these sets."""
    examples = []
    for name in names:
        chunks = [_chunk(value) for value in _lines(folder / f"{name}.chunks.jsonl")]
        for value in _lines(folder / f"{name}.jsonl"):
            gold = value["around_gold"]
            examples.append(
                Example(
                    **{key: value[key] for key in ("set", "id", "form", "document", "question", "answerable")},
                    gold=frozenset(value["gold"]),
                    scope=tuple(chunks[at] for at in value["scope"]),
                    open=tuple(chunks[at] for at in value["open"]),
                    around_gold=None if gold is None else chunks[gold],
                    late={key: {int(row): s for row, s in rows.items()} for key, rows in value["late"].items()},
                )
            )
    return examples


def _lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _chunk(value: Any) -> Chunk:
    return Chunk(value["text"], tuple(value["rows"]), tuple((start, end) for start, end in value["spans"]))


def encode(tokenizer: Tokenizer, question: str, chunks: Sequence[Chunk], gold: frozenset[int]) -> Reading:
    """Tokenise a question with each chunk. A sentence that is cut off at MAX_TOKENS is left out."""
    ids, second, sentences, answers = [], [], [], []
    for chunk in chunks:
        encoding = tokenizer.encode(question, chunk.text)
        segments = encoding.type_ids
        begin = segments.index(1) if 1 in segments else len(segments)
        starts = [offset[0] for offset in encoding.offsets]
        ranges, labels = [], []
        at, end = begin, len(segments) - 1  # the last is [SEP]
        for row, (first, last) in zip(chunk.rows, chunk.spans, strict=True):
            while at < end and starts[at] < first:
                at += 1
            start = at
            while at < end and starts[at] < last:
                at += 1
            if at > start:
                ranges.append((start, at))
                labels.append(row in gold)
        if ranges:
            ids.append(encoding.ids)
            second.append(begin)
            sentences.append(ranges)
            answers.append(labels)
    return Reading(ids, second, sentences, answers)


def training_reading(example: Example, tokenizer: Tokenizer, chance: random.Random, count: int = 2) -> Reading | None:
    """Choose what a question reads this time: a chunk that answers and hard ones that do not; None if none is known."""
    question, gold = example.question, example.gold
    same = list(example.scope) or list(example.open)
    other = [] if example.form in NEEDS_SCOPE else [c for c in example.open if not set(c.rows) & _rows(example)]
    chunks: list[Chunk] = []
    if example.answerable:
        if other and chance.random() < 0.06:  # asked of documents that do not answer it
            return encode(tokenizer, augment(question, chance), chance.sample(other, min(count, len(other))), gold)
        answering = [chunk for chunk in same if gold & set(chunk.rows)]
        if example.around_gold is not None and (not answering or chance.random() < 0.3):
            answering.insert(0, example.around_gold)
        if not answering:
            return None
        chunks.append(answering[0])
    rivals = [chunk for chunk in same if not gold & set(chunk.rows)]
    while len(chunks) < count and (rivals or other):
        if other and (not rivals or chance.random() < 0.25):
            chunks.append(other.pop(chance.randrange(min(3, len(other)))))
        else:
            chunks.append(rivals.pop(0 if chance.random() < 0.7 else chance.randrange(len(rivals))))
    return encode(tokenizer, augment(question, chance), chunks, gold)


def _rows(example: Example) -> set[int]:
    return {row for chunk in (*example.scope, example.around_gold) if chunk for row in chunk.rows} | set(example.gold)


def augment(question: str, chance: random.Random) -> str:
    """Return a question as it may be typed: now and then without its mark, or with one wrong letter."""
    if chance.random() < 0.15:
        question = question.rstrip("?")
    if chance.random() < 0.07:
        words = question.split(" ")
        long = [at for at, word in enumerate(words) if len(word) > 4 and word.isalpha()]
        if long:
            at = chance.choice(long)
            words[at] = misspell(words[at], chance)
            question = " ".join(words)
    return question


def misspell(word: str, chance: random.Random) -> str:
    """Return a word with a letter left out, doubled, swapped with the next, or replaced."""
    at = chance.randrange(1, len(word) - 1)
    kind = chance.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    if kind == 2:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + chance.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1 :]


def pad(readings: Sequence[Reading]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the ids, attention mask and segments of all chunks of a batch, (chunks, tokens) each."""
    texts = [(ids, second) for r in readings for ids, second in zip(r.ids, r.second, strict=True)]
    # Few shapes, for PyTorch compiles its products anew for each; what is added has no weight.
    longest = -(-max(len(ids) for ids, _ in texts) // 16) * 16
    chunks = -(-len(texts) // 8) * 8 if len(texts) > 8 else len(texts)
    tokens = torch.zeros(chunks, longest, dtype=torch.long)
    mask, segments = torch.zeros_like(tokens), torch.zeros_like(tokens)
    for at, (ids, second) in enumerate(texts):
        tokens[at, : len(ids)] = torch.tensor(ids)
        mask[at, : len(ids)] = 1
        segments[at, second : len(ids)] = 1
    mask[len(texts) :, 0] = 1
    return tokens, mask, segments
