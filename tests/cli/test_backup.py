from pathlib import Path

from sourceline.citations.ledger import FILE as LEDGER
from tests.conftest import Rebuild
from tests.support.commands import Command


def test_an_index_is_backed_up_and_restored(
    sourceline: Command, documents: Path, index: Path, rebuild: Rebuild, tmp_path: Path
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    snapshot = rebuild(documents, index).snapshot
    file, other = tmp_path / "backup.tar", tmp_path / "other"
    for outcome in (sourceline("backup", file, "--index", index), sourceline("restore", file, "--index", other)):
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.startswith(f"snapshot {snapshot}: ")
        assert outcome.out.endswith(" UTC, verified\n")
    assert (other / LEDGER).read_bytes() == (index / LEDGER).read_bytes()
    outcome = sourceline("backup", file, "--index", index)
    assert (outcome.code, outcome.err) == (1, f"sourceline: {file} exists: use --force to overwrite it\n")
    assert sourceline("backup", file, "--force", "--index", index).code == 0
    outcome = sourceline("restore", file, "--index", other)
    assert (outcome.code, outcome.out) == (1, "")
    assert "holds an index already (CURRENT and ledger.jsonl and snapshots)" in outcome.err
    outcome = sourceline("restore", file, "--replace", "--index", other)
    (replaced,) = other.glob("replaced-*")
    assert outcome.code == 0
    assert outcome.out.splitlines()[1] == f"what it replaces is in {replaced}, and may be deleted"
