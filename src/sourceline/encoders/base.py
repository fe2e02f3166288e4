"""The protocols Encoder and Reranker, what they take and return, and how text of any length is encoded."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

# Text over the model's limit is encoded in windows; this share of the limit is what neighbours have in common.
OVERLAP = 0.25


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """A text to encode, of any length. ``prefix`` is encoded in front of it as context and gets no vectors.

    A prefix ends with white space, so that no token spans both, and has fewer tokens than the model takes at once.
    """

    text: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a text without the model's special ones: ``ids`` (n,) int32, ``spans`` (n, 2) int32.

    A span is a start and an end (exclusive) in code points of the text.
    """

    ids: Int32
    spans: Int32


@dataclass(frozen=True, slots=True)
class Encoding:
    """A text's tokens and their contextual vectors, (n, dim) float32, not normalised.

    ``tokenize_seconds`` is how long finding the tokens took.
    """

    tokens: Tokens
    vectors: Float32
    tokenize_seconds: float = 0.0


class Encoder(Protocol):
    """Turns text into token vectors. Deterministic: a text's vectors do not depend on what is encoded beside it."""

    @property
    def model(self) -> str:
        """The name of the model."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text could get other vectors."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """The most tokens that the model takes at once, special ones not counted."""

    @property
    def vocabulary(self) -> int:
        """An upper bound (exclusive) of the token ids."""

    @property
    def unknown_id(self) -> int | None:
        """The id of every token that the model does not know, None if it knows all."""

    def tokenize(self, text: str) -> Tokens:
        """Return the tokens of a text of any length."""

    def encode(self, inputs: Sequence[EncoderInput]) -> Iterator[Encoding]:
        """Yield one encoding for each input, in order. Offsets are into its ``text``; nothing is ever cut."""


@dataclass(frozen=True, slots=True)
class RerankerInput:
    """A text to read, and the offsets in it of the sentences to score.

    Offsets are code points, ends exclusive. The sentences are in order and do not overlap.
    """

    text: str
    spans: tuple[tuple[int, int], ...]


class Reranker(Protocol):
    """Scores sentences for a question. Deterministic: a score depends on nothing but the question and the text."""

    @property
    def name(self) -> str:
        """The name by which it is asked for."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same question and text could get another score."""

    def score(self, question: str, inputs: Sequence[RerankerInput]) -> list[Float32]:
        """Return the scores of the sentences of each text, (sentences,) each, in order: the better, the higher.

        A long text is read only up to the model's limit. NaN is for a sentence of which nothing was read.
        """


def tokenize(tokenizer: Tokenizer, text: str) -> tuple[list[int], npt.NDArray[np.bool_], Tokens]:
    """Return the ids with the special tokens, which of them are ordinary, and the ordinary tokens."""
    encoded = tokenizer.encode(text)
    ordinary = np.array(encoded.special_tokens_mask, dtype=np.int8) == 0
    ids = np.array(encoded.ids, dtype=np.int32)[ordinary]
    spans = np.array(encoded.offsets, dtype=np.int32).reshape(-1, 2)[ordinary]
    return encoded.ids, ordinary, Tokens(ids, spans)


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """Return the greatest token id plus one; some ids below it may be of no token."""
    return 1 + max(tokenizer.get_vocab().values())


def unknown_id(tokenizer: Tokenizer) -> int | None:
    """Return the id of every token that is not in the vocabulary, None if a tokenizer knows all."""
    token = getattr(tokenizer.model, "unk_token", None)
    if token is not None:
        return tokenizer.token_to_id(token)
    unigram: int | None = json.loads(tokenizer.to_str())["model"].get("unk_id")  # which has no attribute for it
    return unigram


