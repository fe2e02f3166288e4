"""Documents that are written and removed over HTTP."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from sourceline.config import load_settings
from sourceline.errors import SettingsError
from sourceline.index.snapshot import build_lock
from sourceline.server.app import create_app
from sourceline.server.run import run
from sourceline.types import NO_RERANKER
from tests.conftest import Rebuild
from tests.support.api import assert_problem, serve, wait_until
from tests.support.index_folder import contents
from tests.support.server import listening
from tests.test_editing import HOSTILE

KEY = {"Authorization": "Bearer s3cret"}
BRIDGE, TOWER = b"The bridge opens on Monday.\n", b"The tower was sold in June.\n"


@contextmanager
def editable(documents: Path, index: Path, **settings: object) -> Iterator[TestClient]:
    allowed = {"allow_edits": True, "max_document_bytes": 1_000} | settings
    with serve(documents, index, api_key="s3cret", reranker=NO_RERANKER, **allowed) as client:
        client.headers.update(KEY)
        yield client


@pytest.fixture
def bridge(documents: Path, index: Path, rebuild: Rebuild) -> Path:
    """The folder of one document, indexed."""
    (documents / "a.txt").write_bytes(BRIDGE)
    rebuild(documents, index)
    return documents


@pytest.fixture
def client(bridge: Path, index: Path) -> Iterator[TestClient]:
    """A client that may write; rebuilds wait for another build all the time."""
    with build_lock(index), editable(bridge, index) as client:
        yield client


def served(client: TestClient) -> dict[str, Any]:
    answer = client.get("/v1/index").json()
    assert isinstance(answer, dict)
    return answer


def test_a_document_is_added_replaced_and_removed_and_the_index_follows(bridge: Path, index: Path) -> None:
    with editable(bridge, index) as client:
        added = client.put("/v1/documents/2026/b.md", content=TOWER)
        assert added.status_code == 202
        assert added.json()["document"] == "2026/b.md"
        assert added.json()["edit"] == "added"
        assert added.json()["rebuild"]["state"] == "running"
        # While that rebuild runs, another is to follow.
        replaced = client.put("/v1/documents/a.txt", content=BRIDGE.replace(b"Monday", b"Sunday"))
        assert replaced.json() == {"document": "a.txt", "edit": "replaced", "rebuild": {"state": "queued"}}
        assert contents(bridge) == {"2026/b.md": TOWER, "a.txt": b"The bridge opens on Sunday.\n"}

        wait_until(lambda: client.get("/v1/documents/a.txt").json()["text"] == "The bridge opens on Sunday.\n")
        assert client.get("/v1/documents/2026/b.md").json()["text"] == TOWER.decode()
        wait_until(lambda: served(client)["changes"]["total"] == 0 and served(client)["rebuild"]["state"] != "running")

        removed = client.delete("/v1/documents/2026/b.md")
        assert removed.status_code == 202
        assert removed.json()["edit"] == "removed"
        assert removed.json()["rebuild"]["state"] in ("running", "queued")  # as the one before has ended or not
        wait_until(lambda: client.get("/v1/documents/2026/b.md").status_code == 404)
    assert contents(bridge) == {"a.txt": b"The bridge opens on Sunday.\n"}


def test_documents_are_read_only_unless_a_setting_allows_edits(bridge: Path, index: Path) -> None:
    with editable(bridge, index, allow_edits=False) as client:
        for response in (
            client.put("/v1/documents/b.txt", content=TOWER * 100_000),
            client.delete("/v1/documents/a.txt"),
        ):
            assert "start the server with --allow-edits and an API key" in assert_problem(response, 403)["detail"]
    assert contents(bridge) == {"a.txt": BRIDGE}


def test_a_key_is_needed(bridge: Path, index: Path, client: TestClient) -> None:
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}):
        assert_problem(client.put("/v1/documents/b.txt", content=TOWER, headers=headers), 401)
        assert_problem(client.delete("/v1/documents/a.txt", headers=headers), 401)
    assert contents(bridge) == {"a.txt": BRIDGE}
    with pytest.raises(SettingsError, match="set SOURCELINE_API_KEY or SOURCELINE_API_KEYS as well"):
        run(load_settings(documents=bridge, index=index, allow_edits=True), lambda line: None)
    with serve(bridge, index, allow_edits=True, reranker=NO_RERANKER) as without_key:
        assert_problem(without_key.put("/v1/documents/b.txt", content=TOWER), 403)


def test_hostile_names_are_refused_and_not_repeated(bridge: Path, client: TestClient) -> None:
    # Dots are escaped as well: clients would take .. out of the path.
    paths = [quote(name, safe="").replace(".", "%2E") for name in HOSTILE if name]
    for path in [*paths, "a%00.txt", "%FF.txt", "%ED%A0%80.txt"]:
        for response in (
            client.put(f"/v1/documents/{path}", content=TOWER),
            client.delete(f"/v1/documents/{path}"),
        ):
            if "%0A" in path:  # no route has a line end in it
                assert_problem(response, 404)
                continue
            refused = assert_problem(response, 422)
            detail = refused["detail"]
            assert refused["errors"] == [{"location": "path.document", "message": detail}]
            assert detail.startswith(("a document's id ", "the format is not read", "the name questions.txt")), path
    assert contents(bridge) == {"a.txt": BRIDGE}
    assert sorted(path.name for path in bridge.parent.iterdir()) == ["documents", "index"]


def test_a_document_that_is_too_large_is_refused_whether_its_length_is_declared_or_not(
    bridge: Path, client: TestClient
) -> None:
    for body in (b"x" * 1_001, iter([b"x" * 600, b"x" * 401])):
        response = client.put("/v1/documents/a.txt", content=body)
        assert assert_problem(response, 413)["detail"] == "the document is larger than 1,000 bytes"
    assert contents(bridge) == {"a.txt": BRIDGE}
    assert client.put("/v1/documents/a.txt", content=b"x" * 1_000).status_code == 202
    assert client.put("/v1/documents/b.txt", content=iter([b"x" * 600, b"y" * 400])).status_code == 202
    assert contents(bridge) == {"a.txt": b"x" * 1_000, "b.txt": b"x" * 600 + b"y" * 400}


def test_an_empty_document_is_refused(bridge: Path, client: TestClient) -> None:
    for body in (b"", iter([b"", b""])):
        problem = assert_problem(client.put("/v1/documents/a.txt", content=body), 422)
        assert problem["detail"] == "the body is empty: to remove the document, send DELETE"
    assert contents(bridge) == {"a.txt": BRIDGE}


def test_a_packed_document_is_refused(bridge: Path, client: TestClient) -> None:
    for encoding, status in {"gzip": 415, "br": 415, "identity, gzip": 415, "identity": 202}.items():
        response = client.put("/v1/documents/b.txt", content=TOWER, headers={"content-encoding": encoding})
        assert response.status_code == status
        assert contents(bridge).get("b.txt") == (TOWER if status == 202 else None)


def test_other_bodies_are_no_longer_than_before(client: TestClient) -> None:
    assert_problem(client.post("/v1/ask", content=b" " * 70_000, headers={"content-type": "application/json"}), 413)
    assert_problem(client.request("DELETE", "/v1/documents/a.txt", content=b" " * 70_000), 413)
    assert_problem(client.put("/v1/ask", content=b" " * 70_000), 405)


def test_what_is_not_there_cannot_be_removed(bridge: Path, client: TestClient) -> None:
    for name in ("b.txt", "2026/a.txt"):
        assert_problem(client.delete(f"/v1/documents/{name}"), 404)
    assert contents(bridge) == {"a.txt": BRIDGE}


def test_links_are_not_followed(bridge: Path, client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (bridge / "out").symlink_to(tmp_path / "outside")
    assert_problem(client.put("/v1/documents/out/b.txt", content=TOWER), 422)
    assert contents(tmp_path / "outside") == {}


def test_a_folder_that_is_gone_is_told_and_the_server_goes_on(bridge: Path, client: TestClient) -> None:
    bridge.rename(bridge.with_name("elsewhere"))
    assert_problem(client.put("/v1/documents/b.txt", content=TOWER), 503)
    assert_problem(client.delete("/v1/documents/a.txt"), 503)
    assert client.get("/v1/documents/a.txt").json()["text"] == BRIDGE.decode()


@pytest.mark.enable_socket
def test_a_body_that_ends_too_early_leaves_nothing_behind(
    bridge: Path, index: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(documents=bridge, index=index, api_key="s3cret", allow_edits=True, reranker=NO_RERANKER)
    lines = [
        "PUT /v1/documents/a.txt HTTP/1.1",
        "Host: localhost",
        "Authorization: Bearer s3cret",
        "Content-Length: 99",
    ]
    with listening(create_app(settings)) as address:
        with socket.create_connection(address) as connection:
            connection.sendall("\r\n".join([*lines, "", "half"]).encode())
            wait_until(lambda: len(contents(bridge)) == 2)  # the new file, beside the old one
        wait_until(lambda: len(contents(bridge)) == 1)
    assert contents(bridge) == {"a.txt": BRIDGE}
    assert "unexpected" not in caplog.text
