"""Measure what clients that mean no good cost those that do.

    python benchmarks/overload.py [--slow 1000] [--leaving 100] [--sentences 40000]

Indexes the seed documents and a made-up text of 2.5 MB in a temporary folder, serves them as ``sourceline serve`` does,
and measures five situations, one after the other, while healthy clients ask questions:

* slow connections, a quarter each with half a head, with a body that comes byte by byte, with an answer that is not
  read, and with nothing;
* clients that ask for the longest stretch of the largest document, all at once and again and again, and leave;
* as many that ask for it and read nothing of it, and a client behind them that asks for a document, too;
* five times as many questions at once as the server takes in;
* SIGTERM, while clients ask on.

Prints how many healthy requests were answered, how long a 503 and the recovery took, and the server's memory.
"""

import argparse
import http.client
import os
import random
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from serving import SEEDS, rebuild, resident_megabytes, running, seed_questions, sourceline_on

LARGE = "large.txt"
CAPACITY = 64  # the default of the setting
HEALTHY = 4  # clients, each of which asks one question after the other
SECONDS = 15.0  # of each measurement
WORDS = (
    "the council harbour tram budget vote school roof minister bridge spring of and to was a crane ferry report in "
    "committee road clerk water winter for said that market on session chair"
).split()
QUESTIONS = seed_questions()
STRETCH = f"/v1/documents/{LARGE}?limit=1000000"


