from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sourceline.config import load_settings
from sourceline.errors import SettingsError
from sourceline.server.app import create_guarded_app
from sourceline.server.loopback import require_key_off_loopback
from tests.server.serving import assert_problem, serve

KEY = "s3cret-ключ"


@pytest.fixture(scope="module")
def guarded(corpus: Path, corpus_index: Path) -> Iterator[TestClient]:
    with serve(corpus, corpus_index, KEY) as client:
        yield client


def authorization(value: str) -> dict[bytes, bytes]:
    return {b"authorization": value.encode()}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    require_key_off_loopback(host, "")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", "localhost.example.org", ""])
def test_another_address_needs_a_key(host: str) -> None:
    with pytest.raises(SettingsError, match="SOURCELINE_API_KEY"):
        require_key_off_loopback(host, "")
    require_key_off_loopback(host, KEY)


@pytest.mark.parametrize(
    "header",
    [None, "", KEY, f"Basic {KEY}", "Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"bearer  {KEY}"],
)
@pytest.mark.parametrize("path", ["/v1/documents", "/metrics", "/docs", "/openapi.json", "/no/such/route"])
def test_without_the_key_nothing_is_shown(guarded: TestClient, path: str, header: str | None) -> None:
    response = guarded.get(path, headers={} if header is None else authorization(header))
    problem = assert_problem(response, 401, KEY)
    assert problem["detail"] == "send the key: Authorization: Bearer KEY"
    assert response.headers["www-authenticate"] == "Bearer"


def test_without_the_key_nothing_is_done(guarded: TestClient) -> None:
    assert_problem(guarded.post("/v1/index/rebuild"), 401)
    shown = guarded.get("/v1/index", headers=authorization(f"Bearer {KEY}"))
    assert shown.json()["rebuild"] == {"state": "idle"}


def test_with_the_key_questions_are_answered(guarded: TestClient) -> None:
    headers = authorization(f"Bearer {KEY}")
    response = guarded.post("/v1/ask", json={"question": "Who met Pezeshkian?"}, headers=headers)
    assert response.json()["passages"][0]["document"]["id"] == "meeting.txt"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_open(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).json() == {"status": "ok"}


@pytest.fixture(scope="module")
def local(corpus: Path, corpus_index: Path) -> Iterator[TestClient]:
    """The app as it is served on loopback without a key."""
    with TestClient(create_guarded_app(load_settings(documents=corpus, index=corpus_index))) as client:
        yield client


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:8080", "a.b.localhost:1", "127.0.0.1", "127.8.8.8:80", "[::1]", "[::1]:8080"],
)
def test_a_request_for_this_machine_is_answered(local: TestClient, host: str) -> None:
    assert local.get("/v1/documents", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":8080",
        "example.org",
        "example.org:8080",
        "localhost.example.org",
        "notlocalhost",
        "127.0.0.1.example.org",
        "192.168.1.7",
        "0.0.0.0:8080",
        "[::]:8080",
        "[::2]",
        "localhost@example.org",
        "ü.localhost.org",
    ],
)
@pytest.mark.parametrize("path", ["/v1/documents", "/healthz", "/docs", "/no/such/route"])
def test_a_request_for_another_host_is_refused(local: TestClient, path: str, host: str) -> None:
    problem = assert_problem(local.get(path, headers={b"host": host.encode("latin-1")}), 421, "example")
    assert problem["detail"] == "without a key only requests for localhost are answered"


def test_a_request_for_another_host_does_nothing(local: TestClient) -> None:
    assert_problem(local.post("/v1/index/rebuild", headers={"host": "example.org"}), 421)
    assert local.get("/v1/index", headers={"host": "localhost"}).json()["rebuild"] == {"state": "idle"}


def test_with_a_key_every_host_is_answered(corpus: Path, corpus_index: Path) -> None:
    settings = load_settings(documents=corpus, index=corpus_index, api_key=KEY)
    headers = {b"host": b"example.org", **authorization(f"Bearer {KEY}")}
    with TestClient(create_guarded_app(settings)) as client:
        assert client.get("/v1/documents", headers=headers).status_code == 200
