"""Uvicorn's HTTP/1.1, with deadlines for slow clients and stricter about what it accepts."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from sourceline.server.errors import problem

# How long a client may take to send the head of a request, from its first byte or from connecting, and then the body.
# The body of PUT is a document, which may be large: each piece of it has that time, as long as it is not answered.
HEAD_SECONDS = 10
BODY_SECONDS = 30
# How long a connection is kept between two requests, and while a client reads nothing of its answer.
IDLE_SECONDS = 30
STALL_SECONDS = 30
# How long running requests may take to end when the server stops.
STOP_SECONDS = 5


def http_config(app: ASGIApp) -> uvicorn.Config:
    """Return how uvicorn is to serve an app."""
    return uvicorn.Config(
        app,
        http=StrictProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


class StrictProtocol(H11Protocol):
    """Closes a connection when a request does not arrive, or its answer is not read, in time."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn: _StrictConnection = _StrictConnection(h11.SERVER)
        # The client's state, the request before, if any, and the piece of a document.
        self._awaited: tuple[object, object, object] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stall_check: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Await the first head."""
        super().connection_made(cast(asyncio.Transport, transport))  # what asyncio gives to stream protocols
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        """Await what comes next."""
        super().data_received(data)
        self._set_deadline()

    def on_response_complete(self) -> None:
        """Await the next head, if it has begun to arrive."""
        super().on_response_complete()
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers."""
        super().connection_lost(exc)
        for timer in (self._deadline, self._stall_check):
            if timer:
                timer.cancel()

    def pause_writing(self) -> None:
        """Check after a while whether the client has read anything of its answer."""
        super().pause_writing()
        self._check_later(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Stop checking: the client reads."""
        super().resume_writing()
        if self._stall_check:
            self._stall_check.cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP. Uvicorn would answer in plain text."""
        self._refuse(HTTPStatus.BAD_REQUEST, "this is not a valid HTTP request")

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
        if unsent < unsent_before:
            self._check_later(unsent)
        else:
            self.transport.abort()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer with a problem, unless an answer has begun, and close the connection."""
        refusal = problem(status, detail, {"Connection": "close"})
        headers = self.server_state.default_headers + refusal.raw_headers
        response = h11.Response(status_code=status, headers=headers, reason=status.phrase)
        with suppress(h11.LocalProtocolError):  # an answer has begun, or may have no body: closing says enough
            for event in (response, h11.Data(data=bytes(refusal.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.write(b"".join(self.conn.held_head))
        self.transport.close()


class _StrictConnection(h11.Connection):
    """Refuses a request that gives its length in two ways: a proxy in front of the server may trust the other.

    The head of an answer is held until its body comes, so that both are one write: each is a system call, and a chance
    for another thread to take the interpreter.
    """

    held_head: Sequence[bytes] = ()

    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        written = super().send_with_data_passthrough(event)
        if isinstance(event, h11.Response):
            self.held_head, written = written or (), []
        elif self.held_head and written is not None:
            self.held_head, written = (), [*self.held_head, *written]
        return written

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request) and {b"content-length", b"transfer-encoding"} <= dict(event.headers).keys():
            raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
        return event
