"""Documents."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from sourceline.config import Settings
from sourceline.editing import DocumentFile, remove_document, require_name
from sourceline.server.errors import EDITS_FORBIDDEN, problems
from sourceline.server.models import (
    DocumentResponse,
    DocumentsResponse,
    Edit,
    EditResponse,
    ListQuery,
    StretchQuery,
)
from sourceline.server.routes import LiveIndexDependency, RebuildsDependency, SettingsDependency

router = APIRouter(tags=["documents"], responses=problems(401, 421, 422, 503))

DocumentId = Annotated[str, Path(description="The id of a document; it may hold slashes.", examples=["meeting.txt"])]


@router.get("/v1/documents", response_model_exclude_defaults=True)
def list_documents(live_index: LiveIndexDependency, query: Annotated[ListQuery, Query()]) -> DocumentsResponse:
    """Return the documents of the index, by id."""
    return DocumentsResponse.from_list(live_index.index.documents(query.limit, query.cursor))


@router.get("/v1/documents/{document:path}", response_model_exclude_none=True, responses=problems(404))
def get_document(
    document: DocumentId, live_index: LiveIndexDependency, query: Annotated[StretchQuery, Query()]
) -> DocumentResponse:
    """Return a document's text with its passages and their citations, by stretches if it is long."""
    return DocumentResponse.from_document(live_index.index.document(document, query.start, query.limit))


@router.put(
    "/v1/documents/{document:path}",
    status_code=202,
    response_model_exclude_none=True,
    responses=problems(400, 403, 413),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The bytes of the file.",
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "Hello."}
            },
        }
    },
)
async def put_document(
    document: DocumentId, request: Request, settings: SettingsDependency, rebuilds: RebuildsDependency
) -> EditResponse:
    """Add or replace a file of the documents folder; the rebuild that follows takes it into the index."""
    _require_edits_allowed(settings)
    too_large = HTTPException(413, f"the document is larger than {settings.max_document_bytes:,} bytes")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > settings.max_document_bytes:
        raise too_large
    with await run_in_threadpool(DocumentFile, settings.documents, document) as file:
        size = 0
        try:
            async for piece in request.stream():
                size += len(piece)
                if size > settings.max_document_bytes:
                    raise too_large
                await run_in_threadpool(file.write, piece)
        except ClientDisconnect as error:
            raise HTTPException(400, "the body ended too early") from error
        await run_in_threadpool(file.publish)
    status = await run_in_threadpool(rebuilds.request)
    return EditResponse(document=file.id, edit=Edit.REPLACED if file.replaces else Edit.ADDED, rebuild=status)


@router.delete(
    "/v1/documents/{document:path}",
    status_code=202,
    response_model_exclude_none=True,
    responses=problems(403, 404, 413),
)
def delete_document(document: DocumentId, settings: SettingsDependency, rebuilds: RebuildsDependency) -> EditResponse:
    """Remove a file of the documents folder; the rebuild that follows takes it out of the index."""
    _require_edits_allowed(settings)
    remove_document(settings.documents, document)
    return EditResponse(document=require_name(document), edit=Edit.REMOVED, rebuild=rebuilds.request())


def _require_edits_allowed(settings: Settings) -> None:
    if not (settings.allow_edits and settings.api_key):
        raise HTTPException(403, EDITS_FORBIDDEN)
