"""Kills of builds and of the server, over histories of edits, renames, returns and fallbacks.

After each kill everything that the server says is compared with the model in ``truth.py``: which corpus it serves, and
the status of every id that was ever seen.
"""

import random
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.killed_builds import steps_of
from tests.support.server import children, command

from campaigns.corpus import Folder, new_index, text_of
from campaigns.forked import Commands, Death, commands
from campaigns.lookups import look_up
from campaigns.outside import COMMAND, Findings, Server, UnexpectedError, environment, folders, start_server
from campaigns.truth import UNKNOWN, Answer, Corpus, Truth, ids_of

KILLS_A_HISTORY = 15
DAMAGED = 0.12  # the share of trials before which the newest snapshot is damaged
KINDS, WEIGHTS = ("step", "moment", "command", "server"), (6, 3, 1, 2)
MOST_TIMES = 4  # a step that is passed more often is killed at one of its first passes
SWITCH_SECONDS = 15  # until what was published is to be served


def run(count: int, seed: int, work: Path, encoders: Path) -> Findings:
    """Kill so many times."""
    findings = Findings(f"{count} kills of builds and of the server, seed {seed}")
    source = random.Random(seed)
    steps = named_steps(work, encoders)
    findings.counts["named steps"] = len(steps)
    kills = histories = 0
    with commands() as runs:
        while kills < count:
            histories += 1
            history = History(
                work / f"history-{histories}", random.Random(source.random()), encoders, runs, steps, findings
            )
            try:
                kills += history.run(min(KILLS_A_HISTORY, count - kills))
            except (UnexpectedError, OSError) as error:
                findings.false.append(f"history {histories} stopped: {error!r}")
                kills += 1
            finally:
                history.close()
            findings.progress(f"{kills} kills")
            shutil.rmtree(work / f"history-{histories}")
    findings.counts["histories"] = histories
    return findings


def named_steps(work: Path, encoders: Path) -> list[tuple[str, int]]:
    """Return the names of the steps that a first build and one after an edit take, and how often they take each."""
    folder, counts = Folder(work / "steps" / "documents", random.Random(0)), Counter[str]()
    index = new_index(work / "steps" / "index", encoders)
    folder.fill()
    for _ in range(2):
        counts |= Counter(steps_of(folder.path, index))
        folder.edit()
    return sorted(counts.items())


