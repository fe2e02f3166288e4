import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.schemas import OpenApiSchema
from starlette.types import Receive, Scope, Send

from sourceline.indexing.lock import lock

ROUTES = [
    ("POST", "/v1/ask"),
    ("GET", "/v1/ask"),
    ("GET", "/v1/examples"),
    ("GET", "/v1/citations/{citation}"),
    ("POST", "/v1/citations/lookup"),
    ("GET", "/v1/documents"),
    ("GET", "/v1/documents/{document}"),
    ("GET", "/v1/index"),
    ("POST", "/v1/index/rebuild"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
]


# Of what the schema lets through, a question without a word is still refused; a body can be too long as well.
CHECKS = {
    "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "413", "422"]},
    "negative_data_rejection": {"expected-statuses": ["400", "404", "413", "422"]},
}


@pytest.fixture(scope="module")
def api(app: FastAPI, corpus_index: Path) -> Iterator[OpenApiSchema]:
    async def requests_only(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":  # schemathesis would start the app again for each test
            await app(scope, receive, send)

    with lock(corpus_index):  # every rebuild is refused: the index is other tests' as well
        config = SchemathesisConfig.from_dict({"checks": CHECKS})
        yield schemathesis.openapi.from_asgi("/openapi.json", requests_only, config=config)


WITH_FITTING = [(method, path, GenerationMode.POSITIVE) for method, path in ROUTES]
WITH_UNFITTING = [
    ("POST", "/v1/ask", GenerationMode.NEGATIVE),
    ("GET", "/v1/ask", GenerationMode.NEGATIVE),
    ("POST", "/v1/citations/lookup", GenerationMode.NEGATIVE),
]


@pytest.mark.parametrize(("method", "path", "mode"), [*WITH_FITTING, *WITH_UNFITTING])
def test_every_answer_is_one_that_is_documented(
    api: OpenApiSchema, method: str, path: str, mode: GenerationMode
) -> None:
    @settings(max_examples=200, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    def answer(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate()

    answer()


def test_what_describes_the_api_is_made_when_it_is_asked_for() -> None:
    code = """
import sourceline.server.app
from fastapi.openapi.models import OpenAPI
from sourceline.server.models import AskRequest
from sourceline.server.models import AskResponse
print(OpenAPI.__pydantic_complete__, AskRequest.__pydantic_complete__, AskResponse.__pydantic_complete__)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False True True\n"


def test_every_route_of_the_contract_is_described(app: FastAPI) -> None:
    described = [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]
    assert described == ROUTES


def test_every_failure_is_described_as_a_problem(app: FastAPI) -> None:
    for methods in app.openapi()["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"]
