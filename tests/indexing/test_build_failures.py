"""Whatever goes wrong in a build, what was served before is served on, and nothing is left lying about."""

import errno
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sourceline.errors import BuildError, CorpusError, ModelError
from sourceline.index.snapshot import CURRENT, open_current
from sourceline.indexing import builder
from sourceline.indexing.builder import build
from sourceline.ingest.loader import FolderScan, scan_folder
from tests.conftest import Rebuild
from tests.support.index_folder import build_each, current_texts, leftovers, put, snapshot_names

ROOT = Path(__file__).parents[2]
FIRST = {"a.txt": "The bridge opens on Monday.\n", "b.txt": "Seven trams were ordered.\n"}
SECOND = {"a.txt": "The bridge opens on Sunday.\n", "b.txt": "Seven trams were ordered.\n"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.usefixtures("quick_builds")
def test_whichever_flush_to_the_disk_fails_the_old_or_the_new_snapshot_is_served_whole(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    put(documents, FIRST)
    rebuild(documents, index)
    put(documents, SECOND)
    flush = os.fsync
    served: list[dict[str, str]] = []
    while True:
        remaining = len(served)

        def fsync(descriptor: int) -> None:
            nonlocal remaining
            remaining -= 1
            if remaining < 0:
                raise OSError(number, os.strerror(number))
            flush(descriptor)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fsync)
            try:
                rebuild(documents, index)
            except BuildError as error:
                message = str(error)
            else:
                break
        told = {errno.ENOSPC: "there is no room left on the file system of", errno.EIO: "the disk of"}[number]
        assert message.startswith(f"the build stopped, what was served before is untouched: {told} {index} ")
        assert message.endswith(f"([Errno {number}] {os.strerror(number)})")
        served.append(current_texts(index))
        assert leftovers(index) == set()
    # The last flush is of the folder in which the pointer was just replaced.
    assert len(served) > 15
    assert served == [FIRST] * (len(served) - 1) + [SECOND]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE])
def test_a_build_goes_on_as_usual_after_one_that_the_disk_stopped(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    put(documents, FIRST)
    snapshot = rebuild(documents, index).snapshot
    put(documents, SECOND)

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(BuildError, match=f"what was served before is untouched: .*{os.strerror(number)}"):
            rebuild(documents, index)
    assert snapshot_names(index) == [open_current(index).id] == [snapshot]

    assert rebuild(documents, index).changed == ("a.txt",)


def starve(documents: Path, index: Path, resource: str, limits: list[int]) -> list[tuple[str, str, str, int]]:
    """Build under each limit; return what came of it, what was served before and after, the number of snapshots."""
    command = [sys.executable, "-m", "tests.support.starved_build", str(documents), str(index), resource]
    process = subprocess.run([*command, json.dumps(limits)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert process.returncode == 0, process.stderr
    return [
        (outcome, before, after, names)
        for _, outcome, before, after, names in map(json.loads, process.stdout.splitlines())
    ]


@pytest.mark.parametrize(
    ("resource", "limits", "reason"),
    [
        (
            "RLIMIT_NOFILE",
            [*range(3, 30), 100],
            "Too many open files|unable to open database file|index writer was killed",
        ),
        (
            "RLIMIT_FSIZE",
            [0, 100, 5_000, 20_000, 30_000, 33_000, 40_000, 66_000, 200_000],
            "disk I/O|requested and|File too large",
        ),
    ],
)
def test_a_build_that_lacks_a_resource_fails_with_one_line_and_the_snapshot_before_is_served(
    documents: Path, index: Path, rebuild: Rebuild, resource: str, limits: list[int], reason: str
) -> None:
    put(documents, FIRST)
    rebuild(documents, index)

    outcomes = starve(documents, index, resource, limits)

    failures = 0
    for outcome, before, after, names in outcomes:
        if re.fullmatch(r"\d{8}-\w+", outcome):
            assert (after, names) == (outcome, 2)
        else:
            failures += 1
            assert re.match(r"(BuildError|ModelError|CorpusError|LedgerError): ", outcome)
            assert re.search(reason, outcome), outcome
            assert "\n" not in outcome
            assert after == before
    assert len(outcomes) == len(limits)
    assert 5 <= failures < len(limits)
    rebuild(documents, index)
    assert leftovers(index) == set()


# A limit to the size of any file stands for a full disk: with the signal ignored, a write over it is an error.
BUILD_ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from sourceline.errors import BuildError
from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    build(Path(sys.argv[1]), Path(sys.argv[2]), DEFAULT_MODEL)
except BuildError:
    print("stopped")
"""


def test_a_full_disk_stops_a_build_wherever_it_strikes(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, FIRST)
    snapshot = rebuild(documents, index).snapshot
    put(documents, {"a.txt": "".join(f"Sentence number {number} of a longer report. " for number in range(400))})
    for limit in (20_000, 100_000, 200_000):
        command = [sys.executable, "-c", BUILD_ON_A_FULL_DISK, str(documents), str(index), str(limit)]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        assert process.stdout == "stopped\n", process.stderr
        assert snapshot_names(index) == [open_current(index).id] == [snapshot]

    assert rebuild(documents, index).passages == 400


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_no_document_is_dropped_because_the_process_lacks_a_resource(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    put(documents, FIRST)
    rebuild(documents, index)
    put(documents, SECOND)
    open_file = os.open

    def refuse(path: Path, *arguments: int) -> int:
        if path == documents / "b.txt":
            raise OSError(number, os.strerror(number))
        return open_file(path, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(CorpusError, match=rf"cannot read .*b\.txt: {os.strerror(number)}"):
            rebuild(documents, index)
    assert current_texts(index) == FIRST


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def hold(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def after_the_scan(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen between the scan of the documents folder and the reading of the documents."""

    def scan(folder: Path, max_bytes: int, follow_links: bool) -> FolderScan:
        result = scan_folder(folder, max_bytes, follow_links)
        happens()
        return result

    monkeypatch.setattr(builder, "scan_folder", scan)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (Path.unlink, "it cannot be read: No such file or directory"),
        (become_a_folder, "it is not a regular file"),
        (become_a_loop, "it cannot be read: Too many levels of symbolic links"),
        (become_a_pipe, "it is not a regular file"),
        (hold("Trams: à".encode()[:-1]), "it is not UTF-8: byte 7 is 0xc3; save it as UTF-8"),
        (hold(b"\xff"), "it is not UTF-8: byte 0 is 0xff; save it as UTF-8"),
        (hold(b""), "there is no text in it"),
        (hold(b" \n"), "there is no text in it"),
        (hold("\u2028\u200b".encode()), "there is no sentence in it"),
    ],
)
def test_a_document_that_is_spoilt_after_the_scan_is_skipped_and_listed(
    documents: Path,
    index: Path,
    rebuild: Rebuild,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], object],
    reason: str,
) -> None:
    put(documents, FIRST)
    rebuild(documents, index)
    put(documents, {"a.txt": FIRST["a.txt"], "b.txt": "Nine trams came.\n"})
    after_the_scan(monkeypatch, lambda: spoil(documents / "b.txt"))

    report = rebuild(documents, index)

    assert report.skipped == open_current(index).manifest.skipped == {"b.txt": reason}
    assert (report.unchanged, report.removed) == (("a.txt",), ("b.txt",))
    assert current_texts(index) == {"a.txt": FIRST["a.txt"]}


