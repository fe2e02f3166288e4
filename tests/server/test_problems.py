import json
import logging
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sourceline.config import load_settings
from sourceline.server.app import create_app
from tests.conftest import Rebuild
from tests.server.serving import JSON, assert_problem, post_raw, serve

SENT = "canary"  # stands in what is sent and must not come back

INVALID = {
    "no question": "{}",
    "an empty question": '{"question": ""}',
    "white space": '{"question": " \\t\\n\\u00a0\\u3000"}',
    "2,001 characters": json.dumps({"question": (SENT * 400)[:2_001]}),
    "NUL": f'{{"question": "{SENT}\\u0000"}}',
    "half of a surrogate pair": f'{{"question": "{SENT} \\ud800"}}',
    "the other half": f'{{"question": "\\udc00 {SENT}"}}',
    "a key with half of a pair": f'{{"question": "a", "{SENT}\\ud800": 1}}',
    "no words": '{"question": "\\u200b\\u200d"}',
    "a number": '{"question": 12345}',
    "a list": f'{{"question": ["{SENT}"]}}',
    "null": '{"question": null}',
    "k of 0": '{"question": "a", "k": 0}',
    "k of -1": '{"question": "a", "k": -1}',
    "k of 101": '{"question": "a", "k": 101}',
    "k as text": '{"question": "a", "k": "5"}',
    "k with a point": '{"question": "a", "k": 5.0}',
    "k true": '{"question": "a", "k": true}',
    "k null": '{"question": "a", "k": null}',
    "k NaN": '{"question": "a", "k": NaN}',
    "k Infinity": '{"question": "a", "k": -Infinity}',
    "k beyond a float": '{"question": "a", "k": 1e400}',
    "explain as text": f'{{"question": "a", "explain": "{SENT}"}}',
    "explain as a number": '{"question": "a", "explain": 1}',
    "an unknown field": f'{{"question": "a", "{SENT}": "{SENT}"}}',
    "an unknown filter": f'{{"question": "a", "filters": {{"{SENT}": ["{SENT}"]}}}}',
    "a filter without documents": '{"question": "a", "filters": {}}',
    "an empty filter": '{"question": "a", "filters": {"documents": []}}',
    "an empty pattern": '{"question": "a", "filters": {"documents": [""]}}',
    "a pattern that is no list": f'{{"question": "a", "filters": {{"documents": "{SENT}"}}}}',
    "a pattern with half of a pair": f'{{"question": "a", "filters": {{"documents": ["{SENT}\\ud800"]}}}}',
    "101 patterns": json.dumps({"question": "a", "filters": {"documents": [SENT] * 101}}),
    "no object": f'["{SENT}"]',
    "a text alone": f'"{SENT}"',
    "null alone": "null",
    "nothing": "",
}
NOT_JSON: dict[str, str | bytes] = {
    "a brace too few": f'{{"question": "{SENT}"',
    "not JSON": f"question={SENT}",
    "bytes that are not UTF-8": b'{"question": "canary \xff\xed\xa0\x80"}',
    "a number of 5,000 digits": f'{{"question": "a", "k": {"9" * 5_000}}}',
    "50,000 brackets": "[" * 50_000,
    "50,000 brackets in a field": f'{{"question": "{SENT}", "k": {"[" * 25_000}{"]" * 25_000}}}',
    "a raw control character": f'{{"question": "{SENT}\x01"}}',
}


