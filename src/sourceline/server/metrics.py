"""Counts and times for Prometheus.

With several workers, each writes its own to files in the folder that ``PROMETHEUS_MULTIPROC_DIR`` names, and the one
scraped adds them up.
"""

import math
import os
import resource
import time
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sourceline.server.observing import Observer
from sourceline.types import (
    Answer,
    CitationStatus,
    Mode,
    QuoteStatus,
    RebuildState,
    SnapshotInfo,
    Stage,
    Verdict,
    Verification,
)

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client looks at it when it is imported
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4)
_STAGE_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
_REBUILD_BUCKETS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
UNKNOWN = "unknown"  # the status of a citation that was never issued


class Metrics(Observer):
    """The metrics of one app.

    What has few labels is there from the start, at zero: a rate needs a value before the first event.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        requests = Counter(
            "sourceline_requests_total", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        seconds = Histogram(
            "sourceline_request_seconds", "Time to answer.", ("route",), buckets=_BUCKETS, registry=registry
        )
        # Finding a child by its labels takes longer than counting. There are few routes and statuses.
        self._requests = cache(lambda method, route, status: requests.labels(method, route, status))
        self._seconds = cache(lambda route: seconds.labels(route))

        answers = Counter("sourceline_answers_total", "Questions answered.", ("mode", "verdict"), registry=registry)
        self._answers = {
            (mode, verdict): answers.labels(mode.value, verdict.value) for mode in Mode for verdict in Verdict
        }
        answer_seconds = Histogram(
            "sourceline_answer_seconds",
            "Time to answer a question, without what the server adds.",
            ("mode",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._answer_seconds = {mode: answer_seconds.labels(mode.value) for mode in Mode}
        stages = Histogram(
            "sourceline_stage_seconds",
            "Time that a question spent in a stage.",
            ("stage",),
            buckets=_STAGE_BUCKETS,
            registry=registry,
        )
        self._stages = {stage: stages.labels(stage.value) for stage in Stage}
        quotes = Counter("sourceline_quotes_total", "Quotations checked.", ("status",), registry=registry)
        self._quotes = {status: quotes.labels(status.value) for status in QuoteStatus}
        citations = Counter("sourceline_citations_total", "Citations looked up.", ("status",), registry=registry)
        self._citations = {status: citations.labels(status.value) for status in CitationStatus}
        self._unknown_citations = citations.labels(UNKNOWN)
        rebuilds = Histogram(
            "sourceline_rebuild_seconds",
            "Rebuilds that this server started, and the time that they took.",
            ("outcome",),
            buckets=_REBUILD_BUCKETS,
            registry=registry,
        )
        self._rebuilds = {
            outcome: rebuilds.labels(outcome.value) for outcome in (RebuildState.SUCCEEDED, RebuildState.FAILED)
        }

        # Of the workers that live: the file of one that died is removed.
        self._active = Gauge(
            "sourceline_active_requests",
            "Requests that have a place just now.",
            ("kind",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._places = Gauge(
            "sourceline_active_requests_limit",
            "Requests that may have a place at once.",
            ("kind",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._refused = Counter(
            "sourceline_refused_requests_total",
            "Requests answered 503 because all places were taken.",
            ("kind",),
            registry=registry,
        )

        self.scrubbed_files = Counter(
            "sourceline_scrubbed_files_total", "Files read again and compared.", registry=registry
        )
        self.scrubbed_bytes = Counter(
            "sourceline_scrubbed_bytes_total", "Bytes read again and compared.", registry=registry
        )
        # Of several workers one scrubs, and if it ends, another: what was said last holds.
        self.scrubbed = Gauge(
            "sourceline_scrub_finished_timestamp_seconds",
            "When everything had last been read again; 0 if it has not been yet.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.damaged_files = Gauge(
            "sourceline_damaged_files",
            "Files that were found damaged when everything was last read again.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests(method, route, str(status)).inc()
        self._seconds(route).observe(seconds)

    def set_places(self, places: Mapping[str, int]) -> None:
        """Take in how many requests of each kind this process takes in at once."""
        for kind, number in places.items():
            self._places.labels(kind).set(number)
        self.active = {kind: self._active.labels(kind) for kind in places}
        self.refused = {kind: self._refused.labels(kind) for kind in places}

    def answered(self, answer: Answer, mode: Mode) -> None:
        """Count an answer, and how long each of its stages took."""
        seconds: defaultdict[Stage, float] = defaultdict(float)
        for time_spent in answer.stages:
            seconds[time_spent.stage] += time_spent.seconds
        for stage, spent in seconds.items():
            self._stages[stage].observe(spent)
        self._answers[mode, answer.verdict].inc()
        self._answer_seconds[mode].observe(sum(seconds.values()))

    def verified(self, verification: Verification) -> None:
        """Count the quotations of a text."""
        for status, number in Tally(quote.status for quote in verification.quotes).items():
            self._quotes[status].inc(number)

    def cited(self, status: CitationStatus | None) -> None:
        """Count a look-up."""
        (self._citations[status] if status else self._unknown_citations).inc()

    def rebuilt(self, outcome: RebuildState, started: datetime, finished: datetime) -> None:
        """Count a rebuild."""
        self._rebuilds[outcome].observe((finished - started).total_seconds())

    def text(self, snapshot: SnapshotInfo, is_building: bool | None) -> bytes:
        """Return everything in Prometheus' text format; ``is_building`` is None if it cannot be told."""
        counted, served = self._registry, CollectorRegistry()
        if FOLDER_VARIABLE in os.environ:
            counted = CollectorRegistry()
            MultiProcessCollector(counted)
        served.register(_StateCollector(snapshot, is_building))
        return generate_latest(counted) + generate_latest(served)


