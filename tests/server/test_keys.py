"""API keys: the file, what each may do, how often, and what is told to those that may not."""

import hashlib
import json
import logging
import os
import signal
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sourceline.config import load_settings
from sourceline.errors import SettingsError
from sourceline.logs import request_fields
from sourceline.server import keys
from sourceline.server.keys import Allowance, ApiKey, Keys, KeyScope, RateLimiter, new_key, read_keys, required_scope
from sourceline.server.metrics import FOLDER_VARIABLE
from sourceline.server.run import run, wait_for_keys
from sourceline.types import NO_RERANKER
from tests.support.api import assert_problem, serve

HASH, OTHER = "a" * 64, "b" * 64
QUESTION = {"question": "Who met Pezeshkian?"}
# What is asked of each route, with the scope that it needs; None if every key will do.
REQUESTS: dict[tuple[str, str], tuple[dict[str, Any], KeyScope | None]] = {
    ("POST", "/v1/ask"): ({"json": QUESTION}, KeyScope.ASK),
    ("GET", "/v1/ask"): ({"params": QUESTION}, KeyScope.ASK),
    ("POST", "/v1/ask/batch"): ({"json": {"questions": ["Who met Pezeshkian?"]}}, KeyScope.ASK),
    ("POST", "/retrieval"): (
        {"json": {"knowledge_id": "*", "query": "Who met?", "retrieval_setting": {"top_k": 1}}},
        KeyScope.ASK,
    ),
    ("POST", "/v1/verify"): ({"json": {"text": "“He came.”"}}, KeyScope.ASK),
    ("POST", "/v1/citations/lookup"): ({"json": {"citations": ["ccl4uombti6lb64a"]}}, KeyScope.READ),
    ("GET", "/v1/citations/{citation}"): ({}, KeyScope.READ),
    ("GET", "/v1/documents"): ({}, KeyScope.READ),
    ("GET", "/v1/speakers"): ({}, KeyScope.READ),
    ("GET", "/v1/documents/{document}"): ({}, KeyScope.READ),
    ("GET", "/v1/index"): ({}, KeyScope.READ),
    ("PUT", "/v1/documents/{document}"): ({"content": b"Hello."}, KeyScope.MANAGE),
    ("DELETE", "/v1/documents/{document}"): ({}, KeyScope.MANAGE),
    ("POST", "/v1/index/rebuild"): ({}, KeyScope.MANAGE),
    ("GET", "/metrics"): ({}, None),
}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of no keys."""
    return write(tmp_path / "keys.toml", "")


# The file


def test_a_new_key_is_let_in_by_its_line_which_does_not_hold_it(file: Path) -> None:
    key, line = new_key("wiki", [KeyScope.ASK, KeyScope.READ], 30)
    assert len(key) >= 40
    assert key not in line
    assert tomllib.loads(line) == {
        "wiki": {"sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": ["ask", "read"], "rate_limit": 30}
    }
    known = Keys(load_settings(api_keys=write(file, line)))
    found = known.find(key.encode())
    assert found
    assert (found.name, sorted(found.scopes), found.rate_limit) == ("wiki", ["ask", "read"], 30)
    assert known.find(key[:-1].encode()) is None
    assert known.find(b"") is None
    assert new_key("wiki", [])[0] != key


def test_the_setting_api_key_has_every_scope_and_a_key_without_a_limit_that_of_the_setting(file: Path) -> None:
    write(file, f'a = {{sha256 = "{HASH}", scopes = []}}\nb = {{sha256 = "{OTHER}", scopes = ["ask"], rate_limit = 0}}')
    one, a, b = read_keys(load_settings(api_key="s3cret", api_keys=file, rate_limit=60))
    assert one == ApiKey("api_key", hashlib.sha256(b"s3cret").digest(), frozenset(KeyScope), 60)
    assert (a.scopes, a.rate_limit, b.rate_limit) == (frozenset(), 60, 0)
    assert Keys(load_settings(api_keys=file)).find(b"") is None  # where api_key is empty, the empty key is none


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a =", "it is not TOML, or a name comes twice: Invalid value (at end of document)"),
        (f'a = {{sha256 = "{HASH}", scopes = []}}\n' * 2, "a name comes twice: Cannot overwrite a value (at line 2"),
        ("a = " + "[" * 2_000, "it is not TOML"),
        ("a = 1", "a: a key is written as NAME = {sha256"),
        ('a = {scopes = ["ask"]}', "a.sha256: Field required"),
        ('a = {sha256 = "abc", scopes = ["ask"]}', "a.sha256: String should match pattern '^[0-9a-fA-F]{64}$'"),
        (f'a = {{sha256 = "{HASH}", scopes = ["write"]}}', "a.scopes.0: Input should be 'ask', 'read' or 'manage'"),
        (f'a = {{sha256 = "{HASH}"}}', "a.scopes: Field required"),
        (f'a = {{sha256 = "{HASH}", scopes = [], rate_limit = -1}}', "a.rate_limit: Input should be greater than"),
        (f'a = {{sha256 = "{HASH}", scopes = [], rate_limit = {10**400}}}', "a.rate_limit: Input should be less than"),
        (f'a = {{sha256 = "{HASH}", scopes = [], limit = 1}}', "a.limit: Extra inputs are not permitted"),
        (f'"a/b" = {{sha256 = "{HASH}", scopes = []}}', "a/b: String should match pattern"),
        (f'api_key = {{sha256 = "{HASH}", scopes = []}}', "a key cannot be named api_key while the setting api_key is"),
        (f'a = {{sha256 = "{HASH}", scopes = []}}\nb = {{sha256 = "{HASH}", scopes = []}}', "a and b are the same key"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_start_with_one_line(file: Path, text: str, reason: str) -> None:
    settings = load_settings(api_key="s3cret", api_keys=write(file, text))
    with pytest.raises(SettingsError) as raised:
        run(settings, lambda line: None)
    message = str(raised.value)
    assert message.startswith(f"setting api_keys: {file}: ")
    assert reason in message
    assert "\n" not in message
    assert HASH not in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, reason in (
        (tmp_path / "none", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (pipe, "it is no regular file"),  # nobody writes into it: it would be waited for
    ):
        with pytest.raises(SettingsError, match=f"^setting api_keys: {path}: it cannot be read: {reason}$"):
            run(load_settings(api_keys=path), lambda line: None)
    (tmp_path / "keys.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="it is not TOML"):
        read_keys(load_settings(api_keys=tmp_path / "keys.toml"))


def test_a_file_that_everybody_may_read_is_only_warned_of(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys.warn_if_open(file)
    assert not caplog.records
    file.chmod(0o644)
    keys.warn_if_open(file)
    (record,) = caplog.records
    assert (record.levelno, f"chmod o= {file}" in record.getMessage()) == (logging.WARNING, True)


def test_the_file_is_read_again_when_it_changes_and_what_cannot_be_used_changes_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys, "RELOAD_SECONDS", 0)
    caplog.set_level(logging.INFO)
    (first, line), (second, other) = new_key("first", [KeyScope.ASK]), new_key("second", [])
    known = Keys(load_settings(api_keys=write(file, line)))
    assert [known.find(key.encode()) is not None for key in (first, second)] == [True, False]
    write(file, other)
    assert [known.find(key.encode()) is not None for key in (first, second)] == [False, True]
    for _ in range(2):  # and is told once
        write(file, "second = ")
        os.utime(file, (1, 1))
        assert known.find(second.encode())
    file.unlink()
    assert known.find(second.encode())
    write(file, "")
    assert known.find(second.encode()) is None
    assert [(record.levelname, "stay valid" in record.getMessage()) for record in caplog.records] == [
        ("INFO", False),
        ("ERROR", True),
        ("ERROR", True),
        ("INFO", False),
    ]


def test_a_worker_that_replaces_another_waits_until_the_file_can_be_used(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings, stopped, naps = load_settings(api_keys=write(file, "a =")), list[int](), list[float]()

    def mend(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            write(file, new_key("a", [])[1])

    monkeypatch.setattr(time, "sleep", mend)
    wait_for_keys(settings, stopped)
    assert naps == [1, 1]
    assert [record.getMessage().endswith("a new worker waits until it can be used") for record in caplog.records] == [
        True
    ]
    write(file, "a =")
    monkeypatch.setattr(time, "sleep", lambda _: stopped.append(signal.SIGTERM))
    wait_for_keys(settings, stopped)
    assert stopped == [signal.SIGTERM]


# Scopes


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A key for each scope, one for none, and one that may send two requests a minute."""
    made = {str(scope): new_key(scope, [scope]) for scope in KeyScope}
    made |= {"none": new_key("none", []), "slow": new_key("slow", [KeyScope.ASK], 2)}
    file = write(tmp_path_factory.mktemp("keys") / "keys.toml", "\n".join(line for _, line in made.values()))
    return {name: key for name, (key, _) in made.items()} | {"file": str(file)}


