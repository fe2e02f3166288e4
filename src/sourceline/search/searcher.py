"""A question becomes ranked passages: candidates, late interaction, order, confidence."""

import copy
import fnmatch
import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import chain

import numpy as np

from sourceline.encoders.base import Encoder, Reranker
from sourceline.encoders.ranking_head import RankingHead
from sourceline.errors import QuestionError
from sourceline.index.base import PassageIndex
from sourceline.index.passage_store import StoredPassage
from sourceline.index.row_filter import RowFilter
from sourceline.index.snapshot import require_encoder
from sourceline.search.confidence import Calibration, ConfidenceFeatures, ReaderCalibration, verdict
from sourceline.search.highlights import content_tokens, highlights
from sourceline.search.late_interaction import late_interaction
from sourceline.search.query import QueryEncoding, encode_query_once, validate_question
from sourceline.search.ranking import RankedPassage, Ranking
from sourceline.search.reranking import DEFAULT_READING, ReadingConfig, rerank
from sourceline.search.stopwatch import Stopwatch
from sourceline.text import nfc
from sourceline.types import (
    DEFAULT_THRESHOLD,
    MAX_K,
    NO_FILTERS,
    Answer,
    Filters,
    Hit,
    Mode,
    Scores,
    Stage,
    StageTime,
)

# From each of dense and BM25. More adds candidates but rarely improves R@1.
CANDIDATES = 30
# What replies to a question in the text is one of so many passages behind it.
REPLY_REACH = 3
# The first passage's lead is measured over the others of the top RIVALS.
RIVALS = 10
# Of each group of duplicates, at most this many from each of dense and BM25 are scored.
MAX_DUPLICATES = 10


