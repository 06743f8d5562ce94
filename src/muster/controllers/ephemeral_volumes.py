"""A claim for each generic ephemeral volume of a pod: made of its template, owned by the pod, gone with it.

The pod waits until the claims are there (scheduler/volumes.py).  Where a claim of that name stands already that was
made for somebody else, it waits until that one is gone, and an event says so.
https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..api.objects import Key, Obj, at, controller_reference, is_deleting, namespace_of
from ..api.pod_claims import claim_behind, claims_of, mismatch
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.plan import NOTHING, Create, Plan, Tell
from ..control.runtime import Controller
from ..store.history import Change

PODS, CLAIMS = "pods", "persistentvolumeclaims"


@dataclass(frozen=True)
class Observed:
    pod: Obj
    claims: Mapping[str, Obj]  # those that have the names of its claims


def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    if change.key.resource == PODS:
        pod = change.value
        if pod is not None and change.previous is None and _has_own(pod):
            yield change.key
        return
    if change.value is None:  # a claim that is gone makes room for another
        yield from _pods_for(change.key, mirror)


def _pods_for(claim: Key, mirror: Mirror) -> Iterable[Key]:
    """Whose own claim has that name: the pod's name is what stands before one of the dashes."""
    for end in (place for place, letter in enumerate(claim.name) if letter == "-"):
        key = Key(PODS, claim.namespace, claim.name[:end])
        pod = mirror.get(key)
        if pod is not None and any(one.is_own and one.claim == claim.name for one in claims_of(pod)):
            yield key


def _has_own(pod: Obj) -> bool:
    return any(one.is_own for one in claims_of(pod))


def observe(mirror: Mirror, key: Key) -> Observed | None:
    pod = mirror.get(key)
    if pod is None or is_deleting(pod):
        return None
    found = {one.claim: mirror.get(Key(CLAIMS, key.namespace, one.claim)) for one in claims_of(pod) if one.is_own}
    return Observed(pod, {name: claim for name, claim in found.items() if claim is not None})


def plan(seen: Observed, now: float) -> Plan:
    """One claim at a look: the first that is not there.  What is in its way is told, and the others wait for it."""
    pod = seen.pod
    for volume in pod["spec"].get("volumes") or ():
        behind = claim_behind(pod, volume)
        if behind is None or not behind.is_own:
            continue
        claim = seen.claims.get(behind.claim)
        if claim is None:
            return _make(pod, volume, behind.claim, now)
        if why := mismatch(pod, claim):
            return Plan([_failed(pod, volume, why)])
    return NOTHING


def _make(pod: Obj, volume: Obj, name: str, now: float) -> Plan:
    return Plan([Create(_made(pod, volume, name))], wake_at=now,
                otherwise=lambda why: [_failed(pod, volume, f"create PVC {name}: {why}")])


def _made(pod: Obj, volume: Obj, name: str) -> Obj:
    template = volume["ephemeral"]["volumeClaimTemplate"]
    metadata = {"name": name, "namespace": namespace_of(pod), "ownerReferences": [controller_reference(pod)]}
    for field in ("labels", "annotations"):
        if given := at(template, f"metadata.{field}"):
            metadata[field] = given
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}


def _failed(pod: Obj, volume: Obj, why: str) -> Tell:
    return Tell(pod, "Warning", "FailedBinding", f"ephemeral volume {volume['name']}: {why}")


controller = Controller("ephemeral_volume", (Changes(PODS, status_too=False), CLAIMS), wakes, observe, plan,
                        account="ephemeral-volume-controller")
