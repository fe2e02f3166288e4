"""Time the server on an index: ``python benchmarks/serving.py [--starts 5] [--questions 1000]``.

Uses the settings as ``sourceline serve`` does (build the index first). Prints medians over the starts: process start to
the first answer, p50 and p99 over HTTP at one client, and resident memory after the questions.
"""

import argparse
import http.client
import itertools
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

SEEDS = Path(__file__).parent.parent / "seeds"
# A program that is installed has its modules compiled; where this is set, each start would compile ours again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# From before Sourceline is imported, which tells numpy and others to start one thread: no peer is to inherit that.
ENVIRONMENT = dict(os.environ)
WARM = 50  # questions before the clock runs
_COMMAND = (sys.executable, "-m", "sourceline")
_STARTED = re.compile(r"http://\S+?:(\d+)")


@dataclass(frozen=True, slots=True)
class System:
    """A server: how it is started, and the request that asks it a question, as method, path and body.

    ``environment`` is that of this process if it is None.
    """

    command: tuple[str, ...]
    request: Callable[[str], tuple[str, str, str]]
    environment: Mapping[str, str] | None = None


SOURCELINE = System(
    (*_COMMAND, "serve", "--port", "0"),
    lambda question: ("POST", "/v1/ask", json.dumps({"question": question})),
)


def main() -> None:
    """Start the server some times and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--questions", type=int, default=1000)
    arguments = parser.parse_args()
    rows = [measure(SOURCELINE, partial(at_one_client, arguments.questions)) for _ in range(arguments.starts)]
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name:32} {statistics.median(values):8.2f}   ({min(values):.2f} to {max(values):.2f})")


def rebuild(documents: Path, index: Path) -> float:
    """Build as users do; return the seconds that the command says it took."""
    command = [*_COMMAND, "rebuild-index", "--json", "--documents", str(documents), "--index", str(index)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout)["seconds"])


def sourceline_on(index: Path, documents: Path) -> System:
    """Return Sourceline with an index that is not the one of the settings."""
    folders = {"SOURCELINE_INDEX": str(index), "SOURCELINE_DOCUMENTS": str(documents)}
    return replace(SOURCELINE, environment=os.environ | folders)


def seed_questions() -> list[str]:
    """Return the questions about the seed documents, shuffled: as they are, and in small letters without the "?".

    They are all different, so that no server gains by keeping answers.
    """
    asked: dict[str, None] = {}
    for file in ("questions.jsonl", "forms.jsonl"):
        for line in (SEEDS / file).read_text("utf-8").splitlines():
            question = json.loads(line)["question"]
            asked |= {question: None, question.lower().rstrip("?"): None}
    questions = list(asked)
    random.Random(0).shuffle(questions)
    return questions


def measure(system: System, answering: Callable[[int], dict[str, float]]) -> dict[str, float]:
    """Return the figures of one start, with those that ``answering`` takes at the port."""
    started = time.perf_counter()
    with live_index(system) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        ask(connection, seed_questions()[0], system)
        first = time.perf_counter() - started
        connection.close()
        return {
            "start to first answer, s": first,
            **answering(port),
            "resident, MB": resident_megabytes(process.pid),
        }


def at_one_client(count: int, port: int) -> dict[str, float]:
    """Return the figures of ``count`` questions, asked of Sourceline one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    times = answer_times(connection, seed_questions(), count)
    connection.close()
    return {
        "p50 at one client, ms": statistics.median(times),
        "p99 at one client, ms": statistics.quantiles(times, n=100)[98],
    }


def answer_times(connection: http.client.HTTPConnection, questions: Sequence[str], count: int) -> list[float]:
    """Ask ``count`` questions in turn, after some to warm up; return the milliseconds of each."""
    times = []
    for question in itertools.islice(itertools.cycle(questions), WARM + count):
        before = time.perf_counter()
        ask(connection, question)
        times.append((time.perf_counter() - before) * 1000)
    return times[WARM:]


@contextmanager
def live_index(system: System = SOURCELINE) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a server on a free port; yield its process and port once it listens."""
    with tempfile.TemporaryFile("w+b") as said:  # a file never fills up, as a pipe does that nobody reads
        process = subprocess.Popen(system.command, env=system.environment, stderr=said)
        try:
            yield process, _port(process, said.fileno())
        finally:
            process.terminate()
            process.wait()


def _port(process: subprocess.Popen[bytes], said: int) -> int:
    """Return the port that a server says it listens on."""
    while process.poll() is None:
        if found := _STARTED.search(os.pread(said, 1 << 20, 0).decode(errors="replace")):
            return int(found[1])
        time.sleep(0.002)
    raise RuntimeError(f"the server did not start: {os.pread(said, 1 << 20, 0).decode(errors='replace')}")


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def ask(connection: http.client.HTTPConnection, question: str, system: System = SOURCELINE) -> None:
    """Ask one question; raise if it is not answered."""
    method, path, body = system.request(question)
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    response = connection.getresponse()
    answer = json.load(response)
    if response.status != 200 or not (answer["passages"] if isinstance(answer, dict) else answer):
        raise RuntimeError(f"status {response.status}: {answer}")


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


if __name__ == "__main__":
    main()
