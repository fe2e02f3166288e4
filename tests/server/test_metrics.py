from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Rebuild
from tests.support.api import serve


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
