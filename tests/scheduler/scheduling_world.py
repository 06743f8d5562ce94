"""Nodes and pods in few words, and a world that hears of them as a mirror would tell it."""
from muster.api.objects import Key
from muster.api.placement import pin_to_node
from muster.control.plan import Bind, Tell
from muster.scheduler.decide import Observed, decide
from muster.scheduler.line import Line
from muster.scheduler.snapshot import Snapshot
from muster.store.history import Change
from muster.store.history import Snapshot as Stored

NOW = 1_767_225_600.0
STARTED = "2026-01-01T00:00:00Z"
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def node(name, cpu="4", memory="8Gi", pods="110", taints=(), labels=None, zone=None, images=(), more=None, **spec):
    labels = {HOST: name, **({ZONE: zone} if zone else {}), **(labels or {})}
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels, "creationTimestamp": STARTED},
            "spec": {"taints": list(taints), **spec},
            "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods, **(more or {})},
                       "images": [{"names": [name], "sizeBytes": size} for name, size in images]}}


def pod(name, cpu="0", on=None, bound=None, priority=0, conditions=(), port=None, phase="Pending", labels=None,
        namespace="x", started=None, **spec):
    requests = {"cpu": cpu} if isinstance(cpu, str) else cpu
    container = {"name": "a", "image": "a:1", "resources": {"requests": requests}}
    if port:
        container["ports"] = [{"containerPort": port, "hostPort": port, "protocol": "TCP"}]
    body = {"containers": [container], "priority": priority, "schedulerName": "default-scheduler", **spec}
    if on:
        body = pin_to_node(body, on)
    if bound:
        body["nodeName"] = bound
    status = {"phase": phase, "conditions": list(conditions)}
    if started:
        status["startTime"] = started
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "creationTimestamp": STARTED,
                         "labels": labels or {}},
            "spec": body, "status": status}


def term(labels, key=ZONE, **more):
    return {"labelSelector": {"matchLabels": labels}, "topologyKey": key, **more}


def affinity(kind, *terms):
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def preferred(kind, *weighted):
    return {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": weight, "podAffinityTerm": one} for weight, one in weighted]}}


def spread(labels, key=ZONE, skew=1, hard=True, **more):
    return {"labelSelector": {"matchLabels": labels}, "topologyKey": key, "maxSkew": skew,
            "whenUnsatisfiable": "DoNotSchedule" if hard else "ScheduleAnyway", **more}


class World:
    """What the scheduler knows: told object by object."""

    def __init__(self, *objects):
        self.snapshot, self.line, self.revision, self.there = Snapshot(), Line(), 0, {}
        for obj in objects:
            self.put(obj)

    def put(self, obj, gone=False):
        self.revision += 1
        key = Key("nodes" if obj["kind"] == "Node" else "pods", obj["metadata"].get("namespace", ""),
                  obj["metadata"]["name"])
        old = self.there.get(key)
        self.there[key] = None if gone else obj
        change = Change(self.revision, key, None if gone else Stored(obj, self.revision),
                        Stored(old, self.revision - 1) if old else None)
        if key.resource == "nodes":
            return self.snapshot.apply_node(change)
        happened = self.snapshot.apply_pod(change)
        if happened.waiting is not None:
            self.line.put(happened.waiting)
        else:
            self.line.drop(key)
        return happened

    def seen(self, now=NOW, **more):
        found = self.snapshot
        return Observed(self.line.take(now, 1000), found.rooms, found.node_order(), found.tallies, found.images,
                        nominated=self.line.nominated, lowest_priority=found.lowest_priority, **more)

    def decide(self, now=NOW, **more):
        return decide(self.seen(now, **more), now)


def bound(decided):
    return {action.key.name: action.node for action in decided.actions if isinstance(action, Bind)}


def told(decided):
    return [action.message for action in decided.actions
            if isinstance(action, Tell) and action.reason == "FailedScheduling"]
