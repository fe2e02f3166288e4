"""The words of a passage that match the question's content words."""

import re
from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from sourceline.encoders.base import Float32, Int32
from sourceline.search.query import QueryEncoding
from sourceline.types import Span

# Below this cosine the nearest token is no match. Matched words of squad-a lie far above it.
MIN_COSINE = 0.5
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
# Function words of questions.
FUNCTION_WORDS = frozenset(
    """
    a about above after again against all also am an and any are as at be because been before being below
    between both but by can could did do does doing down during each few for from further get had has have
    having he her here hers him his how i if in into is it its itself just may me might more most much must
    my no nor not of off on once only or other our ours out over own please same shall she should so some
    such tell than that the their theirs them then there these they this those through to too under until up
    us very was we were what when where which while who whom whose why will with would you your yours
    """.split()
)


def content_tokens(query: QueryEncoding) -> npt.NDArray[np.bool_]:
    """Return which tokens of the question, (tokens,), belong to a word that says what is asked about."""
    content = np.zeros(len(query.text), dtype=bool)
    for start, end in _content_words(query.text):
        content[start:end] = True
    return content[query.tokens.spans[:, 0]]


def highlights(cosines: Float32, text: str, starts: Int32) -> tuple[Span, ...]:
    """Return the matched words of a passage, in order, without overlap.

    Args:
        cosines: of the passage's tokens with the question's content tokens, (tokens, content tokens).
        text: the passage's text.
        starts: where its tokens start in it, (tokens,).
    """
    if not cosines.size:
        return ()
    nearest, best = cosines.argmax(axis=0), cosines.max(axis=0)
    words = _content_words(text)
    word_starts = [start for start, _ in words]
    matched = set()
    for at in starts[nearest[best >= MIN_COSINE]].tolist():
        number = bisect_right(word_starts, at) - 1
        if number >= 0 and at < words[number][1]:
            matched.add(number)
    return tuple(Span(*words[number]) for number in sorted(matched))


def _content_words(text: str) -> list[tuple[int, int]]:
    return [word.span() for word in _WORD.finditer(text) if word.group().casefold() not in FUNCTION_WORDS]
