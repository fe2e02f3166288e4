"""A server in a process of its own, as people start it."""

import ctypes
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from sourceline.client import Client
from sourceline.config import is_loopback, load_settings
from sourceline.errors import SettingsError
from sourceline.index.snapshot import current_id
from sourceline.server.run import keep_heap_small, run
from sourceline.types import RebuildState
from tests.conftest import Rebuild
from tests.support.api import wait_until
from tests.support.server import children, exchange, is_alive, running, start
from tests.support.texts import FORMATS_READ

pytestmark = pytest.mark.enable_socket

# Asks one question as `serve` would, then tells what was imported for it.
ASK = """
import sys
from pathlib import Path
from fastapi.testclient import TestClient
from sourceline.server.app import create_app
from sourceline.config import load_settings
app = create_app(load_settings(documents=Path(sys.argv[1]), index=Path(sys.argv[2])))
with TestClient(app, base_url="http://localhost") as client:
    assert client.get("/v1/ask", params={"question": "When does the bridge open?"}).json()["passages"]
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""

# Prints how many blocks are mapped apart, once one of a megabyte was freed and there is another. glibc then takes such
# blocks from its heap, unless it is told not to.
MAPPED_APART = """
import ctypes
from sourceline.server.run import keep_heap_small
{}
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks".split() + list("abcdef")]
libc.mallinfo2.restype = Mallinfo2
libc.free(libc.malloc(1 << 20))
before = libc.mallinfo2().hblks
libc.malloc(1 << 20)
print(libc.mallinfo2().hblks - before)
"""


def test_the_first_start_builds_the_index_and_answers(documents: Path, index: Path) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday. It is made of oak.\n")
    (documents / "\x1b[31mempty.txt").touch()
    with running(documents, index) as server, Client(server.url) as client:
        answer = client.ask("When does the bridge open?")
        assert httpx2.get(f"{server.url}/readyz").json() == {"status": "ok"}
    assert server.lines[:-1] == [
        f"Building the index of {documents}.",
        r"skipped \x1b[31mempty.txt: its name has control characters: rename it",
    ]
    assert answer.hits[0].passage.text == "The bridge opens on Monday."
    assert answer.snapshot == current_id(index)


def test_the_next_start_serves_what_was_built(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    built = rebuild(documents, index).snapshot
    (documents / "a.txt").unlink()
    with running(documents, index) as server, Client(server.url) as client:
        assert len(server.lines) == 1
        assert client.index().snapshot.id == built


def test_bytes_that_no_client_would_send_are_refused(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    targets = {
        "/v1/ask?question=a%ED%A0%80": 422,
        "/v1/ask?question=%00": 422,
        "/v1/citations/%ED%A0%80": 404,
        "/v1/documents/%FF": 404,
        "/v1/documents/../../../../etc/passwd": 404,
        "/v1/documents/..%2f..%2f..%2fetc%2fpasswd": 404,
        "/v1/documents/%00": 404,
        "/../../etc/passwd": 404,
    }
    with running(documents, index) as server:
        for target, status in targets.items():
            sent = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            head, body = exchange(server.address, sent.encode()).split(b"\r\n\r\n")
            assert head.split()[1] == str(status).encode(), target
            assert b"content-type: application/problem+json" in head
            assert b"passwd" not in body
            assert b"server:" not in head.lower()


def test_a_long_body_is_refused_whether_its_length_is_declared_or_not(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    long = b" " * 70_000
    with running(documents, index) as server, httpx2.Client(base_url=server.url) as client:
        for body in (long, iter([long])):
            response = client.post("/v1/ask", content=body, headers={"content-type": "application/json"})
            assert (response.status_code, response.json()["status"]) == (413, 413)
            assert response.headers["content-type"] == "application/problem+json"


def test_sigterm_ends_the_server(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with running(documents, index) as server, Client(server.url) as client:
        assert client.rebuild().state is RebuildState.RUNNING
        builders = children(server.process.pid)
        assert len(builders) == 1
        half_a_head = socket.create_connection(server.address)
        half_a_head.sendall(b"GET /healthz HTTP/1.1\r\n")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() == 0
        assert server.process.stderr
        assert "Traceback" not in server.process.stderr.read()
        half_a_head.close()
    wait_until(lambda: not any(map(is_alive, builders)))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_signal_during_the_first_build_ends_all_of_it(
    documents: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    process = start(documents, tmp_path / "index", "--port", "0")
    wait_until(lambda: len(children(process.pid)) == 1)
    builders = children(process.pid)
    process.send_signal(number)
    _, error = process.communicate()
    assert process.returncode == code
    assert "Traceback" not in error
    wait_until(lambda: not any(map(is_alive, builders)))
    assert current_id(tmp_path / "index") is None


def test_a_port_that_is_taken_is_one_line(documents: Path, index: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(documents, index, "--port", str(port))
        _, error = process.communicate()
    assert error == f"sourceline: cannot serve on 127.0.0.1, port {port}: Address already in use\n"
    assert process.returncode == 1
    assert current_id(index) is None


def test_every_line_of_a_log_in_json_is_an_object(documents: Path, index: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(documents, index, "--port", str(port), "--log-format", "json")
        _, error = process.communicate()
    assert process.returncode == 1
    lines = [json.loads(line) for line in error.splitlines()]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("error", f"cannot serve on 127.0.0.1, port {port}: Address already in use")
    ]


def test_a_port_taken_during_the_first_build_is_one_line(documents: Path, index: Path) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        process = start(documents, index, "--port", str(port))
        wait_until((index / "build.lock").exists)
        other.listen()
        _, error = process.communicate()
    assert error.splitlines()[-1] == f"sourceline: cannot serve on 127.0.0.1, port {port}: Address already in use"
    assert process.returncode == 1


def test_documents_are_not_served_to_the_network_without_a_key(documents: Path, index: Path) -> None:
    process = start(documents, index, "--host", "0.0.0.0", "--port", "0")
    _, error = process.communicate()
    assert process.returncode == 1
    assert error == (
        "sourceline: on 0.0.0.0 everyone in the network could read the documents: "
        "set SOURCELINE_API_KEY or SOURCELINE_API_KEYS, or serve on 127.0.0.1\n"
    )
    assert current_id(index) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_an_address_of_this_machine_needs_no_key(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", "localhost.example.org", ""])
def test_another_address_needs_a_key(tmp_path: Path, host: str) -> None:
    assert not is_loopback(host)
    settings = load_settings(host=host, index=tmp_path / "index", documents=tmp_path)
    with pytest.raises(SettingsError, match="SOURCELINE_API_KEY"):
        run(settings, lambda line: None)


def test_a_first_build_that_fails_is_one_line(documents: Path, index: Path) -> None:
    process = start(documents, index, "--port", "0")
    _, error = process.communicate()
    assert process.returncode == 1
    assert (
        error.splitlines()[-1]
        == f"sourceline: no document in {documents} can be read: it is empty; these formats are read: {FORMATS_READ}"
    )
    assert "Traceback" not in error


def test_no_deep_learning_framework_is_imported_to_serve(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    command = [sys.executable, "-c", ASK, str(documents), str(index)]
    imported = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert {"sourceline", "onnxruntime", "faiss"} <= imported
    assert not imported & {"torch", "sentence_transformers", "transformers", "onnx", "huggingface_hub", "markdown_it"}
    with running(documents, index) as server, Client(server.url) as client:
        client.ask("When does the bridge open?")
        mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "onnxruntime" in mapped
    assert "torch" not in mapped


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library than glibc 2.33")
@pytest.mark.parametrize(("call", "mapped"), [("", "0"), ("keep_heap_small()", "1")])
def test_large_blocks_are_kept_out_of_the_heap(call: str, mapped: str) -> None:
    command = [sys.executable, "-c", MAPPED_APART.format(call)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == mapped


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    keep_heap_small()
