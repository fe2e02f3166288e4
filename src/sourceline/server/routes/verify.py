"""Quotations."""

import time

from starlette.responses import Response

from sourceline.api import Index
from sourceline.server.errors import blame_field, problems
from sourceline.server.models import MAX_QUOTES, VerifyRequest, VerifyResponse
from sourceline.server.routes import LiveIndexDependency, ThreadsDependency, answer_in_thread, api_router

router = api_router("quotations")


@router.post("/v1/verify", response_model=VerifyResponse, responses=problems(400))
async def verify(body: VerifyRequest, live_index: LiveIndexDependency, threads: ThreadsDependency) -> Response:
    """Check each quotation of a text, and each sentence without one: do the documents say so, and where?"""
    with blame_field("body.text", "the text cannot be checked"):
        return await answer_in_thread(threads.texts, lambda: _check(live_index.index, body.text))


def _check(index: Index, text: str) -> VerifyResponse:
    started = time.perf_counter()
    verification = index.verify(text, MAX_QUOTES)
    return VerifyResponse.from_verification(verification, (time.perf_counter() - started) * 1000)
