"""What is made for the wire without models is what the schemas describe, and nothing else."""

import json
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from sourceline.server import wire
from sourceline.server.models import AskResponse, CitationBody, LocationBody
from sourceline.types import Answer, Citation, CitationStatus, Hit, Location, Passage, PassageInContext, Scores, Span

PASSAGE = Passage("id1", "minutes/a.md", 3, 10, 31, "Der Zug “hält” 😀 hier.", Location(4, 2, "Fahrplan"))
BARE = Passage("id2", "b.txt", 0, 0, 5, "So\u2028so", Location(1, 1))
HIT = Hit(1, 0.1, PASSAGE, "Minutes", "", "Danach.", (Span(0, 3), Span(8, 14)), Scores(0.5, 1e-7, 0.1), ("id7", "id8"))
BARE_HIT = Hit(2, 1 / 3, BARE, "B", "davor", "", (), Scores(-0.25, 0.0, 1 / 3))
STANDING = PassageInContext(PASSAGE, "Minutes", "", "Danach.")
MOVED = PassageInContext(BARE, "B", "davor", "")


def assert_fits(schema: type[BaseModel], body: wire.Body) -> Any:
    """Assert that a body is what its schema says, field by field and in its order; return it as a client reads it."""
    written = wire.dump(body)
    model = schema.model_validate_json(written, strict=True)
    assert written.decode() == model.model_dump_json(exclude_none=True)
    return json.loads(written)


@pytest.mark.parametrize("explain", [False, True])
def test_an_answer_is_what_its_schema_says(explain: bool) -> None:
    answer = Answer("Wo hält der Zug?", True, 0.98765, (HIT, BARE_HIT), "g1")
    found = assert_fits(AskResponse, wire.answer(answer, explain, 1.23456))
    first, second = found["passages"]
    assert (found["confidence"], found["took_ms"], found["snapshot"]) == (0.9877, 1.235, "g1")
    assert first["location"] == {"start": 10, "end": 31, "line": 4, "paragraph": 2, "section": "Fahrplan"}
    assert first["highlights"] == [{"start": 0, "end": 3}, {"start": 8, "end": 14}]
    assert first["also"] == ["id7", "id8"]
    assert first.get("scores") == ({"dense": 0.5, "lexical": 1e-7, "late": 0.1} if explain else None)
    assert second["location"] == {"start": 0, "end": 5, "line": 1, "paragraph": 1}
    assert (second["text"], second["score"], second["highlights"]) == ("So\u2028so", 1 / 3, [])
    assert "also" not in second


def test_an_answer_without_passages_is_what_its_schema_says() -> None:
    found = assert_fits(AskResponse, wire.answer(Answer("Wo?", False, 0.0, (), "g1"), True, 0.0))
    assert found["passages"] == []


@pytest.mark.parametrize(
    ("status", "now", "similarity", "successor"),
    [
        (CitationStatus.CURRENT, STANDING, None, None),
        (CitationStatus.MOVED, MOVED, None, ("id2", 1.0)),
        (CitationStatus.CHANGED, MOVED, 0.123456, ("id2", 0.1235)),
        (CitationStatus.REMOVED, None, None, None),
    ],
)
def test_a_citation_is_what_its_schema_says(
    status: CitationStatus, now: PassageInContext | None, similarity: float | None, successor: tuple[str, float] | None
) -> None:
    found = assert_fits(CitationBody, wire.citation(Citation("id1", status, STANDING, now, similarity)))
    shown = "b.txt" if status is CitationStatus.MOVED else "minutes/a.md"
    assert (found["status"], found["text"], found["document"]["id"]) == (status.value, PASSAGE.text, shown)
    assert found["cited"]["document"] == {"id": "minutes/a.md", "title": "Minutes"}
    assert [selector["type"] for selector in found["selectors"]] == ["TextQuoteSelector", "TextPositionSelector"]
    after = found.get("successor")
    assert (after and (after["citation"], after["similarity"])) == successor


def test_a_place_is_what_its_schema_says() -> None:
    assert assert_fits(LocationBody, wire.location(BARE)) == {"start": 0, "end": 5, "line": 1, "paragraph": 1}
    assert assert_fits(LocationBody, wire.location(replace(PASSAGE, start=0)))["section"] == "Fahrplan"


@pytest.mark.parametrize("explain", [False, True])
def test_an_answer_over_http_is_what_its_schema_says(client: TestClient, explain: bool) -> None:
    answer = client.post("/v1/ask", json={"question": "Who met Pezeshkian?", "k": 50, "explain": explain})
    model = AskResponse.model_validate_json(answer.content, strict=True)
    assert answer.text == model.model_dump_json(exclude_none=True)
    assert len(model.passages) > 5
    assert {passage.scores is not None for passage in model.passages} == {explain}
