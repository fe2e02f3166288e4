"""Several processes that serve together, as people start them."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Rebuild
from tests.support.api import wait_until
from tests.support.assistant import call, over_http
from tests.support.server import Running, children, is_alive, running, start

Answer = TypeVar("Answer")

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def server(documents: Path, index: Path, rebuild: Rebuild) -> Iterator[Running]:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with running(documents, index, "--workers", "2") as server:
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


def metrics(server: Running) -> dict[tuple[str, ...], float]:
    """Return the samples of the server's metrics by name and values of the labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(request(server, "GET", "/metrics").text)
        for sample in family.samples
    }


def counts(server: Running) -> list[float]:
    """Return passages, questions by their requests, times, verdicts and stages, as the server has counted them."""
    samples = metrics(server)
    return [
        samples["sourceline_passages",],
        samples.get(("sourceline_requests_total", "GET", "/v1/ask", "200"), 0),
        samples.get(("sourceline_request_seconds_count", "/v1/ask"), 0),
        samples["sourceline_answers_total", "read", "answered"],
        samples["sourceline_stage_seconds_count", "read"],
    ]


def gauges(server: Running) -> list[float]:
    """Return how many processes answer, and how many questions they take in."""
    samples = metrics(server)
    return [samples["sourceline_processes",], samples["sourceline_active_requests_limit", "ask"]]


def test_each_worker_answers_an_assistant_whoever_answered_it_before(server: Running) -> None:
    answers = of_each(server, lambda: call(over_http(server.url), "ask", question="When does the bridge open?"))
    assert [answer["passages"][0]["text"] for answer in answers] == 2 * ["The bridge opens on Monday."]


def test_each_worker_answers_and_all_requests_are_counted_together(server: Running) -> None:
    path = "/v1/ask?question=When+does+the+bridge+open?"
    for answer in of_each(server, lambda: request(server, "GET", path).json()):
        assert answer["passages"][0]["text"] == "The bridge opens on Monday."
    wait_until(lambda: counts(server) == [1, 2, 2, 2, 2])  # a question is counted when its answer is on the way
    assert of_each(server, lambda: counts(server)) == [[1, 2, 2, 2, 2]] * 2


def test_the_address_is_told_once_the_workers_answer_so_that_a_signal_resets_nothing(
    documents: Path, seed_index: Path
) -> None:
    with (
        running(documents, seed_index, "--workers", "2") as server,
        socket.create_connection(server.address) as connection,
    ):
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        server.process.send_signal(signal.SIGTERM)
        assert connection.recv(12) == b"HTTP/1.1 200"
        assert server.process.wait() == 0


def test_a_worker_that_is_killed_is_replaced(server: Running) -> None:
    killed, other = children(server.process.pid)
    assert gauges(server) == [2, 2 * 64]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(children(server.process.pid)) == 2 and killed not in children(server.process.pid))
    assert other in children(server.process.pid)
    with halted(other):
        assert request(server, "GET", "/readyz").json() == {"status": "ok"}
        assert gauges(server) == [2, 2 * 64]


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


