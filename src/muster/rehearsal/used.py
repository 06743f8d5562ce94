"""What the pods of autoscaled workloads use, said so that simulated pods use it: a rehearsal has no metrics of its own.

    muster.dev/usage on the workload or its pods     as it is said there
    PodMetrics (kubectl get podmetrics -A -o yaml)   what the pods were measured to use
    the autoscaler's own status                      what it saw last
    nothing of these                                 as much as it aims at: it has no reason to scale
    a manifest, of which nothing is known            what simulated pods use (node/usage.py)

Processor time is the work of all pods of a workload: it is taken for a load that those which are ready share, so more
pods have less to do each.  Memory is each pod's own; it is said only where an autoscaler goes by it.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..api import quantities
from ..api.kinds.catalogue import Kinds
from ..api.kinds.horizontal_pod_autoscaler import HORIZONTAL_POD_AUTOSCALER
from ..api.objects import Obj, annotations_of, at, controller_of, is_true, name_of, namespace_of, uid_of, with_
from ..node.usage import ANNOTATION

CPU, MEMORY, DEFAULT = "cpu", "memory", "default"
KI = 1024
GROUP = "metrics.k8s.io"
MOST_NAMED = 3
RESOURCE_METRICS = ("Resource", "ContainerResource")

Used = dict[tuple[str, str], list[float]]  # (container, resource) -> what each pod uses of it


@dataclass(frozen=True)
class _Target:
    """A workload that an autoscaler scales."""

    autoscaler: Obj
    workload: Obj
    pods: Sequence[Obj]

    @property
    def metrics(self) -> list[Obj]:
        return [one for one in self.autoscaler["spec"].get("metrics") or () if one.get("type") in RESOURCE_METRICS]

    @property
    def replicas(self) -> int:
        return sum(is_true(pod, "Ready") for pod in self.pods) or at(self.workload, "spec.replicas", 1) or 0

    def containers(self) -> Sequence[Obj]:
        found: Sequence[Obj] = at(self.workload, "spec.template.spec.containers", ())
        return found


def is_metrics(obj: Obj) -> bool:
    return bool(obj["apiVersion"].partition("/")[0] == GROUP)


def with_usage(objects: Sequence[Obj], manifests: Sequence[Obj], metrics: Sequence[Obj], kinds: Kinds,
               notes: list[str]) -> list[Obj]:
    """The same objects; what their pods use stands on those that are scaled, and a note says where it is from."""
    measured = {(namespace_of(one), name_of(one)): one for one in metrics if one["kind"] == "PodMetrics"}
    said: dict[str, str] = {}
    told: dict[str, list[str]] = {}
    for target in _targets([*manifests, *objects], kinds):
        source, text = _said_of(target, measured)
        told.setdefault(source, []).append(f"{target.workload['kind']} {namespace_of(target.workload)}/"
                                           f"{name_of(target.workload)}")
        if text:
            said[uid_of(target.workload)] = text
    notes += [note.format(_named(told[source])) for source, note in _NOTES.items() if source in told]
    return [with_(one, ("metadata", "annotations", ANNOTATION), said[uid_of(one)]) if uid_of(one) in said else one
            for one in objects]


_NOTES = {
    "metrics": "what the pods of {} use is as their PodMetrics tell; its processor time is a load that all ready pods "
               "share",
    "status": "what the pods of {} use is as their autoscaler saw it last; its processor time is a load that all ready "
              "pods share",
    "aim": "nothing tells what the pods of {} use: it is assumed to be what their autoscaler aims at, a load that all "
           "ready pods share",
    "usual": "nothing tells what the pods of {} use: 20 to 40 % of the cpu and 50 to 70 % of the memory that they "
             "request is assumed (muster.dev/usage says otherwise)",
    "others": "{} is scaled by metrics that are not simulated: nothing scales it down",
}


def _named(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} others"
                                                    if len(names) > MOST_NAMED else "")


def _targets(objects: Sequence[Obj], kinds: Kinds) -> Iterator[_Target]:
    there = {(one["kind"], namespace_of(one) or DEFAULT, name_of(one)): one for one in objects}  # recorded ones last
    below: dict[str, list[Obj]] = {}
    for one in objects:
        if (owner := controller_of(one)) is not None:
            below.setdefault(owner["uid"], []).append(one)
    for one in objects:
        if one["kind"] != HORIZONTAL_POD_AUTOSCALER.name:
            continue
        kind = kinds.named(one["apiVersion"], one["kind"])
        assert kind is not None, "what was read is of a kind that is served"
        autoscaler = kind.to_stored(kind.defaults(one))
        wanted = autoscaler["spec"]["scaleTargetRef"]
        workload = there.get((wanted["kind"], namespace_of(one) or DEFAULT, wanted["name"]))
        if workload is not None:
            yield _Target(autoscaler, workload, list(_pods_of(workload, below)))


def _pods_of(owner: Obj, below: Mapping[str, Sequence[Obj]]) -> Iterator[Obj]:
    for one in below.get(uid_of(owner), ()):
        if one["kind"] == "Pod":
            yield one
        else:
            yield from _pods_of(one, below)


# ------------------------------------------------------------------ where it is from


def _said_of(target: _Target, measured: Mapping[tuple[str, str], Obj]) -> tuple[str, str]:
    """Where it is from, and what is said; nothing where it was said before, or nothing can be."""
    if any(ANNOTATION in annotations_of(one) for one in (
            target.workload, {"metadata": at(target.workload, "spec.template.metadata", {})}, *target.pods)):
        return "said", ""
    if not target.metrics:
        return "others", ""
    if not uid_of(target.workload):
        return "usual", ""
    resources = {_source(metric)["name"] for metric in target.metrics}
    for source, used in (("metrics", _by_metrics(target, measured)), ("status", _by_status(target)),
                         ("aim", _by_aim(target))):
        if used:
            return source, _written(used, target.replicas, resources)
    return "others", ""


def _by_metrics(target: _Target, measured: Mapping[tuple[str, str], Obj]) -> Used:
    used: Used = {}
    for pod in target.pods:
        found = measured.get((namespace_of(pod), name_of(pod)))
        for container in (found or {}).get("containers") or ():
            for resource, amount in (container.get("usage") or {}).items():
                used.setdefault((container["name"], resource), []).append(float(quantities.parse(amount)))
    return used


def _by_status(target: _Target) -> Used:
    used: Used = {}
    for told in at(target.autoscaler, "status.currentMetrics") or ():
        current = _source(told)
        average = at(current, "current.averageValue")
        if average is not None:
            _spread(used, target, current, float(quantities.parse(average)))
    return used


def _by_aim(target: _Target) -> Used:
    used: Used = {}
    for metric in target.metrics:
        source = _source(metric)
        aim = source["target"]
        if aim.get("averageValue") is not None:
            _spread(used, target, source, float(quantities.parse(aim["averageValue"])))
        elif aim.get("averageUtilization") is not None:
            for container in _meant(target, source):
                share = aim["averageUtilization"] / 100 * _request(container, source["name"])
                used[container["name"], source["name"]] = [share]
    return used


def _source(metric: Obj) -> Obj:
    found: Obj = metric.get("resource") or metric.get("containerResource") or {}
    return found


def _meant(target: _Target, source: Obj) -> list[Obj]:
    return [one for one in target.containers() if source.get("container", one["name"]) == one["name"]]


def _spread(used: Used, target: _Target, source: Obj, average: float) -> None:
    """What a pod uses, over its containers by what they request."""
    containers = _meant(target, source)
    requests = [_request(one, source["name"]) for one in containers]
    for container, request in zip(containers, requests, strict=True):
        part = request / sum(requests) if sum(requests) else 1 / len(containers)
        used[container["name"], source["name"]] = [average * part]


def _request(container: Obj, resource: str) -> float:
    return float(quantities.parse(at(container, "resources.requests", {}).get(resource, "0")))


# ------------------------------------------------------------------ how it is said


def _written(used: Used, replicas: int, resources: set[str]) -> str:
    """ "app: load=0.84, memory=120Mi..150Mi; proxy: load=0.02" """
    said: dict[str, list[str]] = {}
    for (container, resource), amounts in used.items():
        if resource == CPU and CPU in resources:
            load = sum(amounts) / len(amounts) * replicas
            said.setdefault(container, []).append(f"load={load:.6f}")
        elif resource == MEMORY and MEMORY in resources:
            least, most = (f"{round(amount / KI)}Ki" for amount in (min(amounts), max(amounts)))
            said.setdefault(container, []).append(f"memory={least}" if least == most else f"memory={least}..{most}")
    return "; ".join(f"{container}: {', '.join(parts)}" for container, parts in said.items())
