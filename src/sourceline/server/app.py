"""Puts the app together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

from sourceline import __version__
from sourceline.server import problems
from sourceline.server.access import KeyMiddleware
from sourceline.server.bodies import BodyLimitMiddleware
from sourceline.server.metrics import Metrics, MetricsMiddleware
from sourceline.server.rebuild import Rebuilds
from sourceline.server.routes.ask import ask_routes
from sourceline.server.routes.citations import citation_routes
from sourceline.server.routes.documents import document_routes
from sourceline.server.routes.health import health_routes, page_routes
from sourceline.server.routes.index import index_routes
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
        yield
        serving.stop()
        rebuilds.stop()

    middleware = [Middleware(MetricsMiddleware, metrics=metrics)]
    if settings.api_key:
        middleware.append(Middleware(KeyMiddleware, api_key=settings.api_key))
    middleware.append(Middleware(BodyLimitMiddleware, most=MAX_BODY_BYTES))
    app = FastAPI(
        title="Sourceline",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        middleware=middleware,
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    problems.describe(app)
    app.include_router(ask_routes(serving))
    app.include_router(citation_routes(serving))
    app.include_router(document_routes(serving))
    app.include_router(index_routes(serving, rebuilds))
    app.include_router(health_routes(serving, metrics))
    app.include_router(page_routes(app))
    return app
