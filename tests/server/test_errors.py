import json
import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sourceline.config import load_settings
from sourceline.server.app import create_app
from tests.conftest import Rebuild
from tests.support.api import JSON, assert_problem, post_raw, serve

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
    "another mode": f'{{"question": "a", "mode": "{SENT}"}}',
    "a mode in capitals": '{"question": "a", "mode": "READ"}',
    "mode null": '{"question": "a", "mode": null}',
    "mode as a number": '{"question": "a", "mode": 12345}',
    "an unknown field": f'{{"question": "a", "{SENT}": "{SENT}"}}',
    "an unknown filter": f'{{"question": "a", "filters": {{"{SENT}": ["{SENT}"]}}}}',
    "a filter of no documents": '{"question": "a", "filters": {"documents": []}}',
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


# Odd, and not all of it wrong.
ODD: dict[str, str | bytes] = {
    "a key twice, the last one good": '{"question": 1, "question": "Who?"}',
    "a key twice, the last one bad": '{"question": "Who?", "question": 1}',
    "k twice": '{"question": "Who met him?", "k": 1, "k": 2}',
    "k as 1e0": '{"question": "Who?", "k": 1e0}',
    "k as -0": '{"question": "Who?", "k": -0}',
    "k as 01": '{"question": "Who?", "k": 01}',
    "a pair of surrogates": '{"question": "\\ud83d\\ude00 who?"}',
    "escapes": '{"q\\u0075estion": "\\u0057ho\\/\\n?"}',
    "UTF-8 with a mark": b"\xef\xbb\xbf" + b'{"question": "Who?"}',
    "UTF-16": '{"question": "Who?"}'.encode("utf-16"),
    "UTF-32": '{"question": "Who?"}'.encode("utf-32-le"),
    "blanks around": ' \t\r\n{"question": "Who?"}\n ',
    "a form feed before": '\f{"question": "Who?"}',
    "something behind": '{"question": "Who?"} {}',
    "a comma behind": '{"question": "Who?",}',
    "NaN in an unknown field": '{"question": "Who?", "x": NaN}',
    "a delete character": '{"question": "Who\x7f?"}',
    "nulls": '{"question": "Who?", "filters": null}',
    "2,000 emoji": json.dumps({"question": "😀" * 1_999 + "a"}, ensure_ascii=False),
    "2,001 emoji": json.dumps({"question": "😀" * 2_000 + "a"}),
    "NUL in a pattern": '{"question": "Who?", "filters": {"documents": ["\\u0000"]}}',
}


@pytest.mark.parametrize("body", INVALID.values(), ids=INVALID.keys())
def test_a_body_that_does_not_fit_is_refused(client: TestClient, body: str) -> None:
    assert_problem(post_raw(client, body), 422, SENT, "12345")


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_a_body_that_is_not_json_is_refused(client: TestClient, body: str | bytes) -> None:
    assert_problem(post_raw(client, body), 400, SENT, "99999", "[[")


def test_odd_json_is_read_or_refused(client: TestClient) -> None:
    statuses = {name: post_raw(client, body).status_code for name, body in ODD.items()}
    assert set(statuses.values()) == {200, 400, 422}
    assert [name for name, status in statuses.items() if status == 200] == [
        "a key twice, the last one good",
        "k twice",
        "a pair of surrogates",
        "escapes",
        "UTF-8 with a mark",
        "UTF-16",
        "UTF-32",
        "blanks around",
        "a delete character",
        "nulls",
        "2,000 emoji",
        "NUL in a pattern",
    ]


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "question": st.text(max_size=20) | st.integers() | st.none(),
        "k": st.integers(-1, 102) | st.floats() | st.booleans() | st.text(max_size=3),
        "explain": st.booleans() | st.integers(0, 1) | st.none(),
        "filters": st.none()
        | st.fixed_dictionaries({}, optional={"documents": st.lists(st.text(max_size=3) | st.integers(), max_size=3)}),
        "x": st.integers(),
    },
)


@settings(max_examples=100, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(FIELDS)
def test_any_object_is_answered_or_refused(client: TestClient, fields: dict[str, Any]) -> None:
    response = post_raw(client, json.dumps(fields))
    if response.status_code != 200:
        assert_problem(response, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/ask?question=a&k=1&k=2",
        "/v1/ask?question=a&question=a",
        "/v1/documents?limit=1&limit=1",
        "/v1/documents/meeting.txt?from=1&limit=9&from=1",
        "/v1/index?a=1&a=2",
    ],
)
def test_a_value_given_twice_is_refused(client: TestClient, path: str) -> None:
    problem = assert_problem(client.get(path), 422)
    message = "a parameter that takes one value is given more than once"
    assert problem["errors"] == [{"location": "query", "message": message}]


@pytest.mark.parametrize("path", ["/v1/ask?question=a&k=", "/v1/documents?cursor=", "/v1/documents/meeting.txt?from="])
@pytest.mark.parametrize("value", ["%FF", "%ED%A0%80"])
def test_a_query_that_is_no_text_is_refused(client: TestClient, path: str, value: str) -> None:
    problem = assert_problem(client.get(f"{path}{value}"), 422)
    assert problem["errors"] == [{"location": "query", "message": "the query string is not UTF-8"}]


def test_what_may_be_given_several_times_is(client: TestClient) -> None:
    path = "/v1/ask?question=Who+met+Pezeshkian?&document=none.txt&document=meeting.txt&speaker=a&speaker=b"
    assert client.get(path).status_code == 200


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


