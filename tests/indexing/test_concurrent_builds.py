"""One build at a time, and readers beside it."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sourceline.api import Index
from sourceline.errors import BuildRunningError
from sourceline.index.snapshot import build_lock, current_id, open_current
from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL, BuildProgress
from tests.conftest import Rebuild
from tests.support.index_folder import current_texts, leftovers, put

FIRST = {"a.txt": "The bridge opens on Monday. The roof leaks.\n", "b.txt": "Seven trams were ordered.\n"}
SECOND = {"a.txt": "The bridge opens on Sunday.\n"}
HOLD_THE_LOCK = """
import sys
from pathlib import Path
from sourceline.index.snapshot import build_lock

with build_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_of_twenty_builds_at_once_one_runs_and_the_others_are_refused(documents: Path, index: Path) -> None:
    put(documents, FIRST)
    all_others_refused = threading.Event()
    published: list[str] = []
    refusals: list[str] = []

    def wait(_: BuildProgress) -> None:
        assert all_others_refused.wait(60)

    def attempt() -> None:
        try:
            # The one that runs waits for the others, so that none of them can come after it.
            published.append(build(documents, index, DEFAULT_MODEL, progress=wait).snapshot)
        except BuildRunningError as error:
            refusals.append(str(error))
            if len(refusals) == 19:
                all_others_refused.set()

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert published == [current_id(index)]
    assert refusals == [f"another build of {index} is running: wait for it to end"] * 19


def test_a_refused_build_changes_nothing(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, FIRST)
    rebuild(documents, index)
    put(documents, SECOND)

    with build_lock(index):
        assert Index.is_building(index)
        with pytest.raises(BuildRunningError):
            rebuild(documents, index)
    assert not Index.is_building(index)
    assert current_texts(index) == FIRST
    assert leftovers(index) == set()


def test_the_lock_is_free_after_its_holder_was_killed(index: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(index)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdin
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BuildRunningError), build_lock(index):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    holder.stdin.close()

    with build_lock(index):
        pass


def test_an_open_snapshot_is_read_on_after_two_builds_have_replaced_and_removed_it(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    put(documents, FIRST)
    rebuild(documents, index)
    snapshot = open_current(index)
    put(documents, SECOND)
    for _ in range(2):
        rebuild(documents, index)
    assert not snapshot.folder.exists()

    assert [snapshot.passages.text_of(entry) for entry in snapshot.passages.documents] == [*FIRST.values()]
    assert [hit.row for hit in snapshot.bm25.search("trams", 5, None)] == [2]
    assert snapshot.dense.search(snapshot.dense.vectors([1])[0], 1, None)[0].row == 1
    assert len(snapshot.tokens.gather([0, 1, 2]).row_starts) == 3