@dataclass
class Answers:
    """What clients were answered: the status (0 is none) and the milliseconds of each request."""

    statuses: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def share(self) -> float:
        """Return how many of 100 were answered with 200."""
        return 100 * self.statuses.count(200) / len(self.statuses)

    def summary(self) -> str:
        """Return what a person wants to know."""
        return (
            f"healthy requests answered: {self.share():6.2f} % of {len(self.statuses)}, "
            f"p50 {statistics.median(self.times):.0f} ms, p99 {statistics.quantiles(self.times, n=100)[98]:.0f} ms"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slow", type=int, default=1_000, help="slow connections")
    parser.add_argument("--leaving", type=int, default=100, help="clients that ask for the largest document and leave")
    parser.add_argument("--sentences", type=int, default=40_000, help="of the largest document; 40,000 are 2.5 MB")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        documents, index = Path(folder) / "documents", Path(folder) / "index"
        shutil.copytree(SEEDS, documents)
        (documents / LARGE).write_text(large_text(arguments.sentences), "utf-8")
        print(f"indexing {(documents / LARGE).stat().st_size / 1e6:.1f} MB: {rebuild(documents, index):.0f} s")
        with running(sourceline_on(index, documents)) as (process, port):
            ask_questions(port, 2.0)
            print(f"at rest: {ask_questions(port, SECONDS).summary()}; {memory(process)}")
            measure_slow(process, port, arguments.slow)
            measure_leaving(process, port, arguments.leaving)
            measure_unread(process, port, arguments.leaving)
            measure_overload(process, port)
            measure_stop(process, port)


def large_text(count: int) -> str:
    """Return a text of so many sentences in paragraphs."""
    chance = random.Random(0)
    sentences = (" ".join(chance.choices(WORDS, k=chance.randint(8, 16))).capitalize() for _ in range(count))
    return "".join(f"{sentence}.{' ' if number % 8 else chr(10) * 2}" for number, sentence in enumerate(sentences, 1))


def memory(process: subprocess.Popen[bytes]) -> str:
    """Return the memory of the server, in words."""
    return f"memory {resident_megabytes(process.pid):.0f} MB"


def get(port: int, path: str) -> tuple[int, float]:
    """Return the status of an answer, 0 if there is none, and how many milliseconds it took."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    status = 0
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        status = response.status
    connection.close()
    return status, (time.perf_counter() - began) * 1000


def question_path(number: int) -> str:
    """Return a request that asks a question in the mode that is the default. None is asked twice."""
    return f"/v1/ask?question={quote(QUESTIONS[number % len(QUESTIONS)])}+{number}"


def ask_questions(port: int, seconds: float) -> Answers:
    """Ask with all healthy clients for some seconds."""
    answers, until, numbers = Answers(), time.monotonic() + seconds, iter(range(1_000_000))

    def ask_on() -> None:
        while time.monotonic() < until:
            status, milliseconds = get(port, question_path(next(numbers)))
            answers.statuses.append(status)
            answers.times.append(milliseconds)

    together([ask_on] * HEALTHY)
    return answers


def together(work: list[Callable[[], None]]) -> None:
    """Do all of it at once, each in a thread."""
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def slow_connections(port: int, count: int) -> Iterator[None]:
    """Keep slow connections open; each that the server closes is opened anew."""
    head = b"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    kinds = [
        head,
        head + b"Content-Length: 1000\r\n\r\n{",
        f"GET {STRETCH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
        b"",
    ]
    stopped = threading.Event()
    with ExitStack() as stack:
        stack.callback(stopped.set)

        def connect(number: int) -> socket.socket:
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.connect(("127.0.0.1", port))
            connection.sendall(kinds[number % len(kinds)])
            return connection

        connections = [connect(number) for number in range(count)]

        def keep() -> None:
            while not stopped.wait(1):
                for number, connection in enumerate(connections):
                    try:
                        if number % len(kinds) == 1:
                            connection.send(b" ")
                        if number % len(kinds) != 2 and not connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK):
                            raise ConnectionResetError
                    except BlockingIOError:
                        pass
                    except OSError:
                        connection.close()
                        connections[number] = connect(number)
            for connection in connections:
                connection.close()

        keeper = threading.Thread(target=keep)
        keeper.start()
        stack.callback(keeper.join)
        stack.callback(stopped.set)
        yield


def measure_slow(process: subprocess.Popen[bytes], port: int, count: int) -> None:
    """Ask while slow clients hold connections, for longer than they are waited for."""
    with slow_connections(port, count):
        answers = ask_questions(port, 3 * SECONDS)
        print(f"{count} slow connections: {answers.summary()}; {memory(process)}")


def measure_leaving(process: subprocess.Popen[bytes], port: int, count: int) -> None:
    """Ask while clients ask for the largest document and leave, all at once and again and again."""
    until = time.monotonic() + SECONDS

    def leave() -> None:
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(f"GET {STRETCH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                time.sleep(0.2)

    answers = Answers()

    def ask() -> None:
        healthy = ask_questions(port, SECONDS)
        answers.statuses, answers.times = healthy.statuses, healthy.times

    together([ask, *[leave] * count])
    print(f"{count} clients that leave: {answers.summary()}; {memory(process)}")
    print(f"  then: the next document after {recovery(port, STRETCH):.2f} s")


def measure_unread(process: subprocess.Popen[bytes], port: int, count: int) -> None:
    """Ask for a document behind clients that ask for the longest stretch of it and read nothing."""
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.connect(("127.0.0.1", port))
            connection.sendall(f"GET {STRETCH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        began = time.monotonic()
        status, milliseconds = get(port, f"/v1/documents/{LARGE}?limit=1000")
        recovery(port, f"/v1/documents/{LARGE}?limit=1000")
        print(f"{count} clients that read nothing: a document behind them is {status} after {milliseconds:.0f} ms,")
        print(f"  200 after {time.monotonic() - began:.2f} s; {memory(process)}")


def recovery(port: int, path: str) -> float:
    """Return after how many seconds a request is answered."""
    began = time.monotonic()
    while get(port, path)[0] != 200:
        time.sleep(0.02)
    return time.monotonic() - began


def measure_overload(process: subprocess.Popen[bytes], port: int) -> None:
    """Ask with five times as many clients as the server takes in."""
    answers, until, numbers = Answers(), time.monotonic() + SECONDS, iter(range(1_000_000))

    def ask_on() -> None:
        while time.monotonic() < until:
            status, milliseconds = get(port, question_path(next(numbers)))
            answers.statuses.append(status)
            answers.times.append(milliseconds)
            if status == 503:
                time.sleep(0.5 + random.random())  # half of what Retry-After says, and more

    together([ask_on] * (5 * CAPACITY))
    refused = [each for each, status in zip(answers.times, answers.statuses, strict=True) if status == 503]
    others = len(answers.statuses) - answers.statuses.count(200) - len(refused)
    print(
        f"5 times the capacity: {answers.statuses.count(200) / SECONDS:.1f} answers a second, {len(refused)} of "
        f"{len(answers.statuses)} refused (503), p50 {statistics.median(refused):.0f} ms, "
        f"p99 {statistics.quantiles(refused, n=100)[98]:.0f} ms; {others} failed otherwise; {memory(process)}"
    )
    print(f"  then: the next question after {recovery(port, question_path(1)):.2f} s; {memory(process)}")


def measure_stop(process: subprocess.Popen[bytes], port: int) -> None:
    """Stop the server while clients ask; count what was begun and not answered."""
    statuses: list[int] = []
    refused = threading.Event()

    def ask_on() -> None:
        while not refused.is_set():
            try:
                connection = socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                refused.set()
                return
            with connection:
                connection.sendall(b"GET /v1/documents HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                try:
                    statuses.append(int(connection.recv(12)[9:] or b"0"))
                except OSError:
                    statuses.append(0)

    threading.Timer(2, os.kill, (process.pid, signal.SIGTERM)).start()
    together([ask_on] * 16)
    print(f"SIGTERM: {statuses.count(0)} of {len(statuses)} requests reset; exit code {process.wait()}")


if __name__ == "__main__":
    main()
