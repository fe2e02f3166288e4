"""Every failure becomes RFC 9457 problem details. Nothing of what was sent is echoed."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sourceline import errors
from sourceline.server.models import FieldProblem, Problem

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
# The first class that an error is of decides.
_STATUS: tuple[tuple[type[errors.SourcelineError], HTTPStatus], ...] = (
    (errors.QuestionError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.UnknownCitationError, HTTPStatus.NOT_FOUND),
    (errors.UnknownDocumentError, HTTPStatus.NOT_FOUND),
    (errors.BuildRunningError, HTTPStatus.CONFLICT),
    (errors.SourcelineError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def problem(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    fields: list[FieldProblem] | None = None,
) -> Response:
    """Return a problem as a response."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=fields)
    content = body.model_dump_json(exclude_none=True)
    return Response(content, status, headers, media_type=MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how a route documents the problems that it answers with. 421 is every route's, see access.py."""
    schema = {"$ref": "#/components/schemas/Problem"}
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }
    if 503 in described:
        described[503]["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return described


def install(app: FastAPI) -> None:
    """Make the app answer every failure in the one shape."""
    app.add_exception_handler(errors.SourcelineError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


class DescribedApp(FastAPI):
    """An app in whose description the schema stands that the routes' problems refer to."""

    def openapi(self) -> dict[str, Any]:
        """Return the description."""
        description = super().openapi()
        schemas = description["components"]["schemas"]
        schemas["FieldProblem"] = FieldProblem.model_json_schema()
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas["Problem"].pop("$defs", None)
        return description


async def _known(_: Request, error: Exception) -> Response:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        log.error("%s", error)
        return problem(status, str(error), {"Retry-After": "5"})
    return problem(status, str(error))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    sent = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.method == "POST" and sent != "application/json":
        return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body as application/json")
    if any(one["type"] == "json_invalid" for one in error.errors()):
        return problem(HTTPStatus.BAD_REQUEST, "the body is not JSON")
    # Only names that the schema knows: a key that was sent could hold anything.
    fields = [
        FieldProblem(location=_location(one["loc"], one["type"]), message=_printable(one["msg"]))
        for one in error.errors()[:20]
    ]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request does not fit the schema", fields=fields)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    # Starlette names the methods of the first route at this path only.
    described = request.app.openapi()["paths"].get(getattr(request.scope.get("route"), "path", None))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and described:
        headers["Allow"] = ", ".join(method.upper() for method in described)
    return problem(error.status_code, str(error.detail), headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error in %s %s", request.method, request.url.path, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error; it was logged")


def _location(parts: tuple[int | str, ...], kind: str) -> str:
    if kind == "extra_forbidden":
        parts = (*parts[:-1], "(unknown field)")
    return _printable(".".join(map(str, parts)))


def _printable(text: str) -> str:
    return text.encode(errors="replace").decode()[:200]
