"""Traces for an OpenTelemetry collector: a span for each request, and one for each stage of an answer.

A span holds what is written here and nothing else: no address, no header, no text of a question, a document or an
error. Stock instrumentation writes ``url.query``, in which the question may stand. Nothing here is global either, so
that no library adds spans of its own. This module is imported only where a setting asks for traces.
"""

import threading
import time
from datetime import datetime
from urllib.parse import urlsplit

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sourceline import __version__
from sourceline.logs import request_fields
from sourceline.server.metrics import ANY_METHOD, LEFT, route_of
from sourceline.server.middleware import UNLIMITED_PATHS
from sourceline.server.observing import Observer
from sourceline.types import Answer, Mode, RebuildState, Stage, Verification

TRACES_PATH = "/v1/traces"
# How long a server that stops waits for a collector to take the last spans.
STOP_SECONDS = 3


def otlp_exporter(endpoint: str) -> SpanExporter:
    """Return what sends spans to a collector, by OTLP over HTTP.

    Args:
        endpoint: its address, with or without the path of traces.
    """
    url = endpoint.rstrip("/")
    return OTLPSpanExporter(url if urlsplit(url).path.endswith(TRACES_PATH) else url + TRACES_PATH)


class Tracing(Observer):
    """The spans of one app. Their times are those of the answers: nothing is measured twice."""

    def __init__(self, exporter: SpanExporter) -> None:
        """Prepare; nothing is sent until ``start``."""
        self._exporter = exporter
        resource = Resource.create({"service.name": "sourceline", "service.version": __version__})
        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes before that.
        self._provider = TracerProvider(
            resource=resource.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self.tracer = self._provider.get_tracer("sourceline", __version__)

    def start(self) -> None:
        """Send spans, in a thread."""
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))

    def stop(self) -> None:
        """Send what is left, if the collector takes it soon."""
        sending = threading.Thread(target=self._provider.shutdown, name="telemetry-stop", daemon=True)
        sending.start()
        sending.join(STOP_SECONDS)

    def answered(self, answer: Answer, mode: Mode) -> None:
        """Add a span for an answer, which has just been given, and one for each of its stages."""
        if not trace.get_current_span().is_recording():
            return
        begin = time.time_ns() - _nanoseconds(sum(spent.seconds for spent in answer.stages))
        span = self.tracer.start_span("answer", start_time=begin)
        span.set_attributes(
            {
                "sourceline.mode": mode.value,
                "sourceline.verdict": answer.verdict.value,
                "sourceline.passages": len(answer.hits),
                "sourceline.snapshot": answer.snapshot,
            }
        )
        inside = trace.set_span_in_context(span)
        for spent in answer.stages:
            end = begin + _nanoseconds(spent.seconds)
            if spent.stage is not Stage.REST:
                self.tracer.start_span(spent.stage.value, inside, start_time=begin).end(end)
            begin = end
        span.end(begin)

    def verified(self, verification: Verification) -> None:
        """Add to the span of the request how many quotations were checked."""
        trace.get_current_span().set_attribute("sourceline.quotes", len(verification.quotes))

    def rebuilt(self, outcome: RebuildState, started: datetime, finished: datetime) -> None:
        """Add a span for a rebuild, in a trace of its own: it outlives the request that asked for it."""
        span = self.tracer.start_span("rebuild", Context(), start_time=_nanoseconds(started.timestamp()))
        span.set_attribute("sourceline.outcome", outcome.value)
        if outcome is RebuildState.FAILED:
            span.set_status(StatusCode.ERROR)  # why is in the log: the reason may name files
        span.end(_nanoseconds(finished.timestamp()))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


class TracingMiddleware:
    """Makes a span of each request, in the trace that its ``traceparent`` names, but of none that only watches."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app, self._tracing = app, tracing
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, in the context of a span."""
        if scope["type"] != "http" or scope["path"] in UNLIMITED_PATHS:
            await self._app(scope, receive, send)
            return
        # Without `tracestate`, which may hold anything, and which nobody behind this server needs.
        traceparent = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        parent = self._propagator.extract({"traceparent": traceparent}, Context())
        span = self._tracing.tracer.start_span("request", parent, SpanKind.SERVER)
        # Never detached: it ends with the request's task, and an unexpected error is logged further out than this.
        contexts.attach(trace.set_span_in_context(span))
        trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        request_fields.set({**request_fields.get(), "trace_id": trace_id})
        status = LEFT

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting_status)
        except Exception as error:  # whatever it is, the span says of what kind it was
            status = 500
            span.set_attribute("error.type", type(error).__qualname__)
            raise
        finally:
            method, route = route_of(scope)
            span.update_name(f"{method} {route}")
            span.set_attributes(
                {
                    "http.request.method": "_OTHER" if method == ANY_METHOD else method,
                    "http.route": route,
                    "http.response.status_code": status,
                }
            )
            if status >= 500:
                span.set_status(StatusCode.ERROR)
            span.end()
