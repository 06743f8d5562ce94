"""The workloads that make pods (DaemonSets, Deployments, StatefulSets, ReplicaSets and Jobs), and how far each one is.

`standing(obj)` reads from a workload's status how far its rollout is, the way `kubectl rollout status` does.
https://kubernetes.io/docs/reference/kubectl/generated/kubectl_rollout/kubectl_rollout_status/
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..api.objects import Obj, at, controller_of, is_true
from ..controllers.daemonset_rollout import is_paused, strategy_of

DAEMONSETS, DEPLOYMENTS, STATEFULSETS = "daemonsets.apps", "deployments.apps", "statefulsets.apps"
REPLICASETS, JOBS = "replicasets.apps", "jobs.batch"
RESOURCES = (DAEMONSETS, DEPLOYMENTS, STATEFULSETS, REPLICASETS, JOBS)
SHORT = {DAEMONSETS: "ds", DEPLOYMENTS: "deploy", STATEFULSETS: "sts", REPLICASETS: "rs", JOBS: "job"}


@dataclass(frozen=True, slots=True)
class Standing:
    wanted: int  # pods
    updated: int  # of today's template
    available: int  # of all
    complete: bool
    waits_for: str = ""  # what keeps it from being complete, where it waits for somebody


def is_measured(resource: str, obj: Obj) -> bool:
    """A ReplicaSet of a Deployment is part of that."""
    return resource in SHORT and (resource != REPLICASETS or controller_of(obj) is None) \
        and (resource != JOBS or controller_of(obj) is None)


def standing(resource: str, obj: Obj) -> Standing:
    return _READ[resource](obj)


def _seen(obj: Obj) -> bool:
    return at(obj, "status.observedGeneration", 0) >= at(obj, "metadata.generation", 0)


def _daemonset(obj: Obj) -> Standing:
    status = obj.get("status") or {}
    wanted, available = status.get("desiredNumberScheduled", 0), status.get("numberAvailable", 0)
    updated = status.get("updatedNumberScheduled", 0)
    by_hand = strategy_of(obj) != "RollingUpdate"
    complete = _seen(obj) and available >= wanted and (by_hand or updated >= wanted)
    why = ""
    if updated < wanted:
        if by_hand:
            why = "its updateStrategy is OnDelete: old pods stay until somebody deletes them"
        elif is_paused(obj):
            why = "it is paused"
    return Standing(wanted, updated, available, complete, why)


def _deployment(obj: Obj) -> Standing:
    status, wanted = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    complete = _seen(obj) and updated >= wanted and status.get("replicas", 0) <= updated and available >= updated
    return Standing(wanted, updated, available, complete, "it is paused" if obj["spec"].get("paused") else "")


def _stateful_set(obj: Obj) -> Standing:
    status, wanted = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    partition = at(obj, "spec.updateStrategy.rollingUpdate.partition", 0)
    by_hand = at(obj, "spec.updateStrategy.type", "RollingUpdate") != "RollingUpdate"
    due = 0 if by_hand else max(0, wanted - partition)
    complete = _seen(obj) and available >= wanted and status.get("replicas", 0) == wanted and updated >= due
    why = ""
    if updated < wanted:
        if by_hand:
            why = "its updateStrategy is OnDelete: old pods stay until somebody deletes them"
        elif partition and updated >= due:
            why = f"its partition is {partition}"
    return Standing(wanted, updated, available, complete, why)


def _replica_set(obj: Obj) -> Standing:
    status, wanted = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    there, available = status.get("replicas", 0), status.get("availableReplicas", 0)
    return Standing(wanted, there, available, _seen(obj) and there == wanted and available >= wanted)


def _job(obj: Obj) -> Standing:
    wanted = at(obj, "spec.completions", 1)
    done = is_true(obj, "Complete") or is_true(obj, "Failed")
    why = "it is suspended" if obj["spec"].get("suspend") else ""
    return Standing(wanted, at(obj, "status.succeeded", 0), at(obj, "status.ready", 0), done or bool(why), why)


_READ: Mapping[str, Callable[[Obj], Standing]] = {
    DAEMONSETS: _daemonset, DEPLOYMENTS: _deployment, STATEFULSETS: _stateful_set, REPLICASETS: _replica_set,
    JOBS: _job}
