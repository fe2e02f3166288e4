"""The Encoder protocol and what it returns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a text without the model's special ones: ``ids`` (n,) int32, ``spans`` (n, 2) int32.

    A span is a start and an end (exclusive) in code points of the text.
    """

    ids: Int32
    spans: Int32


@dataclass(frozen=True, slots=True)
class Encoding:
    """A text's tokens and their contextual vectors: (n, dimension) float32, not normalised."""

    tokens: Tokens
    vectors: Float32


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
    def limit(self) -> int:
        """The most tokens that a text to encode may have, special ones not counted."""

    @property
    def vocabulary(self) -> int:
        """What all token ids are below."""

    def tokenize(self, text: str) -> Tokens:
        """Return the tokens of a text of any length."""

    def encode(self, texts: Sequence[str]) -> Iterator[Encoding]:
        """Yield one encoding for each text, in order.

        Raises:
            TooLongError: a text has more than ``limit`` tokens. Nothing is ever cut silently.
        """


def tokenize(tokenizer: Tokenizer, text: str) -> tuple[list[int], npt.NDArray[np.bool_], Tokens]:
    """Return the ids with the special tokens, which of them are ordinary, and the ordinary tokens."""
    encoded = tokenizer.encode(text)
    ordinary = np.array(encoded.special_tokens_mask, dtype=np.int8) == 0
    ids = np.array(encoded.ids, dtype=np.int32)[ordinary]
    spans = np.array(encoded.offsets, dtype=np.int32).reshape(-1, 2)[ordinary]
    return encoded.ids, ordinary, Tokens(ids, spans)


def vocabulary(tokenizer: Tokenizer) -> int:
    """Return what all token ids of a tokenizer are below; some may be of no token."""
    return 1 + max(tokenizer.get_vocab().values())


def token_counter(encoder: Encoder, text: str) -> Callable[[int, int], int]:
    """Return a function of start and end: how many tokens ``text[start:end]`` has when it is encoded alone."""
    return lambda start, end: len(encoder.tokenize(text[start:end]).ids)


class TooLongError(ValueError):
    """A text has more tokens than a model can take at once."""


def require_fit(tokens: Tokens, limit: int) -> None:
    """Raise TooLongError if there are more tokens than ``limit``."""
    if len(tokens.ids) > limit:
        raise TooLongError(f"a text of {len(tokens.ids)} tokens is over the model's limit of {limit}")


def l2_normalize(vectors: Float32) -> Float32:
    """Return the vectors (…, dimension) scaled to length one; a zero vector stays zero."""
    return np.asarray(vectors / norms(vectors), dtype=np.float32)


def norms(vectors: Float32) -> Float32:
    """Return what the vectors (…, dimension) are to be divided by to be of length one, (…, 1): 1 for a zero vector."""
    lengths = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    return np.where(lengths == 0, np.float32(1), lengths)
