"""How many pods of an application may be evicted now: the status of a PodDisruptionBudget.

    expected    pods there should be: the scale of what controls them; for `minAvailable: N` those there are
    desired     how many of these have to be healthy (shares are rounded up)
    healthy     ready pods that are neither ending nor about to be (`disruptedPods`)
    allowed     healthy - desired, and nothing while nothing is expected

The evictions of server/evictions.py take from `disruptionsAllowed` and note the pod in `disruptedPods`; here the
note is struck out once the pod is seen ending, or when it is still there after two minutes.  The status is written
at the revision it was worked out from: an eviction that came between is never overwritten.
Where the numbers can not be worked out nothing is allowed, and the condition says why (SyncFailed).
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/  https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..api.go_text import text_of_selector
from ..api.kinds.catalogue import Kinds
from ..api.kinds.kind import SCALE
from ..api.kinds.pod_disruption_budget import (
    POD_DISRUPTION_BUDGET,
    with_allowed_condition,
    with_disruption_allowed,
)
from ..api.objects import (
    Key,
    Obj,
    at,
    controller_of,
    from_time,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from ..api.selectors import from_label_selector
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.alike import selected
from ..control.plan import Action, Plan, Replace, Tell
from ..control.runtime import Controller
from ..store.history import Change
from .daemonset_rollout import scaled

RESOURCE = POD_DISRUPTION_BUDGET.resource
DELETION_TIMEOUT_S = 120.0  # an evicted pod that is not seen ending for so long will not end
SCALED = ("deployments.apps", "replicasets.apps", "statefulsets.apps", "replicationcontrollers")


@dataclass(frozen=True, slots=True)
class Scale:
    """How many pods a controller wants."""

    uid: str
    replicas: int


@dataclass(frozen=True, slots=True)
class Observed:
    budget: Obj
    pods: Sequence[Obj]
    scales: Mapping[str, Scale | str | None] = field(default_factory=dict)  # by uid of a pod's controller; why not
    unmanaged: bool = False  # is there a pod that nothing controls, where that matters?
    shared: Sequence[Obj] = ()  # of its pods those that other budgets cover too, where this is the first of them


class CanNotCount(Exception):
    """Why it is not known how many pods there should be."""


# ------------------------------------------------------------------ when to look, and at what

def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    resource, namespace = change.key.resource, change.key.namespace
    if resource == RESOURCE:
        return (change.key,)
    versions = [one for one in (change.value, change.previous) if one is not None]
    if resource == "pods":
        if len(versions) == 2 and _told(versions[0]) == _told(versions[1]):
            return ()
        labels = [labels_of(pod) for pod in versions]
    else:  # something that is scaled
        if len(versions) < 2 or at(versions[0], "spec.replicas") == at(versions[1], "spec.replicas"):
            return ()
        labels = [at(versions[0], "spec.template.metadata.labels", {})]
    return [Key(RESOURCE, namespace, name) for name, budget in mirror.in_namespace(RESOURCE, namespace).items()
            if any(map(_selector(budget).matches, labels))]


def _told(pod: Obj) -> Any:
    """What of a pod a budget counts."""
    return is_true(pod, "Ready"), is_deleting(pod), labels_of(pod), (controller_of(pod) or {}).get("uid")


def _selector(budget: Obj) -> Any:
    return from_label_selector(at(budget, "spec.selector"))


def _by_scale(budget: Obj) -> bool:
    spec = budget.get("spec") or {}
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def observe(mirror: Mirror, key: Key, kinds: Kinds) -> Observed | None:
    budget = mirror.get(key)
    if budget is None:
        return None
    pods = selected(mirror, "pods", key.namespace, _selector(budget))
    owners = {reference["uid"] if reference is not None else "": reference
              for reference in map(controller_of, pods)} if _by_scale(budget) else {}
    scales = {uid: scale_of(mirror, kinds, key.namespace, reference)
              for uid, reference in owners.items() if reference is not None}
    return Observed(budget, pods, scales, "" in owners, _shared(mirror, budget, pods))


def _shared(mirror: Mirror, budget: Obj, pods: Sequence[Obj]) -> list[Obj]:
    """One of several budgets speaks of it: the first by name."""
    others = [other for name, other in mirror.in_namespace(RESOURCE, namespace_of(budget)).items()
              if name != name_of(budget)]
    if not others:
        return []
    earlier = [_selector(other) for other in others if name_of(other) < name_of(budget)]
    later = [_selector(other) for other in others if name_of(other) > name_of(budget)]
    verdicts: dict[int, bool] = {}  # pods of one template share their labels: each set is asked about once
    found = []
    for pod in pods:
        labels = pod["metadata"].get("labels")
        if id(labels) not in verdicts:
            verdicts[id(labels)] = (any(one.matches(labels) for one in later)
                                    and not any(one.matches(labels) for one in earlier))
        if verdicts[id(labels)]:
            found.append(pod)
    return found


def scale_of(mirror: Mirror, kinds: Kinds, namespace: str, reference: Obj) -> Scale | str | None:
    """Of what controls a pod: its scale, why it has none, or None where it is not there (any more).

    A ReplicaSet of a Deployment is a part of it: two of them do not add up during a rollout.
    """
    kind = kinds.named(reference["apiVersion"], reference["kind"])
    if kind is None:
        return f'no matches for kind "{reference["kind"]}" in version "{reference["apiVersion"]}"'
    if kind.subresource(SCALE.name) is None:
        return f"{kind.resource} does not implement the scale subresource"
    owner = mirror.get(Key(kind.resource, namespace, reference["name"]))
    if owner is None or uid_of(owner) != reference["uid"]:
        return None
    above = controller_of(owner)
    if kind.name == "ReplicaSet" and above is not None and above["kind"] == "Deployment":
        deployment = mirror.get(Key("deployments.apps", namespace, above["name"]))
        if deployment is not None and uid_of(deployment) == above["uid"]:
            owner = deployment
    return Scale(uid_of(owner), at(owner, "spec.replicas", 0))


# ------------------------------------------------------------------ the decision

def plan(seen: Observed, now: float) -> Plan:
    budget, size = seen.budget, len(seen.pods) + 1
    actions: list[Action] = []
    if not seen.pods:
        actions.append(Tell(budget, "Normal", "NoPods", "No matching pods found"))
    try:
        expected, desired = expectation(seen)
    except CanNotCount as why:
        actions.append(Tell(budget, "Warning", "CalculateExpectedPodCountFailed",
                            f"Failed to calculate the number of expected pods: {why}"))
        failed = {**(budget.get("status") or {}), "disruptionsAllowed": 0}
        return Plan(actions + _written(budget, with_disruption_allowed(failed, False, "SyncFailed", str(why), now)),
                    size=size)
    if seen.unmanaged:
        selector = text_of_selector(at(budget, "spec.selector"))
        actions.append(Tell(budget, "Warning", "UnmanagedPods", (
            f"Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. "
            "As a result, the status of the PDB cannot be calculated correctly, which may result in "
            'undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an '
            "integer value.")))
    waiting, lost = still_disrupted(seen, now)
    actions += [Tell(pod, "Warning", "NotDeleted", f"Pod was expected by PDB {namespace_of(budget)}/"
                     f"{namespace_of(budget)} to be deleted but it wasn't") for pod in lost]  # upstream's words
    written = _written(budget, status_of(seen, expected, desired, waiting, now))
    if written:
        actions += [Tell(pod, "Warning", "MultiplePodDisruptionBudgets",
                         f'Pod "{namespace_of(pod)}"/"{name_of(pod)}" matches multiple PodDisruptionBudgets.  '
                         f'Chose "{name_of(budget)}" arbitrarily.') for pod in seen.shared]
    look_again = min((from_time(since) + DELETION_TIMEOUT_S for since in waiting.values()), default=None)
    return Plan(actions + written, wake_at=look_again, size=size)


def expectation(seen: Observed) -> tuple[int, int]:
    """How many pods there should be, and how many of them healthy."""
    spec = seen.budget.get("spec") or {}
    if spec.get("maxUnavailable") is not None:
        expected = _expected_scale(seen)
        return expected, max(0, expected - scaled(spec["maxUnavailable"], expected))
    least = spec.get("minAvailable")
    if least is None:
        return 0, 0
    if isinstance(least, str):
        expected = _expected_scale(seen)
        return expected, scaled(least, expected)
    return len(seen.pods), least


def _expected_scale(seen: Observed) -> int:
    scales: dict[str, int] = {}
    for uid, scale in seen.scales.items():
        if isinstance(scale, str):
            raise CanNotCount(scale)
        if scale is None:
            orphan = min(name_of(pod) for pod in seen.pods if (controller_of(pod) or {}).get("uid") == uid)
            raise CanNotCount(f'found no controllers for pod "{orphan}"')
        scales[scale.uid] = scale.replicas
    return sum(scales.values())


def still_disrupted(seen: Observed, now: float) -> tuple[dict[str, str], list[Obj]]:
    """The evicted pods that are not seen ending yet: those still waited for, and those given up."""
    noted = at(seen.budget, "status.disruptedPods", {})
    waiting: dict[str, str] = {}
    lost = []
    if noted:
        for pod in seen.pods:
            since = noted.get(name_of(pod))
            if since is None or is_deleting(pod):
                continue
            if from_time(since) + DELETION_TIMEOUT_S <= now:
                lost.append(pod)
            else:
                waiting[name_of(pod)] = since
    return waiting, lost


def status_of(seen: Observed, expected: int, desired: int, waiting: Mapping[str, str], now: float) -> Obj:
    old = seen.budget.get("status") or {}
    healthy = sum(is_true(pod, "Ready") and not is_deleting(pod) and name_of(pod) not in waiting for pod in seen.pods)
    status: Obj = {
        "disruptionsAllowed": max(0, healthy - desired) if expected > 0 else 0,
        "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected,
        "observedGeneration": seen.budget["metadata"].get("generation") or 0,
    }
    if waiting:
        status["disruptedPods"] = dict(waiting)
    if old.get("conditions"):
        status["conditions"] = old["conditions"]
    return with_allowed_condition(status, now)


def _written(budget: Obj, status: Obj) -> list[Action]:
    if status == budget.get("status"):
        return []
    return [Replace({**budget, "status": status}, subresource="status")]


def disruption_controller(kinds: Kinds) -> Controller:
    """Its events name their source as upstream's do."""
    return Controller("controllermanager", (
        RESOURCE, *(Changes(one, concerning=RESOURCE) for one in ("pods", *SCALED))), wakes,
                      lambda mirror, key: observe(mirror, key, kinds), plan, account="disruption-controller")
