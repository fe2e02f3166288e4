"""Damage of any file of an index: of a snapshot, of CURRENT, and beside them of the exported model and the ledger."""

import logging
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sourceline.api import Index
from sourceline.citations.ledger import FILE as LEDGER
from sourceline.citations.ledger import open_ledger, recover_ledger
from sourceline.citations.lookup import look_up
from sourceline.encoders.base import Encoder, Float32
from sourceline.encoders.load import ENCODERS
from sourceline.encoders.onnx import CARD_FILE, read_card
from sourceline.errors import (
    CorpusError,
    DamagedError,
    LedgerError,
    ModelError,
    SnapshotError,
)
from sourceline.ids import citation_id
from sourceline.index.snapshot import (
    CURRENT,
    DAMAGED,
    HEAD,
    MANIFEST,
    SNAPSHOTS,
    open_current,
    open_snapshot,
    read_manifest,
)
from tests.conftest import Rebuild
from tests.support.index_folder import (
    build_each,
    cite,
    copy_index,
    current_texts,
    ledger_of,
    leftovers,
    put,
    snapshot_names,
)

FIRST = {
    "a.txt": "The bridge opens on Monday at nine. The roof of the hall leaks.\n",
    "b.txt": "Seven trams were ordered.\n",
    "c.txt": "The library closes early.\n",
}
SECOND = {
    "a.txt": "The bridge opens on Sunday at nine. The roof of the hall leaks.\n",
    "b.txt": "Seven trams were ordered.\n",
    "d.txt": "It rains.\n",
}
CHANGED = citation_id("a.txt", "The bridge opens on Monday at nine.", 0)
KEPT = citation_id("b.txt", "Seven trams were ordered.", 0)
RUN_REBUILD = "run `sourceline rebuild-index`"


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> Path:
    """An index with two snapshots, of FIRST and of SECOND. Not to be written to."""
    index = copy_index(exported, tmp_path_factory.mktemp("built") / "index")
    return build_each(tmp_path_factory.mktemp("documents"), index, Index.build, FIRST, SECOND)


@pytest.fixture
def built(built_once: Path, tmp_path: Path) -> Path:
    """An index of one's own with two snapshots, of FIRST and of SECOND. Its exported model is not to be written to."""
    return copy_index(built_once, tmp_path / "index")


