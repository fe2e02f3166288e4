import errno
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sourceline.errors import BuildError, CorpusError, ModelError
from sourceline.indexing.builder import build
from tests.conftest import Rebuild
from tests.index.folder import current, litter, put, snapshot_names

ONE = {"a.txt": "The bridge opens on Monday.\n", "b.txt": "Seven trams were ordered.\n"}
TWO = {"a.txt": "The bridge opens on Sunday.\n", "b.txt": "Seven trams were ordered.\n"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_whichever_flush_fails_the_old_or_the_new_snapshot_is_served_whole(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    put(documents, ONE)
    rebuild(documents, index)
    put(documents, TWO)
    flush = os.fsync
    served: list[dict[str, str]] = []
    while True:
        left = len(served)

        def fsync(descriptor: int) -> None:
            nonlocal left
            left -= 1
            if left < 0:
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
        assert re.fullmatch(rf"the build stopped, .*: \[Errno {number}\] {os.strerror(number)}", message)
        served.append(current(index))
        assert litter(index) == set()
    # The last flush is of the folder in which the pointer was just replaced.
    assert len(served) > 15
    assert served == [ONE] * (len(served) - 1) + [TWO]


def starve(documents: Path, index: Path, resource: str, limits: list[int]) -> list[tuple[str, str, str, int]]:
    command = [sys.executable, "-m", "tests.index.starved_build", str(documents), str(index), resource]
    root = Path(__file__).parents[2]
    done = subprocess.run([*command, json.dumps(limits)], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    return [
        (outcome, before, after, names)
        for _, outcome, before, after, names in map(json.loads, done.stdout.splitlines())
    ]


@pytest.mark.parametrize(
    ("resource", "limits", "told"),
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
    documents: Path, index: Path, rebuild: Rebuild, resource: str, limits: list[int], told: str
) -> None:
    put(documents, ONE)
    rebuild(documents, index)
    outcomes = starve(documents, index, resource, limits)
    failures = 0
    for outcome, before, after, names in outcomes:
        if re.fullmatch(r"\d{8}-\w+", outcome):
            assert (after, names) == (outcome, 2)
        else:
            failures += 1
            assert re.match(r"(BuildError|ModelError|CorpusError|LedgerError): ", outcome)
            assert re.search(told, outcome), outcome
            assert "\n" not in outcome
            assert after == before
    assert len(outcomes) == len(limits)
    assert 5 <= failures < len(limits)
    rebuild(documents, index)
    assert litter(index) == set()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_document_is_not_dropped_because_the_process_lacks_something(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    put(documents, ONE)
    rebuild(documents, index)
    put(documents, TWO)
    opened = os.open

    def refuse(path: Path, *more: int) -> int:
        if path == documents / "b.txt":
            raise OSError(number, os.strerror(number))
        return opened(path, *more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(CorpusError, match=rf"cannot read .*b\.txt: {os.strerror(number)}"):
            rebuild(documents, index)
    assert current(index) == ONE


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def lose_its_end(path: Path) -> None:
    path.write_bytes("Trams: à".encode()[:-1])


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (Path.unlink, "it cannot be read: No such file or directory"),
        (become_a_folder, "it cannot be read: Is a directory"),
        (become_a_loop, "it cannot be read: Too many levels of symbolic links"),
        (become_a_pipe, "it is not a regular file"),
        (lose_its_end, "it is not UTF-8: byte 7 is 0xc3; save it as UTF-8"),
        (lambda path: path.write_bytes(b""), "there is no text in it"),
    ],
)
def test_a_document_that_is_spoilt_between_listing_and_reading_is_skipped_and_listed(
    documents: Path,
    index: Path,
    rebuild: Rebuild,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[Path], None],
    reason: str,
) -> None:
    put(documents, ONE)
    rebuild(documents, index)
    opened = os.open

    def spoil(path: Path, *more: int) -> int:
        if path == documents / "a.txt":
            happens(documents / "b.txt")
        return opened(path, *more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", spoil)
        report = rebuild(documents, index)
    assert report.skipped == {"b.txt": reason}
    assert (report.unchanged, report.removed) == (("a.txt",), ("b.txt",))
    assert current(index) == {"a.txt": ONE["a.txt"]}


def test_a_document_that_is_edited_between_listing_and_reading_is_indexed_as_it_is_read(
    documents: Path, index: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(documents, ONE)
    opened = os.open

    def edit(path: Path, *more: int) -> int:
        if path == documents / "a.txt":
            path.write_text(TWO["a.txt"])
        return opened(path, *more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", edit)
        rebuild(documents, index)
    assert current(index) == TWO


def test_what_cannot_be_tidied_up_does_not_undo_a_build(
    documents: Path,
    index: Path,
    rebuild: Rebuild,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(documents, ONE)
    rebuild(documents, index)
    put(documents, TWO)

    def hold_on(path: Path, **_: object) -> None:
        raise OSError(errno.EBUSY, f"{path.name} is held")

    monkeypatch.setattr(shutil, "rmtree", hold_on)
    report = rebuild(documents, index)
    assert report.changed == ("a.txt",)
    assert current(index) == TWO
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"snapshot {report.snapshot} is published; what it does not need could not all be removed: "
        "[Errno 16] cache is held"
    )


def test_a_model_that_there_is_not_leaves_what_is_served(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, ONE)
    names = [rebuild(documents, index).snapshot]
    with pytest.raises(ModelError, match=r"has no \.safetensors weights"):
        build(documents, index, str(documents))
    assert snapshot_names(index) == names
    assert current(index) == ONE


def test_a_folder_without_documents_leaves_what_is_served(documents: Path, index: Path, rebuild: Rebuild) -> None:
    put(documents, ONE)
    rebuild(documents, index)
    put(documents, {})
    with pytest.raises(CorpusError, match=f"no document in {documents} can be read"):
        rebuild(documents, index)
    with pytest.raises(CorpusError, match=f"no documents folder at {documents / 'gone'}: create it"):
        rebuild(documents / "gone", index)
    assert current(index) == ONE
