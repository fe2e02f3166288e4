"""Uvicorn's HTTP/1.1, with deadlines for slow clients, stricter about what it accepts, and ending without a reset."""

import asyncio
import ctypes
import resource
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from sourceline.server.errors import REQUEST_ID, problem
from sourceline.server.middleware import new_request_id

# How long a client may take to send the head of a request, from its first byte or from connecting, and then the body.
# The body of PUT is a document, which may be large: each piece of it has that time, as long as it is not answered.
HEAD_SECONDS = 10
BODY_SECONDS = 30
# The head of a request. The longest that is of use asks a question of 2,000 characters in a link: 24,000 bytes where
# each character is four bytes, escaped. Browsers send some 20 headers, proxies add a few.
MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100
# How long a connection is kept between two requests.
IDLE_SECONDS = 30
# How much a client must read of its answer in how long: an answer may be megabytes, which are kept until it has them.
STALL_SECONDS = 30
STALL_BYTES = 64 * 1024
# How much of its answers a process keeps for slow clients in all. Beyond it, the one that has taken longest makes room.
MAX_UNREAD_BYTES = 64_000_000
# How many connections a process keeps, each some 20 KB. Beyond them, the one that has waited longest makes room.
MAX_CONNECTIONS = 4_096
# Descriptors that are left for everything else: files of the index, a new snapshot beside the old one, a rebuild.
RESERVED_DESCRIPTORS = 256
# When the server stops: how long running requests may take until they are refused, how long after that what still works
# on them is waited for, and how long a connection without one is kept, so that a request on its way is still answered.
STOP_SECONDS = 5
DROP_SECONDS = 2
LINGER_SECONDS = 0.5
# Of Linux's <asm-generic/socket.h> and <linux/bpf_common.h>; Python has no names for them.
SO_ATTACH_FILTER = 26
BPF_RETURN = 0x06


def http_server(app: ASGIApp) -> "DrainingServer":
    """Return what serves an app."""
    config = uvicorn.Config(
        app,
        http=StrictProtocol,
        ws="none",
        # To Sourceline's own log. What uvicorn warns of is requests that are no HTTP, which anybody can send in masses.
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS + DROP_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )
    return DrainingServer(config)


class State(ServerState):
    """What the connections of a server share."""

    stopping = False


class DrainingServer(uvicorn.Server):
    """Answers what has been sent before it stops: closing a connection with bytes that were not read would reset it.

    ``when_ready`` is called once it answers, ``before_stop`` before the last connections are taken in.
    """

    server_state: State

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = State()
        self.when_ready: Callable[[], None] = lambda: None
        self.before_stop: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer, and say so."""
        await super().startup(sockets)
        self.when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in the connections that wait to be accepted, then listen no more and end as uvicorn does."""
        self.before_stop()
        self.server_state.stopping = True
        waiting = [connection for listener in sockets or () for connection in _accept_all(listener)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)
        refusal = loop.call_later(STOP_SECONDS, self._refuse_unanswered)
        await super().shutdown(sockets)
        refusal.cancel()

    def _refuse_unanswered(self) -> None:
        """Answer 503 to what takes too long. Uvicorn would cancel it, and answer 500 because that is an exception."""
        for connection in list(self.server_state.connections):
            cast(StrictProtocol, connection).refuse_unanswered()

    def _protocol(self) -> "StrictProtocol":
        return StrictProtocol(self.config, self.server_state, self.lifespan.state)


def drop_new_connections(listener: socket.socket) -> None:
    """Have Linux drop what asks for a connection; what waits to be accepted goes on waiting. Elsewhere, do nothing.

    Else one more may come between the last that is accepted and the end of the listener, and would be reset. A client
    that is dropped asks again after a second, and is refused, or served by the next server.
    """
    if sys.platform == "linux":
        drop_all = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RETURN, 0, 0, 0))
        program = struct.pack("HP", 1, ctypes.addressof(drop_all))
        with suppress(OSError):  # a sandbox may have no packet filters
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def _accept_all(listener: socket.socket) -> Iterator[socket.socket]:
    with suppress(OSError):  # there is none left
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection


