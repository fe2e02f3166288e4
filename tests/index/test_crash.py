import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import pytest

from sourceline.citations.identity import citation_id
from sourceline.citations.ledger import Ledger
from sourceline.errors import NoGenerationError, UnknownCitationError
from sourceline.index.build import build
from sourceline.index.generation import open_current
from sourceline.retrieval.lookup import look_up
from sourceline.types import DEFAULT_MODEL
from tests.conftest import Rebuild
from tests.index.folder import current, litter, put, texts

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
ISSUED_NEW = [("a.txt", "The bridge opens on Sunday at nine."), ("c.txt", "The library closes early.")]


def run(documents: Path, index: Path, *step: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.index.killed_build", str(documents), str(index), *map(str, step)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=root)


def steps_of(documents: Path, index: Path) -> list[str]:
    done = run(documents, index)
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    assert isinstance(steps, list)
    return steps


def sample(steps: Sequence[str]) -> list[int]:
    """Return the numbers of the steps to die before: the first and the last of each run of equal ones."""
    runs = [[number for number, _ in group] for _, group in groupby(enumerate(steps), key=lambda step: step[1])]
    return sorted({number for run in runs for number in (run[0], run[-1])})


def copy(index: Path, target: Path) -> Path:
    """Copy an index folder; the compiled model, which no build writes to, is linked."""
    shutil.copytree(index / "encoders", target / "encoders", copy_function=os.link)
    shutil.copytree(index, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("encoders"))
    return target


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


def test_a_rebuild_killed_before_any_step_leaves_exactly_the_old_or_the_new_generation(
    documents: Path, index: Path, rebuild: Rebuild, tmp_path: Path
) -> None:
    for _ in range(2):  # two generations, so that the one to come removes one
        put(documents, OLD)
        rebuild(documents, index)
    put(documents, NEW)

    def die(step: int) -> str:
        killed = copy(index, tmp_path / f"killed-{step}")
        assert run(documents, killed, step).returncode == -signal.SIGKILL
        state = verify_old_or_new(killed)
        build(documents, killed, DEFAULT_MODEL)
        assert verify_old_or_new(killed) == "new"
        assert litter(killed) == set()
        return state

    steps = steps_of(documents, copy(index, tmp_path / "whole"))
    numbers = sample(steps)
    print(len(numbers), [steps[n] for n in numbers])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        states = list(pool.map(die, numbers))
    published = steps.index("pathlib.replace: replace")
    assert states == ["old" if number <= published else "new" for number in numbers]
