import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.api import BRACKETS, NON_ASCII, assert_problem, get_document


def test_all_documents_are_listed_by_id(client: TestClient, corpus: Path) -> None:
    listed = client.get("/v1/documents").json()

    def file(document: str) -> dict[str, object]:
        data, modified = (corpus / document).read_bytes(), (corpus / document).stat().st_mtime_ns // 1_000
        written = (datetime(1970, 1, 1) + timedelta(microseconds=modified)).isoformat()
        return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "modified": f"{written}Z"}

    assert listed["documents"] == [
        {"id": "meeting.txt", "title": "meeting", "passages": 48, **file("meeting.txt")},
        {"id": NON_ASCII, "title": "Budget", "passages": 3, **file(NON_ASCII)},
        {"id": BRACKETS, "title": "notes [draft] 100%", "passages": 2, **file(BRACKETS)},
    ]
    assert listed["snapshot"] == client.get("/v1/index").json()["snapshot"]["id"]


@pytest.mark.parametrize(
    "path",
    [
        "minutes/A%C3%B1o%202025%20%E2%80%93%20Z%C3%BCrich.md",
        "minutes%2FA%C3%B1o%202025%20%E2%80%93%20Z%C3%BCrich.md",
        "minutes/Año 2025 – Zürich.md",
        "minutes/An\u0303o 2025 – Zu\u0308rich.md",
    ],
)
def test_a_document_is_found_however_its_id_is_escaped(client: TestClient, path: str) -> None:
    shown = client.get(f"/v1/documents/{path}").json()
    assert shown["id"] == NON_ASCII
    assert shown["title"] == "Budget"
    assert shown["text"] == "# Budget\n\nThe café in Zürich closes in May. The council 😀 voted for seven new trams.\n"
    assert [passage["heading"] for passage in shown["passages"]] == [True, False, False]
    assert [(passage["text"], passage["location"]) for passage in shown["passages"]] == [
        ("Budget", {"start": 2, "end": 8, "line": 1, "paragraph": 1, "section": "Budget"}),
        (
            "The café in Zürich closes in May.",
            {"start": 10, "end": 43, "line": 3, "paragraph": 2, "section": "Budget"},
        ),
        (
            "The council 😀 voted for seven new trams.",
            {"start": 44, "end": 84, "line": 3, "paragraph": 2, "section": "Budget"},
        ),
    ]


def test_documents_are_listed_a_few_at_a_time(client: TestClient) -> None:
    everything = client.get("/v1/documents").json()
    listed, cursor = [], ""
    for _ in range(3):
        answer = client.get("/v1/documents", params={"limit": 1, "cursor": cursor}).json()
        listed += answer["documents"]
        cursor = answer.get("next", "")
    assert (listed, cursor) == (everything["documents"], "")
    assert "next" not in everything


def test_a_document_is_read_by_stretches_of_whole_passages(client: TestClient) -> None:
    whole = get_document(client, "meeting.txt")
    assert (whole["from"], whole["to"], whole["length"]) == (0, len(whole["text"]), len(whole["text"]))
    assert whole["passage_count"] == 48
    assert "next" not in whole

    def stretch(start: int, limit: int) -> dict[str, Any]:
        answer = client.get("/v1/documents/meeting.txt", params={"from": start, "limit": limit}).json()
        assert isinstance(answer, dict)
        return answer

    start: int | None = 0
    texts, passages = [], []
    while start is not None:
        answer = stretch(start, 1_000)
        assert (answer["from"], answer["to"], answer["length"]) == (start, start + len(answer["text"]), whole["length"])
        assert len(answer["text"]) <= 1_000
        texts.append(answer["text"])
        passages += answer["passages"]
        start = answer.get("next")
    assert len(texts) == 3
    assert ("".join(texts), passages) == (whole["text"], whole["passages"])
    inside = stretch(140, 1)
    assert (inside["from"], inside["to"], inside["passages"]) == (129, 175, whole["passages"][1:2])
    assert stretch(10**30, 5)["passages"] == []


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/v1/documents?limit=0", "query.limit"),
        ("/v1/documents?limit=10001", "query.limit"),
        ("/v1/documents/meeting.txt?from=-1", "query.from"),
        ("/v1/documents/meeting.txt?from=x", "query.from"),
        ("/v1/documents/meeting.txt?limit=0", "query.limit"),
        ("/v1/documents/meeting.txt?limit=1000001", "query.limit"),
        ("/v1/documents/meeting.txt?start=5", "query.(unknown field)"),
    ],
)
def test_a_stretch_that_cannot_be_is_refused(client: TestClient, path: str, location: str) -> None:
    problem = assert_problem(client.get(path), 422)
    assert [field["location"] for field in problem["errors"]] == [location]


def test_brackets_and_percent_signs_in_an_id_are_only_characters(client: TestClient) -> None:
    shown = get_document(client, BRACKETS)
    assert (shown["id"], len(shown["passages"])) == (BRACKETS, 2)


def test_passages_stand_in_order_and_verbatim(client: TestClient, corpus: Path) -> None:
    shown = get_document(client, "meeting.txt")
    text = (corpus / "meeting.txt").read_text("utf-8")
    assert shown["text"] == text
    locations = [passage["location"] for passage in shown["passages"]]
    assert [location["start"] for location in locations] == sorted(location["start"] for location in locations)
    for passage, location in zip(shown["passages"], locations, strict=True):
        assert passage["text"] == text[location["start"] : location["end"]]
        assert location["line"] == text.count("\n", 0, location["start"]) + 1
    assert len({passage["citation"] for passage in shown["passages"]}) == 48


@pytest.mark.parametrize(
    "path",
    [
        "nothing.txt",
        "meeting",
        "Meeting.txt",
        "meeting.txt/",
        ".%2Fmeeting.txt",
        "minutes",
        "minutes/*",
        "..%2F..%2F..%2Fetc%2Fpasswd",
        "%2E%2E/%2E%2E/%2E%2E/etc/passwd",
        "minutes/..%2Fmeeting.txt",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "..%5C..%5Cmeeting.txt",
        "meeting.txt%00",
        "%ED%A0%80",
        "%FF",
        "x" * 5_000,
        "",
    ],
)
def test_any_other_id_is_not_found_and_no_file_is_read(client: TestClient, path: str) -> None:
    assert_problem(client.get(f"/v1/documents/{path}"), 404, "passwd", "root:", "Tehran")