class StrictProtocol(H11Protocol):
    """Closes a connection when a request does not arrive, or its answer is not read, in time."""

    server_state: State

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: State,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn: _StrictConnection = _StrictConnection(h11.SERVER, MAX_HEAD_BYTES)
        self._refused = False
        # Since when the client has had the word: it is to send a request, or the rest of one.
        self.waits_since: float | None = None
        # Since when the client has had more of its answer to read than the system keeps for it.
        self.reads_since: float | None = None
        # The client's state, the request before, if any, and the piece of a document.
        self._awaited: tuple[object, object, object] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stall_check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Await the first head."""
        super().connection_made(cast(asyncio.Transport, transport))  # what asyncio gives to stream protocols
        self.waits_since = self.loop.time()
        self._set_deadline()
        if len(self.connections) > connection_limit():
            self._make_room()
        if self.server_state.stopping:  # it was accepted while the others were told
            self.shutdown()

    def data_received(self, data: bytes) -> None:
        """Await what comes next."""
        if self._refused:
            return
        super().data_received(data)
        if self.cycle and not self.cycle.response_complete:
            if self.server_state.stopping:
                self._make_last()
            if self.conn.their_state is not h11.SEND_BODY:
                self.waits_since = None
        self._set_deadline()

    def on_response_complete(self) -> None:
        """Await the next head, if it has begun to arrive."""
        self.waits_since = self.loop.time()
        super().on_response_complete()
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers."""
        self.reads_since = None
        super().connection_lost(exc)
        for timer in (self._deadline, self._stall_check):
            if timer:
                timer.cancel()

    def shutdown(self) -> None:
        """Close the connection once it is answered; without a request, after a moment in which one may arrive."""
        if self.cycle and not self.cycle.response_complete:
            self._make_last()
        else:
            self.loop.call_later(LINGER_SECONDS, self._close_if_idle)

    def refuse_unanswered(self) -> None:
        """Answer 503, if the answer to a request has not begun."""
        if self.cycle and not self.cycle.response_complete:
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, "the server stops: try again in a moment", {"Retry-After": "1"}
            )

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, also if its client has not read the end of the last answer."""
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def pause_writing(self) -> None:
        """Check after a while whether the client has read anything of its answer."""
        super().pause_writing()
        self.reads_since = self.loop.time()
        self._limit_unread()
        self._check_later(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Stop checking: the client reads."""
        super().resume_writing()
        self.reads_since = None
        if self._stall_check:
            self._stall_check.cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP. Uvicorn would answer in plain text."""
        if self.conn.is_head_too_large:
            detail = f"the head of a request has at most {MAX_HEADERS} headers and {MAX_HEAD_BYTES:,} bytes"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "this is not a valid HTTP request")

    def _make_last(self) -> None:
        """Close the connection behind the answer that is due, and say so in it, as if the client had asked for that."""
        self.cycle.keep_alive = False
        if CLOSE_HEADER not in self.cycle.scope["headers"]:
            self.cycle.scope["headers"] = [*self.cycle.scope["headers"], CLOSE_HEADER]

    def _close_if_idle(self) -> None:
        if not self.cycle or self.cycle.response_complete:
            self.transport.close()

    def _make_room(self) -> None:
        """Close the connection that has waited longest for its client to send a request."""
        waiting = ((since, other) for other in self.connections if (since := getattr(other, "waits_since", None)))
        _, longest = min(waiting, key=lambda each: each[0], default=(None, self))
        longest.transport.abort()

    def _limit_unread(self) -> None:
        """Close the connections whose clients have been reading for longest, until no more than the limit is kept."""
        reading = [(since, other) for other in self.connections if (since := getattr(other, "reads_since", None))]
        excess = sum(other.transport.get_write_buffer_size() for _, other in reading) - MAX_UNREAD_BYTES
        for _, other in sorted(reading, key=lambda each: each[0]):
            if excess <= 0 or other is self:  # an answer may be larger than the limit by itself
                break
            excess -= other.transport.get_write_buffer_size()
            other.transport.abort()

    def _set_deadline(self) -> None:
        """Set the time for what the client is to send next, unless it is running already."""
        state = self.conn.their_state
        head_begun = state is h11.IDLE and (self.cycle is None or self.conn.trailing_data[0])
        body_begun = state is h11.SEND_BODY
        # A request that h11 refuses behind its head has neither scope nor cycle.
        is_document = body_begun and self.cycle and self.scope["method"] == "PUT" and not self.cycle.response_complete
        piece = object() if is_document else None  # equal to no other: the time begins anew
        awaited = (state, self.cycle, piece) if head_begun or body_begun else None
        if awaited == self._awaited:
            return
        self._awaited = awaited
        if self._deadline:
            self._deadline.cancel()
        if awaited:
            seconds = BODY_SECONDS if state is h11.SEND_BODY else HEAD_SECONDS
            self._deadline = self.loop.call_later(
                seconds, self._refuse, HTTPStatus.REQUEST_TIMEOUT, "the request took too long to arrive"
            )

    def _check_later(self, unsent: int) -> None:
        self._stall_check = self.loop.call_later(STALL_SECONDS, self._check_stall, unsent)

    def _check_stall(self, unsent_before: int) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent <= unsent_before - STALL_BYTES:
            self._check_later(unsent)
        else:
            self.transport.abort()

    def _refuse(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        """Answer with a problem, unless an answer has begun, and close the connection.

        What the client still sends is read and dropped for a moment: else the system would reset the connection, and
        the client might not see the answer.
        """
        self._refused = True
        request_id = new_request_id()
        if self.cycle and not self.cycle.response_complete:  # what it would still answer is too late
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            request_id = str(self.cycle.scope.get("request_id", request_id))
        headers = {"Connection": "close", REQUEST_ID: request_id, **headers}
        refusal = problem(status, detail, headers)
        raw_headers = self.server_state.default_headers + refusal.raw_headers
        response = h11.Response(status_code=status, headers=raw_headers, reason=status.phrase)
        with suppress(h11.LocalProtocolError):  # an answer has begun, or may have no body: closing says enough
            for event in (response, h11.Data(data=bytes(refusal.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.write(b"".join(self.conn.held_head))
        if not self.transport.is_closing():
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.close)


def connection_limit() -> int:
    """Return how many connections this process keeps: few enough to leave descriptors for everything else."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MAX_CONNECTIONS, max(descriptors - RESERVED_DESCRIPTORS, descriptors // 2))


class _StrictConnection(h11.Connection):
    """Refuses a head that is too large, and a request that gives its length in two ways.

    A proxy in front of the server may trust the other length.

    The head of an answer is held until its body comes, so that both are one write: each is a system call, and a chance
    for another thread to take the interpreter.
    """

    held_head: Sequence[bytes] = ()
    is_head_too_large = False

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        written = super().send_with_data_passthrough(event)
        if isinstance(event, h11.Response):
            self.held_head, written = written or (), []
        elif self.held_head and written is not None:
            self.held_head, written = (), [*self.held_head, *written]
        return written

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        awaits_head = self.their_state is h11.IDLE
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self.is_head_too_large = awaits_head and error.error_status_hint == 431
            raise
        if isinstance(event, h11.Request):
            self._check_head(event)
        return event

    def _check_head(self, request: h11.Request) -> None:
        size = len(request.target) + sum(len(name) + len(value) for name, value in request.headers)
        if size > MAX_HEAD_BYTES or len(request.headers) > MAX_HEADERS:
            self.is_head_too_large = True
            raise h11.RemoteProtocolError("the head is too large")
        if {b"content-length", b"transfer-encoding"} <= dict(request.headers).keys():
            raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
