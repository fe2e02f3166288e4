"""Serves the app until it is told to stop."""

import signal
import socket
import sys
from collections.abc import Callable

import uvicorn

from sourceline.errors import BuildError, SettingsError
from sourceline.index.generation import current_id
from sourceline.server.app import create_app
from sourceline.server.rebuild import Rebuilds, State
from sourceline.settings import Settings


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Build the index if there is none, then serve.

    Raises:
        SettingsError: the address cannot be listened on.
        BuildError: the first build failed.
        GenerationError, ModelError: the index cannot be served.
    """
    listener = _bind(settings.host, settings.port)
    with listener:
        if current_id(settings.index) is None:
            say(f"Building the index of {settings.documents}; the first time also compiles the model.")
            _build_first(settings, say)
        app = create_app(settings)
        # h11: the parser that refuses what the other one lets through.
        config = uvicorn.Config(
            app, http="h11", log_level="warning", access_log=False, server_header=False, timeout_keep_alive=30
        )
        _listen(listener, settings.host, settings.port)
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        say(f"Sourceline answers at http://{name}:{listener.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listener])


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise SettingsError(f"cannot serve on {host}, port {port}: {error.strerror}") from error
    return listener


def _listen(listener: socket.socket, host: str, port: int) -> None:
    try:
        listener.listen()
    except OSError as error:  # another one took the same port at the same time, and was ready first
        raise SettingsError(f"cannot serve on {host}, port {port}: {error.strerror}") from error


def _build_first(settings: Settings, say: Callable[[str], None]) -> None:
    """Build in a process of its own: what compiling needs of memory is gone when it ends."""
    rebuilds = Rebuilds(settings.documents, settings.index, settings.model, settings.encoder)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        rebuilds.start()
        status = rebuilds.wait()
    finally:
        rebuilds.stop()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if status.state is not State.SUCCEEDED or status.report is None:
        raise BuildError(status.error or "the first build failed")
    for document, reason in status.report.skipped.items():
        say(f"skipped {document}: {reason}")
