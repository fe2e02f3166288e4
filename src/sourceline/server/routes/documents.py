"""Documents."""

from fastapi import APIRouter

from sourceline.errors import UnknownDocumentError
from sourceline.server import wire
from sourceline.server.problems import responses
from sourceline.server.schemas.documents import DocumentEntryBody, DocumentResponse, DocumentsResponse
from sourceline.server.serving import Serving
from sourceline.types import Passage


def document_routes(serving: Serving) -> APIRouter:
    """Return the routes that show documents."""
    router = APIRouter(tags=["documents"], responses=responses(421, 401, 422, 503))

    @router.get("/v1/documents")
    def list_documents() -> DocumentsResponse:
        """Return all documents of the index."""
        generation = serving.searcher.generation
        documents = [
            DocumentEntryBody(id=entry.id, title=entry.title, passages=len(entry.numbers), sha256=entry.sha256)
            for entry in generation.passages.documents
        ]
        return DocumentsResponse(documents=documents, generation=generation.id)

    @router.get(
        "/v1/documents/{document:path}",
        response_model=DocumentResponse,
        response_model_exclude_none=True,
        responses=responses(404),
    )
    def get_document(document: str) -> wire.Body:
        """Return a document's text with its passages and their citations. The id may hold slashes."""
        generation = serving.searcher.generation
        entry = generation.passages.entry(document)
        if entry is None:
            raise UnknownDocumentError("no document with this id is in the index")
        return {
            "id": entry.id,
            "title": entry.title,
            "sha256": entry.sha256,
            "text": generation.passages.text_of(entry),
            "passages": [_passage(passage) for passage in generation.passages.of_document(entry)],
            "generation": generation.id,
        }

    return router


def _passage(passage: Passage) -> wire.Body:
    return {
        "citation": passage.id,
        "text": passage.text,
        "heading": passage.heading,
        "location": wire.location(passage),
    }
