"""What the clients do when a server refuses, is busy, or is none. What they return is in ``tests/contract``."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

import sourceline.client
from sourceline import __version__
from sourceline.client import Client, EditedDocument, Rebuild
from sourceline.config import load_settings
from sourceline.errors import BuildRunningError, EditError, QuestionError, ServerError, UnknownDocumentError
from sourceline.index.snapshot import build_lock
from sourceline.server.app import create_app
from sourceline.server.errors import problem
from sourceline.server.models import FieldProblem
from sourceline.types import NO_RERANKER, Edit, RebuildState
from tests.conftest import Rebuild as RebuildIndex
from tests.support.api import wait_until
from tests.support.clients import BOTH, Kind, Scripted, opened
from tests.support.server import listening, running

pytestmark = pytest.mark.enable_socket

both = pytest.mark.parametrize("kind", BOTH)
CHECKED = JSONResponse({"stands": True, "quotes": [], "snapshot": "1", "took_ms": 1})


def busy(seconds: str = "0") -> Response:
    return problem(503, "the server is busy: try again in a moment", {"Retry-After": seconds})


@both
def test_what_only_reads_is_sent_again_after_as_long_as_the_server_says(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(sourceline.client, "time", SimpleNamespace(sleep=waits.append))
    monkeypatch.setattr(sourceline.client, "anyio", SimpleNamespace(sleep=wait))
    server = Scripted(busy("7"), busy("0"), CHECKED)
    with server.served() as url, opened(kind, url) as client:
        assert client.verify("Hello.").stands
    first, second = waits
    assert 7 <= first <= 7 * (1 + sourceline.client.JITTER)
    assert second == 0
    assert server.asked == [("POST", "/v1/verify")] * 3


@both
def test_over_its_limit_a_key_waits_and_every_request_is_sent_again(kind: Kind) -> None:
    limited = problem(429, "this key may send 60 requests a minute: try again in 0 s", {"Retry-After": "0"})
    edit = JSONResponse({"document": "a.txt", "edit": "removed", "rebuild": {"state": "queued"}}, 202)
    server = Scripted(limited, CHECKED, limited, edit, limited)
    with server.served() as url, opened(kind, url, retries=1) as client:
        assert client.verify("Hello.").stands
        assert client.delete_document("a.txt") == EditedDocument("a.txt", Edit.REMOVED, Rebuild(RebuildState.QUEUED))
        with pytest.raises(ServerError, match=r"^this key may send 60 requests a minute") as raised:
            client.rebuild()
        assert (raised.value.status, raised.value.retry_after) == (429, 0)
    assert [path for _, path in server.asked] == [
        *["/v1/verify"] * 2,
        *["/v1/documents/a.txt"] * 2,
        *["/v1/index/rebuild"] * 2,
    ]


@both
def test_a_server_that_stays_busy_is_given_up(kind: Kind) -> None:
    server = Scripted(busy())
    with server.served() as url, opened(kind, url, retries=2) as client:
        with pytest.raises(ServerError, match=r"^the server is busy: try again in a moment$") as raised:
            client.cite("aaaaaaaaaaaaaaaa")
        assert (raised.value.status, raised.value.retry_after) == (503, 0)
    assert len(server.asked) == 3


@both
@pytest.mark.parametrize("seconds", ["11", "999999999"])
def test_nobody_waits_for_longer_than_the_bound(kind: Kind, seconds: str) -> None:
    server = Scripted(busy(seconds))
    with server.served() as url, opened(kind, url, max_wait=10) as client, pytest.raises(ServerError) as raised:
        client.verify("Hello.")
    assert raised.value.retry_after == int(seconds)
    assert len(server.asked) == 1


@both
def test_a_rebuild_is_never_started_twice_and_a_document_never_removed_twice(kind: Kind) -> None:
    server = Scripted(busy())
    with server.served() as url, opened(kind, url) as client:
        with pytest.raises(ServerError):
            client.rebuild()
        with pytest.raises(ServerError):
            client.delete_document("a.txt")
    assert server.asked == [("POST", "/v1/index/rebuild"), ("DELETE", "/v1/documents/a.txt")]


@contextmanager
def hanging_up(answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one request by hanging up, and the others with an answer; yield the address and what was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(65536))
                    if len(asked) > 1:
                        connection.sendall(answers)

        thread = threading.Thread(target=serve)
        thread.start()
        yield "http://{}:{}".format(*listener.getsockname()), asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@both
def test_a_connection_that_breaks_is_made_anew_for_what_only_reads(kind: Kind) -> None:
    body = bytes(CHECKED.body)
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with hanging_up(answer) as (url, asked), opened(kind, url) as client:
        assert client.verify("Hello.").stands
        assert len(asked) == 2
    with hanging_up(answer) as (url, asked), opened(kind, url) as client:
        with pytest.raises(ServerError, match=f"^the server at {url} does not answer: "):
            client.rebuild()
        assert len(asked) == 1


@both
def test_where_nobody_listens_is_said_at_once(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = "http://{}:{}".format(*listener.getsockname())
    with (
        opened(kind, url) as client,
        pytest.raises(ServerError, match=f"^the server at {url} does not answer: ") as raised,
    ):
        client.index()
    assert raised.value.status is None


@both
def test_an_answer_that_does_not_come_in_time_is_not_waited_for(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = "http://{}:{}".format(*listener.getsockname())
        with opened(kind, url, timeout=0.05) as client, pytest.raises(ServerError, match="does not answer"):
            client.index()


@both
@pytest.mark.parametrize(
    "answer",
    [
        HTMLResponse("<h1>It works!</h1>"),
        HTMLResponse("<h1>Not found</h1>", 404),
        JSONResponse({"detail": "Not Found"}, 404),
        JSONResponse({"status": "ok"}),
        JSONResponse(["a"]),
        RedirectResponse("https://example.org/"),
        Response("{", media_type="application/problem+json", status_code=404),
        Response("[]", media_type="application/problem+json", status_code=500),
    ],
)
def test_what_is_no_sourceline_server_is_not_taken_for_one(kind: Kind, answer: Response) -> None:
    said = r"/v1/citations/a answered \d+, and not as a Sourceline server of this version does$"
    with Scripted(answer).served() as url, opened(kind, url) as client, pytest.raises(ServerError, match=said):
        client.cite("a")


@both
def test_problems_become_the_errors_that_an_index_raises(kind: Kind) -> None:
    def raised_for(status: int, call: str, *arguments: Any, location: str = "") -> Exception:
        fields = [FieldProblem(location=location, message="it is wrong")] if location else None
        server = Scripted(problem(status, "it is so", fields=fields))
        with server.served() as url, opened(kind, url) as client, pytest.raises(Exception, match="it is") as raised:
            getattr(client, call)(*arguments)
        return raised.value

    running = raised_for(409, "rebuild")
    assert (type(running), str(running)) == (BuildRunningError, "it is so")
    question = raised_for(422, "ask", "Who?", location="body.question")
    assert (type(question), str(question)) == (QuestionError, "it is wrong")
    second = raised_for(422, "ask_many", ["Who?", ""], location="body.questions.1")
    assert (type(second), str(second)) == (QuestionError, "questions.1: it is wrong")
    limit = raised_for(422, "documents", 0, location="query.limit")
    assert isinstance(limit, ServerError)
    assert (str(limit), limit.status) == ("it is so; query.limit: it is wrong", 422)
    assert limit.fields == (("query.limit", "it is wrong"),)
    refused = raised_for(401, "index")
    assert isinstance(refused, ServerError)
    assert (str(refused), refused.status, refused.fields) == ("it is so", 401, ())


@both
def test_the_key_is_sent_with_every_request_and_below_a_path(kind: Kind) -> None:
    server = Scripted(CHECKED)
    with server.served() as url, opened(kind, url + "/minutes/", api_key="s3cret") as client:
        client.verify("Hello.")
    assert server.asked == [("POST", "/minutes/v1/verify")]
    (headers,) = server.headers
    assert headers["authorization"] == "Bearer s3cret"
    assert headers["user-agent"] == f"sourceline/{__version__}"


def test_a_rebuild_is_started_followed_and_refused_while_it_runs(
    documents: Path, index: Path, rebuild: RebuildIndex
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    (documents / "b.txt").write_text("The tower was sold in June.\n")
    with running(documents, index) as server, Client(server.url) as client:
        wait_until(lambda: client.index().change_count == 1)
        served = client.index()
        assert served.changes is not None
        assert (served.changes.added, served.rebuild.state) == (("b.txt",), RebuildState.IDLE)
        started = client.rebuild()
        assert started.state is RebuildState.RUNNING
        with pytest.raises(BuildRunningError):
            client.rebuild()
        wait_until(lambda: client.index().rebuild.state is not RebuildState.RUNNING)
        ended = client.index().rebuild
        assert (ended.state, ended.error, ended.started) == (RebuildState.SUCCEEDED, None, started.started)
        assert ended.report is not None
        assert (ended.report.added, ended.report.unchanged, ended.report.skipped) == (("b.txt",), ("a.txt",), {})
        assert ended.finished is not None
        published = ended.report.snapshot
        wait_until(lambda: client.index().snapshot.id == published)
        assert client.ask("What was sold?", 1).hits[0].passage.text == "The tower was sold in June."


@both
def test_documents_are_written_and_removed(kind: Kind, documents: Path, index: Path, rebuild: RebuildIndex) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    settings = load_settings(
        documents=documents,
        index=index,
        reranker=NO_RERANKER,
        api_key="s3cret",
        allow_edits=True,
        max_document_bytes=99,
    )
    name = "2026/Año – [Zürich] 100%?.md"
    with (
        build_lock(index),  # the rebuilds that follow wait
        listening(create_app(settings)) as (host, port),
        opened(kind, f"http://{host}:{port}", api_key="s3cret") as client,
    ):
        added = client.put_document(name, "The café closes in May.\n".encode())
        assert (added.id, added.edit) == (name, Edit.ADDED)
        assert added.rebuild.state in (RebuildState.RUNNING, RebuildState.QUEUED)
        assert (documents / name).read_text("utf-8") == "The café closes in May.\n"
        assert client.put_document("a.txt", b"It rains.\n").edit is Edit.REPLACED
        assert (documents / "a.txt").read_bytes() == b"It rains.\n"
        assert client.delete_document(name) == replace(added, edit=Edit.REMOVED, rebuild=Rebuild(RebuildState.QUEUED))
        assert not (documents / name).exists()
        with pytest.raises(UnknownDocumentError):
            client.delete_document(name)
        for id_ in ("../a.txt", ".hidden.txt", "a.exe", ""):
            with pytest.raises(EditError, match=r"^(a document's id is a path|the format is not read)"):
                client.put_document(id_, b"It rains.")
        for data, status in ((b"", 422), (b"x" * 100, 413)):
            with pytest.raises(ServerError) as raised:
                client.put_document("a.txt", data)
            assert raised.value.status == status
    assert (documents / "a.txt").read_bytes() == b"It rains.\n"


def modules(statement: str) -> set[str]:
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {*json.loads(run.stdout)}


def test_a_client_loads_nothing_of_what_answers() -> None:
    loaded = modules("import sourceline.client")
    heavy = {"faiss", "tantivy", "onnxruntime", "numpy", "pydantic", "fastapi", "sourceline.api", "sourceline.config"}
    assert loaded & heavy == set()
    ours = {name for name in loaded if name.startswith("sourceline")}
    assert ours == {f"sourceline{name}" for name in ("", ".client", ".client.parsing", ".errors", ".types")}


def test_without_its_package_it_is_said_what_to_install() -> None:
    code = "import sys; sys.modules['httpx2'] = None\nimport sourceline.client"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr.endswith("ModuleNotFoundError: httpx2 is missing: pip install 'sourceline[client]'\n")
