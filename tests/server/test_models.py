"""What the models make of the domain's types."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from sourceline.server import models
from sourceline.server.models import (
    AskResponse,
    CitationResponse,
    DocumentResponse,
    DocumentsResponse,
    PassageLocation,
    RebuildStatus,
)
from sourceline.types import (
    Answer,
    BuildReport,
    Citation,
    CitationStatus,
    Context,
    DocumentInfo,
    DocumentList,
    DocumentText,
    Hit,
    Location,
    Passage,
    PassageInContext,
    RebuildState,
    Scores,
    Span,
    Verdict,
)

PASSAGE = Passage("id1", "minutes/a.md", 3, 10, 31, "Der Zug “hält” 😀 hier.", Location(4, 2, "Fahrplan"))
BARE = Passage("id2", "b.txt", 0, 0, 5, "So\u2028so", Location(1, 1))
HIT = Hit(
    rank=1,
    score=0.1,
    passage=PASSAGE,
    title="Minutes",
    context=Context("", "Danach."),
    highlights=(Span(0, 3), Span(8, 14)),
    scores=Scores(0.5, 1e-7, 0.1, 3.21),
    also=("id7", "id8"),
)
BARE_HIT = Hit(2, 1 / 3, BARE, "B", Context("davor", ""), (), Scores(-0.25, 0.0, 1 / 3))
CITED = PassageInContext(PASSAGE, "Minutes", Context("", "Danach."), "Vor ", " Danach. Und")
NOW = PassageInContext(BARE, "B", Context("davor", ""), "davor ", "")
PLACE = {
    "document": {"id": "minutes/a.md", "title": "Minutes"},
    "location": {"start": 10, "end": 31, "line": 4, "paragraph": 2, "section": "Fahrplan"},
    "context": {"before": "", "after": "Danach."},
}
PLACE_NOW = {
    "document": {"id": "b.txt", "title": "B"},
    "location": {"start": 0, "end": 5, "line": 1, "paragraph": 1},
    "context": {"before": "davor", "after": ""},
}


def sent(model: BaseModel) -> Any:
    """Return a model as a client reads it; its own schema must take it back."""
    written = model.model_dump_json(exclude_none=True)
    assert type(model).model_validate_json(written, strict=True) == model
    return json.loads(written)


@pytest.mark.parametrize("explain", [False, True])
def test_an_answer_with_its_passages(explain: bool) -> None:
    answer = Answer("Wo hält der Zug?", Verdict.ANSWERED, 0.98765, (HIT, BARE_HIT), "s1")
    scores = (
        {"scores": {"dense": 0.5, "bm25": 1e-7, "late": 0.1, "reader": 3.21}},
        {"scores": {"dense": -0.25, "bm25": 0.0, "late": 1 / 3}},
    )
    assert sent(AskResponse.from_answer(answer, 1.23456, explain)) == {
        "question": "Wo hält der Zug?",
        "verdict": "answered",
        "answerable": True,
        "confidence": 0.9877,
        "passages": [
            {
                "rank": 1,
                "score": 0.1,
                "citation": "id1",
                "text": "Der Zug “hält” 😀 hier.",
                **PLACE,
                "highlights": [{"start": 0, "end": 3}, {"start": 8, "end": 14}],
                "also": ["id7", "id8"],
                **(scores[0] if explain else {}),
            },
            {
                "rank": 2,
                "score": 1 / 3,
                "citation": "id2",
                "text": "So\u2028so",
                **PLACE_NOW,
                "highlights": [],
                **(scores[1] if explain else {}),
            },
        ],
        "snapshot": "s1",
        "took_ms": 1.235,
    }


@pytest.mark.parametrize("verdict", Verdict)
def test_only_the_verdict_answered_is_answerable(verdict: Verdict) -> None:
    answer = sent(AskResponse.from_answer(Answer("Wo?", verdict, 0.4, (BARE_HIT,), "s1"), 0.0))
    assert (answer["verdict"], answer["answerable"]) == (verdict.value, verdict is Verdict.ANSWERED)


def test_an_answer_without_passages() -> None:
    answer = sent(AskResponse.from_answer(Answer("Wo?", Verdict.NOT_ANSWERED, 0.0, (), "s1"), 0.0, explain=True))
    assert (answer["verdict"], answer["answerable"], answer["passages"]) == ("not_answered", False, [])


def test_a_score_that_is_no_number_is_null() -> None:
    hit = Hit(1, float("nan"), BARE, "B", Context(), (), Scores(0.0, 0.0, float("nan")))
    answer = AskResponse.from_answer(Answer("Wo?", Verdict.NOT_ANSWERED, 0.0, (hit,), "s1"), 0.0)
    assert json.loads(answer.model_dump_json())["passages"][0]["score"] is None


@pytest.mark.parametrize(
    ("status", "now", "similarity", "place", "successor"),
    [
        (CitationStatus.CURRENT, CITED, None, PLACE, None),
        (CitationStatus.MOVED, NOW, None, PLACE_NOW, 1.0),
        (CitationStatus.CHANGED, NOW, 0.123456, PLACE, 0.1235),
        (CitationStatus.REMOVED, None, None, PLACE, None),
    ],
)
def test_a_citation_of_each_status(
    status: CitationStatus,
    now: PassageInContext | None,
    similarity: float | None,
    place: dict[str, object],
    successor: float | None,
) -> None:
    citation = sent(CitationResponse.from_citation(Citation("id 1/ä", status, CITED, now, similarity)))
    shown = NOW if status is CitationStatus.MOVED else CITED
    quote, position = citation.pop("selectors")
    assert quote == {
        "type": "TextQuoteSelector",
        "exact": shown.passage.text,
        "prefix": shown.prefix,
        "suffix": shown.suffix,
    }
    assert position == {"type": "TextPositionSelector", "start": shown.passage.start, "end": shown.passage.end}
    assert citation == {
        **place,
        "citation": "id 1/ä",
        "status": status.value,
        "text": PASSAGE.text,
        "heading": False,
        "url": "/v1/citations/id%201%2F%C3%A4",
        "cited": PLACE,
        **(
            {
                "successor": {
                    **PLACE_NOW,
                    "citation": "id2",
                    "text": BARE.text,
                    "similarity": successor,
                    "url": "/v1/citations/id2",
                }
            }
            if successor
            else {}
        ),
    }


def test_a_place_without_a_section() -> None:
    assert sent(PassageLocation.from_passage(BARE)) == {"start": 0, "end": 5, "line": 1, "paragraph": 1}


def test_documents() -> None:
    listed = DocumentsResponse.from_list(DocumentList((DocumentInfo("b.txt", "B", "abc", 1),), "s1"))
    assert sent(listed) == {
        "documents": [{"id": "b.txt", "title": "B", "sha256": "abc", "passages": 1, "speakers": []}],
        "snapshot": "s1",
    }
    document = DocumentResponse.from_document(DocumentText("b.txt", "B", "abc", "So\u2028so", (BARE,), "s1", 9, 4, 2))
    assert sent(document) == {
        "id": "b.txt",
        "title": "B",
        "sha256": "abc",
        "from": 2,
        "to": 7,
        "length": 9,
        "next": 7,
        "passage_count": 4,
        "text": "So\u2028so",
        "passages": [{"citation": "id2", "text": "So\u2028so", "heading": False, "location": PLACE_NOW["location"]}],
        "snapshot": "s1",
    }


def test_the_report_of_a_rebuild() -> None:
    report = BuildReport("s1", ("ä.txt",), (), ("c",), (), {"b.txt": "empty"}, {"d.pdf": "unknown"}, 3, 2, 1, 0.5)
    status = sent(RebuildStatus(state=RebuildState.SUCCEEDED, report=report))
    assert status == {
        "state": "succeeded",
        "report": {
            "snapshot": "s1",
            "added": ["ä.txt"],
            "changed": [],
            "unchanged": ["c"],
            "removed": [],
            "skipped": {"b.txt": "empty"},
            "ignored": {"d.pdf": "unknown"},
            "passages": 3,
            "chunks": 2,
            "encoded": 1,
            "seconds": 0.5,
            "warnings": [],
        },
    }


@pytest.mark.parametrize("explain", [False, True])
def test_an_answer_over_http_is_what_its_model_says(client: TestClient, explain: bool) -> None:
    answer = client.post("/v1/ask", json={"question": "Who met Pezeshkian?", "k": 50, "explain": explain})
    model = AskResponse.model_validate_json(answer.content, strict=True)
    assert answer.text == model.model_dump_json(exclude_none=True)
    assert len(model.passages) > 5
    assert {passage.scores is not None for passage in model.passages} == {explain}


EXAMPLES = [
    (model, example)
    for model in vars(models).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model is not BaseModel
    for example in model.model_json_schema().get("examples", ())
]


@pytest.mark.parametrize(("model", "example"), EXAMPLES)
def test_every_example_fits_its_model(model: type[BaseModel], example: dict[str, Any]) -> None:
    parsed = model.model_validate_json(json.dumps(example), strict=True)
    assert json.loads(parsed.model_dump_json(exclude_unset=True, exclude_none=True)) == example


def test_the_example_of_an_answer_is_what_is_answered_but_for_its_figures(client: TestClient) -> None:
    (example,) = [example for model, example in EXAMPLES if model is AskResponse]
    answer = client.post("/v1/ask", json={"question": example["question"], "k": 1}).json()
    figures = {"confidence": 0, "snapshot": "", "took_ms": 0}
    shown, given = (
        {**answered, **figures, "passages": [passage | {"score": 0} for passage in answered["passages"]]}
        for answered in (example, answer)
    )
    assert given == shown
