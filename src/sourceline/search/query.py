"""A question, checked and encoded."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from sourceline.encoders.base import Encoder, EncoderInput, Float32, Int32, Tokens, l2_normalize
from sourceline.errors import QuestionError
from sourceline.ingest.sentences import sentence_spans
from sourceline.types import MAX_QUESTION_CHARACTERS

# Weight of a background token; the total of all of them is also capped at this share of the asking tokens' total.
BACKGROUND_WEIGHT = 0.2

# What is being encoded just now, by encoder and text. Nothing stays here once it is done.
_running: dict[tuple[str, str], "Future[QueryEncoding]"] = {}
_lock = threading.Lock()  # guards the table; never held while something is encoded


@dataclass(frozen=True, slots=True)
class QueryEncoding:
    """An encoded question: its ``vector`` (dim,) and its token ``vectors`` (tokens, dim), all of length one.

    ``token_weights`` (tokens,) are 1 for tokens that ask, less for background sentences.
    Tokens that the model does not know weigh nothing: they have one vector, whatever they stand for. If it knows no
    word at all, ``has_words`` is false, and all tokens weigh as if they were known.
    ``question_part`` is the part of the text that asks. ``tokenize_seconds`` is how long finding the tokens took.
    """

    text: str
    tokens: Tokens
    vector: Float32
    vectors: Float32
    token_weights: Float32
    question_part: str
    has_words: bool = True
    tokenize_seconds: float = 0.0


def validate_question(text: str) -> str:
    """Return the question without the white space around it.

    Raises:
        QuestionError: it is empty, too long, or holds invalid characters.
    """
    if len(text) > MAX_QUESTION_CHARACTERS:
        limit = f"at most {MAX_QUESTION_CHARACTERS:,} are answered"
        raise QuestionError(f"the question has {len(text):,} characters; {limit}")
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
    """Encode a question of any length.

    Raises:
        QuestionError: it holds nothing that the model knows as text.
    """
    (encoding,) = encoder.encode([EncoderInput(text)])
    if not len(encoding.tokens.ids):
        raise QuestionError("the question holds no words")
    asking = _asking_sentences(text)
    known = encoding.tokens.ids != encoder.unknown_id
    has_words = _has_words(text, encoding.tokens.spans[known])
    weights = _token_weights(encoding.tokens, asking)
    if has_words:
        weights = np.where(known, weights, np.float32(0))
    vector = l2_normalize(np.asarray(weights @ encoding.vectors, dtype=np.float32))
    question_part = " ".join(text[start:end] for start, end in asking)
    vectors = l2_normalize(encoding.vectors)
    return QueryEncoding(
        text, encoding.tokens, vector, vectors, weights, question_part, has_words, encoding.tokenize_seconds
    )


def encode_query_once(encoder: Encoder, text: str) -> QueryEncoding:
    """Encode a question; concurrent identical questions share one result, or its error.

    Raises:
        QuestionError: it holds nothing that the model knows as text.
    """
    key = encoder.fingerprint, text
    future: Future[QueryEncoding] = Future()
    with _lock:
        shared = _running.setdefault(key, future)
    if shared is future:
        try:
            future.set_result(encode_query(encoder, text))
        except BaseException as error:  # whatever it is, those who wait must not wait for ever
            future.set_exception(error)
        finally:
            with _lock:
                del _running[key]
    return shared.result()


def _asking_sentences(text: str) -> list[tuple[int, int]]:
    """Return the offsets of the sentences that end in a question mark; of the whole text, if none does."""
    if "?" not in text[:-1] and "." not in text:  # most questions are one sentence
        return [(0, len(text))]
    sentences = sentence_spans(text, 0, len(text))
    asking = [(start, end) for start, end in sentences if text[start:end].rstrip("\"'”’)").endswith("?")]
    return asking or [(0, len(text))]


def _has_words(text: str, spans: Int32) -> bool:
    """Return whether one of these tokens is more than punctuation."""
    return any(any(map(str.isalnum, text[start:end])) for start, end in spans.tolist())


def _token_weights(tokens: Tokens, asking: Sequence[tuple[int, int]]) -> Float32:
    """Return the weight of each token, (tokens,): background weighs less the more of it there is."""
    starts, asks = tokens.spans[:, 0], np.zeros(len(tokens.ids), dtype=bool)
    for start, end in asking:
        asks |= (starts >= start) & (starts < end)
    count = int(np.count_nonzero(asks))
    background = BACKGROUND_WEIGHT * min(1.0, count / max(1, len(tokens.ids) - count))
    return np.where(asks, 1, background).astype(np.float32)
