"""An assistant program: the SDK's own client, on either transport."""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx2
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

Result = TypeVar("Result")
Connect = Callable[[], AbstractAsyncContextManager[Client]]
# The revision that asks for nothing before its first request, and those that shake hands.
ERAS = ["auto", "legacy"]


def over_http(url: str, era: str = "auto", headers: dict[str, str] | None = None) -> Connect:
    """Return what connects to a server."""

    @asynccontextmanager
    async def connect() -> AsyncIterator[Client]:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era) as client,
        ):
            yield client

    return connect


def over_stdio(index: Path, documents: Path, era: str = "auto") -> Connect:
    """Return what starts a server of an index, and connects to it."""
    return over_command("mcp", "--index", str(index), "--documents", str(documents), era=era)


def over_command(*arguments: str, era: str = "auto") -> Connect:
    """Return what runs the command ``sourceline``, and connects to it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOURCELINE_")}
    parameters = StdioServerParameters(command=sys.executable, args=["-m", "sourceline", *arguments], env=environment)
    return lambda: Client(stdio_client(parameters), mode=era)


def talk(connect: Connect, conversation: Callable[[Client], Awaitable[Result]]) -> Result:
    """Connect, talk, and leave; return what came of it."""

    async def run() -> Result:
        async with connect() as client:
            return await conversation(client)

    return anyio.run(run)


def call(connect: Connect, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool; return its result, which must fit the tool's schema."""

    async def conversation(client: Client) -> dict[str, Any]:
        await client.list_tools()  # then the client holds the result to the tool's schema
        result = await client.call_tool(tool, arguments)
        text = text_of(result)
        assert not result.is_error, text
        structured = result.structured_content
        assert isinstance(structured, dict)
        return structured

    return talk(connect, conversation)


def fail(connect: Connect, tool: str, **arguments: Any) -> str:
    """Call a tool that fails; return what it tells the assistant."""
    result = talk(connect, lambda client: client.call_tool(tool, arguments))
    assert result.is_error
    assert result.structured_content is None
    return text_of(result)


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text
