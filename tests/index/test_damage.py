import logging
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sourceline.errors import DamagedError, NoSnapshotError, SnapshotError
from sourceline.index.snapshot import MANIFEST, open_current, open_snapshot, read_manifest
from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL
from tests.conftest import Rebuild
from tests.index.folder import copy, current, litter, put, snapshot_names

ONE = {"a.txt": "The bridge opens on Monday. The roof of the hall leaks.\n", "b.txt": "Seven trams were ordered.\n"}
TWO = {"a.txt": "The bridge opens on Sunday at nine. The roof of the hall leaks.\n", "c.txt": "It rains.\n"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> Path:
    """An index with two snapshots, of ONE and of TWO. Not to be written to."""
    documents = tmp_path_factory.mktemp("documents")
    index = copy(compiled, tmp_path_factory.mktemp("built"))
    for texts in (ONE, TWO):
        put(documents, texts)
        build(documents, index, DEFAULT_MODEL)
    return index


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


def flip(place: float) -> Callable[[Path, Path], None]:
    def flip_one_bit(path: Path, _: Path) -> None:
        data = bytearray(path.read_bytes())
        position = int(place * (len(data) - 1))
        data[position] ^= 1 << position % 8
        path.write_bytes(data)

    return flip_one_bit


DAMAGES = [cut, empty, lengthen, remove, become_a_folder, swap, *map(flip, (0, 0.1, 0.37, 0.5, 0.73, 0.9, 1))]


def duplicate_of(folder: Path, name: str, other: Path) -> Path:
    """Return the file of another snapshot that corresponds to one; tantivy gives each a name of its own."""
    if (other / name).is_file():
        return other / name
    (found,) = (other / "lexical").glob(f"*{Path(name).suffix}")
    return found


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_whatever_befalls_any_file_is_found_and_the_snapshot_before_is_served(
    built: Path, tmp_path: Path, damage: Callable[[Path, Path], None]
) -> None:
    before, damaged = snapshot_names(built)
    files = [MANIFEST, *read_manifest(built / "snapshots" / damaged).files]
    assert len(files) >= 13
    assert "head.safetensors" in files
    for number, name in enumerate(files):
        index = copy(built, tmp_path / str(number))
        folder = index / "snapshots" / damaged
        other = duplicate_of(folder, name, folder.with_name(before))
        if damage is swap and other.read_bytes() == (folder / name).read_bytes():
            continue
        damage(folder / name, other)
        with pytest.raises(DamagedError, match=r"is damaged: .*: run `sourceline rebuild-index`") as error:
            open_snapshot(index, damaged)
        assert Path(name).stem in str(error.value)
        assert current(index) == ONE
        assert snapshot_names(index) == [before, f"{damaged}.damaged"]
        assert current(index) == ONE


def test_every_bit_of_the_manifest_counts(built: Path, tmp_path: Path) -> None:
    folder = copy(built, tmp_path / "index") / "snapshots" / snapshot_names(built)[1]
    whole = (folder / MANIFEST).read_bytes()
    for position in range(len(whole)):
        data = bytearray(whole)
        data[position] ^= 1 << position % 8
        (folder / MANIFEST).write_bytes(data)
        with pytest.raises(DamagedError, match=MANIFEST):
            read_manifest(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', "{}", '{"checksum": 1}', "[" * 100_000])
def test_a_manifest_that_is_something_else_is_damaged(built: Path, tmp_path: Path, content: str) -> None:
    index = copy(built, tmp_path / "index")
    (index / "snapshots" / snapshot_names(index)[1] / MANIFEST).write_text(content)
    assert current(index) == ONE


def test_a_snapshot_under_the_name_of_another_is_damaged(built: Path, tmp_path: Path) -> None:
    index = copy(built, tmp_path / "index")
    one, two = (index / "snapshots" / name for name in snapshot_names(index))
    shutil.rmtree(two)
    shutil.copytree(one, two)
    with pytest.raises(DamagedError, match=f"its manifest is of {one.name}"):
        open_snapshot(index, two.name)
    assert current(index) == ONE


def test_a_damaged_snapshot_is_told_of_and_the_next_build_replaces_it(
    built: Path, documents: Path, rebuild: Rebuild, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = copy(built, tmp_path / "index")
    before, damaged = snapshot_names(index)
    empty(index / "snapshots" / damaged / "dense.faiss", index)
    assert current(index) == ONE
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.ERROR,
            f"snapshot {damaged} is damaged: dense.faiss is not as it was written: run `sourceline rebuild-index`",
        ),
        (logging.WARNING, f"serving snapshot {before}, the one before: run `sourceline rebuild-index`"),
    ]
    put(documents, TWO)
    report = rebuild(documents, index)
    assert (report.changed, report.added, report.removed) == (("a.txt",), ("c.txt",), ("b.txt",))
    assert snapshot_names(index) == [before, report.snapshot]
    assert current(index) == TWO
    assert litter(index) == set()


def test_with_no_whole_snapshot_the_damage_is_an_error_until_the_next_build(
    built: Path, documents: Path, rebuild: Rebuild, tmp_path: Path
) -> None:
    index = copy(built, tmp_path / "index")
    one, two = snapshot_names(index)
    for name in (one, two):
        remove(index / "snapshots" / name / "passages.sqlite", index)
    with pytest.raises(DamagedError, match=f"snapshot {two} is damaged: passages.sqlite is not as it was written"):
        open_current(index)
    assert snapshot_names(index) == [f"{one}.damaged", f"{two}.damaged"]
    with pytest.raises(DamagedError, match=r"there is no snapshot .*: run `sourceline rebuild-index`"):
        open_current(index)
    put(documents, TWO)
    assert rebuild(documents, index).snapshot > two
    assert current(index) == TWO
    assert litter(index) == set()


GARBAGE = ["", "\n", ".", "..", "../encoders", "/", "\0", "\x7f", "x" * 5_000, "²²²²²²²²", "~", "00000002"]
MISSING = ["00000000-20260101T000000Z", "00000002-20000101T000000Z", "00000009-20260101T000000Z"]


@pytest.mark.parametrize("content", [*GARBAGE, *MISSING])
def test_a_current_that_names_no_snapshot_leads_to_the_newest_one_and_nothing_is_moved(
    built: Path, documents: Path, rebuild: Rebuild, tmp_path: Path, content: str
) -> None:
    index = copy(built, tmp_path / "index")
    (index / "CURRENT").write_text(content, "utf-8")
    files = sorted(index.rglob("*"))
    assert current(index) == TWO
    assert sorted(index.rglob("*")) == files
    put(documents, ONE)
    rebuild(documents, index)
    assert current(index) == ONE
    assert (index / "CURRENT").read_text() == snapshot_names(index)[-1] + "\n"
    assert litter(index) == set()


def test_a_current_of_bytes_that_are_no_text_leads_to_the_newest_snapshot(built: Path, tmp_path: Path) -> None:
    index = copy(built, tmp_path / "index")
    (index / "CURRENT").write_bytes(b"\xff\xfe\x00\xd8")
    assert current(index) == TWO


def test_without_current_nothing_was_published(built: Path, tmp_path: Path) -> None:
    index = copy(built, tmp_path / "index")
    (index / "CURRENT").unlink()
    with pytest.raises(NoSnapshotError, match=r"there is no index in .* yet: run `sourceline rebuild-index`"):
        open_current(index)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # numpy leaves a file to the garbage collector
def test_too_many_open_files_are_no_damage(built: Path, tmp_path: Path) -> None:
    index = copy(built, tmp_path / "index")
    names = snapshot_names(index)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    refusals = []
    for limit in range(3, 100):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        try:
            open_current(index)
        except SnapshotError as error:
            refusals.append(type(error))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert snapshot_names(index) == names
    assert 3 <= len(refusals) < 97
    assert set(refusals) == {SnapshotError}
    assert current(index) == TWO
