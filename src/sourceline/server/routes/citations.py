"""Citations."""

from fastapi import APIRouter

from sourceline.errors import UnknownCitationError
from sourceline.retrieval.lookup import look_up
from sourceline.server import wire
from sourceline.server.problems import responses
from sourceline.server.schemas.citations import CitationBody, LookupRequest, LookupResponse
from sourceline.server.serving import Serving
from sourceline.types import Citation, Status


def citation_routes(serving: Serving) -> APIRouter:
    """Return the routes that look citations up."""
    router = APIRouter(tags=["citations"], responses=responses(421, 401, 413, 422, 503))

    def find(citation: str) -> Citation:
        found = look_up(citation, serving.searcher.generation.passages, serving.ledger)
        if found.status is Status.CURRENT:
            return found
        # The id may be of a generation that was published a moment ago.
        serving.refresh()
        return look_up(citation, serving.searcher.generation.passages, serving.ledger)

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
