"""A question, checked and encoded."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from sourceline.encoders.base import Encoder, Float32, Tokens, TooLongError, l2_normalize, token_counter
from sourceline.errors import QuestionError
from sourceline.ingest.chunking import stretches
from sourceline.ingest.sentences import sentence_spans

MAX_CHARACTERS = 2_000
# How much a token counts that stands beside the sentences that ask, and together at most, to what asks.
TOLD = 0.2

# What is being encoded just now, by encoder and text. Nothing stays here once it is done.
_running: dict[tuple[str, str], "Future[QueryEncoding]"] = {}
_looking = threading.Lock()  # held for a look into the table, never while something is encoded


@dataclass(frozen=True, slots=True)
class QueryEncoding:
    """``vector`` (dimension,) and ``vectors`` (tokens, dimension), all of length one; ``tokens`` as in ``text``.

    ``token_weights`` (tokens,) says which tokens ask: 1, and less for what is only told before the question; ``asking`` is
    the part of the text that asks.
    """

    text: str
    tokens: Tokens
    vector: Float32
    vectors: Float32
    token_weights: Float32
    asking: str


def validate_question(text: str) -> str:
    """Return the question without the white space around it.

    Raises:
        QuestionError: it is empty, too long, or holds characters that are no text.
    """
    if len(text) > MAX_CHARACTERS:
        raise QuestionError(f"the question has {len(text):,} characters; at most {MAX_CHARACTERS:,} are answered")
    if not text.strip():
        raise QuestionError("the question is empty")
    if "\0" in text:
        raise QuestionError("the question holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QuestionError(f"the question holds half of a surrogate pair at character {error.start}") from error
    return text.strip()


def encode_query(encoder: Encoder, text: str) -> QueryEncoding:
    """Encode a question of any length; over the model's limit it is encoded in overlapping windows.

    Raises:
        QuestionError: there is nothing in it that the model knows as text.
    """
    tokens, states = _encoded(encoder, text)
    asking = _asking(text)
    token_weights = _emphasis(tokens, asking)
    vector = l2_normalize(np.asarray(token_weights @ states, dtype=np.float32))
    return QueryEncoding(
        text, tokens, vector, l2_normalize(states), token_weights, " ".join(text[start:end] for start, end in asking)
    )


def _encoded(encoder: Encoder, text: str) -> tuple[Tokens, Float32]:
    """Return the tokens of a text of any length and their vectors, (tokens, dimension)."""
    try:
        (encoding,) = encoder.encode([text])
    except TooLongError:
        return _encoded_in_windows(encoder, text)
    if not len(encoding.tokens.ids):
        raise QuestionError("the question holds no words")
    return encoding.tokens, encoding.vectors


def _encoded_in_windows(encoder: Encoder, text: str) -> tuple[Tokens, Float32]:
    starts = encoder.tokenize(text).spans[:, 0].astype(np.int64)
    windows = stretches(0, len(text), starts, encoder.limit, token_counter(encoder, text))
    kept: list[tuple[Tokens, Float32]] = []
    for window, encoding in zip(windows, encoder.encode([text[w.start : w.end] for w in windows]), strict=True):
        spans = encoding.tokens.spans + window.start
        keep = (spans[:, 0] >= window.keep_start) & (spans[:, 0] < window.keep_end)
        kept.append((Tokens(encoding.tokens.ids[keep], spans[keep]), encoding.vectors[keep]))
    tokens = Tokens(np.concatenate([t.ids for t, _ in kept]), np.concatenate([t.spans for t, _ in kept]))
    return tokens, np.concatenate([vectors for _, vectors in kept])


def _emphasis(tokens: Tokens, asking: Sequence[tuple[int, int]]) -> Float32:
    """Return how much each token counts: the less for what is only told, the more of it there is."""
    at, asks = tokens.spans[:, 0], np.zeros(len(tokens.ids), dtype=bool)
    for start, end in asking:
        asks |= (at >= start) & (at < end)
    count = int(np.count_nonzero(asks))
    return np.where(asks, 1, TOLD * min(1.0, count / max(1, len(tokens.ids) - count))).astype(np.float32)


def encode_once(encoder: Encoder, text: str) -> QueryEncoding:
    """Encode a question; those who ask the same while it is being encoded wait for the one result, or its error.

    Raises:
        QuestionError: there is nothing in it that the model knows as text.
    """
    key = encoder.fingerprint, text
    mine: Future[QueryEncoding] = Future()
    with _looking:
        future = _running.setdefault(key, mine)
    if future is mine:
        try:
            mine.set_result(encode_query(encoder, text))
        except BaseException as error:  # whatever it is, those who wait must not wait for ever
            mine.set_exception(error)
        finally:
            with _looking:
                del _running[key]
    return future.result()


def _asking(text: str) -> list[tuple[int, int]]:
    """Return where the sentences stand that end in a question mark; the whole text, if none does."""
    if "?" not in text[:-1] and "." not in text:  # most questions are one sentence
        return [(0, len(text))]
    sentences = sentence_spans(text, 0, len(text))
    asking = [(start, end) for start, end in sentences if text[start:end].rstrip("\"'”’)").endswith("?")]
    return asking or [(0, len(text))]
