import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.schemas import OpenApiSchema
from starlette.types import Receive, Scope, Send

from sourceline.index.snapshot import build_lock
from tests.support.torture import sizes

ROUTES = [
    ("POST", "/v1/ask"),
    ("GET", "/v1/ask"),
    ("POST", "/v1/ask/batch"),
    ("POST", "/retrieval"),
    ("POST", "/v1/citations/lookup"),
    ("GET", "/v1/citations/{citation}"),
    ("POST", "/v1/verify"),
    ("GET", "/v1/documents"),
    ("GET", "/v1/speakers"),
    ("GET", "/v1/documents/{document}"),
    ("PUT", "/v1/documents/{document}"),
    ("DELETE", "/v1/documents/{document}"),
    ("GET", "/v1/index"),
    ("POST", "/v1/index/rebuild"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
]


# Of what the schema lets through, a question without a word is still refused; a body can be too long as well.
CHECKS = {
    "positive_data_acceptance": {"expected-statuses": ["2xx", "403", "404", "409", "413", "422"]},
    "negative_data_rejection": {"expected-statuses": ["400", "404", "413", "422"]},
}


@pytest.fixture(scope="module")
def api(app: FastAPI, corpus_index: Path) -> Iterator[OpenApiSchema]:
    async def requests_to_localhost(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":  # schemathesis would start the app again for each test
            headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
            await app({**scope, "headers": [*headers, (b"host", b"localhost")]}, receive, send)

    with build_lock(corpus_index):  # every rebuild is refused: the index is other tests' as well
        config = SchemathesisConfig.from_dict({"checks": CHECKS})
        yield schemathesis.openapi.from_asgi("/openapi.json", requests_to_localhost, config=config)


FITTING = [(method, path, GenerationMode.POSITIVE) for method, path in ROUTES]
NOT_FITTING = [
    ("POST", "/v1/ask", GenerationMode.NEGATIVE),
    ("GET", "/v1/ask", GenerationMode.NEGATIVE),
    ("POST", "/v1/ask/batch", GenerationMode.NEGATIVE),
    ("POST", "/retrieval", GenerationMode.NEGATIVE),
    ("POST", "/v1/citations/lookup", GenerationMode.NEGATIVE),
    ("POST", "/v1/verify", GenerationMode.NEGATIVE),
]


@sizes("examples", 40, 200)
@pytest.mark.parametrize(("method", "path", "mode"), [*FITTING, *NOT_FITTING])
def test_every_answer_is_one_that_is_documented(
    api: OpenApiSchema, method: str, path: str, mode: GenerationMode, examples: int
) -> None:
    @settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    def answer(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate()

    answer()


def test_every_route_of_the_contract_is_described(app: FastAPI) -> None:
    described = [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]
    assert described == ROUTES


def test_every_failure_is_described_as_a_problem(app: FastAPI) -> None:
    for methods in app.openapi()["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"]


def operations(app: FastAPI) -> Iterator[dict[str, Any]]:
    for methods in app.openapi()["paths"].values():
        yield from methods.values()


def example_of(content: dict[str, Any], schemas: dict[str, Any]) -> Any:
    if "example" in content:
        return content["example"]
    return schemas[content["schema"]["$ref"].rpartition("/")[2]]["examples"][0]


def test_every_request_and_every_answer_has_an_example(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    for operation in operations(app):
        for parameter in operation.get("parameters", ()):
            assert parameter["schema"]["examples"], parameter
        bodies = [*operation["responses"].values(), *filter(None, [operation.get("requestBody")])]
        for body in bodies:
            for content in body["content"].values():
                assert example_of(content, schemas), body


def test_the_examples_of_requests_are_answered(app: FastAPI, client: TestClient) -> None:
    schemas = app.openapi()["components"]["schemas"]
    for path, methods in app.openapi()["paths"].items():
        if "post" in methods and "requestBody" in methods["post"]:
            example = example_of(methods["post"]["requestBody"]["content"]["application/json"], schemas)
            assert client.post(path, json=example).status_code == 200
        if "get" in methods:
            parameters = {p["name"]: p["schema"]["examples"][0] for p in methods["get"].get("parameters", ())}
            filled = path.format(**{name: value for name, value in parameters.items() if f"{{{name}}}" in path})
            query = {name: value for name, value in parameters.items() if f"{{{name}}}" not in path}
            assert client.get(filled, params=query).status_code == 200


def test_every_operation_has_a_description_and_a_tag_that_is_described(app: FastAPI) -> None:
    described = {tag["name"] for tag in app.openapi()["tags"] if tag["description"]}
    used = [operation["tags"] for operation in operations(app)]
    assert all(len(tags) == 1 for tags in used)
    assert {tag for tags in used for tag in tags} == described
    assert all(operation["description"].strip() for operation in operations(app))


def test_the_key_is_described_where_it_may_be_needed(app: FastAPI) -> None:
    (scheme,) = app.openapi()["components"]["securitySchemes"].items()
    assert re.fullmatch(r"[a-zA-Z0-9._-]+", scheme[0])  # what OpenAPI allows
    assert scheme[1].items() >= {"type": "http", "scheme": "bearer"}.items()
    assert app.openapi()["security"] == [{scheme[0]: []}, {}]
    paths = app.openapi()["paths"]
    assert [path for path in paths if paths[path].get("get", {}).get("security") == []] == ["/healthz", "/readyz"]
