"""Reading: a question is read together with the chunks where the best candidates stand; every sentence is scored."""

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from sourceline.encoders.base import Reranker, RerankerInput
from sourceline.index.base import PassageIndex, Passages
from sourceline.index.passage_store import Surroundings
from sourceline.index.row_filter import RowFilter
from sourceline.search.confidence import ReaderCalibration
from sourceline.search.late_interaction import TokenSimilarities, equalize_ties, late_interaction
from sourceline.search.query import QueryEncoding
from sourceline.search.ranking import RankedPassage, Ranking
from sourceline.search.stopwatch import Stopwatch
from sourceline.types import Stage

# What stands before the part that asks is read with it only if that refers to it, and if both are not too long:
# "Thank you for the minutes. Who is chair?" would be understood less well than "Who is chair?".
_LONG_QUESTION = 400
_REFERS_BACK = re.compile(
    r"(?i)\b(?:it|its|they|them|their|he|him|his|she|her|hers|this|that|these|those|there|then|one)\b"
)
# More passages on each side are never needed to fill a chunk.
_REACH = 12
HEADING_CHARACTERS = 100  # a longer title or section is left out
_REMOVED = dict.fromkeys(map(ord, "\u00ad\u200b\ufeff"))  # soft hyphen, zero-width space, byte order mark
# Between a digit and what NFKC would join to its number: it would make 121⁄2 of 12½, and 102 of 10².
_BEHIND_NUMBER = re.compile("(?<=[0-9])(?=[¼-¾⅐-⅞²³¹⁰-⁹₀-₉])")


@dataclass(frozen=True, slots=True)
class ReadingConfig:
    """What is read. The defaults are what is served; others are there to measure what each is worth.

    ``chunks`` are read, and ``more`` on top of them unless one of their sentences decides. A chunk takes sentences from
    both sides of its candidate while it stays within ``chunk_characters``; the sentence before a candidate often says
    who or what it speaks of, and is taken even then, up to ``with_before_characters``. ``beside``: sentences that stand
    beside the candidates in a chunk may answer.
    ``titles``: a chunk begins with its headings.

    Where a chunk begins and ends can decide between neighbours. So the two best, if their final scores are less than
    ``close`` apart, are read once more in chunks of ``wider_characters``, and the mean of both scores counts.
    """

    chunks: int = 2
    more: int = 2
    chunk_characters: int = 450
    with_before_characters: int = 700
    beside: bool = True
    titles: bool = True
    close: float = 2.0
    wider_characters: int = 700


DEFAULT_READING = ReadingConfig()


@dataclass(frozen=True, slots=True)
class ReaderChunk:
    """Consecutive passages of a document, to be read at once.

    The text is the document's title, the section, and what the passages say, a line each; who says it stands in front
    where that changes. The spans are those of the passages
    that can answer, whose ``rows`` ascend; a heading among the passages is only read.
    """

    input: RerankerInput
    rows: tuple[int, ...]


def rerank(
    query: QueryEncoding,
    ranking: Ranking,
    snapshot: PassageIndex,
    row_filter: RowFilter | None,
    reranker: Reranker,
    calibration: ReaderCalibration | None,
    reading: ReadingConfig = DEFAULT_READING,
    watch: Stopwatch | None = None,
) -> Ranking:
    """Read the chunks around the best candidates, and rank anew; ``watch`` is told how long it took.

    Sentences that stand beside the candidates in a chunk become candidates themselves, if they pass the filter. Without
    a calibration, passages rank by the reranker's score; those that were not read follow as they were ranked before.
    """
    watch = watch or Stopwatch()
    read = _read(query, ranking, snapshot, row_filter, reranker, calibration, reading)
    watch.lap(Stage.READ)
    late, similarities = _late_scores(query, ranking, snapshot, read.keys())
    watch.lap(Stage.LATE_INTERACTION)
    lowest = min(read.values(), default=0.0)

    def final(row: int) -> float:
        if calibration:
            return calibration.score(read.get(row), late[row])
        return read.get(row, lowest - 2 + late[row])  # a late score is at most 1

    first_rows = snapshot.passages.duplicates(late.keys())

    def best_rows() -> list[int]:
        """Return the rows, best first; of equal texts the best alone."""
        best: dict[int, int] = {}
        for row in sorted(late, key=lambda row: (-final(row), row)):
            best.setdefault(first_rows.get(row, row), row)
        return list(best.values())

    rows = best_rows()
    if calibration and len(rows) > 1 and final(rows[0]) - final(rows[1]) < reading.close:
        for row, score in _read_wider(query, rows[:2], snapshot, reranker, reading).items():
            if row in read:
                read[row] = (read[row] + score) / 2
        rows = best_rows()
    watch.lap(Stage.READ)
    return Ranking(tuple(RankedPassage(row, final(row), late[row], read.get(row)) for row in rows), similarities)


