"""What every request passes before it reaches a route: its id, HEAD, where it comes from, access, limits."""

import asyncio
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import urlsplit

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sourceline.config import is_loopback
from sourceline.logs import request_fields
from sourceline.server.errors import REQUEST_ID, DifyCode, busy, problem
from sourceline.server.keys import Keys, RateLimiter, has_scope, lacks_scope, required_scope
from sourceline.server.metrics import Metrics

# The page itself, and how the API is used. Need no key and may be linked: they hold nothing of the documents; the page
# asks for the key and sends it.
OPEN_PATHS = {"/healthz", "/readyz", "/", "/docs", "/openapi.json", "/llms.txt"}
OPEN_FOLDER = "/static/"
RETRIEVAL_PATH = "/retrieval"
SEND_KEY = "send the key: Authorization: Bearer KEY"
# Answered even when the server is full, for those who watch it.
UNLIMITED_PATHS = {"/healthz", "/readyz", "/metrics"}
KINDS = ("ask", "ask/batch", "citations", "verify", "documents", "edits", "mcp", "rest")
# Kinds whose answers may be megabytes each, kept while a slow client reads them. They have a quarter of the places.
LARGE_KINDS = {"documents", "citations", "ask/batch", "verify", "mcp"}
LARGE_SHARE = 4
# What others give as an id: UUIDs, ULIDs, trace ids, those of proxies. Nothing that a log or a shell could take amiss.
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._:=@+/-]{1,128}")


class RequestIdMiddleware:
    """Gives each request an id, or keeps the one it came with, and returns it as ``X-Request-ID``.

    What is logged while the request is answered names it, in threads that work for it, too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id in ``scope["request_id"]``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(REQUEST_ID.lower().encode(), b"")
        request_id = given.decode("ascii") if _GIVEN_ID.fullmatch(given) else new_request_id()
        scope["request_id"] = request_id  # in place: what answers the unexpected stands further out
        request_fields.set({"request_id": request_id})
        await self._app(scope, receive, _with_headers(send, {REQUEST_ID: request_id}))


def new_request_id() -> str:
    """Return an id that no other request has. It is no secret, so that the system need not be asked for randomness."""
    return f"{random.getrandbits(128):032x}"


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Return a ``send`` that adds headers to the answer."""
    added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return send_with_headers


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


