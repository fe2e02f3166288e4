"""Questions."""

import time
from collections.abc import Iterator
from typing import Annotated

from fastapi import Query
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response

from sourceline.api import Index
from sourceline.server.errors import blame_field, problems
from sourceline.server.models import AskFilters, AskQuery, AskRequest, AskResponse, BatchRequest, BatchResponse, Limits
from sourceline.server.routes import LiveIndexDependency, ThreadsDependency, answer_in_thread, api_router
from sourceline.types import Mode

router = api_router("questions")


# Coroutines: FastAPI runs a function in a thread and then validates its result in a second one.
@router.post("/v1/ask", response_model_exclude_none=True, responses=problems(400))
async def ask(body: AskRequest, live_index: LiveIndexDependency) -> AskResponse:
    """Return the passages that answer a question, best first."""
    with blame_field("body.question"):
        return await run_in_threadpool(
            _answer, live_index.index, body.question, body.k, _limits(body.filters), body.mode, body.explain
        )


@router.get("/v1/ask", response_model_exclude_none=True)
async def ask_by_link(query: Annotated[AskQuery, Query()], live_index: LiveIndexDependency) -> AskResponse:
    """Return the same for a question in the query string."""
    with blame_field("query.question"):
        return await run_in_threadpool(
            _answer, live_index.index, query.question, query.k, query.limits(), query.mode, query.explain
        )


@router.post("/v1/ask/batch", response_model=BatchResponse, responses=problems(400))
async def ask_batch(body: BatchRequest, live_index: LiveIndexDependency, threads: ThreadsDependency) -> Response:
    """Answer up to 100 questions. If one cannot be asked, none is answered."""
    # A thread for one question at a time, so that other requests get their turn in between.
    answers = [answer async for answer in iterate_in_threadpool(_answer_each(live_index.index, body))]
    return await answer_in_thread(threads.batches, lambda: BatchResponse(answers=answers))


def _answer(index: Index, question: str, k: int, limits: Limits, mode: Mode, explain: bool) -> AskResponse:
    started = time.perf_counter()
    answer = index.ask(question, k, mode=mode, **limits)
    return AskResponse.from_answer(answer, _milliseconds_since(started), explain)


def _answer_each(index: Index, body: BatchRequest) -> Iterator[AskResponse]:
    answers = index.ask_many(body.questions, body.k, mode=body.mode, **_limits(body.filters))
    for number in range(len(body.questions)):
        started = time.perf_counter()
        with blame_field(f"body.questions.{number}"):
            answer = next(answers)
        yield AskResponse.from_answer(answer, _milliseconds_since(started), body.explain)


def _limits(filters: AskFilters | None) -> Limits:
    return filters.limits() if filters else Limits(documents=(), speakers=(), after=None, before=None)


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
