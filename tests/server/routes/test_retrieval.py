"""Dify's contract of an external knowledge base, as its documentation has it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from sourceline.api import Index
from tests.support.api import assert_problem, serve

MEETING = "2026/2026-03-04 meeting.md"
BUDGET = "2026/2026-05-01 Budget.txt"
NOTES = "notes.txt"
DOCUMENTS = {
    MEETING: "# Harbour\n\nThe harbour crane was repaired in May. It lifts forty tons again.\n",
    BUDGET: "The council voted for seven new trams. The harbour crane costs 4,100 francs.\n",
    NOTES: "The caretaker reported a leaking roof. The crane in the harbour is yellow.\n",
}
KEY = "s3cret"
QUERY = "What was repaired in May?"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("retrieval")
    return folder / "documents", folder / "index"


@pytest.fixture(scope="module")
def dify(folders: tuple[Path, Path], exported: Path) -> Iterator[TestClient]:
    documents, index = folders
    for name, text in DOCUMENTS.items():
        (documents / name).parent.mkdir(parents=True, exist_ok=True)
        (documents / name).write_text(text, "utf-8")
    shutil.copytree(exported, index, copy_function=os.link)
    Index.build(documents, index)
    with serve(documents, index) as client:
        yield client


def retrieve(client: TestClient, query: str = QUERY, knowledge: str = "*", k: int = 10, **more: Any) -> Response:
    setting = {"top_k": k, "score_threshold": more.pop("score_threshold", 0.0)}
    body = {"knowledge_id": knowledge, "query": query, "retrieval_setting": setting, **more}
    return client.post("/retrieval", json=body)


def documents_of(response: Response) -> set[str]:
    assert response.status_code == 200, response.text
    return {record["metadata"]["document"] for record in response.json()["records"]}


def found(client: TestClient, *conditions: dict[str, Any], operator: str = "and") -> set[str]:
    condition = {"logical_operator": operator, "conditions": list(conditions)}
    return documents_of(retrieve(client, metadata_condition=condition))


def test_records_are_sentences_with_where_they_stand(dify: TestClient) -> None:
    answer = dify.post("/v1/ask", json={"question": QUERY, "k": 1}).json()
    (record,) = retrieve(dify, k=1).json()["records"]
    assert record == {
        "content": "The harbour crane was repaired in May.",
        "score": answer["confidence"],
        "title": "Harbour",
        "metadata": {
            "citation": answer["passages"][0]["citation"],
            "document": MEETING,
            "start": 11,
            "end": 49,
            "line": 3,
            "section": "Harbour",
            "before": "",
            "after": "It lifts forty tons again.",
            "verdict": answer["verdict"],
        },
    }


def test_scores_lie_between_0_and_1_and_fall(dify: TestClient) -> None:
    records = retrieve(dify).json()["records"]
    scores = [record["score"] for record in records]
    assert len(scores) == 6
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_records_below_the_threshold_are_left_out(dify: TestClient) -> None:
    records = retrieve(dify).json()["records"]
    threshold = records[2]["score"]
    kept = retrieve(dify, score_threshold=threshold).json()["records"]
    assert kept == [record for record in records if record["score"] >= threshold]
    assert len(kept) < len(records)
    assert retrieve(dify, query="Who won the football match?", score_threshold=0.5).json() == {"records": []}


@pytest.mark.parametrize("setting", [{"top_k": 2, "score_threshold": None}, {"top_k": 2}])
def test_without_a_threshold_nothing_is_left_out(dify: TestClient, setting: dict[str, Any]) -> None:
    body = {"knowledge_id": "*", "query": "Who won the football match?", "retrieval_setting": setting}
    assert len(dify.post("/retrieval", json=body).json()["records"]) == 2


@pytest.mark.parametrize(
    ("knowledge", "documents"),
    [("*", {*DOCUMENTS}), ("2026/*", {MEETING, BUDGET}), (NOTES, {NOTES}), ("2026/*.txt", {BUDGET})],
)
def test_a_knowledge_id_names_documents(dify: TestClient, knowledge: str, documents: set[str]) -> None:
    assert documents_of(retrieve(dify, knowledge=knowledge)) == documents


def test_a_knowledge_that_does_not_exist_is_told_as_dify_expects_it(dify: TestClient) -> None:
    problem = assert_problem(retrieve(dify, knowledge="2019/*"), 404, "2019")
    assert (problem["error_code"], problem["error_msg"]) == (2001, problem["detail"])


@pytest.mark.parametrize(
    ("name", "operator", "value", "documents"),
    [
        ("title", "contains", "BUDGET", {BUDGET}),
        ("title", "not contains", "budget", {MEETING, NOTES}),
        ("title", "start with", "har", {MEETING}),
        ("document", "end with", ".TXT", {BUDGET, NOTES}),
        ("document", "is", NOTES, {NOTES}),
        ("document", "=", NOTES, {NOTES}),
        ("document", "is not", NOTES, {MEETING, BUDGET}),
        ("document", "≠", NOTES, {MEETING, BUDGET}),
        ("document", "in", [NOTES, MEETING], {NOTES, MEETING}),
        ("document", "not in", [NOTES, MEETING], {BUDGET}),
        ("date", "empty", None, {NOTES}),
        ("date", "not empty", None, {MEETING, BUDGET}),
        ("date", "is", "2026-03-04", {MEETING}),
        ("date", "is not", "2026-03-04", {BUDGET}),
        ("date", "before", "2026-05-01", {MEETING}),
        ("date", "after", "2026-03-04T12:00:00", {BUDGET}),
        ("date", "<", 1_777_593_600, {MEETING}),  # 2026-05-01 in UTC
        ("date", "≤", 1_777_593_600, {MEETING, BUDGET}),
        ("date", ">", "2026-03-04", {BUDGET}),
        ("date", "≥", "2026-03-04", {MEETING, BUDGET}),
        (["title", "document"], "contains", "harbour", {MEETING}),
        (["title", "document"], "contains", "notes", {NOTES}),
    ],
)
def test_conditions_choose_documents(
    dify: TestClient, name: object, operator: str, value: object, documents: set[str]
) -> None:
    assert found(dify, {"name": name, "comparison_operator": operator, "value": value}) == documents


def test_conditions_are_joined_by_and_or_or(dify: TestClient) -> None:
    dated = {"name": "date", "comparison_operator": "after", "value": "2026-04-01"}
    noted = {"name": "document", "comparison_operator": "is", "value": NOTES}
    assert found(dify, dated, noted) == set()
    assert found(dify, dated, noted, operator="or") == {BUDGET, NOTES}
    assert found(dify, operator="or") == {*DOCUMENTS}
    both = {"logical_operator": "or", "conditions": [dated, noted]}
    assert documents_of(retrieve(dify, knowledge="2026/*", metadata_condition=both)) == {BUDGET}


@pytest.mark.parametrize(
    ("condition", "location", "message"),
    [
        (
            {"name": "title", "comparison_operator": ">", "value": "a"},
            "comparison_operator",
            "title cannot be compared so",
        ),
        (
            {"name": "date", "comparison_operator": "contains", "value": "2026"},
            "comparison_operator",
            "date cannot be compared so",
        ),
        ({"name": "title", "comparison_operator": "is"}, "value", "a text is needed to compare with"),
        (
            {"name": "date", "comparison_operator": "is", "value": "May"},
            "value",
            "a day is needed: YYYY-MM-DD, or seconds since 1970",
        ),
        (
            {"name": "date", "comparison_operator": "is", "value": 1e300},
            "value",
            "a day is needed: YYYY-MM-DD, or seconds since 1970",
        ),
    ],
)
def test_a_condition_that_cannot_be_tested_is_refused(
    dify: TestClient, condition: dict[str, Any], location: str, message: str
) -> None:
    problem = assert_problem(retrieve(dify, metadata_condition={"conditions": [condition]}), 422)
    assert problem["errors"] == [{"location": f"body.metadata_condition.conditions.0.{location}", "message": message}]


@pytest.mark.parametrize(
    "wrong",
    [
        {"knowledge_id": ""},
        {"query": ""},
        {"retrieval_setting": {"top_k": 0}},
        {"retrieval_setting": {"top_k": 101}},
        {"retrieval_setting": {"score_threshold": 1.5}},
        {"metadata_condition": {"conditions": [{"name": "colour", "comparison_operator": "is", "value": "red"}]}},
        {"metadata_condition": {"conditions": [{"name": "title", "comparison_operator": "like", "value": "red"}]}},
        {"metadata_condition": {"logical_operator": "xor", "conditions": []}},
    ],
)
def test_what_does_not_fit_is_refused(dify: TestClient, wrong: dict[str, Any]) -> None:
    body = {"knowledge_id": "*", "query": QUERY, "retrieval_setting": {"top_k": 1, "score_threshold": 0}}
    assert_problem(dify.post("/retrieval", json=body | wrong), 422)


def test_what_a_newer_dify_adds_is_passed_over(dify: TestClient) -> None:
    assert retrieve(dify, dataset_id="1").status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, 1001), ({"Authorization": KEY}, 1001), ({"Authorization": "Bearer wrong"}, 1002)],
)
def test_without_the_key_dify_is_told_so_as_it_expects_it(
    folders: tuple[Path, Path], dify: TestClient, headers: dict[str, str], code: int
) -> None:
    with serve(*folders, api_key=KEY) as client:
        response = client.post("/retrieval", json={}, headers=headers)
        problem = assert_problem(response, 403, "wrong")
        assert (problem["error_code"], problem["error_msg"]) == (code, "send the key: Authorization: Bearer KEY")
        client.headers["Authorization"] = f"Bearer {KEY}"
        assert documents_of(retrieve(client)) == {*DOCUMENTS}
