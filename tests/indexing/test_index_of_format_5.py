"""An index of the version before, in format 5: refused with one line, rebuilt without losing a citation."""

import errno
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sourceline.api import Index
from sourceline.citations.ledger import FILE as LEDGER
from sourceline.citations.older_ledger import FILE as OLD_LEDGER
from sourceline.errors import BuildError, CorpusError, MismatchError, ModelError
from sourceline.ids import citation_id, exact_citation_id
from sourceline.index.snapshot import CURRENT, SNAPSHOTS, current_id, open_current
from sourceline.indexing import builder
from sourceline.indexing.builder import build
from sourceline.types import DEFAULT_MODEL, Citation, PassageInContext
from tests.conftest import Rebuild
from tests.support.index_folder import contents, copy_index, ledger_lines, ledger_of, leftovers, put, snapshot_names
from tests.support.killed_builds import killed_builds, published_after, sample, steps_of
from tests.support.torture import sizes

FIXTURE = Path(__file__).parent / "index_of_format_5"
OLD_DOCUMENTS = FIXTURE / "documents"
# What the version before answered for every id that it had issued.
ANSWERS: dict[str, dict[str, Any]] = json.loads((FIXTURE / "citations.json").read_text("utf-8"))
OLD_SNAPSHOT = "00000003-20261126T151202Z"
WRITERS = ("passage_store", "bm25", "multivector", "dense", "ranking_head", "_format_impl", "swigfaiss", "cache")
REFUSAL = f"snapshot {OLD_SNAPSHOT} is in the format of an older version: run `sourceline rebuild-index`"


@pytest.fixture
def old(tmp_path: Path, exported: Path) -> Path:
    """The index of the version before, with a stand-in for the model that it exported, and with the new one."""
    return copy_old_index(exported, tmp_path / "old")


def copy_old_index(exported: Path, target: Path) -> Path:
    copy_index(exported, target)
    shutil.copytree(FIXTURE / "index", target, dirs_exist_ok=True)
    old_model = target / "encoders" / old_fingerprint()
    old_model.mkdir()
    (old_model / "encoder.json").write_text("what the version before says of its model")
    return target


def old_fingerprint() -> str:
    manifest = json.loads((FIXTURE / "index/generations" / OLD_SNAPSHOT / "manifest.json").read_text())
    return str(manifest["fingerprint"])


def rows(index: Path, query: str) -> list[tuple[object, ...]]:
    return rows_of(index / OLD_LEDGER, query)


