"""The index: what is served, and rebuilding it."""

from fastapi import APIRouter

from sourceline.server.errors import problems
from sourceline.server.models import Changes, IndexResponse, RebuildStatus
from sourceline.server.routes import LiveIndexDependency, RebuildsDependency

router = APIRouter(tags=["index"], responses=problems(401, 421, 503))


@router.get("/v1/index", response_model_exclude_none=True)
def get_index(live_index: LiveIndexDependency, rebuilds: RebuildsDependency) -> IndexResponse:
    """Return the snapshot that is served, what was left out of it, how the documents differ, and the last rebuild."""
    index, known = live_index.index, live_index.changes()
    changes = Changes.from_changes(known.changes, known.checked, known.error) if known else None
    return IndexResponse(snapshot=index.snapshot, changes=changes, reranker=index.reranker, rebuild=rebuilds.status)


@router.post("/v1/index/rebuild", status_code=202, response_model_exclude_none=True, responses=problems(409, 413))
def rebuild_index(rebuilds: RebuildsDependency) -> RebuildStatus:
    """Start a rebuild in a process of its own; follow it at `/v1/index`."""
    return rebuilds.start()