class Searcher:
    """Answers questions from one snapshot. Immutable; safe to use from many threads."""

    def __init__(
        self,
        snapshot: PassageIndex,
        encoder: Encoder,
        calibration: Calibration,
        threshold: float = DEFAULT_THRESHOLD,
        reranker: Reranker | None = None,
        reader_calibration: ReaderCalibration | None = None,
        reading: ReadingConfig = DEFAULT_READING,
    ) -> None:
        """Join a snapshot, its encoder, and what reads.

        Args:
            snapshot: what is searched.
            encoder: the one that the snapshot was built with.
            calibration: of the confidence without reading.
            threshold: the least confidence that counts as answered.
            reranker: what reads; None ranks by late interaction alone.
            reader_calibration: the reranker's; None ranks by its scores alone, and confidence stays that of ``fast``.
            reading: what is read.

        Raises:
            MismatchError: the snapshot was built with another encoder.
        """
        require_encoder(snapshot.manifest, encoder)
        self.snapshot = snapshot
        self.encoder = encoder
        self.reranker = reranker
        self._calibration = calibration
        self._threshold = threshold
        self.reader_calibration = reader_calibration
        self._reading = reading

    def over(self, snapshot: PassageIndex) -> "Searcher":
        """Return a searcher of what a call reads from: of this snapshot, over a connection if it needs one."""
        if snapshot is self.snapshot:
            return self
        searcher = copy.copy(self)
        searcher.snapshot = snapshot
        return searcher

    def variant(
        self,
        *,
        head: RankingHead | None = None,
        reader_calibration: ReaderCalibration | None = None,
        reading: ReadingConfig | None = None,
    ) -> "Searcher":
        """Return a searcher of the same index that differs in these, to measure what a part of it is worth."""
        return Searcher(
            self.snapshot.with_head(head) if head else self.snapshot,
            self.encoder,
            self._calibration,
            self._threshold,
            self.reranker,
            reader_calibration or self.reader_calibration,
            reading or self._reading,
        )

    def ask(
        self,
        question: str,
        k: int,
        filters: Filters = NO_FILTERS,
        mode: Mode = Mode.READ,
        threshold: float | None = None,
    ) -> Answer:
        """Return the up to ``k`` passages that answer best, best first; ties in document order; each text once.

        Args:
            question: at most 2,000 characters.
            k: clamped to 1..100.
            filters: only passages that pass are candidates.
            mode: ``fast`` leaves out the reading.
            threshold: the least confidence that counts as answered; None is the searcher's own.

        Raises:
            QuestionError: the question is empty, too long, or no text.
        """
        watch = Stopwatch()
        query = encode_query_once(self.encoder, validate_question(question))
        watch.lap(Stage.ENCODE, first=StageTime(Stage.TOKENIZE, query.tokenize_seconds))
        k = max(1, min(k, MAX_K))
        row_filter = None
        if filters:
            row_filter = self.filter_rows(filters)
            watch.lap(Stage.REST)
        ranking = self.rank(query, k, row_filter, mode, watch)
        scores = self.component_scores(query, ranking, k)
        confidence = self.confidence(query, ranking, scores[0], row_filter) if scores else 0.0
        hits = self._hits(query, ranking, scores, row_filter)
        watch.lap(Stage.REST)
        return Answer(
            question=question,
            verdict=verdict(confidence, self._threshold if threshold is None else threshold),
            confidence=confidence,
            hits=hits,
            snapshot=self.snapshot.id,
            stages=watch.times,
        )

    def similar(self, text: str, n: int = 10) -> tuple[int, ...]:
        """Return the up to ``n`` rows that are most like a text, best first, by late interaction.

        There are none if it has no words.

        Args:
            text: at most 2,000 characters.
            n: how many.
        """
        try:
            query = encode_query_once(self.encoder, validate_question(text))
        except QuestionError:
            return ()
        return self._rank_by_late_interaction(query, n, None, Stopwatch()).rows[:n]

    def filter_rows(self, filters: Filters) -> RowFilter:
        """Return the rows that pass; `*` in a glob matches `/`, too, and what is the id of a document is no glob."""
        passages = self.snapshot.passages
        patterns = {nfc(pattern) for pattern in filters.documents}
        ids = {pattern for pattern in patterns if passages.entry(pattern)}
        globs = [re.compile(fnmatch.translate(pattern)).match for pattern in patterns - ids]
        row_filter = RowFilter.from_documents(
            [
                (entry.number, entry.rows)
                for entry in passages.documents
                if (not patterns or entry.id in ids or any(matches(entry.id) for matches in globs))
                and (filters.after is None or (entry.date is not None and entry.date >= filters.after))
                and (filters.before is None or (entry.date is not None and entry.date < filters.before))
            ]
        )
        if not filters.speakers:
            return row_filter
        names = passages.speakers_named(filters.speakers)
        return row_filter.said_by(names, passages.rows_of_speakers(names))

    def rank(
        self,
        query: QueryEncoding,
        k: int,
        row_filter: RowFilter | None,
        mode: Mode = Mode.READ,
        watch: Stopwatch | None = None,
    ) -> Ranking:
        """Return the candidates in order, the best of each duplicate group; at least ``k`` if there are so many.

        ``watch`` is told how long each stage took.
        """
        watch = watch or Stopwatch()
        ranking = self._rank_by_late_interaction(query, k, row_filter, watch)
        return ranking if mode is Mode.FAST else self.read(query, ranking, row_filter, watch)

    def read(
        self, query: QueryEncoding, ranking: Ranking, row_filter: RowFilter | None, watch: Stopwatch | None = None
    ) -> Ranking:
        """Return a ranking of late interaction as it is once the best of it was read; the same if nothing reads."""
        if self.reranker is None or not ranking.passages:
            return ranking
        reader, calibration = self.reranker, self.reader_calibration
        return rerank(query, ranking, self.snapshot, row_filter, reader, calibration, self._reading, watch)

    def _rank_by_late_interaction(
        self, query: QueryEncoding, k: int, row_filter: RowFilter | None, watch: Stopwatch
    ) -> Ranking:
        first_rows = self._candidates(query, k, row_filter)
        replies = self._replies(first_rows.keys(), row_filter)
        new = set(replies.values()) - first_rows.keys()
        first_rows |= {row: row for row in new} | self.snapshot.passages.duplicates(new)
        rows = sorted(first_rows)
        watch.lap(Stage.CANDIDATES)
        if not rows:
            return Ranking()
        late = late_interaction(query, self.snapshot, rows)
        scores: list[float] = late.scores.tolist()
        for asking, reply in replies.items():  # what asks matches a question's words better than what replies
            asking_at, reply_at = bisect_left(rows, asking), bisect_left(rows, reply)
            lower, higher = sorted([scores[asking_at], scores[reply_at]])
            scores[asking_at], scores[reply_at] = lower, higher
        best: dict[int, int] = {}
        for at in sorted(range(len(rows)), key=lambda at: (-scores[at], rows[at])):
            best.setdefault(first_rows[rows[at]], at)
        passages = tuple(RankedPassage(rows[at], scores[at], scores[at]) for at in best.values())
        watch.lap(Stage.LATE_INTERACTION)
        return Ranking(passages, (late.similarities,))

    def _replies(self, rows: Collection[int], row_filter: RowFilter | None) -> dict[int, int]:
        """Return, for each of these rows that asks, the next one that tells, if it is near and passes the filter."""
        passages, replies, near = self.snapshot.passages, {}, {}
        for row in sorted(passages.asking(rows)):
            (document,) = passages.documents_of(np.array([row]))
            near[row] = range(row + 1, min(row + 1 + REPLY_REACH, passages.documents[document].rows.stop))
        asking = passages.asking({other for others in near.values() for other in others})
        for row, others in near.items():
            reply = next((other for other in others if other not in asking), None)
            if reply is not None and (row_filter is None or reply in row_filter):
                replies[row] = reply
        return replies

    def _candidates(self, query: QueryEncoding, k: int, row_filter: RowFilter | None) -> dict[int, int]:
        """Return the rows to score, each with the first row that says the same: itself, if it has no duplicate.

        Widens both lists twofold until enough distinct texts are in them, or there are no more.
        """
        snapshot, texts = self.snapshot, max(CANDIDATES, k)
        width = n = texts
        while True:
            dense = [scored.row for scored in snapshot.dense.search(query.vector, n, row_filter)]
            bm25 = [scored.row for scored in snapshot.bm25.search(query.question_part, n, row_filter)]
            rows = {*dense, *bm25}
            first_rows = dict(zip(rows, rows, strict=True))
            if not (duplicates := snapshot.passages.duplicates(rows)):
                return first_rows
            first_rows |= duplicates
            while width <= n:
                ranked = (dense[:width], bm25[:width])
                # Every row has a cosine, so that a list that is not full holds them all.
                if len({first_rows[row] for row in chain(*ranked)}) >= texts or len(ranked[0]) < width:
                    return {row: first_rows[row] for rows in ranked for row in _few_of_each(rows, first_rows)}
                width *= 2
            # Searched at once as far as the duplicates of what was found may reach, not with every width anew.
            wanted = texts + snapshot.passages.count_duplicates(set(duplicates.values()))
            n = width
            while n < wanted:
                n *= 2

    def component_scores(self, query: QueryEncoding, ranking: Ranking, k: int) -> list[Scores]:
        """Return the component scores of the first ``k`` of a ranking."""
        passages = ranking.passages[:k]
        if not passages:
            return []
        rows = [passage.row for passage in passages]
        cosines = self.snapshot.dense.scores(query.vector, rows)
        bm25 = self.snapshot.bm25.scores(query.question_part, rows)
        return [
            Scores(float(c), float(b), passage.late, passage.reader)
            for c, b, passage in zip(cosines, bm25, passages, strict=True)
        ]

    def confidence(self, query: QueryEncoding, ranking: Ranking, best: Scores, row_filter: RowFilter | None) -> float:
        """Return the probability that the first passage of a ranking, whose component scores are ``best``, answers."""
        if not query.has_words:
            return 0.0
        if self.reader_calibration and ranking.was_read:
            return self.reader_calibration.confidence(best.reader)
        return self._calibration.confidence(self.features(query, ranking, best, row_filter))

    def features(
        self, query: QueryEncoding, ranking: Ranking, best: Scores, row_filter: RowFilter | None
    ) -> ConfidenceFeatures:
        """Return what the confidence without reading is made of, for the first passage, whose scores are ``best``."""
        rivals = [passage.late for passage in ranking.passages[1:RIVALS]]
        max_bm25 = self.snapshot.bm25.max_score(query.question_part)
        searched = self.snapshot.passages.row_count if row_filter is None else len(row_filter)
        return ConfidenceFeatures(
            late=best.late,
            dense=best.dense,
            coverage=best.bm25 / max_bm25 if max_bm25 else 0.0,
            lead=best.late - (sum(rivals) / len(rivals) if rivals else 0.0),
            size=math.log(searched),
        )

    def _hits(
        self, query: QueryEncoding, ranking: Ranking, scores: Sequence[Scores], row_filter: RowFilter | None
    ) -> tuple[Hit, ...]:
        """Return as many hits as there are scores."""
        rows = ranking.rows[: len(scores)]
        stored = self.snapshot.passages.rows(rows)
        also = self._duplicate_citations(stored, row_filter)
        content = content_tokens(query)
        hits = []
        for at, row in enumerate(rows):
            cosines, starts = ranking.cosines_of(row)
            passage = stored[row].passage
            hit = Hit(
                rank=at + 1,
                score=ranking.passages[at].score,
                passage=passage,
                title=stored[row].title,
                context=stored[row].context,
                highlights=highlights(cosines[:, content], passage.text, starts),
                scores=scores[at],
                also=also[row],
            )
            hits.append(hit)
        return tuple(hits)

    def _duplicate_citations(
        self, stored: dict[int, StoredPassage], row_filter: RowFilter | None
    ) -> dict[int, tuple[str, ...]]:
        """Return the citations of each passage's duplicates that pass the filter, in document order."""
        firsts = {passage.duplicate_of for passage in stored.values() if passage.duplicate_of is not None}
        citations: dict[int | None, dict[int, str]] = {}
        for first, row, citation in self.snapshot.passages.with_duplicates(firsts):
            if row_filter is None or row in row_filter:
                citations.setdefault(first, {})[row] = citation
        return {
            row: tuple(citation for other, citation in citations.get(passage.duplicate_of, {}).items() if other != row)
            for row, passage in stored.items()
        }


def _few_of_each(rows: Sequence[int], first_rows: dict[int, int]) -> Iterator[int]:
    """Yield the rows, but only the first few of each group of duplicates: they differ in nothing but their context."""
    counts: Counter[int] = Counter()
    for row in rows:
        counts[first_rows[row]] += 1
        if counts[first_rows[row]] <= MAX_DUPLICATES:
            yield row
