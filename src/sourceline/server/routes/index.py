"""The index: what is served, and rebuilding it."""

import logging

import anyio.to_thread
from fastapi import Request
from starlette.responses import Response

from sourceline.config import Settings
from sourceline.server.errors import problems
from sourceline.server.keys import KeyScope, has_scope
from sourceline.server.live_index import LiveIndex
from sourceline.server.models import Changes, IndexResponse, RebuildStatus
from sourceline.server.rebuilds import Rebuilds
from sourceline.server.routes import (
    LiveIndexDependency,
    RebuildsDependency,
    SettingsDependency,
    ThreadsDependency,
    answer_in_thread,
    api_router,
)

router = api_router("index")
log = logging.getLogger(__name__)


@router.get("/v1/index", response_model=IndexResponse)
async def get_index(
    request: Request,
    live_index: LiveIndexDependency,
    rebuilds: RebuildsDependency,
    settings: SettingsDependency,
    threads: ThreadsDependency,
) -> Response:
    """Return the snapshot that is served, what was left out of it, how the documents differ, and the last rebuild."""
    may_edit = settings.edits_allowed and has_scope(request.scope, KeyScope.MANAGE)
    return await answer_in_thread(threads.index, lambda: _describe(live_index, rebuilds, settings, may_edit))


@router.post("/v1/index/rebuild", status_code=202, response_model_exclude_none=True, responses=problems(409))
async def rebuild_index(rebuilds: RebuildsDependency, threads: ThreadsDependency) -> RebuildStatus:
    """Start a rebuild in a process of its own; follow it at `/v1/index`."""
    status = await anyio.to_thread.run_sync(rebuilds.start, limiter=threads.index)
    log.info("a rebuild was started over HTTP")
    return status


def _describe(live_index: LiveIndex, rebuilds: Rebuilds, settings: Settings, may_edit: bool) -> IndexResponse:
    index, known = live_index.index, live_index.changes()
    changes = Changes.from_changes(known.changes, known.checked, known.error) if known else None
    return IndexResponse(
        snapshot=index.snapshot,
        changes=changes,
        reranker=index.reranker,
        threshold=settings.threshold,
        rebuild=rebuilds.status,
        questions=live_index.questions(),
        public_url=settings.public_url or None,
        allow_edits=may_edit,
    )
