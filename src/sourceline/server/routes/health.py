"""Alive, ready, measured."""

from fastapi import APIRouter
from starlette.responses import Response

from sourceline.server.errors import responses
from sourceline.server.live_index import LiveIndex
from sourceline.server.metrics import Metrics
from sourceline.server.models import Health


def health_routes(live_index: LiveIndex, metrics: Metrics) -> APIRouter:
    """Return the routes for those who run the server."""
    router = APIRouter(tags=["operation"], responses=responses(421))

    @router.get("/healthz")
    async def is_alive() -> Health:
        """Answer as long as the process is alive."""
        return Health()

    @router.get("/readyz", responses=responses(503))
    async def is_ready() -> Health:
        """Answer once questions are answered."""
        assert live_index.searcher
        return Health()

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **responses(401)})
    async def get_metrics() -> Response:
        """Return counts and times in Prometheus' text format."""
        return Response(metrics.text(live_index.searcher.snapshot), media_type=metrics.MEDIA_TYPE)

    return router
