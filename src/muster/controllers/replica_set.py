"""As many pods as asked for, at all times.

    observe   the set, its pods (and orphans it may adopt), the pods of sets with the same owner
    decide    claims first: adopt what matches, release what no longer does
              too few: make what is missing, no more than 500 at a look, in batches of 1, 2, 4, ...
              too many: end some, the least useful first       (replica_set_surplus.py)
              status; where the making or ending was refused, the condition ReplicaFailure says why

Pods that ended or are being deleted do not count, so their successors come at once.  ReplicationControllers
are the same decision with a plain map for a selector; they have a controller, and an account, of their own.
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from ..api.objects import (
    Key,
    Obj,
    condition,
    controller_of,
    controller_reference,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    to_time,
    uid_of,
)
from ..api.selectors import selector_of
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control import owners
from ..control.dependents import woken_by_dependent
from ..control.plan import Action, Create, Delete, Plan, SetStatus
from ..control.runtime import Controller
from ..store.history import Change
from .readiness import NEVER, available_at
from .replica_set_surplus import surplus

RESOURCES = {"ReplicaSet": "replicasets.apps", "ReplicationController": "replicationcontrollers"}
BURST = 500  # pods made or ended at one look
FAILURE = "ReplicaFailure"


@dataclass(frozen=True, slots=True)
class Observed:
    replica_set: Obj
    pods: Sequence[Obj]  # its own, and those of its namespace without a controller
    siblings: Sequence[Obj] = ()  # the pods of the other sets that its owner controls


# ------------------------------------------------------------------ the look

def observe(mirror: Mirror, key: Key) -> Observed | None:
    """None for a set that is being deleted: the garbage collector sees to its pods."""
    replica_set = mirror.get(key)
    if replica_set is None or is_deleting(replica_set):
        return None
    pods = owners.candidates(mirror, replica_set, "pods")
    wanted = replica_set["spec"].get("replicas", 1)
    # Who crowds which node matters only to a set that may have to choose.
    return Observed(replica_set, pods, _siblings(mirror, replica_set) if len(pods) > wanted else ())


def _siblings(mirror: Mirror, replica_set: Obj) -> list[Obj]:
    owner = controller_of(replica_set)
    if owner is None:
        return []
    others = [obj for key, obj in mirror.dependents(owner["uid"]).items()
              if key.resource == RESOURCES[replica_set["kind"]] and uid_of(obj) != uid_of(replica_set)]
    return [pod for other in others for key, pod in mirror.dependents(uid_of(other)).items()
            if key.resource == "pods"]


# ------------------------------------------------------------------ the decision

def plan(seen: Observed, now: float) -> Plan:
    replica_set, size = seen.replica_set, len(seen.pods) + 1
    spec = replica_set["spec"]
    active = [pod for pod in seen.pods if is_active(pod)]
    claimed = owners.claim(replica_set, selector_of(replica_set), active, "pods")
    if claimed.actions:
        return Plan(claimed.actions, size=size)

    pods, wanted = claimed.mine, spec.get("replicas", 1)
    changes: list[Action] = []
    if len(pods) < wanted:
        new = Create(new_pod(replica_set), tell=replica_set)
        changes += [new] * min(wanted - len(pods), BURST)
    elif len(pods) > wanted:
        siblings = [*pods, *filter(is_active, seen.siblings)]
        changes += [Delete(Key("pods", namespace_of(pod), name_of(pod)), uid_of(pod), tell=replica_set)
                    for pod in surplus(pods, siblings, min(len(pods) - wanted, BURST), now)]

    min_ready_s = spec.get("minReadySeconds") or 0
    status = status_of(replica_set, pods, min_ready_s, now)
    refused = partial(_refused, replica_set, status, "FailedCreate" if len(pods) < wanted else "FailedDelete", now)
    settling = [when for when in (available_at(pod, min_ready_s) for pod in pods) if now < when < NEVER]
    return Plan(changes + _written(replica_set, status), min(settling, default=None), size,
                otherwise=refused if changes else None)


def is_active(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed") and not is_deleting(pod)


def new_pod(replica_set: Obj) -> Obj:
    """A pod of the template; its name is drawn when it is made."""
    template = replica_set["spec"]["template"]
    described = template.get("metadata") or {}
    metadata: Obj = {
        "generateName": f"{name_of(replica_set)}-",
        "namespace": namespace_of(replica_set),
        "ownerReferences": [controller_reference(replica_set)],
        **{field: described[field] for field in ("labels", "annotations", "finalizers") if described.get(field)},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def status_of(replica_set: Obj, pods: Sequence[Obj], min_ready_s: int, now: float) -> Obj:
    """Numbers of zero that the Go client leaves out are left out here too; so is a failure that is over."""
    wanted = labels_of({"metadata": replica_set["spec"]["template"].get("metadata") or {}}).items()
    times = [available_at(pod, min_ready_s) for pod in pods]
    may_be_left_out = {
        "fullyLabeledReplicas": sum(wanted <= labels_of(pod).items() for pod in pods),
        "readyReplicas": sum(when < NEVER for when in times),
        "availableReplicas": sum(when <= now for when in times),
        "observedGeneration": replica_set["metadata"].get("generation"),
        "conditions": [one for one in (replica_set.get("status") or {}).get("conditions") or ()
                       if one.get("type") != FAILURE],
    }
    return {"replicas": len(pods), **{field: value for field, value in may_be_left_out.items() if value}}


def _written(replica_set: Obj, status: Obj) -> list[Action]:
    if status == replica_set.get("status"):
        return []
    key = Key(RESOURCES[replica_set["kind"]], namespace_of(replica_set), name_of(replica_set))
    return [SetStatus(key, uid_of(replica_set), status)]


def _refused(replica_set: Obj, status: Obj, reason: str, now: float, message: str) -> list[Action]:
    """What is written instead when pods could not be made or ended; a failure already told stays as it is."""
    failure = condition(replica_set, FAILURE) or {
        "type": FAILURE, "status": "True", "lastTransitionTime": to_time(now), "reason": reason, "message": message}
    return _written(replica_set, {**status, "conditions": [*status.get("conditions", ()), failure]})


# ------------------------------------------------------------------ when to look

def _controller(name: str, kind: str) -> Controller:
    resource = RESOURCES[kind]

    def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
        if change.key.resource == resource:
            return (change.key,)
        return woken_by_dependent(change, mirror, resource, kind)

    return Controller(name, (resource, Changes("pods", concerning=resource, owned_by=kind)), wakes, observe, plan)


controller = _controller("replicaset-controller", "ReplicaSet")
replication_controller = _controller("replication-controller", "ReplicationController")