def rows_of(ledger: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute(query).fetchall()


def described(cited: PassageInContext | None) -> dict[str, Any] | None:
    """Return a passage in the words of the version before."""
    if cited is None:
        return None
    passage, location = cited.passage, cited.passage.location
    return {
        "id": passage.id,
        "document": passage.document_id,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        "heading": passage.heading,
        "section": location.section,
        "title": cited.title,
        "line": location.line,
        "paragraph": location.paragraph,
        "before": cited.prefix,
        "after": cited.suffix,
    }


def answer_of(citation: Citation) -> dict[str, Any]:
    """Return a citation in the words of the version before."""
    return {
        "status": citation.status.value,
        "cited": described(citation.cited),
        "now": described(citation.now),
        "similarity": citation.similarity,
    }


def without_what_was_begun(index: Path) -> dict[str, bytes]:
    """Return the files of an index, but for what an interrupted build leaves: encoded chunks and a new ledger."""
    begun = ("cache/", LEDGER, f"{OLD_LEDGER}-")
    return {path: data for path, data in contents(index).items() if not path.startswith(begun)}


# A sentence with curly quotation marks: its id depended on them, and it has another one now.
QUOTED = "Schools receive “four million” of it."


def require_that_every_id_resolves_as_before(index: Path) -> None:
    expected = json.loads(json.dumps(ANSWERS))
    for place in ("cited", "now"):
        expected[exact_citation_id("budget.md", QUOTED, 0)][place]["id"] = citation_id("budget.md", QUOTED, 0)
    with Index.open(index, lazy=True) as opened:
        assert {id_: answer_of(opened.cite(id_)) for id_ in ANSWERS} == expected


def test_the_fixture_holds_ids_of_every_status_and_every_kind_of_fate(old: Path) -> None:
    assert sorted(ANSWERS) == [id_ for (id_,) in rows(old, "SELECT id FROM issued ORDER BY id")]
    assert {answer["status"] for answer in ANSWERS.values()} == {"current", "moved", "changed", "removed"}
    assert {status for (status,) in rows(old, "SELECT status FROM fates")} == {"moved", "changed", "removed"}
    assert {answer["cited"]["heading"] for answer in ANSWERS.values()} == {True, False}
    # A fate that no longer holds, as the sentence came back; and one whose successor was changed once more.
    fates = {str(id_): successor for id_, successor in rows(old, "SELECT citation, successor FROM fates")}
    assert any(ANSWERS[id_]["status"] == "current" for id_ in fates)
    assert any(successor in fates for successor in fates.values())


def test_an_old_index_is_refused_with_one_line_that_says_how_to_mend_it(old: Path) -> None:
    before = contents(old)

    for open_index in (Index.open, open_current):
        with pytest.raises(MismatchError) as error:
            open_index(old)
        assert str(error.value) == REFUSAL
    assert contents(old) == before
    assert Index.exists(old)


def test_a_rebuild_replaces_an_old_index(old: Path, rebuild: Rebuild, caplog: pytest.LogCaptureFixture) -> None:
    report = rebuild(OLD_DOCUMENTS, old)

    assert report.snapshot.startswith("00000004-")
    assert report.added == ("archive/library.md", "archive/trams.txt", "budget.md", "minutes/january.txt")
    assert (report.changed, report.unchanged, report.removed, report.skipped) == ((), (), (), {})
    assert snapshot_names(old) == [report.snapshot] == [current_id(old)]
    assert not (old / "generations").exists()
    assert not (old / "encoders" / old_fingerprint()).exists()
    assert leftovers(old) == set()
    reason = REFUSAL.removesuffix(": run `sourceline rebuild-index`")
    assert [record.getMessage() for record in caplog.records] == [f"building without the snapshot before: {reason}"]
    with Index.open(old) as index:
        answer = index.ask("When does the bridge open?", 1)
    assert answer.hits[0].passage.text == "The bridge over the river opens on Sunday at ten."


def test_the_model_of_an_old_index_is_not_exported_over(exported: Path) -> None:
    (fingerprint,) = [path.name for path in (exported / "encoders").iterdir()]

    assert fingerprint != old_fingerprint()


def test_after_a_rebuild_every_id_resolves_as_before(old: Path, rebuild: Rebuild) -> None:
    for _ in range(2):
        rebuild(OLD_DOCUMENTS, old)
        require_that_every_id_resolves_as_before(old)


def test_a_rebuild_takes_every_row_of_the_old_ledger(old: Path, rebuild: Rebuild) -> None:
    issued = rows(old, "SELECT id, document, text, before, after FROM issued ORDER BY id")
    fates = rows(old, "SELECT citation, status, successor FROM fates ORDER BY number")

    rebuild(OLD_DOCUMENTS, old)

    lines = ledger_lines(old)
    kept = [(b["issued"], b["document"], b["text"], b["prefix"], b["suffix"]) for b in lines if "issued" in b]
    assert sorted(row for row in kept if row[0] != citation_id("budget.md", QUOTED, 0)) == issued
    *taken, renamed = [(body["gone"], body["status"], body["successor"]) for body in lines if "gone" in body]
    assert taken == fates
    assert renamed == (exact_citation_id("budget.md", QUOTED, 0), "current", citation_id("budget.md", QUOTED, 0))
    assert ledger_of(old).check() == len(ANSWERS) + 1
    assert not (old / OLD_LEDGER).exists()
    assert rows_of(old / f"{OLD_LEDGER}.old", "SELECT id FROM issued ORDER BY id") == [(id_,) for id_, *_ in issued]


def test_documents_edited_before_the_rebuild_leave_their_citations_as_they_were_cited(
    old: Path, documents: Path, rebuild: Rebuild
) -> None:
    shutil.copytree(OLD_DOCUMENTS, documents, dirs_exist_ok=True)
    budget, minutes = documents / "budget.md", documents / "minutes" / "january.txt"
    budget.write_text(budget.read_text().replace("eight million", "seven million"))
    (documents / "archive").rename(documents / "shelf")
    rebuild(documents, old)

    with Index.open(old, lazy=True) as index:
        citations = {id_: index.cite(id_) for id_ in ANSWERS}
    assert {id_: c.cited.passage.text for id_, c in citations.items()} == {
        id_: answer["cited"]["text"] for id_, answer in ANSWERS.items()
    }
    edited = citations[citation_id("budget.md", "The council expects taxes of eight million this year.", 0)]
    assert edited.status == "changed"  # as far as the ledger knows the old text
    assert edited.now is not None
    assert edited.now.passage.text == "The council expects taxes of seven million this year."
    moved = citations[citation_id("archive/library.md", "It closes early in summer.", 0)]
    assert moved.status == "moved"
    assert moved.now is not None
    assert moved.now.passage.document_id == "shelf/library.md"
    assert moved.now == citations[citation_id("notes.md", "It closes early in summer.", 0)].now

    # From the second build on, edits are followed as ever, also from the oldest ids.
    minutes.write_text(minutes.read_text().replace("on Sunday at ten", "on Sunday at eleven"))
    rebuild(documents, old)
    with Index.open(old, lazy=True) as index:
        for opens in ("on Monday at nine", "on Sunday at nine", "on Sunday at ten"):
            citation = index.cite(citation_id("minutes/january.txt", f"The bridge over the river opens {opens}.", 0))
            assert citation.status == "changed"
            assert citation.now is not None
            assert citation.now.passage.text == "The bridge over the river opens on Sunday at eleven."


class StopError(Exception):
    """Stops a build."""


def fail(*_: object) -> None:
    raise StopError


def disk_is_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("target", "name", "failure", "error"),
    [
        (builder, "scan_folder", fail, StopError),
        (builder, "encode_chunk", fail, StopError),
        (builder, "check_snapshot", fail, StopError),
        (builder, "record_citations", fail, StopError),
        (os, "fsync", disk_is_full, BuildError),
    ],
)
def test_a_build_that_fails_leaves_an_old_index_as_it_was(
    old: Path,
    rebuild: Rebuild,
    monkeypatch: pytest.MonkeyPatch,
    target: object,
    name: str,
    failure: Callable[..., None],
    error: type[Exception],
) -> None:
    before = contents(old)

    with monkeypatch.context() as patched:
        patched.setattr(target, name, failure)
        with pytest.raises(error):
            rebuild(OLD_DOCUMENTS, old)

    assert without_what_was_begun(old) == before
    assert snapshot_names(old) == []
    with pytest.raises(MismatchError, match="older version"):
        open_current(old)
    rebuild(OLD_DOCUMENTS, old)
    require_that_every_id_resolves_as_before(old)