def test_a_rebuild_is_seen_by_all_and_refused_by_all_while_it_runs(server: Running) -> None:
    accepted = request(server, "POST", "/v1/index/rebuild")
    assert accepted.status_code == 202
    (builder,) = [builder for worker in children(server.process.pid) for builder in children(worker)]
    with halted(builder):
        assert metrics(server)["sourceline_rebuild_running",] == 1
        for status in of_each(server, lambda: rebuild_status(server)):
            assert (status["state"], status["started"]) == ("running", accepted.json()["started"])
        assert of_each(server, lambda: request(server, "POST", "/v1/index/rebuild").status_code) == [409, 409]
    wait_until(lambda: rebuild_status(server)["state"] != "running")
    first, second = of_each(server, lambda: rebuild_status(server))
    assert first == second
    assert first["state"] == "succeeded"
    for status in of_each(server, lambda: rebuild_status(server)):
        assert status["report"]["unchanged"] == ["a.txt"]
    for samples in of_each(server, lambda: metrics(server)):
        assert samples["sourceline_rebuild_seconds_count", "succeeded"] == 1
        assert samples["sourceline_rebuild_seconds_sum", "succeeded"] > 0
        assert samples["sourceline_rebuild_running",] == 0


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
def test_workers_that_do_not_live_are_given_up(index: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.dying_workers", index]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 1
    assert ended.stdout == "the workers do not stay alive: 4 died in 120 seconds\n"
    assert "Traceback" not in ended.stderr
    assert ("ERROR sourceline.server.run: there is no index in none yet" in ended.stderr) == (index == "none")
    assert not list(tmp_path.glob("sourceline-*"))


def test_a_snapshot_that_is_damaged_under_the_workers_is_set_aside_and_the_one_before_is_served(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    before = rebuild(documents, index).snapshot
    (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    newest = rebuild(documents, index).snapshot
    with running(documents, index, "--workers", "2") as server:
        (words,) = (index / "snapshots" / newest / "bm25").glob("*.idx")  # which is mapped into memory
        os.truncate(words, 0)

        def texts() -> set[str]:
            """Ask until nobody dies of it."""
            try:
                answers = [ask(server, f"When does the bridge open in {number}?") for number in range(8)]
            except httpx2.TransportError:
                return set()
            return {answer["passages"][0]["text"] for answer in answers if answer.get("snapshot") == before}

        wait_until(lambda: texts() == {"The bridge opens on Monday."})
        assert server.process.poll() is None


def ask(server: Running, question: str) -> dict[str, Any]:
    answer = httpx2.get(server.url + "/v1/ask", params={"question": question}, timeout=60).json()
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_behind_when_the_process_that_started_the_workers_ends(
    documents: Path, seed_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with running(documents, seed_index, "--workers", "2") as server:
        workers = children(server.process.pid)
        assert len(workers) == 2
        assert len(list(tmp_path.glob("sourceline-serve-*"))) == 1
        server.process.send_signal(number)
        assert server.process.wait() == (0 if number == signal.SIGHUP else -signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, workers)))
    assert not list(tmp_path.glob("sourceline-*"))


def ignores_hangups(pid: int) -> bool:
    """Return whether a worker has begun to start: what it does first is to ignore SIGHUP."""
    status = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(status["SigIgn"], 16) & 1 << signal.SIGHUP - 1)


def test_nothing_is_left_behind_when_the_process_is_killed_while_the_workers_start(
    documents: Path, seed_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = start(documents, seed_index, "--port", "0", "--workers", "2")
    wait_until(lambda: sum(map(ignores_hangups, children(process.pid))) == 2)
    workers = children(process.pid)
    process.kill()
    _, said = process.communicate()
    assert "Sourceline answers" not in said
    wait_until(lambda: not any(map(is_alive, workers)))
    assert not list(tmp_path.glob("sourceline-*"))


def test_sigterm_resets_no_connection(server: Running) -> None:
    """Clients ask all the time, on new connections and on kept ones, until nobody listens any more."""
    answered: list[int] = []
    failed: list[str] = []

    def ask_on(keep: bool) -> None:
        with closing(http.client.HTTPConnection(*server.address)) as connection:
            while True:
                try:
                    connection.request("GET", "/v1/documents", headers={} if keep else {"Connection": "close"})
                except ConnectionRefusedError:
                    return
                try:
                    response = connection.getresponse()
                    response.read()
                    answered.append(response.status)
                except OSError as error:
                    failed.append(repr(error))
                    return

    clients = [threading.Thread(target=ask_on, args=(number % 2 == 0,)) for number in range(8)]
    for client in clients:
        client.start()
    wait_until(lambda: len(answered) > 100)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait() == 0
    for client in clients:
        client.join()
    assert failed == []
    assert set(answered) <= {200, 503}
