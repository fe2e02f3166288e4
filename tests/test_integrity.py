import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sourceline.api import Index
from sourceline.citations.ledger import FILE as LEDGER
from sourceline.citations.ledger import ExtentCheck, open_ledger
from sourceline.errors import LedgerError
from sourceline.index.snapshot import MANIFEST, SNAPSHOTS, LedgerExtent, open_snapshot
from sourceline.integrity import check_contents, check_files
from sourceline.types import Finding
from tests.support.index_folder import copy_index, put, snapshot_names


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> Path:
    """An index of two builds. Not to be written to."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "documents").mkdir()
    shutil.copytree(exported, folder / "index")
    put(folder / "documents", {"a.txt": "It opens on Monday.\nIt opens on Monday.\n"})
    Index.build(folder / "documents", folder / "index")
    put(folder / "documents", {"a.txt": "It opens on Monday.\nIt opens on Monday.\n", "b.md": "# Head\n\nIt rains.\n"})
    Index.build(folder / "documents", folder / "index")
    return folder / "index"


@pytest.fixture
def own(built: Path, tmp_path: Path) -> Path:
    return copy_index(built, tmp_path / "own")


def extent_of(index: Path) -> LedgerExtent:
    newest = snapshot_names(index)[-1]
    return open_snapshot(index, newest, verify=False).manifest.ledger


def check_ledger(data: bytes, extent: LedgerExtent, size: int = 500) -> None:
    check = ExtentCheck(Path(LEDGER), extent)
    for at in range(0, len(data), size):
        check.update(data[at : at + size])
    check.finish()


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 18])
def test_the_part_of_a_ledger_is_compared_as_it_comes(built: Path, size: int) -> None:
    check_ledger((built / LEDGER).read_bytes(), extent_of(built), size)


def test_every_bit_of_a_ledger_counts(built: Path) -> None:
    data, extent = (built / LEDGER).read_bytes(), extent_of(built)

    def require_noticed(damaged: bytes) -> None:
        with pytest.raises(LedgerError, match="sourceline restore"):
            check_ledger(damaged, extent)

    for at in range(len(data)):
        require_noticed(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
    for at in range(0, len(data), 50):
        require_noticed(data[:at])
    require_noticed(bytes(len(data)))
    require_noticed(data + data.splitlines(keepends=True)[-1])


def test_every_file_is_read_and_each_damage_is_named(own: Path) -> None:
    older, newer = snapshot_names(own)
    for snapshot in (older, newer):
        checked = list(check_files(own, snapshot))
        assert [file.fault for file in checked] == [""] * len(checked)
        assert next(file.name for file in checked if file.name.startswith("encoders")).endswith("/encoder.json")
        assert sum(file.name.startswith(f"{SNAPSHOTS}/{snapshot}/") for file in checked) == len(checked) - 4
        assert checked[-1].name == LEDGER
    card = next(file.name for file in checked if file.name.startswith("encoders"))
    manifest = f"{SNAPSHOTS}/{newer}/{MANIFEST}"
    listed = {file.name for file in checked} - {card, manifest}
    for names in (listed, {card}, {manifest}):  # the latter two list the others
        wholes = {name: (own / name).read_bytes() for name in names}
        for damage in (flip, Path.unlink):
            for name in names:
                damage(own / name)
            faults = {file.name: file.fault for file in check_files(own, newer) if file.fault}
            assert faults.keys() == names
            for name, fault in faults.items():
                assert ("sourceline restore" if name == LEDGER else "sourceline rebuild-index") in fault
        for name, whole in wholes.items():
            (own / name).write_bytes(whole)
    assert not any(file.fault for file in check_files(own, newer))


def flip(path: Path) -> None:
    """Flip a bit in the middle of a file, which may be a link."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def findings(index: Path) -> dict[str, Finding]:
    snapshot = open_snapshot(index, snapshot_names(index)[-1], verify=False)
    ledger = open_ledger(index, snapshot.folder, snapshot.manifest.ledger)
    return {finding.subject: finding for finding in check_contents(snapshot, ledger)}


def test_what_stands_in_a_whole_index_agrees(built: Path) -> None:
    assert {subject: (finding.ok, finding.detail) for subject, finding in findings(built).items()} == {
        "search": (True, "3 rows in each part; finds each of 3 passages that it was searched for"),
        "documents of the index": (True, "2 documents have all their passages"),
        "passages": (True, "4 passages stand in their documents, in order, with the ids of their texts"),
        "issued": (True, "4 passages are in the ledger with the same text"),
    }


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("UPDATE passages SET start = start + 1 WHERE number = 1", {"passages": "1 of 4 passages"}),
        ("UPDATE passages SET ordinal = 5 WHERE number = 1", {"passages": "1 of 4 passages"}),
        ("UPDATE passages SET id = 'aaaaaaaaaaaaaaaa' WHERE number = 1", {"passages": "1 of 4", "issued": "1 of 4"}),
        (
            "UPDATE passages SET text = 'It opens on Sunday.' WHERE number = 0",
            {"passages": "2 of 4 passages do not", "issued": "1 of 4 passages do not"},  # the other is the first now
        ),
        ("UPDATE documents SET tail = '' WHERE number = 0", {}),  # white space
        ("UPDATE passages SET gap = gap || 'x' WHERE number = 1", {"passages": "1 of 4"}),
        ("DELETE FROM passages WHERE number = 0", {"passages": "there are 3 of 4", "documents of the index": "1 of 2"}),
    ],
)
def test_what_does_not_agree_is_counted(own: Path, statement: str, wrong: dict[str, str]) -> None:
    with closing(sqlite3.connect(own / SNAPSHOTS / snapshot_names(own)[-1] / "passages.sqlite")) as connection:
        connection.execute(statement)
        connection.commit()
    faults = {subject: finding.detail for subject, finding in findings(own).items() if not finding.ok}
    assert faults.keys() == wrong.keys()
    for subject, detail in faults.items():
        assert wrong[subject] in detail
        assert "run `sourceline rebuild-index`" in detail or "sourceline restore" in detail


def test_a_ledger_that_is_missing_is_told_once(own: Path) -> None:
    (own / LEDGER).unlink()
    faults = {subject: finding.detail for subject, finding in findings(own).items() if not finding.ok}
    assert faults.keys() == {"issued"}
    assert "is missing: restore a backup with `sourceline restore FILE --replace`" in faults["issued"]
