"""Questions to begin with, made of what the documents name, and only those that they answer."""

import re
from collections import Counter
from itertools import chain, zip_longest

from sourceline.index.passages import Passages
from sourceline.retrieval.highlights import FUNCTION_WORDS
from sourceline.retrieval.search import Searcher

MOST = 4
# So many are asked, each of which costs an answer; and so many passages are read for what they name.
ASKED = 30
READ = 400
LONGEST = 60  # characters of what is asked about
# Words in capitals that do not begin a sentence: "Fuad Hussein", "Bank of England".
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][\w'’-]{2,}(?: (?:(?:of|the|de|von) )*[A-Z][\w'’-]+)+")
# What stands between a preposition and a stop is mostly a thing: "on long-term cooperation."
_THING = re.compile(r"\b(?:about|at|between|despite|for|of|on|over) ([a-z][a-z-]+(?: [a-z][a-z-]+){1,2})(?=[.,;:?!])")


def examples(searcher: Searcher) -> list[str]:
    """Return up to four questions that the index answers, about headings, names and things in turn."""
    found: list[str] = []
    for subject in _subjects(searcher.generation.passages)[:ASKED]:
        question = f"What is said about {subject}?"
        if searcher.ask(question, 1).answerable:
            found.append(question)
        if len(found) == MOST:
            break
    return found


def _subjects(passages: Passages) -> list[str]:
    """Return what could be asked about, of passages evenly spread: of each kind in turn the most frequent."""
    step = -(-passages.row_count // READ) or 1
    shown = passages.rows(range(0, passages.row_count, step)).values()
    texts = [one.passage.text for one in shown]
    headings = Counter(one.passage.location.section for one in shown if one.passage.location.section)
    names = Counter(name for text in texts for name in _NAME.findall(text))
    things = Counter(thing for text in texts for thing in _THING.findall(text) if _is_plain(thing))
    ranked = [[one for one, _ in counts.most_common()] for counts in (headings, names, things)]
    kept: list[str] = []
    for subject in filter(None, chain.from_iterable(zip_longest(*ranked))):
        # Of a name with and without a title one will do.
        if len(subject) <= LONGEST and not any(subject in other or other in subject for other in kept):
            kept.append(subject)
    return kept


def _is_plain(thing: str) -> bool:
    return FUNCTION_WORDS.isdisjoint(thing.split())
