import dataclasses
import errno
import json
import os
import shutil
import signal
import sys
import tarfile
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sourceline import backup
from sourceline.api import Index
from sourceline.citations.ledger import FILE as LEDGER
from sourceline.errors import BackupError, BuildRunningError, LedgerError, NoSnapshotError, SourcelineError
from sourceline.ids import citation_id
from sourceline.index.snapshot import CURRENT, MANIFEST, SNAPSHOTS, build_lock, read_manifest, write_manifest
from sourceline.types import NO_RERANKER, Citation
from tests.support.index_folder import contents, copy_index, put, snapshot_names

MONDAY = citation_id("a.txt", "The bridge opens on Monday.", 0)
SUNDAY = citation_id("a.txt", "The bridge opens on Sunday.", 0)
TOWER = citation_id("a.txt", "The tower was sold in June.", 0)
IDS = (MONDAY, SUNDAY, TOWER)
FIRST = {"a.txt": "The bridge opens on Monday.\nThe tower was sold in June.\n"}
SECOND = {"a.txt": "The bridge opens on Sunday.\n", "b.txt": "The tower was sold in June.\n"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> Path:
    """An index of two builds: one sentence was edited, and one moved. Not to be written to."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "documents").mkdir()
    shutil.copytree(exported, folder / "index")
    for files in (FIRST, SECOND):
        put(folder / "documents", files)
        Index.build(folder / "documents", folder / "index")
    return folder / "index"


@pytest.fixture(scope="module")
def plain(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without a model, as with the torch backend: quick to copy. Not to be written to."""
    index = tmp_path_factory.mktemp("plain") / "index"
    shutil.copytree(built, index, ignore=shutil.ignore_patterns("encoders", "build.lock"))
    for name in snapshot_names(index):
        folder = index / SNAPSHOTS / name
        write_manifest(folder, dataclasses.replace(read_manifest(folder), backend="torch"))
    return index


@pytest.fixture(scope="module")
def archive(plain: Path) -> Path:
    """A backup without a model. Not to be written to."""
    Index.backup(plain, plain.parent / "backup.tar")
    return plain.parent / "backup.tar"


@pytest.fixture
def own(plain: Path, tmp_path: Path) -> Path:
    """An index of one's own."""
    shutil.copytree(plain, tmp_path / "own")
    return tmp_path / "own"


def statuses(index: Path) -> list[Citation]:
    with Index.open(index, reranker=NO_RERANKER, lazy=True, fallback=False) as opened:
        opened.check_citations()
        return [opened.cite(citation, source=False) for citation in IDS]


def served_id(index: Path) -> str:
    return (index / CURRENT).read_text().strip()


def without_lock(index: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(index).items() if not name.endswith(".lock")}


# Writing


def test_a_restored_index_is_the_same_and_goes_on(built: Path, tmp_path: Path) -> None:
    file, index = tmp_path / "backup.tar", tmp_path / "new" / "index"
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    written = Index.backup(built, file)
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*")} == before
    restored = Index.restore(file, index)
    assert restored == written
    assert (written.snapshot, written.replaced) == (served_id(built), None)
    expected = without_lock(built)
    newest = snapshot_names(built)[-1]
    expected = {name: data for name, data in expected.items() if not name.startswith(SNAPSHOTS) or newest in name}
    assert without_lock(index) == expected
    assert written.bytes == sum(map(len, expected.values())) - len(f"{newest}\n")
    assert statuses(index) == statuses(built)
    assert [citation.status.value for citation in statuses(index)] == ["changed", "current", "moved"]

    documents = tmp_path / "documents"
    documents.mkdir()
    put(documents, SECOND | {"c.txt": "The ferry leaves at noon.\n"})
    report = Index.build(documents, index)
    assert (report.added, report.unchanged, report.encoded) == (("c.txt",), ("a.txt", "b.txt"), 1)
    assert [citation.status.value for citation in statuses(index)] == ["changed", "current", "moved"]
    with Index.open(index, reranker=NO_RERANKER) as opened:
        assert opened.ask("When does the ferry leave?", k=1).hits[0].passage.text == "The ferry leaves at noon."


def test_an_archive_is_a_tar_of_plain_files_that_lists_them_first(plain: Path, archive: Path) -> None:
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        first = tar.extractfile(members[0])
        assert first
        card = json.loads(first.read())
    assert all(member.isreg() and member.mode == 0o644 for member in members)
    assert members[0].name == "backup.json"
    assert [(m.name, m.size) for m in members[1:]] == [(name, size) for name, (size, _) in card["members"].items()]
    assert card["snapshot"] == served_id(plain)
    assert members[-1].name == LEDGER


def test_two_backups_differ_in_nothing_but_their_time(plain: Path, archive: Path, tmp_path: Path) -> None:
    Index.backup(plain, tmp_path / "again.tar")
    with (tmp_path / "again.tar").open("rb") as again, archive.open("rb") as first:
        one, other = (backup._read_card(file, archive) for file in (again, first))
        assert dataclasses.replace(one, created=other.created) == other
        assert [block for _, block in backup._members(again, one, archive)] == [
            block for _, block in backup._members(first, other, archive)
        ]


def test_what_a_build_appended_that_is_not_published_is_not_taken(own: Path, tmp_path: Path) -> None:
    whole = (own / LEDGER).read_bytes()
    with (own / LEDGER).open("ab") as file:
        file.write(b'{"issued":"half a li')
    Index.backup(own, tmp_path / "backup.tar")
    Index.restore(tmp_path / "backup.tar", tmp_path / "new")
    assert (tmp_path / "new" / LEDGER).read_bytes() == whole


def test_a_file_that_is_there_is_overwritten_only_if_that_is_wanted(plain: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    file.write_bytes(b"mine")
    with pytest.raises(BackupError, match="exists: use --force to overwrite it"):
        Index.backup(plain, file)
    assert file.read_bytes() == b"mine"
    Index.backup(plain, file, overwrite=True)
    Index.restore(file, tmp_path / "new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BackupError, match="no file that could be overwritten"):
        Index.backup(plain, tmp_path / "folder", overwrite=True)
    with pytest.raises(BackupError, match=r"cannot be written: No such file or directory"):
        Index.backup(plain, tmp_path / "none" / "backup.tar")


def test_nothing_damaged_is_taken(plain: Path, own: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "backup.tar"
    target.parent.mkdir()
    parts = [
        f"{SNAPSHOTS}/{served_id(plain)}/{name}" for name in read_manifest(plain / SNAPSHOTS / served_id(plain)).files
    ]
    for name in (*parts, f"{SNAPSHOTS}/{served_id(plain)}/{MANIFEST}", LEDGER):
        whole = (own / name).read_bytes()
        at = len(whole) // 2
        for damaged in (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], whole[:-1], None):
            (own / name).unlink()
            if damaged is not None:
                (own / name).write_bytes(damaged)
            with pytest.raises(SourcelineError, match=r"damaged|missing|cannot be read") as raised:
                Index.backup(own, target)
            assert ("sourceline restore" if name == LEDGER else "sourceline rebuild-index") in str(raised.value)
            assert list(target.parent.iterdir()) == []
            (own / name).write_bytes(whole)
    Index.backup(own, target)
    with pytest.raises(NoSnapshotError, match="sourceline rebuild-index"):
        Index.backup(tmp_path / "nothing", target, overwrite=True)


def test_a_snapshot_that_is_removed_while_it_is_opened_is_left_for_the_newer_one(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = snapshot_names(own)
    (own / CURRENT).write_text(f"{older}\n")
    open_part = backup._open

    def remove_while_opening(part: Any) -> Any:
        if part.path.name == "tokens.codes" and older in part.name:
            (own / CURRENT).write_text(f"{newer}\n")
            shutil.rmtree(own / SNAPSHOTS / older)
        return open_part(part)

    monkeypatch.setattr(backup, "_open", remove_while_opening)
    assert Index.backup(own, tmp_path / "backup.tar").snapshot == newer


def test_a_snapshot_that_is_removed_once_it_is_open_is_taken(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = snapshot_names(own)
    (own / CURRENT).write_text(f"{older}\n")
    write = backup._write

    def remove_before_writing(*arguments: Any) -> None:
        (own / CURRENT).write_text(f"{newer}\n")
        shutil.rmtree(own / SNAPSHOTS / older)
        write(*arguments)

    monkeypatch.setattr(backup, "_write", remove_before_writing)
    assert Index.backup(own, tmp_path / "backup.tar").snapshot == older
    Index.restore(tmp_path / "backup.tar", tmp_path / "new")
    assert served_id(tmp_path / "new") == older
    with Index.open(tmp_path / "new", lazy=True) as index:
        assert index.cite(MONDAY).status.value == "current"


def test_a_full_disk_and_a_disk_that_loses_a_bit_leave_no_archive(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = backup._write

    def fill_disk(archive: Any, *_: Any) -> None:
        archive.write(b"begun")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def lose_bit(archive: Any, *arguments: Any) -> None:
        write(archive, *arguments)
        archive.seek(100_000)
        (byte,) = archive.read(1)
        archive.seek(100_000)
        archive.write(bytes([byte ^ 1]))

    for fault, message in (
        (fill_disk, "cannot be written: No space left on device"),
        (lose_bit, "is damaged: snapshots/"),
    ):
        monkeypatch.setattr(backup, "_write", fault)
        with pytest.raises(BackupError, match=message):
            Index.backup(plain, tmp_path / "backup.tar")
        assert list(tmp_path.iterdir()) == []


# Reading


def test_whatever_of_an_archive_is_damaged_is_named_and_nothing_is_written(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    with tarfile.open(archive) as tar:
        places = [(m.name, m.offset, m.offset_data, m.size) for m in tar.getmembers()]
    file, index = tmp_path / "damaged.tar", tmp_path / "index"
    for name, header, data, size in places:
        for at in (header, header + 300, data, data + size - 1, *([data + size] if size % 512 else [])):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(BackupError, match=name.replace(".", r"\.")):
                Index.restore(file, index)
        file.write_bytes(whole[: data + size // 2])
        with pytest.raises(BackupError, match=name.replace(".", r"\.")):
            Index.restore(file, index)
    for other in (whole[:-1], whole + b"\0", whole[:-1] + b"x"):
        file.write_bytes(other)
        with pytest.raises(BackupError, match="the end is not as it was written"):
            Index.restore(file, index)
    for other in (b"", b"no tar, " * 1000, bytes(10240)):
        file.write_bytes(other)
        with pytest.raises(BackupError, match="is no backup"):
            Index.restore(file, index)
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "pipe", "it is no regular file"),
        (tmp_path / "none", "No such file or directory"),
    ):
        with pytest.raises(BackupError, match=f"cannot be read: {reason}"):
            Index.restore(path, index)
    assert not index.exists()


def rewritten(
    archive: Path,
    target: Path,
    change: Callable[[dict[str, bytes]], dict[str, bytes]] = lambda members: members,
    header: Callable[[tarfile.TarInfo], tarfile.TarInfo] = lambda member: member,
    card: dict[str, Any] | None = None,
) -> Path:
    """Write an archive with other members, other headers, or another card, all with checksums that fit."""
    with archive.open("rb") as file:
        old = backup._read_card(file, archive)
        members: dict[str, bytes] = {}
        for name, block in backup._members(file, old, archive):
            members[name] = members.get(name, b"") + block
    members = change(members)
    table = {name: (len(data), sha256(data).hexdigest()) for name, data in members.items()}
    new = dataclasses.replace(old, members=table, **card or {})
    text = new.text()
    with target.open("wb") as out:
        out.write(backup._header(backup.CARD, len(text), new) + text + backup._padding(len(text)))
        for name, data in members.items():
            member = tarfile.TarInfo.frombuf(backup._header(name, len(data), new)[-512:], "utf-8", "strict")
            out.write(header(member).tobuf(tarfile.GNU_FORMAT) + data + backup._padding(len(data)))
        out.write(backup._end(out.tell()))
    return target


def test_an_archive_that_leads_elsewhere_is_refused(archive: Path, tmp_path: Path) -> None:
    index, file = tmp_path / "index", tmp_path / "hostile.tar"
    Index.restore(rewritten(archive, file), tmp_path / "whole")  # what is changed below is all that is wrong
    for name in (
        *(
            "../evil",
            "/etc/evil",
            "evil",
            "snapshots/../../evil",
            "snapshots/x/../evil",
            "snapshots//x/evil",
            "CURRENT",
        ),
        *("snapshots/x/./evil", "encoders/x/..", "snapshots/evil", "snapshots/x/a b", "ledger.jsonl/x", ""),
    ):
        rewritten(archive, file, partial(dict[str, bytes].__or__, {name: b"evil"}))
        with pytest.raises(BackupError, match=r"backup\.json, is damaged"):
            Index.restore(file, index)
    for snapshot in ("../x", "x", "00000001-2026/..", ""):
        with pytest.raises(BackupError, match=r"backup\.json, is damaged"):
            Index.restore(rewritten(archive, file, card={"snapshot": snapshot}), index)
    assert not index.exists()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("size", [-1, 1 << 63, 1 << 100])
def test_an_archive_with_a_size_that_no_file_has_is_refused(archive: Path, tmp_path: Path, size: int) -> None:
    with archive.open("rb") as file:
        old = backup._read_card(file, archive)
    text = dataclasses.replace(old, members={LEDGER: (size, "")}).text()
    hostile = tmp_path / "hostile.tar"
    hostile.write_bytes(backup._header(backup.CARD, len(text), old) + text + backup._padding(len(text)))
    with pytest.raises(BackupError, match=r"backup\.json, is damaged"):
        Index.restore(hostile, tmp_path / "index")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_only_plain_files_are_taken_from_an_archive(archive: Path, tmp_path: Path, kind: bytes) -> None:
    def header(member: tarfile.TarInfo) -> tarfile.TarInfo:
        if member.name == LEDGER:
            member.type, member.linkname = kind, "/etc/passwd"
        return member

    with pytest.raises(BackupError, match=r"ledger\.jsonl is not as it was written"):
        Index.restore(rewritten(archive, tmp_path / "hostile.tar", header=header), tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_an_archive_holds_all_that_its_snapshot_needs_and_nothing_else(archive: Path, tmp_path: Path) -> None:
    index, file = tmp_path / "index", tmp_path / "other.tar"
    with tarfile.open(archive) as tar:
        named = next(name for name in tar.getnames() if name.endswith("tokens.ids"))
    changes: list[tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = [
        (lambda members: members | {"encoders/x/evil": b"evil"}, "it has other files than its snapshot"),
        (
            lambda members: {name: data for name, data in members.items() if name != named},
            "tokens.ids is not as it was",
        ),
        (lambda members: {name: data for name, data in members.items() if name != LEDGER}, "record of citations"),
        (lambda members: members | {named: b"other"}, "tokens.ids is not as it was written"),
        (lambda members: members | {LEDGER: members[LEDGER] + b"{}\n"}, "it has other files than its snapshot"),
    ]
    for change, message in changes:
        with pytest.raises(BackupError, match=f"does not hold a whole index: .*{message}"):
            Index.restore(rewritten(archive, file, change), index)
        assert without_lock(index) == {}


def test_a_backup_of_another_format_says_what_to_do(archive: Path, tmp_path: Path) -> None:
    others: list[dict[str, Any]] = [{"format": 2}, {"index_format": 8}]
    for other in others:
        file = rewritten(archive, tmp_path / "other.tar", card={"version": "7.1.0"} | other)
        with pytest.raises(BackupError) as raised:
            Index.restore(file, tmp_path / "index")
        assert str(raised.value) == (
            f"{file} holds an index in another format, of Sourceline 7.1.0: restore it with that version, or run "
            "`sourceline rebuild-index` instead"
        )


# Restoring


def test_an_index_that_is_there_is_replaced_only_if_that_is_wanted_and_kept(
    own: Path, archive: Path, tmp_path: Path
) -> None:
    restored = without_lock(own)
    shutil.rmtree(own / SNAPSHOTS / snapshot_names(own)[0])
    (own / LEDGER).write_bytes(b"damaged")
    (own / "ledger.sqlite.old").write_bytes(b"old")
    os.rename(own / SNAPSHOTS / snapshot_names(own)[0], own / SNAPSHOTS / "00000009-20270101T000000Z")
    (own / CURRENT).write_text("00000009-20270101T000000Z\n")
    before = contents(own)
    with pytest.raises(
        BackupError, match=r"holds an index already \(CURRENT and ledger.jsonl and snapshots and .*--replace"
    ):
        Index.restore(archive, own)
    assert contents(own) == before
    replaced = Index.restore(archive, own, replace=True).replaced
    assert replaced
    assert contents(replaced) == before
    shutil.rmtree(replaced)
    newest = served_id(own)
    assert {name for name in without_lock(own) if not name.startswith(SNAPSHOTS) or newest in name} == {
        name for name in restored if not name.startswith(SNAPSHOTS) or newest in name
    }
    assert [citation.status.value for citation in statuses(own)] == ["changed", "current", "moved"]


def test_a_ledger_alone_is_not_overwritten(plain: Path, archive: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    index.mkdir()
    shutil.copy(plain / LEDGER, index)
    with pytest.raises(BackupError, match=r"holds an index already \(ledger\.jsonl\)"):
        Index.restore(archive, index)
    (index / CURRENT).write_text(f"{served_id(plain)}\n")
    shutil.copytree(plain / SNAPSHOTS, index / SNAPSHOTS)
    (index / LEDGER).write_bytes(b"")
    with pytest.raises(LedgerError, match="sourceline restore FILE --replace"):
        statuses(index)
    Index.restore(archive, index, replace=True)
    assert statuses(index) == statuses(plain)


def test_an_open_index_switches_to_an_older_snapshot_and_to_the_same_one(own: Path, tmp_path: Path) -> None:
    older, newer = snapshot_names(own)
    for name in (older, newer):
        (own / CURRENT).write_text(f"{name}\n")
        Index.backup(own, tmp_path / f"{name}.tar")
    with Index.open(own, reranker=NO_RERANKER, lazy=True) as index:
        assert (index.snapshot.id, index.cite(SUNDAY).status.value) == (newer, "current")
        Index.restore(tmp_path / f"{older}.tar", own, replace=True)
        assert index.refresh()
        assert (index.snapshot.id, index.cite(MONDAY).status.value) == (older, "current")
        assert not index.refresh()
        Index.restore(tmp_path / f"{newer}.tar", own, replace=True)
        assert index.refresh()
    # Damaged, set aside, and the one before served: then restored under the name that CURRENT had all the time.
    Index.restore(tmp_path / f"{older}.tar", own, replace=True)
    shutil.copytree(next(own.glob(f"replaced-*/{SNAPSHOTS}/{newer}")), own / SNAPSHOTS / newer)
    (own / CURRENT).write_text(f"{newer}\n")
    (own / SNAPSHOTS / newer / "tokens.ids").write_bytes(b"")
    with Index.open(own, reranker=NO_RERANKER, lazy=True) as index:
        assert index.snapshot.id == older
        assert not index.refresh()
        Index.restore(tmp_path / f"{newer}.tar", own, replace=True)
        assert index.refresh()
        assert (index.snapshot.id, index.cite(SUNDAY).status.value) == (newer, "current")


def test_another_snapshot_of_the_same_id_is_not_replaced(own: Path, archive: Path) -> None:
    folder = own / SNAPSHOTS / served_id(own)
    write_manifest(folder, dataclasses.replace(read_manifest(folder), created="2000-01-01T00:00:00+00:00"))
    before = without_lock(own)
    with pytest.raises(BackupError, match=r"holds another snapshot .*: restore into another folder"):
        Index.restore(archive, own, replace=True)
    assert without_lock(own) == before


def test_it_waits_for_no_build_and_a_full_disk_leaves_the_index_as_it_was(
    own: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = without_lock(own)
    with build_lock(own), pytest.raises(BuildRunningError):
        Index.restore(archive, own, replace=True)

    def fill_disk(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(backup, "_extract", fill_disk)
    with pytest.raises(BackupError, match="cannot be written: No space left on device"):
        Index.restore(archive, own, replace=True)
    assert without_lock(own) == before


def test_a_damaged_encoder_is_restored_and_a_whole_one_kept(built: Path, tmp_path: Path) -> None:
    Index.backup(built, tmp_path / "backup.tar")
    index = copy_index(built, tmp_path / "index")
    (model,) = index.glob("encoders/*/model.onnx")
    (tokenizer,) = index.glob("encoders/*/tokenizer.json")
    inode = model.stat().st_ino
    Index.restore(tmp_path / "backup.tar", index, replace=True)
    assert model.stat().st_ino == inode
    whole = tokenizer.read_bytes()
    tokenizer.unlink()
    tokenizer.write_bytes(whole[:-1])
    Index.restore(tmp_path / "backup.tar", index, replace=True)
    assert (tokenizer.read_bytes(), model.read_bytes()) == (
        whole,
        next(built.glob("encoders/*/model.onnx")).read_bytes(),
    )


# What changes which files there are. What is written before the first rename is in a folder that nobody reads.
STEPS = {"rename", "replace", "link"}


def restore_and_die(archive: Path, index: Path, kill_before: int) -> bool:
    """Restore in a child that kills itself before a step; return whether it was killed."""
    child = os.fork()
    if not child:
        steps = 0

        def profile(_: FrameType, event: str, called: Any) -> None:
            nonlocal steps
            if event == "c_call" and called.__name__ in STEPS:
                if steps == kill_before:
                    os.kill(os.getpid(), signal.SIGKILL)
                steps += 1

        os.fsync = lambda fd: None  # of no use to a process that is killed
        sys.setprofile(profile)
        try:
            Index.restore(archive, index, replace=True)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_crash_leaves_the_index_before_or_the_restored_one_whole(own: Path, tmp_path: Path) -> None:
    older, newer = snapshot_names(own)
    (own / CURRENT).write_text(f"{older}\n")
    Index.backup(own, tmp_path / "backup.tar")
    (own / CURRENT).write_text(f"{newer}\n")
    shutil.rmtree(own / SNAPSHOTS / older)
    after = ["current", "404", "current"]
    outcomes = []
    killed, step = True, 0
    while killed:
        index = tmp_path / f"{step}"
        shutil.copytree(own, index)
        killed = restore_and_die(tmp_path / "backup.tar", index, step)
        with Index.open(index, reranker=NO_RERANKER, lazy=True, fallback=False) as opened:
            outcomes.append(opened.snapshot.id)
            opened.check_citations()
            known = [status_of(opened, citation) for citation in IDS]
        assert known == (["changed", "current", "moved"] if outcomes[-1] == newer else after), step
        Index.restore(tmp_path / "backup.tar", index, replace=True)  # what was left behind is in nobody's way
        assert served_id(index) == older
        assert not (index / ".restoring").exists()
        assert not list(index.glob("restored-*"))
        shutil.rmtree(index)
        step += 1
    assert outcomes == sorted(outcomes, reverse=True)
    assert {*outcomes} == {older, newer}
    assert step > 6


def status_of(index: Index, citation: str) -> str:
    try:
        return index.cite(citation, source=False).status.value
    except SourcelineError:
        return "404"


def test_a_build_ends_a_restore_that_was_killed_and_clears_one_that_was_never_seen(built: Path, tmp_path: Path) -> None:
    index = copy_index(built, tmp_path / "index")
    name = f"restored-ledger-{served_id(index)}.jsonl"
    whole = (index / LEDGER).read_bytes()
    (index / LEDGER).rename(index / name)
    (index / LEDGER).write_bytes(b"of the index before")
    (index / "restored-ledger-00000007-20270101T000000Z.jsonl").write_bytes(b"never seen")
    (index / ".restoring").mkdir()
    documents = tmp_path / "documents"
    documents.mkdir()
    put(documents, SECOND | {"c.txt": "The ferry leaves at noon.\n"})
    assert Index.build(documents, index).encoded == 1
    assert (index / LEDGER).read_bytes().startswith(whole)
    assert not list(index.glob("restored-*")) + list(index.glob(".restoring"))
    assert [citation.status.value for citation in statuses(index)] == ["changed", "current", "moved"]
