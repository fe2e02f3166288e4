"""HEAD, access and limits."""

import asyncio
import functools
import gzip
import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sourceline.api import Index
from sourceline.config import load_settings
from sourceline.errors import UnknownDocumentError
from sourceline.search.searcher import Searcher
from sourceline.server import routes
from sourceline.server.app import create_app
from sourceline.server.live_index import LiveIndex
from sourceline.types import NO_RERANKER
from tests.support.api import JSON, assert_problem, post_raw, serve, wait_until
from tests.support.server import Address, listening

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
    "/v1/citations/none",
    "/v1/documents",
    "/v1/speakers",
    "/v1/documents/meeting.txt",
    "/v1/index",
    "/no/such/route",
]
# Two answers to the same request differ in times and counts.
DIFFER = {"/metrics", "/v1/ask?question=Who+met+Pezeshkian?"}

KEY = "s3cret-ключ"

MAX_BODY_BYTES = 64 * 1024
CAPACITY = 4
UNLIMITED = ("/healthz", "/readyz", "/metrics")


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_like_get_without_the_body(client: TestClient, path: str) -> None:
    same_id = {"X-Request-ID": "1"}
    head, get = (client.request(method, path, headers=same_id, follow_redirects=False) for method in ("HEAD", "GET"))
    assert head.content == b""
    assert head.status_code == get.status_code
    names = head.headers.keys() - ({"content-length"} if path in DIFFER else set())
    assert {name: head.headers[name] for name in names} == {name: get.headers[name] for name in names}
    assert head.headers.keys() == get.headers.keys()


def test_head_is_tried_on_every_route_that_answers_get(app: FastAPI) -> None:
    routes = {path for path, methods in app.openapi()["paths"].items() if "get" in methods}
    tried = {
        path.partition("?")[0].replace("none", "{citation}").replace("meeting.txt", "{document}") for path in PATHS
    }
    assert routes <= tried


@pytest.mark.parametrize("path", ["/v1/index/rebuild", "/v1/citations/lookup", "/v1/ask/batch", "/v1/verify"])
def test_head_is_refused_where_get_is(client: TestClient, path: str) -> None:
    head, get = (client.request(method, path, headers={"X-Request-ID": "1"}) for method in ("HEAD", "GET"))
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


@pytest.fixture(scope="module")
def guarded(corpus: Path, corpus_index: Path) -> Iterator[TestClient]:
    with serve(corpus, corpus_index, KEY) as client:
        yield client


def test_every_answer_has_the_id_that_the_request_came_with(client: TestClient, guarded: TestClient) -> None:
    for given in ("4f1c", "Root=1-67891233-abcdef012345678912345678", "x" * 128):
        for asked, path, status in (
            (client, "/", 200),
            (client, "/v1/index", 200),
            (client, "/static/main.js", 200),
            (client, "/no/such/route", 404),
            (client, "/v1/ask", 422),
            (client, "/v1/documents%0A", 404),
            (guarded, "/v1/index", 401),
        ):
            response = asked.get(path, headers={"X-Request-ID": given})
            assert (response.status_code, response.headers.get_list("X-Request-ID")) == (status, [given])


@pytest.mark.parametrize("given", ["", "a b", "a\tb", "a;b", '"', "ä", "x" * 129])
def test_an_id_that_a_log_could_take_amiss_is_replaced(client: TestClient, given: str) -> None:
    first, second = (
        client.get("/no/such/route", headers={b"x-request-id": given.encode()}).headers["X-Request-ID"]
        for _ in range(2)
    )
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


def authorization(value: str) -> dict[bytes, bytes]:
    return {b"authorization": value.encode()}


