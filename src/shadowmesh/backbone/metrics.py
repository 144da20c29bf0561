"""Counters for operators. None of them counts user traffic: none of it comes here."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

METRICS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Labels have a fixed set of values: problem slugs, route templates, status codes."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.logins = self._counter("logins", "Log-ins by result", "result")
        self.renewals = self._counter("renewals", "Renewals by result", "result")
        self.publishes = self._counter("publishes", "Published records by result", "result")
        self.lookups = self._counter("lookups", "Look-ups: hit, miss, or the problem", "result")
        self.calls = self._counter("calls", "Calls by result", "result")
        self.stun = self._counter("stun_datagrams", "STUN datagrams by result", "result")
        self.refusals = self._counter("refusals", "Requests refused, by problem", "problem")
        self.slow_readers = self._counter("slow_readers", "Connections closed because their queue was full")
        self.http_seconds = Histogram(
            "shadowmesh_http_request_seconds",
            "Time to answer a request",
            ["route", "status"],
            registry=self._registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        )

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Asked for its value when the metrics are read."""
        Gauge(f"shadowmesh_{name}", text, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"shadowmesh_{name}", text, labels, registry=self._registry)
