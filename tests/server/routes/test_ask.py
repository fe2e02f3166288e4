import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import SEEDS, Rebuild
from tests.support.api import BRACKETS, NON_ASCII, assert_problem, get_document, serve
from tests.support.reading import SURELY, read_with, score_for

MEETING = (
    "President Masoud Pezeshkian reaffirmed Iran Iraq ties during a formal meeting in Tehran "
    "with Iraqi Foreign Minister Fuad Hussein."
)
BRIDGE, OAK = "The bridge opens on Monday.", "It is made of oak."
QUESTIONS = [json.loads(line)["question"] for line in (SEEDS / "questions.jsonl").read_text("utf-8").splitlines()]


def ask(client: TestClient, question: str, **more: Any) -> dict[str, Any]:
    response = client.post("/v1/ask", json={"question": question, **more})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert isinstance(answer, dict)
    return answer


def assert_verbatim(passage: dict[str, Any], texts: dict[str, str]) -> None:
    location = passage["location"]
    assert passage["text"] == texts[passage["document"]["id"]][location["start"] : location["end"]]


def citations_of(client: TestClient, document: str) -> set[str]:
    passages = get_document(client, document)["passages"]
    return {passage["citation"] for passage in passages if not passage["heading"]}


def test_the_answering_sentence_comes_first_with_all_that_the_contract_names(client: TestClient) -> None:
    answer = ask(client, "Which foreign minister met Pezeshkian in Tehran?")
    assert answer.keys() == {
        "question",
        "verdict",
        "answerable",
        "confidence",
        "passages",
        "snapshot",
        "took_ms",
    }
    assert answer["question"] == "Which foreign minister met Pezeshkian in Tehran?"
    assert (answer["verdict"], answer["answerable"]) == ("answered", True)
    assert 0.5 <= answer["confidence"] <= 1
    assert answer["took_ms"] > 0
    assert answer["snapshot"] == client.get("/v1/index").json()["snapshot"]["id"]
    first = answer["passages"][0]
    score = first.pop("score")
    assert 0 < score <= 1
    assert first == {
        "rank": 1,
        "citation": get_document(client, "meeting.txt")["passages"][0]["citation"],
        "text": MEETING,
        "document": {"id": "meeting.txt", "title": "meeting"},
        "location": {"start": 0, "end": 129, "line": 1, "paragraph": 1},
        "context": {"before": "", "after": "The meeting focused on long-term cooperation."},
        "highlights": first["highlights"],
    }
    words = [MEETING[span["start"] : span["end"]] for span in first["highlights"]]
    assert words == ["Pezeshkian", "meeting", "Tehran", "Foreign", "Minister"]


def test_a_heading_above_is_the_section_and_the_title(client: TestClient) -> None:
    first = ask(client, "What happens to the café?")["passages"][0]
    assert first["text"] == "The café in Zürich closes in May."
    assert first["document"] == {"id": NON_ASCII, "title": "Budget"}
    assert first["location"] == {"start": 10, "end": 43, "line": 3, "paragraph": 2, "section": "Budget"}
    assert first["context"] == {"before": "", "after": "The council 😀 voted for seven new trams."}


def test_offsets_count_code_points_behind_a_character_outside_the_basic_plane(client: TestClient) -> None:
    first = ask(client, "How many trams did the council vote for?")["passages"][0]
    assert first["text"] == "The council 😀 voted for seven new trams."
    words = [first["text"][span["start"] : span["end"]] for span in first["highlights"]]
    assert words == ["council", "voted", "seven", "trams"]


def test_every_passage_is_verbatim(client: TestClient, texts: dict[str, str]) -> None:
    for question in QUESTIONS:
        for passage in ask(client, question, k=20)["passages"]:
            assert_verbatim(passage, texts)