@pytest.mark.parametrize(
    "header",
    [None, "", KEY, f"Basic {KEY}", "Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"bearer  {KEY}"],
)
@pytest.mark.parametrize("path", ["/v1/documents", "/metrics", "/v1/index", "/no/such/route"])
def test_without_the_key_nothing_is_shown(guarded: TestClient, path: str, header: str | None) -> None:
    response = guarded.get(path, headers={} if header is None else authorization(header))
    problem = assert_problem(response, 401, KEY)
    assert problem["detail"] == "send the key: Authorization: Bearer KEY"
    assert response.headers["www-authenticate"] == "Bearer"


def test_without_the_key_nothing_is_done(guarded: TestClient) -> None:
    assert_problem(guarded.post("/v1/index/rebuild"), 401)
    shown = guarded.get("/v1/index", headers=authorization(f"Bearer {KEY}"))
    assert shown.json()["rebuild"] == {"state": "idle"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_with_the_key_questions_are_answered(guarded: TestClient, scheme: str) -> None:
    headers = authorization(f"{scheme} {KEY}")
    response = guarded.post("/v1/ask", json={"question": "Who met Pezeshkian?"}, headers=headers)
    assert response.json()["passages"][0]["document"]["id"] == "meeting.txt"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_key(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).json() == {"status": "ok"}


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:8080", "a.b.localhost:1", "127.0.0.1", "127.8.8.8:80", "[::1]", "[::1]:8080"],
)
def test_a_request_to_this_machine_is_answered(client: TestClient, host: str) -> None:
    assert client.get("/v1/documents", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":8080",
        "example.org",
        "example.org:8080",
        "localhost.example.org",
        "notlocalhost",
        "127.0.0.1.example.org",
        "192.168.1.7",
        "0.0.0.0:8080",
        "[::]:8080",
        "[::2]",
        "localhost@example.org",
        "ü.localhost.org",
    ],
)
@pytest.mark.parametrize("path", ["/v1/documents", "/healthz", "/docs", "/no/such/route"])
def test_a_request_to_another_host_is_refused(client: TestClient, path: str, host: str) -> None:
    problem = assert_problem(client.get(path, headers={b"host": host.encode("latin-1")}), 421, "example")
    assert problem["detail"] == "without an API key only requests to localhost are answered"


def test_a_request_to_another_host_does_nothing(client: TestClient) -> None:
    assert_problem(client.post("/v1/index/rebuild", headers={"host": "example.org"}), 421)
    assert client.get("/v1/index").json()["rebuild"] == {"state": "idle"}


def test_with_a_key_requests_to_every_host_are_answered(guarded: TestClient) -> None:
    headers = {b"host": b"example.org", **authorization(f"Bearer {KEY}")}
    assert guarded.get("/v1/documents", headers=headers).status_code == 200


