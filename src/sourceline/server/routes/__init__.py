"""The routes, a file for each subject, and what they depend on: what ``create_app`` put into the app's state."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Annotated
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from sourceline.config import Settings
from sourceline.server.errors import InvalidFieldError, busy, problems
from sourceline.server.live_index import LiveIndex
from sourceline.server.metrics import Metrics
from sourceline.server.rebuilds import Rebuilds
from sourceline.server.threads import Threads


# Coroutines, since FastAPI runs functions in a thread.
async def _live_index(request: Request) -> LiveIndex:
    live_index: LiveIndex = request.app.state.live_index
    return live_index


async def _rebuilds(request: Request) -> Rebuilds:
    rebuilds: Rebuilds = request.app.state.rebuilds
    return rebuilds


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


LiveIndexDependency = Annotated[LiveIndex, Depends(_live_index)]
RebuildsDependency = Annotated[Rebuilds, Depends(_rebuilds)]
SettingsDependency = Annotated[Settings, Depends(_settings)]
MetricsDependency = Annotated[Metrics, Depends(_metrics)]


# Threads


# How long a request waits for a thread. A million characters of a document may take seconds: where many wait for that
# much, refusing them lets the next one through.
WAIT_SECONDS = 3
_NO_LIMIT = CapacityLimiter(math.inf)  # to run in a thread what has its turn already


async def _threads(request: Request) -> Threads:
    threads: Threads = request.app.state.threads
    return threads


ThreadsDependency = Annotated[Threads, Depends(_threads)]


async def answer_in_thread(
    threads: CapacityLimiter, answer: Callable[[], BaseModel], exclude_defaults: bool = False
) -> Response:
    """Return an answer that a thread makes and writes as JSON: FastAPI would write megabytes in the event loop.

    Raises:
        HTTPException: no thread was free for too long.
    """

    def write() -> str:
        return answer().model_dump_json(exclude_none=True, exclude_defaults=exclude_defaults)

    try:
        with anyio.fail_after(WAIT_SECONDS):
            await threads.acquire()
    except TimeoutError as error:
        raise busy() from error
    try:
        return Response(await anyio.to_thread.run_sync(write, limiter=_NO_LIMIT), media_type="application/json")
    finally:
        threads.release()


# Queries

REPEATABLE = {"document", "speaker"}


async def check_query(request: Request) -> None:
    """Refuse a query string that could be read in two ways: bytes that are no text, a value given twice.

    Raises:
        InvalidFieldError: for such a query.
    """
    try:
        query = parse_qsl(request.scope["query_string"].decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:  # Starlette would put U+FFFD in their place
        raise InvalidFieldError("query", "the query string is not UTF-8") from error
    given = Counter(name for name, _ in query)
    if any(times > 1 and name not in REPEATABLE for name, times in given.items()):
        raise InvalidFieldError("query", "a parameter that takes one value is given more than once")


def api_router(tag: str) -> APIRouter:
    """Return a router of the API: what its routes have in common."""
    responses = problems(401, 403, 413, 415, 421, 422, 429, 431, 503)
    return APIRouter(tags=[tag], responses=responses, dependencies=[Depends(check_query)])
