"""Documents."""

import logging
from typing import Annotated

import anyio.to_thread
from fastapi import Path, Query, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from sourceline.config import Settings
from sourceline.editing import DocumentFile, remove_document, require_name
from sourceline.server.errors import EDITS_FORBIDDEN, problems
from sourceline.server.models import (
    MAX_SPEAKERS,
    DocumentResponse,
    DocumentsResponse,
    EditResponse,
    ListQuery,
    RebuildStatus,
    SpeakersResponse,
    StretchQuery,
)
from sourceline.server.routes import (
    LiveIndexDependency,
    RebuildsDependency,
    SettingsDependency,
    ThreadsDependency,
    answer_in_thread,
    api_router,
)
from sourceline.types import Edit

router = api_router("documents")
log = logging.getLogger(__name__)

DocumentId = Annotated[str, Path(description="The id of a document; it may hold slashes.", examples=["meeting.txt"])]


@router.get("/v1/documents", response_model=DocumentsResponse)
async def list_documents(
    live_index: LiveIndexDependency, query: Annotated[ListQuery, Query()], threads: ThreadsDependency
) -> Response:
    """Return the documents of the index, by id."""
    return await answer_in_thread(
        threads.documents,
        lambda: DocumentsResponse.from_list(live_index.index.documents(query.limit, query.cursor)),
        exclude_defaults=True,
    )


@router.get("/v1/speakers", response_model=SpeakersResponse)
async def list_speakers(live_index: LiveIndexDependency, threads: ThreadsDependency) -> Response:
    """Return those who speak in the documents, by name: what a filter by speakers takes."""
    return await answer_in_thread(
        threads.index, lambda: SpeakersResponse(speakers=live_index.index.speakers(MAX_SPEAKERS))
    )


@router.get("/v1/documents/{document:path}", response_model=DocumentResponse, responses=problems(404))
async def get_document(
    document: DocumentId,
    live_index: LiveIndexDependency,
    query: Annotated[StretchQuery, Query()],
    threads: ThreadsDependency,
) -> Response:
    """Return a document's text with its passages and their citations, by stretches if it is long."""
    return await answer_in_thread(
        threads.documents,
        lambda: DocumentResponse.from_document(live_index.index.document(document, query.start, query.limit)),
    )


@router.put(
    "/v1/documents/{document:path}",
    status_code=202,
    response_model_exclude_none=True,
    responses=problems(400, 404),
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
    document: DocumentId,
    request: Request,
    settings: SettingsDependency,
    rebuilds: RebuildsDependency,
    threads: ThreadsDependency,
) -> EditResponse:
    """Add or replace a file of the documents folder; the rebuild that follows takes it into the index."""
    _require_edits_allowed(settings)
    too_large = HTTPException(413, f"the document is larger than {settings.max_document_bytes:,} bytes")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > settings.max_document_bytes:
        raise too_large
    run, limiter = anyio.to_thread.run_sync, threads.edits
    with await run(DocumentFile, settings.documents, document, limiter=limiter) as file:
        size = 0
        try:
            async for piece in request.stream():
                size += len(piece)
                if size > settings.max_document_bytes:
                    raise too_large
                await run(file.write, piece, limiter=limiter)
        except ClientDisconnect as error:
            raise HTTPException(400, "the body ended too early") from error
        if not size:
            raise HTTPException(422, "the body is empty: to remove the document, send DELETE")
        await run(file.publish, limiter=limiter)
    status = await run(rebuilds.request, limiter=limiter)
    return _edited(file.id, Edit.REPLACED if file.replaces else Edit.ADDED, status)


@router.delete(
    "/v1/documents/{document:path}",
    status_code=202,
    response_model_exclude_none=True,
    responses=problems(404),
)
async def delete_document(
    document: DocumentId, settings: SettingsDependency, rebuilds: RebuildsDependency, threads: ThreadsDependency
) -> EditResponse:
    """Remove a file of the documents folder; the rebuild that follows takes it out of the index."""
    _require_edits_allowed(settings)

    def remove() -> EditResponse:  # as one: the client may leave in between
        remove_document(settings.documents, document)
        return _edited(require_name(document), Edit.REMOVED, rebuilds.request())

    return await anyio.to_thread.run_sync(remove, limiter=threads.edits)


def _edited(document: str, edit: Edit, rebuild: RebuildStatus) -> EditResponse:
    log.info("%s was %s over HTTP", document, edit)
    return EditResponse(document=document, edit=edit, rebuild=rebuild)


def _require_edits_allowed(settings: Settings) -> None:
    if not settings.edits_allowed:
        raise HTTPException(403, EDITS_FORBIDDEN)
