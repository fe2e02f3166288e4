import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest

from sourceline.citations.ledger import Ledger
from sourceline.citations.lookup import look_up
from sourceline.errors import NoSnapshotError, UnknownCitationError
from sourceline.ids import citation_id
from sourceline.index.snapshot import open_current
from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL
from tests.conftest import Rebuild
from tests.index.folder import copy, current, litter, put

ROOT = Path(__file__).parents[2]
OLD = {
    "a.txt": "The bridge opens on Monday at nine. The roof of the hall leaks badly.\n",
    "b.txt": "Seven trams were ordered.\n",
}
NEW = {
    "a.txt": "The bridge opens on Sunday at nine.\n",
    "b.txt": "Seven trams were ordered.\n",
    "c.txt": "The library closes early.\n",
}
ISSUED_OLD = {
    ("a.txt", "The bridge opens on Monday at nine."): ("current", "changed"),
    ("a.txt", "The roof of the hall leaks badly."): ("current", "removed"),
    ("b.txt", "Seven trams were ordered."): ("current", "current"),
}
PUBLISH = "durable.replace: replace"
# How these write does not depend on what was there before.
WRITERS = ("passages", "lexical", "tokens", "_format_impl", "swigfaiss")
# The profiler would slow compiling down; only its last step counts.
KILLED_COMPILING = """
import os, sys
from pathlib import Path
from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL

Path.rename = lambda path, target: os.kill(os.getpid(), 9)
build(Path(sys.argv[1]), Path(sys.argv[2]), DEFAULT_MODEL)
"""
ISSUED_NEW = [("a.txt", "The bridge opens on Sunday at nine."), ("c.txt", "The library closes early.")]


@contextmanager
def killed_builds() -> Iterator[Callable[[Path, Path, int], int]]:
    """Yield what builds in a process that dies before a step, and returns how it ended; a thread a core may call it."""
    command = [sys.executable, "-m", "tests.index.killed_build"]
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
            ended = int(forking.stdout.readline())
            idle.put(forking)
            return ended

        yield build_killed


def python(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def steps_of(documents: Path, index: Path) -> list[str]:
    done = python("-m", "tests.index.killed_build", documents, index)
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    assert isinstance(steps, list)
    return steps


def sample(steps: Sequence[str], but: tuple[str, ...] = ()) -> list[int]:
    """Return the numbers of the steps to die before: the first one of each name, and the one after it is published."""
    return sorted({*(steps.index(name) for name in steps if not name.startswith(but)), steps.index(PUBLISH) + 1})


def status(index: Path, document: str, text: str) -> str:
    try:
        found = look_up(citation_id(document, text, 0), open_current(index).passages, Ledger(index))
    except UnknownCitationError:
        return "unknown"
    assert found.cited.passage.text == text
    return found.status.value


def verify_old_or_new(index: Path) -> str:
    """Assert that an index that held OLD holds exactly OLD or NEW, with true citations; return which."""
    served = current(index)
    assert served in (OLD, NEW)
    new = served == NEW
    for (document, text), statuses in ISSUED_OLD.items():
        assert status(index, document, text) == statuses[new]
    if new:
        assert {status(index, document, text) for document, text in ISSUED_NEW} == {"current"}
    return "new" if new else "old"


def test_a_first_build_killed_before_any_step_leaves_none_or_the_new_snapshot(
    documents: Path, exported: Path, tmp_path: Path
) -> None:
    put(documents, NEW)

    def die(step: int) -> str:
        killed = copy(compiled, tmp_path / f"killed-{step}")
        assert build_killed(documents, killed, step) == -signal.SIGKILL
        state = "new"
        try:
            assert current(killed) == NEW
        except NoSnapshotError:
            state = "none"
        build(documents, killed, DEFAULT_MODEL)
        assert current(killed) == NEW
        assert {status(killed, document, text) for document, text in ISSUED_NEW} == {"current"}
        assert litter(killed) == set()
        return state

    steps = steps_of(documents, copy(compiled, tmp_path / "whole"))
    numbers = sample(steps, but=WRITERS)
    with killed_builds() as build_killed, ThreadPoolExecutor(os.cpu_count()) as pool:
        states = list(pool.map(die, numbers))
    published = steps.index(PUBLISH)
    assert states == ["none" if number <= published else "new" for number in numbers]


def test_a_rebuild_killed_before_any_step_leaves_exactly_the_old_or_the_new_snapshot(
    documents: Path, index: Path, rebuild: Rebuild, tmp_path: Path
) -> None:
    for _ in range(2):  # two snapshots, so that the one to come removes one
        put(documents, OLD)
        rebuild(documents, index)
    put(documents, NEW)

    def die(step: int) -> str:
        killed = copy(index, tmp_path / f"killed-{step}")
        assert build_killed(documents, killed, step) == -signal.SIGKILL
        state = verify_old_or_new(killed)
        build(documents, killed, DEFAULT_MODEL)
        assert verify_old_or_new(killed) == "new"
        assert litter(killed) == set()
        return state

    steps = steps_of(documents, copy(index, tmp_path / "whole"))
    numbers = sample(steps)
    with killed_builds() as build_killed, ThreadPoolExecutor(os.cpu_count()) as pool:
        states = list(pool.map(die, numbers))
    published = steps.index(PUBLISH)
    assert states == ["old" if number <= published else "new" for number in numbers]


def test_a_first_build_killed_while_it_compiles_leaves_nothing_that_the_next_one_does_not_remove(
    documents: Path, exported: Path, rebuild: Rebuild, tmp_path: Path
) -> None:
    put(documents, NEW)
    index = tmp_path / "index"
    assert python("-c", KILLED_COMPILING, documents, index).returncode == -signal.SIGKILL
    (left,) = (index / "encoders").iterdir()
    assert left.name.startswith(".compiling-")
    with pytest.raises(NoSnapshotError):
        open_current(index)
    shutil.copytree(exported, index, dirs_exist_ok=True)  # in place of compiling again
    rebuild(documents, index)
    assert current(index) == NEW
    assert litter(index) == set()


def test_everything_is_on_the_disk_before_it_is_published(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Path] = []
    flush, publish = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        flush(descriptor)
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    def replace(path: Path, target: Path) -> Path:
        done.append(target)
        return publish(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    put(documents, NEW)
    snapshot = index / "snapshots" / rebuild(documents, index).snapshot
    written = {path for path in snapshot.rglob("*") if path.name != ".tantivy-meta.lock"}
    order = [snapshot / "manifest.json", snapshot, snapshot.parent, index / ".CURRENT.new", index / "CURRENT"]
    assert written <= {*done[: done.index(snapshot)]}
    assert sorted(map(done.index, order)) == list(map(done.index, order))
    assert done[-2:] == [index / "CURRENT", index]
