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
from sourceline.server import problems
from sourceline.server.access import KeyMiddleware, LoopbackHostMiddleware
from sourceline.server.intake import IntakeMiddleware
from sourceline.server.methods import HeadMiddleware
from sourceline.server.metrics import Metrics, MetricsMiddleware
from sourceline.server.rebuild import Rebuilds
from sourceline.server.routes.ask import ask_routes
from sourceline.server.routes.citations import citation_routes
from sourceline.server.routes.documents import document_routes
from sourceline.server.routes.examples import example_routes
from sourceline.server.routes.health import health_routes
from sourceline.server.routes.index import index_routes
from sourceline.server.routes.page import page_routes
from sourceline.server.serving import Serving
from sourceline.server.threads import Threads
from sourceline.settings import Settings

MAX_BODY_BYTES = 64 * 1024
DESCRIPTION = "Ask a question about your documents; get the exact sentences that answer it, with citations that last."


def create_app(settings: Settings, serving: Serving | None = None) -> FastAPI:
    """Return the app, ready to answer from the current generation, which ``serving`` may hold open already.

    Raises:
        GenerationError: there is no generation that can be served.
        ModelError: its encoder cannot be opened.
    """
    serving = serving or Serving(settings.index, settings.model, settings.encoder, settings.threshold)
    rebuilds = Rebuilds(settings.documents, settings.index, settings.model, settings.encoder)
    metrics = Metrics()
    threads = Threads((os.cpu_count() or 1) // settings.workers + 1)
    app = problems.DescribedApp(
        title="Sourceline",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan(serving, rebuilds, threads),
        # FastAPI looks for somebody to tell at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=_middleware(settings, metrics),
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    # Not by include_router, which makes every route a second time.
    app.router.routes += ask_routes(serving, threads).routes
    app.router.routes += example_routes(serving).routes
    app.router.routes += citation_routes(serving).routes
    app.router.routes += document_routes(serving).routes
    app.router.routes += index_routes(serving, rebuilds).routes
    app.router.routes += health_routes(serving, metrics).routes
    app.router.routes += page_routes(app).routes
    return app


def create_guarded_app(settings: Settings, serving: Serving | None = None) -> ASGIApp:
    """Return the app as it is served: without a key, which is on loopback only, for who asks for this machine.

    Raises:
        GenerationError, ModelError: as ``create_app``.
    """
    app = create_app(settings, serving)
    return app if settings.api_key else LoopbackHostMiddleware(app)


def _lifespan(
    serving: Serving, rebuilds: Rebuilds, threads: Threads
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return what is done before the first request and after the last one."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        serving.start()
        # FastAPI's own threads answer all but questions.
        anyio.to_thread.current_default_thread_limiter().total_tokens = threads.count
        # Full collections leave out what lives as long as the process: going through it would stop a request.
        gc.freeze()
        yield
        threads.stop()
        serving.stop()
        rebuilds.stop()

    return lifespan


def _middleware(settings: Settings, metrics: Metrics) -> list[Middleware]:
    """Return what a request goes through, in this order."""
    return [
        Middleware(HeadMiddleware),
        Middleware(MetricsMiddleware, metrics=metrics),
        *([Middleware(KeyMiddleware, api_key=settings.api_key)] if settings.api_key else []),
        Middleware(IntakeMiddleware, capacity=settings.capacity, most=MAX_BODY_BYTES),
    ]
