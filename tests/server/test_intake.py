import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sourceline.config import load_settings
from sourceline.server.app import create_app
from tests.server.running import Address, listening
from tests.server.serving import JSON, assert_problem, post_raw

LIMIT = 64 * 1024
CAPACITY = 4


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


@dataclass(frozen=True)
class Blocked:
    """A server with room for four requests, and a route that keeps them until it is told to let go."""

    address: Address
    entered: threading.Semaphore
    let_go: threading.Event

    def get(self, path: str) -> tuple[int, str | None, bytes]:
        with closing(http.client.HTTPConnection(*self.address)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.getheader("Retry-After"), response.read()


@pytest.fixture
def blocked(corpus: Path, corpus_index: Path) -> Iterator[Blocked]:
    app = create_app(load_settings(documents=corpus, index=corpus_index, capacity=CAPACITY))
    entered, let_go = threading.Semaphore(0), threading.Event()

    @app.get("/slow")
    async def wait() -> str:  # takes a place, and none of the few threads
        entered.release()
        while not let_go.is_set():
            await asyncio.sleep(0.01)
        return "answered"

    with listening(app) as address:
        yield Blocked(address, entered, let_go)
        let_go.set()


@pytest.mark.enable_socket
def test_over_capacity_the_answer_is_a_quick_503_and_when_the_load_falls_all_is_well(blocked: Blocked) -> None:
    with ThreadPoolExecutor(5 * CAPACITY) as pool:
        for _ in range(2):
            blocked.let_go.clear()
            sent = [pool.submit(blocked.get, "/slow") for _ in range(5 * CAPACITY)]
            # Nobody lets go before all but the four are answered.
            refused = [answer.result() for answer in islice(as_completed(sent), 4 * CAPACITY)]
            for status, retry_after, body in refused:
                assert (status, retry_after) == (503, "1")
                assert json.loads(body)["detail"] == "more is asked than can be answered just now"
            for path in ("/healthz", "/readyz", "/metrics"):
                assert blocked.get(path)[0] == 200
            blocked.let_go.set()
            assert sorted(answer.result()[0] for answer in sent) == [200] * CAPACITY + [503] * 4 * CAPACITY
            assert blocked.get("/v1/ask?question=Who+met+Pezeshkian?")[0] == 200


@pytest.mark.enable_socket
def test_over_capacity_no_body_is_waited_for(blocked: Blocked) -> None:
    with ThreadPoolExecutor(CAPACITY) as pool:
        for _ in range(CAPACITY):
            pool.submit(blocked.get, "/slow")
        for _ in range(CAPACITY):
            blocked.entered.acquire()
        with socket.create_connection(blocked.address) as connection:
            connection.sendall(b"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n{")
            assert connection.recv(12) == b"HTTP/1.1 503"
        blocked.let_go.set()


@pytest.mark.enable_socket
def test_a_body_that_comes_slowly_takes_no_place(blocked: Blocked) -> None:
    head = b"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n"
    with ExitStack() as slow:
        connections = [slow.enter_context(socket.create_connection(blocked.address)) for _ in range(3 * CAPACITY)]
        for connection in connections:
            connection.sendall(head + b'{"question"')
        assert blocked.get("/v1/ask?question=Who+met+Pezeshkian?")[0] == 200
        for connection in connections:
            connection.sendall(b': "Who"}')
            assert connection.recv(12) == b"HTTP/1.1 200"
