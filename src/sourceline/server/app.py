"""Puts the app together."""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
from sourceline.settings import Settings

MAX_BODY_BYTES = 64 * 1024
DESCRIPTION = "Ask a question about your documents; get the exact sentences that answer it, with citations that last."


def create_app(settings: Settings) -> FastAPI:
    """Return the app, ready to answer from the current generation.

    Raises:
        GenerationError: there is no generation that can be served.
        ModelError: its encoder cannot be opened.
    """
    serving = Serving(settings.index, settings.model, settings.encoder, settings.threshold)
    rebuilds = Rebuilds(settings.documents, settings.index, settings.model, settings.encoder)
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        serving.start()
        _tune(settings.workers)
        yield
        serving.stop()
        rebuilds.stop()

    app = FastAPI(
        title="Sourceline",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        middleware=_middleware(settings, metrics),
        responses=problems.responses(421),  # on loopback, see access.py
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    problems.describe(app)
    app.include_router(ask_routes(serving))
    app.include_router(example_routes(serving))
    app.include_router(citation_routes(serving))
    app.include_router(document_routes(serving))
    app.include_router(index_routes(serving, rebuilds))
    app.include_router(health_routes(serving, metrics))
    app.include_router(page_routes(app))
    return app


def create_guarded_app(settings: Settings) -> ASGIApp:
    """Return the app as it is served: without a key, which is on loopback only, for who asks for this machine.

    Raises:
        GenerationError, ModelError: as ``create_app``.
    """
    app = create_app(settings)
    return app if settings.api_key else LoopbackHostMiddleware(app)


def _tune(workers: int) -> None:
    """Let this process work on as many requests at a time as its share of the cores, and one; the others wait in line.

    As many as there are requests would take caches and the interpreter from each other: with 16 clients on two cores
    three threads answer half as much again as forty do, and the slowest sooner.
    """
    anyio.to_thread.current_default_thread_limiter().total_tokens = (os.cpu_count() or 1) // workers + 1
    # Full collections leave out what lives as long as the process: going through it would stop a request.
    gc.freeze()


def _middleware(settings: Settings, metrics: Metrics) -> list[Middleware]:
    """Return what a request goes through, in this order."""
    return [
        Middleware(HeadMiddleware),
        Middleware(MetricsMiddleware, metrics=metrics),
        *([Middleware(KeyMiddleware, api_key=settings.api_key)] if settings.api_key else []),
        Middleware(IntakeMiddleware, capacity=settings.capacity, most=MAX_BODY_BYTES),
    ]
