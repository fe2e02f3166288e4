"""Documents."""

from fastapi import APIRouter

from sourceline.errors import UnknownDocumentError
from sourceline.server import wire
from sourceline.server.errors import responses
from sourceline.server.live_index import LiveIndex
from sourceline.server.models import DocumentEntryBody, DocumentResponse, DocumentsResponse
from sourceline.types import Passage


def document_routes(live_index: LiveIndex) -> APIRouter:
    """Return the routes that show documents."""
    router = APIRouter(tags=["documents"], responses=responses(421, 401, 422, 503))

    @router.get("/v1/documents")
    def list_documents() -> DocumentsResponse:
        """Return all documents of the index."""
        snapshot = live_index.searcher.snapshot
        documents = [
            DocumentEntryBody(id=entry.id, title=entry.title, passages=len(entry.numbers), sha256=entry.sha256)
            for entry in snapshot.passages.documents
        ]
        return DocumentsResponse(documents=documents, snapshot=snapshot.id)

    @router.get(
        "/v1/documents/{document:path}",
        response_model=DocumentResponse,
        response_model_exclude_none=True,
        responses=responses(404),
    )
    def get_document(document: str) -> wire.Body:
        """Return a document's text with its passages and their citations. The id may hold slashes."""
        snapshot = live_index.searcher.snapshot
        entry = snapshot.passages.entry(document)
        if entry is None:
            raise UnknownDocumentError("no document with this id is in the index")
        return {
            "id": entry.id,
            "title": entry.title,
            "sha256": entry.sha256,
            "text": snapshot.passages.text_of(entry),
            "passages": [_passage(passage) for passage in snapshot.passages.of_document(entry)],
            "snapshot": snapshot.id,
        }

    return router


def _passage(passage: Passage) -> wire.Body:
    return {
        "citation": passage.id,
        "text": passage.text,
        "heading": passage.heading,
        "location": wire.location(passage),
    }
