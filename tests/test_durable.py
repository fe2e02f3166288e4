import errno
import hashlib
import os
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from sourceline import durable
from sourceline.durable import (
    HashedFile,
    explain_failure,
    file_lock,
    is_locked,
    open_regular,
    read_text,
    replace,
    scratch_folder,
    sha256,
    sync,
    sync_tree,
)
from sourceline.errors import BuildRunningError

LOCK_IN_A_PROCESS = """
import sys
from pathlib import Path
from sourceline.durable import file_lock
with file_lock(Path(sys.argv[1]), "busy"):
    print("locked", flush=True)
    sys.stdin.read()
"""


def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list to which everything is added that is flushed from now on."""
    paths: list[Path] = []
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        flush(descriptor)
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_the_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(FileNotFoundError):
        sha256(tmp_path / "b")


def test_a_folder_is_flushed_after_everything_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one" / "two").mkdir(parents=True)
    files = [tmp_path / "a", tmp_path / "one" / "b", tmp_path / "one" / "two" / "c"]
    for file in files:
        file.touch()
    paths = flushed(monkeypatch)
    sync_tree(tmp_path)
    assert paths == [files[2], tmp_path / "one" / "two", files[1], tmp_path / "one", files[0], tmp_path]
    sync(files[0])
    assert paths[-1] == files[0]


def test_a_replaced_text_is_flushed_before_and_after_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = flushed(monkeypatch)
    for text in ("", "one\n", "zwölf\n"):
        replace(tmp_path / "CURRENT", text)
        assert (tmp_path / "CURRENT").read_text("utf-8") == text
        assert [path.name for path in tmp_path.iterdir()] == ["CURRENT"]
    assert paths == [tmp_path / ".CURRENT.new", tmp_path] * 3


def test_a_file_that_a_crash_left_behind_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".CURRENT.new").write_text("a longer text than the one to come")
    replace(tmp_path / "CURRENT", "new\n")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("CURRENT", "new\n")]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_text_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    replace(tmp_path / "CURRENT", "old\n")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(OSError, match="No space left on device"):
        replace(tmp_path / "CURRENT", "new\n")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("CURRENT", "old\n")]


def test_a_file_is_what_was_written_and_copied_in_order_hashed_and_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_FLUSH_BYTES", 1_000)
    monkeypatch.setattr(durable, "_READ_BYTES", 64)
    source = os.urandom(5_000)
    (tmp_path / "source").write_bytes(source)
    paths = flushed(monkeypatch)
    file = HashedFile(tmp_path / "a")
    expected = b""
    for number in range(200):
        piece, start = bytes([number]) * (number % 7), number * 20
        file.write(piece)
        file.copy_from(tmp_path / "source", start, start + number)
        expected += piece + source[start : start + number]
    assert file.finish() == (len(expected), hashlib.sha256(expected).hexdigest())
    assert (tmp_path / "a").read_bytes() == expected
    assert len(paths) >= 2
    assert {*paths} == {tmp_path / "a"}
    file.close()


def test_a_file_that_is_closed_holds_what_was_written(tmp_path: Path) -> None:
    file = HashedFile(tmp_path / "a")
    file.write(b"abc")
    file.close()
    assert (tmp_path / "a").read_bytes() == b"abc"


@pytest.mark.parametrize(("source", "reason"), [("none", "No such file"), ("short", "the file became shorter")])
def test_a_failure_in_the_background_is_raised_by_a_later_call(tmp_path: Path, source: str, reason: str) -> None:
    (tmp_path / "short").write_bytes(b"abc")
    file = HashedFile(tmp_path / "a")
    file.copy_from(tmp_path / source, 0, 4)
    with pytest.raises(OSError, match=reason):
        file.finish()
    file.close()


def test_a_failure_in_the_background_is_raised_before_much_more_is_written(tmp_path: Path) -> None:
    file = HashedFile(tmp_path / "a")
    file.copy_from(tmp_path / "none", 0, 4)

    def go_on() -> None:
        for _ in range(1_000):
            file.write(b"more")

    with pytest.raises(FileNotFoundError):
        go_on()
    file.close()


def test_a_flush_that_fails_in_the_background_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(durable, "_FLUSH_BYTES", 1)
    file = HashedFile(tmp_path / "a")
    monkeypatch.setattr(os, "fsync", fsync)
    file.write(b"abc")
    with pytest.raises(OSError, match="Input/output error"):
        file.finish()
    file.close()


def test_a_lock_is_refused_to_others_while_it_is_held_and_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "build.lock"
    for _ in range(2):
        with file_lock(path, "busy"), pytest.raises(BuildRunningError, match=r"^busy$"), file_lock(path, "busy"):
            pass


def test_a_lock_is_freed_however_its_block_ends(tmp_path: Path) -> None:
    with pytest.raises(KeyError), file_lock(tmp_path / "build.lock", "busy"):
        raise KeyError
    with file_lock(tmp_path / "build.lock", "busy"):
        pass


def test_a_lock_may_be_released_in_another_thread_than_the_one_that_took_it(tmp_path: Path) -> None:
    stack = ExitStack()
    stack.enter_context(file_lock(tmp_path / "build.lock", "busy"))
    thread = threading.Thread(target=stack.close)
    thread.start()
    thread.join()
    with file_lock(tmp_path / "build.lock", "busy"):
        pass


def test_the_system_frees_the_lock_of_a_process_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "build.lock"
    command = [sys.executable, "-c", LOCK_IN_A_PROCESS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(BuildRunningError, match="busy"), file_lock(path, "busy"):
            pass
        process.kill()
    with file_lock(path, "busy"):
        pass


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")

    for name in ("pipe", "device"):
        for read in (open_regular, read_text, sha256):
            with pytest.raises(OSError, match="it is no regular file"):
                read(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    (tmp_path / "a").write_bytes(b"a\xff\n")
    assert read_text(tmp_path / "a", errors="replace") == "a\ufffd\n"


def test_whether_a_lock_is_held_is_told_without_taking_or_making_it(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()
    with file_lock(tmp_path / "lock", "busy"):
        assert is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "lock")


KILLED_WITH_A_SCRATCH_FOLDER = """
import os
from sourceline.durable import scratch_folder
with scratch_folder("left-") as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_temporary_folder_that_a_killed_process_left_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", KILLED_WITH_A_SCRATCH_FOLDER]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    left = Path(process.stdout.strip())
    assert list(tmp_path.iterdir()) == [left]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with scratch_folder("left-") as first:
        assert left.exists()  # it may have been made a moment ago, and not be locked yet
        long_ago = time.time() - 1_000
        for folder in (left, first):
            os.utime(folder, (long_ago, long_ago))
        with scratch_folder("left-") as second:
            assert sorted(tmp_path.iterdir()) == sorted([first, second])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "there is no room left on the file system of FOLDER ("),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "there is no room left on the file system of FOLDER ("),
        (
            RuntimeError("Error in write_index: write error in d.faiss: 1 != 8 (No space left on device)"),
            "there is no room left on the file system of FOLDER (",
        ),
        (
            ValueError("An IO error occurred: 'No space left on device (os error 28)'"),
            "there is no room left on the file system of FOLDER (",
        ),
        (OSError(errno.EIO, "Input/output error"), "the disk of FOLDER fails: "),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open: raise the limit (`ulimit -n`)"),
        (ValueError("'Too many open files (os error 24)'"), "too many files are open: raise the limit (`ulimit -n`)"),
        (OSError(errno.EFBIG, "File too large"), "a file in FOLDER would be larger than may be"),
        (OSError(errno.EROFS, "Read-only file system"), "FOLDER cannot be written: change its permissions"),
        (MemoryError(), "there is not enough memory: raise the limit"),
    ],
)
def test_a_failure_of_the_system_is_told_with_what_to_do(tmp_path: Path, error: Exception, told: str) -> None:
    for folder in (tmp_path, tmp_path / "not/made/yet"):
        explained = explain_failure(error, folder, 2_500_000)
        assert explained.startswith(told.replace("FOLDER", str(folder)))
        assert explained.endswith(f" ({error})" if str(error) else "free some")
        if "no room" in told:
            assert re.search(
                r"\([\d,]+\.\d MB are free now, and the last time 2\.5 MB were written\): make room", explained
            )


def test_a_full_disk_that_sqlite_tells_of_is_one_and_other_errors_are_told_as_they_are(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a")
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError) as full:
        connection.execute("CREATE TABLE a (b)")
    connection.close()

    assert explain_failure(full.value, tmp_path).startswith("there is no room left on the file system of")
    assert explain_failure(ValueError("odd"), tmp_path) == "odd"
    assert explain_failure(OSError(3, "5 requested and 3 written"), tmp_path) == "[Errno 3] 5 requested and 3 written"


def test_a_limit_of_the_size_of_files_that_sqlite_and_numpy_meet_is_told(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(sqlite3.connect(tmp_path / "a")) as connection, (tmp_path / "b").open("wb") as file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
        try:
            with pytest.raises(sqlite3.OperationalError, match="disk I/O error") as told_by_sqlite:
                connection.execute("CREATE TABLE a (b)")
            with pytest.raises(OSError, match="requested and") as told_by_numpy:
                np.zeros(1_000).tofile(file)
            explained = [explain_failure(error, tmp_path) for error in (told_by_sqlite.value, told_by_numpy.value)]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for line in explained:
        assert line.startswith(f"a file in {tmp_path} would be larger than may be: raise the limit (`ulimit -f`)")
