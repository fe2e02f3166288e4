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
from sourceline.server.metrics import FOLDER_VARIABLE
from sourceline.server.run import start
from sourceline.text import log_to_stderr

log = logging.getLogger(__name__)

# A worker that ends this young would end again: after so many in a row for each worker, no other is started.
YOUNG_SECONDS = 10
MAX_YOUNG = 3
# How soon a signal is passed on. That a worker ended is noticed at once.
SIGNAL_SECONDS = 0.2


def serve_with_workers(settings: Settings, listener: socket.socket) -> None:
    """Serve with as many workers as the settings say, until a signal says to stop.

    Raises:
        WorkerError: the workers do not stay alive.
    """
    with tempfile.TemporaryDirectory(prefix="sourceline-") as folder:
        os.environ[FOLDER_VARIABLE] = folder
        keep_running(settings.workers, partial(_serve, settings, listener))


def keep_running(count: int, work: Callable[[], None]) -> None:
    """Keep ``count`` processes running until a signal says to stop; then stop them and wait for them.

    Uvicorn's own supervisor asks each worker for a sign of life instead, and stands still while one does not answer.

    Raises:
        WorkerError: the workers do not stay alive.
    """
    context = multiprocessing.get_context("spawn")  # FAISS and onnxruntime hang in a forked process
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signals.append(number))
    started: dict[SpawnProcess, float] = {}
    died_young = 0  # in a row
    try:
        while not signals:
            if died_young >= MAX_YOUNG * count:
                raise WorkerError("the workers do not stay alive")
            while len(started) < count:
                worker = context.Process(target=work)
                worker.start()
                started[worker] = time.monotonic()
            wait([worker.sentinel for worker in started], SIGNAL_SECONDS)
            for worker in [worker for worker in started if not worker.is_alive()]:
                age = time.monotonic() - started.pop(worker)
                died_young = died_young + 1 if age < YOUNG_SECONDS else 0
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
