"""A question becomes ranked passages: candidates, late interaction, order."""

import fnmatch
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sourceline.encoding.encoder import Encoder
from sourceline.encoding.head import Head
from sourceline.index.generation import Generation, require_encoder
from sourceline.index.passages import Shown
from sourceline.index.rows import Rows
from sourceline.retrieval.answerability import Calibration, Evidence
from sourceline.retrieval.highlights import content_tokens, highlights
from sourceline.retrieval.late import Compared, late_interaction
from sourceline.retrieval.question import EncodedQuestion, check_question, encode_once
from sourceline.types import DEFAULT_THRESHOLD, Answer, Hit, Scores

MAX_K = 100
# The first passage is compared with the others among so many.
RIVALS = 10
# From each of dense and BM25. More adds candidates but hardly a right first place.
CANDIDATES = 30
# Of passages that say the same, so many from each of the two are compared with the question.
TWINS = 10


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates in their final order, each text once: rows, and the late-interaction score of each.

    ``compared``: how they came to it; None if there are no candidates.
    """

    rows: tuple[int, ...]
    late: tuple[float, ...]
    compared: Compared | None


class Searcher:
    """Answers questions from one generation. Immutable; safe to use from many threads."""

    def __init__(
        self,
        generation: Generation,
        encoder: Encoder,
        calibration: Calibration,
        threshold: float = DEFAULT_THRESHOLD,
    ) -> None:
        """Join a generation and its encoder. ``threshold``: the least confidence that counts as answered.

        Raises:
            MismatchError: the generation was built with another encoder.
        """
        require_encoder(generation, encoder)
        self.generation = generation
        self.encoder = encoder
        self._calibration = calibration
        self._threshold = threshold

    def with_head(self, head: Head) -> "Searcher":
        """Return a searcher that ranks the same index by another head, to measure what a part of it is worth."""
        return Searcher(replace(self.generation, head=head), self.encoder, self._calibration, self._threshold)

    def ask(self, question: str, k: int, documents: Sequence[str] = ()) -> Answer:
        """Return the up to ``k`` passages that answer best, best first; ties in document order; each text once.

        Args:
            question: at most 2,000 characters.
            k: clamped to 1..100.
            documents: ids or globs (``minutes/*.txt``); only passages of matching documents are candidates.

        Raises:
            QuestionError: the question is empty, too long, or no text.
        """
        asked = encode_once(self.encoder, check_question(question))
        k = max(1, min(k, MAX_K))
        within = self.rows_of(documents) if documents else None
        ranking = self.rank(asked, k, within)
        scores = self.scores(asked, ranking, k)
        confidence = 0.0
        if scores:
            confidence = self._calibration.confidence(self.evidence(asked, ranking, scores[0], within))
        return Answer(
            question=question,
            answerable=confidence >= self._threshold,
            confidence=confidence,
            hits=self._hits(asked, ranking, scores, within),
            generation=self.generation.id,
        )

    def rank(self, asked: EncodedQuestion, k: int, within: Rows | None) -> Ranking:
        """Return the candidates in order, of twins only the best: at least ``k`` texts, if there are so many."""
        index = self.generation
        twins = self._candidates(asked, k, within)
        rows = sorted(twins)
        if not rows:
            return Ranking((), (), None)
        compared = late_interaction(asked, index, rows)
        late: list[float] = compared.scores.tolist()
        best: dict[int, int] = {}
        for at in sorted(range(len(rows)), key=lambda at: (-late[at], rows[at])):
            best.setdefault(twins[rows[at]], at)
        order = best.values()
        return Ranking(tuple(rows[at] for at in order), tuple(late[at] for at in order), compared)

    def scores(self, asked: EncodedQuestion, ranking: Ranking, k: int) -> list[Scores]:
        """Return the component scores of the first ``k`` of a ranking."""
        rows = ranking.rows[:k]
        if not rows:
            return []
        cosines = self.generation.dense.scores(asked.vector, rows)
        words = self.generation.lexical.scores(asked.asking, rows)
        return [Scores(float(c), float(w), late) for c, w, late in zip(cosines, words, ranking.late, strict=False)]

    def _candidates(self, asked: EncodedQuestion, k: int, within: Rows | None) -> dict[int, int]:
        """Return the rows to compare, each with the first row of its twins: itself, if it has none.

        As many texts as there would be without twins: the candidates are doubled until there are.
        """
        index, texts = self.generation, max(CANDIDATES, k)
        wanted = texts
        while True:
            dense = [neighbor.row for neighbor in index.dense.search(asked.vector, wanted, within)]
            lexical = [neighbor.row for neighbor in index.lexical.search(asked.asking, wanted, within)]
            rows = {*dense, *lexical}
            twins = dict(zip(rows, rows, strict=True))
            if not (found := index.passages.twins(rows)):
                return twins
            twins |= found
            # Every row has a cosine, so that a list that is not full holds them all.
            if len(set(twins.values())) >= texts or len(dense) < wanted:
                return {row: twins[row] for ranked in (dense, lexical) for row in _few_of_each(ranked, twins)}
            wanted *= 2

    def evidence(self, asked: EncodedQuestion, ranking: Ranking, best: Scores, within: Rows | None) -> Evidence:
        """Return what speaks for the first passage of a ranking, whose component scores are ``best``."""
        behind = ranking.late[1:RIVALS]
        ceiling = self.generation.lexical.ceiling(asked.asking)
        return Evidence(
            late=best.late,
            dense=best.dense,
            coverage=best.lexical / ceiling if ceiling else 0.0,
            lead=best.late - (sum(behind) / len(behind) if behind else 0.0),
            size=math.log(self.generation.passages.row_count if within is None else len(within)),
        )

    def rows_of(self, documents: Sequence[str]) -> Rows:
        """Return the rows of all documents that match one of these ids or globs (``*`` also matches ``/``)."""
        entries = self.generation.passages.documents
        return Rows.of(e.rows for e in entries if any(e.id == d or fnmatch.fnmatchcase(e.id, d) for d in documents))

    def _hits(
        self, asked: EncodedQuestion, ranking: Ranking, scores: Sequence[Scores], within: Rows | None
    ) -> tuple[Hit, ...]:
        """Return as many hits as there are scores."""
        if ranking.compared is None:
            return ()
        rows = ranking.rows[: len(scores)]
        stored = self.generation.passages.rows(rows)
        also = self._also(stored, within)
        content = content_tokens(asked)
        found = []
        for at, row in enumerate(rows):
            shown = stored[row]
            cosines, starts = ranking.compared.matches.cosines_of(row)
            hit = Hit(
                rank=at + 1,
                score=ranking.late[at],
                passage=shown.passage,
                title=shown.title,
                before=shown.before,
                after=shown.after,
                highlights=highlights(cosines[:, content], shown.passage.text, starts),
                scores=scores[at],
                also=also[row],
            )
            found.append(hit)
        return tuple(found)

    def _also(self, stored: dict[int, Shown], within: Rows | None) -> dict[int, tuple[str, ...]]:
        """Return the citations of each passage's twins that were asked for, in document order."""
        several = {shown.twin for shown in stored.values() if shown.twin is not None}
        ids: dict[int | None, dict[int, str]] = {}
        for first, row, id_ in self.generation.passages.with_twins(several):
            if within is None or row in within:
                ids.setdefault(first, {})[row] = id_
        return {
            row: tuple(id_ for twin, id_ in ids.get(shown.twin, {}).items() if twin != row)
            for row, shown in stored.items()
        }


def _few_of_each(rows: Sequence[int], twins: dict[int, int]) -> Iterator[int]:
    """Yield the rows, of twins only the first few: they differ in nothing but what stands around them."""
    counts: Counter[int] = Counter()
    for row in rows:
        counts[twins[row]] += 1
        if counts[twins[row]] <= TWINS:
            yield row
