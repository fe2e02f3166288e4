"""Who may ask: everyone on loopback; elsewhere those who hold the key."""

import hmac
import re
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from sourceline.server.errors import problem
from sourceline.server.loopback import is_loopback

# The page holds nothing of the documents; it asks for the key and sends it with what it asks.
_OPEN = {"/healthz", "/readyz", "/"}
_OPEN_FOLDER = "/static/"


class KeyMiddleware:
    """Lets requests through that carry ``Authorization: Bearer KEY``."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._expected = f"Bearer {api_key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 to requests without the key."""
        if scope["type"] == "http" and scope["path"] not in _OPEN and not scope["path"].startswith(_OPEN_FOLDER):
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                refused = problem(401, "send the key: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)


class LoopbackHostMiddleware:
    """Lets requests through that are meant for this machine.

    Without it a page of a site whose name is made to point to 127.0.0.1 could read the documents, in a browser here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 421 to requests for another host."""
        if scope["type"] == "http" and not _is_this_machine(dict(scope["headers"]).get(b"host", b"")):
            await problem(421, "without a key only requests for localhost are answered")(scope, receive, send)
            return
        await self._app(scope, receive, send)


@lru_cache(maxsize=64)  # a client sends the same one with each request
def _is_this_machine(host: bytes) -> bool:
    name = re.sub(r":\d*$", "", host.decode("latin-1")).strip("[]").lower()
    return is_loopback(name) or name.endswith(".localhost")
