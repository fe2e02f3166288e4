"""Serves the app until it is told to stop, with one process or with several on one port."""

import ctypes
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING

from sourceline.api import Index
from sourceline.config import Settings, is_loopback
from sourceline.durable import scratch_folder
from sourceline.errors import BuildError, SettingsError, SourcelineError, WorkerError
from sourceline.logs import log_to_stderr
from sourceline.server.keys import RELOAD_SECONDS, read_keys, warn_if_open
from sourceline.server.live_index import LiveIndex

if TYPE_CHECKING:
    from sourceline.server.protocol import DrainingServer

log = logging.getLogger(__name__)

# When so many workers, for each that is to run, have died in so many seconds, no other is started. One may die while it
# opens the index, or at a request that comes only then, so that its age says nothing.
MAX_DEATHS = 5
DEATHS_SECONDS = 120
# Of malloc.h: a block of so many bytes is mapped apart, and the end of the heap is given back once so many are free.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
HEAP_BYTES = {M_MMAP_THRESHOLD: 256 << 10, M_TRIM_THRESHOLD: 8 << 20}
# How soon a signal is passed on. That a worker ended is noticed at once.
SIGNAL_SECONDS = 0.2
# How long a worker may take to end: its requests have seven seconds, then it closes the index and ends a rebuild.
END_SECONDS = 15


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Build the index if there is none, then serve. ``say`` shows a line to the person who started the server.

    Raises:
        SettingsError: the API keys cannot be used, or the address cannot be listened on.
        BuildError: the first build failed.
        SnapshotError, ModelError: the index cannot be served.
        WorkerError: the workers do not stay alive.
    """
    _require_key(settings)
    _require_telemetry(settings)
    _raise_descriptor_limit()
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # the terminal is gone: end as on SIGTERM
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    with _bind(settings) as listener:
        if not Index.exists(settings.index):
            say(f"Building the index of {settings.documents}.")
            _build_first(settings, say)
        # Also before workers start, so that what cannot be served is told here and once.
        server = start(settings)
        _listen(listener, settings)
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        when_ready = partial(say, f"Sourceline answers at http://{name}:{listener.getsockname()[1]}")
        if settings.workers > 1:
            del server  # each worker has its own
            serve_with_workers(settings, listener, when_ready)
        else:
            from sourceline.server.protocol import drop_new_connections

            server.before_stop = partial(drop_new_connections, listener)
            _run(server, listener, when_ready)


def _run(server: "DrainingServer", listener: socket.socket, when_ready: Callable[[], None]) -> None:
    """Serve until a signal says to stop, and return: to stop as it was told is no failure.

    ``when_ready`` is called once requests are answered, and no signal cuts them off. Uvicorn stops for signals of its
    own accord, then raises them once more for whoever handled them before.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    server.when_ready = when_ready
    server.run(sockets=[listener])


def start(settings: Settings) -> "DrainingServer":
    """Return a server that is ready to answer from the current snapshot.

    FastAPI and uvicorn are imported while the index is opened: reading, hashing and preparing the model leave the
    interpreter free.

    Raises:
        SnapshotError: there is no snapshot that can be served.
        ModelError: its encoder cannot be opened.
    """
    keep_heap_small()
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(LiveIndex, settings)
        from sourceline.server.app import create_app
        from sourceline.server.protocol import http_server

        return http_server(create_app(settings, opening.result()))