class SiteMiddleware:
    """Answers 403 to what a page of another site has a browser send, unless its origin is allowed.

    Without it, any page that somebody on this machine looks at could ask questions and start rebuilds. Programs send
    neither ``Origin`` nor ``Sec-Fetch-Site``, and pass. So does a link that is followed from elsewhere.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Sequence[str]) -> None:
        self._app = app
        self._allowed = {origin.encode() for origin in allowed_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if no other site has sent it."""
        if scope["type"] == "http" and not _is_open(scope) and self._is_foreign(scope):
            await problem(403, "a page of another site may not use this: see allowed_origins")(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_foreign(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if origin in self._allowed:
            return False
        if site is None:  # no browser, an old one, or one that does not trust the address
            # However the scheme: a proxy in front of the server may speak TLS.
            return origin is not None and origin.lower().partition(b"://")[2] != headers.get(b"host", b"").lower()
        if site in (b"same-origin", b"none"):
            return False
        follows_link = headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
        return not (follows_link and scope["method"] == "GET")


class KeyMiddleware:
    """Answers 401 to requests without ``Authorization: Bearer KEY``, 429 to a key that sends too many, 403 beyond its
    scopes; to Dify 403 instead of 401, as it wants it.
    """

    def __init__(self, app: ASGIApp, keys: Keys, limiter: RateLimiter) -> None:
        self._app = app
        self._keys, self._limiter = keys, limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its key in ``scope["api_key"]``, if that may do so or none is needed."""
        if scope["type"] != "http" or _is_open(scope):
            await self._app(scope, receive, send)
            return
        scheme, _, secret = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        has_key = scheme.lower() == b"bearer"
        key = self._keys.find(secret) if has_key else None
        if key is None:
            if scope["path"] == RETRIEVAL_PATH:
                code = DifyCode.WRONG_KEY if has_key else DifyCode.NO_KEY
                refusal = problem(403, SEND_KEY, dify_code=code)
            else:
                refusal = problem(401, SEND_KEY, {"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)
            return
        scope["api_key"] = key
        request_fields.set({**request_fields.get(), "key": key.name})
        if key.rate_limit:
            allowance = self._limiter.take(key)
            send = _with_headers(send, allowance.headers)
            if not allowance.allowed:
                detail = f"this key may send {allowance.limit:,} requests a minute: try again in {allowance.wait} s"
                await problem(429, detail, {"Retry-After": str(allowance.wait)})(scope, receive, send)
                return
        app = _missing_scope(scope) or self._app
        await app(scope, receive, send)


def _missing_scope(scope: Scope) -> Response | None:
    """Return the refusal of a request whose key has not the scope that it needs."""
    needed = required_scope(scope["method"], scope["path"])
    if needed is None or has_scope(scope, needed):
        return None
    dify_code = DifyCode.WRONG_KEY if scope["path"] == RETRIEVAL_PATH else None
    challenge = f'Bearer error="insufficient_scope", scope="{needed}"'  # of RFC 6750
    return problem(403, lacks_scope(needed), {"WWW-Authenticate": challenge}, dify_code=dify_code)


class LoopbackHostMiddleware:
    """Answers 421 to requests for another host than this machine, or than that of an origin that is allowed.

    Without it, a page of a site whose name is made to point to 127.0.0.1 (DNS rebinding) could read the documents: for
    the browser, it would be a page of this server.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Sequence[str]) -> None:
        self._app = app
        self._allowed = {urlsplit(origin).netloc.encode() for origin in allowed_origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if it is for this machine."""
        if scope["type"] == "http":
            host = dict(scope["headers"]).get(b"host", b"")
            if not _is_this_machine(host) and host.lower() not in self._allowed:
                await problem(421, "without an API key only requests to localhost are answered")(scope, receive, send)
                return
        await self._app(scope, receive, send)


class LimitsMiddleware:
    """Answers 503 to more than ``capacity`` requests of a kind at once, and 413 to a body of over ``max_body_bytes``.

    Each kind has places of its own (questions, batches of them, citations, texts to verify, documents, edits, MCP,
    the rest), so that none keeps another out.

    A request counts once its whole body has arrived, so that slow clients keep nobody out. Starlette's own limit of
    bodies answers in plain text, and only when a route reads the body. PUT is another matter: its route has a limit of
    its own, and reads the body piece by piece.

    When the client leaves, what has not been begun for it is dropped.
    """

    def __init__(self, app: ASGIApp, capacity: int, max_body_bytes: int, metrics: Metrics) -> None:
        self._app = app
        self._places = {kind: max(1, capacity // LARGE_SHARE) if kind in LARGE_KINDS else capacity for kind in KINDS}
        self._max_body_bytes = max_body_bytes
        self._metrics = metrics
        metrics.set_places(self._places)
        self._active: dict[str, int] = {}  # only ever changed by the event loop's thread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body read, if there is room for it."""
        if scope["type"] != "http" or scope["path"] in UNLIMITED_PATHS:
            await self._app(scope, receive, send)
            return
        kind, body = _kind(scope), None
        try:
            _require_plain(scope)
            self._require_place(kind)
            if scope["method"] != "PUT":
                body = await self._read_body(scope, receive)
                self._require_place(kind)
        except HTTPException as error:
            await problem(error.status_code, error.detail, error.headers)(scope, receive, send)
            return
        except ClientDisconnect:
            return
        with self._place(kind):
            if body is None:
                await self._app(scope, receive, send)
            else:
                await _drop_if_left(self._app, scope, body, receive, send)

    @contextmanager
    def _place(self, kind: str) -> Iterator[None]:
        self._active[kind] = self._active.get(kind, 0) + 1
        try:
            with self._metrics.active[kind].track_inprogress():
                yield
        finally:
            self._active[kind] -= 1

    def _require_place(self, kind: str) -> None:
        if self._active.get(kind, 0) >= self._places[kind]:
            self._metrics.refused[kind].inc()
            raise busy()

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


def _is_open(scope: Scope) -> bool:
    path: str = scope["path"]
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def _kind(scope: Scope) -> str:
    """Return the kind of a request. Many questions at once are not of the kind of one."""
    path: str = scope["path"]
    if path.startswith("/v1/documents"):
        return "edits" if scope["method"] in ("PUT", "DELETE") else "documents"
    if path in ("/mcp", RETRIEVAL_PATH):
        return "mcp" if path == "/mcp" else "ask"
    return next(
        (kind for kind in ("ask/batch", "ask", "citations", "verify") if path.startswith(f"/v1/{kind}")), "rest"
    )


def _require_plain(scope: Scope) -> None:
    """Refuse a path that no route can mean, and a body that would have to be unpacked first.

    Patterns of routes end before a line end, so that they would take ``/v1/documents/a.txt%0A`` for ``a.txt``.
    """
    if "\n" in scope["path"]:
        raise HTTPException(404, HTTPStatus.NOT_FOUND.phrase)
    if dict(scope["headers"]).get(b"content-encoding", b"identity").lower() != b"identity":
        raise HTTPException(415, "send the body as it is, without Content-Encoding")


async def _drop_if_left(app: ASGIApp, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
    """Pass a request on whose body was read already; if its client leaves before the answer begins, cancel it.

    What waits for a thread is not begun then; a thread that runs is waited for, so that there are never more of them.
    """
    left, replayed = anyio.CancelScope(), False

    async def receive_again() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def cancel_when_left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        left.cancel()

    async def send_to_the_end(answer: Message) -> None:
        watch.cancel()  # what is left to do is to send
        await send(answer)

    watch = asyncio.create_task(cancel_when_left())
    try:
        with left:
            await app(scope, receive_again, send_to_the_end)
    finally:
        watch.cancel()


@lru_cache(maxsize=64)  # a client sends the same one with each request
def _is_this_machine(host: bytes) -> bool:
    name = re.sub(r":\d*$", "", host.decode("latin-1")).strip("[]").lower()
    return is_loopback(name) or name.endswith(".localhost")
