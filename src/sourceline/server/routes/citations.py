"""Citations."""

from typing import Annotated

from fastapi import APIRouter, Path

from sourceline.errors import UnknownCitationError
from sourceline.server.errors import problems
from sourceline.server.live_index import LiveIndex
from sourceline.server.models import CitationResponse, LookupRequest, LookupResponse, UnknownCitation
from sourceline.server.routes import LiveIndexDependency

router = APIRouter(tags=["citations"], responses=problems(401, 413, 421, 422, 503))

CitationId = Annotated[str, Path(description="A citation id.", examples=["ccl4uombti6lb64a"])]


# Before the route of one citation, whose pattern matches this path, too: a 405 names the methods of the first match.
@router.post("/v1/citations/lookup", response_model_exclude_none=True, responses=problems(400, 415))
def look_citations_up(body: LookupRequest, live_index: LiveIndexDependency) -> LookupResponse:
    """Look many citations up at once."""
    return LookupResponse(citations=[_look_up(citation, live_index) for citation in body.citations])


@router.get("/v1/citations/{citation}", response_model_exclude_none=True, responses=problems(404))
def get_citation(citation: CitationId, live_index: LiveIndexDependency) -> CitationResponse:
    """Return the sentence as it was cited, what became of it, and where it stands now."""
    return CitationResponse.from_citation(live_index.cite(citation))


def _look_up(citation: str, live_index: LiveIndex) -> CitationResponse | UnknownCitation:
    try:
        return CitationResponse.from_citation(live_index.cite(citation))
    except UnknownCitationError:
        return UnknownCitation(citation=citation)
