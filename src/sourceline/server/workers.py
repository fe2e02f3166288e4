"""Several processes that serve one socket; one that ends is replaced."""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

from sourceline.config import Settings
from sourceline.errors import SourcelineError, WorkerError
from sourceline.server import metrics
from sourceline.server.run import start
from sourceline.text import log_to_stderr

log = logging.getLogger(__name__)

# One that ends so soon would end again: after so many in a row, times the workers, no other is started.
YOUNG_SECONDS = 10
MOST_YOUNG = 3
# How soon a signal is passed on. That a worker ended is noticed at once.
SIGNAL_SECONDS = 0.2


def serve_with_workers(settings: Settings, listener: socket.socket) -> None:
    """Serve with as many workers as the settings say, until told to stop by a signal.

    Raises:
        WorkerError: the workers do not stay alive.
    """
    with tempfile.TemporaryDirectory(prefix="sourceline-") as figures:
        os.environ[metrics.FOLDER] = figures
        keep_running(settings.workers, partial(_serve, settings, listener))


def keep_running(count: int, work: Callable[[], None]) -> None:
    """Keep so many processes at work until told to stop by a signal; then they are told, too, and waited for.

    Uvicorn's own supervisor asks each worker for a sign of life instead, and stands still while one does not answer.

    Raises:
        WorkerError: the workers do not stay alive.
    """
    context = multiprocessing.get_context("spawn")  # FAISS and onnxruntime hang in a forked process
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.append(number))
    started: dict[SpawnProcess, float] = {}
    young = 0  # so many in a row
    try:
        while not told:
            if young >= MOST_YOUNG * count:
                raise WorkerError("the workers do not stay alive")
            while len(started) < count:
                worker = context.Process(target=work)
                worker.start()
                started[worker] = time.monotonic()
            wait([worker.sentinel for worker in started], SIGNAL_SECONDS)
            for worker in [worker for worker in started if not worker.is_alive()]:
                young = young + 1 if time.monotonic() - started.pop(worker) < YOUNG_SECONDS else 0
                log.warning("worker %s ended with code %s", worker.pid, worker.exitcode)
    finally:
        for worker in started:
            worker.terminate()
        for worker in started:
            worker.join()


def _serve(settings: Settings, listener: socket.socket) -> None:
    """Serve, in a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the process that started it, which ends this one
    log_to_stderr()
    threading.Thread(target=_end_with_parent, name="parent-watcher", daemon=True).start()
    try:
        server = start(settings)
    except SourcelineError as error:
        log.error("%s", error)
        sys.exit(1)
    server.run(sockets=[listener])


def _end_with_parent() -> None:
    """End this worker when the process that started it is killed: it would keep the port."""
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