def test_a_document_that_is_edited_after_the_scan_is_indexed_as_it_is_read(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, FIRST)
    with monkeypatch.context() as patched:
        after_the_scan(patched, lambda: (documents / "b.txt").write_text("Nine trams came.\n"))
        rebuild(documents, index)

    assert current_texts(index) == FIRST | {"b.txt": "Nine trams came.\n"}
    # What is stored is the hash of what was read: the next build knows it.
    assert rebuild(documents, index).unchanged == ("a.txt", "b.txt")


def test_a_document_that_vanishes_during_the_scan_is_skipped_and_listed(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, FIRST)
    open_file = os.open

    def remove_the_other(path: Any, *arguments: Any, **named: Any) -> int:
        if str(path).endswith("a.txt"):
            (documents / "b.txt").unlink(missing_ok=True)
        return open_file(path, *arguments, **named)

    monkeypatch.setattr(os, "open", remove_the_other)
    report = rebuild(documents, index)

    assert (report.added, report.skipped) == (("a.txt",), {"b.txt": "it cannot be read: No such file or directory"})


def test_if_all_documents_vanish_after_the_scan_there_is_none_to_build_from(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, {"a.txt": "It rains.\n"})
    after_the_scan(monkeypatch, (documents / "a.txt").unlink)

    with pytest.raises(CorpusError, match=r"can be read: a\.txt: it cannot be read: No such file"):
        rebuild(documents, index)
    assert snapshot_names(index) == []


def test_without_a_document_that_can_be_read_what_is_served_stays(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    build_each(documents, index, rebuild, FIRST)

    put(documents, {})
    with pytest.raises(
        CorpusError, match=f"no document in {documents} can be read: it is empty; these formats are read: .csv, .docx, "
    ):
        rebuild(documents, index)
    (documents / "a.txt").write_bytes(b"\xff")
    with pytest.raises(CorpusError, match=r"no document in .+ can be read: a\.txt: it is not UTF-8: byte 0 is 0xff"):
        rebuild(documents, index)
    with pytest.raises(CorpusError, match=f"no documents folder at {documents / 'missing'}: create it"):
        rebuild(documents / "missing", index)
    assert current_texts(index) == FIRST


def test_a_model_that_cannot_be_used_leaves_what_is_served(documents: Path, index: Path, rebuild: Rebuild) -> None:
    build_each(documents, index, rebuild, FIRST)
    names = snapshot_names(index)

    with pytest.raises(ModelError, match=r"has no \.safetensors weights"):
        build(documents, index, str(documents))
    assert snapshot_names(index) == names
    assert current_texts(index) == FIRST


def test_a_build_whose_leftovers_cannot_be_removed_is_published_all_the_same(
    documents: Path,
    index: Path,
    rebuild: Rebuild,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(documents, FIRST)
    rebuild(documents, index)
    put(documents, SECOND)

    def refuse(path: Path, **_: object) -> None:
        raise OSError(errno.EBUSY, f"{path.name} is held")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    report = rebuild(documents, index)

    assert report.changed == ("a.txt",)
    assert current_texts(index) == SECOND
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"snapshot {report.snapshot} is published; what it does not need could not all be removed: "
        "[Errno 16] cache is held"
    )


def test_a_build_that_cannot_list_its_leftovers_is_published_all_the_same(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(documents, FIRST)
    publish = Path.replace

    def fail(_: Path) -> Iterator[Path]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:

        def replace(path: Path, target: Path) -> Path:
            if target.name == CURRENT:
                patched.setattr(Path, "iterdir", fail)
            return publish(path, target)

        patched.setattr(Path, "replace", replace)
        report = rebuild(documents, index)

    assert current_texts(index) == FIRST
    assert open_current(index).id == report.snapshot
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_an_unexpected_error_is_not_dressed_up_as_an_expected_one(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, FIRST)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(builder, "record_citations", fail)
    with pytest.raises(ZeroDivisionError):
        rebuild(documents, index)
    assert snapshot_names(index) == []
