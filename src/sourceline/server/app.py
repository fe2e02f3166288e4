"""Puts the app together."""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from sourceline import __version__
from sourceline.config import Settings
from sourceline.server import errors, models
from sourceline.server.errors import REQUEST_ID
from sourceline.server.keys import Keys, RateLimiter, required_scope
from sourceline.server.live_index import LiveIndex
from sourceline.server.mcp.http import McpEndpoint
from sourceline.server.metrics import FOLDER_VARIABLE, Metrics, MetricsMiddleware
from sourceline.server.middleware import (
    HeadMiddleware,
    KeyMiddleware,
    LimitsMiddleware,
    LoopbackHostMiddleware,
    RequestIdMiddleware,
    SiteMiddleware,
)
from sourceline.server.observing import Observers
from sourceline.server.rebuilds import Rebuilds
from sourceline.server.routes import ask, citations, documents, index, mcp, operations, pages, retrieval, verify
from sourceline.server.scrub import ScrubThread
from sourceline.server.threads import Threads
from sourceline.server.watch import WatchThread

if TYPE_CHECKING:
    from sourceline.server.telemetry import Tracing

MAX_BODY_BYTES = 64 * 1024
# Python's own thresholds of garbage collection, which ``__main__`` raises for the start.
COLLECT_AFTER = 700, 10, 10
DESCRIPTION = "Ask a question about your documents; get the exact sentences that answer it, with citations that last."
TAGS = [
    {"name": "questions", "description": "Ask a question, get the sentences that answer it."},
    {"name": "citations", "description": "Look a citation up: the sentence as cited, and what became of it."},
    {"name": "quotations", "description": "Check quotations: do the documents say so, and where?"},
    {"name": "documents", "description": "Read the documents of the index; write them, if a setting allows it."},
    {"name": "index", "description": "See what is served, and rebuild it."},
    {"name": "operations", "description": "Run the server: health and metrics."},
]
_SECURITY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "Needed if the server was started with SOURCELINE_API_KEY or SOURCELINE_API_KEYS: send it as "
    "Authorization: Bearer KEY. A route names the scope that the key must have, if it must have one.",
}


def create_app(settings: Settings, live_index: LiveIndex | None = None, tracing: "Tracing | None" = None) -> FastAPI:
    """Return the app, ready to answer from the current snapshot, which ``live_index`` may hold open already.

    Traces go to the collector that the settings name, or to what ``tracing`` sends them to.

    Raises:
        SettingsError: the API keys cannot be used.
        SnapshotError: there is no snapshot that can be served.
        ModelError: its encoder cannot be opened.
    """
    metrics = Metrics()
    if settings.telemetry_endpoint and not tracing:
        from sourceline.server.telemetry import Tracing, otlp_exporter  # a third of a second, and an extra

        tracing = Tracing(otlp_exporter(settings.telemetry_endpoint))
    observer = Observers(metrics, tracing) if tracing else metrics
    app = _App(
        title="Sourceline",
        version=__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=_lifespan,
        middleware=_middleware(settings, metrics, tracing),
        # FastAPI's own would hold the query string. Besides, it would look for an exporter at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        openapi_url=None,  # a route of ours returns it, and others the pages
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to an address made of the Host header, which anybody can write
    )
    app.state.settings = settings
    app.state.live_index = live_index or LiveIndex(settings)
    app.state.live_index.observer = observer
    app.state.rebuilds = Rebuilds(settings, observer)
    app.state.metrics = metrics
    app.state.tracing = tracing
    app.state.threads = Threads()
    app.state.mcp = McpEndpoint(app.state.live_index, app.state.threads)
    errors.install(app)
    for routes in (ask, retrieval, citations, verify, documents, index, mcp, operations, pages):
        app.include_router(routes.router)
    app.mount("/static", GZipMiddleware(pages.static_files))
    return app