@pytest.mark.parametrize("body", INVALID.values(), ids=INVALID.keys())
def test_a_body_that_does_not_fit_is_refused(client: TestClient, body: str) -> None:
    assert_problem(post_raw(client, body), 422, SENT, "12345")


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_a_body_that_is_not_json_is_refused(client: TestClient, body: str | bytes) -> None:
    assert_problem(post_raw(client, body), 400, SENT, "99999", "[[")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "question=",
        "question=%20%09%E2%80%83",
        f"question={SENT}%00",
        f"question={SENT}%ED%A0%80",
        f"question={SENT}%FF",
        f"question=a&document={SENT}%ED%A0%80",
        f"question={'a' * 2_001}",
        "question=a&k=0",
        "question=a&k=101",
        f"question=a&k={SENT}",
        "question=a&k=NaN",
        "question=a&k=1e400",
        f"question=a&k={'9' * 5_000}",
        f"question=a&explain={SENT}",
        f"question=a&{SENT}={SENT}",
        "question=a&document=",
        f"question=a&filters={SENT}",
    ],
)
def test_a_link_that_does_not_fit_is_refused(client: TestClient, query: str) -> None:
    assert_problem(client.get(f"/v1/ask?{query}"), 422, SENT, "99999")


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"citations": []}',
        f'{{"citations": "{SENT}"}}',
        '{"citations": [1]}',
        '{"citations": [""]}',
        f'{{"citations": ["{SENT}\\ud800"]}}',
        json.dumps({"citations": [SENT * 50]}),
        f'{{"citations": ["a"], "{SENT}": 1}}',
    ],
)
def test_a_lookup_that_does_not_fit_is_refused(client: TestClient, body: str) -> None:
    assert_problem(post_raw(client, body, "/v1/citations/lookup"), 422, SENT)


def test_each_field_that_does_not_fit_is_named_by_its_place(client: TestClient) -> None:
    problem = assert_problem(
        client.post("/v1/ask", json={"k": 0, "filters": {"documents": ["a", 1]}, SENT: 1}), 422, SENT
    )
    assert problem["errors"] == [
        {"location": "body.question", "message": "Field required"},
        {"location": "body.k", "message": "Input should be greater than or equal to 1"},
        {"location": "body.filters.documents.1", "message": "Input should be a valid string"},
        {"location": "body.(unknown field)", "message": "Extra inputs are not permitted"},
    ]


@pytest.mark.parametrize("path", ["/v1/ask", "/v1/citations/lookup"])
@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", SENT])
def test_a_body_of_another_type_is_refused(client: TestClient, path: str, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    assert_problem(client.post(path, content='{"question": "a"}', headers=headers), 415, SENT)


def test_the_type_may_name_its_character_set(client: TestClient) -> None:
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        assert client.post("/v1/ask", content='{"question": "Who?"}', headers={"content-type": kind}).is_success


@pytest.mark.parametrize("path", [f"/{SENT}", "/v1", f"/v1/{SENT}", "/v2/ask", "//v1/ask", "/v1/citations"])
def test_an_unknown_route_is_not_found(client: TestClient, path: str) -> None:
    assert_problem(client.get(f"http://testserver{path}"), 404, SENT)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/ask", "GET, POST"),
        ("PUT", "/v1/citations/x", "GET"),
        ("PATCH", "/v1/documents/a/b", "GET"),
        ("GET", "/v1/index/rebuild", "POST"),
        ("POST", "/v1/index", "GET"),
        ("POST", "/healthz", "GET"),
        ("POST", "/docs", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(client: TestClient, method: str, path: str, allowed: str) -> None:
    response = client.request(method, path)
    assert_problem(response, 405)
    assert ", ".join(sorted(response.headers["allow"].split(", "))) == allowed


def test_what_cannot_be_answered_now_says_when_to_come_back(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        (index / "ledger.sqlite").write_bytes(b"this is no database, " * 500)
        response = client.get(f"/v1/citations/{SENT}")
    problem = assert_problem(response, 503, SENT)
    assert "record of citations" in problem["detail"]
    assert response.headers["retry-after"] == "5"


def test_the_unexpected_is_logged_and_not_told(
    corpus: Path, corpus_index: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(load_settings(documents=corpus, index=corpus_index))
    add_failing_route(app)
    response = TestClient(app, raise_server_exceptions=False).post("/fail", content=SENT, headers=JSON)
    problem = assert_problem(response, 500, SENT, "Traceback", "RuntimeError")
    assert problem["detail"] == "an unexpected error; it was logged"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "unexpected error in POST /fail"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == f"{SENT} broke it"


def add_failing_route(app: FastAPI) -> None:
    @app.post("/fail")
    def fail() -> None:
        raise RuntimeError(f"{SENT} broke it")
