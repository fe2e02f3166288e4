"""Questions."""

import time
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from sourceline.server import wire
from sourceline.server.problems import responses
from sourceline.server.schemas import AskQuery, AskRequest, AskResponse
from sourceline.server.serving import Serving


def ask_routes(serving: Serving) -> APIRouter:
    """Return the routes that answer questions."""
    router = APIRouter(tags=["questions"], responses=responses(401, 413, 422, 503))

    def ask(question: str, k: int, documents: Sequence[str], explain: bool) -> AskResponse:
        started = time.perf_counter()
        found = serving.searcher.ask(question, k, documents)
        return wire.answer(found, explain, (time.perf_counter() - started) * 1000)

    @router.post("/v1/ask", response_model_exclude_none=True, responses=responses(400, 415))
    def ask_question(request: AskRequest) -> AskResponse:
        """Return the passages that answer a question, best first."""
        documents = request.filters.documents if request.filters else ()
        return ask(request.question, request.k, documents, request.explain)

    @router.get("/v1/ask", response_model_exclude_none=True)
    def ask_question_by_link(query: Annotated[AskQuery, Query()]) -> AskResponse:
        """Return the same, for a question in the query string."""
        return ask(query.question, query.k, query.document, query.explain)

    return router
