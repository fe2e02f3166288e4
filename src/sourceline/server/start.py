"""Makes the app that is served."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sourceline.server.serving import Serving
from sourceline.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def start(settings: Settings) -> "ASGIApp":
    """Return the app, guarded, ready to answer from the current generation.

    FastAPI is imported while the index is opened: reading, hashing and preparing the model leave the interpreter free.

    Raises:
        GenerationError: there is no generation that can be served.
        ModelError: its encoder cannot be opened.
    """
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(Serving, settings.index, settings.model, settings.encoder, settings.threshold)
        from sourceline.server.app import create_guarded_app

        return create_guarded_app(settings, opening.result())
