"""Serves the app until it is told to stop."""

import resource
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from sourceline.config import Settings
from sourceline.errors import BuildError, SettingsError
from sourceline.index.snapshot import current_id
from sourceline.server.live_index import LiveIndex

if TYPE_CHECKING:
    from uvicorn import Server


def start(settings: Settings) -> "Server":
    """Return the server of the app, guarded, ready to answer from the current snapshot.

    FastAPI and uvicorn are imported while the index is opened: reading, hashing and preparing the model leave the
    interpreter free.

    Raises:
        SnapshotError: there is no snapshot that can be served.
        ModelError: its encoder cannot be opened.
    """
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(LiveIndex, settings.index, settings.model, settings.encoder, settings.threshold)
        from uvicorn import Server

        from sourceline.server.app import create_guarded_app
        from sourceline.server.protocol import http_config

        return Server(http_config(create_guarded_app(settings, opening.result())))


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Build the index if there is none, then serve.

    Raises:
        SettingsError: the address cannot be listened on.
        BuildError: the first build failed.
        SnapshotError, ModelError: the index cannot be served.
        WorkerError: the workers do not stay alive.
    """
    _allow_descriptors()
    listener = _bind(settings.host, settings.port)
    with listener:
        if current_id(settings.index) is None:
            say(f"Building the index of {settings.documents}; the first time also compiles the model.")
            _build_first(settings, say)
        # In any case, so that what cannot be served is told here and once.
        server = start(settings)
        _listen(listener, settings.host, settings.port)
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        say(f"Sourceline answers at http://{name}:{listener.getsockname()[1]}")
        if settings.workers > 1:
            from sourceline.server.workers import serve_with_workers

            del server  # each worker has its own
            serve_with_workers(settings, listener)
        else:
            server.run(sockets=[listener])


def _allow_descriptors() -> None:
    """Allow as many connections as the system does: with the usual 1,024 some slow clients would take them all."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # what some systems say to a limit that is none
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


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
    from sourceline.server.rebuilds import Rebuilds, State

    rebuilds = Rebuilds(settings.documents, settings.index, settings.model, settings.encoder)
    interrupt = signal.getsignal(signal.SIGINT)
    early: list[int] = []
    # While the child is started a signal is only noted: it would be left with half of what it is told.
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
    if status.state is not State.SUCCEEDED or status.report is None:
        raise BuildError(status.error or "the first build failed")
    for document, reason in status.report.skipped.items():
        say(f"skipped {document}: {reason}")
