"""The words of a passage that answer to the question's content words."""

import re

from sourceline.encoding.encoder import Float32
from sourceline.retrieval.late import matches
from sourceline.retrieval.question import EncodedQuestion
from sourceline.types import Span

# Below this cosine the nearest token is only the least far one. Matched words of squad-dev lie above it, by far.
LEAST_COSINE = 0.5
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
# Words that say how something is asked rather than what about.
FUNCTION_WORDS = frozenset(
    "a about above after again against all also am an and any are as at be because been before being below between both "
    "but by can could did do does doing down during each few for from further get had has have having he her here hers "
    "him his how i if in into is it its itself just may me might more most much must my no nor not of off on once only "
    "or other our ours out over own please same shall she should so some such tell than that the their theirs them then "
    "there these they this those through to too under until up us very was we were what when where which while who whom "
    "whose why will with would you your yours".split()
)


def highlights(question: EncodedQuestion, text: str, spans: list[Span], vectors: Float32) -> tuple[Span, ...]:
    """Return the matched words of a passage, in order, without overlap.

    Args:
        question: what was asked.
        text: the passage's text.
        spans: where its tokens stand in it.
        vectors: its token vectors, (tokens, dimension), of length one.
    """
    nearest, cosines = matches(question.vectors, vectors)
    content = [(word.start(), word.end()) for word in _WORD.finditer(question.text) if _is_content(word.group())]
    words = [(word.start(), word.end()) for word in _WORD.finditer(text) if _is_content(word.group())]
    found = set()
    for asked, token, cosine in zip(question.tokens.spans, nearest, cosines, strict=True):
        if cosine < LEAST_COSINE or not any(start <= asked[0] < end for start, end in content):
            continue
        at = spans[token].start
        found.update((start, end) for start, end in words if start <= at < end)
    return tuple(Span(start, end) for start, end in sorted(found))


def _is_content(word: str) -> bool:
    return word.casefold() not in FUNCTION_WORDS
