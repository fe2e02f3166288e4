"""The index: what is served, and rebuilding it."""

import logging

import anyio.to_thread
from starlette.responses import Response

from sourceline.server.errors import problems
from sourceline.server.live_index import LiveIndex
from sourceline.server.models import Changes, IndexResponse, RebuildStatus
from sourceline.server.rebuilds import Rebuilds
from sourceline.server.routes import (
    LiveIndexDependency,
    RebuildsDependency,
    ThreadsDependency,
    answer_in_thread,
    api_router,
)

router = api_router("index")
log = logging.getLogger(__name__)


@router.get("/v1/index", response_model=IndexResponse)
async def get_index(
    live_index: LiveIndexDependency, rebuilds: RebuildsDependency, threads: ThreadsDependency
) -> Response:
    """Return the snapshot that is served, what was left out of it, how the documents differ, and the last rebuild."""
    return await answer_in_thread(threads.index, lambda: _describe(live_index, rebuilds))


@router.post("/v1/index/rebuild", status_code=202, response_model_exclude_none=True, responses=problems(409))
async def rebuild_index(rebuilds: RebuildsDependency, threads: ThreadsDependency) -> RebuildStatus:
    """Start a rebuild in a process of its own; follow it at `/v1/index`."""
    status = await anyio.to_thread.run_sync(rebuilds.start, limiter=threads.index)
    log.info("a rebuild was started over HTTP")
    return status


def _describe(live_index: LiveIndex, rebuilds: Rebuilds) -> IndexResponse:
    index, known = live_index.index, live_index.changes()
    changes = Changes.from_changes(known.changes, known.checked, known.error) if known else None
    return IndexResponse(snapshot=index.snapshot, changes=changes, reranker=index.reranker, rebuild=rebuilds.status)
