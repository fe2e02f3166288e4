from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sourceline.config import load_settings
from sourceline.server.app import create_app
from sourceline.types import Stage
from tests.conftest import Rebuild
from tests.support.api import serve
from tests.support.assistant import call, over_http
from tests.support.server import listening


def test_requests_are_counted_by_route_and_ids_are_no_labels(documents: Path, index: Path, rebuild: Rebuild) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday. It is made of oak.\n")
    report = rebuild(documents, index)
    with serve(documents, index) as client:
        client.post("/v1/ask", json={"question": "When?"})
        client.post("/v1/ask", json={"question": "Why?"})
        client.post("/v1/ask", json={"question": ""})
        client.get("/v1/ask", params={"question": "When?"})
        client.get("/v1/documents/a.txt")
        client.get("/v1/citations/onetwothree")
        client.get("/static/main.js")
        client.get("/openapi.json")
        client.head("/healthz")
        client.get("/no/such/route")
        client.request("BREW", "/pot")
        client.request("BREW", "/readyz")
        response = client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    requests = {
        tuple(sample.labels.values()): sample.value
        for sample in families["sourceline_requests"].samples
        if sample.name == "sourceline_requests_total"
    }
    assert requests == {
        ("POST", "/v1/ask", "200"): 2,
        ("POST", "/v1/ask", "422"): 1,
        ("GET", "/v1/ask", "200"): 1,
        ("GET", "/v1/documents/{document:path}", "200"): 1,
        ("GET", "/v1/citations/{citation}", "404"): 1,
        ("GET", "/static", "200"): 1,
        ("GET", "/openapi.json", "200"): 1,
        ("GET", "/healthz", "200"): 1,
        ("(any)", "(none)", "404"): 2,
        ("(any)", "/readyz", "405"): 1,
    }
    seconds = families["sourceline_request_seconds"].samples
    counts = {sample.labels["route"]: sample.value for sample in seconds if sample.name.endswith("_count")}
    assert counts["/v1/ask"] == 4
    (snapshot,) = families["sourceline_snapshot_info"].samples
    assert (snapshot.labels, snapshot.value) == ({"snapshot": report.snapshot}, 1)
    (passages,) = families["sourceline_passages"].samples
    assert passages.value == 2


@pytest.mark.enable_socket
def test_what_is_asked_in_whatever_way_is_counted_by_its_verdict(
    documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday. “It is made of oak”, said Ilse.\n")
    (documents / "b.xyz").touch()
    (documents / "c.pdf").touch()
    report = rebuild(documents, index)
    settings = load_settings(documents=documents, index=index)
    with listening(create_app(settings)) as (host, port), httpx2.Client(base_url=f"http://{host}:{port}") as client:
        question = "When does the bridge open?"
        client.get("/v1/ask", params={"question": question})
        client.post("/v1/ask", json={"question": question, "mode": "fast", "threshold": 0})
        client.post("/v1/ask", json={"question": ""})  # which has no answer
        client.post("/v1/ask/batch", json={"questions": [question, question], "threshold": 1})
        setting = {"top_k": 1, "score_threshold": 0}
        client.post("/retrieval", json={"knowledge_id": "*", "query": question, "retrieval_setting": setting})
        for tool, argument in (("ask", "question"), ("search", "query")):
            call(over_http(f"http://{host}:{port}"), tool, **{argument: question})
        client.post("/v1/verify", json={"text": "“It is made of oak”, she said, “and of iron and very old glass”."})
        citation = client.get("/v1/documents/a.txt").json()["passages"][0]["citation"]
        client.get(f"/v1/citations/{citation}")
        client.post("/v1/citations/lookup", json={"citations": [citation, "onetwothree"]})
        metrics = samples(client.get("/metrics").text)
    assert {labels: value for labels, value in metrics["sourceline_answers_total"].items() if value} == {
        ("read", "answered"): 4,
        ("read", "unsure"): 2,
        ("fast", "answered"): 1,
    }
    assert metrics["sourceline_answer_seconds_count"] == {("read",): 6, ("fast",): 1}
    stages = metrics["sourceline_stage_seconds_count"]
    assert stages == {(stage.value,): 6 if stage is Stage.READ else 7 for stage in Stage}
    spent = metrics["sourceline_stage_seconds_sum"]
    assert sum(spent.values()) == pytest.approx(sum(metrics["sourceline_answer_seconds_sum"].values()))
    assert sum(metrics["sourceline_quotes_total"].values()) == 2
    assert metrics["sourceline_quotes_total"]["verbatim",] == 1
    assert {labels: value for labels, value in metrics["sourceline_citations_total"].items() if value} == {
        ("current",): 2,
        ("unknown",): 1,
    }
    assert metrics["sourceline_documents"] == {(): 1}
    assert metrics["sourceline_left_out_files"] == {("skipped",): 1, ("ignored",): 1}
    created = datetime.strptime(report.snapshot.partition("-")[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert metrics["sourceline_snapshot_created_timestamp_seconds"][()] == pytest.approx(created.timestamp(), abs=60)
    assert metrics["sourceline_rebuild_running"] == {(): 0}
    assert metrics["sourceline_processes"] == {(): 1}
    assert metrics["sourceline_resident_memory_bytes"][()] > 50_000_000


def samples(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the samples of metrics by name and values of the labels."""
    named: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            named.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return named
