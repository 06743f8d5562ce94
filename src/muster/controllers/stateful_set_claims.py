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
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owners_of,
    uid_of,
)
from ..control.plan import Action, Create, Patch

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
    """A claim of the pod is on its way out: the pod waits until it is gone, and gets a new one."""
    return any(is_deleting(there[name]) for name in claim_names(stateful_set, pod_name) if name in there)


def new_claim(stateful_set: Obj, template: Obj, name: str) -> Obj:
    labels = {**labels_of(template), **at(stateful_set, "spec.selector.matchLabels", {})}
    metadata: Obj = {"name": name, "namespace": namespace_of(stateful_set), "labels": labels}
    if annotations_of(template):
        metadata["annotations"] = annotations_of(template)
    if at(stateful_set, "spec.persistentVolumeClaimRetentionPolicy.whenDeleted") == "Delete":
        metadata["ownerReferences"] = [_reference(stateful_set)]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}


def owned_claims(stateful_set: Obj, pods: Iterable[Obj], wanted: range, ordinals: Mapping[str, int],
                 there: Mapping[str, Obj]) -> list[Action]:
    """Gives each claim the owner that the policy names, and takes away what it no longer names."""
    policy = at(stateful_set, "spec.persistentVolumeClaimRetentionPolicy", {})
    changes: list[Action] = []
    for pod in pods:
        condemned = ordinals[name_of(pod)] not in wanted
        of_pod: list[Patch] = []
        for name in claim_names(stateful_set, name_of(pod)):
            claim = there.get(name)
            if claim is None or is_deleting(claim):
                continue
            owners = []
            if condemned and policy.get("whenScaled") == "Delete":
                owners = [_reference(pod)]
            elif policy.get("whenDeleted") == "Delete":
                owners = [_reference(stateful_set)]
            others = [one for one in owners_of(claim)
                      if one["uid"] not in (uid_of(stateful_set), uid_of(pod)) and not _is_former(one, pod)]
            if owners_of(claim) != [*others, *owners]:
                of_pod.append(Patch(Key(RESOURCE, namespace_of(claim), name), uid_of(claim),
                                    {"metadata": {"ownerReferences": [*others, *owners] or None}}))
        if of_pod and not condemned:
            of_pod[-1] = replace(of_pod[-1], tell=stateful_set)  # once a pod, as upstream, which writes the pod too
        changes += of_pod
    return changes


def _is_former(reference: Obj, pod: Obj) -> bool:
    """An earlier life of the pod."""
    return reference.get("kind") == "Pod" and reference.get("name") == name_of(pod)


def _reference(owner: Obj) -> Obj:
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name_of(owner), "uid": uid_of(owner)}
