"""Traces, with OpenTelemetry's own SDK: what they hold, and what they never do."""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from sourceline.config import Settings, load_settings
from sourceline.errors import SettingsError
from sourceline.logs import JsonFormatter
from sourceline.server.app import create_app
from sourceline.server.run import run
from sourceline.server.telemetry import Tracing
from sourceline.types import NO_RERANKER, RebuildState
from tests.support.api import CORPUS, client_of, serve
from tests.support.assistant import call, fail, over_http
from tests.support.server import listening

QUESTION = "Who reported a leaking roof?"
KEY = "k3yofthetest"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STAGES = ["tokenize", "encode", "candidates", "late_interaction"]
# One word that stands nowhere else for each way in which text comes in.
SECRETS = (
    *("byget", "bypost", "bybatch", "bydify", "byverify", "byassistant", "bytool", "bypath", "bycitation", "byquery"),
    *("byfield", "byvalue", "bybody", "bystate", "byparent", "byagent", "bycookie", "byerror", "bymethod", "bykey"),
)
# What the documents say, and how they are called.
DOCUMENTS = [word for text in (*CORPUS, *CORPUS.values()) for word in text.replace("/", " ").split() if len(word) > 5]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def traced(settings: Settings, exporter: InMemorySpanExporter) -> FastAPI:
    return create_app(settings, tracing=Tracing(exporter))


def requests_of(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.kind is SpanKind.SERVER]


@pytest.mark.enable_socket
def test_nothing_that_is_asked_sent_or_answered_is_in_any_span(
    corpus: Path, corpus_index: Path, exporter: InMemorySpanExporter
) -> None:
    app = traced(load_settings(documents=corpus, index=corpus_index, api_key=KEY, reranker=NO_RERANKER), exporter)

    @app.get("/crash/{word}")
    async def crash(word: str) -> None:
        raise RuntimeError(word)

    with listening(app) as (host, port):
        url, key = f"http://{host}:{port}", {"Authorization": f"Bearer {KEY}"}
        headers = {
            "tracestate": "vendor=bystate",
            "traceparent": "00-byparent-01",
            "user-agent": "byagent",
            "cookie": "a=bycookie",
        }
        with httpx2.Client(base_url=url, headers=key | headers, timeout=60) as client:
            client.get("/metrics")
            client.get("/healthz")
            statuses = [
                client.get("/v1/ask", params={"question": f"{QUESTION} byget", "document": "byquery*"}),
                client.post("/v1/ask", json={"question": f"{QUESTION} bypost", "mode": "fast"}),
                client.post("/v1/ask/batch", json={"questions": [f"{QUESTION} bybatch", "When does the café close?"]}),
                client.post(
                    "/retrieval",
                    json={
                        "knowledge_id": "*",
                        "query": f"{QUESTION} bydify",
                        "retrieval_setting": {"top_k": 2, "score_threshold": 0},
                    },
                ),
                client.post("/v1/verify", json={"text": "He said: “The byverify reported a leaking roof”."}),
                client.get("/v1/documents/bypath.txt"),
                client.get("/v1/citations/bycitation"),
                client.post("/v1/ask", json={"byfield": "byvalue", "question": 5}),
                client.post("/v1/ask", content="bybody", headers={"content-type": "application/json"}),
                client.get("/v1/ask", params={"question": "a", "k": "byvalue"}),
                client.get("/no/such/bypath"),
                client.request("BYMETHOD", "/v1/ask"),
                client.get("/v1/index", headers={"Authorization": "Bearer bykey"}),
                client.get("/crash/byerror"),
            ]
        assistant = over_http(url, headers=key | headers)
        call(assistant, "ask", question=f"{QUESTION} byassistant")
        fail(assistant, "ask", question="Who?", bytool="bytool")
    assert [response.status_code for response in statuses] == [
        *(200, 200, 200, 200, 200, 404, 404, 422, 400, 422, 404, 405, 401, 500)
    ]
    asked = requests_of(exporter)
    assert [(span.name, (span.attributes or {})["http.response.status_code"]) for span in asked][:14] == [
        ("GET /v1/ask", 200),
        ("POST /v1/ask", 200),
        ("POST /v1/ask/batch", 200),
        ("POST /retrieval", 200),
        ("POST /v1/verify", 200),
        ("GET /v1/documents/{document:path}", 404),
        ("GET /v1/citations/{citation}", 404),
        ("POST /v1/ask", 422),
        ("POST /v1/ask", 400),
        ("GET /v1/ask", 422),
        ("(any) (none)", 404),
        ("(any) /v1/ask", 405),
        ("(any) (none)", 401),
        ("GET /crash/{word}", 500),
    ]
    assert {span.name for span in asked[14:]} == {"POST /mcp"}
    answers = [span for span in exporter.get_finished_spans() if span.name == "answer"]
    assert len(answers) == 6  # of which two in a batch, and one for an assistant
    for span in exporter.get_finished_spans():
        told = span.to_json()
        assert [word for word in (*SECRETS, *DOCUMENTS, KEY, "leaking") if word.lower() in told.lower()] == []
        assert span.events == ()


