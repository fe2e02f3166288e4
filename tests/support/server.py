"""Servers to connect to: in a process of its own, as people start it, or around an app in a thread of this one."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from sourceline.address import PostgresAddress
from sourceline.server.protocol import http_server

Address = tuple[str, int]


@dataclass(frozen=True)
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    lines: list[str]  # the lines on its standard error
    url: str

    @property
    def address(self) -> Address:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)


def start(documents: Path, index: Path | PostgresAddress, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sourceline", "serve", "--documents", str(documents), "--index", str(index)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOURCELINE_")}
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell lets what it runs in the background ignore it, and so would the server, which inherits that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # so does nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    return subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True, cwd=documents.parent, env=environment)


@contextmanager
def running(documents: Path, index: Path | PostgresAddress, *more: str) -> Iterator[Running]:
    """Serve on a free port until the block ends."""
    process = start(documents, index, "--port", "0", *more)
    assert process.stderr
    lines: list[str] = []
    try:
        for line in process.stderr:
            lines.append(line.rstrip("\n"))
            if address := re.fullmatch(r"Sourceline answers at (http://127\.0\.0\.1:\d+)", lines[-1]):
                yield Running(process, lines, address[1])
                break
        else:
            raise AssertionError(lines)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def listening(app: ASGIApp) -> Iterator[Address]:
    """Serve an app in a thread, over the same protocol, until the block ends."""
    server = http_server(app)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def children(pid: int) -> list[int]:
    """Return the processes that a process started, without Python's own resource tracker."""
    listed = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    pids = [int(child) for of_thread in listed for child in of_thread]
    return sorted(child for child in pids if "resource_tracker" not in command(child))


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return ""


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def exchange(address: Address, sent: bytes) -> bytes:
    """Send bytes as they are; return all that comes until the server closes the connection."""
    with socket.create_connection(address) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def descriptors() -> Iterator[None]:
    """Let this process have as many connections as it may, until the block ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
