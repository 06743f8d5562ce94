"""Pods with names of their own, started, stopped and updated in their order.

    observe   the set, its pods and revisions (and orphans it may adopt), who has which name
    decide    claims first: adopt what matches, release what no longer does
              history: today's template has its revision      (stateful_set_history.py)
              what may be started and ended next              (stateful_set_order.py)
              status, and revisions that nobody needs any more

A pod keeps its name from one life to the next, so there are never two of one ordinal: the successor is made
when the name is free, whoever had it.
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
"""
from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..api.objects import Key, Obj, at, is_deleting, labels_of, name_of, namespace_of, owners_of, uid_of
from ..api.selectors import from_label_selector
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control import owners, revisions
from ..control.dependents import woken_by_dependent
from ..control.plan import Action, Create, Delete, Patch, Plan, SetStatus
from ..control.runtime import Controller
from ..store.history import Change
from . import stateful_set_claims
from .readiness import NEVER, available_at
from .stateful_set_history import History, history
from .stateful_set_order import Rules, next_steps, rules_of, wanted_revision
from .stateful_set_pods import (
    identity,
    is_member,
    is_running_and_ready,
    new_pod,
    ordinal_of,
    parent_and_ordinal,
    phase_of,
    revision_of,
)

RESOURCE = "statefulsets.apps"


@dataclass(frozen=True, slots=True)
class Observed:
    stateful_set: Obj
    pods: Sequence[Obj]  # of its names: its own, and those without a controller
    revisions: Sequence[Obj] = ()
    names: Mapping[str, Obj] = field(default_factory=dict)  # every revision of the namespace
    taken: Collection[str] = ()  # the names of all pods of the namespace
    claims: Mapping[str, Obj] = field(default_factory=dict)  # every PersistentVolumeClaim of the namespace


# ------------------------------------------------------------------ when to look

def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    match change.key.resource:
        case "pods":
            return _woken_by_pod(change, mirror)
        case revisions.RESOURCE:
            return woken_by_dependent(change, mirror, RESOURCE, "StatefulSet")
        case stateful_set_claims.RESOURCE:
            return _woken_by_claim(change, mirror)
        case _:
            return (change.key,)


def _woken_by_claim(change: Change, mirror: Mirror) -> list[Key]:
    """A claim that goes, comes or gets other owners matters to the set whose pod it is for; its binding does not."""
    new, old = change.value, change.previous
    if new is not None and old is not None and not is_deleting(new) and owners_of(new) == owners_of(old):
        return []
    name, namespace = change.key.name, change.key.namespace
    return [Key(RESOURCE, namespace, owner) for owner, stateful_set in mirror.in_namespace(RESOURCE, namespace).items()
            if any(name.startswith(f"{name_of(one)}-{owner}-")
                   for one in stateful_set["spec"].get("volumeClaimTemplates") or ())]


def _woken_by_pod(change: Change, mirror: Mirror) -> Iterable[Key]:
    """The set that would give the pod its name: it owns the pod, may adopt it, or waits for the name."""
    found = parent_and_ordinal(change.key.name)
    if found is None:
        return ()
    key = Key(RESOURCE, change.key.namespace, found[0])
    return (key,) if mirror.get(key) is not None else ()


# ------------------------------------------------------------------ the look

def observe(mirror: Mirror, key: Key) -> Observed | None:
    """None for a set that is being deleted: the garbage collector sees to its pods."""
    stateful_set = mirror.get(key)
    if stateful_set is None or is_deleting(stateful_set):
        return None
    return Observed(
        stateful_set,
        pods=[pod for pod in owners.candidates(mirror, stateful_set, "pods") if is_member(stateful_set, pod)],
        revisions=owners.candidates(mirror, stateful_set, revisions.RESOURCE),
        names=mirror.in_namespace(revisions.RESOURCE, key.namespace),
        taken=mirror.in_namespace("pods", key.namespace),
        claims=mirror.in_namespace(stateful_set_claims.RESOURCE, key.namespace),
    )


# ------------------------------------------------------------------ the decision

def plan(seen: Observed, now: float) -> Plan:
    stateful_set, size = seen.stateful_set, len(seen.pods) + 1
    selector = from_label_selector(stateful_set["spec"].get("selector"))
    claimed = owners.claim(stateful_set, selector, seen.pods, "pods")
    recorded = owners.claim(stateful_set, selector, seen.revisions, revisions.RESOURCE)
    if claimed.actions or recorded.actions:
        return Plan(recorded.actions + claimed.actions, size=size)

    past = history(stateful_set, recorded.mine, seen.names)
    if past.collides:
        return Plan(_written(stateful_set, {**(stateful_set.get("status") or {}), "collisionCount":
                                            at(stateful_set, "status.collisionCount", 0) + 1}), size=size)
    rules, pods = rules_of(stateful_set), claimed.mine
    limit = stateful_set["spec"].get("revisionHistoryLimit")
    live = set(map(revision_of, pods))
    unused = [revision for revision in past.old if name_of(revision) not in live]
    actions: list[Action] = [
        *past.actions,
        *_steps(seen, pods, rules, past, now),
        *_named(stateful_set, pods),
        *(_claimed(seen, pods, rules) if stateful_set["spec"].get("volumeClaimTemplates") else ()),
        *revisions.surplus(unused, pods, 10 if limit is None else limit),
        *_written(stateful_set, status_of(stateful_set, pods, rules, past, now)),
    ]
    return Plan(actions, _wake_at(pods, rules, now), size)


