"""Quotations."""

from starlette.responses import Response

from sourceline.server.answers import check
from sourceline.server.errors import blame_field, problems
from sourceline.server.models import VerifyRequest, VerifyResponse
from sourceline.server.routes import LiveIndexDependency, ThreadsDependency, answer_in_thread, api_router

router = api_router("quotations")


@router.post("/v1/verify", response_model=VerifyResponse, responses=problems(400))
async def verify(body: VerifyRequest, live_index: LiveIndexDependency, threads: ThreadsDependency) -> Response:
    """Check each quotation of a text, and each sentence without one: do the documents say so, and where?"""
    with blame_field("body.text", "the text cannot be checked"):
        return await answer_in_thread(threads.texts, lambda: check(live_index, body))
