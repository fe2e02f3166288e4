"""What goes over the wire. pydantic lives here and in the settings only."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sourceline.retrieval.question import MAX_CHARACTERS
from sourceline.retrieval.search import MAX_K

Question = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_CHARACTERS),
    Field(description="A question in natural words."),
]
K = Annotated[int, Field(ge=1, le=MAX_K, description="How many passages are wanted.")]
DocumentPattern = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
CitationId = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Filters(_Wire):
    """Limits the passages that may be returned."""

    model_config = ConfigDict(extra="forbid", strict=True)

    documents: list[DocumentPattern] = Field(
        min_length=1, max_length=100, description="Ids or globs (`minutes/*.txt`); any may match."
    )


class AskRequest(_Wire):
    """A question."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: Question
    k: K = 5
    filters: Filters | None = None
    explain: bool = Field(False, description="Return the three component scores of each passage.")


class AskQuery(_Wire):
    """A question, in the query string."""

    question: Question
    k: K = 5
    document: list[DocumentPattern] = Field([], max_length=100, description="As `filters.documents`; repeatable.")
    explain: bool = Field(False, description="Return the three component scores of each passage.")


class DocumentRef(_Wire):
    """A document: its id is the POSIX path below the documents folder."""

    id: str
    title: str


class LocationBody(_Wire):
    """Where a passage stands: code-point offsets into the document, `end` exclusive; line and paragraph from 1."""

    start: int
    end: int
    line: int
    paragraph: int
    section: str | None = Field(None, description="The heading above.")


class SpanBody(_Wire):
    """Code-point offsets into the passage's text, `end` exclusive."""

    start: int
    end: int


class ContextBody(_Wire):
    """The text around a passage."""

    before: str
    after: str


class ScoresBody(_Wire):
    """Cosine, BM25, and late interaction."""

    dense: float
    lexical: float
    late: float


class PassageBody(_Wire):
    """A ranked passage: a sentence, verbatim."""

    rank: int
    score: float
    citation: str
    text: str
    document: DocumentRef
    location: LocationBody
    context: ContextBody
    highlights: list[SpanBody]
    scores: ScoresBody | None = None


class AskResponse(_Wire):
    """Ranked passages. `confidence` is the probability that the first one answers."""

    question: str
    answerable: bool
    confidence: float
    passages: list[PassageBody]
    generation: str
    took_ms: float


class TextQuoteSelector(_Wire):
    """W3C Web Annotation: the text and what stands around it."""

    type: Literal["TextQuoteSelector"] = "TextQuoteSelector"
    exact: str
    prefix: str
    suffix: str


class TextPositionSelector(_Wire):
    """W3C Web Annotation: code-point offsets into the document's text."""

    type: Literal["TextPositionSelector"] = "TextPositionSelector"
    start: int
    end: int


class Place(_Wire):
    """A sentence in its place."""

    document: DocumentRef
    location: LocationBody
    context: ContextBody


class Successor(Place):
    """The passage that stands for a cited sentence today. `similarity` of the texts is 1 if they are equal."""

    citation: str
    text: str
    similarity: float
    url: str


class CitationBody(Place):
    """A citation looked up.

    `text` is the sentence as it was cited, always. `document`, `location`, `context` and `selectors` say where that
    text stands now (`current`, `moved`) or, if it stands nowhere, where it stood when it was first issued (`changed`,
    `removed`). `successor` is there for `moved` and `changed`.
    """

    citation: str
    status: Literal["current", "moved", "changed", "removed"]
    text: str
    selectors: list[TextQuoteSelector | TextPositionSelector]
    url: str
    cited: Place = Field(description="Where the sentence stood when it was first issued; now, if it is `current`.")
    successor: Successor | None = None


class LookupRequest(_Wire):
    """Citation ids to look up."""

    model_config = ConfigDict(extra="forbid", strict=True)

    citations: list[CitationId] = Field(min_length=1, max_length=1_000)


class UnknownCitation(_Wire):
    """An id that was never issued."""

    citation: str
    status: Literal["unknown"] = "unknown"


class LookupResponse(_Wire):
    """One entry for each id, in the order asked."""

    citations: list[CitationBody | UnknownCitation]


class DocumentEntryBody(DocumentRef):
    """A document of the index."""

    passages: int
    sha256: str


class DocumentsResponse(_Wire):
    """All documents, by id."""

    documents: list[DocumentEntryBody]
    generation: str


class DocumentPassage(_Wire):
    """A passage of a document with its citation."""

    citation: str
    text: str
    location: LocationBody


class DocumentResponse(DocumentRef):
    """A document's text and its passages in order."""

    sha256: str
    text: str
    passages: list[DocumentPassage]
    generation: str


class GenerationBody(_Wire):
    """The generation that is served."""

    id: str
    created: datetime
    model: str
    encoder: str
    documents: int
    passages: int
    tokens: int
    skipped: dict[str, str] = Field(description="Files that were left out, and why.")


class ProgressBody(_Wire):
    """Windows of new text encoded, of all that there are."""

    done: int
    total: int


class ReportBody(_Wire):
    """What a rebuild did."""

    generation: str
    added: list[str]
    changed: list[str]
    unchanged: list[str]
    removed: list[str]
    skipped: dict[str, str]
    passages: int
    windows: int
    encoded: int
    seconds: float


class RebuildBody(_Wire):
    """The last rebuild that this server started."""

    state: Literal["idle", "running", "succeeded", "failed"]
    started: datetime | None = None
    finished: datetime | None = None
    progress: ProgressBody | None = None
    report: ReportBody | None = None
    error: str | None = None


class IndexResponse(_Wire):
    """What is served, and how the last rebuild went."""

    generation: GenerationBody
    rebuild: RebuildBody


class Health(_Wire):
    """Alive, or ready."""

    status: Literal["ok"] = "ok"


class FieldProblem(_Wire):
    """What is wrong with one part of a request."""

    location: str
    message: str


class Problem(_Wire):
    """RFC 9457 problem details: the one shape of every error."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
