"""The index: what is served, and rebuilding it."""

from dataclasses import asdict

from fastapi import APIRouter

from sourceline.server.errors import responses
from sourceline.server.live_index import LiveIndex
from sourceline.server.models import IndexResponse, RebuildBody, SnapshotBody
from sourceline.server.rebuilds import Rebuilds, RebuildStatus


def index_routes(live_index: LiveIndex, rebuilds: Rebuilds) -> APIRouter:
    """Return the routes that show and rebuild the index."""
    router = APIRouter(tags=["index"], responses=responses(421, 401, 503))

    @router.get("/v1/index", response_model_exclude_none=True)
    def get_index() -> IndexResponse:
        """Return the snapshot that is served, and the state of the last rebuild."""
        manifest = live_index.searcher.snapshot.manifest
        known = {name: getattr(manifest, name) for name in SnapshotBody.model_fields}
        return IndexResponse(snapshot=SnapshotBody(**known), rebuild=_rebuild(rebuilds.status))

    @router.post("/v1/index/rebuild", status_code=202, response_model_exclude_none=True, responses=responses(409, 413))
    def rebuild_index() -> RebuildBody:
        """Start a rebuild in a process of its own; follow it at `/v1/index`."""
        return _rebuild(rebuilds.start())

    return router


def _rebuild(status: RebuildStatus) -> RebuildBody:
    return RebuildBody.model_validate(asdict(status))
