"""Questions."""

import time
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Query, Request
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sourceline.errors import QuestionError
from sourceline.server import wire
from sourceline.server.errors import responses
from sourceline.server.intake import again
from sourceline.server.live_index import LiveIndex
from sourceline.server.models import AskQuery, AskRequest, AskResponse
from sourceline.server.threads import Threads


def ask_routes(live_index: LiveIndex, threads: Threads) -> APIRouter:
    """Return the routes that answer questions."""
    router = APIRouter(tags=["questions"], responses=responses(421, 401, 413, 422, 503))

    async def ask(question: str, k: int, documents: Sequence[str], explain: bool) -> Response:
        def answer() -> bytes:
            started = time.perf_counter()
            found = live_index.searcher.ask(question, k, documents)
            return wire.dump(wire.answer(found, explain, (time.perf_counter() - started) * 1000))

        return Response(await threads.call(answer), media_type="application/json")

    async def ask_question(request: AskRequest) -> Response:
        """Return the passages that answer a question, best first."""
        documents = request.filters.documents if request.filters else ()
        return await ask(request.question, request.k, documents, request.explain)

    router.add_api_route(
        "/v1/ask",
        ask_question,
        methods=["POST"],
        response_model=AskResponse,
        responses=responses(400, 415),
        route_class_override=_AskRoute,
    )

    @router.get("/v1/ask", response_model=AskResponse)
    async def ask_question_by_link(request: Request, query: Annotated[AskQuery, Query()]) -> Response:
        """Return the same, for a question in the query string."""
        _require_utf8(request.scope["query_string"])
        return await ask(query.question, query.k, query.document, query.explain)

    return router


class _AskRoute(APIRoute):
    """Reads a body that fits in one step; whatever else was sent FastAPI reads, to say what is wrong with it.

    FastAPI's own reading costs a question more than all else that the server does for it.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST" and dict(scope["headers"]).get(b"content-type") == b"application/json":
            body = await Request(scope, receive).body()
            try:
                asked = AskRequest.model_validate_json(body)
            except ValidationError:
                receive = again(body, receive)
            else:
                response: Response = await self.endpoint(asked)
                await response(scope, receive, send)
                return
        await super().handle(scope, receive, send)


def _require_utf8(query: bytes) -> None:
    """Refuse bytes that are no text; Starlette would put U+FFFD in their place."""
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError as error:
        raise QuestionError("the query string is not UTF-8") from error
