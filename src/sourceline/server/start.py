"""Makes the server."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sourceline.server.serving import Serving
from sourceline.settings import Settings

if TYPE_CHECKING:
    from uvicorn import Server


def start(settings: Settings) -> "Server":
    """Return the server of the app, guarded, ready to answer from the current generation.

    FastAPI and uvicorn are imported while the index is opened: reading, hashing and preparing the model leave the
    interpreter free.

    Raises:
        GenerationError: there is no generation that can be served.
        ModelError: its encoder cannot be opened.
    """
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(Serving, settings.index, settings.model, settings.encoder, settings.threshold)
        from uvicorn import Server

        from sourceline.server.app import create_guarded_app
        from sourceline.server.protocol import http_config

        return Server(http_config(create_guarded_app(settings, opening.result())))
