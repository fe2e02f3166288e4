from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.server.serving import JSON, assert_problem, post_raw

LIMIT = 64 * 1024


def question(size: int) -> bytes:
    """A question that is answered, in a body of exactly so many bytes."""
    body = b'{"question": "Who met Pezeshkian?"}'
    return body + b" " * (size - len(body))


def chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 1_000):
        yield body[start : start + 1_000]


def test_a_body_of_64_kib_is_read(client: TestClient) -> None:
    assert post_raw(client, question(LIMIT)).status_code == 200
    assert client.post("/v1/ask", content=chunks(question(LIMIT)), headers=JSON).status_code == 200


def test_a_longer_body_is_refused(client: TestClient) -> None:
    problem = assert_problem(post_raw(client, question(LIMIT + 1)), 413, "Pezeshkian")
    assert problem["detail"] == "the body has more than 65,536 bytes"


def test_a_longer_body_in_chunks_is_refused(client: TestClient) -> None:
    response = client.post("/v1/ask", content=chunks(question(LIMIT + 1)), headers=JSON)
    problem = assert_problem(response, 413, "Pezeshkian")
    assert problem["detail"] == "the body has more than 65,536 bytes"


@pytest.mark.parametrize("path", ["/v1/citations/lookup", "/v1/index/rebuild", "/no/such/route"])
def test_the_limit_holds_on_every_route_before_it_acts(client: TestClient, path: str) -> None:
    assert_problem(post_raw(client, b"[" * 1_000_000, path), 413, "[[")
    assert client.get("/v1/index").json()["rebuild"] == {"state": "idle"}
