"""Questions."""

import time
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from sourceline.errors import QuestionError
from sourceline.server import wire
from sourceline.server.problems import responses
from sourceline.server.schemas.questions import AskQuery, AskRequest, AskResponse
from sourceline.server.serving import Serving


def ask_routes(serving: Serving) -> APIRouter:
    """Return the routes that answer questions."""
    router = APIRouter(tags=["questions"], responses=responses(401, 413, 422, 503))

    def ask(question: str, k: int, documents: Sequence[str], explain: bool) -> Response:
        started = time.perf_counter()
        found = serving.searcher.ask(question, k, documents)
        body = wire.answer(found, explain, (time.perf_counter() - started) * 1000)
        return Response(body.model_dump_json(exclude_none=True), media_type="application/json")

    @router.post("/v1/ask", response_model=AskResponse, responses=responses(400, 415))
    def ask_question(request: AskRequest) -> Response:
        """Return the passages that answer a question, best first."""
        documents = request.filters.documents if request.filters else ()
        return ask(request.question, request.k, documents, request.explain)

    @router.get("/v1/ask", response_model=AskResponse)
    def ask_question_by_link(request: Request, query: Annotated[AskQuery, Query()]) -> Response:
        """Return the same, for a question in the query string."""
        _require_utf8(request.scope["query_string"])
        return ask(query.question, query.k, query.document, query.explain)

    return router


def _require_utf8(query: bytes) -> None:
    """Refuse bytes that are no text; Starlette would put U+FFFD in their place."""
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError as error:
        raise QuestionError("the query string is not UTF-8") from error
