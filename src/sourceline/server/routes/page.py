"""The pages for people."""

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from sourceline.server.assets import HEADERS, Asset, load_assets
from sourceline.server.docs import page


def page_routes(app: FastAPI) -> APIRouter:
    """Return the page, its files, and the API's description."""
    router = APIRouter(include_in_schema=False)
    assets = load_assets()

    @router.get("/")
    async def home(request: Request) -> Response:
        return _send(assets["index.html"], request)

    @router.get("/static/{name}")
    async def asset(name: str, request: Request) -> Response:
        if name not in assets:
            raise HTTPException(404, "the page has no such file")
        return _send(assets[name], request)

    @router.get("/docs")
    async def docs() -> Response:
        return HTMLResponse(page(app.openapi()), headers=HEADERS)

    return router


def _send(asset: Asset, request: Request) -> Response:
    headers = {**HEADERS, "ETag": asset.tag}
    known = request.headers.get("if-none-match", "")
    if asset.tag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, headers=headers, media_type=asset.media_type)
