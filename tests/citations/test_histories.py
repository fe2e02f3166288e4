"""Citations over random histories, held against a model of the truth that knows nothing of how they are tracked."""

import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from sourceline.api import Index
from sourceline.errors import UnknownCitationError
from sourceline.types import Citation
from tests.support import quick_encoder

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from campaigns.corpus import CHANGES, Folder
from campaigns.truth import UNKNOWN, Answer, Truth, ids_of

# Calls before which a build can die: what it wrote is on the disk then, or takes its place.
STEPS = ("fsync", "replace", "rename", "unlink", "rmdir")
MOST_STEPS = 60  # a build takes some fewer
HISTORIES, LENGTH = 20, 50


class KilledError(BaseException):
    """Ends a build."""


class Histories(RuleBasedStateMachine):
    """A folder that is edited, and builds of it that end, or die, and snapshots that are damaged."""

    def __init__(self) -> None:
        super().__init__()
        self._work = Path(tempfile.mkdtemp(prefix="histories-"))
        self._index = self._work / "index"
        self._folder = Folder(self._work / "documents", random.Random(0))
        self._truth = Truth()

    def teardown(self) -> None:
        shutil.rmtree(self._work)

    @initialize()
    def build_first(self) -> None:
        self._folder.fill()
        self.build()

    @rule(change=st.sampled_from(CHANGES), seed=st.integers(0, 99))
    def edit(self, change: Callable[[Folder], None], seed: int) -> None:
        self._folder.source.seed(seed)
        change(self._folder)

    @rule()
    def build(self) -> None:
        self._folder.write()
        self._truth.attempt(self._folder.corpus)
        assert Index.build(self._folder.path, self._index).snapshot not in self._truth.published
        self._check()

    @rule(step=st.integers(0, MOST_STEPS))
    def build_and_die(self, step: int) -> None:
        self._folder.write()
        self._truth.attempt(self._folder.corpus)
        kept = self._work / "kept"
        with pytest.MonkeyPatch.context() as patch, suppress(KilledError):
            die_before(step, patch, lambda: copy(self._index, kept))
            Index.build(self._folder.path, self._index)
        if kept.exists():
            # Whatever it tidied up on its way out, a process that is killed does not.
            shutil.rmtree(self._index)
            kept.rename(self._index)
        self._check()

    @precondition(lambda self: len(self._truth.kept) > 1)
    @rule(seed=st.integers(0, 99))
    def damage(self, seed: int) -> None:
        newest = self._index / "snapshots" / self._truth.kept[-1]
        files = sorted(path for path in newest.rglob("*") if path.is_file() and path.stat().st_size)
        damaged = random.Random(seed).choice(files)
        content = bytearray(damaged.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
        self._truth.fall_back()
        self._check()

    def _check(self) -> None:
        truth = self._truth
        with Index.open(self._index, lazy=True) as index:
            documents = [index.document(info.id) for info in index.documents().documents]
            shown = {document.id: [(p.id, p.text) for p in document.passages] for document in documents}
            assert truth.serve(index.snapshot.id, shown) == []
            ids = [*truth.issued, *truth.unpublished]
            assert [line for id_ in ids if (line := truth.falsehood(id_, look_up(index, id_)))] == []


def look_up(index: Index, id_: str) -> Answer:
    """Return what a lookup says, in the words of the model."""
    try:
        citation = index.cite(id_, source=False)
    except UnknownCitationError:
        return Answer(UNKNOWN)
    return answer_of(citation)


def answer_of(citation: Citation) -> Answer:
    status, cited = citation.status.value, citation.cited.passage.text
    if citation.now is None:
        return Answer(status, cited)
    return Answer(status, cited, citation.now.passage.document_id, citation.now.passage.text)


def die_before(step: int, patch: pytest.MonkeyPatch, dying: Callable[[], None]) -> None:
    """Let what runs end before the n-th of the steps, once ``dying`` was called."""
    passed = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **options: Any) -> Any:
            nonlocal passed
            passed += 1
            if passed == step + 1:
                dying()
            if passed > step:
                raise KilledError
            return call(*arguments, **options)

        return count

    for name in STEPS:
        patch.setattr(os, name, counted(getattr(os, name)))


def copy(index: Path, target: Path) -> None:
    """Copy an index folder as it stands; what is removed meanwhile is not there any more."""

    def copy_if_there(source: str, destination: str) -> None:
        if Path(source).exists():
            shutil.copyfile(source, destination)

    shutil.copytree(index, target, copy_function=copy_if_there)


def test_every_citation_says_what_is_true_after_edits_and_deaths_and_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_encoder.build_with_it(monkeypatch)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power fails here
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=LENGTH,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_model_computes_the_ids_that_the_index_gives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quick_encoder.build_with_it(monkeypatch)
    folder = Folder(tmp_path / "documents", random.Random(1))
    folder.fill()
    Index.build(folder.path, tmp_path / "index")
    with Index.open(tmp_path / "index", lazy=True) as index:
        documents = [index.document(info.id) for info in index.documents().documents]
    assert {p.id: (p.document_id, p.text) for document in documents for p in document.passages} == {
        id_: (cited.document, cited.text) for id_, cited in ids_of(folder.corpus).items()
    }
