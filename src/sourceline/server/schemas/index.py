"""The index and its rebuilds."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from sourceline.server.schemas.base import Wire


class GenerationBody(Wire):
    """The generation that is served."""

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

    generation: GenerationBody
    rebuild: RebuildBody
