"""What the laws know of a cluster: its nodes, workloads and pods, told from the changes alone.

Nothing here comes from the controllers: where a daemon belongs, from when on a pod is available and what a share
amounts to is worked out a second time, in the plainest way.  Whatever a law asks at every change is counted along, so
that a change costs the same among ten pods and among a hundred thousand.
"""
from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

from ..api.objects import Key, Obj, condition, controller_of, from_time, is_deleting, uid_of
from ..store.history import Change

K = TypeVar("K", bound=Hashable)
DAEMONSETS, DEPLOYMENTS, REPLICASETS = "daemonsets.apps", "deployments.apps", "replicasets.apps"
STATEFULSETS, JOBS = "statefulsets.apps", "jobs.batch"
WORKLOADS = (DAEMONSETS, DEPLOYMENTS, REPLICASETS, STATEFULSETS, JOBS)
ENDED = ("Succeeded", "Failed")
DAEMON_TOLERATES = {("node.kubernetes.io/not-ready", "NoExecute"), ("node.kubernetes.io/unreachable", "NoExecute"),
                    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
                    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
                    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
                    ("node.kubernetes.io/unschedulable", "NoSchedule")}


# ------------------------------------------------------------------ a second opinion

def phase_of(pod: Obj) -> str:
    return (pod.get("status") or {}).get("phase") or "Pending"


def is_active(pod: Obj) -> bool:
    return not is_deleting(pod) and phase_of(pod) not in ENDED


def is_ready(pod: Obj) -> bool:
    return (condition(pod, "Ready") or {}).get("status") == "True"


def available_from(pod: Obj, workload: Obj) -> float:
    """From when on it is (or was) available: ready for minReadySeconds; never (inf) if it is not ready or going."""
    ready = condition(pod, "Ready")
    if ready is None or ready["status"] != "True" or not is_active(pod):
        return math.inf
    wait_s = workload["spec"].get("minReadySeconds") or 0
    return from_time(ready["lastTransitionTime"]) + wait_s if wait_s else -math.inf


def share_of(value: int | str, total: int, *, up: bool) -> int:
    if not isinstance(value, str):
        return value
    exact = int(value.rstrip("%")) * total / 100
    return math.ceil(exact) if up else math.floor(exact)


def daemon_fits(daemonset: Obj, node: Obj) -> str:
    """ "run", "keep" or "leave": by node name, node selector and taints.  "unsure" where affinity has a say."""
    spec = daemonset["spec"]["template"]["spec"]
    if spec.get("affinity"):
        return "unsure"
    if spec.get("nodeName") not in (None, "", node["metadata"]["name"]):
        return "leave"
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(name) != value for name, value in (spec.get("nodeSelector") or {}).items()):
        return "leave"
    minded = {taint["effect"] for taint in node["spec"].get("taints") or ()
              if (taint["key"], taint["effect"]) not in DAEMON_TOLERATES
              and not (spec.get("hostNetwork") and taint["key"] == "node.kubernetes.io/network-unavailable")
              and not any(_tolerates(one, taint) for one in spec.get("tolerations") or ())}
    return "leave" if "NoExecute" in minded else "keep" if "NoSchedule" in minded else "run"


def _tolerates(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    return toleration["key"] == taint["key"] and (
        toleration.get("operator") == "Exists" or (toleration.get("value") or "") == (taint.get("value") or ""))


def node_of(pod: Obj) -> str:
    """Where it runs, or the only node where it may."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    terms = (((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {})
             .get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or ()
    return next((field["values"][0] for term in terms for field in term.get("matchFields") or ()), "")


def owner_of(obj: Obj | None, kind: str) -> str:
    """The uid of the controller of this kind, or ""."""
    owner = controller_of(obj) if obj is not None else None
    return owner["uid"] if owner is not None and owner["kind"] == kind else ""


# ------------------------------------------------------------------ what is there

class Standing(Generic[K]):
    """Which of some things are up, where each says from when on; asked often, changed one at a time."""

    def __init__(self) -> None:
        self.since: dict[K, float] = {}
        self._down: dict[K, None] = {}  # in the order in which they went down
        self._coming: list[tuple[float, int, K]] = []
        self._count = 0

    def put(self, key: K, since: float, now: float) -> None:
        if self.since.get(key) == since:
            return
        self.since[key] = since
        if since <= now:
            self._down.pop(key, None)
            return
        self._down[key] = None
        if since < math.inf:
            self._count += 1
            heapq.heappush(self._coming, (since, self._count, key))

    def drop(self, key: K) -> None:
        self.since.pop(key, None)
        self._down.pop(key, None)

    def is_up(self, key: K, now: float) -> bool:
        return self.since.get(key, math.inf) <= now

    def down(self, now: float) -> dict[K, None]:
        while self._coming and self._coming[0][0] <= now:
            since, _, key = heapq.heappop(self._coming)
            if self.since.get(key) == since:
                self._down.pop(key, None)
        return self._down

    def up(self, now: float) -> int:
        return len(self.since) - len(self.down(now))


class Scene:
    """Nodes, workloads and pods as they are after the last change."""

    def __init__(self) -> None:
        self.nodes: dict[str, Obj] = {}
        self.pods: dict[Key, Obj] = {}
        self.workloads: dict[str, Obj] = {}  # by uid
        self.owned: dict[str, dict[Key, Obj]] = {}  # the pods of a controller, by its uid
        self.active: Counter[str] = Counter()  # how many of them are neither ended nor going
        self.came: dict[Key, float] = {}  # when the pod was made, or came to its owner

    def apply(self, change: Change, now: float) -> None:
        key, old, new = change.key, change.previous, change.value
        if key.resource == "pods":
            self._apply_pod(key, old, new, now)
        elif key.resource == "nodes":
            if new is None:
                self.nodes.pop(key.name, None)
            else:
                self.nodes[key.name] = new
        elif key.resource in WORKLOADS:
            if new is None:
                self.workloads.pop(uid_of(old or {"metadata": {}}), None)
            else:
                self.workloads[uid_of(new)] = new

    def _apply_pod(self, key: Key, old: Obj | None, new: Obj | None, now: float) -> None:
        before, after = _owner_uid(old), _owner_uid(new)
        if before:
            if before != after and (held := self.owned.get(before)) is not None:
                held.pop(key, None)
                if not held:
                    del self.owned[before]
            if old is not None and is_active(old):
                self.active[before] -= 1
        if after and new is not None:
            self.owned.setdefault(after, {})[key] = new
            if is_active(new):
                self.active[after] += 1
        if new is None:
            self.pods.pop(key, None)
            self.came.pop(key, None)
            return
        if old is None or before != after:
            self.came[key] = now
        self.pods[key] = new

    def pods_of(self, uid: str) -> dict[Key, Obj]:
        return self.owned.get(uid) or {}


def _owner_uid(obj: Obj | None) -> str:
    owner = controller_of(obj) if obj is not None else None
    return owner["uid"] if owner is not None else ""
