import pytest
from fastapi.testclient import TestClient

from sourceline.retrieval import examples as made
from sourceline.server.routes import examples as route


def test_examples_are_questions_that_are_answered(client: TestClient) -> None:
    body = client.get("/v1/examples").json()
    assert body["generation"] == client.get("/v1/index").json()["generation"]["id"]
    assert 0 < len(body["questions"]) <= made.MOST
    for question in body["questions"]:
        assert client.post("/v1/ask", json={"question": question}).json()["answerable"]


def test_the_examples_of_a_generation_are_made_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    first = client.get("/v1/examples").json()
    monkeypatch.setattr(route, "examples", lambda searcher: ["made anew"])
    assert client.get("/v1/examples").json() == first
