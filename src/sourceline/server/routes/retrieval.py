"""Retrieval, as Dify asks an external knowledge base for it."""

import datetime
import fnmatch
import operator
from collections.abc import Callable, Iterator
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sourceline.server.answers import best_passages
from sourceline.server.errors import DifyCode, InvalidFieldError, blame_field, problem, problems
from sourceline.server.live_index import LiveIndex
from sourceline.server.models import (
    ConditionOperator,
    MetadataCondition,
    MetadataField,
    MetadataTest,
    RetrievalRequest,
    RetrievalResponse,
)
from sourceline.server.routes import LiveIndexDependency, api_router
from sourceline.text import nfc
from sourceline.types import DocumentInfo

router = api_router("questions")

ALL = "*"
UNKNOWN = "no document of the index has this id, or fits this glob: `*` is all of them"
DocumentTest = Callable[[DocumentInfo], bool]


@router.post("/retrieval", response_model=RetrievalResponse, responses=problems(400, 404))
async def retrieve(body: RetrievalRequest, live_index: LiveIndexDependency) -> Response:
    """Return the sentences that answer a query, by Dify's contract of an external knowledge base."""
    with blame_field("body.query"):
        return await run_in_threadpool(_retrieve, live_index, body)


def _retrieve(live_index: LiveIndex, request: RetrievalRequest) -> Response:
    setting, documents = request.retrieval_setting, tuple[str, ...]()
    condition = request.metadata_condition or MetadataCondition(conditions=[])
    tests = list(_tests(condition))
    if tests or request.knowledge_id != ALL:
        known = [document for document in live_index.index.documents() if _fits(document.id, request.knowledge_id)]
        if not known:
            return problem(HTTPStatus.NOT_FOUND, UNKNOWN, dify_code=DifyCode.UNKNOWN_KNOWLEDGE)
        combine = any if tests and condition.logical_operator == "or" else all
        documents = tuple(document.id for document in known if combine(test(document) for test in tests))
        if not documents:
            return _json(RetrievalResponse(records=[]))
    answer = best_passages(live_index, request.query, setting.top_k, documents)
    return _json(RetrievalResponse.from_answer(answer, setting.score_threshold or 0.0))


def _json(response: RetrievalResponse) -> Response:
    return Response(response.model_dump_json(exclude_none=True), media_type="application/json")


def _fits(document: str, pattern: str) -> bool:
    return document == nfc(pattern) or fnmatch.fnmatchcase(document, nfc(pattern))


# Conditions

# How each operator compares a document's text or day with the value, and whether that is then turned round.
_TEXT: dict[ConditionOperator, tuple[Callable[[str, str], bool], bool]] = {
    ConditionOperator.CONTAINS: (operator.contains, True),
    ConditionOperator.NOT_CONTAINS: (operator.contains, False),
    ConditionOperator.START_WITH: (str.startswith, True),
    ConditionOperator.END_WITH: (str.endswith, True),
    ConditionOperator.IS: (operator.eq, True),
    ConditionOperator.EQUAL: (operator.eq, True),
    ConditionOperator.IN: (operator.eq, True),
    ConditionOperator.IS_NOT: (operator.eq, False),
    ConditionOperator.NOT_EQUAL: (operator.eq, False),
    ConditionOperator.NOT_IN: (operator.eq, False),
}
_DAYS: dict[ConditionOperator, Callable[[datetime.date, datetime.date], bool]] = {
    ConditionOperator.IS: operator.eq,
    ConditionOperator.EQUAL: operator.eq,
    ConditionOperator.IS_NOT: operator.ne,
    ConditionOperator.NOT_EQUAL: operator.ne,
    ConditionOperator.BEFORE: operator.lt,
    ConditionOperator.LESS: operator.lt,
    ConditionOperator.AFTER: operator.gt,
    ConditionOperator.GREATER: operator.gt,
    ConditionOperator.NOT_LESS: operator.ge,
    ConditionOperator.NOT_GREATER: operator.le,
}


def _tests(condition: MetadataCondition) -> Iterator[DocumentTest]:
    """Yield what each condition asks of a document.

    Raises:
        InvalidFieldError: its operator cannot compare such a field, or its value is none.
    """
    for number, test in enumerate(condition.conditions):
        names = test.name if isinstance(test.name, list) else [test.name]
        location = f"body.metadata_condition.conditions.{number}"
        yield _any_of([_test(name, test, location) for name in names])


def _any_of(tests: list[DocumentTest]) -> DocumentTest:
    return lambda document: any(test(document) for test in tests)


def _test(name: MetadataField, test: MetadataTest, location: str) -> DocumentTest:
    how, value = test.comparison_operator, test.value
    if how in (ConditionOperator.EMPTY, ConditionOperator.NOT_EMPTY):
        return lambda document: (_field(document, name) is None) == (how is ConditionOperator.EMPTY)
    if how not in (_DAYS if name is MetadataField.DATE else _TEXT):
        raise InvalidFieldError(f"{location}.comparison_operator", f"{name} cannot be compared so")
    return _day_test(how, value, location) if name is MetadataField.DATE else _text_test(name, how, value, location)


def _text_test(name: MetadataField, how: ConditionOperator, value: object, location: str) -> DocumentTest:
    values = [nfc(text).casefold() for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    if not values:
        raise InvalidFieldError(f"{location}.value", "a text is needed to compare with")
    compare, wanted = _TEXT[how]

    def test(document: DocumentInfo) -> bool:
        text = str(_field(document, name)).casefold()
        return any(compare(text, each) for each in values) is wanted

    return test


def _day_test(how: ConditionOperator, value: object, location: str) -> DocumentTest:
    try:
        if isinstance(value, float):
            day = datetime.datetime.fromtimestamp(value, datetime.UTC).date()
        else:
            day = datetime.datetime.fromisoformat(str(value)).date()
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidFieldError(f"{location}.value", "a day is needed: YYYY-MM-DD, or seconds since 1970") from error
    compare = _DAYS[how]
    return lambda document: document.date is not None and compare(document.date, day)


def _field(document: DocumentInfo, name: MetadataField) -> str | datetime.date | None:
    return {
        MetadataField.DOCUMENT: document.id,
        MetadataField.TITLE: document.title,
        MetadataField.DATE: document.date,
    }[name]
