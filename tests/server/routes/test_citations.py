from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import Rebuild
from tests.support.api import NON_ASCII, assert_problem, get_document, serve


def look_up(client: TestClient, citation: str) -> dict[str, Any]:
    response = client.get(f"/v1/citations/{citation}")
    assert response.status_code == 200, response.text
    citation = response.json()
    assert isinstance(citation, dict)
    return citation


def test_a_citation_says_what_was_cited_and_where_it_stands(client: TestClient) -> None:
    citation = get_document(client, NON_ASCII)["passages"][1]["citation"]
    place = {
        "document": {"id": NON_ASCII, "title": "Budget"},
        "location": {"start": 10, "end": 43, "line": 3, "paragraph": 2, "section": "Budget"},
        "context": {"before": "", "after": "The council 😀 voted for seven new trams."},
    }
    assert look_up(client, citation) == {
        "citation": citation,
        "status": "current",
        "text": "The café in Zürich closes in May.",
        "heading": False,
        **place,
        "selectors": [
            {
                "type": "TextQuoteSelector",
                "exact": "The café in Zürich closes in May.",
                "prefix": "# Budget\n\n",
                "suffix": " The council 😀 voted for seven new trams.\n",
            },
            {"type": "TextPositionSelector", "start": 10, "end": 43},
        ],
        "url": f"/v1/citations/{citation}",
        "cited": place,
        "source": "unchanged",
    }


def test_a_heading_has_a_citation_that_says_what_it_is(client: TestClient) -> None:
    looked_up = look_up(client, get_document(client, NON_ASCII)["passages"][0]["citation"])
    assert (looked_up["status"], looked_up["text"], looked_up["heading"]) == ("current", "Budget", True)
    assert looked_up["location"] == {"start": 2, "end": 8, "line": 1, "paragraph": 1, "section": "Budget"}


def test_the_citation_of_an_answer_is_found_under_its_url(client: TestClient) -> None:
    answer = client.post("/v1/ask", json={"question": "Who met Pezeshkian?"}).json()
    for passage in answer["passages"]:
        looked_up = look_up(client, passage["citation"])
        assert (looked_up["status"], looked_up["text"]) == ("current", passage["text"])
        assert (looked_up["document"], looked_up["location"]) == (passage["document"], passage["location"])
        assert client.get(looked_up["url"]).json() == looked_up


def test_the_selectors_of_every_citation_point_at_its_text(client: TestClient, texts: dict[str, str]) -> None:
    for document, text in texts.items():
        for passage in get_document(client, document)["passages"]:
            quote, position = look_up(client, passage["citation"])["selectors"]
            start, end = position["start"], position["end"]
            assert quote["exact"] == passage["text"] == text[start:end]
            assert quote["prefix"] == text[max(0, start - 64) : start]
            assert quote["suffix"] == text[end : end + 64]


def test_many_are_looked_up_in_the_order_of_the_request_and_unknown_ones_are_named(client: TestClient) -> None:
    first, second = (passage["citation"] for passage in get_document(client, "meeting.txt")["passages"][:2])
    response = client.post("/v1/citations/lookup", json={"citations": [second, "neverissued", first, second]})
    assert response.status_code == 200
    assert response.json() == {
        "citations": [
            look_up(client, second),
            {"citation": "neverissued", "status": "unknown"},
            look_up(client, first),
            look_up(client, second),
        ]
    }


def test_a_thousand_citations_are_looked_up_at_once(client: TestClient) -> None:
    citation = get_document(client, "meeting.txt")["passages"][0]["citation"]
    response = client.post("/v1/citations/lookup", json={"citations": [citation] * 1_000})
    assert response.json()["citations"] == [look_up(client, citation)] * 1_000
    refused = client.post("/v1/citations/lookup", json={"citations": [citation] * 1_001})
    assert_problem(refused, 422, citation)


@pytest.mark.parametrize("citation", ["neverissued", "%ED%A0%80", "%00", "%0A", "a%2Fb", "lookup", "x" * 5_000])
def test_an_id_that_was_never_issued_is_not_found(client: TestClient, citation: str) -> None:
    assert_problem(client.get(f"/v1/citations/{citation}"), 404, citation)


def test_what_became_of_a_citation_is_told_after_an_edit(documents: Path, index: Path, rebuild: Rebuild) -> None:
    minutes = documents / "minutes.txt"
    moved, kept = "The harbour was dredged in the spring.", "Nobody objected to the plan."
    edited, gone = "Fares rise by 7 percent in July.", "The mayor sang an old sea shanty."
    minutes.write_text(f"{moved} {kept} {edited} {gone}\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        ids = {passage["text"]: passage["citation"] for passage in get_document(client, "minutes.txt")["passages"]}
    minutes.write_text(f"{kept} Fares rise by 9 percent in July.\n")
    (documents / "harbour.txt").write_text(f"In other news. {moved}\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        looked_up = {text: look_up(client, citation) for text, citation in ids.items()}
        successors = {p["text"]: p["citation"] for p in get_document(client, "minutes.txt")["passages"]}
        (_, harbour) = get_document(client, "harbour.txt")["passages"]
    assert {text: citation["status"] for text, citation in looked_up.items()} == {
        moved: "moved",
        kept: "current",
        edited: "changed",
        gone: "removed",
    }
    assert all(citation["text"] == text for text, citation in looked_up.items())
    assert looked_up[moved]["document"]["id"] == "harbour.txt"
    assert looked_up[moved]["cited"]["document"]["id"] == "minutes.txt"
    assert looked_up[moved]["successor"]["citation"] == harbour["citation"]
    assert looked_up[moved]["successor"]["similarity"] == 1
    assert looked_up[kept]["location"]["start"] == 0
    successor = looked_up[edited]["successor"]
    assert successor["text"] == "Fares rise by 9 percent in July."
    assert successor["citation"] == successors[successor["text"]]
    assert successor["url"] == f"/v1/citations/{successor['citation']}"
    assert successor["similarity"] == pytest.approx(6 / 7, abs=1e-4)
    assert looked_up[edited]["location"] == looked_up[edited]["cited"]["location"]
    assert "successor" not in looked_up[gone]
    assert "successor" not in looked_up[kept]


def test_a_citation_says_if_its_file_has_changed_or_is_gone_since_the_snapshot(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The pool opens in May.\n")
    (documents / "b.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        citation = get_document(client, "a.txt")["passages"][0]["citation"]
        assert look_up(client, citation)["source"] == "unchanged"
        (documents / "a.txt").write_text("The pool opens in June.\n")
        assert look_up(client, citation)["source"] == "changed"
        (documents / "a.txt").unlink()
        looked_up = look_up(client, citation)
        assert (looked_up["status"], looked_up["source"]) == ("current", "missing")
        assert client.post("/v1/citations/lookup", json={"citations": [citation]}).json()["citations"] == [looked_up]
