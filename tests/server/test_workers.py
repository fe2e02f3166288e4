"""Several processes that serve together, as people start them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Rebuild
from tests.support.api import wait_until
from tests.support.server import Running, children, is_alive, running

Answer = TypeVar("Answer")

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def server(documents: Path, index: Path, rebuild: Rebuild) -> Iterator[Running]:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with running(documents, index, "--workers", "2") as server:
        wait_until(lambda: len(children(server.process.pid)) == 2)
        of_each(server, lambda: request(server, "GET", "/readyz"))
        yield server


@contextmanager
def halted(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def of_each(server: Running, ask: Callable[[], Answer]) -> list[Answer]:
    """Return what each of two workers answers while the other one is halted."""
    answers = []
    for other in children(server.process.pid):
        with halted(other):
            answers.append(ask())
    assert len(answers) == 2
    return answers


def request(server: Running, method: str, path: str) -> httpx2.Response:
    return httpx2.request(method, server.url + path, timeout=60)


def rebuild_status(server: Running) -> dict[str, Any]:
    status = request(server, "GET", "/v1/index").json()["rebuild"]
    assert isinstance(status, dict)
    return status


def counts(server: Running) -> list[float]:
    """Return passages, questions by their answers, and questions by their times, as the server has counted them."""
    samples = {
        (sample.name, sample.labels.get("route")): sample.value
        for family in text_string_to_metric_families(request(server, "GET", "/metrics").text)
        for sample in family.samples
    }
    names = ("sourceline_requests_total", "sourceline_request_seconds_count")
    return [samples["sourceline_passages", None], *(samples.get((name, "/v1/ask"), 0) for name in names)]


def test_each_worker_answers_and_all_requests_are_counted_together(server: Running) -> None:
    path = "/v1/ask?question=When+does+the+bridge+open?"
    for answer in of_each(server, lambda: request(server, "GET", path).json()):
        assert answer["passages"][0]["text"] == "The bridge opens on Monday."
    wait_until(lambda: counts(server) == [1, 2, 2])  # a question is counted when its answer is on the way
    assert of_each(server, lambda: counts(server)) == [[1, 2, 2]] * 2


def test_a_worker_that_is_killed_is_replaced(server: Running) -> None:
    killed, other = children(server.process.pid)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(children(server.process.pid)) == 2 and killed not in children(server.process.pid))
    assert other in children(server.process.pid)
    with halted(other):
        assert request(server, "GET", "/readyz").json() == {"status": "ok"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all(server: Running, number: signal.Signals) -> None:
    workers = children(server.process.pid)
    assert request(server, "POST", "/v1/index/rebuild").status_code == 202
    builders = [builder for worker in workers for builder in children(worker)]
    assert len(builders) == 1
    server.process.send_signal(number)
    assert server.process.wait() == 0
    assert server.process.stderr
    assert "Traceback" not in server.process.stderr.read()
    wait_until(lambda: not any(map(is_alive, [*workers, *builders])))


def test_without_the_process_that_started_them_the_workers_end(server: Running) -> None:
    workers = children(server.process.pid)
    server.process.kill()
    wait_until(lambda: not any(map(is_alive, workers)))


def test_a_rebuild_is_seen_by_all_and_refused_by_all_while_it_runs(server: Running) -> None:
    accepted = request(server, "POST", "/v1/index/rebuild")
    assert accepted.status_code == 202
    (builder,) = [builder for worker in children(server.process.pid) for builder in children(worker)]
    with halted(builder):
        for status in of_each(server, lambda: rebuild_status(server)):
            assert (status["state"], status["started"]) == ("running", accepted.json()["started"])
        assert of_each(server, lambda: request(server, "POST", "/v1/index/rebuild").status_code) == [409, 409]
    wait_until(lambda: rebuild_status(server)["state"] != "running")
    first, second = of_each(server, lambda: rebuild_status(server))
    assert first == second
    assert first["state"] == "succeeded"
    for status in of_each(server, lambda: rebuild_status(server)):
        assert status["report"]["unchanged"] == ["a.txt"]


def test_a_rebuild_whose_worker_is_killed_has_failed_and_the_next_one_runs(server: Running) -> None:
    assert request(server, "POST", "/v1/index/rebuild").status_code == 202
    owners = {worker: children(worker) for worker in children(server.process.pid)}
    ((owner, (builder,)),) = [(owner, builders) for owner, builders in owners.items() if builders]
    with halted(builder):
        os.kill(owner, signal.SIGKILL)
        wait_until(lambda: rebuild_status(server)["state"] == "failed")
        assert rebuild_status(server)["error"] == "the server's process that had started it ended"
    wait_until(lambda: not is_alive(builder))
    assert request(server, "POST", "/v1/index/rebuild").status_code == 202
    wait_until(lambda: rebuild_status(server)["state"] != "running")
    assert rebuild_status(server)["state"] == "succeeded"


@pytest.mark.parametrize("index", ["none", "killed"])
def test_workers_that_do_not_live_are_given_up(index: str) -> None:
    command = [sys.executable, "-m", "tests.support.dying_workers", index]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "the workers do not stay alive\n"
    assert "Traceback" not in ended.stderr
    assert ("sourceline: there is no index in none yet" in ended.stderr) == (index == "none")
