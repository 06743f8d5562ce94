"""How many replicas a metric asks for: pure arithmetic over the pods of a target and what they were measured to use.

    ratio     what they use, of what they should; within a tenth of 1 nothing changes
    replicas  ratio x the pods that count, rounded up

Pods that are not ready, or not measured, count in the way that changes least: with a high ratio as using nothing, with
a low one as using all they ask for.  Such assumptions may damp a change, never turn it round.  An answer other than
resource metrics' (pods, object, external) is what a cluster without those metrics APIs gives.
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details
"""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..api import quantities
from ..api.go_text import text_of_selector
from ..api.objects import Obj, condition, from_time, is_deleting, name_of, namespace_of
from ..api.samples import PodSample, Used

TOLERANCE = 0.1
CPU_INITIALIZATION_S = 300.0
INITIAL_READINESS_S = 30.0
_UNITS: dict[str, Callable[[Used], int]] = {  # of a thousandth
    "cpu": lambda used: -(-used.cpu_n // 1_000_000), "memory": lambda used: used.memory * 1000}


@dataclass(frozen=True, slots=True)
class Look:
    """What there was to see of a target."""

    current: int  # replicas asked for, as the scale has it
    pods: Sequence[Obj]
    samples: Mapping[str, PodSample]  # by name, of pods that have one


@dataclass(frozen=True, slots=True)
class Proposal:
    replicas: int
    metric: str  # as "New size: 4; reason: ... above target" names it
    status: Obj  # the entry of status.currentMetrics


class Unknown(Exception):
    """A metric that says nothing: the condition's reason and message, and how the whole is told."""

    def __init__(self, reason: str, why: str, told: str):
        super().__init__(told)
        self.reason, self.why, self.told = reason, why, told


class _NoAnswer(Exception):
    pass


def propose(metric: Obj, look: Look, namespace: str, now: float) -> Proposal:
    """What one metric asks for.  Raises Unknown."""
    type_ = metric.get("type")
    match type_:
        case "Resource" | "ContainerResource":
            return _of_resource(metric, look, now)
        case "Pods":
            name = metric["pods"]["metric"]["name"]
            why = f"unable to get metric {name}: {_NO_CUSTOM}"
            raise Unknown("FailedGetPodsMetric", why, f"failed to get pods metric value: {why}")
        case "Object":
            name, about = metric["object"]["metric"]["name"], metric["object"]["describedObject"]
            why = f"unable to get metric {name}: {about['kind']} on {namespace} {about['name']}/{_NO_CUSTOM}"
            raise Unknown("FailedGetObjectMetric", why, f"failed to get object metric value: {why}")
        case "External":
            name = metric["external"]["metric"]["name"]
            selector = text_of_selector(metric["external"]["metric"].get("selector"))
            why = (f"unable to get external metric {namespace}/{name}/{selector}: unable to fetch metrics from "
                   "external metrics API: the server could not find the requested resource "
                   f"(get {name}.external.metrics.k8s.io)")
            raise Unknown("FailedGetExternalMetric", why, f"failed to get {name} external metric value: failed to get "
                                                          f"{name} external metric: {why}")
    why = f'unknown metric source type "{type_}"'
    raise Unknown("InvalidMetricSourceType", why, why)


_NO_CUSTOM = ("unable to fetch metrics from custom metrics API: "
              "no custom metrics API (custom.metrics.k8s.io) registered")


# ------------------------------------------------------------------ cpu and memory

def _of_resource(metric: Obj, look: Look, now: float) -> Proposal:
    field = "resource" if metric["type"] == "Resource" else "containerResource"
    source = metric[field]
    resource, container, target = source["name"], source.get("container", ""), source["target"]
    try:
        if target.get("averageValue") is not None:
            what = "usage"
            wanted = quantities.milli(target["averageValue"])
            replicas, average, _ = _replicas(look, resource, container, now, _Plain(wanted))
            said: Obj = {"averageValue": _milli_text(average)}
            told = f"{resource} resource"
        elif target.get("averageUtilization") is not None:
            what = "utilization"
            replicas, average, share = _replicas(look, resource, container, now, _OfRequests(
                target["averageUtilization"], resource, container))
            said = {"averageUtilization": share, "averageValue": _milli_text(average)}
            told = (f"{resource} {'container ' if field == 'containerResource' else ''}resource utilization "
                    "(percentage of request)")
        else:
            raise _NoAnswer("invalid resource metric source: neither an average utilization nor an average value "
                            "was set")
    except _NoAnswer as wrong:
        why = f"failed to get {resource} {what}: {wrong}"
        kind = "resource" if field == "resource" else "container"
        raise Unknown("FailedGetResourceMetric" if field == "resource" else "FailedGetContainerResourceMetric", why,
                      f"failed to get {resource} {kind} metric value: {why}") from None
    named = {"name": resource} if field == "resource" else {"container": container, "name": resource}
    return Proposal(replicas, told, {"type": metric["type"], field: {**named, "current": said}})


def _milli_text(thousandths: int) -> str:
    value = Fraction(thousandths, 1000)
    return quantities.written(value.numerator if value.denominator == 1 else value)


Values = dict[str, int]  # pod's name -> thousandths


class _Plain:
    """A target in the resource's own unit."""

    def __init__(self, wanted: int):
        self._wanted = wanted

    def prepare(self, pods: Sequence[Obj]) -> None:
        pass

    def ratio(self, values: Values) -> tuple[float, int, int]:
        """(ratio, average, percent)"""
        average = sum(values.values()) // len(values)
        return average / self._wanted, average, 0

    def full(self, pod: str) -> int:
        return self._wanted


class _OfRequests:
    """A target in percent of what is requested."""

    def __init__(self, wanted: int, resource: str, container: str):
        self._wanted, self._resource, self._container = wanted, resource, container
        self._requests: Values = {}

    def prepare(self, pods: Sequence[Obj]) -> None:
        self._requests = {name_of(pod): _request(pod, self._resource, self._container) for pod in pods}

    def ratio(self, values: Values) -> tuple[float, int, int]:
        used = {pod: value for pod, value in values.items() if pod in self._requests}
        requested = sum(self._requests[pod] for pod in used)
        if not requested:
            raise _NoAnswer("no metrics returned matched known pods")
        share = sum(used.values()) * 100 // requested
        return share / self._wanted, sum(used.values()) // len(used), share

    def full(self, pod: str) -> int:
        """All of its request, or more where more than that is wanted."""
        return self._requests[pod] * max(100, self._wanted) // 100


def _request(pod: Obj, resource: str, container: str) -> int:
    total = 0
    spec = pod["spec"]
    sidecars = (one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always")
    for one in (*spec["containers"], *sidecars):
        if container in ("", one["name"]):
            said = ((one.get("resources") or {}).get("requests") or {}).get(resource)
            if said is None:
                raise _NoAnswer(f"missing request for {resource} in container {one['name']} of Pod {name_of(pod)}")
            total += quantities.milli(said)
    return total


def _replicas(look: Look, resource: str, container: str, now: float,
              target: _Plain | _OfRequests) -> tuple[int, int, int]:
    """(replicas, average, percent).  Raises _NoAnswer."""
    values = _measured(look, resource, container)
    if not look.pods:
        raise _NoAnswer("no pods returned by selector while calculating replica count")
    ready, unready, missing, left_out = _sorted_out(look, values, resource, now)
    for name in (*left_out, *unready):
        values.pop(name, None)
    if not values:
        raise _NoAnswer("did not receive metrics for targeted pods (pods might be unready)")
    target.prepare(look.pods)
    ratio, average, share = target.ratio(values)
    with_unready = bool(unready) and ratio > 1.0
    if not with_unready and not missing:
        replicas = look.current if _is_close(ratio) else _up(ratio * ready)
        return replicas, average, share
    if ratio < 1.0:
        values |= {name: target.full(name) for name in missing}
    elif ratio > 1.0:
        values |= dict.fromkeys(missing, 0)
    if with_unready:
        values |= dict.fromkeys(unready, 0)
    assumed = target.ratio(values)[0]
    if _is_close(assumed) or (ratio < 1.0 < assumed) or (assumed < 1.0 < ratio):
        return look.current, average, share
    replicas = _up(assumed * len(values))
    if (assumed < 1.0 and replicas > look.current) or (assumed > 1.0 and replicas < look.current):
        return look.current, average, share
    return replicas, average, share


def _is_close(ratio: float) -> bool:
    return abs(1.0 - ratio) <= TOLERANCE


def _up(value: float) -> int:
    return math.ceil(value)


def _measured(look: Look, resource: str, container: str) -> Values:
    values: Values = {}
    unit = _UNITS.get(resource)
    if look.samples and unit is not None:
        for pod in look.pods:
            sample = look.samples.get(name_of(pod))
            if sample is None:
                continue
            if container and container not in sample.containers:
                where = f"{namespace_of(pod)}/{name_of(pod)}"
                raise _NoAnswer(f"unable to get metrics for resource {resource}: container {container} not present in "
                                f"metrics for pod {where}")
            values[name_of(pod)] = sum(unit(used) for name, used in sample.containers.items()
                                       if container in ("", name))
    if not look.samples:
        raise _NoAnswer(f"unable to get metrics for resource {resource}: no metrics returned from resource metrics API")
    return values


def _sorted_out(look: Look, values: Values, resource: str, now: float) -> tuple[int, list[str], list[str], list[str]]:
    """How many pods count as they are; the names of those not ready, not measured, and not to be counted."""
    ready = 0
    unready: list[str] = []
    missing: list[str] = []
    left_out: list[str] = []
    for pod in look.pods:
        name, phase = name_of(pod), (pod.get("status") or {}).get("phase")
        if is_deleting(pod) or phase == "Failed":
            left_out.append(name)
        elif phase == "Pending":
            unready.append(name)
        elif name not in values:
            missing.append(name)
        elif resource == "cpu" and _is_starting(pod, look.samples[name], now):
            unready.append(name)
        else:
            ready += 1
    return ready, unready, missing, left_out


def _is_starting(pod: Obj, sample: PodSample, now: float) -> bool:
    """Is what its cpu does now no sign of what it will do?"""
    found, started = condition(pod, "Ready"), (pod.get("status") or {}).get("startTime")
    if found is None or not started:
        return True
    since, changed = from_time(started), from_time(found["lastTransitionTime"])
    if since + CPU_INITIALIZATION_S > now:  # a whole window must have passed since it got ready
        return found["status"] == "False" or sample.at < changed + sample.window_s
    return found["status"] == "False" and since + INITIAL_READINESS_S > changed  # it never was ready
