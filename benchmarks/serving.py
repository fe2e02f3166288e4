"""Time the server: start to first answer, latency at one client in each mode, memory.

    sourceline rebuild-index
    python benchmarks/serving.py [--starts 5] [--questions 1000]

Serves the index of the settings, as ``sourceline serve`` does, and prints the medians over the starts. p95 is that of
questions under 200 characters, which nearly all are; p99 is that of the long ones. Other benchmarks use the functions
of this file to start servers and to ask them.
"""

import argparse
import http.client
import itertools
import json
import os
import random
import re
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

from sourceline.types import Mode

SEEDS = Path(__file__).parent.parent / "seeds"
# An installed program has its modules compiled; where this is set, every start would compile ours again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
WARM_UP = 50  # questions before the clock runs
SHORT = 200  # characters; p95 is measured over questions with fewer
P50, P99 = "p50 at one client, ms", "p99 at one client, ms"
P95 = f"p95 at one client, under {SHORT} characters, ms"
_COMMAND = (sys.executable, "-m", "sourceline")
_ADDRESS = re.compile(r"http://\S+?:(\d+)")


@dataclass(frozen=True, slots=True)
class Server:
    """How a server is started, and the request that asks it a question, as method, path and body.

    ``environment`` is that of this process if it is None.
    """

    command: tuple[str, ...]
    request: Callable[[str], tuple[str, str, str]]
    environment: Mapping[str, str] | None = None


def sourceline(mode: Mode = Mode.READ) -> Server:
    """Return Sourceline on the index of the settings, asked in a mode."""
    return Server(
        (*_COMMAND, "serve", "--port", "0"),
        lambda question: ("POST", "/v1/ask", json.dumps({"question": question, "mode": mode})),
    )


SOURCELINE = sourceline()


def main() -> None:
    """Start the server several times and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--questions", type=int, default=1000)
    arguments = parser.parse_args()
    runs = [measure(SOURCELINE, partial(latency, arguments.questions)) for _ in range(arguments.starts)]
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"{name:56} {statistics.median(values):8.2f}   ({min(values):.2f} to {max(values):.2f})")


def rebuild(documents: Path, index: Path | str) -> float:
    """Run ``sourceline rebuild-index``; return the seconds that it reports."""
    command = [*_COMMAND, "rebuild-index", "--json", "--documents", str(documents), "--index", str(index)]
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(process.stdout)["seconds"])


def sourceline_on(index: Path | str, documents: Path, mode: Mode = Mode.READ) -> Server:
    """Return Sourceline on another index than that of the settings."""
    folders = {"SOURCELINE_INDEX": str(index), "SOURCELINE_DOCUMENTS": str(documents)}
    return replace(sourceline(mode), environment=os.environ | folders)


def seed_questions() -> list[str]:
    """Return the questions about the seed documents, shuffled: as they are, and in lower case without the "?".

    All differ, so that no server gains by caching answers.
    """
    questions: dict[str, None] = {}
    for file in ("questions.jsonl", "forms.jsonl"):
        for line in (SEEDS / file).read_text("utf-8").splitlines():
            question = json.loads(line)["question"]
            questions |= {question: None, question.lower().rstrip("?"): None}
    shuffled = list(questions)
    random.Random(0).shuffle(shuffled)
    return shuffled


def measure(server: Server, under_load: Callable[[int], dict[str, float]]) -> dict[str, float]:
    """Return the measurements of one start, with those that ``under_load`` makes at the port."""
    started = time.perf_counter()
    with running(server) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        ask(connection, seed_questions()[0], server)
        first = time.perf_counter() - started
        connection.close()
        return {
            "start to first answer, s": first,
            **under_load(port),
            "resident, MB": resident_megabytes(process.pid),
        }


def latency(count: int, port: int) -> dict[str, float]:
    """Return percentiles in each mode over ``count`` questions that one client asks one after the other."""
    questions = seed_questions()
    measured: dict[str, float] = {}
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for mode in Mode:
        times = answer_times(connection, questions, count, sourceline(mode))
        measured |= {f"{mode}: {name}": value for name, value in percentiles(questions, times).items()}
    connection.close()
    return measured


def percentiles(questions: Sequence[str], times: Sequence[float]) -> dict[str, float]:
    """Return p50 and p99 of the times that ``answer_times`` returned for these questions, and p95 of the short ones."""
    asked = itertools.islice(itertools.cycle(questions), WARM_UP, None)
    short = [time for question, time in zip(asked, times, strict=False) if len(question) < SHORT]
    return {
        P50: statistics.median(times),
        P95: statistics.quantiles(short, n=20)[18],
        P99: statistics.quantiles(times, n=100)[98],
    }


def answer_times(
    connection: http.client.HTTPConnection, questions: Sequence[str], count: int, server: Server = SOURCELINE
) -> list[float]:
    """Ask ``count`` questions in turn, after ``WARM_UP`` others; return the milliseconds of each."""
    times = []
    for question in itertools.islice(itertools.cycle(questions), WARM_UP + count):
        before = time.perf_counter()
        ask(connection, question, server)
        times.append((time.perf_counter() - before) * 1000)
    return times[WARM_UP:]


@contextmanager
def running(server: Server = SOURCELINE) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a server on a free port; yield its process and port once it listens."""
    with tempfile.TemporaryFile("w+b") as log:  # a file never fills up, as a pipe does that nobody reads
        process = subprocess.Popen(server.command, env=server.environment, stderr=log)
        try:
            yield process, _wait_for_port(process, log.fileno())
        finally:
            process.terminate()
            process.wait()


def _wait_for_port(process: subprocess.Popen[bytes], log: int) -> int:
    """Return the port that a server says it listens on."""
    while process.poll() is None:
        if address := _ADDRESS.search(os.pread(log, 1 << 20, 0).decode(errors="replace")):
            return int(address[1])
        time.sleep(0.002)
    raise RuntimeError(f"the server did not start: {os.pread(log, 1 << 20, 0).decode(errors='replace')}")


def ask(connection: http.client.HTTPConnection, question: str, server: Server = SOURCELINE) -> None:
    """Ask one question; raise if it is not answered."""
    method, path, body = server.request(question)
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