def keep_heap_small() -> None:
    """Have glibc give freed large blocks back to the system; with another C library, do nothing.

    Left alone, it takes blocks of up to 32 MB from its heaps once one of that size was freed. Those of one snapshot
    then leave holes between what lives on, which the next snapshot does not fit into (measured: 13 MB of 168).
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        for parameter, value in HEAP_BYTES.items():
            libc.mallopt(parameter, value)


def _require_key(settings: Settings) -> None:
    if settings.allow_edits and not settings.needs_key:
        raise SettingsError(
            "with allow_edits everyone on this machine could write the documents: "
            "set SOURCELINE_API_KEY or SOURCELINE_API_KEYS as well"
        )
    if not settings.needs_key and not is_loopback(settings.host):
        raise SettingsError(
            f"on {settings.host} everyone in the network could read the documents: "
            "set SOURCELINE_API_KEY or SOURCELINE_API_KEYS, or serve on 127.0.0.1"
        )
    read_keys(settings)  # the app reads them, too, but only once the first build is done
    if settings.api_keys:
        warn_if_open(settings.api_keys)


def _require_telemetry(settings: Settings) -> None:
    if settings.telemetry_endpoint:
        try:
            import_module("sourceline.server.telemetry")
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"telemetry_endpoint needs {error.name}, which is missing: pip install 'sourceline[telemetry]'"
            ) from error


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
    """Build in a process of its own: the memory that building needs is free again when it ends."""
    from sourceline.server.rebuilds import Rebuilds
    from sourceline.types import RebuildState

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


def serve_with_workers(
    settings: Settings, listener: socket.socket, when_ready: Callable[[], None] = lambda: None
) -> None:
    """Serve with as many workers as the settings say, until a signal says to stop.

    ``when_ready`` is called once all of them answer.

    Raises:
        WorkerError: the workers do not stay alive.
    """
    # Slow to import, and `start` did it.
    from prometheus_client.multiprocess import mark_process_dead

    from sourceline.server.metrics import FOLDER_VARIABLE
    from sourceline.server.protocol import drop_new_connections

    def stop_listening() -> None:
        """Leave the port to the workers: what is connected when they stop is theirs alone, and they answer it."""
        drop_new_connections(listener)
        listener.close()

    with scratch_folder("sourceline-serve-") as folder:
        os.environ[FOLDER_VARIABLE] = str(folder)
        work = partial(_serve, settings, listener, folder)
        forget = partial(mark_process_dead, path=str(folder))  # what its gauges said
        keep_running(settings.workers, work, when_ready, stop_listening, forget)


def keep_running(
    count: int,
    work: Callable[[Connection], None],
    when_ready: Callable[[], None] = lambda: None,
    before_stop: Callable[[], None] = lambda: None,
    when_dead: Callable[[int], None] = lambda _: None,
) -> None:
    """Keep ``count`` processes running until a signal says to stop; then stop them and wait for them.

    ``when_dead`` is called with the id of one that ended before that. Each does ``work``, and sends something once it
    is ready. Uvicorn's own supervisor asks each worker for a sign of life instead, and stands still while one does not
    answer.

    Raises:
        WorkerError: the workers do not stay alive.
    """
    context = multiprocessing.get_context("spawn")  # FAISS and onnxruntime hang in a forked process
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signals.append(number))
    readiness, tell_ready = context.Pipe(duplex=False)
    ready = 0
    running: list[SpawnProcess] = []
    deaths: deque[float] = deque(maxlen=MAX_DEATHS * count)
    try:
        while not signals:
            if len(deaths) == deaths.maxlen and time.monotonic() - deaths[0] < DEATHS_SECONDS:
                raise WorkerError(f"the workers do not stay alive: {len(deaths)} died in {DEATHS_SECONDS} seconds")
            while len(running) < count:
                worker = context.Process(target=work, args=(tell_ready,))
                worker.start()
                running.append(worker)
            wait([readiness, *(worker.sentinel for worker in running)], SIGNAL_SECONDS)
            while readiness.poll():  # also once all were, of those that replace others
                readiness.recv_bytes()
                ready += 1
                if ready == count:
                    when_ready()
            for worker in [worker for worker in running if not worker.is_alive()]:
                running.remove(worker)
                deaths.append(time.monotonic())
                log.warning("worker %s ended with code %s", worker.pid, worker.exitcode)
                assert worker.pid  # it was started
                when_dead(worker.pid)
    finally:
        before_stop()
        _stop(running)


def _stop(workers: Sequence[SpawnProcess]) -> None:
    for worker in workers:
        worker.terminate()
    give_up = time.monotonic() + END_SECONDS
    for worker in workers:
        worker.join(max(0, give_up - time.monotonic()))
        if worker.is_alive():
            log.warning("worker %s does not end, and is killed", worker.pid)
            worker.kill()
            worker.join()


def _serve(settings: Settings, listener: socket.socket, folder: Path, tell_ready: Connection) -> None:
    """Serve, in a worker."""
    for number in (signal.SIGINT, signal.SIGHUP):  # they reach the process that started it, which ends this one
        signal.signal(number, signal.SIG_IGN)
    # While it starts, it is only noted that it is to end: an exception could be lost in an import.
    early: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: early.append(number))
    log_to_stderr(settings.log_format)
    parent = multiprocessing.parent_process()
    assert parent
    threading.Thread(target=_end_with, args=(parent, folder), name="parent-watcher", daemon=True).start()
    try:
        wait_for_keys(settings, early)
        if early:
            return
        server = start(settings)
        signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
        if not early:
            _run(server, listener, lambda: tell_ready.send_bytes(b"\0"))
    except SourcelineError as error:
        log.error("%s", error)
        sys.exit(1)
    except OSError:
        if parent.is_alive():  # else another worker has removed the folder already
            raise
    finally:
        if not parent.is_alive():  # it was killed, and cannot clean up
            shutil.rmtree(folder, ignore_errors=True)


def wait_for_keys(settings: Settings, stopped: Sequence[int]) -> None:
    """Wait until the API keys can be used, or ``stopped`` holds a signal.

    They could be when the server started. If their file is being edited as a worker is replaced, the others go on with
    the keys before and answer all requests meanwhile; a worker that ended each time would end the server.
    """
    told = False
    while not stopped:
        try:
            read_keys(settings)
        except SettingsError as error:
            if not told:
                log.error("%s; a new worker waits until it can be used", error)
            told = True
            time.sleep(RELOAD_SECONDS)
        else:
            return


def _end_with(parent: multiprocessing.process.BaseProcess, folder: Path) -> None:
    """End this worker when the process that started it is killed: it would keep the port."""
    parent.join()
    log.error("the process that had started worker %s was killed: it ends", os.getpid())
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)  # it stands still, or starts slowly