def test_a_span_belongs_to_the_trace_that_the_client_names_and_each_stage_to_its_answer(
    corpus: Path, corpus_index: Path, exporter: InMemorySpanExporter
) -> None:
    with client_of(traced(load_settings(documents=corpus, index=corpus_index), exporter)) as client:
        parent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        client.post("/v1/ask", json={"question": QUESTION}, headers=parent)
        client.post("/v1/ask", json={"question": QUESTION, "mode": "fast"}, headers={"traceparent": "00-none-01"})
        client.get("/v1/ask", params={"question": QUESTION}, headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    spans = exporter.get_finished_spans()
    request, other = requests_of(exporter)  # of the third, the client wants no record
    assert (request.parent and format_span_id(request.parent.span_id), other.parent) == (PARENT, None)
    (answer, fast) = (span for span in spans if span.name == "answer")
    inside = [span for span in spans if span.parent and span.parent.span_id == answer.context.span_id]
    assert list(dict.fromkeys(span.name for span in inside)) == [*STAGES, "read"]
    assert {format_trace_id(span.context.trace_id) for span in (request, answer, *inside)} == {TRACE}
    assert answer.parent
    assert answer.parent.span_id == request.context.span_id
    assert dict(answer.attributes or {}) == {
        "sourceline.mode": "read",
        "sourceline.verdict": "answered",
        "sourceline.passages": 5,
        "sourceline.snapshot": (answer.attributes or {})["sourceline.snapshot"],
    }
    times = [time for span in inside for time in (span.start_time or 0, span.end_time or 0)]
    assert times == sorted(times)
    assert answer.start_time == times[0]
    assert times[-1] <= (answer.end_time or 0)
    of_fast = [span.name for span in spans if span.parent and span.parent.span_id == fast.context.span_id]
    assert of_fast == STAGES


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The log, in JSON."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter())
    logging.getLogger("sourceline").addHandler(handler)
    yield lines
    logging.getLogger("sourceline").removeHandler(handler)


def test_what_is_logged_for_a_request_names_its_trace(
    corpus: Path, corpus_index: Path, exporter: InMemorySpanExporter, lines: io.StringIO
) -> None:
    app = traced(load_settings(documents=corpus, index=corpus_index, reranker=NO_RERANKER), exporter)

    @app.get("/crash")
    def crash() -> None:
        raise RuntimeError

    with client_of(app) as client, pytest.raises(RuntimeError):
        client.get("/crash", headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "deploy-77"})
    (logged,) = (line for line in map(json.loads, lines.getvalue().splitlines()) if "unexpected" in line["message"])
    assert logged["trace_id"] == TRACE
    assert logged["request_id"] == "deploy-77"
    (span,) = requests_of(exporter)
    assert (span.attributes or {})["error.type"] == "RuntimeError"
    assert (span.status.is_ok, span.status.description) == (False, None)


def test_a_rebuild_is_a_trace_of_its_own(exporter: InMemorySpanExporter) -> None:
    tracing, started = Tracing(exporter), datetime(2026, 11, 27, 10, 46, 33, tzinfo=UTC)
    tracing.start()
    tracing.rebuilt(RebuildState.SUCCEEDED, started, started + timedelta(seconds=2))
    tracing.rebuilt(RebuildState.FAILED, started, started)
    tracing.stop()
    done, failed = exporter.get_finished_spans()
    assert (done.name, done.parent, done.attributes) == ("rebuild", None, {"sourceline.outcome": "succeeded"})
    assert done.start_time == started.timestamp() * 1e9
    assert (done.end_time or 0) - done.start_time == 2e9
    assert [span.status.status_code for span in (done, failed)] == [StatusCode.UNSET, StatusCode.ERROR]


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A collector on this machine: its address, and what it has been sent."""
    taken: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            taken.append(ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_request(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()
        thread.join()


@pytest.mark.enable_socket
def test_spans_reach_the_collector_that_the_setting_names(
    corpus: Path,
    corpus_index: Path,
    collector: tuple[str, list[ExportTraceServiceRequest]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, taken = collector
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    with serve(corpus, corpus_index, reranker=NO_RERANKER, telemetry_endpoint=f"{address}/") as client:
        client.get("/v1/ask", params={"question": QUESTION})
    (resource,) = (resource for sent in taken for resource in sent.resource_spans)
    told = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert (told["service.name"], told["deployment.environment.name"]) == ("sourceline", "test")
    names = [span.name for scope in resource.scope_spans for span in scope.spans]
    assert names == [*STAGES, "answer", "GET /v1/ask"]


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sourceline.server.telemetry")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    settings = load_settings(index=tmp_path, telemetry_endpoint="http://127.0.0.1:4318")
    with pytest.raises(SettingsError, match=r"is missing: pip install 'sourceline\[telemetry\]'$"):
        run(settings, print)
    assert not list(tmp_path.iterdir())  # before anything is built
