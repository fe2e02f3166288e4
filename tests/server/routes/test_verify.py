import json
import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient

from sourceline.server.models import MAX_QUOTES, MAX_TEXT
from tests.support.api import NON_ASCII, assert_problem, get_document, post_raw


def verify(client: TestClient, text: str) -> dict[str, Any]:
    response = client.post("/v1/verify", json={"text": text})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert isinstance(answer, dict)
    return answer


def test_a_quotation_has_its_place_and_its_citation(client: TestClient) -> None:
    passage = get_document(client, NON_ASCII)["passages"][2]
    text = "The council 😀 voted for seven new trams."
    answer = verify(client, f"😀 It says: “{text}”")
    assert answer["stands"] is True
    assert answer["snapshot"] == client.get("/v1/index").json()["snapshot"]["id"]
    assert answer["took_ms"] > 0
    assert answer["quotes"] == [
        {
            "kind": "quotation",
            "start": 12,  # in code points
            "end": 12 + len(text),
            "text": text,
            "status": "verbatim",
            "stands": True,
            "citations": [passage["citation"]],
            "places": [
                {
                    "document": {"id": NON_ASCII, "title": "Budget"},
                    "start": passage["location"]["start"],
                    "end": passage["location"]["end"],
                    "passages": [passage],
                }
            ],
            "place_count": 1,
        }
    ]


def test_what_is_altered_says_what_differs_and_what_is_absent_says_what_is_nearest(client: TestClient) -> None:
    answer = verify(client, "The council 😀 voted for eleven new trams.\n\nPenguins live in the south and eat fish.")
    assert answer["stands"] is False
    altered, absent = answer["quotes"]
    assert (altered["status"], altered["similarity"], altered["stands"]) == ("altered", 0.8571, False)
    document = get_document(client, NON_ASCII)["text"]
    (difference,) = altered["differences"]
    assert (difference["quoted"], difference["text"]) == ("eleven", "seven")
    assert document[difference["source"]["start"] : difference["source"]["end"]] == "seven"
    assert difference["quote"] == {"start": 24, "end": 30}
    assert (absent["status"], len(absent["places"])) == ("absent", 3)
    assert not {"similarity", "differences"} & absent.keys()


def test_there_are_at_most_so_many_quotations(client: TestClient) -> None:
    assert len(verify(client, "No. " * MAX_QUOTES)["quotes"]) == MAX_QUOTES
    problem = assert_problem(client.post("/v1/verify", json={"text": "No. " * (MAX_QUOTES + 1)}), 422)
    assert problem["detail"] == "the text cannot be checked"
    (field,) = problem["errors"]
    assert field["location"] == "body.text"
    assert field["message"] == "the text has 501 quotations and sentences; at most 500 are checked"


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"text": ""}',
        '{"text": 7}',
        '{"text": null}',
        '{"text": ["a"]}',
        '{"text": "SENT", "k": 3}',
        '{"text": "SENT \\ud800"}',
    ],
)
def test_a_request_that_does_not_fit_is_refused(client: TestClient, body: str) -> None:
    assert_problem(post_raw(client, body, "/v1/verify"), 422, "SENT")


def test_a_text_is_as_long_as_a_body_may_be(client: TestClient) -> None:
    assert_problem(client.post("/v1/verify", json={"text": "a" * MAX_TEXT}), 413)
    assert verify(client, "a" * (MAX_TEXT - 20))["quotes"][0]["status"] == "too_short"


@pytest.mark.parametrize("text", ["\0", "\u202e", '"' * 10_000, "“" * 10_000, "[T]" * 5_000, "…" * 5_000, "\x1b[31m"])
def test_hostile_text_is_answered(client: TestClient, text: str) -> None:
    assert client.post(
        "/v1/verify", content=json.dumps({"text": text}), headers={"content-type": "application/json"}
    ).is_success


def test_texts_are_checked_beside_each_other(client: TestClient) -> None:
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(verify(client, "He met nobody in Baghdad."))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({json.dumps(answer["quotes"]) for answer in answers}) == 1
    assert len(answers) == 4
