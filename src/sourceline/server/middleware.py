"""What every request passes before it reaches a route: HEAD, access, limits."""

import hmac
import re
from functools import lru_cache

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sourceline.config import is_loopback
from sourceline.server.errors import problem

# Need no key: the page holds nothing of the documents; it asks for the key and sends it with its requests.
OPEN_PATHS = {"/healthz", "/readyz", "/"}
OPEN_FOLDER = "/static/"
# Answered even when the server is full, for those who watch it.
UNLIMITED_PATHS = {"/healthz", "/readyz", "/metrics"}


class HeadMiddleware:
    """Answers HEAD as GET, without the body: FastAPI's routes answer only the methods that they name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass HEAD on as GET and drop the body of the answer."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)


class KeyMiddleware:
    """Answers 401 to requests without ``Authorization: Bearer KEY``."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._expected = f"Bearer {api_key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if it carries the key or needs none."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS and not scope["path"].startswith(OPEN_FOLDER):
            authorization = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(authorization, self._expected):
                refusal = problem(401, "send the key: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


class LoopbackHostMiddleware:
    """Answers 421 to requests for another host than this machine.

    Without it, a page of a site whose name is made to point to 127.0.0.1 (DNS rebinding) could read the documents.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if it is for this machine."""
        if scope["type"] == "http" and not _is_this_machine(dict(scope["headers"]).get(b"host", b"")):
            await problem(421, "without an API key only requests to localhost are answered")(scope, receive, send)
            return
        await self._app(scope, receive, send)


class LimitsMiddleware:
    """Answers 503 to more than ``capacity`` requests at once, and 413 to a body of more than ``max_body_bytes``.

    A request counts once its whole body has arrived, so that slow clients keep nobody out. Starlette's own limit of
    bodies answers in plain text, and only when a route reads the body. PUT is another matter: its route has a limit of
    its own, and reads the body piece by piece.
    """

    def __init__(self, app: ASGIApp, capacity: int, max_body_bytes: int) -> None:
        self._app = app
        self._capacity = capacity
        self._max_body_bytes = max_body_bytes
        self._active = 0  # only ever changed by the event loop's thread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body read, if there is room for it."""
        if scope["type"] != "http" or scope["path"] in UNLIMITED_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            self._require_capacity()
            if scope["method"] != "PUT":
                receive = _replay(await self._read_body(scope, receive), receive)
                self._require_capacity()
        except HTTPException as error:
            await problem(error.status_code, error.detail, error.headers)(scope, receive, send)
            return
        except ClientDisconnect:
            return
        self._active += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._active -= 1

    def _require_capacity(self) -> None:
        if self._active >= self._capacity:
            raise HTTPException(503, "the server is busy: try again in a moment", {"Retry-After": "1"})

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        too_long = HTTPException(413, f"the body is longer than {self._max_body_bytes:,} bytes")
        # At most 20 digits: the parser refuses more.
        content_length = dict(scope["headers"]).get(b"content-length", b"")
        if content_length.isdigit() and int(content_length) > self._max_body_bytes:
            raise too_long
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                raise too_long
            more = message.get("more_body", False)
        return bytes(body)


@lru_cache(maxsize=64)  # a client sends the same one with each request
def _is_this_machine(host: bytes) -> bool:
    name = re.sub(r":\d*$", "", host.decode("latin-1")).strip("[]").lower()
    return is_loopback(name) or name.endswith(".localhost")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receive() that replays the body, which was read already, then passes on what comes after it."""
    replayed = False

    async def receive_again() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
