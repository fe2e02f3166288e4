"""What several answers have in common."""

from pydantic import BaseModel, ConfigDict, Field


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
