"""Every failure becomes RFC 9457 problem details. Nothing that was sent is echoed."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sourceline import errors
from sourceline.server.models import FieldProblem, Problem

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "X-Request-ID"
MAX_FIELDS = 20  # fields at fault that are named
RETRY_SECONDS = 5
EDITS_FORBIDDEN = "documents are not written over HTTP here: start the server with --allow-edits and an API key"
# The first class that an error is an instance of decides.
_STATUS: tuple[tuple[type[errors.SourcelineError], HTTPStatus], ...] = (
    (errors.UnknownCitationError, HTTPStatus.NOT_FOUND),
    (errors.UnknownDocumentError, HTTPStatus.NOT_FOUND),
    (errors.EditError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.BuildRunningError, HTTPStatus.CONFLICT),
    (errors.SourcelineError, HTTPStatus.SERVICE_UNAVAILABLE),
)
# What the API's description shows as the detail of each.
_EXAMPLES = {
    HTTPStatus.BAD_REQUEST: "the body is not JSON",
    HTTPStatus.UNAUTHORIZED: "send the key: Authorization: Bearer KEY",
    HTTPStatus.FORBIDDEN: "this key lacks the scope that the route needs",
    HTTPStatus.NOT_FOUND: "no document with this id is in the index",
    HTTPStatus.CONFLICT: "a rebuild is running: wait for it to end",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is longer than 65,536 bytes",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "send the body as application/json",
    HTTPStatus.MISDIRECTED_REQUEST: "without an API key only requests to localhost are answered",
    HTTPStatus.UNPROCESSABLE_ENTITY: "the request does not fit the schema",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the head of a request has at most 100 headers and 32,768 bytes",
    HTTPStatus.TOO_MANY_REQUESTS: "this key may send 60 requests a minute: try again in 1 s",
    HTTPStatus.SERVICE_UNAVAILABLE: "the server is busy: try again in a moment",
}
# And its headers, with what each means.
_CHALLENGE = {"WWW-Authenticate": ("The scheme, and the scope that is missing.", "string")}
_RETRY_AFTER = {"Retry-After": ("Seconds.", "integer")}
_RATE_LIMIT = {
    "RateLimit-Policy": ("`q` requests in `w` seconds.", "string"),
    "RateLimit": ("`r` requests are left, and in `t` seconds there will be one more.", "string"),
}
_HEADERS = {
    HTTPStatus.UNAUTHORIZED: _CHALLENGE,
    HTTPStatus.FORBIDDEN: _CHALLENGE,
    HTTPStatus.TOO_MANY_REQUESTS: {**_RETRY_AFTER, **_RATE_LIMIT},
    HTTPStatus.SERVICE_UNAVAILABLE: _RETRY_AFTER,
}


class DifyCode(IntEnum):
    """What Dify calls the failures of an external knowledge base."""

    NO_KEY = 1001
    WRONG_KEY = 1002
    UNKNOWN_KNOWLEDGE = 2001


class InvalidFieldError(Exception):
    """A field of a request fits the schema and yet cannot be used."""

    def __init__(self, location: str, message: str, detail: str = "the request does not fit the schema") -> None:
        super().__init__(message)
        self.problem = FieldProblem(location=location, message=message)
        self.detail = detail


@contextmanager
def blame_field(location: str, detail: str = "the question cannot be answered") -> Iterator[None]:
    """Blame a field of the request for a question that cannot be asked, or a text that cannot be checked.

    Raises:
        InvalidFieldError: for a ``QuestionError``.
    """
    try:
        yield
    except errors.QuestionError as error:
        raise InvalidFieldError(location, str(error), detail) from error


def problem(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    fields: list[FieldProblem] | None = None,
    dify_code: DifyCode | None = None,
) -> Response:
    """Return a problem as a response."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=fields)
    if dify_code:
        body.error_code, body.error_msg = dify_code, detail
    return Response(body.model_dump_json(exclude_none=True), status, headers, media_type=MEDIA_TYPE)


def busy() -> HTTPException:
    """Return the refusal of a request for which there is no room just now."""
    return HTTPException(
        HTTPStatus.SERVICE_UNAVAILABLE, "the server is busy: try again in a moment", {"Retry-After": "1"}
    )


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a route that can answer with these problems."""
    return {status: _describe(HTTPStatus(status)) for status in statuses}


def _describe(status: HTTPStatus) -> dict[str, Any]:
    example = Problem(title=status.phrase, status=status, detail=_EXAMPLES[status])
    if status is HTTPStatus.UNPROCESSABLE_ENTITY:
        example.errors = [FieldProblem(location="body.question", message="Field required")]
    # By reference: FastAPI would describe a model as application/json.
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "example": example.model_dump(exclude_none=True, mode="json"),
    }
    described: dict[str, Any] = {"description": status.phrase, "content": {MEDIA_TYPE: content}}
    if headers := _HEADERS.get(status):
        described["headers"] = {
            name: {"description": text, "schema": {"type": kind}} for name, (text, kind) in headers.items()
        }
    return described


def install(app: FastAPI) -> None:
    """Make the app answer every failure in the one shape."""
    app.add_exception_handler(errors.SourcelineError, _known)
    app.add_exception_handler(InvalidFieldError, _invalid_field)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _known(request: Request, error: Exception) -> Response:
    if isinstance(error, errors.SnapshotError):
        request.app.state.live_index.suspect()
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        log.error("%s", error)
        return problem(status, str(error), {"Retry-After": str(RETRY_SECONDS)})
    # What can be wrong with an edit is the name of its document.
    edit = isinstance(error, errors.EditError)
    fields = [FieldProblem(location="path.document", message=str(error))] if edit else None
    return problem(status, str(error), fields=fields)


async def _invalid_field(_: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidFieldError)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.detail, fields=[error.problem])


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.method == "POST" and media_type != "application/json":
        return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body as application/json")
    details = error.errors()
    if any(detail["type"] == "json_invalid" for detail in details):
        return problem(HTTPStatus.BAD_REQUEST, "the body is not JSON")
    fields = [
        FieldProblem(location=_location(detail["loc"], detail["type"]), message=_encodable(detail["msg"]))
        for detail in details[:MAX_FIELDS]
    ]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request does not fit the schema", fields=fields)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    route = request.scope.get("route")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and route is not None:
        headers["Allow"] = ", ".join(_allowed_methods(request.app, route.path))
    return problem(error.status_code, str(error.detail), headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error in %s %s", request.method, request.url.path, exc_info=error)
    request.app.state.live_index.suspect()  # what was read may have been damaged
    # Starlette sends this from outside of all middleware.
    headers = {REQUEST_ID: request.scope["request_id"]}
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error occurred; it was logged", headers)


def _allowed_methods(app: FastAPI, path: str) -> Sequence[str]:
    """Return the methods of every route at a path; Starlette names only those of the first one."""
    routes = [route for route in iter_route_contexts(app.routes) if route.path == path]
    methods = {method for route in routes for method in route.methods or ()}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _location(parts: Sequence[int | str], kind: str) -> str:
    """Return where a field is, named only by what the schema knows: an unknown field's name could hold anything."""
    if kind == "extra_forbidden":
        parts = (*parts[:-1], "(unknown field)")
    return _encodable(".".join(map(str, parts)))


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()[:200]