def _read(
    query: QueryEncoding,
    ranking: Ranking,
    snapshot: PassageIndex,
    row_filter: RowFilter | None,
    reranker: Reranker,
    calibration: ReaderCalibration | None,
    reading: ReadingConfig,
) -> dict[int, float]:
    """Return the reranker's scores of the rows that were read and may answer."""
    question = plain_letters(question_to_read(query))
    chunks = select_chunks(snapshot.passages, ranking.rows, reading.chunks + reading.more, reading)
    candidates = set(ranking.rows)
    read: dict[int, float] = {}
    for count in (reading.chunks, reading.more):
        wave = list(islice(chunks, count))
        if not wave:
            break
        for chunk, scores in zip(wave, reranker.score(question, [chunk.input for chunk in wave]), strict=True):
            for row, score in zip(chunk.rows, scores.tolist(), strict=True):
                may_answer = (row_filter is None or row in row_filter) and (reading.beside or row in candidates)
                # Of a sentence in two chunks, the score in the chunk around the better candidate counts.
                if may_answer and not math.isnan(score):
                    read.setdefault(row, score)
        if calibration and max(read.values(), default=-math.inf) >= calibration.decided:
            break
    return read


def _read_wider(
    query: QueryEncoding, rows: Sequence[int], snapshot: PassageIndex, reranker: Reranker, reading: ReadingConfig
) -> dict[int, float]:
    """Return the reranker's scores of what stands in longer chunks around these rows."""
    wider = replace(reading, chunk_characters=reading.wider_characters)
    chunks = list(select_chunks(snapshot.passages, rows, len(rows), wider))
    read: dict[int, float] = {}
    question = plain_letters(question_to_read(query))
    for chunk, scores in zip(chunks, reranker.score(question, [chunk.input for chunk in chunks]), strict=True):
        for row, score in zip(chunk.rows, scores.tolist(), strict=True):
            if not math.isnan(score):
                read.setdefault(row, score)
    return read


def question_to_read(query: QueryEncoding) -> str:
    """Return what is read of a question: the part that asks, or all of it if that part needs the rest."""
    refers_back = _REFERS_BACK.search(query.question_part) is not None
    return query.text if refers_back and len(query.text) <= _LONG_QUESTION else query.question_part


def _late_scores(
    query: QueryEncoding, ranking: Ranking, snapshot: PassageIndex, read: Set[int]
) -> tuple[dict[int, float], tuple[TokenSimilarities, ...]]:
    """Return the late-interaction scores of a ranking's rows and of those that were read, and their similarities."""
    rows = list(ranking.rows)
    scores = np.array([passage.late for passage in ranking.passages], dtype=np.float32)
    similarities = ranking.similarities
    if beside := sorted(read - set(rows)):
        more = late_interaction(query, snapshot, beside)
        rows, similarities = rows + beside, (*similarities, more.similarities)
        # Of two equal passages, one may have been compared the first time and one now.
        scores = equalize_ties(np.concatenate([scores, more.scores]))
    return dict(zip(rows, scores.tolist(), strict=True)), similarities


def select_chunks(
    passages: Passages, rows: Sequence[int], count: int, reading: ReadingConfig = DEFAULT_READING
) -> Iterator[ReaderChunk]:
    """Yield up to ``count`` chunks around the first of these rows; a row that stands in one already makes none."""
    inside: set[int] = set()
    for row in rows:
        if count == 0:
            return
        if row not in inside:
            chunk = chunk_around(passages.surroundings(row, _REACH), reading)
            inside.update(chunk.rows)
            count -= 1
            yield chunk


def chunk_around(surroundings: Surroundings, reading: ReadingConfig = DEFAULT_READING) -> ReaderChunk:
    """Return the chunk around a passage: it grows by one passage behind and one before in turn, while there is room."""
    texts = [plain_letters(text) for text in surroundings.texts]
    first = last = surroundings.at
    length = len(texts[first])
    if first > 0 and length + len(texts[first - 1]) <= reading.with_before_characters:
        first -= 1
        length += len(texts[first])
    while True:
        grown = False
        if last + 1 < len(texts) and length + len(texts[last + 1]) <= reading.chunk_characters:
            last, grown = last + 1, True
            length += len(texts[last])
        if first > 0 and length + len(texts[first - 1]) <= reading.chunk_characters:
            first, grown = first - 1, True
            length += len(texts[first])
        if not grown:
            break
    inside = texts[first : last + 1]
    titles = (surroundings.title, surroundings.section or "") if reading.titles else ()
    headings = dict.fromkeys(map(plain_letters, titles))
    text = "".join(
        f"{heading}\n" for heading in headings if 0 < len(heading) <= HEADING_CHARACTERS and heading not in inside
    )
    rows, spans = [], []
    before: str | None = None
    for number, sentence in enumerate(inside, start=first):
        row, speaker = surroundings.rows[number], surroundings.speakers[number]
        line = f"{plain_letters(speaker)}: {sentence}" if speaker and speaker != before else sentence
        before = speaker
        if row is not None:
            rows.append(row)
            spans.append((len(text), len(text) + len(line)))
        text += f"{line}\n"
    return ReaderChunk(RerankerInput(text, tuple(spans)), tuple(rows))


def plain_letters(text: str) -> str:
    """Return text as a reader was trained to see it: on one line, with ligatures and other variants as plain letters.

    >>> plain_letters("The \ufb01nal\n\ufb01gures")
    'The final figures'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _BEHIND_NUMBER.sub(" ", text.translate(_REMOVED)))
    return " ".join(text.split())
