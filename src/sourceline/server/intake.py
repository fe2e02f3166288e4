"""What is taken in: so many requests at once, with bodies of so many bytes."""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sourceline.server.errors import problem

# For those who watch the server, above all when it is full.
UNCOUNTED = {"/healthz", "/readyz", "/metrics"}


class LimitsMiddleware:
    """Answers 503 to more than ``capacity`` requests at once, and 413 to a body of more than ``most`` bytes.

    A request takes its place when all of it is here: one whose body comes slowly keeps nobody out.
    Starlette has a limit of bodies, too (``max_body_size``), but answers in plain text, and after the route has run.
    """

    def __init__(self, app: ASGIApp, capacity: int, most: int) -> None:
        self._app = app
        self._capacity = capacity
        self._most = most
        self._inside = 0  # only ever changed by the event loop's thread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body read, if there is room for it."""
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        try:
            self._require_room()
            body = await self._body(scope, receive)
            self._require_room()
        except HTTPException as refused:
            await problem(refused.status_code, refused.detail, refused.headers)(scope, receive, send)
            return
        except ClientDisconnect:
            return
        self._inside += 1
        try:
            await self._app(scope, again(body, receive), send)
        finally:
            self._inside -= 1

    def _require_room(self) -> None:
        if self._inside >= self._capacity:
            raise HTTPException(503, "more is asked than can be answered just now", {"Retry-After": "1"})

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        too_long = HTTPException(413, f"the body has more than {self._most:,} bytes")
        # At most 20 digits: the parser refuses more.
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._most:
            raise too_long
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if len(body) > self._most:
                raise too_long
            more = message.get("more_body", False)
        return bytes(body)


def again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read already, then what comes after it."""
    given = False

    async def giving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return giving
