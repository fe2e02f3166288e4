import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from sourceline.index.snapshot import build_lock
from sourceline.server.keys import KeyScope, new_key
from sourceline.types import NO_RERANKER
from tests.conftest import Rebuild
from tests.support.api import assert_problem, serve, wait_until
from tests.support.texts import FORMATS_READ


def state(client: TestClient) -> dict[str, Any]:
    status = client.get("/v1/index").json()["rebuild"]
    assert isinstance(status, dict)
    return status


def snapshot(client: TestClient) -> str:
    return str(client.get("/v1/index").json()["snapshot"]["id"])


def rebuilt(client: TestClient) -> dict[str, Any]:
    wait_until(lambda: state(client)["state"] != "running")
    return state(client)


def test_the_snapshot_that_is_served_is_described(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.md").write_text("# Bridge\n\nThe bridge opens on Monday. It is made of oak.\n")
    (documents / "empty.txt").write_text("\n")
    (documents / "scan.png").touch()
    report = rebuild(documents, index)
    with serve(documents, index) as client:
        served = client.get("/v1/index").json()
    created, tokens = served["snapshot"].pop("created"), served["snapshot"].pop("tokens")
    checked = datetime.fromisoformat(served["changes"].pop("checked"))
    assert served == {
        "snapshot": {
            "id": report.snapshot,
            "model": "sentence-transformers/all-MiniLM-L6-v2",
            "backend": "onnx",
            "documents": 1,
            "passages": 3,
            "rows": 2,
            "skipped": {"empty.txt": "there is no text in it"},
            "ignored": {"scan.png": "its format is not read"},
        },
        "changes": {"total": 0, "added": [], "changed": [], "removed": []},
        "reranker": "reader",
        "threshold": 0.5,
        "rebuild": {"state": "idle"},
        "questions": [],
        "allow_edits": False,
    }
    assert timedelta(0) <= datetime.now(UTC) - checked < timedelta(minutes=1)
    assert report.snapshot.endswith(created.replace("-", "").replace(":", "").replace("+0000", "Z"))
    assert tokens == 13


def changes(client: TestClient) -> dict[str, Any]:
    found = client.get("/v1/index").json()["changes"]
    assert isinstance(found, dict)
    return {name: value for name, value in found.items() if name != "checked"}


def test_what_has_changed_since_the_snapshot_is_named(documents: Path, index: Path, rebuild: Rebuild) -> None:
    for name in ("a", "b", "c"):
        (documents / f"{name}.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    (documents / "b.txt").unlink()
    (documents / "d.txt").write_text("New.\n")
    with serve(documents, index) as client:
        assert changes(client) == {"total": 3, "added": ["d.txt"], "changed": ["a.txt"], "removed": ["b.txt"]}
        documents.rename(documents.with_name("away"))
        wait_until(lambda: "error" in changes(client))
        error = f"no documents folder at {documents}: create it, or name another with --documents"
        assert changes(client) == {"error": error}
        documents.with_name("away").rename(documents)
        for number in range(150):
            (documents / f"new{number:03}.txt").write_text("New.\n")
        wait_until(lambda: changes(client).get("total") == 153)
        assert changes(client)["added"] == ["d.txt", *(f"new{number:03}.txt" for number in range(99))]
        assert (changes(client)["changed"], changes(client)["removed"]) == (["a.txt"], ["b.txt"])


def test_that_nothing_reads_is_said(client: TestClient) -> None:
    assert client.get("/v1/index").json()["reranker"] == "none"


def test_questions_beside_the_documents_are_suggested_as_they_are_now_and_are_no_document(
    documents: Path, index: Path, rebuild: Rebuild, caplog: pytest.LogCaptureFixture
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    (documents / "minutes").mkdir()
    (documents / "minutes" / "questions.txt").write_text("Who asked about the bridge?\n")
    file = documents / "questions.txt"
    file.write_text(
        "\ufeff# Worth asking\n\n  When does\tthe bridge open?\n" + "x" * 201 + "\nWho was there?\nWho was there?\n"
    )
    rebuild(documents, index)

    def suggested() -> list[str]:
        questions = client.get("/v1/index").json()["questions"]
        assert isinstance(questions, list)
        return questions

    with serve(documents, index) as client:
        assert [document["id"] for document in client.get("/v1/documents").json()["documents"]] == [
            "a.txt",
            "minutes/questions.txt",
        ]
        assert client.get("/v1/index").json()["snapshot"]["ignored"] == {
            "questions.txt": "questions that the page suggests"
        }
        assert suggested() == ["When does the bridge open?", "Who was there?"]
        file.write_text("".join(f"Question {number}?\n" for number in range(20)))
        assert suggested() == [f"Question {number}?" for number in range(12)]
        for data, reason in (
            (b"Who? \xff\n", "it is not UTF-8"),
            (b"Who?\n" * 20_000, "it is larger than 65,536 bytes"),
        ):
            file.write_bytes(data)
            assert (suggested(), suggested()) == ([], [])
            assert [record.getMessage() for record in caplog.records] == [
                f"no questions are suggested from {documents}/questions.txt: {reason}"
            ]
            caplog.clear()
        file.unlink()
        file.symlink_to("/etc/hostname")
        assert suggested() == []
        file.unlink()
        assert suggested() == []
        assert changes(client) == {"total": 0, "added": [], "changed": [], "removed": []}


def test_the_page_is_told_its_address_and_whether_documents_may_be_written(
    corpus: Path, corpus_index: Path, tmp_path: Path
) -> None:
    (reading, line), (managing, other) = new_key("r", [KeyScope.READ]), new_key("m", [KeyScope.READ, KeyScope.MANAGE])
    (tmp_path / "keys.toml").write_text(f"{line}\n{other}\n")
    told = []
    for allow_edits in (True, False):
        settings: dict[str, Any] = {
            "api_keys": tmp_path / "keys.toml",
            "allow_edits": allow_edits,
            "public_url": "https://a.org/",
        }
        with serve(corpus, corpus_index, reranker=NO_RERANKER, **settings) as client:
            for key in (reading, managing):
                shown = client.get("/v1/index", headers={"Authorization": f"Bearer {key}"}).json()
                told.append((shown["public_url"], shown["allow_edits"]))
    assert told == [("https://a.org", may) for may in (False, True, False, False)]


def test_a_rebuild_is_accepted_refused_while_it_runs_and_served_when_it_ends(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    (documents / "b.txt").write_text("The tower was sold in June.\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        before = snapshot(client)
        (documents / "a.txt").write_text("The bridge opens on Tuesday.\n")
        (documents / "b.txt").unlink()
        (documents / "c.txt").write_text("A lighthouse stands on the cliff.\n")
        (documents / "empty.txt").touch()
        accepted = client.post("/v1/index/rebuild")
        assert accepted.status_code == 202
        assert accepted.json().keys() == {"state", "started"}
        assert accepted.json()["state"] == "running"
        assert_problem(client.post("/v1/index/rebuild"), 409)
        assert client.get("/v1/ask", params={"question": "When does the bridge open?"}).status_code == 200
        ended = rebuilt(client)
        assert ended["state"] == "succeeded"
        assert ended["progress"] == {"done": 63, "total": 63}
        assert ended["started"] < ended["finished"]
        report = ended["report"]
        assert report | {"seconds": 0} == {
            "snapshot": report["snapshot"],
            "added": ["c.txt"],
            "changed": ["a.txt"],
            "unchanged": [],
            "removed": ["b.txt"],
            "skipped": {"empty.txt": "there is no text in it"},
            "ignored": {},
            "passages": 2,
            "chunks": 2,
            "encoded": 2,
            "seconds": 0,
            "warnings": [],
        }
        wait_until(lambda: snapshot(client) == report["snapshot"])
        assert snapshot(client) > before
        answer = client.get("/v1/ask", params={"question": "When does the bridge open?"}).json()
        assert answer["passages"][0]["text"] == "The bridge opens on Tuesday."
        assert answer["snapshot"] == report["snapshot"]
        assert client.post("/v1/index/rebuild").status_code == 202
        assert rebuilt(client)["report"]["unchanged"] == ["a.txt", "c.txt"]


def test_a_rebuild_that_fails_says_why_and_what_was_served_is_served(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        before = snapshot(client)
        (documents / "a.txt").unlink()
        assert client.post("/v1/index/rebuild").status_code == 202
        failed = rebuilt(client)
        assert (failed["state"], failed["error"]) == (
            "failed",
            f"no document in {documents} can be read: it is empty; these formats are read: {FORMATS_READ}",
        )
        assert "report" not in failed
        assert snapshot(client) == before
        answer = client.get("/v1/ask", params={"question": "When does the bridge open?"}).json()
        assert answer["passages"][0]["text"] == "The bridge opens on Monday."
        (documents / "a.txt").write_text("The bridge opens on Friday.\n")
        assert client.post("/v1/index/rebuild").status_code == 202
        assert rebuilt(client)["state"] == "succeeded"


def test_a_rebuild_is_refused_while_another_process_builds(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with serve(documents, index) as client, build_lock(index):
        assert_problem(client.post("/v1/index/rebuild"), 409)
        assert state(client) == {"state": "idle"}


def test_a_rebuild_whose_process_is_killed_has_failed_and_the_next_one_runs(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        client.post("/v1/index/rebuild")
        (builder,) = multiprocessing.active_children()
        builder.kill()
        failed = rebuilt(client)
        assert (failed["state"], failed["error"]) == ("failed", "the build's process ended before it was done")
        client.post("/v1/index/rebuild")
        assert rebuilt(client)["state"] == "succeeded"


def test_stopping_the_server_ends_a_rebuild_and_frees_the_lock(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    report = rebuild(documents, index)
    with serve(documents, index) as client:
        assert client.post("/v1/index/rebuild").status_code == 202
    with build_lock(index):
        assert (index / "CURRENT").read_text().strip() >= report.snapshot
