"""Puts the app together."""

import gc
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from sourceline import __version__
from sourceline.config import Settings
from sourceline.server import errors as problems
from sourceline.server.access import KeyMiddleware, LoopbackHostMiddleware
from sourceline.server.intake import LimitsMiddleware
from sourceline.server.live_index import LiveIndex
from sourceline.server.methods import HeadMiddleware
from sourceline.server.metrics import Metrics, MetricsMiddleware
from sourceline.server.rebuilds import Rebuilds
from sourceline.server.routes.ask import ask_routes
from sourceline.server.routes.citations import citation_routes
from sourceline.server.routes.documents import document_routes
from sourceline.server.routes.health import health_routes
from sourceline.server.routes.index import index_routes
from sourceline.server.routes.page import page_routes
from sourceline.server.threads import Threads

MAX_BODY_BYTES = 64 * 1024
DESCRIPTION = "Ask a question about your documents; get the exact sentences that answer it, with citations that last."


def create_app(settings: Settings, live_index: LiveIndex | None = None) -> FastAPI:
    """Return the app, ready to answer from the current snapshot, which ``live_index`` may hold open already.

    Raises:
        SnapshotError: there is no snapshot that can be served.
        ModelError: its encoder cannot be opened.
    """
    live_index = live_index or LiveIndex(settings.index, settings.model, settings.encoder, settings.threshold)
    rebuilds = Rebuilds(settings.documents, settings.index, settings.model, settings.encoder)
    metrics = Metrics()
    threads = Threads((os.cpu_count() or 1) // settings.workers + 1)
    app = problems.DescribedApp(
        title="Sourceline",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan(live_index, rebuilds, threads),
        # FastAPI looks for somebody to tell at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=_middleware(settings, metrics),
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    # Not by include_router, which makes every route a second time.
    app.router.routes += ask_routes(live_index, threads).routes
    app.router.routes += citation_routes(live_index).routes
    app.router.routes += document_routes(live_index).routes
    app.router.routes += index_routes(live_index, rebuilds).routes
    app.router.routes += health_routes(live_index, metrics).routes
    app.router.routes += page_routes(app).routes
    return app


def create_guarded_app(settings: Settings, live_index: LiveIndex | None = None) -> ASGIApp:
    """Return the app as it is served: without a key, which is on loopback only, for who asks for this machine.

    Raises:
        SnapshotError, ModelError: as ``create_app``.
    """
    app = create_app(settings, live_index)
    return app if settings.api_key else LoopbackHostMiddleware(app)


def _lifespan(
    live_index: LiveIndex, rebuilds: Rebuilds, threads: Threads
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return what is done before the first request and after the last one."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        live_index.start()
        # FastAPI's own threads answer all but questions.
        anyio.to_thread.current_default_thread_limiter().total_tokens = threads.count
        # Full collections leave out what lives as long as the process: going through it would stop a request.
        gc.freeze()
        yield
        threads.stop()
        live_index.stop()
        rebuilds.stop()

    return lifespan


def _middleware(settings: Settings, metrics: Metrics) -> list[Middleware]:
    """Return what a request goes through, in this order."""
    return [
        Middleware(HeadMiddleware),
        Middleware(MetricsMiddleware, metrics=metrics),
        *([Middleware(KeyMiddleware, api_key=settings.api_key)] if settings.api_key else []),
        Middleware(LimitsMiddleware, capacity=settings.capacity, most=MAX_BODY_BYTES),
    ]
