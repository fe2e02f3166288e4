"""Sourceline as a retriever in other frameworks: a file for each, over a ``Client`` or an ``Index``."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol, runtime_checkable

from sourceline.types import Answer, Hit, Mode, Verdict

Metadata = dict[str, str | int | float]


@runtime_checkable
class Source(Protocol):
    """What answers: an ``Index`` or a ``Client``."""

    def ask(
        self,
        question: str,
        k: int = 5,
        documents: str | Sequence[str] = (),
        mode: Mode | str = Mode.READ,
        *,
        speakers: str | Sequence[str] = (),
        after: date | None = None,
        before: date | None = None,
    ) -> Answer:
        """Return the passages that answer a question best."""


def hits_to_return(answer: Answer, return_not_answered: bool) -> tuple[Hit, ...]:
    """Return the passages of an answer; none if the documents do not answer, unless those are wanted, too."""
    return answer.hits if return_not_answered or answer.verdict is not Verdict.NOT_ANSWERED else ()


def metadata_of(hit: Hit, answer: Answer) -> Metadata:
    """Return what is known of a passage, by plain values: where it stands, and what the answer is worth.

    ``verdict`` and ``confidence`` are of the whole answer, the same for all its passages. What is not known is left
    out.
    """
    passage, location = hit.passage, hit.passage.location
    values: dict[str, str | int | float | None] = {
        "citation": passage.id,
        "document": passage.document_id,
        "title": hit.title,
        "start": passage.start,
        "end": passage.end,
        "line": location.line,
        "page": location.page,
        "section": location.section,
        "speaker": location.speaker,
        "time": location.time.start if location.time else None,
        "before": hit.context.before,
        "after": hit.context.after,
        "rank": hit.rank,
        "score": hit.score,
        "verdict": answer.verdict.value,
        "confidence": round(answer.confidence, 4),
        "snapshot": answer.snapshot,
    }
    return {name: value for name, value in values.items() if value is not None}