def test_a_question_by_link_gets_the_same_answer(client: TestClient) -> None:
    posted = ask(client, "What was said about the roof?", k=3, explain=True, filters={"documents": ["minutes/*", "x"]})
    linked = client.get(
        "/v1/ask?question=What+was+said+about+the+roof%3F&k=3&explain=true&document=minutes/*&document=x"
    )
    assert linked.status_code == 200
    assert linked.json() | {"took_ms": 0} == posted | {"took_ms": 0}
    plain = client.get("/v1/ask", params={"question": "What was said about the roof?"}).json()
    assert plain | {"took_ms": 0} == ask(client, "What was said about the roof?") | {"took_ms": 0}


def test_a_batch_gets_the_same_answers_in_its_order(client: TestClient) -> None:
    questions = [
        "What was said about the roof?",
        "Which foreign minister met Pezeshkian in Tehran?",
        "At what temperature does mercury boil?",
    ]
    options: dict[str, Any] = {"k": 2, "explain": True, "filters": {"documents": ["minutes/*", "meeting.txt"]}}
    response = client.post("/v1/ask/batch", json={"questions": questions, **options})
    assert response.status_code == 200
    answers = response.json()["answers"]
    assert all(answer["took_ms"] > 0 for answer in answers)
    expected = [ask(client, question, **options) | {"took_ms": 0} for question in questions]
    assert [answer | {"took_ms": 0} for answer in answers] == expected
    assert [answer["verdict"] for answer in answers] == ["answered", "answered", "not_answered"]


def test_a_hundred_questions_are_answered_at_once(client: TestClient) -> None:
    questions = [f"Who met Pezeshkian on day {number}?" for number in range(100)]
    answers = client.post("/v1/ask/batch", json={"questions": questions, "k": 1}).json()["answers"]
    assert [answer["question"] for answer in answers] == questions
    assert {len(answer["passages"]) for answer in answers} == {1}


def test_explain_gives_the_component_scores(client: TestClient) -> None:
    question = "Who pays for the repairs?"
    explained = ask(client, question, explain=True)["passages"]
    plain = ask(client, question)["passages"]
    for passage in explained:
        scores = passage.pop("scores")
        assert scores.keys() == {"dense", "bm25", "late"}
        assert -1 <= scores["dense"] <= 1
        assert scores["bm25"] >= 0
        assert scores["late"] == passage["score"]
    assert explained == plain


def test_k_is_how_many_passages_come_best_first(client: TestClient) -> None:
    question = "What drives economic activity?"
    twenty = ask(client, question, k=20)["passages"]
    assert [passage["rank"] for passage in twenty] == list(range(1, 21))
    scores = [passage["score"] for passage in twenty]
    assert scores == sorted(scores, reverse=True)
    assert ask(client, question, k=1)["passages"] == twenty[:1]
    assert ask(client, question)["passages"] == twenty[:5]
    total = client.get("/v1/index").json()["snapshot"]["rows"]
    assert len(ask(client, question, k=100)["passages"]) == total


@pytest.mark.parametrize(
    ("patterns", "documents"),
    [
        ([NON_ASCII], [NON_ASCII]),
        ([BRACKETS], [BRACKETS]),
        (["minutes/*"], [NON_ASCII, BRACKETS]),
        (["*.md", "minutes/notes*"], [NON_ASCII, BRACKETS]),
        (["meeting.tx?"], ["meeting.txt"]),
    ],
)
def test_a_filter_limits_the_candidates_not_the_answer(
    client: TestClient, patterns: list[str], documents: list[str]
) -> None:
    answer = ask(client, "What did Pezeshkian say?", k=100, filters={"documents": patterns})
    citations = {passage["citation"] for passage in answer["passages"]}
    assert citations == set().union(*(citations_of(client, document) for document in documents))


