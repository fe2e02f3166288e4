"""Citations."""

from typing import Annotated

import anyio.to_thread
from fastapi import Path
from starlette.responses import Response

from sourceline.errors import UnknownCitationError
from sourceline.server.errors import problems
from sourceline.server.live_index import LiveIndex
from sourceline.server.models import CitationResponse, LookupRequest, LookupResponse, UnknownCitation
from sourceline.server.routes import LiveIndexDependency, ThreadsDependency, answer_in_thread, api_router

router = api_router("citations")

# How many are looked up before another request gets its turn.
LOOKUP_PIECE = 50

CitationId = Annotated[str, Path(description="A citation id.", examples=["ccl4uombti6lb64a"])]


# Before the route of one citation, whose pattern matches this path, too: a 405 names the methods of the first match.
@router.post("/v1/citations/lookup", response_model=LookupResponse, responses=problems(400))
async def look_citations_up(
    body: LookupRequest, live_index: LiveIndexDependency, threads: ThreadsDependency
) -> Response:
    """Look many citations up at once."""
    citations: list[CitationResponse | UnknownCitation] = []
    for start in range(0, len(body.citations), LOOKUP_PIECE):
        piece = body.citations[start : start + LOOKUP_PIECE]
        citations += await anyio.to_thread.run_sync(_look_each_up, piece, live_index, limiter=threads.citations)
    return await answer_in_thread(threads.citations, lambda: LookupResponse(citations=citations))


@router.get("/v1/citations/{citation}", response_model=CitationResponse, responses=problems(404))
async def get_citation(citation: CitationId, live_index: LiveIndexDependency, threads: ThreadsDependency) -> Response:
    """Return the sentence as it was cited, what became of it, and where it stands now."""
    return await answer_in_thread(threads.citations, lambda: CitationResponse.from_citation(live_index.cite(citation)))


def _look_each_up(citations: list[str], live_index: LiveIndex) -> list[CitationResponse | UnknownCitation]:
    return [_look_up(citation, live_index) for citation in citations]


def _look_up(citation: str, live_index: LiveIndex) -> CitationResponse | UnknownCitation:
    try:
        return CitationResponse.from_citation(live_index.cite(citation))
    except UnknownCitationError:
        return UnknownCitation(citation=citation)
