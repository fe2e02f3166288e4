import http.client
from contextlib import closing
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sourceline.config import load_settings
from sourceline.server.app import create_app
from tests.server.running import listening

PATHS = [
    "/",
    "/static/main.js",
    "/docs",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/metrics",
    "/v1/ask?question=Who+met+Pezeshkian?",
    "/v1/ask",
    "/v1/examples",
    "/v1/citations/none",
    "/v1/documents",
    "/v1/documents/meeting.txt",
    "/v1/index",
    "/no/such/route",
]
# What differs between two answers to the same request: times, and counts of requests.
DIFFER = {"/metrics", "/v1/ask?question=Who+met+Pezeshkian?"}


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_like_get_without_the_body(client: TestClient, path: str) -> None:
    head, get = (client.request(method, path, follow_redirects=False) for method in ("HEAD", "GET"))
    assert head.content == b""
    assert head.status_code == get.status_code
    names = head.headers.keys() - ({"content-length"} if path in DIFFER else set())
    assert {name: head.headers[name] for name in names} == {name: get.headers[name] for name in names}
    assert head.headers.keys() == get.headers.keys()


def test_every_route_that_answers_get_is_tried(app: FastAPI) -> None:
    routes = {path for path, methods in app.openapi()["paths"].items() if "get" in methods}
    tried = {
        path.partition("?")[0].replace("none", "{citation}").replace("meeting.txt", "{document}") for path in PATHS
    }
    assert routes <= tried


@pytest.mark.parametrize("path", ["/v1/index/rebuild", "/v1/citations/lookup"])
def test_head_is_refused_where_get_is(client: TestClient, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content, head.headers) == (get.status_code, b"", get.headers)


@pytest.mark.enable_socket
def test_a_connection_goes_on_after_head(corpus: Path, corpus_index: Path) -> None:
    app = create_app(load_settings(documents=corpus, index=corpus_index))
    with listening(app) as address, closing(http.client.HTTPConnection(*address)) as connection:
        for method in ("HEAD", "GET", "HEAD"):
            connection.request(method, "/healthz")
            response = connection.getresponse()
            assert response.getheader("Content-Length") == "15"
            assert response.read() == (b'{"status":"ok"}' if method == "GET" else b"")