# What browsers send, old and new, for a page of another site, and for the page itself.
HERE, ELSEWHERE, WIKI = "http://localhost", "https://example.org", "https://wiki.example.org"
FOREIGN = [
    {"origin": ELSEWHERE},
    {"origin": "null"},
    {"origin": "http://localhost:8000"},
    {"origin": "http://[localhost"},
    {"origin": "http://localhost.example.org"},
    {"origin": ELSEWHERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    {"sec-fetch-site": "something-new"},
]
OWN = [
    {},  # a program
    {"origin": HERE},
    {"origin": "https://localhost"},  # a proxy in front
    {"origin": HERE, "sec-fetch-site": "same-origin"},
    {"origin": "null", "sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
]
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
REQUESTS = [
    ("POST", "/v1/index/rebuild"),
    ("PUT", "/v1/documents/b.txt"),
    ("DELETE", "/v1/documents/meeting.txt"),
    ("POST", "/v1/ask"),
    ("POST", "/v1/ask/batch"),
    ("POST", "/v1/verify"),
    ("GET", "/v1/ask?question=Who+met+Pezeshkian?"),
    ("GET", "/v1/documents"),
    ("GET", "/v1/index"),
    ("GET", "/metrics"),
    ("OPTIONS", "/v1/ask"),
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_a_page_of_another_site_is_refused(client: TestClient, method: str, path: str, headers: dict[str, str]) -> None:
    response = client.request(method, path, headers={"content-type": "text/plain", **headers})
    problem = assert_problem(response, 403, "example")
    assert problem["detail"] == "a page of another site may not use this: see allowed_origins"
    assert "access-control-allow-origin" not in response.headers
    assert client.get("/v1/index").json()["rebuild"] == {"state": "idle"}


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_the_page_and_programs_are_answered(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/v1/ask", json={"question": "Who met Pezeshkian?"}, headers=headers).status_code == 200
    assert client.get("/v1/documents", headers=headers).status_code == 200


def test_a_link_from_elsewhere_can_be_followed_and_does_nothing(client: TestClient) -> None:
    assert client.get("/", headers=LINK).status_code == 200
    assert client.get("/v1/citations/ccl4uombti6lb64a", headers=LINK).json()["status"] == "current"
    assert_problem(client.post("/v1/index/rebuild", headers=LINK), 403)


def test_a_key_does_not_make_another_site_welcome(guarded: TestClient) -> None:
    headers = authorization(f"Bearer {KEY}") | {b"origin": ELSEWHERE.encode()}
    assert_problem(guarded.post("/v1/index/rebuild", headers=headers), 403)


PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}


@pytest.mark.parametrize("key", ["", KEY])
def test_a_page_of_an_allowed_origin_is_answered_and_no_other(corpus: Path, corpus_index: Path, key: str) -> None:
    with serve(corpus, corpus_index, key, NO_RERANKER, allowed_origins=f"https://example.com {WIKI}") as client:
        allowed = client.options("/v1/ask", headers={"origin": WIKI, "sec-fetch-site": "cross-site", **PREFLIGHT})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == WIKI
        assert "POST" in allowed.headers["access-control-allow-methods"]
        assert {"Authorization", "Content-Type"} <= set(allowed.headers["access-control-allow-headers"].split(", "))
        headers = {b"origin": WIKI.encode(), b"sec-fetch-site": b"cross-site"}
        answer = client.post(
            "/v1/ask", json={"question": "Who met Pezeshkian?"}, headers=headers | authorization(f"Bearer {key}")
        )
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == WIKI
        assert answer.headers["vary"] == "Origin"
        if key:  # the page is told why
            refused = client.get("/v1/documents", headers=headers)
            assert_problem(refused, 401)
            assert refused.headers["access-control-allow-origin"] == WIKI
        assert_problem(client.options("/v1/ask", headers={"origin": ELSEWHERE, **PREFLIGHT}), 403)
        assert_problem(client.post("/v1/index/rebuild", headers={"origin": ELSEWHERE}), 403)


def test_the_host_of_an_allowed_origin_is_answered(corpus: Path, corpus_index: Path) -> None:
    with serve(corpus, corpus_index, reranker=NO_RERANKER, allowed_origins=f"https://example.com {WIKI}") as client:
        assert client.get("/v1/documents", headers={"host": "wiki.example.org"}).status_code == 200
        assert_problem(client.get("/v1/documents", headers={"host": "example.org"}), 421)


def question(size: int) -> bytes:
    """A question that is answered, in a body of exactly so many bytes."""
    body = b'{"question": "Who met Pezeshkian?"}'
    return body + b" " * (size - len(body))


def in_pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 1_000):
        yield body[start : start + 1_000]


def test_a_body_of_64_kib_is_read(client: TestClient) -> None:
    assert post_raw(client, question(MAX_BODY_BYTES)).status_code == 200
    assert client.post("/v1/ask", content=in_pieces(question(MAX_BODY_BYTES)), headers=JSON).status_code == 200


def test_a_longer_body_is_refused(client: TestClient) -> None:
    problem = assert_problem(post_raw(client, question(MAX_BODY_BYTES + 1)), 413, "Pezeshkian")
    assert problem["detail"] == "the body is longer than 65,536 bytes"


def test_a_longer_body_without_a_declared_length_is_refused(client: TestClient) -> None:
    response = client.post("/v1/ask", content=in_pieces(question(MAX_BODY_BYTES + 1)), headers=JSON)
    problem = assert_problem(response, 413, "Pezeshkian")
    assert problem["detail"] == "the body is longer than 65,536 bytes"


@pytest.mark.parametrize("path", ["/v1/citations/lookup", "/v1/index/rebuild", "/v1/ask/batch", "/no/such/route"])
def test_the_limit_of_bodies_holds_on_every_route_before_it_acts(client: TestClient, path: str) -> None:
    assert_problem(post_raw(client, b"[" * 1_000_000, path), 413, "[[")
    assert client.get("/v1/index").json()["rebuild"] == {"state": "idle"}


@dataclass(frozen=True)
class Blocked:
    """A server with room for four requests, and a route that keeps them until it may let go."""

    address: Address
    entered: threading.Semaphore
    let_go: threading.Event

    def metrics(self) -> str:
        return self.get("/metrics")[2].decode()

    def get(self, path: str) -> tuple[int, str | None, bytes]:
        with closing(http.client.HTTPConnection(*self.address)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.getheader("Retry-After"), response.read()


@pytest.fixture
def blocked(corpus: Path, corpus_index: Path) -> Iterator[Blocked]:
    app = create_app(load_settings(documents=corpus, index=corpus_index, capacity=CAPACITY))
    entered, let_go = threading.Semaphore(0), threading.Event()

    @app.get("/v1/ask/slow")
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
            sent = [pool.submit(blocked.get, "/v1/ask/slow") for _ in range(5 * CAPACITY)]
            # Nobody lets go before all but the four are answered.
            refused = [answer.result() for answer in islice(as_completed(sent), 4 * CAPACITY)]
            for status, retry_after, body in refused:
                assert (status, retry_after) == (503, "1")
                assert json.loads(body)["detail"] == "the server is busy: try again in a moment"
            # Every other kind of request has places of its own.
            for path in (*UNLIMITED, "/v1/documents", "/v1/index", "/v1/citations/ccl4uombti6lb64a"):
                assert blocked.get(path)[0] == 200
            assert f'sourceline_active_requests{{kind="ask"}} {CAPACITY}.0' in blocked.metrics()
            blocked.let_go.set()
            assert sorted(answer.result()[0] for answer in sent) == [200] * CAPACITY + [503] * 4 * CAPACITY
            assert blocked.get("/v1/ask?question=Who+met+Pezeshkian?")[0] == 200
    metrics = blocked.metrics()
    assert f'sourceline_active_requests_limit{{kind="ask"}} {CAPACITY}.0' in metrics
    assert f'sourceline_active_requests_limit{{kind="documents"}} {CAPACITY // 4}.0' in metrics
    assert f'sourceline_refused_requests_total{{kind="ask"}} {2 * 4 * CAPACITY}.0' in metrics
    assert 'sourceline_refused_requests_total{kind="documents"} 0.0' in metrics


@pytest.mark.enable_socket
def test_over_capacity_no_body_is_waited_for(blocked: Blocked) -> None:
    with ThreadPoolExecutor(CAPACITY) as pool:
        for _ in range(CAPACITY):
            pool.submit(blocked.get, "/v1/ask/slow")
        for _ in range(CAPACITY):
            blocked.entered.acquire()
        with socket.create_connection(blocked.address) as connection:
            connection.sendall(b"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n{")
            assert connection.recv(12) == b"HTTP/1.1 503"
        blocked.let_go.set()


def test_what_waits_too_long_for_a_thread_is_refused_and_the_next_one_is_answered(
    corpus: Path, corpus_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "WAIT_SECONDS", 0.2)
    entered, let_go = threading.Semaphore(0), threading.Event()

    def wait(*_: object) -> NoReturn:
        entered.release()
        let_go.wait()
        raise UnknownDocumentError("it took long")

    with serve(corpus, corpus_index) as client, ThreadPoolExecutor(4) as pool:
        with monkeypatch.context() as patched:
            patched.setattr(Index, "document", wait)
            slow = pool.submit(client.get, "/v1/documents/a.txt")
            entered.acquire()
            for refused in pool.map(client.get, ["/v1/documents/a.txt", "/v1/documents", "/v1/documents/b.txt"]):
                assert_problem(refused, 503)
                assert refused.headers["retry-after"] == "1"
            assert client.get("/v1/index").status_code == 200
            let_go.set()
            assert_problem(slow.result(), 404)
        assert client.get("/v1/documents").status_code == 200


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


@dataclass
class Work:
    """What routes call: it is counted, and stands still until it may go on."""

    begun: int = 0
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of the index that is this work and then itself."""

        @functools.wraps(function)
        def work(*arguments: Any, **named: Any) -> Any:
            self.begun += 1
            self.may_go_on.wait(60)
            return function(*arguments, **named)

        return work


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.may_go_on.set()


def send(address: Address, *, request: bytes) -> socket.socket:
    connection = socket.create_connection(address)
    connection.sendall(request)
    return connection


GET_DOCUMENT = b"GET /v1/documents/meeting.txt?limit=1000000 HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.enable_socket
def test_what_waits_for_a_client_that_left_is_not_begun(
    corpus: Path, corpus_index: Path, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 clients ask for the largest document and leave."""
    monkeypatch.setattr(Index, "document", work.of(Index.document))
    app = create_app(load_settings(documents=corpus, index=corpus_index, reranker=NO_RERANKER))
    with listening(app) as address:
        blocked = Blocked(address, threading.Semaphore(), work.may_go_on)
        first = send(address, request=GET_DOCUMENT)
        wait_until(lambda: work.begun == 1)
        left = [send(address, request=GET_DOCUMENT) for _ in range(99)]
        # 15 wait for their turn, and no other document is taken in; questions are.
        wait_until(lambda: blocked.get("/v1/documents/meeting.txt")[:2] == (503, "1"))
        assert blocked.get("/v1/ask?question=Who+met+Pezeshkian?")[0] == 200
        for connection in left:
            connection.close()
        # Their places are free again, though the first one still works.
        waiting = send(address, request=GET_DOCUMENT)
        wait_until(lambda: 'status="499"} 15.0' in blocked.metrics())
        work.may_go_on.set()
        for connection in (first, waiting):
            assert connection.recv(12) == b"HTTP/1.1 200"
            connection.close()
        assert work.begun == 2
        assert blocked.get("/v1/documents/meeting.txt")[0] == 200


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("path", "name", "body"),
    [
        ("/v1/ask/batch", "ask", {"questions": [f"Who met him on day {number}?" for number in range(100)]}),
        ("/v1/citations/lookup", "cite", {"citations": ["ccl4uombti6lb64a"] * 1_000}),
        ("/v1/verify", "similar", {"text": "\n\n".join(f"“Seven goats ate hay on day {day}”" for day in range(100))}),
    ],
)
def test_long_work_ends_when_its_client_leaves(
    corpus: Path,
    corpus_index: Path,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    name: str,
    body: dict[str, object],
) -> None:
    owner = LiveIndex if name == "cite" else Searcher
    monkeypatch.setattr(owner, name, work.of(getattr(owner, name)))
    app = create_app(load_settings(documents=corpus, index=corpus_index, reranker=NO_RERANKER))
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(content)}\r\n\r\n"
    with listening(app) as address:
        blocked = Blocked(address, threading.Semaphore(), work.may_go_on)
        send(address, request=head.encode() + content).close()
        wait_until(lambda: work.begun == 1)
        blocked.get("/healthz")  # the server has had its turn, in which it sees that the client left
        work.may_go_on.set()
        wait_until(lambda: '"499"' in blocked.metrics())
    assert work.begun <= (50 if name == "cite" else 1)


@pytest.mark.parametrize("path", ["/v1/ask", "/v1/ask/batch", "/v1/citations/lookup", "/v1/index/rebuild"])
def test_a_body_that_would_have_to_be_unpacked_is_refused(client: TestClient, path: str) -> None:
    packed = gzip.compress(b'{"question": "Who met Pezeshkian?"}')
    problem = assert_problem(client.post(path, content=packed, headers={**JSON, "content-encoding": "gzip"}), 415)
    assert problem["detail"] == "send the body as it is, without Content-Encoding"
    assert client.get("/v1/index").json()["rebuild"] == {"state": "idle"}


@pytest.mark.parametrize("path", ["/v1/ask/", "/v1/documents/meeting.txt/", "/static", "/docs/", "/healthz/"])
def test_nobody_is_sent_to_an_address_that_the_client_has_made_up(guarded: TestClient, path: str) -> None:
    headers = {b"host": b"evil.example.org", **authorization(f"Bearer {KEY}")}
    response = guarded.get(path, headers=headers, follow_redirects=False)
    assert_problem(response, 404, "evil")
    assert "location" not in response.headers


@pytest.mark.parametrize(
    "path",
    [
        "/v1/documents/meeting.txt%0A",
        "/v1/documents/a%0Ab.txt",
        "/v1/citations/ccl4uombti6lb64a%0A",
        "/v1/index%0A",
        "/healthz%0A",
        "/%0A",
    ],
)
def test_no_path_has_a_line_end_in_it(client: TestClient, path: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert_problem(client.request(method, path), 404)
