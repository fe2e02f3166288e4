"""Sourceline as its users have it: its commands and its HTTP, in processes of their own."""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "sourceline")
PATIENCE_SECONDS = 120  # for an answer, also of a busy machine
START_SECONDS = 600  # for a server that may build first
_ADDRESS = re.compile(r"Sourceline answers at http://127\.0\.0\.1:(\d+)")


@dataclass
class Findings:
    """What a campaign found: counts of what was tried, and a line for each thing that is false."""

    title: str
    counts: dict[str, int | str] = field(default_factory=dict)
    false: list[str] = field(default_factory=list)
    _shown: int = 0

    def progress(self, line: str) -> None:
        """Show how far the campaign is, and what was false since this was last shown."""
        print(f"{line}, {len(self.false)} false", *self.false[self._shown :], sep="\n- ", file=sys.stderr, flush=True)
        self._shown = len(self.false)

    def add(self, name: str, count: int = 1) -> None:
        """Count something that was tried."""
        self.counts[name] = int(self.counts.get(name, 0)) + count

    def markdown(self, shown: int = 20) -> str:
        """Return the summary, with the first false things."""
        rows = [
            f"| {name} | {value:,} |" if isinstance(value, int) else f"| {name} | {value} |"
            for name, value in self.counts.items()
        ]
        lines = [f"- {line}" for line in self.false[:shown]]
        if len(self.false) > shown:
            lines.append(f"- and {len(self.false) - shown:,} more")
        return "\n".join(
            [
                f"## {self.title}",
                "",
                "| | |",
                "|---|--:|",
                *rows,
                f"| **false** | **{len(self.false):,}** |",
                "",
                *lines,
            ]
        )


def environment() -> dict[str, str]:
    """Return this process' environment without settings of Sourceline."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SOURCELINE_")}


def command(*arguments: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a command of Sourceline until it ends."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=environment(),
    )


def folders(documents: Path, index: Path) -> tuple[str, ...]:
    """Return the options that name a documents folder and an index folder."""
    return "--documents", str(documents), "--index", str(index)


@dataclass
class Server:
    """A running server. ``log`` is what it has written so far."""

    process: subprocess.Popen[bytes]
    port: int
    log_file: Path

    @property
    def log(self) -> str:
        """What it wrote to its standard error."""
        return self.log_file.read_text("utf-8", errors="replace")

    def fetch(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Return status and content of an answer.

        Raises:
            OSError, http.client.HTTPException: there was none.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            content = json.dumps(body) if body is not None else None
            connection.request(method, path, content, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def request(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Return status and content of an answer in JSON, as ``fetch`` does."""
        status, content = self.fetch(method, path, body)
        return status, json.loads(content)

    def get(self, path: str) -> dict[str, Any]:
        """Return what a GET answers, which must be a success."""
        status, content = self.request("GET", path)
        if status != 200:
            raise UnexpectedError(f"GET {path}: {status} {content}")
        return content

    def document(self, document: str) -> dict[str, Any]:
        """Return a document with its passages."""
        return self.get(f"/v1/documents/{quote(document)}")

    def snapshot(self) -> str:
        """Return the id of the snapshot that is served."""
        return str(self.get("/v1/index")["snapshot"]["id"])

    def rebuild(self) -> dict[str, Any]:
        """Rebuild, wait for the end, and return the state of the rebuild."""
        status, content = self.request("POST", "/v1/index/rebuild")
        if status != 202:
            raise UnexpectedError(f"POST /v1/index/rebuild: {status} {content}")
        while (state := self.get("/v1/index")["rebuild"])["state"] == "running":
            time.sleep(0.2)
        return dict(state)

    def kill(self) -> None:
        """Kill it, as the system does when memory is short."""
        self.process.kill()
        self.process.wait()


class UnexpectedError(Exception):
    """An answer that is none that can be expected."""


@contextmanager
def server(*arguments: object, before: Sequence[str] = ()) -> Iterator[Server]:
    """Serve on a free port until the block ends; ``before`` is what the command is run by.

    Raises:
        UnexpectedError: it does not start; the message is what it said.
    """
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        started = start_server(Path(folder) / "log", *arguments, before=before)
        try:
            yield started
        finally:
            started.kill()


def start_server(log_file: Path, *arguments: object, before: Sequence[str] = ()) -> Server:
    """Start a server on a free port, which writes its log into a file, and wait until it answers.

    Raises:
        UnexpectedError: it does not start; the message is what it said.
    """
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*before, *COMMAND, "serve", "--port", "0", *map(str, arguments)],
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        said = log_file.read_text("utf-8", errors="replace")
        if address := _ADDRESS.search(said):
            return Server(process, int(address[1]), log_file)
        if process.poll() is not None:
            raise UnexpectedError(f"the server ended with {process.returncode}: {said.strip()}")
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise UnexpectedError(f"the server did not start in {START_SECONDS} s: {said.strip()}")
