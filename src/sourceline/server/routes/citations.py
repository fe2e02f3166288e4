"""Citations."""

from fastapi import APIRouter

from sourceline.citations.lookup import look_up
from sourceline.errors import UnknownCitationError
from sourceline.server import wire
from sourceline.server.errors import responses
from sourceline.server.live_index import LiveIndex
from sourceline.server.models import CitationBody, LookupRequest, LookupResponse
from sourceline.types import Citation, CitationStatus


def citation_routes(live_index: LiveIndex) -> APIRouter:
    """Return the routes that look citations up."""
    router = APIRouter(tags=["citations"], responses=responses(421, 401, 413, 422, 503))

    def find(citation: str) -> Citation:
        found = look_up(citation, live_index.searcher.snapshot.passages, live_index.ledger)
        if found.status is CitationStatus.CURRENT:
            return found
        # The id may be of a snapshot that was published a moment ago.
        live_index.refresh()
        return look_up(citation, live_index.searcher.snapshot.passages, live_index.ledger)

    @router.get(
        "/v1/citations/{citation}",
        response_model=CitationBody,
        response_model_exclude_none=True,
        responses=responses(404),
    )
    def get_citation(citation: str) -> wire.Body:
        """Return the sentence as it was cited, what became of it, and where it stands now."""
        return wire.citation(find(citation))

    @router.post(
        "/v1/citations/lookup",
        response_model=LookupResponse,
        response_model_exclude_none=True,
        responses=responses(400, 415),
    )
    def look_citations_up(request: LookupRequest) -> wire.Body:
        """Look many citations up at once."""
        found: list[wire.Body] = []
        for citation in request.citations:
            try:
                found.append(wire.citation(find(citation)))
            except UnknownCitationError:
                found.append({"citation": citation, "status": "unknown"})
        return {"citations": found}

    return router
