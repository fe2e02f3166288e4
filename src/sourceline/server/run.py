"""Serves the app until it is told to stop."""

import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

from sourceline.errors import BuildError, SettingsError
from sourceline.index.generation import current_id
from sourceline.server.start import start
from sourceline.settings import Settings


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Build the index if there is none, then serve.

    Raises:
        SettingsError: the address cannot be listened on.
        BuildError: the first build failed.
        GenerationError, ModelError: the index cannot be served.
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
    from sourceline.server.rebuild import Rebuilds
    from sourceline.server.status import State

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
