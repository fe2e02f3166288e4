"""Documents."""

from pydantic import Field

from sourceline.server.schemas.base import DocumentRef, LocationBody, Wire


class DocumentEntryBody(DocumentRef):
    """A document of the index."""

    passages: int = Field(description="Headings too.")
    sha256: str


class DocumentsResponse(Wire):
    """All documents, by id."""

    documents: list[DocumentEntryBody]
    generation: str


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
    generation: str