def _steps(seen: Observed, pods: Sequence[Obj], rules: Rules, past: History, now: float) -> list[Action]:
    stateful_set = seen.stateful_set
    steps = next_steps(pods, rules, past, now)
    actions: list[Action] = [Delete(_key_of_pod(pod), uid_of(pod), tell=stateful_set) for pod in steps.end]
    for ordinal in steps.start:
        revision = wanted_revision(ordinal, rules, past)
        template = stateful_set["spec"]["template"] if revision == past.update else past.template
        pod = new_pod(stateful_set, template, revision, ordinal)
        name = name_of(pod)
        if name not in seen.taken and not stateful_set_claims.is_leaving(stateful_set, name, seen.claims):
            claims = stateful_set_claims.missing_claims(stateful_set, name, seen.claims)
            actions.append(Create(pod, tell=stateful_set, first=tuple(claims)))
    return actions


def _claimed(seen: Observed, pods: Sequence[Obj], rules: Rules) -> list[Action]:
    """Claims that waiting pods lack, and the owners that claims should have."""
    stateful_set = seen.stateful_set
    wanted = range(rules.start, rules.start + rules.replicas)
    ordinals = {name_of(pod): ordinal_of(pod) for pod in pods}
    actions: list[Action] = []
    for pod in pods:
        if phase_of(pod) == "Pending" and not is_deleting(pod) and ordinals[name_of(pod)] in wanted:
            actions += stateful_set_claims.missing_claims(stateful_set, name_of(pod), seen.claims)
    # In order, a pod that ends is awaited: what it takes along stays so, although one of its name is wanted again.
    kept = [pod for pod in pods if not (rules.is_ordered and is_deleting(pod) and ordinals[name_of(pod)] in wanted)]
    return actions + stateful_set_claims.owned_claims(stateful_set, kept, wanted, ordinals, seen.claims)


def _named(stateful_set: Obj, pods: Iterable[Obj]) -> list[Action]:
    """Adopted pods may lack the labels that say which one they are."""
    actions: list[Action] = []
    for pod in pods:
        labels = identity(name_of(pod), ordinal_of(pod))
        if not is_deleting(pod) and not labels.items() <= labels_of(pod).items():
            actions.append(Patch(_key_of_pod(pod), uid_of(pod), {"metadata": {"labels": labels}}, tell=stateful_set))
    return actions


def _wake_at(pods: Iterable[Obj], rules: Rules, now: float) -> float | None:
    """When the next ready pod has been so for long enough."""
    times = (available_at(pod, rules.min_ready_s) for pod in pods)
    return min((when for when in times if now < when < NEVER), default=None)


def status_of(stateful_set: Obj, pods: Sequence[Obj], rules: Rules, past: History, now: float) -> Obj:
    """Once every pod has the new revision and is ready, it is the current one.

    Numbers of zero that the Go client leaves out are left out here too.
    """
    ready = [pod for pod in pods if is_running_and_ready(pod)]
    staying = [revision_of(pod) for pod in pods if not is_deleting(pod)]
    current, updated = staying.count(past.current), staying.count(past.update)
    is_complete = rules.is_rolling and updated == len(pods) == len(ready)
    may_be_left_out = {
        "observedGeneration": stateful_set["metadata"].get("generation"),
        "readyReplicas": len(ready),
        "currentReplicas": updated if is_complete else current,
        "updatedReplicas": updated,
        "currentRevision": past.update if is_complete else past.current,
        "updateRevision": past.update,
    }
    return {"replicas": len(pods),
            "availableReplicas": sum(available_at(pod, rules.min_ready_s) <= now for pod in ready),
            "collisionCount": at(stateful_set, "status.collisionCount", 0),
            **{field: value for field, value in may_be_left_out.items() if value},
            **{field: value for field, value in (stateful_set.get("status") or {}).items() if field == "conditions"}}


def _written(stateful_set: Obj, status: Obj) -> list[Action]:
    if status == stateful_set.get("status"):
        return []
    return [SetStatus(Key(RESOURCE, namespace_of(stateful_set), name_of(stateful_set)), uid_of(stateful_set), status)]


def _key_of_pod(pod: Obj) -> Key:
    return Key("pods", namespace_of(pod), name_of(pod))


controller = Controller("statefulset-controller", (
    RESOURCE, Changes("pods", concerning=RESOURCE),
    Changes(revisions.RESOURCE, concerning=RESOURCE, owned_by="StatefulSet"),
    Changes(stateful_set_claims.RESOURCE, concerning=RESOURCE)), wakes, observe, plan)