@pytest.fixture(scope="module")
def keyed(corpus: Path, corpus_index: Path, secrets: dict[str, str]) -> Iterator[TestClient]:
    """A client of a server with these keys. Documents may not be written, whatever the key."""
    with serve(corpus, corpus_index, reranker=NO_RERANKER, api_keys=secrets["file"]) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_every_route_is_described_with_the_scope_that_it_needs(app: FastAPI) -> None:
    described = {
        (method.upper(), path): operation.get("security")
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    }
    assert described.keys() == REQUESTS.keys() | {("GET", "/healthz"), ("GET", "/readyz")}
    for route, (_, scope) in REQUESTS.items():
        assert described[route] == ([{"api_key": [scope]}, {}] if scope else None), route
        assert {"401", "403", "429"} <= app.openapi()["paths"][route[1]][route[0].lower()]["responses"].keys()


@pytest.mark.parametrize("name", ["ask", "read", "manage", "none"])
def test_a_key_may_do_what_its_scopes_say_and_nothing_else(
    keyed: TestClient, secrets: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sourceline.server.rebuilds.Rebuilds.start", lambda _: {"state": "running"})
    for (method, path), (sent, scope) in REQUESTS.items():
        path = path.format(citation="ccl4uombti6lb64a", document="meeting.txt")
        response = keyed.request(method, path, headers=bearer(secrets[name]), **sent)
        if scope in (name, None):
            # Documents are not written here: that the key may is no matter of the setting.
            assert response.is_success or "--allow-edits" in response.json()["detail"], (method, path)
            continue
        problem = assert_problem(response, 403, secrets[name])
        assert problem["detail"] == f"this key lacks the scope {scope}"
        assert response.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{scope}"'
        assert problem.get("error_code") == (1002 if path == "/retrieval" else None)


def test_what_is_behind_a_path_that_only_begins_so_needs_no_less() -> None:
    assert required_scope("GET", "/v1/index/rebuild/") is KeyScope.MANAGE
    assert required_scope("PUT", "/v1/documents/a/b.txt") is KeyScope.MANAGE
    assert required_scope("DELETE", "/mcp") is None  # where the route says 405, which ends a session of MCP


def test_a_key_that_is_none_of_the_file_is_refused_and_the_page_needs_none(keyed: TestClient) -> None:
    refused = keyed.get("/v1/index", headers=bearer("sl_none"))
    assert_problem(refused, 401, "sl_none")
    assert refused.headers["www-authenticate"] == "Bearer"
    dify = keyed.post("/retrieval", json={}, headers=bearer("sl_none"))
    assert assert_problem(dify, 403)["error_code"] == 1002
    assert [keyed.get(path).status_code for path in ("/", "/static/main.js", "/healthz")] == [200, 200, 200]


def test_with_a_file_of_keys_every_host_is_answered(keyed: TestClient, secrets: dict[str, str]) -> None:
    assert keyed.get("/metrics", headers={"Host": "example.org", **bearer(secrets["none"])}).status_code == 200


def test_the_log_names_the_key_and_never_holds_it(
    keyed: TestClient, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[dict[str, str]] = []

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append({"message": record.getMessage(), **request_fields.get()})

    monkeypatch.setattr("sourceline.server.rebuilds.Rebuilds.start", lambda _: {"state": "running"})
    caplog.set_level(logging.INFO)
    log = logging.getLogger("sourceline.server")
    monkeypatch.setattr(log, "handlers", [Noting()])
    headers = {"X-Request-ID": "trace-1", **bearer(secrets["manage"])}
    assert keyed.post("/v1/index/rebuild", headers=headers).status_code == 202
    assert seen == [{"message": "a rebuild was started over HTTP", "request_id": "trace-1", "key": "manage"}]
    assert request_fields.get() == {}


# Rate limits


def key_of(limit: int) -> ApiKey:
    return ApiKey("wiki", b"", frozenset(), limit)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("shared", [False, True])
def test_a_bucket_holds_a_minute_of_requests_and_fills_as_fast(tmp_path: Path, shared: bool) -> None:
    clock = Clock()
    limiters = [RateLimiter(tmp_path if shared else None, clock) for _ in range(2)]
    if not shared:
        limiters = limiters[:1] * 2  # of one process
    taken = [limiters[number % 2].take(key_of(4)) for number in range(6)]
    assert taken == [
        *(Allowance(4, True, remaining, 15) for remaining in (3, 2, 1, 0)),
        *[Allowance(4, False, 0, 15)] * 2,
    ]
    assert taken[0].headers == {"RateLimit-Policy": '"key";q=4;w=60', "RateLimit": '"key";r=3;t=15'}
    clock.now += 14
    assert limiters[0].take(key_of(4)) == Allowance(4, False, 0, 1)
    clock.now += 1
    assert limiters[1].take(key_of(4)) == Allowance(4, True, 0, 15)
    clock.now += 1_000
    assert limiters[0].take(key_of(4)).remaining == 3  # never more than a minute's
    assert limiters[0].take(key_of(2)).remaining == 1  # a limit that was lowered holds at once
    other = ApiKey("app", b"", frozenset(), 4)
    assert limiters[0].take(other).remaining == 3


def test_over_its_limit_a_key_is_told_when_to_come_back_and_others_are_answered(
    keyed: TestClient, secrets: dict[str, str]
) -> None:
    answers = [keyed.post("/v1/ask", json=QUESTION, headers=bearer(secrets["slow"])) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["RateLimit-Policy"] for answer in answers] == ['"key";q=2;w=60'] * 3
    assert [answer.headers["RateLimit"].split(";")[1] for answer in answers] == ["r=1", "r=0", "r=0"]
    problem = assert_problem(answers[2], 429, secrets["slow"])
    wait = int(answers[2].headers["Retry-After"])
    assert 1 <= wait <= 30
    assert problem["detail"] == f"this key may send 2 requests a minute: try again in {wait} s"
    unlimited = keyed.post("/v1/ask", json=QUESTION, headers=bearer(secrets["ask"]))
    assert (unlimited.status_code, "RateLimit" in unlimited.headers) == (200, False)
    assert json.loads(answers[0].content)["passages"] == unlimited.json()["passages"]


def test_all_workers_count_together(
    corpus: Path, corpus_index: Path, secrets: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    settings: dict[str, Any] = {"reranker": NO_RERANKER, "api_keys": secrets["file"], "workers": 2}
    with serve(corpus, corpus_index, **settings) as one, serve(corpus, corpus_index, **settings) as other:
        answers = [each.get("/metrics", headers=bearer(secrets["slow"])) for each in (one, other, one, other)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
