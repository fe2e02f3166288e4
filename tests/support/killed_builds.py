"""Builds that are killed before one of their steps.

Run as a program, this module builds in a process that kills itself before a given step; without one it prints the
steps. A step is a call into compiled code that writes: to a file, a folder, a database or an index.
"""

import gc
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any

from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL

ROOT = Path(__file__).parents[2]
MODULE = "tests.support.killed_builds"
# What the index was built of, and what a build that is killed finds in the folder.
OLD = {
    "a.txt": "The bridge opens on Monday at nine. The roof of the hall leaks badly.\n",
    "b.txt": "Seven trams were ordered.\n",
}
NEW = {
    "a.txt": "The bridge opens on Sunday at nine.\n",
    "b.txt": "Seven trams were ordered.\n",
    "c.txt": "The library closes early.\n",
}
# The step that ends the manifest of a snapshot, which is whole then, and the one that publishes it.
REPLACE = "durable.replace: replace"
FILES = {"mkdir", "write", "truncate", "tofile", "fsync", "rename", "replace", "unlink", "rmdir"}
INDEXES = {"write_index", "add_document", "commit", "wait_merging_threads"}
DATABASES = {"execute", "executemany", "executescript", "commit", "__exit__", "close"}
# Where statements are executed that only read.
READS = {
    "cache.get",
    "older_ledger._open",
    "older_ledger._version",
    "older_ledger.issued",
    "older_ledger.resolutions",
    "passage_store.__init__",
    "passage_store._of_document",
    "passage_store._select",
    "passage_store.text_of",
}


def step_name(frame: FrameType, called: Any) -> str | None:
    """Return the name of a step, the function that makes it and what it calls; None if the call is none."""
    name, owner = called.__name__, type(getattr(called, "__self__", None)).__name__
    while frame.f_code.co_filename == pathlib.__file__ and frame.f_back:
        frame = frame.f_back
    place = f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"
    if owner == "Connection":
        writes = name in DATABASES and not (name == "execute" and place in READS)
    else:
        writes = name in FILES | INDEXES and owner != "str"
    return f"{place}: {name}" if writes else None


def build_and_die(documents: Path, index: Path, kill_before: int | None) -> None:
    """Build, and kill this process before a step; without one, print the steps."""
    steps: list[str] = []
    one_at_a_time = threading.Lock()

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and (name := step_name(frame, called)):
            with one_at_a_time:
                if len(steps) == kill_before:
                    os.kill(os.getpid(), signal.SIGKILL)
                steps.append(name)

    # Up to Python 3.11.2, the collector crashes in a generator that is profiled (python/cpython#101975).
    gc.disable()
    threading.setprofile(profile)
    sys.setprofile(profile)
    build(documents, index, DEFAULT_MODEL)
    sys.setprofile(None)
    print(json.dumps(steps))


def fork_for_each(lines: Iterable[str]) -> None:
    """Build for each line, its documents, index and step, in a process forked off this one, which imported everything.

    Print how each ended.
    """
    for line in lines:
        documents, index, step = json.loads(line)
        if not (child := os.fork()):
            signal.alarm(120)  # a build that hangs has not ended as it should
            build_and_die(Path(documents), Path(index), step)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


@contextmanager
def killed_builds() -> Iterator[Callable[[Path, Path, int], int]]:
    """Yield a function that builds in a process that dies before a step, and returns how the process ended.

    As many threads may call it at once as there are cores.
    """
    command = [sys.executable, "-m", MODULE]
    with ExitStack() as stack:
        idle: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        for _ in range(os.cpu_count() or 1):
            forking = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            idle.put(stack.enter_context(forking))  # ends when its standard input is closed

        def build_killed(documents: Path, index: Path, step: int) -> int:
            forking = idle.get()
            assert forking.stdin
            assert forking.stdout
            forking.stdin.write(json.dumps([str(documents), str(index), step]) + "\n")
            forking.stdin.flush()
            exit_code = int(forking.stdout.readline())
            idle.put(forking)
            return exit_code

        yield build_killed


def run_python(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in the project's root."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def steps_of(documents: Path, index: Path) -> list[str]:
    """Build, and return the steps that it took."""
    process = run_python("-m", MODULE, documents, index)
    assert process.returncode == 0, process.stderr
    steps = json.loads(process.stdout)
    assert isinstance(steps, list)
    return steps


def sample(steps: Sequence[str], every: int, but: tuple[str, ...] = ()) -> list[int]:
    """Return the numbers of the steps to die before: around the end and publishing, and the first of every name.

    Of the latter, only each so manyth one is taken.
    """
    firsts = sorted({steps.index(name) for name in steps if not name.startswith(but)})
    numbers = {*firsts[::every]}
    for step in (whole_after(steps), published_after(steps)):
        numbers |= {step, step + 1}
    return sorted(numbers)


def whole_after(steps: Sequence[str]) -> int:
    """Return the step after which the new snapshot is whole."""
    return steps.index(REPLACE)


def published_after(steps: Sequence[str]) -> int:
    """Return the step before which the old snapshot is served, and after which the new one."""
    return steps.index(REPLACE, whole_after(steps) + 1)


if __name__ == "__main__":
    if sys.argv[1:]:
        build_and_die(Path(sys.argv[1]), Path(sys.argv[2]), None)
    else:
        fork_for_each(sys.stdin)
