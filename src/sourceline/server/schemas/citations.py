"""Citations."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from sourceline.server.schemas.base import ContextBody, DocumentRef, LocationBody, Wire

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
