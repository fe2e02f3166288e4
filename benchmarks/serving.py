"""Time the server on an index: ``python benchmarks/serving.py [--starts 5] [--questions 1000]``.

Uses the settings as ``sourceline serve`` does (build the index first). Prints medians over the starts: process start to
the first answer, p50 and p99 over HTTP at one client, and resident memory after the questions.
"""

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUESTIONS = (
    "Who met in Tehran?",
    "What did the president say about regional cooperation?",
    "why do pilgrims matter for the economy",
    "What will happen with customs procedures?",
    "How are the projects between the countries monitored?",
)


def main() -> None:
    """Start the server some times and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--questions", type=int, default=1000)
    arguments = parser.parse_args()
    rows = [measure(arguments.questions) for _ in range(arguments.starts)]
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name:32} {statistics.median(values):8.2f}   ({min(values):.2f} to {max(values):.2f})")


def measure(questions: int) -> dict[str, float]:
    """Return the figures of one start."""
    started = time.perf_counter()
    with serving() as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        ask(connection, QUESTIONS[0])
        first = time.perf_counter() - started
        for question in QUESTIONS * 10:
            ask(connection, question)
        times = []
        for number in range(questions):
            before = time.perf_counter()
            ask(connection, QUESTIONS[number % len(QUESTIONS)])
            times.append((time.perf_counter() - before) * 1000)
        return {
            "start to first answer, s": first,
            "p50 at one client, ms": statistics.median(times),
            "p99 at one client, ms": statistics.quantiles(times, n=100)[98],
            "resident, MB": resident_megabytes(process.pid),
        }


@contextmanager
def serving() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a server on a free port; yield its process and port once it listens."""
    command = [sys.executable, "-m", "sourceline", "serve", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        for line in process.stderr:
            if found := re.search(r"answers at http://\S+:(\d+)", line):
                yield process, int(found[1])
                return
        raise RuntimeError("the server did not start")
    finally:
        process.terminate()
        process.wait()


def ask(connection: http.client.HTTPConnection, question: str) -> None:
    """Ask one question; raise if it is not answered."""
    body = json.dumps({"question": question})
    connection.request("POST", "/v1/ask", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.load(response)
    if response.status != 200 or not answer["passages"]:
        raise RuntimeError(f"status {response.status}: {answer}")


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


if __name__ == "__main__":
    main()
