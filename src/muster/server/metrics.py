"""What Prometheus may ask of the server (`/metrics`), under upstream's names.

The hot path pays two dictionary look-ups: the counters of each sort of request are resolved once and kept.
What can be counted when asked (watchers, requests under way, stored objects) is not counted before.
https://kubernetes.io/docs/reference/instrumentation/metrics/
"""
from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60)
_SORTS_AT_MOST = 10_000

_CONTROLLER_HELP = {
    "plans": "Decisions made.", "looked_at": "Objects that decisions looked at.",
    "writes": "Writes carried out.", "errors": "Looks that ended with an error and were tried again.",
}

# (verb, group, version, resource, subresource, scope)
Sort = tuple[str, str, str, str, str, str]


class Metrics:
    def __init__(self, count_objects: Callable[[], Mapping[str, int]] = dict,
                 controllers: Callable[[], Mapping[str, Mapping[str, int]]] = dict):
        """`count_objects()` says how many objects of each resource are stored, `controllers()` what each controller
        has done so far: {"daemonset-controller": {"plans": 4, "looked_at": 800, ...}}."""
        self.watchers: Tally[tuple[str, str, str]] = Tally()  # (group, version, kind)
        self.in_flight = {"mutating": 0, "readOnly": 0}
        self._count_objects = count_objects
        self._controllers = controllers
        self._registry = CollectorRegistry()
        names = ("verb", "group", "version", "resource", "subresource", "scope")
        self._requests = Counter("apiserver_request_total", "Requests by verb, resource and answer.",
                                 (*names, "code"), registry=self._registry)
        self._durations = Histogram("apiserver_request_duration_seconds", "How long answers took; watches apart.",
                                    names, buckets=_BUCKETS, registry=self._registry)
        self._counters: dict[tuple[Sort, int], Counter] = {}
        self._timers: dict[Sort, Histogram] = {}
        self._registry.register(_Now(self))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def done(self, sort: Sort, code: int, seconds: float) -> None:
        counter = self._counters.get((sort, code))
        if counter is None:
            if len(self._counters) >= _SORTS_AT_MOST:
                sort = (sort[0], "", "", "", "", "")
            counter = self._counters[sort, code] = self._requests.labels(*sort, str(code))
        counter.inc()
        if sort[0] == "WATCH":
            return
        timer = self._timers.get(sort)
        if timer is None:
            timer = self._timers[sort] = self._durations.labels(*sort)
        timer.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def now(self) -> Iterator[Metric]:
        flying = GaugeMetricFamily("apiserver_current_inflight_requests", "Requests under way.",
                                   labels=("request_kind",))
        for kind, count in self.in_flight.items():
            flying.add_metric((kind,), count)
        yield flying
        watching = GaugeMetricFamily("apiserver_registered_watchers", "Open watches.",
                                     labels=("group", "version", "kind"))
        for place, count in self.watchers.items():
            watching.add_metric(place, count)
        yield watching
        stored = GaugeMetricFamily("apiserver_storage_objects", "Stored objects by resource.", labels=("resource",))
        for resource, count in sorted(self._count_objects().items()):
            stored.add_metric((resource,), count)
        yield stored
        done: dict[str, CounterMetricFamily] = {}
        for controller, counts in self._controllers().items():
            for what, count in counts.items():
                family = done.setdefault(what, CounterMetricFamily(
                    f"muster_controller_{what}", _CONTROLLER_HELP.get(what, what), labels=("controller",)))
                family.add_metric((controller,), count)
        yield from done.values()


class _Now(Collector):
    def __init__(self, metrics: Metrics):
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.now()
