"""Counts and times for Prometheus.

With several workers, each writes its own to files in the folder that ``PROMETHEUS_MULTIPROC_DIR`` names, and the one
scraped adds them up.
"""

import os
import time
from collections.abc import Iterator
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sourceline.types import SnapshotInfo

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client looks at it when it is imported
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4)


class Metrics:
    """The metrics of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        requests = Counter(
            "sourceline_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        seconds = Histogram(
            "sourceline_request_seconds",
            "Time to answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.scrubbed_files = Counter(
            "sourceline_scrubbed_files_total", "Files read again and compared.", registry=self._registry
        )
        self.scrubbed_bytes = Counter(
            "sourceline_scrubbed_bytes_total", "Bytes read again and compared.", registry=self._registry
        )
        # Of several workers one scrubs, and if it ends, another: what was said last holds.
        self.scrubbed = Gauge(
            "sourceline_scrub_finished_timestamp_seconds",
            "When everything had last been read again; 0 if it has not been yet.",
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        self.damaged_files = Gauge(
            "sourceline_damaged_files",
            "Files that were found damaged when everything was last read again.",
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        # Finding a child by its labels takes longer than counting. There are few routes and statuses.
        self._requests = cache(lambda method, route, status: requests.labels(method, route, status))
        self._seconds = cache(lambda route: seconds.labels(route))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests(method, route, str(status)).inc()
        self._seconds(route).observe(seconds)

    def text(self, snapshot: SnapshotInfo) -> bytes:
        """Return everything in Prometheus' text format."""
        counted, served = self._registry, CollectorRegistry()
        if FOLDER_VARIABLE in os.environ:
            counted = CollectorRegistry()
            MultiProcessCollector(counted)
        served.register(_SnapshotCollector(snapshot))
        return generate_latest(counted) + generate_latest(served)


class _SnapshotCollector(Collector):
    """What is served, which needs no counting."""

    def __init__(self, snapshot: SnapshotInfo) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[GaugeMetricFamily]:
        info = GaugeMetricFamily("sourceline_snapshot_info", "The snapshot that is served.", labels=["snapshot"])
        info.add_metric([self._snapshot.id], 1)
        yield info
        yield GaugeMetricFamily("sourceline_passages", "Passages that are served.", self._snapshot.passages)


LEFT = 499  # as nginx counts a request whose client left before it was answered
# Any word can be sent as a method, and each would be a label.
_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}


class MetricsMiddleware:
    """Counts each request by its route's pattern, so that ids do not become labels."""

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
            # What is mounted has no route; its prefix stands in root_path.
            route = getattr(scope.get("route"), "path", None) or scope.get("root_path") or "(none)"
            method = scope["method"] if route != "(none)" and scope["method"] in _METHODS else "(any)"
            self._metrics.count(method, route, counted, time.perf_counter() - started)
