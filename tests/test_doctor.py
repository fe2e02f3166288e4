import shutil
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import pytest

from sourceline.doctor import examine
from sourceline.index.snapshot import SNAPSHOTS
from sourceline.types import DEFAULT_MODEL, DEFAULT_RERANKER, NO_RERANKER, Backend, Finding
from tests.conftest import Rebuild


def examined(
    documents: Path, index: Path, model: str = DEFAULT_MODEL, reranker: str = DEFAULT_RERANKER
) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine(documents, index, model, Backend.ONNX, reranker)}


def problems(findings: dict[str, Finding]) -> dict[str, str]:
    return {finding.subject: finding.detail for finding in findings.values() if not finding.ok}


@pytest.fixture
def snapshot(documents: Path, index: Path, rebuild: Rebuild) -> str:
    (documents / "a.txt").write_text("The bridge opens on Monday. It is made of oak.\n")
    return rebuild(documents, index).snapshot


def test_a_healthy_index_has_no_problems(documents: Path, index: Path, snapshot: str) -> None:
    findings = examined(documents, index)
    assert list(findings) == [
        "installation",
        "model",
        "reranker",
        "documents",
        "index",
        "changes",
        "encoder",
        "citations",
    ]
    assert problems(findings) == {}
    assert findings["documents"].detail == f"1 can be read in {documents}"
    assert findings["index"].detail == f"snapshot {snapshot}, 1 document, 2 passages"
    assert findings["encoder"].detail == "onnx"
    assert findings["reranker"].detail == "reader"
    assert findings["citations"].detail == "2 were issued"
    assert findings["model"].detail.startswith(f"{DEFAULT_MODEL} in ")
    for package in ("sourceline 0.1.0", "Python 3.", "faiss-cpu 1.", "torch 2."):
        assert package in findings["installation"].detail


