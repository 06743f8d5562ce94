"""The claims of a StatefulSet's pods: `www-web-0` for the template `www` and the pod `web-0`.

A claim is made before its pod and stays when the pod goes: the next pod of that name finds its store again.
persistentVolumeClaimRetentionPolicy may say otherwise.  Then the claim gets an owner, the set (whenDeleted)
or the pod that is being scaled away (whenScaled), and the garbage collector takes it along.
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..api.objects import (
    Key,
    Obj,
    annotations_of,
    at,
    controller_reference,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owners_of,
    uid_of,
)
from ..control.plan import Action, Create, Patch, Tell

RESOURCE = "persistentvolumeclaims"


def claim_names(stateful_set: Obj, pod_name: str) -> list[str]:
    return [f"{name_of(one)}-{pod_name}" for one in stateful_set["spec"].get("volumeClaimTemplates") or ()]


def missing_claims(stateful_set: Obj, pod_name: str, there: Mapping[str, Obj]) -> list[Create]:
    made: list[Create] = []
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        name = f"{name_of(template)}-{pod_name}"
        if name not in there:
            made.append(Create(new_claim(stateful_set, template, name), tell=stateful_set))
    return made


def is_leaving(stateful_set: Obj, pod_name: str, there: Mapping[str, Obj]) -> bool:
    """A claim of the pod is on its way out, or goes with a pod that had the name: the new pod waits for a new one."""
    claims = [there[name] for name in claim_names(stateful_set, pod_name) if name in there]
    goes_with_pod = _policy(stateful_set, "whenScaled") == "Delete"
    return any(is_deleting(claim) or goes_with_pod and any(_is_pod(owner, pod_name) for owner in owners_of(claim))
               for claim in claims)


def new_claim(stateful_set: Obj, template: Obj, name: str) -> Obj:
    labels = {**labels_of(template), **at(stateful_set, "spec.selector.matchLabels", {})}
    metadata: Obj = {"name": name, "namespace": namespace_of(stateful_set), "labels": labels}
    if annotations_of(template):
        metadata["annotations"] = annotations_of(template)
    if _policy(stateful_set, "whenDeleted") == "Delete":
        metadata["ownerReferences"] = [controller_reference(stateful_set)]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}


def owned_claims(stateful_set: Obj, pods: Iterable[Obj], wanted: range, ordinals: Mapping[str, int],
                 there: Mapping[str, Obj]) -> list[Action]:
    """Gives each claim the owner that the policy names, and takes away what it no longer names."""
    changes: list[Action] = []
    for pod in pods:
        condemned = ordinals[name_of(pod)] not in wanted
        of_pod: list[Patch] = []
        for name in claim_names(stateful_set, name_of(pod)):
            claim = there.get(name)
            if claim is None or is_deleting(claim):
                continue
            owners = _owners(claim, stateful_set, pod, condemned)
            if _identities(owners) != _identities(owners_of(claim)):
                of_pod.append(Patch(Key(RESOURCE, namespace_of(claim), name), uid_of(claim),
                                    {"metadata": {"ownerReferences": owners or None}}))
                if is_managed_elsewhere(stateful_set, name_of(pod), claim):
                    changes.append(conflict(stateful_set, name))
        if of_pod and not condemned:
            of_pod[-1] = replace(of_pod[-1], tell=stateful_set)  # once a pod, as upstream, which writes the pod too
        changes += of_pod
    return changes


def _owners(claim: Obj, stateful_set: Obj, pod: Obj, condemned: bool) -> list[Obj]:
    """Those that a claim should have.  One of an earlier set or pod of the name is left to the garbage collector, and
    one that somebody else controls is theirs.
    """
    before = owners_of(claim)
    ours = [owner for owner in before if _is_set(owner, stateful_set) or _is_pod(owner, name_of(pod))]
    if any(owner["uid"] not in (uid_of(stateful_set), uid_of(pod)) for owner in ours):
        return before
    others = [owner for owner in before if owner not in ours]
    if is_managed_elsewhere(stateful_set, name_of(pod), claim):
        return others
    if condemned and _policy(stateful_set, "whenScaled") == "Delete":
        return [*others, controller_reference(pod)]
    if _policy(stateful_set, "whenDeleted") == "Delete":
        return [*others, controller_reference(stateful_set)]
    return others


def is_managed_elsewhere(stateful_set: Obj, pod_name: str, claim: Obj) -> bool:
    """Another controller's, though the set would have it go with itself or its pod."""
    if "Delete" not in (_policy(stateful_set, "whenScaled"), _policy(stateful_set, "whenDeleted")):
        return False
    return any(owner.get("controller") and not _is_set(owner, stateful_set) and not _is_pod(owner, pod_name)
               for owner in owners_of(claim))


def conflict(stateful_set: Obj, claim_name: str) -> Tell:
    return Tell(stateful_set, "Warning", "ConflictingController", (
        f"PersistentVolumeClaim {claim_name} has a conflicting OwnerReference that acts as a manging controller, "
        "the retention policy is ignored for this claim"))  # upstream's words


def _policy(stateful_set: Obj, when: str) -> str:
    return at(stateful_set, "spec.persistentVolumeClaimRetentionPolicy", {}).get(when, "Retain")


def _is_set(owner: Obj, stateful_set: Obj) -> bool:
    """This set, or an earlier one of its name."""
    return (owner.get("kind"), owner.get("name")) == ("StatefulSet", name_of(stateful_set))


def _is_pod(owner: Obj, name: str) -> bool:
    return (owner.get("kind"), owner.get("name")) == ("Pod", name)


def _identities(owners: Iterable[Obj]) -> set[tuple[str, bool]]:
    return {(owner["uid"], bool(owner.get("controller"))) for owner in owners}
