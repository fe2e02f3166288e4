"""A request becomes an answer: what the routes and the MCP tools have in common."""

import time
from collections.abc import Iterator, Sequence

from anyio.from_thread import check_cancelled

from sourceline.server.live_index import LiveIndex
from sourceline.server.models import (
    MAX_QUOTES,
    AskQuery,
    AskRequest,
    AskResponse,
    BatchRequest,
    VerifyRequest,
    VerifyResponse,
)
from sourceline.types import Answer, Mode


def answer(live_index: LiveIndex, request: AskRequest | AskQuery) -> AskResponse:
    """Answer a question.

    Raises:
        QuestionError: it cannot be asked.
    """
    started = time.perf_counter()
    answer = live_index.index.ask(
        request.question, request.k, mode=request.mode, threshold=request.threshold, **request.limits()
    )
    live_index.observer.answered(answer, request.mode)
    return AskResponse.from_answer(answer, _milliseconds_since(started), request.explain)


def answer_each(live_index: LiveIndex, request: BatchRequest) -> Iterator[AskResponse]:
    """Yield the answers to several questions, all from one snapshot.

    Raises:
        QuestionError: the next question cannot be asked.
    """
    answers = live_index.index.ask_many(
        request.questions, request.k, mode=request.mode, threshold=request.threshold, **request.limits()
    )
    started = time.perf_counter()
    for answer in answers:
        live_index.observer.answered(answer, request.mode)
        yield AskResponse.from_answer(answer, _milliseconds_since(started), request.explain)
        started = time.perf_counter()


def best_passages(live_index: LiveIndex, text: str, k: int, documents: Sequence[str] = ()) -> Answer:
    """Return the passages that answer a question best, for those who ask in a form of their own.

    Raises:
        QuestionError: it cannot be asked.
    """
    answer = live_index.index.ask(text, k, documents)
    live_index.observer.answered(answer, Mode.READ)
    return answer


def check(live_index: LiveIndex, request: VerifyRequest) -> VerifyResponse:
    """Check the quotations of a text, in a thread of anyio, until its client leaves.

    Raises:
        QuestionError: it cannot be checked.
    """
    started = time.perf_counter()
    verification = live_index.index.verify(request.text, MAX_QUOTES, check_cancelled)
    live_index.observer.verified(verification)
    return VerifyResponse.from_verification(verification, _milliseconds_since(started))


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