def encode_long(
    item: EncoderInput, tokenizer: Tokenizer, max_tokens: int, run: Callable[[str, list[int]], Float32]
) -> Encoding:
    """Encode one text; over ``max_tokens`` in overlapping windows, each with the prefix in front of it.

    Every token gets the vector from the window in which it stands farthest from an edge.

    Args:
        item: the text.
        tokenizer: the model's, without truncation.
        max_tokens: the model's limit, special tokens not counted.
        run: from a text that fits, and its ids with the special tokens, to their states, (ids, dim).

    Raises:
        ValueError: the prefix leaves no room for the text.
    """
    started = time.perf_counter()
    ids, ordinary, tokens = tokenize(tokenizer, item.prefix + item.text)
    seconds = time.perf_counter() - started
    if len(tokens.ids) <= max_tokens:
        encoding = Encoding(tokens, run(item.prefix + item.text, ids)[ordinary], seconds)
        return _without_prefix(encoding, len(item.prefix))

    def count(start: int, end: int) -> int:
        return len(tokenize(tokenizer, item.text[start:end])[2].ids)

    prefix_tokens = len(tokenize(tokenizer, item.prefix)[2].ids)
    if prefix_tokens >= max_tokens:
        raise ValueError(f"a prefix of {prefix_tokens} tokens leaves no room for the text: the limit is {max_tokens}")
    starts = tokenize(tokenizer, item.text)[2].spans[:, 0].astype(np.int64)
    parts = []
    for window in sliding_windows(len(item.text), starts, max_tokens - prefix_tokens, count):
        text = item.prefix + item.text[window.start : window.end]
        ids, ordinary, tokens = tokenize(tokenizer, text)
        encoding = _without_prefix(Encoding(tokens, run(text, ids)[ordinary]), len(item.prefix))
        spans = encoding.tokens.spans + window.start
        keep = (spans[:, 0] >= window.keep_start) & (spans[:, 0] < window.keep_end)
        parts.append((encoding.tokens.ids[keep], spans[keep], encoding.vectors[keep]))
    token_ids, spans, vectors = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Encoding(Tokens(token_ids, spans), vectors, seconds)


def _without_prefix(encoding: Encoding, length: int) -> Encoding:
    """Return what remains of an encoding when its first ``length`` characters are taken away."""
    if not length:
        return encoding
    spans = encoding.tokens.spans - length
    keep = spans[:, 0] >= 0
    tokens = Tokens(encoding.tokens.ids[keep], spans[keep])
    return Encoding(tokens, encoding.vectors[keep], encoding.tokenize_seconds)


@dataclass(frozen=True, slots=True)
class Window:
    """``text[start:end]`` is encoded at once; the tokens that start from ``keep_start`` to ``keep_end`` are kept."""

    start: int
    end: int
    keep_start: int
    keep_end: int


def sliding_windows(
    length: int, token_starts: Int64, max_tokens: int, count: Callable[[int, int], int]
) -> list[Window]:
    """Split a text into windows of at most ``max_tokens`` tokens that overlap; every token is kept exactly once.

    Args:
        length: of the text, in code points.
        token_starts: where each token of the text starts, (tokens,), ascending.
        max_tokens: the most tokens of a window.
        count: how many tokens ``text[start:end]`` has when it is encoded by itself.
    """
    if len(token_starts) <= max_tokens:
        return [Window(0, length, 0, length)]
    edges = [0, *map(int, token_starts[1:]), length]  # where a window may begin or end: before each token, at the end
    overlap = int(max_tokens * OVERLAP)
    windows: list[Window] = []
    first, keep = 0, 0
    while True:
        last = min(first + max_tokens, len(edges) - 1)
        # A piece that was cut inside a word can have more tokens by itself than in the whole text.
        while (excess := count(edges[first], edges[last]) - max_tokens) > 0 and last - excess > first + overlap:
            last -= excess
        if last == len(edges) - 1:
            return [*windows, Window(edges[first], length, keep, length)]
        middle = edges[last - overlap + overlap // 2]
        windows.append(Window(edges[first], edges[last], keep, middle))
        first, keep = last - overlap, middle


def l2_normalize(vectors: Float32) -> Float32:
    """Return the vectors (…, dim) scaled to length one; a zero vector stays zero."""
    return np.asarray(vectors / norms(vectors), dtype=np.float32)


def norms(vectors: Float32) -> Float32:
    """Return the lengths of the vectors (…, dim) as (…, 1), with 1 for a zero vector, so that dividing is safe."""
    lengths = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    return np.where(lengths == 0, np.float32(1), lengths)
