"""The examples that the reader learns from: questions with the chunks that are read for them."""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Encoding, Tokenizer

FOLDS = 6
MAX_TOKENS = 384
_MAX_QUESTION_TOKENS = 128
# Forms whose questions make sense only if the document is known: another document can answer them just as well.
NEEDS_SCOPE = {"general", "followup", "follow-up"}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A text to read: its token ids, the token range of each of its sentences, and the rows that these are."""

    ids: tuple[int, ...]
    sentences: tuple[tuple[int, int], ...]
    rows: tuple[int, ...]


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
    """What one question reads in one step: its token ids, the chunks, and which of their sentences answer."""

    question: list[int]
    chunks: tuple[Chunk, ...]
    gold: frozenset[int]

    @property
    def tokens(self) -> int:
        """The most tokens that one of its chunks makes with the question."""
        return min(MAX_TOKENS, len(self.question) + max(len(chunk.ids) for chunk in self.chunks) + 3)


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings side by side: the chunks of all of them, and the sentences of all chunks.

    ``ids``, ``mask`` and ``segments`` are (chunks, tokens). ``chunk``, ``start`` and ``end`` say where each sentence
    stands, ``answers`` whether it answers: (sentences,). ``in_chunk`` and ``in_question`` list the sentences of each
    chunk and each question, -1 where there are no more; ``weight`` is one part of as many as the chunk's question has
    chunks.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    segments: torch.Tensor
    chunk: torch.Tensor
    start: torch.Tensor
    end: torch.Tensor
    answers: torch.Tensor
    in_chunk: torch.Tensor
    in_question: torch.Tensor
    weight: torch.Tensor

    def to(self, device: str) -> "Batch":
        """Return the same on a device."""
        return Batch(*(getattr(self, name).to(device, non_blocking=True) for name in self.__slots__))


def fold_of(document: str) -> int:
    """Return the fold of a document, 0 to FOLDS - 1."""
    return int(hashlib.sha256(document.encode()).hexdigest(), 16) % FOLDS


def read_examples(folder: Path, names: Sequence[str], tokenizer: Tokenizer) -> list[Example]:
    """Read what ``candidates.py`` wrote of these sets."""
    examples = []
    for name in names:
        values = list(_lines(folder / f"{name}.chunks.jsonl"))
        encodings = tokenizer.encode_batch([value["text"] for value in values], add_special_tokens=False)
        chunks = [_chunk(*pair) for pair in zip(values, encodings, strict=True)]
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


def _chunk(value: Any, encoding: Encoding) -> Chunk:
    starts = [offset[0] for offset in encoding.offsets]
    sentences, rows, at = [], [], 0
    for row, (first, last) in zip(value["rows"], value["spans"], strict=True):
        while at < len(starts) and starts[at] < first:
            at += 1
        begin = at
        while at < len(starts) and starts[at] < last:
            at += 1
        if at > begin:
            sentences.append((begin, at))
            rows.append(row)
    return Chunk(tuple(encoding.ids), tuple(sentences), tuple(rows))


def read(tokenizer: Tokenizer, question: str, chunks: Sequence[Chunk], gold: frozenset[int]) -> Reading | None:
    """Return a question with the chunks that have a sentence; None if no chunk has."""
    having = tuple(chunk for chunk in chunks if chunk.rows)
    ids = tokenizer.encode(question, add_special_tokens=False).ids[:_MAX_QUESTION_TOKENS]
    return Reading(ids, having, gold) if having else None


def training_reading(example: Example, tokenizer: Tokenizer, chance: random.Random, count: int) -> Reading | None:
    """Choose what a question reads this time: a chunk that answers and hard ones that do not; None if none is known."""
    question, gold = example.question, example.gold
    same = list(example.scope) or list(example.open)
    other = [] if example.form in NEEDS_SCOPE else [c for c in example.open if not set(c.rows) & _rows(example)]
    chunks: list[Chunk] = []
    if example.answerable:
        if other and chance.random() < 0.06:  # asked of documents that do not answer it
            return read(tokenizer, augment(question, chance), chance.sample(other, min(count, len(other))), gold)
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
    return read(tokenizer, augment(question, chance), chunks, gold)


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


def batch(readings: Sequence[Reading], tokenizer: Tokenizer) -> Batch:
    """Put readings side by side. A sentence that MAX_TOKENS cuts off is left out."""
    first, *_, between = tokenizer.encode("").ids  # [CLS] and [SEP]
    texts: list[tuple[list[int], int]] = []
    sentences: list[tuple[int, int, int, bool]] = []
    in_chunk: list[list[int]] = []
    in_question: list[list[int]] = []
    weight: list[float] = []
    for reading in readings:
        begin = len(reading.question) + 2
        in_question.append([])
        for chunk in reading.chunks:
            ids = [first, *reading.question, between, *chunk.ids][: MAX_TOKENS - 1]
            in_chunk.append([])
            for row, (start, end) in zip(chunk.rows, chunk.sentences, strict=True):
                if begin + end <= len(ids):
                    in_chunk[-1].append(len(sentences))
                    sentences.append((len(texts), begin + start, begin + end, row in reading.gold))
            texts.append(([*ids, between], begin))
            weight.append(1 / len(reading.chunks))
            in_question[-1] += in_chunk[-1]
    # Few shapes, for PyTorch compiles its products anew for each; what is added has no weight.
    longest = -(-max(len(ids) for ids, _ in texts) // 16) * 16
    chunks = -(-len(texts) // 8) * 8 if len(texts) > 8 else len(texts)
    tokens = torch.zeros(chunks, longest, dtype=torch.long)
    mask, segments = torch.zeros_like(tokens), torch.zeros_like(tokens)
    for at, (ids, begin) in enumerate(texts):
        tokens[at, : len(ids)] = torch.tensor(ids)
        mask[at, : len(ids)] = 1
        segments[at, begin : len(ids)] = 1
    mask[len(texts) :, 0] = 1
    chunk_of, starts, ends, answers = (torch.tensor(column) for column in zip(*sentences, strict=True))
    groups = (_padded(in_chunk), _padded(in_question))
    return Batch(tokens, mask, segments, chunk_of, starts, ends, answers, *groups, torch.tensor(weight))


def _padded(lists: list[list[int]]) -> torch.Tensor:
    most = max(map(len, lists))
    return torch.tensor([[*values, *[-1] * (most - len(values))] for values in lists])
