"""What several answers have in common."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sourceline.search.query import MAX_CHARACTERS
from sourceline.search.searcher import MAX_K


class Wire(BaseModel):
    """Anything that goes over the wire: unknown fields are refused."""

    # Built when imported: to be built when first used is for one thread alone.
    model_config = ConfigDict(extra="forbid", defer_build=False)


class DocumentRef(Wire):
    """A document: its id is the POSIX path below the documents folder."""

    id: str
    title: str


class LocationBody(Wire):
    """Where a passage stands: code-point offsets into the document, `end` exclusive; line and paragraph from 1."""

    start: int
    end: int
    line: int
    paragraph: int
    section: str | None = Field(None, description="The heading above.")


class ContextBody(Wire):
    """The text around a passage."""

    before: str
    after: str


class DocumentEntryBody(DocumentRef):
    """A document of the index."""

    passages: int = Field(description="Headings too.")
    sha256: str


class DocumentsResponse(Wire):
    """All documents, by id."""

    documents: list[DocumentEntryBody]
    snapshot: str


class DocumentPassage(Wire):
    """A passage of a document with its citation."""

    citation: str
    text: str
    heading: bool = Field(description="A heading can be cited but is never an answer.")
    location: LocationBody


class DocumentResponse(DocumentRef):
    """A document's text and its passages in order."""

    sha256: str
    text: str
    passages: list[DocumentPassage]
    snapshot: str


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
    snapshot: str
    took_ms: float


class ExamplesResponse(Wire):
    """Questions that the documents answer."""

    questions: list[str]
    snapshot: str


CitationId = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class TextQuoteSelector(Wire):
    """W3C Web Annotation: the text and what stands around it."""

    type: Literal["TextQuoteSelector"] = "TextQuoteSelector"
    exact: str
    prefix: str
    suffix: str


class TextPositionSelector(Wire):
    """W3C Web Annotation: code-point offsets into the document's text."""

    type: Literal["TextPositionSelector"] = "TextPositionSelector"
    start: int
    end: int


class Place(Wire):
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
    heading: bool = Field(description="A heading can be cited but is never an answer.")
    selectors: list[TextQuoteSelector | TextPositionSelector]
    url: str
    cited: Place = Field(description="Where the sentence stood when it was first issued; now, if it is `current`.")
    successor: Successor | None = None


class LookupRequest(Wire):
    """Citation ids to look up."""

    model_config = ConfigDict(extra="forbid", strict=True)

    citations: list[CitationId] = Field(min_length=1, max_length=1_000)


class UnknownCitation(Wire):
    """An id that was never issued."""

    citation: str
    status: Literal["unknown"] = "unknown"


class LookupResponse(Wire):
    """One entry for each id, in the order asked."""

    citations: list[CitationBody | UnknownCitation]


class SnapshotBody(Wire):
    """The snapshot that is served."""

    id: str
    created: datetime
    model: str
    encoder: str
    documents: int
    passages: int
    rows: int = Field(description="Passages that can be answers: all but the headings.")
    tokens: int
    skipped: dict[str, str] = Field(description="Files that were left out, and why.")


class ProgressBody(Wire):
    """Bytes of new documents that are encoded, of all that there are."""

    done: int
    total: int


class ReportBody(Wire):
    """What a rebuild did."""

    snapshot: str
    added: list[str]
    changed: list[str]
    unchanged: list[str]
    removed: list[str]
    skipped: dict[str, str]
    passages: int
    windows: int
    encoded: int
    seconds: float


class RebuildBody(Wire):
    """The last rebuild that was started over HTTP."""

    state: Literal["idle", "running", "succeeded", "failed"]
    started: datetime | None = None
    finished: datetime | None = None
    progress: ProgressBody | None = None
    report: ReportBody | None = None
    error: str | None = None


class IndexResponse(Wire):
    """What is served, and how the last rebuild went."""

    snapshot: SnapshotBody
    rebuild: RebuildBody


class Health(Wire):
    """Alive, or ready."""

    status: Literal["ok"] = "ok"


class FieldProblem(Wire):
    """What is wrong with one part of a request."""

    location: str
    message: str


class Problem(Wire):
    """RFC 9457 problem details: the one shape of every error."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