def test_without_the_extra_only_what_needs_it_is_missing(
    documents: Path, index: Path, snapshot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sourceline.doctor.find_spec", lambda _: None)
    assert examined(documents, index)["model"].detail.startswith(f"{DEFAULT_MODEL} in ")
    findings = {finding.subject: finding for finding in examine(documents, index, DEFAULT_MODEL, Backend.TORCH, "none")}
    assert findings["model"].detail == (
        f"{DEFAULT_MODEL} was not looked for: to build an index with it (torch), pip install 'sourceline[models]'"
    )


def test_before_the_first_build_it_says_what_to_run(documents: Path, index: Path) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    message = f"there is no index in {index} yet: run `sourceline rebuild-index`"
    assert problems(examined(documents, index)) == {"index": message}


def test_documents_that_are_missing_or_cannot_be_read_are_named(documents: Path, index: Path, snapshot: str) -> None:
    (documents / "b.txt").write_bytes(b"\xff")
    assert problems(examined(documents, index)) == {
        "document b.txt": "it is not UTF-8: byte 0 is 0xff; save it as UTF-8",
    }
    (documents / "a.txt").unlink()
    (documents / "b.txt").unlink()
    assert problems(examined(documents, index)) == {"documents": f"0 can be read in {documents}"}
    documents.rmdir()
    message = f"no documents folder at {documents}: create it, or name another with --documents"
    assert problems(examined(documents, index)) == {"documents": message}


def test_files_that_are_not_read_are_named_with_the_reason(documents: Path, index: Path, snapshot: str) -> None:
    (documents / "scan.png").write_bytes(b"\x89PNG")
    (documents / ".hidden").mkdir()
    findings = examined(documents, index)
    assert problems(findings) == {}
    assert findings["not read scan.png"].detail == "its format is not read"
    assert findings["not read .hidden/"].detail == "hidden folders are not read"


def test_an_index_of_another_model(documents: Path, index: Path, snapshot: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    findings = examined(documents, index, str(tmp_path / "model"))
    assert problems(findings) == {
        "model": f"{tmp_path / 'model'} has no .safetensors weights; pickled weights are not loaded",
        "index": f"built with {DEFAULT_MODEL}, not {tmp_path / 'model'}: run `sourceline rebuild-index`",
    }


def test_a_damaged_index_is_reported_and_left_as_it_is(documents: Path, index: Path, snapshot: str) -> None:
    file = index / SNAPSHOTS / snapshot / "passages.sqlite"
    file.write_bytes(file.read_bytes()[:-1])
    before = {path: path.stat().st_mtime_ns for path in index.rglob("*")}
    message = f"snapshot {snapshot} is damaged: {file.name} is not as it was written: run `sourceline rebuild-index`"
    assert problems(examined(documents, index)) == {"index": message}
    assert {path: path.stat().st_mtime_ns for path in index.rglob("*")} == before


def test_a_damaged_encoder_or_record_of_citations(documents: Path, index: Path, snapshot: str) -> None:
    (index / "ledger.jsonl").write_bytes(b"this is no database, " * 500)
    for file in (index / "encoders").glob("*/*.onnx"):
        file.unlink()
    found_problems = problems(examined(documents, index))
    assert set(found_problems) == {"encoder", "citations"}
    assert str(index / "ledger.jsonl") in found_problems["citations"]
    assert "sourceline rebuild-index" in found_problems["encoder"]


def test_a_damaged_reader_is_reported_and_nothing_else(
    documents: Path, index: Path, snapshot: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = Path(str(resources.files("sourceline.encoders") / "reader"))
    folder = tmp_path / "package" / "reader"
    shutil.copytree(packaged, folder)
    copied = SimpleNamespace(files=lambda _: folder.parent)
    monkeypatch.setattr("sourceline.encoders.reranker.resources", copied)  # and no other module's
    assert problems(examined(documents, index)) == {}
    (folder / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes()[:-1])
    message = f"the reader in {folder} is missing or damaged: reinstall Sourceline"
    assert problems(examined(documents, index)) == {"reranker": message}
    shutil.rmtree(folder)
    assert problems(examined(documents, index)) == {"reranker": message}
    findings = examined(documents, index, reranker=NO_RERANKER)
    assert problems(findings) == {}
    assert findings["reranker"].detail == "none: questions are answered without reading"


def test_a_reranker_that_is_no_model_is_reported(documents: Path, index: Path, snapshot: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert problems(examined(documents, index, reranker=str(tmp_path / "model"))) == {
        "reranker": f"{tmp_path / 'model'} is no reranker: there is no config.json in it; "
        "the one that comes with Sourceline is called 'reader'"
    }


def test_nothing_is_changed(documents: Path, index: Path, snapshot: str) -> None:
    before = {path: path.read_bytes() for path in index.rglob("*") if path.is_file()}
    examined(documents, index)
    assert {path: path.read_bytes() for path in index.rglob("*") if path.is_file()} == before


def test_a_deep_check_reads_everything_and_changes_nothing(documents: Path, index: Path, snapshot: str) -> None:
    before = {path: path.read_bytes() for path in index.rglob("*") if path.is_file()}
    findings = {f.subject: f for f in examine(documents, index, DEFAULT_MODEL, Backend.ONNX, NO_RERANKER, deep=True)}
    assert list(findings)[-5:] == ["search", "documents of the index", "passages", "issued", f"files of {snapshot}"]
    assert problems(findings) == {}
    assert findings["issued"].detail == "2 passages are in the ledger with the same text"
    assert {path: path.read_bytes() for path in index.rglob("*") if path.is_file()} == before

    file = index / SNAPSHOTS / snapshot / "passages.sqlite"
    file.write_bytes(file.read_bytes()[:-1])
    findings = {f.subject: f for f in examine(documents, index, DEFAULT_MODEL, Backend.ONNX, NO_RERANKER, deep=True)}
    message = f"snapshot {snapshot} is damaged: {file.name} is not as it was written: run `sourceline rebuild-index`"
    assert {"index", f"files of {snapshot}", f"file snapshots/{snapshot}/{file.name}"} == problems(findings).keys()
    assert findings[f"file snapshots/{snapshot}/{file.name}"].detail == message
    assert findings[f"files of {snapshot}"].detail.startswith("1 damaged of ")
