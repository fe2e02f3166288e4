import errno
import os
from pathlib import Path

import pytest

from sourceline.durable import replace, sha256, sync, sync_tree


def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list to which everything is added that is flushed from now on."""
    paths: list[Path] = []
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        flush(descriptor)
        paths.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_the_checksum_of_a_file(tmp_path: Path) -> None:
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


def test_a_text_takes_the_place_of_another_and_is_flushed_before_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = flushed(monkeypatch)
    for text in ("", "one\n", "zwölf\n"):
        replace(tmp_path / "CURRENT", text)
        assert (tmp_path / "CURRENT").read_text("utf-8") == text
        assert [path.name for path in tmp_path.iterdir()] == ["CURRENT"]
    assert paths == [tmp_path / ".CURRENT.new", tmp_path] * 3


def test_what_a_crash_left_behind_is_written_over(tmp_path: Path) -> None:
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
