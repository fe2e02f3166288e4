"""A question becomes ranked passages: candidates, late interaction, order."""

import fnmatch
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sourceline.encoders.base import Encoder
from sourceline.encoders.ranking_head import RankingHead
from sourceline.index.passage_store import StoredPassage
from sourceline.index.row_filter import RowFilter
from sourceline.index.snapshot import Snapshot, require_encoder
from sourceline.search.confidence import Calibration, ConfidenceFeatures
from sourceline.search.highlights import content_tokens, highlights
from sourceline.search.late_interaction import LateInteraction, late_interaction
from sourceline.search.query import QueryEncoding, encode_once, validate_question
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
    compared: LateInteraction | None


class Searcher:
    """Answers questions from one snapshot. Immutable; safe to use from many threads."""

    def __init__(
        self,
        snapshot: Snapshot,
        encoder: Encoder,
        calibration: Calibration,
        threshold: float = DEFAULT_THRESHOLD,
    ) -> None:
        """Join a snapshot and its encoder. ``threshold``: the least confidence that counts as answered.

        Raises:
            MismatchError: the snapshot was built with another encoder.
        """
        require_encoder(snapshot, encoder)
        self.snapshot = snapshot
        self.encoder = encoder
        self._calibration = calibration
        self._threshold = threshold

    def with_head(self, head: RankingHead) -> "Searcher":
        """Return a searcher that ranks the same index by another head, to measure what a part of it is worth."""
        return Searcher(replace(self.snapshot, head=head), self.encoder, self._calibration, self._threshold)

    def ask(self, question: str, k: int, documents: Sequence[str] = ()) -> Answer:
        """Return the up to ``k`` passages that answer best, best first; ties in document order; each text once.

        Args:
            question: at most 2,000 characters.
            k: clamped to 1..100.
            documents: ids or globs (``minutes/*.txt``); only passages of matching documents are candidates.

        Raises:
            QuestionError: the question is empty, too long, or no text.
        """
        query = encode_once(self.encoder, validate_question(question))
        k = max(1, min(k, MAX_K))
        row_filter = self.rows_of(documents) if documents else None
        ranking = self.rank(query, k, row_filter)
        scores = self.scores(query, ranking, k)
        confidence = 0.0
        if scores:
            confidence = self._calibration.confidence(self.evidence(query, ranking, scores[0], row_filter))
        return Answer(
            question=question,
            answerable=confidence >= self._threshold,
            confidence=confidence,
            hits=self._hits(query, ranking, scores, row_filter),
            snapshot=self.snapshot.id,
        )

    def rank(self, query: QueryEncoding, k: int, row_filter: RowFilter | None) -> Ranking:
        """Return the candidates in order, of twins only the best: at least ``k`` texts, if there are so many."""
        index = self.snapshot
        duplicates = self._candidates(query, k, row_filter)
        rows = sorted(duplicates)
        if not rows:
            return Ranking((), (), None)
        compared = late_interaction(query, index, rows)
        late: list[float] = compared.scores.tolist()
        best: dict[int, int] = {}
        for at in sorted(range(len(rows)), key=lambda at: (-late[at], rows[at])):
            best.setdefault(duplicates[rows[at]], at)
        order = best.values()
        return Ranking(tuple(rows[at] for at in order), tuple(late[at] for at in order), compared)

    def scores(self, query: QueryEncoding, ranking: Ranking, k: int) -> list[Scores]:
        """Return the component scores of the first ``k`` of a ranking."""
        rows = ranking.rows[:k]
        if not rows:
            return []
        cosines = self.snapshot.dense.scores(query.vector, rows)
        words = self.snapshot.lexical.scores(query.asking, rows)
        return [Scores(float(c), float(w), late) for c, w, late in zip(cosines, words, ranking.late, strict=False)]

    def _candidates(self, query: QueryEncoding, k: int, row_filter: RowFilter | None) -> dict[int, int]:
        """Return the rows to compare, each with the first row of its twins: itself, if it has none.

        As many texts as there would be without twins: the candidates are doubled until there are.
        """
        index, texts = self.snapshot, max(CANDIDATES, k)
        wanted = texts
        while True:
            dense = [neighbor.row for neighbor in index.dense.search(query.vector, wanted, row_filter)]
            lexical = [neighbor.row for neighbor in index.lexical.search(query.asking, wanted, row_filter)]
            rows = {*dense, *lexical}
            duplicates = dict(zip(rows, rows, strict=True))
            if not (found := index.passages.duplicates(rows)):
                return duplicates
            duplicates |= found
            # Every row has a cosine, so that a list that is not full holds them all.
            if len(set(duplicates.values())) >= texts or len(dense) < wanted:
                return {row: duplicates[row] for ranked in (dense, lexical) for row in _few_of_each(ranked, duplicates)}
            wanted *= 2

    def evidence(
        self, query: QueryEncoding, ranking: Ranking, best: Scores, row_filter: RowFilter | None
    ) -> ConfidenceFeatures:
        """Return what speaks for the first passage of a ranking, whose component scores are ``best``."""
        behind = ranking.late[1:RIVALS]
        ceiling = self.snapshot.lexical.ceiling(query.asking)
        return ConfidenceFeatures(
            late=best.late,
            dense=best.dense,
            coverage=best.lexical / ceiling if ceiling else 0.0,
            lead=best.late - (sum(behind) / len(behind) if behind else 0.0),
            size=math.log(self.snapshot.passages.row_count if row_filter is None else len(row_filter)),
        )

    def rows_of(self, documents: Sequence[str]) -> RowFilter:
        """Return the rows of all documents that match one of these ids or globs (``*`` also matches ``/``)."""
        entries = self.snapshot.passages.documents
        return RowFilter.of(
            e.rows for e in entries if any(e.id == d or fnmatch.fnmatchcase(e.id, d) for d in documents)
        )

    def _hits(
        self, query: QueryEncoding, ranking: Ranking, scores: Sequence[Scores], row_filter: RowFilter | None
    ) -> tuple[Hit, ...]:
        """Return as many hits as there are scores."""
        if ranking.compared is None:
            return ()
        rows = ranking.rows[: len(scores)]
        stored = self.snapshot.passages.rows(rows)
        also = self._also(stored, row_filter)
        content = content_tokens(query)
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

    def _also(self, stored: dict[int, StoredPassage], row_filter: RowFilter | None) -> dict[int, tuple[str, ...]]:
        """Return the citations of each passage's twins that were asked for, in document order."""
        several = {shown.duplicate_of for shown in stored.values() if shown.duplicate_of is not None}
        ids: dict[int | None, dict[int, str]] = {}
        for first, row, id_ in self.snapshot.passages.with_duplicates(several):
            if row_filter is None or row in row_filter:
                ids.setdefault(first, {})[row] = id_
        return {
            row: tuple(id_ for duplicate_of, id_ in ids.get(shown.duplicate_of, {}).items() if duplicate_of != row)
            for row, shown in stored.items()
        }


def _few_of_each(rows: Sequence[int], duplicates: dict[int, int]) -> Iterator[int]:
    """Yield the rows, of twins only the first few: they differ in nothing but what stands around them."""
    counts: Counter[int] = Counter()
    for row in rows:
        counts[duplicates[row]] += 1
        if counts[duplicates[row]] <= TWINS:
            yield row
