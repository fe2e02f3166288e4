from pathlib import Path

from tests.conftest import Rebuild
from tests.support.commands import Command


def test_exit_code_0_if_everything_is_fine(sourceline: Command, documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    outcome = sourceline("doctor", "--documents", documents, "--index", index)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert all(line.startswith("ok  ") for line in lines)
    assert f"ok  documents: 1 can be read in {documents}" in lines
    assert "ok  citations: 1 were issued" in lines
    assert "ok  changes: none since the snapshot" in lines
    assert "ok  reranker: reader" in lines


def test_the_reranker_that_is_set_is_the_one_examined(
    sourceline: Command, documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    outcome = sourceline("doctor", "--reranker", "none", "--documents", documents, "--index", index)
    assert "ok  reranker: none: questions are answered without reading" in outcome.out.splitlines()
    (index.parent / "empty").mkdir()
    outcome = sourceline("doctor", "--reranker", index.parent / "empty", "--documents", documents, "--index", index)
    assert outcome.code == 1
    assert f"BAD reranker: {index.parent / 'empty'} is no reranker: there is no config.json in it" in outcome.out


def test_problems_are_named_with_exit_code_1(sourceline: Command, documents: Path, index: Path) -> None:
    (documents / "\x1b[31m[red]a\n.txt").touch()
    outcome = sourceline("doctor", "--documents", documents, "--index", index)
    assert (outcome.code, outcome.err) == (1, "")
    assert [line for line in outcome.out.splitlines() if not line.startswith("ok  ")] == [
        f"BAD documents: 0 can be read in {documents}",
        r"BAD document \x1b[31m[red]a\n.txt: its name has control characters: rename it",
        f"BAD index: there is no index in {index} yet: run `sourceline rebuild-index`",
    ]


def test_documents_that_have_changed_are_told_with_what_to_do(
    sourceline: Command, documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    (documents / "b.txt").write_text("The tower was sold in June.\n")
    outcome = sourceline("doctor", "--reranker", "none", "--documents", documents, "--index", index)
    assert outcome.code == 0  # an index may be rebuilt later
    told = "1 added, 1 changed since the snapshot: run `sourceline rebuild-index` to take that into the index"
    assert f"ok  changes: {told}" in outcome.out.splitlines()
