import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sourceline.errors import BuildError, BuildRunningError, CorpusError
from sourceline.index.snapshot import CURRENT, SNAPSHOTS, current_id, open_current
from sourceline.indexing import writer as write
from sourceline.indexing.builder import build
from sourceline.indexing.lock import lock
from sourceline.types import DEFAULT_MODEL, BuildProgress
from tests.conftest import Rebuild

ONE = "The bridge opens on Monday. The roof leaks.\n"
TWO = "Seven trams were ordered.\n"


def vectors(index: Path) -> np.ndarray:
    opened = open_current(index)
    return opened.dense.vectors(range(opened.passages.row_count))


def put(documents: Path, **texts: str) -> None:
    for name, text in texts.items():
        (documents / f"{name}.txt").write_text(text, "utf-8")


def test_a_build_reports_what_it_found(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, a=ONE, b=TWO, c="It closes early.")
    first = rebuild(documents, index)
    assert (first.added, first.changed, first.unchanged, first.removed) == (("a.txt", "b.txt", "c.txt"), (), (), ())
    assert (first.passages, first.windows, first.encoded, first.skipped) == (4, 3, 3, {})

    put(documents, a=ONE.replace("Monday", "Sunday"), d="", e="A new one.")
    (documents / "c.txt").unlink()
    second = rebuild(documents, index)
    assert (second.added, second.changed, second.unchanged) == (("e.txt",), ("a.txt",), ("b.txt",))
    assert second.removed == ("c.txt",)
    assert second.skipped == {"d.txt": "there is no text in it"}
    assert (second.windows, second.encoded) == (3, 2)
    assert second.snapshot > first.snapshot
    assert current_id(index) == second.snapshot


def test_text_that_is_known_is_not_encoded_again(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, a=ONE, b=TWO)
    assert rebuild(documents, index).encoded == 2
    assert rebuild(documents, index).encoded == 0
    (documents / "2024").mkdir()
    (documents / "a.txt").rename(documents / "2024" / "a.txt")
    assert rebuild(documents, index).encoded == 0
    put(documents / "2024", b=TWO)  # the same text twice
    assert rebuild(documents, index).encoded == 0


def test_text_under_another_title_is_encoded_again(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, a=ONE, b=TWO)
    rebuild(documents, index)
    (documents / "a.txt").rename(documents / "z.txt")
    assert rebuild(documents, index).encoded == 1


def test_a_rebuild_gives_the_vectors_of_a_first_build(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, a=ONE)
    rebuild(documents, index)
    put(documents, b=TWO)
    rebuild(documents, index)
    incremental = vectors(index)
    shutil.rmtree(index / SNAPSHOTS)
    (index / CURRENT).unlink()
    assert rebuild(documents, index).encoded == 2
    assert np.array_equal(vectors(index), incremental)


def test_progress_counts_the_bytes_of_new_documents(documents: Path, index: Path) -> None:
    put(documents, a=ONE, b=TWO)
    told: list[BuildProgress] = []
    build(documents, index, DEFAULT_MODEL, progress=told.append)
    assert told == [BuildProgress(0, len(ONE + TWO)), BuildProgress(len(ONE + TWO), len(ONE + TWO))]


def test_two_snapshots_are_kept(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, a=ONE)
    ids = [rebuild(documents, index).snapshot for _ in range(4)]
    assert sorted(path.name for path in (index / SNAPSHOTS).iterdir()) == ids[2:]


def test_without_a_readable_document_what_was_served_stays(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, a=ONE)
    snapshot = rebuild(documents, index).snapshot
    (documents / "a.txt").write_bytes(b"\xff")
    with pytest.raises(CorpusError, match=r"no document in .+ can be read: a\.txt: it is not UTF-8: byte 0 is 0xff"):
        rebuild(documents, index)
    assert open_current(index).id == snapshot


def test_of_twenty_builds_at_once_one_runs(documents: Path, index: Path) -> None:
    put(documents, a=ONE)
    all_but_one_refused = threading.Event()
    done: list[str] = []
    refused: list[str] = []

    def wait(_: BuildProgress) -> None:
        assert all_but_one_refused.wait(60)

    def attempt() -> None:
        try:
            # The one that runs waits for the others, so that none of them can come after it.
            report = build(documents, index, DEFAULT_MODEL, progress=wait)
            done.append(report.snapshot)
        except BuildRunningError as error:
            refused.append(str(error))
            if len(refused) == 19:
                all_but_one_refused.set()

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [current_id(index)]
    assert refused == [f"another build of {index} is running: wait for it to end"] * 19


def test_the_lock_is_free_after_its_holder_was_killed(index: Path) -> None:
    script = (
        "import sys, pathlib\nfrom sourceline.indexing.lock import lock\n"
        "with lock(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(index)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdin
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BuildRunningError), lock(index):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    holder.stdin.close()
    with lock(index):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE])
def test_an_error_of_the_disk_stops_the_build_and_leaves_no_litter(
    number: int, documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, a=ONE)
    snapshot = rebuild(documents, index).snapshot
    put(documents, a=TWO)

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", refuse)
        with pytest.raises(BuildError, match=f"what was served before is untouched: .*{os.strerror(number)}"):
            rebuild(documents, index)
    assert open_current(index).id == snapshot
    assert [path.name for path in (index / SNAPSHOTS).iterdir()] == [snapshot]
    assert rebuild(documents, index).changed == ("a.txt",)


def test_a_full_disk_stops_the_build_wherever_it_strikes(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, a=ONE)
    snapshot = rebuild(documents, index).snapshot
    put(documents, a="".join(f"Sentence number {number} of a longer report. " for number in range(400)))
    # A limit to the size of any file stands for a full disk: with the signal ignored, a write over it is an error.
    script = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from sourceline.errors import BuildError\nfrom sourceline.indexing.builder import build\n"
        "from sourceline.types import DEFAULT_MODEL\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))\n"
        "try:\n    build(Path(sys.argv[1]), Path(sys.argv[2]), DEFAULT_MODEL)\n"
        "except BuildError as error:\n    print('stopped')\n"
    )
    for limit in (50_000, 400_000, 1_500_000):
        command = [sys.executable, "-c", script, str(documents), str(index), str(limit)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.stdout == "stopped\n", ran.stderr
        assert open_current(index).id == snapshot
        assert [path.name for path in (index / SNAPSHOTS).iterdir()] == [snapshot]
    assert rebuild(documents, index).passages == 400


def test_a_document_that_goes_while_the_build_reads_is_skipped(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, a=ONE, b=TWO)
    real = os.open

    def removing(path: Any, *more: Any, **named: Any) -> int:
        if str(path).endswith("a.txt"):
            (documents / "b.txt").unlink(missing_ok=True)
        return real(path, *more, **named)

    monkeypatch.setattr(os, "open", removing)
    report = rebuild(documents, index)
    assert (report.added, report.skipped) == (("a.txt",), {"b.txt": "it cannot be read: No such file or directory"})


def test_a_passage_that_is_not_verbatim_is_never_published(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, a=ONE)
    snapshot = rebuild(documents, index).snapshot

    def refuse(_: object) -> None:
        raise BuildError("a passage is not verbatim")

    put(documents, a=TWO)
    monkeypatch.setattr(write, "_require_verbatim", refuse)
    with pytest.raises(BuildError, match="not verbatim"):
        rebuild(documents, index)
    assert open_current(index).id == snapshot
