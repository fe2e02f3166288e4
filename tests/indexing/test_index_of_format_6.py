"""An index in format 6, which stands where an index stands today: refused with one line, rebuilt with its citations."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sourceline.api import Index
from sourceline.citations.older_ledger import OlderLedger
from sourceline.errors import MismatchError
from sourceline.index.snapshot import FORMAT, current_id, open_current, read_manifest
from tests.conftest import Rebuild
from tests.support.index_folder import contents, copy_index, ledger_of, leftovers, snapshot_names

FIXTURE = Path(__file__).parent / "index_of_format_6"
DOCUMENTS = FIXTURE / "documents"
# What the version that wrote it answered for every id that it had issued.
ANSWERS: dict[str, dict[str, Any]] = json.loads((FIXTURE / "citations.json").read_text("utf-8"))
OLD_SNAPSHOT = "00000003-20261126T185356Z"
REFUSAL = f"snapshot {OLD_SNAPSHOT} is in format 6, not {FORMAT}"


@pytest.fixture
def old(tmp_path: Path, exported: Path) -> Path:
    """The old index, beside the exported model, which the two formats share."""
    copy_index(exported, tmp_path / "old")
    shutil.copytree(FIXTURE / "index", tmp_path / "old", dirs_exist_ok=True)
    return tmp_path / "old"


def answers(index: Path) -> dict[str, Any]:
    """Return what is answered for every id, as JSON has it, without what the old version did not know."""
    with Index.open(index, lazy=True) as opened:
        citations = {id_: json.loads(json.dumps(asdict(opened.cite(id_)))) for id_ in ANSWERS}
    for citation in citations.values():
        del citation["source"]
        for place in filter(None, (citation["cited"], citation["now"])):
            assert place["passage"].pop("gaps") == []
            location = place["passage"]["location"]
            assert [location.pop(name) for name in ("page", "speaker", "time", "columns")] == [None, None, None, []]
    return citations


def test_the_fixture_holds_ids_of_every_status(old: Path) -> None:
    assert {answer["status"] for answer in ANSWERS.values()} == {"current", "moved", "changed", "removed"}
    assert len(list(OlderLedger(old, None).issued())) == len(ANSWERS)


def test_it_is_refused_with_one_line_and_left_as_it_is(old: Path) -> None:
    before = contents(old)

    for open_index in (Index.open, open_current):
        with pytest.raises(MismatchError) as error:
            open_index(old)
        assert str(error.value) == f"{REFUSAL}: run `sourceline rebuild-index`"
    assert contents(old) == before


def test_a_rebuild_replaces_it_and_every_id_resolves_as_before(
    old: Path, rebuild: Rebuild, caplog: pytest.LogCaptureFixture
) -> None:
    report = rebuild(DOCUMENTS, old)

    assert report.snapshot.startswith("00000004-")
    assert report.added == ("archive.txt", "budget.md", "minutes.txt")
    assert report.encoded == report.chunks  # what was encoded for the old format is of no use
    assert [record.getMessage() for record in caplog.records] == [f"building without the snapshot before: {REFUSAL}"]
    assert snapshot_names(old) == [report.snapshot] == [current_id(old)]
    assert read_manifest(old / "snapshots" / report.snapshot).format == FORMAT
    assert leftovers(old) == set()
    assert answers(old) == ANSWERS
    assert ledger_of(old).check() == len(ANSWERS)

    assert rebuild(DOCUMENTS, old).encoded == 0
    assert answers(old) == ANSWERS
