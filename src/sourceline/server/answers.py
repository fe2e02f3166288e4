"""A request becomes an answer: what the routes and the MCP tools have in common."""

import time
from collections.abc import Iterator

from anyio.from_thread import check_cancelled

from sourceline.api import Index
from sourceline.server.models import (
    MAX_QUOTES,
    AskQuery,
    AskRequest,
    AskResponse,
    BatchRequest,
    VerifyRequest,
    VerifyResponse,
)


def answer(index: Index, request: AskRequest | AskQuery) -> AskResponse:
    """Answer a question.

    Raises:
        QuestionError: it cannot be asked.
    """
    started = time.perf_counter()
    answer = index.ask(request.question, request.k, mode=request.mode, threshold=request.threshold, **request.limits())
    return AskResponse.from_answer(answer, _milliseconds_since(started), request.explain)


def answer_each(index: Index, request: BatchRequest) -> Iterator[AskResponse]:
    """Yield the answers to several questions, all from one snapshot.

    Raises:
        QuestionError: the next question cannot be asked.
    """
    answers = index.ask_many(
        request.questions, request.k, mode=request.mode, threshold=request.threshold, **request.limits()
    )
    started = time.perf_counter()
    for answer in answers:
        yield AskResponse.from_answer(answer, _milliseconds_since(started), request.explain)
        started = time.perf_counter()


def check(index: Index, request: VerifyRequest) -> VerifyResponse:
    """Check the quotations of a text, in a thread of anyio, until its client leaves.

    Raises:
        QuestionError: it cannot be checked.
    """
    started = time.perf_counter()
    verification = index.verify(request.text, MAX_QUOTES, check_cancelled)
    return VerifyResponse.from_verification(verification, _milliseconds_since(started))


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
