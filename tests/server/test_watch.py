"""A server that rebuilds by itself, as people start it."""

import os
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import Rebuild
from tests.support.api import wait_until
from tests.support.server import Running, children, is_alive, running

pytestmark = pytest.mark.enable_socket


def text_of(server: Running, document: str) -> str | None:
    response = httpx2.get(f"{server.url}/v1/documents/{document}", timeout=60)
    return response.json()["text"] if response.status_code == 200 else None


def index_of(server: Running) -> dict[str, Any]:
    answer = httpx2.get(f"{server.url}/v1/index", timeout=60).json()
    assert isinstance(answer, dict)
    return answer


def watches(pid: int) -> bool:
    """Return whether a process is noticed of changes by the system."""
    try:
        return any("inotify wd" in path.read_text() for path in Path(f"/proc/{pid}/fdinfo").iterdir())
    except FileNotFoundError:
        return False


def test_what_changes_is_served_and_the_rebuild_is_seen(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with running(documents, index, "--watch", "--reranker", "none") as server:
        (documents / "b.txt").write_text("The tower was sold in June.\n")
        wait_until(lambda: text_of(server, "b.txt") == "The tower was sold in June.\n")
        wait_until(lambda: index_of(server)["changes"]["total"] == 0)
        assert index_of(server)["rebuild"]["report"]["added"] == ["b.txt"]
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
        wait_until(lambda: text_of(server, "b.txt") == "The tower was sold in June.\n")
        workers = children(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() == 0
    wait_until(lambda: not any(map(is_alive, workers)))
