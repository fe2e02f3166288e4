"""The API as the tests call it in this process, a corpus with awkward names, and what is promised of every failure."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from sourceline.address import PostgresAddress
from sourceline.config import load_settings
from sourceline.server.app import create_app
from sourceline.types import DEFAULT_RERANKER

NON_ASCII = "minutes/Año 2025 – Zürich.md"
BRACKETS = "minutes/notes [draft] 100%.txt"
CORPUS = {
    NON_ASCII: "# Budget\n\nThe café in Zürich closes in May. The council 😀 voted for seven new trams.\n",
    BRACKETS: "The caretaker reported a leaking roof. Repairs cost 4,100 francs.\n",
}
JSON = {"content-type": "application/json"}


def client_of(app: FastAPI) -> TestClient:
    """Return a client on this machine. An error that no handler turned into an answer fails the test."""
    return TestClient(app, base_url="http://localhost")


@contextmanager
def serve(
    documents: Path, index: Path | PostgresAddress, api_key: str = "", reranker: str = DEFAULT_RERANKER, **more: object
) -> Iterator[TestClient]:
    """Serve an index of one's own, with more settings."""
    app = create_app(load_settings(documents=documents, index=index, api_key=api_key, reranker=reranker, **more))
    with client_of(app) as client:
        yield client


def post_raw(client: TestClient, body: str | bytes, path: str = "/v1/ask") -> Response:
    """Send a body as it is, as JSON."""
    return client.post(path, content=body, headers=JSON)


def get_document(client: TestClient, document: str) -> dict[str, Any]:
    """Return a document as it is served."""
    response = client.get(f"/v1/documents/{quote(document)}")
    assert response.status_code == 200, response.text
    content = response.json()
    assert isinstance(content, dict)
    return content


def assert_problem(response: Response, status: int, *sent: str) -> dict[str, Any]:
    """Assert that this is a problem of RFC 9457 with nothing in it of what was sent."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert isinstance(problem, dict)
    assert problem["type"] == "about:blank"
    assert problem["title"] == HTTPStatus(status).phrase
    assert problem["status"] == status
    assert problem["detail"].strip()
    assert "\n" not in problem["detail"]
    assert problem.keys() <= {"type", "title", "status", "detail", "errors", "error_code", "error_msg"}
    for text in sent:
        assert text not in response.text
    return problem


def wait_until(holds: Callable[[], bool]) -> None:
    """Try again until it holds; how long that takes is not what is tested."""
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it never came to hold")
