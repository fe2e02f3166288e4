"""What differs between a documents folder and the record of it that a build kept."""

import os
import time
import unicodedata
from pathlib import Path

import pytest

from sourceline.errors import CorpusError
from sourceline.ingest import changes, files
from sourceline.ingest.changes import FILE, TICK, FolderComparison, FolderRecord, RecordedFile
from sourceline.ingest.loader import scan_folder
from sourceline.types import FolderChanges, SourceStatus

NOTHING = FolderChanges((), (), ())


def write(path: Path, text: str, seconds_ago: float = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    when = time.time_ns() - int(seconds_ago * 1e9)
    os.utime(path, ns=(when, when))


def record(folder: Path, later: int = 0, max_bytes: int = 1_000, follow_links: bool = False) -> FolderRecord:
    """Return what a build would record that began so many nanoseconds later."""
    scan = scan_folder(folder, max_bytes, follow_links)
    read = {file.document_id: RecordedFile(file.sha256, file.stamp) for file in scan.files if file.stamp}
    return FolderRecord(folder, scan.started + later, max_bytes, dict.fromkeys(scan.skipped) | read, follow_links)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read, in order."""
    names: list[str] = []

    def listed(path: Path, max_bytes: int, within: Path | None) -> object:
        names.append(path.name)
        return files.hash_file(path, max_bytes, within)

    monkeypatch.setattr(changes, "hash_file", listed)
    return names


def test_added_changed_and_removed_files_are_named_and_all_others_left_alone(documents: Path) -> None:
    for name in ("a.txt", "2026/b.md", "c.txt", "same.txt"):
        write(documents / name, "One.")
    comparison = FolderComparison(documents, record(documents))
    assert comparison.changes() == NOTHING

    write(documents / "a.txt", "Two.")
    (documents / "c.txt").unlink()
    write(documents / "d.txt", "New.")
    write(documents / "e.jpg", "New.")
    write(documents / ".hidden.txt", "New.")
    os.utime(documents / "same.txt")

    found = comparison.changes()
    assert found == FolderChanges(("d.txt",), ("a.txt",), ("c.txt",))
    assert (len(found), bool(found), bool(NOTHING)) == (3, True, False)


def test_a_file_that_looks_as_it_did_is_not_read(documents: Path, read: list[str]) -> None:
    write(documents / "a.txt", "One.")
    write(documents / "b.txt", "One.")
    comparison = FolderComparison(documents, record(documents, later=2 * TICK))

    assert comparison.changes() == NOTHING
    assert comparison.source("a.txt") is SourceStatus.UNCHANGED
    assert read == []
    os.utime(documents / "b.txt", (1, 1))
    assert comparison.changes() == NOTHING
    assert read == ["b.txt"]


def test_a_file_written_while_it_was_read_is_compared_by_its_bytes(documents: Path, read: list[str]) -> None:
    write(documents / "a.txt", "One.")
    before = record(documents)
    stamp = before.files["a.txt"]
    assert stamp
    # Written again within a tick of the clock: nothing but the bytes differs.
    write(documents / "a.txt", "Two.")
    status = (documents / "a.txt").stat()
    looks_the_same = RecordedFile(stamp.sha256, type(stamp.stamp).of(status))

    found = FolderComparison(documents, FolderRecord(documents, before.started, 1_000, {"a.txt": looks_the_same}))

    assert found.changes() == FolderChanges((), ("a.txt",), ())
    assert read == ["a.txt"]


def test_a_file_is_read_once_for_each_time_that_it_changed(
    documents: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(documents / "a.txt", "One.")
    comparison = FolderComparison(documents, record(documents))
    os.utime(documents / "a.txt", (1, 1))
    now = time.time_ns()
    monkeypatch.setattr("sourceline.ingest.changes.time.time_ns", lambda: now + 2 * TICK)

    assert [comparison.source("a.txt") for _ in range(3)] == [SourceStatus.UNCHANGED] * 3
    assert read == ["a.txt"]
    write(documents / "a.txt", "Two.", seconds_ago=60)
    assert [comparison.source("a.txt") for _ in range(3)] == [SourceStatus.CHANGED] * 3
    assert read == ["a.txt", "a.txt"]


def test_a_source_is_unchanged_changed_or_missing(documents: Path) -> None:
    write(documents / "2026/a.txt", "One.")
    comparison = FolderComparison(documents, record(documents))

    assert comparison.source("2026/a.txt") is SourceStatus.UNCHANGED
    write(documents / "2026/a.txt", "One.\n")
    assert comparison.source("2026/a.txt") is SourceStatus.CHANGED
    (documents / "2026/a.txt").unlink()
    assert comparison.source("2026/a.txt") is SourceStatus.MISSING
    (documents / "2026").rmdir()
    assert comparison.source("2026/a.txt") is SourceStatus.MISSING
    (documents / "2026").write_text("a file now")
    assert comparison.source("2026/a.txt") is SourceStatus.MISSING
    assert comparison.source("never.txt") is None


def test_without_the_folder_nothing_is_told_of_a_source_and_changes_are_an_error(
    documents: Path, tmp_path: Path
) -> None:
    write(documents / "a.txt", "One.")
    comparison = FolderComparison(tmp_path / "elsewhere", record(documents))

    assert comparison.source("a.txt") is None
    with pytest.raises(CorpusError, match="no documents folder at"):
        comparison.changes()


def test_a_file_that_could_not_be_read_is_a_change_once_it_can_be(documents: Path) -> None:
    write(documents / "a.txt", "One.")
    (documents / "link.txt").symlink_to("target")
    write(documents / "large.txt", "x" * 1_001)
    comparison = FolderComparison(documents, record(documents))

    assert comparison.changes() == NOTHING
    write(documents / "target", "One.")
    assert comparison.changes() == FolderChanges(("link.txt",), (), ())
    write(documents / "large.txt", "x" * 1_000)
    (documents / "link.txt").unlink()
    assert comparison.changes() == FolderChanges(("large.txt",), (), ())


def test_a_file_that_can_no_longer_be_read_is_changed(documents: Path) -> None:
    write(documents / "a.txt", "One.")
    comparison = FolderComparison(documents, record(documents))

    write(documents / "a.txt", "x" * 1_001)
    assert comparison.changes() == FolderChanges((), ("a.txt",), ())
    (documents / "a.txt").unlink()
    (documents / "a.txt").symlink_to("nowhere")
    assert comparison.changes() == FolderChanges((), ("a.txt",), ())


def test_a_record_is_read_as_it_was_written(documents: Path, tmp_path: Path) -> None:
    write(documents / "ü 🏗.txt", "One.")
    os.mkfifo(documents / "fifo.txt")
    Path(os.fsdecode(os.fsencode(documents) + b"/a\xff.txt")).write_text("Text.")
    written = record(documents)

    written.write(tmp_path)

    assert FolderRecord.parse((tmp_path / FILE).read_bytes()) == written
    assert set(written.files) == {"ü 🏗.txt", "fifo.txt", r"a\udcff.txt"}


def test_a_file_is_found_whose_name_has_its_accents_apart(documents: Path) -> None:
    apart = documents / unicodedata.normalize("NFD", "café.txt")
    write(apart, "One.", seconds_ago=9)
    comparison = FolderComparison(documents, record(documents))
    assert comparison.source("café.txt") is SourceStatus.UNCHANGED
    write(apart, "Two.")
    assert comparison.source("café.txt") is SourceStatus.CHANGED
    assert comparison.changes() == FolderChanges((), ("café.txt",), ())
    apart.unlink()
    assert comparison.source("café.txt") is SourceStatus.MISSING


def test_what_is_behind_a_link_out_of_the_folder_is_compared_only_if_the_build_read_it(
    documents: Path, tmp_path: Path
) -> None:
    write(tmp_path / "outside.txt", "One.")
    write(documents / "inside.txt", "One.")
    (documents / "a.txt").symlink_to("inside.txt")
    (documents / "b.txt").symlink_to(tmp_path / "outside.txt")
    without, following = (FolderComparison(documents, record(documents, 0, 1_000, on)) for on in (False, True))
    assert without.source("b.txt") is None
    assert following.source("b.txt") is SourceStatus.UNCHANGED

    write(tmp_path / "outside.txt", "Two!")
    write(documents / "inside.txt", "Two!")

    assert without.changes() == FolderChanges((), ("a.txt", "inside.txt"), ())
    assert following.changes() == FolderChanges((), ("a.txt", "b.txt", "inside.txt"), ())


def test_a_document_that_becomes_a_link_out_of_the_folder_is_gone(documents: Path, tmp_path: Path) -> None:
    write(documents / "a.txt", "One.")
    comparison = FolderComparison(documents, record(documents))

    (documents / "a.txt").rename(tmp_path / "a.txt")
    (documents / "a.txt").symlink_to(tmp_path / "a.txt")

    assert comparison.source("a.txt") is SourceStatus.MISSING
    assert comparison.changes() == FolderChanges((), (), ("a.txt",))