class _StateCollector(Collector):
    """What is so just now, which needs no counting."""

    def __init__(self, snapshot: SnapshotInfo, is_building: bool | None) -> None:
        self._snapshot, self._is_building = snapshot, is_building

    def collect(self) -> Iterator[GaugeMetricFamily]:
        snapshot = self._snapshot
        info = GaugeMetricFamily("sourceline_snapshot_info", "The snapshot that is served.", labels=["snapshot"])
        info.add_metric([snapshot.id], 1)
        yield info
        yield GaugeMetricFamily(
            "sourceline_snapshot_created_timestamp_seconds",
            "When the snapshot that is served was built.",
            snapshot.created.timestamp(),
        )
        yield GaugeMetricFamily("sourceline_documents", "Documents that are served.", snapshot.documents)
        yield GaugeMetricFamily("sourceline_passages", "Passages that are served.", snapshot.passages)
        left_out = GaugeMetricFamily(
            "sourceline_left_out_files",
            "Files of the documents folder that are not in the snapshot that is served.",
            labels=["kind"],
        )
        left_out.add_metric(["skipped"], len(snapshot.skipped))
        left_out.add_metric(["ignored"], len(snapshot.ignored))
        yield left_out
        yield GaugeMetricFamily(
            "sourceline_rebuild_running",
            "Whether the index is being built, by whatever process.",
            math.nan if self._is_building is None else self._is_building,
        )
        processes = _serving_processes()
        yield GaugeMetricFamily("sourceline_processes", "Processes that answer.", len(processes))
        yield GaugeMetricFamily(
            "sourceline_resident_memory_bytes",
            "Memory of the processes that answer; 0 where the system does not tell.",
            sum(map(_resident_bytes, processes)),
        )


def _serving_processes() -> list[int]:
    """Return the ids of the processes that serve together: each has a file of its gauges until it ends."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        return [int(path.stem.rpartition("_")[2]) for path in Path(folder).glob("gauge_livesum_*.db")]
    return [os.getpid()]


def _resident_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 if it has ended, or the system is not Linux."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (FileNotFoundError, ProcessLookupError):
        return 0


LEFT = 499  # as nginx counts a request whose client left before it was answered
NO_ROUTE, ANY_METHOD = "(none)", "(any)"
# Any word can be sent as a method, and each would be a label.
_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}


def route_of(scope: Scope) -> tuple[str, str]:
    """Return the method of a request and the pattern of its route, each one of few: ids stand in neither."""
    # What is mounted has no route; its prefix stands in root_path.
    route = getattr(scope.get("route"), "path", None) or scope.get("root_path") or NO_ROUTE
    return scope["method"] if route != NO_ROUTE and scope["method"] in _METHODS else ANY_METHOD, route


class MetricsMiddleware:
    """Counts each request by its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), LEFT

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        counted = 500  # what is raised is answered further out
        try:
            await self._app(scope, receive, send_noting_status)
            counted = status
        finally:
            self._metrics.count(*route_of(scope), counted, time.perf_counter() - started)