BATCHES = {
    "no questions": "{}",
    "an empty list": '{"questions": []}',
    "a question that is no list": f'{{"questions": "{SENT}"}}',
    "an empty question": f'{{"questions": ["{SENT}", ""]}}',
    "no words": f'{{"questions": ["{SENT}", "\\u200b"]}}',
    "NUL": f'{{"questions": ["{SENT}\\u0000"]}}',
    "101 questions": json.dumps({"questions": [SENT] * 101}),
    "one question": f'{{"question": "{SENT}"}}',
    "k of 0": f'{{"questions": ["{SENT}"], "k": 0}}',
    "an unknown field": f'{{"questions": ["a"], "{SENT}": 1}}',
    "an unknown filter": f'{{"questions": ["a"], "filters": {{"{SENT}": ["{SENT}"]}}}}',
}


@pytest.mark.parametrize("body", BATCHES.values(), ids=BATCHES.keys())
def test_a_batch_that_does_not_fit_is_refused(client: TestClient, body: str) -> None:
    assert_problem(post_raw(client, body, "/v1/ask/batch"), 422, SENT)


@pytest.mark.parametrize(
    ("method", "path", "sent", "location"),
    [
        ("POST", "/v1/ask", {"json": {"question": "\u200b"}}, "body.question"),
        ("GET", "/v1/ask", {"params": {"question": "\u200b"}}, "query.question"),
        ("POST", "/v1/ask/batch", {"json": {"questions": ["Who?", "\u200b", "Why?"]}}, "body.questions.1"),
    ],
)
def test_a_question_without_words_is_named_by_its_place(
    client: TestClient, method: str, path: str, sent: dict[str, Any], location: str
) -> None:
    problem = assert_problem(client.request(method, path, **sent), 422)
    assert problem["detail"] == "the question cannot be answered"
    assert problem["errors"] == [{"location": location, "message": "the question holds no words"}]


@pytest.mark.parametrize("path", ["/v1/ask", "/v1/citations/lookup", "/v1/ask/batch", "/v1/verify"])
@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", SENT])
def test_a_body_of_another_type_is_refused(client: TestClient, path: str, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    assert_problem(client.post(path, content='{"question": "a"}', headers=headers), 415, SENT)


def test_every_type_of_json_is_read(client: TestClient) -> None:
    for kind in (
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.api+json",
        " application/json ",
    ):
        assert client.post("/v1/ask", content='{"question": "Who?"}', headers={"content-type": kind}).is_success


@pytest.mark.parametrize("path", [f"/{SENT}", "/v1", f"/v1/{SENT}", "/v2/ask", "//v1/ask", "/v1/citations"])
def test_an_unknown_route_is_not_found(client: TestClient, path: str) -> None:
    assert_problem(client.get(f"http://localhost{path}"), 404, SENT)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/ask", "GET, HEAD, POST"),
        ("PUT", "/v1/citations/x", "GET, HEAD"),
        ("PUT", "/v1/citations/lookup", "POST"),
        ("PATCH", "/v1/documents/a/b", "DELETE, GET, HEAD, PUT"),
        ("GET", "/v1/index/rebuild", "POST"),
        ("HEAD", "/v1/ask/batch", "POST"),
        ("POST", "/v1/index", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("POST", "/static/main.js", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(client: TestClient, method: str, path: str, allowed: str) -> None:
    response = client.request(method, path)
    assert response.status_code == 405
    if method != "HEAD":
        assert_problem(response, 405)
    assert ", ".join(sorted(response.headers["allow"].split(", "))) == allowed


def test_what_cannot_be_answered_now_says_when_to_come_back(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        answer = client.get("/v1/ask", params={"question": "When does the bridge open?"}).json()
    cited = answer["passages"][0]["citation"]
    (documents / "a.txt").write_text("It rains.\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        (index / "ledger.jsonl").write_bytes(b"this is no ledger, " * 500)
        response = client.get(f"/v1/citations/{cited}")
    problem = assert_problem(response, 503)
    assert "record of citations" in problem["detail"]
    assert response.headers["retry-after"] == "5"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/no/such/route", 404), ("DELETE", "/v1/ask", 405)])
def test_to_refuse_a_path_or_a_method_the_api_description_is_not_made(
    corpus: Path, corpus_index: Path, method: str, path: str, status: int
) -> None:
    app = create_app(load_settings(documents=corpus, index=corpus_index))  # in which nobody asked for it yet
    client = TestClient(app, base_url="http://localhost")

    assert_problem(client.request(method, path), status)

    assert app.openapi_schema is None
    assert "/v1/ask" in client.get("/openapi.json").json()["paths"]
    assert app.openapi_schema is not None


def test_the_unexpected_is_logged_and_not_told(
    corpus: Path, corpus_index: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(load_settings(documents=corpus, index=corpus_index))
    add_failing_route(app)
    client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
    response = client.post("/fail", content=SENT, headers={**JSON, "X-Request-ID": "4f1c"})
    assert response.headers.get_list("X-Request-ID") == ["4f1c"]
    problem = assert_problem(response, 500, SENT, "Traceback", "RuntimeError")
    assert problem["detail"] == "an unexpected error occurred; it was logged"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "unexpected error in POST /fail"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == f"{SENT} broke it"


def add_failing_route(app: FastAPI) -> None:
    @app.post("/fail")
    def fail() -> None:
        raise RuntimeError(f"{SENT} broke it")