class _App(FastAPI):
    """An app whose description holds what FastAPI cannot know: the shape of problems, and who needs the key."""

    def openapi(self) -> dict[str, Any]:
        """Return the API's description. It is made once."""
        if self.openapi_schema is None:
            description = super().openapi()
            problem = models.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            components = description["components"]
            components["schemas"] |= {**problem.pop("$defs"), "Problem": problem}
            for name, schema in components["schemas"].items():
                if "examples" in schema:  # whose keys pydantic has sorted
                    schema |= getattr(models, name).model_config["json_schema_extra"]
            components["securitySchemes"] = {"api_key": _SECURITY_SCHEME}
            description["security"] = [{"api_key": []}, {}]
            for path, operations in description["paths"].items():
                for method, operation in operations.items():
                    if scope := required_scope(method.upper(), path):
                        operation["security"] = [{"api_key": [scope]}, {}]
        assert self.openapi_schema is not None
        return self.openapi_schema


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Do what must be done before the first request and after the last one."""
    if app.state.tracing:
        app.state.tracing.start()
    app.state.live_index.start()
    watch = WatchThread(app.state.settings, app.state.rebuilds) if app.state.settings.watch else None
    if watch:
        watch.start()
    scrub = (
        ScrubThread(app.state.settings, app.state.live_index, app.state.metrics) if app.state.settings.scrub else None
    )
    if scrub:
        scrub.start()
    # Questions: a process's share of the cores and one more. More would take caches and the interpreter from others.
    # With 16 clients on two cores, three threads answer half as much again as forty do.
    threads = (os.cpu_count() or 1) // app.state.settings.workers + 1
    anyio.to_thread.current_default_thread_limiter().total_tokens = threads
    # Full collections leave out what lives as long as the process: going through it would stop a request.
    gc.freeze()
    # A full collection now makes Python forget how much there was: it puts the next one off until a quarter as much has
    # come, and in tens of thousands of objects there are megabytes of requests that ended long ago.
    gc.collect()
    # A request leaves some forty objects that refer to each other, of asyncio and h11. The thresholds that make for a
    # quick start would let 50,000 pile up before they are freed: 2 kB a request, which looks like a leak for long.
    gc.set_threshold(*COLLECT_AFTER)
    yield
    if scrub:
        scrub.stop()
    if watch:
        watch.stop()
    app.state.rebuilds.stop()
    if watch:
        watch.join()
    app.state.live_index.stop()
    if app.state.tracing:
        app.state.tracing.stop()


def _middleware(settings: Settings, metrics: Metrics, tracing: "Tracing | None") -> list[Middleware]:
    """Return what a request passes, in this order."""
    origins = settings.origins
    shared = os.environ.get(FOLDER_VARIABLE) if settings.workers > 1 else None
    limiter = RateLimiter(Path(shared) if shared else None)
    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        # MCP clients that run in a browser send more.
        allow_headers=["Authorization", "Content-Type", REQUEST_ID, "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"],
        expose_headers=["Retry-After", "RateLimit", "RateLimit-Policy", REQUEST_ID],
        allow_private_network=True,
    )
    return [
        Middleware(RequestIdMiddleware),
        Middleware(HeadMiddleware),
        *_tracing_middleware(tracing),
        Middleware(MetricsMiddleware, metrics=metrics),
        *([] if settings.needs_key else [Middleware(LoopbackHostMiddleware, allowed_origins=origins)]),
        Middleware(SiteMiddleware, allowed_origins=origins),
        *([cors] if origins else []),  # outside of the key, which a browser does not send when it asks for permission
        *([Middleware(KeyMiddleware, keys=Keys(settings), limiter=limiter)] if settings.needs_key else []),
        Middleware(LimitsMiddleware, capacity=settings.capacity, max_body_bytes=MAX_BODY_BYTES, metrics=metrics),
    ]


def _tracing_middleware(tracing: "Tracing | None") -> list[Middleware]:
    if tracing is None:
        return []
    from sourceline.server.telemetry import TracingMiddleware

    return [Middleware(TracingMiddleware, tracing=tracing)]
