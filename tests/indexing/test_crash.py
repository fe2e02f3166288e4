"""A build that is killed before any of its writes leaves exactly the old snapshot or exactly the new one."""

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sourceline.errors import NoSnapshotError, UnknownCitationError
from sourceline.ids import citation_id
from sourceline.index.snapshot import open_current
from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL
from tests.conftest import Rebuild
from tests.support.index_folder import cite, copy_index, current_texts, leftovers, put
from tests.support.killed_builds import (
    NEW,
    OLD,
    killed_builds,
    published_after,
    run_python,
    sample,
    steps_of,
    whole_after,
)
from tests.support.torture import sizes

# The status of each citation of OLD in OLD and in NEW.
ISSUED_OLD = {
    ("a.txt", "The bridge opens on Monday at nine."): ("current", "changed"),
    ("a.txt", "The roof of the hall leaks badly."): ("current", "removed"),
    ("b.txt", "Seven trams were ordered."): ("current", "current"),
}
ISSUED_NEW = [("a.txt", "The bridge opens on Sunday at nine."), ("c.txt", "The library closes early.")]
# How these write does not depend on what was there before: that a rebuild is killed in them is enough.
WRITERS = ("passage_store", "bm25", "multivector", "zipfile", "swigfaiss")
# The profiler would slow the export down; only its last step counts.
KILLED_COPY = """
import os, sys
from pathlib import Path
from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL

Path.rename = lambda path, target: os.kill(os.getpid(), 9)
build(Path(sys.argv[1]), Path(sys.argv[2]), DEFAULT_MODEL)
"""


def status(index: Path, document: str, text: str) -> str:
    try:
        citation = cite(index, citation_id(document, text, 0))
    except UnknownCitationError:
        return "unknown"
    assert citation.cited.passage.text == text
    return citation.status.value


def require_old_or_new(index: Path) -> str:
    """Require that an index that held OLD holds exactly OLD or NEW, with true citations; return which."""
    served = current_texts(index)
    assert served in (OLD, NEW)
    new = served == NEW
    for (document, text), statuses in ISSUED_OLD.items():
        assert status(index, document, text) == statuses[new]
    if new:
        assert {status(index, document, text) for document, text in ISSUED_NEW} == {"current"}
    return "new" if new else "old"


@sizes("every", 4, 1)
def test_a_first_build_killed_before_any_step_leaves_no_snapshot_or_the_new_one(
    documents: Path, exported: Path, tmp_path: Path, every: int
) -> None:
    put(documents, NEW)

    def kill_before(step: int) -> str:
        index = copy_index(exported, tmp_path / f"killed-{step}")
        assert build_killed(documents, index, step) == -signal.SIGKILL
        state = "new"
        try:
            assert current_texts(index) == NEW
        except NoSnapshotError:
            state = "none"
        build(documents, index, DEFAULT_MODEL)
        assert current_texts(index) == NEW
        assert {status(index, document, text) for document, text in ISSUED_NEW} == {"current"}
        assert leftovers(index) == set()
        return state

    steps = steps_of(documents, copy_index(exported, tmp_path / "whole"))
    numbers = sample(steps, every, but=WRITERS)
    with killed_builds() as build_killed, ThreadPoolExecutor(os.cpu_count()) as pool:
        states = list(pool.map(kill_before, numbers))
    # Without a snapshot before, the whole one is served, as if CURRENT was lost.
    assert states == ["none" if number <= whole_after(steps) else "new" for number in numbers]


@sizes("every", 4, 1)
def test_a_rebuild_killed_before_any_step_leaves_exactly_the_old_or_the_new_snapshot(
    documents: Path, index: Path, rebuild: Rebuild, tmp_path: Path, every: int
) -> None:
    for _ in range(2):  # two snapshots, so that the one to come removes one
        put(documents, OLD)
        rebuild(documents, index)
    put(documents, NEW)

    def kill_before(step: int) -> str:
        killed = copy_index(index, tmp_path / f"killed-{step}")
        assert build_killed(documents, killed, step) == -signal.SIGKILL
        state = require_old_or_new(killed)
        build(documents, killed, DEFAULT_MODEL)
        assert require_old_or_new(killed) == "new"
        assert leftovers(killed) == set()
        return state

    steps = steps_of(documents, copy_index(index, tmp_path / "whole"))
    assert {step.split(".")[0] for step in steps} >= {*WRITERS, "durable", "writer", "cache", "ledger"}
    numbers = sample(steps, every)
    with killed_builds() as build_killed, ThreadPoolExecutor(os.cpu_count()) as pool:
        states = list(pool.map(kill_before, numbers))
    assert states == ["old" if number <= published_after(steps) else "new" for number in numbers]


def test_a_first_build_killed_while_it_copies_the_model_leaves_nothing_that_the_next_one_does_not_remove(
    documents: Path, exported: Path, rebuild: Rebuild, tmp_path: Path
) -> None:
    put(documents, NEW)
    index = tmp_path / "index"
    assert run_python("-c", KILLED_COPY, documents, index).returncode == -signal.SIGKILL
    (left,) = (index / "encoders").iterdir()
    assert left.name.startswith(".copying-")
    with pytest.raises(NoSnapshotError):
        open_current(index)

    shutil.copytree(exported, index, dirs_exist_ok=True)  # in place of copying again
    rebuild(documents, index)
    assert current_texts(index) == NEW
    assert leftovers(index) == set()


def test_everything_is_on_the_disk_before_it_is_published(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Path] = []
    flush, publish = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        flush(descriptor)
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    def replace(path: Path, target: Path) -> Path:
        events.append(target)
        return publish(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    put(documents, NEW)
    snapshot = index / "snapshots" / rebuild(documents, index).snapshot

    written = {path for path in snapshot.rglob("*") if path.name not in (".tantivy-meta.lock", "manifest.json")}
    order = [
        index / "ledger.jsonl",
        snapshot / ".manifest.json.new",
        snapshot / "manifest.json",
        snapshot,
        snapshot.parent,
        index / ".CURRENT.new",
        index / "CURRENT",
    ]
    assert written <= {*events[: events.index(snapshot / ".manifest.json.new")]}
    last = {path: number for number, path in enumerate(events)}
    assert sorted(last[path] for path in order) == [last[path] for path in order]
    assert events[-2:] == [index / "CURRENT", index]
