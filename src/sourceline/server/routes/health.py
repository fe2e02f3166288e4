"""Alive, ready, measured."""

from fastapi import APIRouter
from starlette.responses import Response

from sourceline.server.metrics import Metrics
from sourceline.server.problems import responses
from sourceline.server.schemas.problems import Health
from sourceline.server.serving import Serving


def health_routes(serving: Serving, metrics: Metrics) -> APIRouter:
    """Return the routes for those who run the server."""
    router = APIRouter(tags=["operation"], responses=responses(421))

    @router.get("/healthz")
    async def is_alive() -> Health:
        """Answer as long as the process is alive."""
        return Health()

    @router.get("/readyz", responses=responses(503))
    async def is_ready() -> Health:
        """Answer once questions are answered."""
        assert serving.searcher
        return Health()

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **responses(401)})
    async def get_metrics() -> Response:
        """Return counts and times in Prometheus' text format."""
        return Response(metrics.text(serving.searcher.generation), media_type=metrics.MEDIA_TYPE)

    return router
