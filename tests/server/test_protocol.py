"""What happens below the app: slow clients, and bytes that are no request."""

import asyncio
import functools
import http.client
import json
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NoReturn

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sourceline.server import protocol
from tests.support.server import Address, descriptors, exchange, listening, running

pytestmark = pytest.mark.enable_socket

LARGE = b"x" * 30_000_000  # more than the system keeps between two processes
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST_GET = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
SLOW = 1_000


async def echo(request: Request) -> Response:
    try:
        return Response(await request.body() or b"answered")
    except ClientDisconnect:  # as Sourceline has it: else uvicorn logs it, at the latest within another test
        return Response()


def wait_a_second(request: Request) -> Response:
    time.sleep(1)
    return Response(b"answered")


async def answer_at_once(request: Request) -> Response:
    return Response(status_code=421)  # whatever its body is


def wait_three_seconds(request: Request) -> Response:
    time.sleep(3)
    return Response(b"answered")


async def begin_an_answer(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.sleep(3)
        yield b"ended"

    return StreamingResponse(parts())


def answer_at_length(request: Request) -> Response:
    return Response(LARGE)


ROUTES = [
    Route("/", echo, methods=["GET", "POST", "PUT"]),
    Route("/wait", wait_a_second),
    Route("/wait-longer", wait_three_seconds),
    Route("/begin", begin_an_answer),
    Route("/at-once", answer_at_once, methods=["POST"]),
    Route("/large", answer_at_length),
]


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    with listening(Starlette(routes=ROUTES)) as address:
        yield address


def assert_refused(answer: bytes, status: int) -> None:
    """Assert that this is one answer, a problem, and the last one of its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0].split()[1] == str(status).encode()
    assert {b"content-type: application/problem+json", b"connection: close"} <= set(lines)
    assert sum(re.fullmatch(rb"x-request-id: [0-9a-f]{32}", line) is not None for line in lines) == 1
    assert json.loads(body)["status"] == status


def test_head_and_body_of_an_answer_are_sent_as_one(address: Address) -> None:
    with socket.create_connection(address) as connection:
        for method in (b"GET", b"HEAD", b"GET"):
            connection.sendall(GET.replace(b"GET", method))
            head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert body == (b"" if method == b"HEAD" else b"answered")


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: a"])
def test_a_head_that_does_not_come_is_not_waited_for(
    address: Address, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    assert_refused(exchange(address, sent), 408)


def trickle(connection: socket.socket) -> NoReturn:
    connection.sendall(b"GET / HTTP/1.1\r\nAccept: ")
    send_letters(connection)


def send_letters(connection: socket.socket) -> NoReturn:
    while True:
        connection.sendall(b"a")
        time.sleep(0.01)


def test_a_head_that_comes_letter_by_letter_is_not_waited_for(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    with socket.create_connection(address) as connection, pytest.raises((ConnectionResetError, BrokenPipeError)):
        trickle(connection)


@pytest.mark.parametrize("sent", [POST, POST + b"12345", CHUNKED + b"\r\n", CHUNKED + b"\r\n6\r\n12345"])
def test_a_body_that_does_not_come_is_not_waited_for(
    address: Address, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.2)
    assert_refused(exchange(address, sent), 408)


def test_a_document_has_the_time_of_a_body_for_each_piece(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "BODY_SECONDS", 1)
    with socket.create_connection(address) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n")
        for letter in b"in piece":
            time.sleep(0.3)
            connection.sendall(bytes([letter]))
        assert connection.recv(65536).endswith(b"in piece")
    sent = b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nin"
    assert_refused(exchange(address, sent), 408)


def test_a_document_that_is_answered_already_is_not_waited_for(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.3)
    with socket.create_connection(address) as connection:
        connection.sendall(b"PUT /wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_letters(connection)


def test_a_request_whose_answer_has_no_body_is_not_waited_for_either(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.2)
    answer = exchange(address, POST.replace(b"POST", b"HEAD"))
    assert b"\r\n\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_the_second_request_of_a_connection_is_not_waited_for_longer(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    answer = exchange(address, GET + GET[:20])
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    first, _, second = answer.partition(b"answered")
    assert first.endswith(b"\r\n\r\n")
    assert_refused(second, 408)


def test_a_connection_between_two_requests_and_a_request_in_work_are_left_alone(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.2)
    with closing(http.client.HTTPConnection(*address)) as connection:
        for path in ("/", "/wait", "/"):
            connection.request("GET", path)
            assert connection.getresponse().read() == b"answered"
            time.sleep(0.5)


def test_a_client_that_takes_nothing_of_its_answer_is_left(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALL_SECONDS", 0.2)
    with socket.create_connection(address) as connection:
        connection.sendall(GET.replace(b"/ ", b"/large ", 1))
        assert connection.recv(12) == b"HTTP/1.1 200"
        time.sleep(1)
        assert sum(map(len, iter(lambda: connection.recv(65536), b""))) < len(LARGE)


def test_a_client_that_takes_next_to_nothing_is_left(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "STALL_BYTES", 25_000_000)
    with socket.create_connection(address) as connection:
        connection.sendall(GET.replace(b"/ ", b"/large ", 1))
        received = 0
        while part := connection.recv(1_000_000):
            received += len(part)
            time.sleep(0.05)  # at most 10 MB until the server looks
    assert received < len(LARGE)


def test_of_clients_that_take_too_much_time_together_the_one_that_takes_longest_is_left(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_UNREAD_BYTES", 2 * len(LARGE))
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(address)) for _ in range(3)]
        for connection in slow:
            connection.sendall(LAST_GET.replace(b"/ ", b"/large ", 1))
            assert connection.recv(12) == b"HTTP/1.1 200"
        first, *others = (sum(map(len, iter(functools.partial(each.recv, 65536), b""))) for each in slow)
    assert first < len(LARGE)
    assert min(others) > len(LARGE)  # with their heads


def test_a_client_that_takes_its_answer_slowly_gets_all_of_it(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "STALL_SECONDS", 1)
    with closing(http.client.HTTPConnection(*address)) as connection:
        connection.request("GET", "/large")
        response, received = connection.getresponse(), 0
        while part := response.read(500_000):
            received += len(part)
            time.sleep(0.05)
    assert received == len(LARGE)


@pytest.mark.parametrize(
    "sent",
    [
        CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0\r\nHost: localhost\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0, 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"PUT /v1/documents/a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: example.org\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        CHUNKED + b"\r\nmany\r\n",
    ],
)
def test_a_request_that_could_be_read_in_two_ways_is_refused_and_so_is_what_follows(
    address: Address, sent: bytes
) -> None:
    assert_refused(exchange(address, sent + GET), 400)


def test_what_was_going_to_be_answered_otherwise_is_refused_once_and_nothing_is_logged(
    address: Address, caplog: pytest.LogCaptureFixture
) -> None:
    sent = CHUNKED.replace(b"POST /", b"POST /at-once") + b"\r\nmany\r\n"
    assert_refused(exchange(address, sent), 400)
    assert exchange(address, LAST_GET).endswith(b"answered")  # what the request before left to do is done
    assert caplog.records == []


def header(number: int, value: bytes = b"b") -> bytes:
    return b"X-%d: %s\r\n" % (number, value)


@pytest.mark.parametrize(
    "headers",
    [
        b"".join(header(number) for number in range(100)),
        b"".join(header(number) for number in range(20_000)),
        header(1, b"a" * 33_000),
        header(1, b"a" * 300_000),
        b"".join(header(number, b"a" * 1_000) for number in range(40)),
    ],
    ids=["101", "20,000", "33 KB", "300 KB", "40 KB"],
)
def test_a_head_that_is_too_large_is_refused(address: Address, headers: bytes) -> None:
    answer = exchange(address, GET[:-2] + headers + b"\r\n")
    assert_refused(answer, 431)
    assert b"at most 100 headers and 32,768 bytes" in answer


def test_a_head_that_never_ends_is_refused(address: Address) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(GET[:-2] + b"X: ")
        for _ in range(40):
            connection.sendall(b"a" * 1_000)
        assert_refused(b"".join(iter(lambda: connection.recv(65536), b"")), 431)


@pytest.mark.parametrize(
    "headers",
    [b"".join(header(number) for number in range(99)), header(1, b"a" * 32_000)],
    ids=["100", "32 KB"],
)
def test_a_head_that_is_large_is_read(address: Address, headers: bytes) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(GET[:-2] + headers + b"\r\n")
        assert connection.recv(65536).endswith(b"answered")


def test_beyond_the_limit_the_connection_that_has_waited_longest_makes_room(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        waiting = [stack.enter_context(socket.create_connection(address)) for _ in range(3)]
        exchange(address, LAST_GET)  # so that the server has taken all three in
        waiting[0].sendall(GET)  # answered, so that it has waited for less long than the others
        assert waiting[0].recv(65536).endswith(b"answered")
        working = stack.enter_context(socket.create_connection(address))
        working.sendall(GET.replace(b"/ ", b"/wait ", 1))
        waiting[2].sendall(GET[:20])  # half a head, which is no request
        monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 4)
        for closed in (waiting[1], waiting[2]):
            new = stack.enter_context(socket.create_connection(address))
            new.sendall(GET)
            assert new.recv(65536).endswith(b"answered")
            assert closed.recv(1) == b""
        assert working.recv(65536).endswith(b"answered")
        waiting[0].sendall(GET)
        assert waiting[0].recv(65536).endswith(b"answered")


def test_the_limit_of_connections_leaves_descriptors_for_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, connections in {100: 50, 1_024: 768, 1_000_000: 4_096}.items():
        monkeypatch.setattr("resource.getrlimit", lambda _, limit=limit: (limit, limit))
        assert protocol.connection_limit() == connections


@pytest.mark.parametrize(("sent", "begin", "end"), [(GET, b"HTTP/1.1 200 OK\r\n", b"answered"), (b"", b"", b"")])
def test_a_connection_that_is_taken_in_while_the_server_stops_is_closed_behind_its_answer(
    sent: bytes, begin: bytes, end: bytes
) -> None:
    async def ask() -> bytes:
        server = protocol.http_server(Starlette(routes=ROUTES))
        server.config.load()
        server.server_state.stopping = True
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol.StrictProtocol(server.config, server.server_state, {}), theirs
        )
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(sent)
        try:
            return await reader.read()
        finally:
            writer.close()

    answer = asyncio.run(ask())
    assert answer.startswith(begin)
    assert answer.endswith(end)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such filter")
def test_who_waits_to_be_accepted_is_accepted_and_nobody_else_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        waiting = stack.enter_context(socket.create_connection(listener.getsockname()))
        protocol.drop_new_connections(listener)
        with pytest.raises(TimeoutError):
            socket.create_connection(listener.getsockname(), timeout=0.5)
        accepted = stack.enter_context(listener.accept()[0])
        waiting.sendall(b"asked")
        assert accepted.recv(5) == b"asked"
        accepted.sendall(b"answered")
        assert waiting.recv(8) == b"answered"


def test_what_was_sent_before_the_server_stops_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 1)
    with ExitStack() as stack:
        with listening(Starlette(routes=ROUTES)) as address:
            working, idle, half, silent = (stack.enter_context(socket.create_connection(address)) for _ in range(4))
            working.sendall(GET.replace(b"/ ", b"/wait ", 1))
            idle.sendall(GET)
            assert idle.recv(65536).endswith(b"answered")
            half.sendall(GET[:20])
            last = stack.enter_context(socket.create_connection(address))
            last.sendall(GET)
            stop = stack.enter_context(ThreadPoolExecutor(1)).submit(send_later, idle, half)
        stop.result()
        for connection in (working, idle, half, last):
            answer = b"".join(iter(functools.partial(connection.recv, 65536), b""))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"answered")
        assert silent.recv(1) == b""


def test_what_takes_too_long_when_the_server_stops_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(protocol, "STOP_SECONDS", 1)
    monkeypatch.setattr(protocol, "DROP_SECONDS", 30)
    with ExitStack() as stack:
        with listening(Starlette(routes=ROUTES)) as address:
            late, begun = (stack.enter_context(socket.create_connection(address)) for _ in range(2))
            late.sendall(GET.replace(b"/ ", b"/wait-longer ", 1))
            begun.sendall(GET.replace(b"/ ", b"/begin ", 1))
            assert begun.recv(65536).endswith(b"begun\r\n")
        answer, rest = (b"".join(iter(functools.partial(each.recv, 65536), b"")) for each in (late, begun))
    assert_refused(answer, 503)
    assert b"retry-after: 1\r\n" in answer.lower()
    assert rest == b""
    assert caplog.records == []


def send_later(idle: socket.socket, half: socket.socket) -> None:
    time.sleep(0.5)  # the server stops
    half.sendall(GET[20:])
    idle.sendall(GET)


def test_a_thousand_slow_clients_keep_nobody_waiting(documents: Path, seed_index: Path) -> None:
    half_a_head = b"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    half_a_body = half_a_head + b'Content-Length: 30\r\n\r\n{"question":'
    with descriptors(), running(documents, seed_index) as server, ExitStack() as slow:
        for number in range(SLOW):
            connection = slow.enter_context(socket.create_connection(server.address))
            connection.sendall(half_a_body if number % 2 else half_a_head)

        def ask(number: int) -> int:
            with closing(http.client.HTTPConnection(*server.address)) as connection:
                connection.request("GET", f"/v1/ask?question=Who+met+minister+{number}?&mode=fast")
                return connection.getresponse().status

        with ThreadPoolExecutor(4) as pool:
            statuses = list(pool.map(ask, range(200)))
    assert statuses.count(200) >= 198