def cut(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def lengthen(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def remove(path: Path, _: Path) -> None:
    path.unlink()


def become_a_folder(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def swap(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << position % 8
    path.write_bytes(data)


def flip_at(share: float) -> Callable[[Path, Path], None]:
    def flip_one_bit(path: Path, _: Path) -> None:
        flip(path, int(share * (path.stat().st_size - 1)))

    return flip_one_bit


DAMAGES = [cut, empty, lengthen, remove, become_a_folder, swap, *map(flip_at, (0, 0.1, 0.37, 0.5, 0.73, 0.9, 1))]


def counterpart(folder: Path, name: str) -> Path:
    """Return the file of a snapshot that corresponds to one of another; tantivy gives each a name of its own."""
    if (folder / name).is_file():
        return folder / name
    (path,) = (folder / "bm25").glob(f"*{Path(name).suffix}")
    return path


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_of_any_file_of_a_snapshot_is_noticed_and_the_snapshot_before_is_served(
    built_once: Path, tmp_path: Path, damage: Callable[[Path, Path], None]
) -> None:
    before, damaged = snapshot_names(built_once)
    files = [MANIFEST, *read_manifest(built_once / SNAPSHOTS / damaged).files]
    assert len(files) >= 13
    assert HEAD in files
    for number, name in enumerate(files):
        index = copy_index(built_once, tmp_path / str(number))
        folder = index / SNAPSHOTS / damaged
        other = counterpart(folder.with_name(before), name)
        if damage is swap and other.read_bytes() == (folder / name).read_bytes():
            continue
        damage(folder / name, other)

        with pytest.raises(DamagedError, match=rf"is damaged: .*: {RUN_REBUILD}") as error:
            open_snapshot(index, damaged)
        assert Path(name).stem in str(error.value)
        assert current_texts(index) == FIRST
        assert snapshot_names(index) == [before, f"{damaged}.damaged"]
        assert current_texts(index) == FIRST


def test_a_flip_of_any_bit_of_the_manifest_is_noticed(built: Path) -> None:
    folder = built / SNAPSHOTS / snapshot_names(built)[1]
    whole = (folder / MANIFEST).read_bytes()
    for position in range(len(whole)):
        (folder / MANIFEST).write_bytes(whole)
        flip(folder / MANIFEST, position)
        with pytest.raises(DamagedError, match=MANIFEST):
            read_manifest(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', "{}", '{"checksum": 1}', "[" * 100_000])
def test_a_manifest_that_is_something_else_is_damaged(built: Path, content: str) -> None:
    (built / SNAPSHOTS / snapshot_names(built)[1] / MANIFEST).write_text(content)

    assert current_texts(built) == FIRST


def test_a_snapshot_under_the_name_of_another_is_damaged(built: Path) -> None:
    first, second = (built / SNAPSHOTS / name for name in snapshot_names(built))
    shutil.rmtree(second)
    shutil.copytree(first, second)

    with pytest.raises(DamagedError, match=f"its manifest is of {first.name}"):
        open_snapshot(built, second.name)
    assert current_texts(built) == FIRST


def test_a_damaged_snapshot_is_logged_and_the_next_build_replaces_it(
    built: Path, documents: Path, rebuild: Rebuild, caplog: pytest.LogCaptureFixture
) -> None:
    before, damaged = snapshot_names(built)
    (built / SNAPSHOTS / damaged / "dense.faiss").write_bytes(b"")

    assert current_texts(built) == FIRST
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, f"snapshot {damaged} is damaged: dense.faiss is not as it was written: {RUN_REBUILD}"),
        (logging.WARNING, f"serving snapshot {before}, the one before: {RUN_REBUILD}"),
    ]

    put(documents, SECOND)
    report = rebuild(documents, built)
    assert (report.changed, report.added, report.removed) == (("a.txt",), ("d.txt",), ("c.txt",))
    assert snapshot_names(built) == [before, report.snapshot]
    assert current_texts(built) == SECOND
    assert leftovers(built) == set()


def test_without_a_whole_snapshot_the_damage_is_an_error_until_the_next_build(
    built: Path, documents: Path, rebuild: Rebuild
) -> None:
    first, second = snapshot_names(built)
    for name in (first, second):
        (built / SNAPSHOTS / name / "passages.sqlite").unlink()

    with pytest.raises(DamagedError, match=f"snapshot {second} is damaged: passages.sqlite is not as it was written"):
        open_current(built)
    assert snapshot_names(built) == [f"{first}.damaged", f"{second}.damaged"]
    with pytest.raises(DamagedError, match=rf"snapshot {second} is damaged and was set aside: {RUN_REBUILD}"):
        open_current(built)

    put(documents, SECOND)
    assert rebuild(documents, built).snapshot > second
    assert current_texts(built) == SECOND
    assert leftovers(built) == set()


GARBAGE = ["", "\n", ".", "..", "../encoders", "/", "\0", "\x7f", "x" * 5_000, "²²²²²²²²", "~", "00000002"]
MISSING = ["00000000-20260101T000000Z", "00000002-20000101T000000Z", "00000009-20260101T000000Z"]


@pytest.mark.parametrize("content", [*GARBAGE, *MISSING])
def test_if_current_names_no_snapshot_the_newest_one_is_served_and_nothing_is_moved(
    built: Path, documents: Path, rebuild: Rebuild, content: str
) -> None:
    (built / CURRENT).write_text(content, "utf-8")
    files = sorted(built.rglob("*"))

    assert current_texts(built) == SECOND
    assert sorted(built.rglob("*")) == files

    put(documents, FIRST)
    rebuild(documents, built)
    assert current_texts(built) == FIRST
    assert (built / CURRENT).read_text() == snapshot_names(built)[-1] + "\n"
    assert leftovers(built) == set()


def test_if_current_holds_bytes_that_are_no_text_the_newest_snapshot_is_served(built: Path) -> None:
    (built / CURRENT).write_bytes(b"\xff\xfe\x00\xd8")

    assert current_texts(built) == SECOND


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_a_full_folder(path: Path) -> None:
    path.unlink()
    (path / "of").mkdir(parents=True)


def become_a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def become_a_link_to_a_folder(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent)


@pytest.mark.parametrize(
    "become", [become_a_pipe, become_a_full_folder, become_a_loop, become_a_link_to_a_folder], ids=lambda f: f.__name__
)
def test_if_current_is_no_file_the_newest_snapshot_is_served_and_a_build_mends_it(
    built: Path, documents: Path, rebuild: Rebuild, become: Callable[[Path], None]
) -> None:
    become(built / CURRENT)
    os.mkfifo(built / f".{CURRENT}.new")  # where it is written

    assert Index.exists(built)
    assert current_texts(built) == SECOND
    with pytest.raises(DamagedError, match=f"CURRENT names no snapshot: {RUN_REBUILD}"):
        open_current(built, fallback=False)

    put(documents, FIRST)
    assert rebuild(documents, built).changed == ("a.txt",)
    assert (built / CURRENT).read_text() == snapshot_names(built)[-1] + "\n"
    assert current_texts(built) == FIRST
    set_aside = {f"{CURRENT}{DAMAGED}"} if become is become_a_full_folder else set()
    assert leftovers(built) == set_aside
    assert [path.name for name in set_aside for path in (built / name).iterdir()] == ["of"] * len(set_aside)


def test_a_restore_replaces_what_is_no_file(built: Path, tmp_path: Path) -> None:
    Index.backup(built, tmp_path / "backup.tar")
    become_a_full_folder(built / LEDGER)
    become_a_pipe(built / CURRENT)
    with pytest.raises(LedgerError, match=r"cannot be read: Is a directory: restore a backup"):
        cite(built, CHANGED)

    Index.restore(tmp_path / "backup.tar", built, replace=True)
    assert cite(built, CHANGED).status == "changed"
    assert current_texts(built) == SECOND
    assert (built / f"{LEDGER}{DAMAGED}" / "of").is_dir()


def test_without_current_the_newest_whole_snapshot_is_served_and_a_build_that_fails_removes_none(
    built: Path, documents: Path, rebuild: Rebuild, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = snapshot_names(built)
    (built / CURRENT).unlink()
    interrupted = built / SNAPSHOTS / "00000009-20260101T000000Z"
    interrupted.mkdir()

    assert Index.exists(built)
    with pytest.raises(DamagedError, match=rf"CURRENT is missing: {RUN_REBUILD}"):
        open_current(built, fallback=False)
    assert current_texts(built) == SECOND
    assert caplog.messages[-1] == f"serving snapshot {second}, the one before: {RUN_REBUILD}"
    assert snapshot_names(built) == [first, second, interrupted.name]  # it may be a build that is running

    with pytest.raises(CorpusError):
        rebuild(documents, built)
    assert snapshot_names(built) == [first, second]
    assert current_texts(built) == SECOND
    assert cite(built, CHANGED).status == "changed"

    (built / SNAPSHOTS / second / "dense.faiss").write_bytes(b"")
    assert current_texts(built) == FIRST

    put(documents, SECOND)
    assert rebuild(documents, built).changed == ("a.txt",)
    assert current_texts(built) == SECOND
    assert cite(built, CHANGED).status == "changed"
    assert leftovers(built) == set()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # numpy leaves a file to the garbage collector
def test_too_many_open_files_are_no_damage(built: Path) -> None:
    names = snapshot_names(built)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    refusals = []
    opened = max(map(int, os.listdir("/proc/self/fd")))  # by other tests of this process
    limits = range(3, opened + 100)
    for limit in limits:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        try:
            open_current(built)
        except SnapshotError as error:
            refusals.append(type(error))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert snapshot_names(built) == names
    assert 3 <= len(refusals) < len(limits)
    assert set(refusals) == {SnapshotError}
    assert current_texts(built) == SECOND


def test_a_flip_of_any_bit_of_the_exported_models_card_is_noticed(
    exported: Path, encoder: Encoder, tmp_path: Path
) -> None:
    whole = (exported / ENCODERS / encoder.fingerprint / CARD_FILE).read_bytes()
    for position in range(len(whole)):
        (tmp_path / CARD_FILE).write_bytes(whole)
        flip(tmp_path / CARD_FILE, position)
        with pytest.raises(ModelError, match=RUN_REBUILD):
            read_card(tmp_path)


@pytest.fixture
def exported_model(built: Path, exported: Path, encoder: Encoder) -> Path:
    """The folder of the exported model in the index ``built``; it may be written to."""
    folder = built / ENCODERS / encoder.fingerprint
    shutil.rmtree(folder)
    shutil.copytree(exported / ENCODERS / encoder.fingerprint, folder)
    return folder


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "encoder.json"])
def test_a_damaged_exported_model_answers_no_question(built: Path, exported_model: Path, name: str) -> None:
    file = exported_model / name
    whole = file.read_bytes()
    for damaged in (b"", whole[:-2], whole[: len(whole) // 2] + bytes(1) + whole[len(whole) // 2 + 1 :]):
        file.write_bytes(damaged)
        with pytest.raises(ModelError, match=RUN_REBUILD):
            Index.open(built)
    file.unlink()
    with pytest.raises(ModelError, match=RUN_REBUILD):
        Index.open(built)
    assert current_texts(built) == SECOND  # the snapshot is whole


def vectors_of(index: Path) -> tuple[Float32, Float32]:
    snapshot = open_current(index)
    rows = range(snapshot.passages.row_count)
    return snapshot.dense.vectors(rows), snapshot.tokens.gather(rows).vectors


def test_a_rebuild_exports_a_damaged_model_again_and_changes_no_vector(
    built: Path, exported_model: Path, documents: Path, rebuild: Rebuild
) -> None:
    before = vectors_of(built)
    flip(exported_model / "model.onnx", 1_000_000)
    put(documents, SECOND)

    assert rebuild(documents, built).encoded == 0
    for vectors, expected in zip(vectors_of(built), before, strict=True):
        np.testing.assert_array_equal(vectors, expected)
    with Index.open(built) as index:
        answer = index.ask("When does the bridge open?", 1)
    assert answer.hits[0].passage.text == "The bridge opens on Sunday at nine."
    assert leftovers(built) == set()


def damage_ledger(index: Path, damage: str) -> None:
    ledger = index / LEDGER
    match damage:
        case "garbage":
            ledger.write_bytes(b"no ledger" * 2_000)
        case "emptied":
            ledger.write_bytes(b"")
        case "cut":
            ledger.write_bytes(ledger.read_bytes()[:-1])
        case "removed":
            ledger.unlink()
        case "of another index":
            ledger.unlink()
            recover_ledger(index, None).append("00000002", [], [])
        case "flipped at the end":
            flip(ledger, ledger.stat().st_size - 30)


@pytest.mark.parametrize("damage", ["garbage", "emptied", "cut", "removed", "of another index", "flipped at the end"])
def test_with_a_damaged_ledger_current_citations_resolve_and_others_are_an_error(built: Path, damage: str) -> None:
    assert cite(built, CHANGED).status == "changed"
    damage_ledger(built, damage)

    assert cite(built, KEPT).status == "current"
    for citation in (CHANGED, "zhiyzuiwnpkr56wq"):
        with pytest.raises(
            LedgerError, match=r"ledger\.jsonl.*: restore a backup with `sourceline restore FILE --replace`"
        ):
            cite(built, citation)
    with pytest.raises(
        LedgerError, match=r"ledger\.jsonl.*: restore a backup with `sourceline restore FILE --replace`"
    ):
        ledger_of(built).check()


def test_whatever_bit_of_the_ledger_is_flipped_a_text_is_shown_as_it_was_cited_or_not_at_all(built: Path) -> None:
    snapshot = open_current(built)
    whole = (built / LEDGER).read_bytes()
    noticed = 0
    for position in range(0, len(whole), 7):
        (built / LEDGER).write_bytes(whole)
        flip(built / LEDGER, position)
        ledger = open_ledger(built, snapshot.folder, snapshot.manifest.ledger)
        try:
            citation = look_up(CHANGED, snapshot.passages, ledger)
            assert citation.cited.passage.text == "The bridge opens on Monday at nine."
            assert citation.status == "changed"
        except LedgerError:
            noticed += 1
        with pytest.raises(LedgerError):
            ledger.check()
    assert noticed > 50
