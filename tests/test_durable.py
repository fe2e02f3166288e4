import errno
import hashlib
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from sourceline import durable
from sourceline.durable import HashedFile, file_lock, replace, sha256, sync, sync_tree
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