def test_sentences_that_say_the_same_come_once_with_all_their_citations(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        (documents / name).write_text("The bridge opens on Monday.\n\nIt is made of oak.\n")
    (documents / "d.txt").write_text("the bridge opens on Monday!\n\nSeven trams were ordered.\n")
    rebuild(documents, index)
    with serve(documents, index) as client:
        cited = [get_document(client, f"{name}.txt")["passages"][0]["citation"] for name in "abcd"]
        passages = ask(client, "When does the bridge open?", k=100)["passages"]
        filtered = ask(client, "When does the bridge open?", filters={"documents": ["[bd].txt"]})["passages"]
    assert sorted(["It is made of oak.", "Seven trams were ordered."]) == sorted(p["text"] for p in passages[1:])
    assert sorted([passages[0]["citation"], *passages[0]["also"]]) == sorted(cited)
    assert passages[0]["also"] == [citation for citation in cited if citation != passages[0]["citation"]]
    assert {filtered[0]["citation"], *filtered[0]["also"]} == {cited[1], cited[3]}
    assert ["also" in passage for passage in passages[1:]] == [p["text"] == "It is made of oak." for p in passages[1:]]


def test_a_filter_that_no_document_matches_finds_nothing(client: TestClient) -> None:
    answer = ask(client, "What did Pezeshkian say?", filters={"documents": ["elsewhere/*"]})
    assert (answer["passages"], answer["answerable"], answer["confidence"]) == ([], False, 0)


def test_what_the_documents_do_not_say_is_not_answerable(client: TestClient) -> None:
    answer = ask(client, "At what temperature does mercury boil?")
    assert (answer["verdict"], answer["answerable"]) == ("not_answered", False)
    assert answer["confidence"] < 0.5
    assert len(answer["passages"]) == 5


def test_the_same_question_gets_the_same_answer(client: TestClient) -> None:
    first, second = (ask(client, "Who welcomed the emphasis on stability?", k=50) for _ in range(2))
    assert first | {"took_ms": 0} == second | {"took_ms": 0}


def test_what_looks_like_query_syntax_is_only_words(client: TestClient) -> None:
    for question in ['tram" OR text:*', "+trams -council (", "text:trams^9 AND [a TO z]", "trams~2 \\ / { }", "* ? %"]:
        assert client.post("/v1/ask", json={"question": question}).status_code in (200, 422)
    assert ask(client, 'seven" AND (trams')["passages"][0]["text"] == "The council 😀 voted for seven new trams."


@pytest.fixture
def oak(documents: Path, index: Path, rebuild: Rebuild) -> None:
    """An index of two sentences in the folders ``documents`` and ``index``."""
    (documents / "a.txt").write_text(f"{BRIDGE} {OAK}\n")
    rebuild(documents, index)


@pytest.mark.usefixtures("oak")
def test_the_reader_decides_unless_the_mode_is_fast(
    documents: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_with(monkeypatch, {OAK: SURELY, BRIDGE: -1.5})
    question = "When does the bridge open?"
    with serve(documents, index) as client:
        read, fast = (ask(client, question, mode=mode, explain=True) for mode in ("read", "fast"))
        default = ask(client, question, explain=True)
        linked = {
            mode: client.get("/v1/ask", params={"question": question, "explain": True, "mode": mode}).json()
            for mode in ("read", "fast")
        }
        batches = [
            client.post("/v1/ask/batch", json={"questions": [question], "explain": True, **mode}).json()["answers"]
            for mode in ({}, {"mode": "read"}, {"mode": "fast"})
        ]
    assert [passage["text"] for passage in read["passages"]] == [OAK, BRIDGE]
    assert [passage["scores"]["reader"] for passage in read["passages"]] == [SURELY, -1.5]
    assert (read["verdict"], read["confidence"]) == ("answered", 1)
    assert [passage["text"] for passage in fast["passages"]] == [BRIDGE, OAK]
    assert all(passage["scores"].keys() == {"dense", "bm25", "late"} for passage in fast["passages"])
    same = [*[answer for (answer,) in batches], *linked.values(), default]
    assert [answer | {"took_ms": 0} for answer in same] == [
        answer | {"took_ms": 0} for answer in (read, read, fast, read, fast, read)
    ]


@pytest.mark.usefixtures("oak")
@pytest.mark.parametrize(
    ("confidence", "verdict"), [(0.6, "answered"), (0.4, "unsure"), (0.25, "unsure"), (0.1, "not_answered")]
)
def test_the_verdict_says_how_sure_the_reader_is(
    documents: Path, index: Path, monkeypatch: pytest.MonkeyPatch, confidence: float, verdict: str
) -> None:
    read_with(monkeypatch, {BRIDGE: score_for(confidence)})
    with serve(documents, index) as client:
        answer = ask(client, "When does the bridge open?")
    assert (answer["verdict"], answer["answerable"]) == (verdict, verdict == "answered")
    assert answer["confidence"] == pytest.approx(confidence, abs=1e-3)


@pytest.mark.usefixtures("oak")
def test_without_a_reranker_both_modes_are_the_same(documents: Path, index: Path) -> None:
    with serve(documents, index, reranker="none") as client:
        read, fast = (ask(client, "When does it open?", mode=mode, explain=True) for mode in ("read", "fast"))
    assert read | {"took_ms": 0} == fast | {"took_ms": 0}


@pytest.mark.usefixtures("oak")
def test_the_reader_that_comes_with_sourceline_reads_by_default(documents: Path, index: Path) -> None:
    with serve(documents, index) as client:
        passages = ask(client, "When does the bridge open?", explain=True)["passages"]
    assert {passage["text"] for passage in passages} == {BRIDGE, OAK}
    assert all(isinstance(passage["scores"]["reader"], float) for passage in passages)


@pytest.mark.parametrize("mode", ["slow", "Read", "", "read,fast"])
def test_another_mode_is_refused_and_named(client: TestClient, mode: str) -> None:
    refused = [
        (client.post("/v1/ask", json={"question": "Who?", "mode": mode}), "body.mode"),
        (client.get("/v1/ask", params={"question": "Who?", "mode": mode}), "query.mode"),
        (client.post("/v1/ask/batch", json={"questions": ["Who?"], "mode": mode}), "body.mode"),
    ]
    for response, location in refused:
        (error,) = assert_problem(response, 422)["errors"]
        assert error == {"location": location, "message": "Input should be 'read' or 'fast'"}


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(question=st.text(max_size=60), k=st.integers(1, 100))
def test_any_text_is_answered_verbatim_or_refused(
    client: TestClient, texts: dict[str, str], question: str, k: int
) -> None:
    response = client.post("/v1/ask", json={"question": question, "k": k})
    if response.status_code == 422:
        return
    assert response.status_code == 200
    assert response.json()["question"] == question
    for passage in response.json()["passages"]:
        assert_verbatim(passage, texts)
        spans = [(span["start"], span["end"]) for span in passage["highlights"]]
        assert all(0 <= start < end <= len(passage["text"]) for start, end in spans)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_request_can_bring_a_threshold_of_its_own(client: TestClient) -> None:
    question = "Which foreign minister met Pezeshkian in Tehran?"
    for threshold, verdict in [(0.0, "answered"), (0.999, "unsure")]:
        single = ask(client, question, threshold=threshold)
        batch = client.post("/v1/ask/batch", json={"questions": [question], "threshold": threshold}).json()
        link = client.get("/v1/ask", params={"question": question, "threshold": threshold}).json()
        assert single["verdict"] == batch["answers"][0]["verdict"] == link["verdict"] == verdict
        assert single["answerable"] is (verdict == "answered")


@pytest.mark.parametrize("threshold", [-0.1, 1.1, "nan", "0,5"])
def test_a_threshold_out_of_range_is_refused(client: TestClient, threshold: float | str) -> None:
    problem = assert_problem(client.get("/v1/ask", params={"question": "Who?", "threshold": threshold}), 422)
    assert [error["location"] for error in problem["errors"]] == ["query.threshold"]
    if isinstance(threshold, float):
        problem = assert_problem(client.post("/v1/ask", json={"question": "Who?", "threshold": threshold}), 422)
        assert [error["location"] for error in problem["errors"]] == ["body.threshold"]
