"""Questions and their answers."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sourceline.retrieval.question import MAX_CHARACTERS
from sourceline.retrieval.search import MAX_K
from sourceline.server.schemas.base import ContextBody, DocumentRef, LocationBody, Wire

Question = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_CHARACTERS),
    Field(description="A question in natural words."),
]
K = Annotated[int, Field(ge=1, le=MAX_K, description="How many passages are wanted.")]
DocumentPattern = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class Filters(Wire):
    """Limits the passages that may be returned."""

    model_config = ConfigDict(extra="forbid", strict=True)

    documents: list[DocumentPattern] = Field(
        min_length=1, max_length=100, description="Ids or globs (`minutes/*.txt`); any may match."
    )


class AskRequest(Wire):
    """A question."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: Question
    k: K = 5
    filters: Filters | None = None
    explain: bool = Field(False, description="Return the three component scores of each passage.")


class AskQuery(Wire):
    """A question, in the query string."""

    question: Question
    k: K = 5
    document: list[DocumentPattern] = Field([], max_length=100, description="As `filters.documents`; repeatable.")
    explain: bool = Field(False, description="Return the three component scores of each passage.")


class SpanBody(Wire):
    """Code-point offsets into the passage's text, `end` exclusive."""

    start: int
    end: int


class ScoresBody(Wire):
    """Cosine, BM25, and late interaction."""

    dense: float
    lexical: float
    late: float


class PassageBody(Wire):
    """A ranked passage: a sentence, verbatim."""

    rank: int
    score: float
    citation: str
    text: str
    document: DocumentRef
    location: LocationBody
    context: ContextBody
    highlights: list[SpanBody]
    also: list[str] | None = Field(None, description="Citations of the other passages that say the same.")
    scores: ScoresBody | None = None


class AskResponse(Wire):
    """Ranked passages. `confidence` is the probability that the first one answers."""

    question: str
    answerable: bool
    confidence: float
    passages: list[PassageBody]
    generation: str
    took_ms: float


class ExamplesResponse(Wire):
    """Questions that the documents answer."""

    questions: list[str]
    generation: str
