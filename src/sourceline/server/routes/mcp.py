"""The Model Context Protocol, for assistant programs."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sourceline.server.mcp import MISSING, is_installed
from sourceline.server.mcp.http import McpEndpoint

# JSON-RPC describes itself, and OpenAPI could not.
router = APIRouter(include_in_schema=False)


# Only POST: an answer is no stream of events, and there are no sessions to end.
@router.post("/mcp")
async def mcp(request: Request) -> Response:
    """Answer a request of MCP's streamable HTTP transport."""
    if not is_installed():
        raise HTTPException(HTTPStatus.NOT_IMPLEMENTED, MISSING)
    endpoint: McpEndpoint = request.app.state.mcp
    return await endpoint.response()