class History:
    """One folder and its index, from the first build on."""

    def __init__(
        self,
        work: Path,
        source: random.Random,
        encoders: Path,
        runs: Commands,
        steps: list[tuple[str, int]],
        findings: Findings,
    ) -> None:
        self._work, self._random, self._runs, self._steps, self._findings = work, source, runs, steps, findings
        self._folder = Folder(work / "documents", source)
        self._index = new_index(work / "index", encoders)
        self._options = folders(self._folder.path, self._index)
        self._server: Server | None = None
        self._truth = Truth()
        self._seconds = 1.0  # what a build takes
        self._done: list[str] = []  # what was done, for who asks how something false came about

    def run(self, count: int) -> int:
        """Kill so many times, and check after each; then let a build end. Return how often something was killed."""
        self._folder.fill()
        if self._build(self._death()) < 0:
            self._findings.add("kills of a first build")
            self._build(None)
        self.check(published=True)
        kills = 0
        while kills < count:
            self._folder.edit()
            if self._random.random() < DAMAGED and len(self._truth.kept) > 1:
                self._damage()
                self.check()
            killed, published = self._trial()
            kills += killed
            self.check(published)
        self.check(published=self._build(None) == 0)
        doctor = self._runs.run(*self._options, "doctor")
        if doctor.returncode:
            self._findings.false.append(f"doctor: {doctor.stdout}")
        return kills

    def close(self) -> None:
        """Kill the server; return once a build that it had started has ended, which it does when it next reports.

        Until then the folder must be left alone: it would be read half edited.
        """
        if self._server:
            builds = children(self._server.process.pid)
            self._server.kill()
            self._server = None
            while any(command(pid) for pid in builds):
                time.sleep(0.05)

    def _trial(self) -> tuple[int, bool]:
        """Kill something. Return how many processes died, and whether a build said that it has published."""
        (kind,) = self._random.choices(KINDS, WEIGHTS)
        if kind == "server":
            return self._kill_server(), False
        if kind == "command":
            return self._kill_command()
        death = self._death(kind)
        code = self._build(death)
        if code < 0:
            self._findings.add(f"kills at a {kind}")
        return int(code < 0), code == 0

    def _death(self, kind: str = "step") -> Death:
        if kind == "moment":
            return self._random.uniform(0.05, 1.1) * self._seconds
        name, times = self._random.choice(self._steps)
        return name, self._random.randrange(min(times, MOST_TIMES))

    def _build(self, death: Death) -> int:
        """Build in a process that may die; return how it ended."""
        self._truth.attempt(self._folder.corpus)
        started = time.monotonic()
        ended = self._runs.run(*self._options, "rebuild-index", death=death)
        self._done.append(f"a build to die at {death} ended with {ended.returncode}")
        if ended.returncode == 0:
            self._seconds = time.monotonic() - started
        elif ended.returncode > 0:
            self._findings.false.append(f"a build after others were killed failed: {ended.stdout}")
        return ended.returncode

    def _kill_command(self) -> tuple[int, bool]:
        self._truth.attempt(self._folder.corpus)
        with subprocess.Popen(
            [*COMMAND, *self._options, "rebuild-index"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        ) as process:
            try:
                process.wait(self._random.uniform(0.3, 2 + self._seconds))
            except subprocess.TimeoutExpired:
                process.kill()
        killed = process.wait() < 0
        self._done.append(f"the command ended with {process.returncode}")
        self._findings.add("kills of the command", killed)
        return int(killed), process.returncode == 0

    def _kill_server(self) -> int:
        """Kill the server while it has a rebuild running, or not; that may still publish."""
        if self._server is None:
            return 0
        if self._random.random() < 0.8:
            self._truth.attempt(self._folder.corpus)
            status, _ = self._server.request("POST", "/v1/index/rebuild")
            self._done.append(f"a rebuild was asked for: {status}")
            time.sleep(self._random.uniform(0, 2 + self._seconds))
        self.close()
        self._done.append("the server was killed")
        self._findings.add("kills of the server")
        return 1

    def _damage(self) -> None:
        """Damage the snapshot that is served, so that the one before is."""
        self.close()
        folder = self._index / "snapshots" / self._truth.kept[-1]
        files = [
            path for path in folder.rglob("*") if path.is_file() and path.stat().st_size and path.suffix != ".lock"
        ]
        damaged = self._random.choice(sorted(files))
        content = bytearray(damaged.read_bytes())
        if self._random.random() < 0.5:
            content[self._random.randrange(len(content))] ^= 1 << self._random.randrange(8)
        else:
            del content[self._random.randrange(len(content)) :]
        damaged.write_bytes(content)
        self._truth.fall_back()
        self._done.append(f"{damaged.name} was damaged")
        self._findings.add("newest snapshots damaged")

    def check(self, published: bool = False) -> None:
        """Compare all that the server says with the truth. ``published``: a build said that it has."""
        if self._server is None:
            self._server = start_server(self._work / "log", *self._options)
        before, until = self._truth.kept[-1:], time.monotonic() + SWITCH_SECONDS
        while True:
            snapshot = self._server.snapshot()
            if published and [snapshot] == before:
                if time.monotonic() > until:
                    self._false("not served", f"{snapshot} is still served after a build that published")
                    return
                time.sleep(0.1)
            elif self._compare(self._server, snapshot):
                return

    def _compare(self, server: Server, snapshot: str) -> bool:
        """Compare; return whether the server answered from this snapshot throughout."""
        documents: dict[str, dict[str, Any]] = {}
        for entry in server.get("/v1/documents")["documents"]:
            status, documents[entry["id"]] = server.request("GET", f"/v1/documents/{entry['id']}")
            if status != 200 or documents[entry["id"]]["snapshot"] != snapshot:
                return False
        shown = {id_: [(p["citation"], p["text"]) for p in document["passages"]] for id_, document in documents.items()}
        corpus = {id_: tuple(text for _, text in passages) for id_, passages in shown.items()}
        truth, unpublished = self._truth, self._truth.unpublished - ids_of(corpus).keys()
        answers = look_up(server, sorted(truth.issued.keys() | unpublished | ids_of(corpus).keys()))
        asked = self._ask(server, corpus)
        if server.snapshot() != snapshot:
            return False
        self._findings.add("checks")
        asked += [f"the text of {id_}" for id_ in corpus if documents[id_]["text"] != text_of(corpus[id_])]
        wrong = truth.serve(snapshot, shown)
        for line in wrong + asked:
            self._false("mixed", line)
        if not wrong:
            for id_, answer in answers.items():
                self._findings.add("lookups of unpublished ids" if id_ in unpublished else "lookups")
                if false := truth.falsehood(id_, answer):
                    self._false(_kind(id_ in unpublished, answer), false)
        return True

    def _ask(self, server: Server, corpus: Corpus) -> list[str]:
        """Ask about a sentence; return what an answer says that does not stand in the corpus."""
        sentences = [sentence for document in corpus.values() for sentence in document]
        question = {"question": self._random.choice(sentences), "k": 5, "mode": "fast"}
        status, answer = server.request("POST", "/v1/ask", question)
        if status != 200:
            return [f"{status} {answer}"]
        self._findings.add("questions")
        return [
            f"an answer holds {passage['text']!r} of {passage['document']['id']}"
            for passage in answer["passages"]
            if passage["text"] not in corpus.get(passage["document"]["id"], ())
        ]

    def _false(self, kind: str, line: str) -> None:
        self._findings.add(f"{kind} (false)")
        self._findings.false.append(f"{kind}: {self._work.name}: {line}; before: {'; '.join(self._done[-6:])}")


def _kind(unpublished: bool, answer: Answer) -> str:
    """Return what kind of falsehood an answer is."""
    if unpublished:
        return "an unpublished id is known"
    return "an issued id is unknown" if answer.status == UNKNOWN else f"falsely {answer.status}"
