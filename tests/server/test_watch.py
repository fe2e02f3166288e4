"""A server that rebuilds by itself, as people start it."""

import os
import signal
from pathlib import Path

import pytest

from sourceline.client import Client
from sourceline.errors import UnknownDocumentError
from tests.conftest import Rebuild
from tests.support.api import wait_until
from tests.support.server import children, is_alive, running

pytestmark = pytest.mark.enable_socket


def text_of(client: Client, document: str) -> str | None:
    try:
        return client.document(document).text
    except UnknownDocumentError:
        return None


def watches(pid: int) -> bool:
    """Return whether a process is noticed of changes by the system."""
    try:
        return any("inotify wd" in path.read_text() for path in Path(f"/proc/{pid}/fdinfo").iterdir())
    except FileNotFoundError:
        return False


def test_what_changes_is_served_and_the_rebuild_is_seen(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with running(documents, index, "--watch", "--reranker", "none") as server, Client(server.url) as client:
        (documents / "b.txt").write_text("The tower was sold in June.\n")
        wait_until(lambda: text_of(client, "b.txt") == "The tower was sold in June.\n")
        wait_until(lambda: client.index().change_count == 0)
        report = client.index().rebuild.report
        assert report is not None
        assert report.added == ("b.txt",)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() == 0
        assert server.process.stderr
        assert "Traceback" not in server.process.stderr.read()


def test_one_worker_watches_and_another_takes_over_when_it_dies(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with running(documents, index, "--watch", "--workers", "2", "--reranker", "none") as server:

        def watching() -> list[int]:
            return [pid for pid in children(server.process.pid) if watches(pid)]

        wait_until(lambda: len(watching()) == 1)
        (watcher,) = watching()
        os.kill(watcher, signal.SIGKILL)
        wait_until(lambda: len(watching()) == 1 and watching() != [watcher])
        (documents / "b.txt").write_text("The tower was sold in June.\n")
        with Client(server.url) as client:
            wait_until(lambda: text_of(client, "b.txt") == "The tower was sold in June.\n")
        workers = children(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() == 0
    wait_until(lambda: not any(map(is_alive, workers)))