def test_a_build_without_documents_or_model_leaves_an_old_index_as_it_was(
    old: Path, documents: Path, rebuild: Rebuild
) -> None:
    before = contents(old)

    with pytest.raises(CorpusError):
        rebuild(documents, old)
    put(documents, {"a.txt": "It rains.\n"})
    with pytest.raises(ModelError):
        build(documents, old, str(documents))
    assert without_what_was_begun(old) == before


def test_a_build_that_cannot_publish_leaves_an_old_index_beside_the_ledger_that_it_began(
    old: Path, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(old)
    replace = Path.replace

    def refuse_current(path: Path, target: Path) -> Path:
        if target.name == CURRENT:
            disk_is_full()
        return replace(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refuse_current)
        with pytest.raises(BuildError, match="No space left on device"):
            rebuild(OLD_DOCUMENTS, old)

    assert without_what_was_begun(old) == before
    assert (old / LEDGER).exists()
    assert current_id(old) == OLD_SNAPSHOT
    rebuild(OLD_DOCUMENTS, old)
    require_that_every_id_resolves_as_before(old)


@sizes("every", 4, 1)
def test_a_rebuild_killed_before_any_step_leaves_an_old_index_or_the_new_snapshot(
    exported: Path, tmp_path: Path, every: int
) -> None:
    steps = steps_of(OLD_DOCUMENTS, copy_old_index(exported, tmp_path / "whole"))
    # How the others write does not depend on what was there before, and other tests kill builds in them.
    numbers = sample(steps, every, but=WRITERS)
    published = published_after(steps)

    def kill_before(step: int) -> None:
        index = copy_old_index(exported, tmp_path / f"killed-{step}")
        before = contents(index)
        assert build_killed(OLD_DOCUMENTS, index, step) == -signal.SIGKILL
        if step <= published:
            assert current_id(index) == OLD_SNAPSHOT
            after = contents(index)
            assert {path: after[path] for path in before} == before, steps[step]
            added = {path.split("/")[0] for path in after.keys() - before.keys()}
            assert added <= {"cache", SNAPSHOTS, LEDGER, f"{OLD_LEDGER}-wal", f"{OLD_LEDGER}-shm", ".CURRENT.new"}
        else:
            require_that_every_id_resolves_as_before(index)
        build(OLD_DOCUMENTS, index, DEFAULT_MODEL)
        require_that_every_id_resolves_as_before(index)
        assert leftovers(index) == set()
        assert not (index / "generations").exists()

    with killed_builds() as build_killed, ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(kill_before, numbers):
            pass
