"""Questions."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Query
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response

from sourceline.server.answers import answer, answer_each
from sourceline.server.errors import blame_field, problems
from sourceline.server.live_index import LiveIndex
from sourceline.server.models import AskQuery, AskRequest, AskResponse, BatchRequest, BatchResponse
from sourceline.server.routes import LiveIndexDependency, ThreadsDependency, answer_in_thread, api_router

router = api_router("questions")


# Coroutines: FastAPI runs a function in a thread and then validates its result in a second one.
@router.post("/v1/ask", response_model_exclude_none=True, responses=problems(400))
async def ask(body: AskRequest, live_index: LiveIndexDependency) -> AskResponse:
    """Return the passages that answer a question, best first."""
    with blame_field("body.question"):
        return await run_in_threadpool(answer, live_index, body)


@router.get("/v1/ask", response_model_exclude_none=True)
async def ask_by_link(query: Annotated[AskQuery, Query()], live_index: LiveIndexDependency) -> AskResponse:
    """Return the same for a question in the query string."""
    with blame_field("query.question"):
        return await run_in_threadpool(answer, live_index, query)


@router.post("/v1/ask/batch", response_model=BatchResponse, responses=problems(400))
async def ask_batch(body: BatchRequest, live_index: LiveIndexDependency, threads: ThreadsDependency) -> Response:
    """Answer up to 100 questions. If one cannot be asked, none is answered."""
    # A thread for one question at a time, so that other requests get their turn in between.
    answers = [answer async for answer in iterate_in_threadpool(_answer_each(live_index, body))]
    return await answer_in_thread(threads.batches, lambda: BatchResponse(answers=answers))


def _answer_each(live_index: LiveIndex, body: BatchRequest) -> Iterator[AskResponse]:
    answers = answer_each(live_index, body)
    for number in range(len(body.questions)):
        with blame_field(f"body.questions.{number}"):
            answer = next(answers)
        yield answer
