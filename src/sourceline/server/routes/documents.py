"""Documents."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from sourceline.server.errors import problems
from sourceline.server.models import DocumentResponse, DocumentsResponse, ListQuery, StretchQuery
from sourceline.server.routes import LiveIndexDependency

router = APIRouter(tags=["documents"], responses=problems(401, 421, 422, 503))

DocumentId = Annotated[str, Path(description="The id of a document; it may hold slashes.", examples=["meeting.txt"])]


@router.get("/v1/documents", response_model_exclude_none=True)
def list_documents(live_index: LiveIndexDependency, query: Annotated[ListQuery, Query()]) -> DocumentsResponse:
    """Return the documents of the index, by id."""
    return DocumentsResponse.from_list(live_index.index.documents(query.limit, query.cursor))


@router.get("/v1/documents/{document:path}", response_model_exclude_none=True, responses=problems(404))
def get_document(
    document: DocumentId, live_index: LiveIndexDependency, query: Annotated[StretchQuery, Query()]
) -> DocumentResponse:
    """Return a document's text with its passages and their citations, by stretches if it is long."""
    return DocumentResponse.from_document(live_index.index.document(document, query.start, query.limit))
