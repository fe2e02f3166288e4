"""Answers MCP over streamable HTTP, each request by itself, so that any worker can answer any of them."""

import gc
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sourceline.server.live_index import LiveIndex
from sourceline.server.threads import Threads

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server


class McpEndpoint:
    """What answers a POST. The SDK is imported for the first one: a server that is not asked starts without it."""

    def __init__(self, live_index: LiveIndex, threads: Threads) -> None:
        self._live_index, self._threads = live_index, threads
        self._importing = CapacityLimiter(1)
        self._server: Server[Any] | None = None

    async def response(self) -> Response:
        """Return the answer to a request, which it reads by itself when it is sent.

        Raises:
            ModuleNotFoundError: the SDK is not installed.
        """
        if self._server is None:
            self._server = await anyio.to_thread.run_sync(self._create, limiter=self._importing)
        return _Exchange(self._server)

    def _create(self) -> "Server[Any]":
        from sourceline.server.mcp.server import create_server

        gc.freeze()  # some hundred thousand objects that stay
        return create_server(self._live_index, self._threads)


class _Exchange(Response):
    """One request and its answer. The SDK's manager is its own, too: what ends the request ends all that it started."""

    def __init__(self, server: "Server[Any]") -> None:
        super().__init__()
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        # JSON, no stream of events: nothing is told before the answer.
        manager = StreamableHTTPSessionManager(self._server, json_response=True, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receive, send)
