"""Rebuilds under load: no question fails, no answer mixes two snapshots, memory and descriptors stay as they are."""

import http.client
import itertools
import math
import os
import random
import re
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from campaigns.corpus import Folder, new_index
from campaigns.outside import Findings, Server, folders, server

CLIENTS = 4
WARM_UP = 20  # rebuilds before memory is compared: the allocator and the caches fill
MODES = ("read", "fast")
# Sentences of one document, from the start: more than is read at once. Else texts grow, and what reading them needs.
LONGEST = 40
LET_GO_SECONDS = 30.0  # the longest that an answer takes under this load, also on a busy machine
# A growth of less a rebuild is none: what the allocator gives back depends on chance.
MOST_KB, MOST_DESCRIPTORS = 50.0, 0.05
K = 10


class Client(threading.Thread):
    """Asks until it is to stop; keeps what was false, and what each snapshot answered."""

    def __init__(self, target: Server, seed: int) -> None:
        super().__init__(daemon=True)
        self._server, self._random = target, random.Random(seed)
        self.ended = threading.Event()
        self.failed: list[str] = []
        self.asked = 0
        self.passages: dict[str, set[tuple[str, int, int, str]]] = {}

    def run(self) -> None:
        """Ask."""
        for number in itertools.count():
            if self.ended.is_set():
                return
            question = (
                f"What did the {self._random.choice(('board', 'council', 'clerk'))} decide about number {number % 50}?"
            )
            body = {"question": question, "k": K, "mode": self._random.choice(MODES)}
            try:
                status, answer = self._server.request("POST", "/v1/ask", body)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                continue
            self.asked += 1
            if status != 200:
                self.failed.append(f"{status} {answer}")
                continue
            seen = self.passages.setdefault(answer["snapshot"], set())
            for passage in answer["passages"]:
                at = passage["location"]
                seen.add((passage["document"]["id"], at["start"], at["end"], passage["text"]))

    def mixed(self, published: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Return what answers said that does not stand in the snapshot that they name; ``published`` has its texts."""
        return [
            f"an answer of {snapshot} holds {text!r} of {document}"
            for snapshot, passages in self.passages.items()
            for document, start, end, text in passages
            if published.get(snapshot, {}).get(document, "")[start:end] != text
        ]


def run(count: int, seed: int, work: Path, encoders: Path) -> Findings:
    """Rebuild so many times while clients ask."""
    findings = Findings(f"{count} rebuilds under load by {CLIENTS} clients, seed {seed}")
    folder = Folder(work / "documents", random.Random(seed))
    index = new_index(work / "index", encoders)
    folder.fill()
    folder.lengthen(LONGEST)
    with server(*folders(folder.path, index)) as served:
        published = {served.snapshot(): folder.texts()}
        memory, descriptors = [], []
        with asking(served, seed) as clients:
            for number in range(1, count + 1):
                folder.edit()
                snapshot = rebuild(served, findings)
                published[snapshot] = folder.texts()
                memory.append(resident(served.process.pid))
                descriptors.append(len(os.listdir(f"/proc/{served.process.pid}/fd")))
                if others := mapped_snapshots(served.process.pid) - {snapshot}:
                    findings.false.append(f"rebuild {number}: files of {sorted(others)} are still mapped")
                findings.progress(f"rebuild {number}: {memory[-1]} kB, {descriptors[-1]} descriptors")
    for client in clients:
        findings.add("questions", client.asked)
        findings.add("failed questions", len(client.failed))
        findings.false += client.failed + client.mixed(published)
    findings.counts["memory at the start and the end, MB"] = f"{memory[0] / 1000:.1f}, {memory[-1] / 1000:.1f}"
    judge("memory, kB", memory[WARM_UP:], MOST_KB, findings)
    judge("descriptors", descriptors[WARM_UP:], MOST_DESCRIPTORS, findings)
    return findings


@contextmanager
def asking(served: Server, seed: int) -> Iterator[list[Client]]:
    """Let clients ask until the block ends."""
    clients = [Client(served, seed + number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.ended.set()
        for client in clients:
            client.join()


def rebuild(served: Server, findings: Findings) -> str:
    """Rebuild, and return the new snapshot once it is served and the one before should have been let go."""
    before = served.snapshot()
    state = served.rebuild()
    if state["state"] != "succeeded":
        findings.false.append(f"a rebuild {state['state']}: {state.get('error')}")
        return before
    while (snapshot := served.snapshot()) == before:
        time.sleep(0.05)
    until = time.monotonic() + LET_GO_SECONDS
    while mapped_snapshots(served.process.pid) - {snapshot} and time.monotonic() < until:
        time.sleep(0.1)
    findings.add("rebuilds")
    return snapshot


def judge(name: str, values: Sequence[float], most: float, findings: Findings) -> None:
    """Tell how much a value grows with each rebuild; more than so much is false, if it is certain."""
    slope, half = slope_with_interval(values)
    findings.counts[f"{name} a rebuild, after {WARM_UP}"] = f"{slope:+.2f} ({slope - half:+.2f} to {slope + half:+.2f})"
    if slope - half > most:
        findings.false.append(f"{name}: grows by {slope:.2f} a rebuild")


def resident(process: int) -> int:
    """Return the kB of memory that a process has to itself: what is not of a file."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])


def mapped_snapshots(process: int) -> set[str]:
    """Return the snapshots of which a process has mapped a file."""
    return set(re.findall(r"/snapshots/([^/]+)/", Path(f"/proc/{process}/maps").read_text()))


def slope_with_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the slope of the line through values, by least squares, and half the width of its 95 % interval."""
    n = len(values)
    if n < 3:
        return math.nan, math.nan
    line = statistics.linear_regression(range(n), values)
    residuals = [value - line.intercept - line.slope * at for at, value in enumerate(values)]
    spread = sum((at - (n - 1) / 2) ** 2 for at in range(n))
    error = math.sqrt(sum(residual**2 for residual in residuals) / (n - 2) / spread)
    return line.slope, 2 * error
