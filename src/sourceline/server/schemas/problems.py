"""Failures, and that there is none."""

from typing import Literal

from sourceline.server.schemas.base import Wire


class Health(Wire):
    """Alive, or ready."""

    status: Literal["ok"] = "ok"


class FieldProblem(Wire):
    """What is wrong with one part of a request."""

    location: str
    message: str


class Problem(Wire):
    """RFC 9457 problem details: the one shape of every error."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
