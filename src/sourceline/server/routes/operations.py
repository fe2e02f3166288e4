"""For those who run the server: alive, ready, measured."""

from typing import Any

import anyio
import anyio.to_thread
from fastapi import APIRouter
from starlette.responses import Response

from sourceline.server.errors import problems
from sourceline.server.metrics import MEDIA_TYPE
from sourceline.server.models import HealthResponse
from sourceline.server.routes import LiveIndexDependency, MetricsDependency, RebuildsDependency

router = APIRouter(tags=["operations"], responses=problems(421, 431))

_ASKING = anyio.CapacityLimiter(1)
_NO_KEY: dict[str, Any] = {"security": []}
_METRICS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"example": 'sourceline_request_seconds_count{route="/v1/ask"} 42.0\n'}}}
}


# Coroutines: they answer even when every thread is busy.
@router.get("/healthz", openapi_extra=_NO_KEY)
async def is_alive() -> HealthResponse:
    """Answer as long as the process is alive."""
    return HealthResponse()


@router.get("/readyz", openapi_extra=_NO_KEY, responses=problems(503))
async def is_ready(live_index: LiveIndexDependency) -> HealthResponse:
    """Answer once questions are answered."""
    assert live_index.index.snapshot  # raises if the index is closed
    return HealthResponse()


@router.get("/metrics", response_class=Response, responses={**_METRICS, **problems(401, 403, 429)})
async def get_metrics(
    live_index: LiveIndexDependency, rebuilds: RebuildsDependency, metrics: MetricsDependency
) -> Response:
    """Return counts and times in Prometheus' text format."""
    # In a thread of its own: a database may be asked for it, and may not answer.
    is_building = await anyio.to_thread.run_sync(lambda: rebuilds.is_building, limiter=_ASKING)
    return Response(metrics.text(live_index.index.snapshot, is_building), media_type=MEDIA_TYPE)
