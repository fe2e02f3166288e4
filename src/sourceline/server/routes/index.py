"""The index: what is served, and rebuilding it."""

from dataclasses import asdict

from fastapi import APIRouter

from sourceline.server.problems import responses
from sourceline.server.rebuild import Rebuilds
from sourceline.server.schemas.index import GenerationBody, IndexResponse, RebuildBody
from sourceline.server.serving import Serving
from sourceline.server.status import RebuildStatus


def index_routes(serving: Serving, rebuilds: Rebuilds) -> APIRouter:
    """Return the routes that show and rebuild the index."""
    router = APIRouter(tags=["index"], responses=responses(421, 401, 503))

    @router.get("/v1/index", response_model_exclude_none=True)
    def get_index() -> IndexResponse:
        """Return the generation that is served, and the state of the last rebuild."""
        manifest = serving.searcher.generation.manifest
        known = {name: getattr(manifest, name) for name in GenerationBody.model_fields}
        return IndexResponse(generation=GenerationBody(**known), rebuild=_rebuild(rebuilds.status))

    @router.post("/v1/index/rebuild", status_code=202, response_model_exclude_none=True, responses=responses(409, 413))
    def rebuild_index() -> RebuildBody:
        """Start a rebuild in a process of its own; follow it at `/v1/index`."""
        return _rebuild(rebuilds.start())

    return router


def _rebuild(status: RebuildStatus) -> RebuildBody:
    return RebuildBody.model_validate(asdict(status))
