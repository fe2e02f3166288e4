"""Serves with workers that do not live; prints what became of it. Run as a process of its own: it takes the signals."""

import os
import signal
import socket
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from sourceline.config import load_settings
from sourceline.errors import WorkerError
from sourceline.server import run
from sourceline.server.run import keep_running, serve_with_workers


def die(_: Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    run.MAX_DEATHS = 2  # each start of a worker takes a second
    try:
        if sys.argv[1] == "killed":
            keep_running(2, die)
        else:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                serve_with_workers(load_settings(index=Path(sys.argv[1]), workers=2), listener)
    except WorkerError as error:
        print(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
