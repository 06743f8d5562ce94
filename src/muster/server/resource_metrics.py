"""metrics.k8s.io/v1beta1: what nodes and pods use now, for `kubectl top` and for who scales by it.

Nothing of it is stored: each answer is measured when it is asked for, of the pods or nodes that the registry lists.
A pod has metrics once all of its running containers were seen by a whole window; until then it is not found.
https://kubernetes.io/docs/tasks/debug/debug-cluster/resource-metrics-pipeline/#metrics-api
"""
from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..api.errors import NotFound, not_found
from ..api.kinds.kind import Column, Kind
from ..api.objects import Obj, labels_of, name_of, namespace_of, to_time
from ..api.samples import Meter, Used
from ..api.tables import NAME, partial, path_cell, table
from ..clock import Clock
from .exchange import Answer, Request, answer_object
from .negotiation import accepted
from .options import list_query, text
from .registry import Registry
from .requests import ListQuery
from .routes import Route

# Measured before others get their turn: some milliseconds each.
PODS_TOGETHER, NODES_TOGETHER = 250, 10
GROUP, VERSION = "metrics.k8s.io", "v1beta1"
_DEFINITIONS = "io.k8s.metrics.pkg.apis.metrics.v1beta1"
_META = "#io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta -- Standard object's metadata."
_USAGE = "{}quantity -- What was used in the window: cpu and memory."


def _schema(name: str, **more: str) -> dict[str, dict[str, str]]:
    return {f"{_DEFINITIONS}.{name}": {
        "apiVersion": "string -- metrics.k8s.io/v1beta1", "kind": f"string -- {name}", "metadata": _META,
        "timestamp": "time -- When the window ended.", "window": "string -- How long it was.", **more}}


_NODE_SCHEMA = _schema("NodeMetrics", usage=_USAGE)
_POD_SCHEMA = _schema("PodMetrics", containers=f"[]#{_DEFINITIONS}.ContainerMetrics list=atomic -- Each container.") | {
    f"{_DEFINITIONS}.ContainerMetrics": {"name": "string -- The container's name.", "usage": _USAGE}}


def _of_all(what: str) -> Callable[[Obj, float], str]:
    """A node's usage, or the sum of a pod's containers."""
    def cell(obj: Obj, now: float) -> str:
        told = [obj] if "usage" in obj else obj["containers"]
        return _ADDED[what](told)
    return cell


def _cpu_added(told: list[Obj]) -> str:
    return _cpu(sum(int(one["usage"]["cpu"].removesuffix("n")) for one in told))


def _memory_added(told: list[Obj]) -> str:
    return _memory(sum(int(one["usage"]["memory"].removesuffix("Ki")) for one in told) * 1024)


_ADDED = {"cpu": _cpu_added, "memory": _memory_added}
_COLUMNS = (NAME, Column("cpu", _of_all("cpu"), description="Processor time used, in cores."),
            Column("memory", _of_all("memory"), description="Memory in use."),
            Column("Window", path_cell("window"), description="How long it was measured."))

NODE_METRICS = Kind(
    group=GROUP, version=VERSION, name="NodeMetrics", plural="nodes", singular="", namespaced=False,
    definition=f"{_DEFINITIONS}.NodeMetrics", verbs=("get", "list"), columns=_COLUMNS, generation_fields=(),
    own_schema=_NODE_SCHEMA)
POD_METRICS = Kind(
    group=GROUP, version=VERSION, name="PodMetrics", plural="pods", singular="", namespaced=True,
    definition=f"{_DEFINITIONS}.PodMetrics", verbs=("get", "list"), columns=_COLUMNS, generation_fields=(),
    own_schema=_POD_SCHEMA)
ROWS = (NODE_METRICS, POD_METRICS)


class ResourceMetrics:
    def __init__(self, registry: Registry, clock: Clock, meter: Meter):
        self._registry, self._clock, self._meter = registry, clock, meter

    async def answer(self, route: Route, request: Request) -> Answer:
        form = accepted(request.accept)
        items = [self._one(route)] if route.name else await self._all(route, request)
        if form.shape == "table":
            include = "Object" if text(request.params, "includeObject") == "Object" else "Metadata"
            return answer_object(table(route.kind, items, self._clock.now(), include), form)
        if form.shape == "partial":
            items = [partial(one) for one in items]
        if route.name:
            return answer_object(items[0], form)
        listed = {"kind": f"{route.kind.name}List", "apiVersion": route.kind.api_version}
        if form.shape == "partial":
            listed = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return answer_object({**listed, "metadata": {}, "items": items}, form)

    def _one(self, route: Route) -> Obj:
        kind = self._registry.kinds.resource(route.kind.plural)
        try:
            found = self._registry.get(kind, route.namespace, route.name).value
        except NotFound:
            found = None
        measured = self._measured(found) if found is not None else None
        if measured is None:
            name = f"{route.namespace}/{route.name}" if route.namespace else route.name
            raise not_found(f"{route.kind.name.lower()}.{GROUP}", name)
        return measured

    async def _all(self, route: Route, request: Request) -> list[Obj]:
        kind = self._registry.kinds.resource(route.kind.plural)
        asked = list_query(request.params)
        page = self._registry.list(kind, route.namespace, ListQuery(labels=asked.labels, fields=asked.fields))
        together = PODS_TOGETHER if route.kind is POD_METRICS else NODES_TOGETHER
        measured: list[Obj] = []
        for number, one in enumerate(page.items, 1):
            if (found := self._measured(one.value)) is not None:
                measured.append(found)
            if number % together == 0:
                await asyncio.sleep(0)
        return measured

    def _measured(self, obj: Obj) -> Obj | None:
        if obj["kind"] == "Node":
            of_node = self._meter.node(obj)
            return None if of_node is None else {
                **_head(obj, NODE_METRICS, of_node.at, of_node.window_s, self._clock.now()),
                "usage": _usage(of_node.used)}
        of_pod = self._meter.pod(obj)
        return None if of_pod is None else {
            **_head(obj, POD_METRICS, of_pod.at, of_pod.window_s, self._clock.now()),
            "containers": [{"name": name, "usage": _usage(used)} for name, used in of_pod.containers.items()]}


def _head(obj: Obj, kind: Kind, at_s: int, window_s: float, now: float) -> Obj:
    metadata: Obj = {"name": name_of(obj), "creationTimestamp": to_time(now)}
    if namespace := namespace_of(obj):
        metadata["namespace"] = namespace
    if labels := labels_of(obj):
        metadata["labels"] = labels
    return {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata, "timestamp": to_time(at_s),
            "window": f"{window_s:g}s"}


def _usage(used: Used) -> Obj:
    return {"cpu": _cpu(used.cpu_n), "memory": _memory(used.memory)}


def _cpu(billionths: int) -> str:
    return f"{billionths}n" if billionths else "0"


def _memory(amount: int) -> str:
    return f"{amount // 1024}Ki" if amount else "0"
