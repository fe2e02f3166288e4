"""A question is read in one step or, with all that does not fit, by FastAPI: nobody can tell which."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.server.test_problems import INVALID, NOT_JSON

AT_ONCE = "application/json"
BY_FASTAPI = "application/json; charset=utf-8"  # any type but the bare one is FastAPI's to read

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


def read(client: TestClient, body: str | bytes, kind: str) -> Response:
    return client.post("/v1/ask", content=body, headers={"content-type": kind})


def assert_same(client: TestClient, body: str | bytes) -> None:
    one, other = (read(client, body, kind) for kind in (AT_ONCE, BY_FASTAPI))
    assert one.status_code == other.status_code
    assert one.headers["content-type"] == other.headers["content-type"]
    assert without_time(one) == without_time(other)


def without_time(response: Response) -> Any:
    answer = response.json()
    answer.pop("took_ms", None)
    return answer


@pytest.mark.parametrize("body", [*INVALID.values(), *NOT_JSON.values(), *ODD.values()])
def test_what_is_odd_is_read_as_fastapi_reads_it(client: TestClient, body: str | bytes) -> None:
    assert_same(client, body)


def test_what_is_odd_is_answered_or_refused(client: TestClient) -> None:
    found = {name: read(client, body, AT_ONCE).status_code for name, body in ODD.items()}
    assert [name for name, status in found.items() if status == 200] == [
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


@settings(max_examples=100, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@example({"question": "Who met him?", "k": 2, "explain": True, "filters": {"documents": ["*.txt"]}})
@given(FIELDS)
def test_any_object_is_read_as_fastapi_reads_it(client: TestClient, fields: dict[str, Any]) -> None:
    assert_same(client, json.dumps(fields))


def test_every_field_that_was_sent_counts(client: TestClient) -> None:
    body = json.dumps({"question": "Who met him?", "k": 2, "explain": True, "filters": {"documents": ["meeting*"]}})
    answer = read(client, body, AT_ONCE).json()
    assert len(answer["passages"]) == 2
    assert all(passage["document"]["id"] == "meeting.txt" and passage["scores"] for passage in answer["passages"])
    elsewhere = read(client, body.replace("meeting", "nothing"), AT_ONCE).json()
    assert (elsewhere["passages"], elsewhere["answerable"]) == ([], False)


@pytest.mark.parametrize("kind", ["application/vnd.api+json", "Application/JSON", " application/json "])
def test_every_type_of_json_is_read(client: TestClient, kind: str) -> None:
    assert read(client, '{"question": "Who met Pezeshkian?"}', kind).status_code == 200
