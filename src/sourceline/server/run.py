"""Serves the app until it is told to stop."""

import resource
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from sourceline.api import Index
from sourceline.config import Settings, is_loopback
from sourceline.errors import BuildError, SettingsError
from sourceline.server.live_index import LiveIndex

if TYPE_CHECKING:
    from uvicorn import Server


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Build the index if there is none, then serve. ``say`` shows a line to the person who started the server.

    Raises:
        SettingsError: the address cannot be listened on.
        BuildError: the first build failed.
        SnapshotError, ModelError: the index cannot be served.
        WorkerError: the workers do not stay alive.
    """
    _require_key(settings)
    _raise_descriptor_limit()
    with _bind(settings) as listener:
        if not Index.exists(settings.index):
            say(f"Building the index of {settings.documents}; the first time also exports the model.")
            _build_first(settings, say)
        # Also before workers start, so that what cannot be served is told here and once.
        server = start(settings)
        _listen(listener, settings)
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        say(f"Sourceline answers at http://{name}:{listener.getsockname()[1]}")
        if settings.workers > 1:
            from sourceline.server.workers import serve_with_workers

            del server  # each worker has its own
            serve_with_workers(settings, listener)
        else:
            server.run(sockets=[listener])


def start(settings: Settings) -> "Server":
    """Return a server that is ready to answer from the current snapshot.

    FastAPI and uvicorn are imported while the index is opened: reading, hashing and preparing the model leave the
    interpreter free.

    Raises:
        SnapshotError: there is no snapshot that can be served.
        ModelError: its encoder cannot be opened.
    """
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(LiveIndex, settings)
        from uvicorn import Server

        from sourceline.server.app import create_app
        from sourceline.server.protocol import http_config

        return Server(http_config(create_app(settings, opening.result())))


def _require_key(settings: Settings) -> None:
    if not settings.api_key and not is_loopback(settings.host):
        raise SettingsError(
            f"on {settings.host} everyone in the network could read the documents: "
            "set SOURCELINE_API_KEY, or serve on 127.0.0.1"
        )


def _raise_descriptor_limit() -> None:
    """Allow as many connections as the system does: with the usual 1,024 some slow clients would take them all."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems refuse a limit of "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _bind(settings: Settings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[
            0
        ]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise _cannot_serve(settings, error) from error
    return listener


def _listen(listener: socket.socket, settings: Settings) -> None:
    try:
        listener.listen()
    except OSError as error:  # another process took the same port at the same time, and was ready first
        raise _cannot_serve(settings, error) from error


def _cannot_serve(settings: Settings, error: OSError) -> SettingsError:
    return SettingsError(f"cannot serve on {settings.host}, port {settings.port}: {error.strerror}")


def _build_first(settings: Settings, say: Callable[[str], None]) -> None:
    """Build in a process of its own: the memory that exporting needs is free again when it ends."""
    from sourceline.server.models import RebuildState
    from sourceline.server.rebuilds import Rebuilds

    rebuilds = Rebuilds(settings)
    interrupt = signal.getsignal(signal.SIGINT)
    early: list[int] = []
    # While the child starts, a signal is deferred, so that the child gets its complete arguments.
    for number in {signal.SIGTERM, signal.SIGINT} if interrupt is not signal.SIG_IGN else {signal.SIGTERM}:
        signal.signal(number, lambda number, _: early.append(number))
    try:
        rebuilds.start()
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        signal.signal(signal.SIGINT, interrupt)
        if early:
            signal.raise_signal(early[0])
        status = rebuilds.wait()
    finally:
        rebuilds.stop()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if status.state is not RebuildState.SUCCEEDED or status.report is None:
        raise BuildError(status.error or "the first build failed")
    for document, reason in status.report.skipped.items():
        say(f"skipped {document}: {reason}")
