"""Counts and times for Prometheus.

With several workers each writes its own to files in the folder that ``PROMETHEUS_MULTIPROC_DIR`` names, and the one
that is asked adds them up.
"""

import os
import time
from collections.abc import Iterator
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sourceline.index.snapshot import Snapshot

# Where the workers' figures are; prometheus_client looks at it when it is imported.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4)


class Metrics:
    """The figures of one app."""

    MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("sourceline_requests_total", "Requests answered.", labels, registry=self._registry)
        self._seconds = Histogram(
            *("sourceline_request_seconds", "Time to answer.", ("route",)),
            buckets=_BUCKETS,
            registry=self._registry,
        )

        # To look them up by their labels takes longer than to count. Routes and statuses are few.
        self._requests_of = cache(lambda *labels: self._requests.labels(*labels))
        self._seconds_of = cache(lambda route: self._seconds.labels(route))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests_of(method, route, str(status)).inc()
        self._seconds_of(route).observe(seconds)

    def text(self, snapshot: Snapshot) -> bytes:
        """Return everything in Prometheus' text format."""
        counted, served = self._registry, CollectorRegistry()
        if FOLDER in os.environ:
            counted = CollectorRegistry()
            MultiProcessCollector(counted)
        served.register(_Served(snapshot))
        return generate_latest(counted) + generate_latest(served)


class _Served(Collector):
    """What is served, which needs no counting."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[GaugeMetricFamily]:
        info = GaugeMetricFamily("sourceline_snapshot_info", "The snapshot that is served.", labels=["snapshot"])
        info.add_metric([self._snapshot.id], 1)
        yield info
        yield GaugeMetricFamily("sourceline_passages", "Passages that are served.", len(self._snapshot.passages))


class MetricsMiddleware:
    """Counts each request by its route's pattern, so that ids do not become labels."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "(none)")
            method = scope["method"] if route != "(none)" else "(any)"
            self._metrics.count(method, route, status, time.perf_counter() - started)
