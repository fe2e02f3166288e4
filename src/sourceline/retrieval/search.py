"""A question becomes ranked passages: candidates, late interaction, order."""

import fnmatch
import math
from collections.abc import Sequence
from dataclasses import dataclass

from sourceline.encoding.encoder import Encoder, Float32
from sourceline.index.generation import Generation, require_encoder
from sourceline.index.rows import Rows
from sourceline.retrieval.answerability import THRESHOLD, Calibration, Evidence
from sourceline.retrieval.highlights import content_tokens, highlights
from sourceline.retrieval.late import maxsim, token_weights
from sourceline.retrieval.question import EncodedQuestion, check_question, encode_question
from sourceline.types import Answer, Hit, Passage, Scores

MAX_K = 100
# From each of dense and BM25. More adds candidates but hardly a right first place.
CANDIDATES = 30


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates in their final order: rows, and the scores of each."""

    rows: tuple[int, ...]
    scores: tuple[Scores, ...]


class Searcher:
    """Answers questions from one generation. Immutable; safe to use from many threads."""

    def __init__(self, generation: Generation, encoder: Encoder, calibration: Calibration) -> None:
        """Join a generation and its encoder.

        Raises:
            MismatchError: the generation was built with another encoder.
        """
        require_encoder(generation, encoder)
        self.generation = generation
        self.encoder = encoder
        self._calibration = calibration

    def ask(self, question: str, k: int, documents: Sequence[str] = ()) -> Answer:
        """Return the up to ``k`` passages that answer best, best first; ties in document order.

        Args:
            question: at most 2,000 characters.
            k: clamped to 1..100.
            documents: ids or globs (``minutes/*.txt``); only passages of matching documents are candidates.

        Raises:
            QuestionError: the question is empty, too long, or no text.
        """
        asked = encode_question(self.encoder, check_question(question))
        k = max(1, min(k, MAX_K))
        within = self.rows_of(documents) if documents else None
        ranking = self.rank(asked, k, within)
        confidence = self._calibration.confidence(self.evidence(asked, ranking, within)) if ranking.rows else 0.0
        return Answer(
            question=question,
            answerable=confidence >= THRESHOLD,
            confidence=confidence,
            hits=self._hits(asked, ranking, k),
            generation=self.generation.id,
        )

    def rank(self, asked: EncodedQuestion, k: int, within: Rows | None) -> Ranking:
        """Return all candidates in order: at least ``k``, if there are so many."""
        index, wanted = self.generation, max(CANDIDATES, k)
        dense = index.dense.search(asked.vector, wanted, within)
        lexical = index.lexical.search(asked.text, wanted, within)
        rows = sorted({neighbor.row for neighbor in (*dense, *lexical)})
        if not rows:
            return Ranking((), ())
        late = maxsim(asked.vectors, self._weights(asked), index.tokens.gather(rows))
        cosines, words = index.dense.scores(asked.vector, rows), index.lexical.scores(asked.text, rows)
        order = sorted(range(len(rows)), key=lambda at: (-late[at], rows[at]))
        return Ranking(
            tuple(rows[at] for at in order),
            tuple(Scores(float(cosines[at]), float(words[at]), float(late[at])) for at in order),
        )

    def evidence(self, asked: EncodedQuestion, ranking: Ranking, within: Rows | None) -> Evidence:
        """Return what speaks for the first passage of a ranking that is not empty."""
        best = ranking.scores[0]
        second = ranking.scores[1].late if len(ranking.scores) > 1 else 0.0
        ceiling = self.generation.lexical.ceiling(asked.text)
        return Evidence(
            late=best.late,
            dense=best.dense,
            coverage=best.lexical / ceiling if ceiling else 0.0,
            margin=best.late - second,
            size=math.log(len(self.generation.passages if within is None else within)),
        )

    def rows_of(self, documents: Sequence[str]) -> Rows:
        """Return the rows of all documents that match one of these ids or globs (``*`` also matches ``/``)."""
        entries = self.generation.passages.documents
        return Rows.of(e.rows for e in entries if any(e.id == d or fnmatch.fnmatchcase(e.id, d) for d in documents))

    def _weights(self, asked: EncodedQuestion) -> Float32:
        return token_weights(self.generation.tokens.idf(asked.tokens.ids))

    def _hits(self, asked: EncodedQuestion, ranking: Ranking, k: int) -> tuple[Hit, ...]:
        rows = ranking.rows[:k]
        if not rows:
            return ()
        stored = self.generation.passages.rows(sorted({near for row in rows for near in (row - 1, row, row + 1)}))
        content = asked.vectors[content_tokens(asked)]
        tokens = self.generation.tokens.gather(rows)
        found = []
        for at, row in enumerate(rows):
            passage, title = stored[row]
            hit = Hit(
                rank=at + 1,
                score=ranking.scores[at].late,
                passage=passage,
                title=title,
                before=_text_beside(passage, stored.get(row - 1)),
                after=_text_beside(passage, stored.get(row + 1)),
                highlights=highlights(content, passage.text, *tokens.of(at)),
                scores=ranking.scores[at],
            )
            found.append(hit)
        return tuple(found)


def _text_beside(passage: Passage, neighbor: tuple[Passage, str] | None) -> str:
    """Return the text of the passage in the next row, if it stands in the same document."""
    if neighbor is None or neighbor[0].document_id != passage.document_id:
        return ""
    return neighbor[0].text
