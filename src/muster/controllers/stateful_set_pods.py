"""The pods of a StatefulSet: the name and the place each one has, how one is made, and in what state it is.

    web-0, web-1, ...   the set's name and an ordinal; a pod of another name never belongs to it
    revision            the name of the ControllerRevision it was made from, in `controller-revision-hash`

A pod's name is its host name too, and the set's service its domain: web-0.nginx.default.svc.cluster.local.
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#pod-identity
"""
from __future__ import annotations

import re
from collections.abc import Iterable

from ..api.objects import (
    Obj,
    condition,
    controller_reference,
    from_time,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    namespace_of,
)
from ..control.revisions import HASH_LABEL

NAME_LABEL, INDEX_LABEL = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-(0|[1-9][0-9]{0,9})")


def parent_and_ordinal(name: str) -> tuple[str, int] | None:
    """`web-3` -> ("web", 3); None for a name that no set would give."""
    found = _NAME.fullmatch(name)
    return (found[1], int(found[2])) if found else None


def ordinal_of(pod: Obj) -> int:
    found = parent_and_ordinal(name_of(pod))
    assert found is not None, "only pods with an ordinal are looked at"
    return found[1]


def is_member(stateful_set: Obj, pod: Obj) -> bool:
    found = parent_and_ordinal(name_of(pod))
    return found is not None and found[0] == name_of(stateful_set)


def revision_of(pod: Obj) -> str:
    return labels_of(pod).get(HASH_LABEL, "")


def identity(name: str, ordinal: int) -> dict[str, str]:
    """The labels that say which one it is."""
    return {NAME_LABEL: name, INDEX_LABEL: str(ordinal)}


def new_pod(stateful_set: Obj, template: Obj, revision: str, ordinal: int) -> Obj:
    described = template.get("metadata") or {}
    name = f"{name_of(stateful_set)}-{ordinal}"
    metadata: Obj = {
        "name": name,
        "namespace": namespace_of(stateful_set),
        "labels": {**(described.get("labels") or {}), **identity(name, ordinal), HASH_LABEL: revision},
        "ownerReferences": [controller_reference(stateful_set)],
        **{field: described[field] for field in ("annotations", "finalizers") if described.get(field)},
    }
    spec = {**template["spec"], "hostname": name}
    if claims := stateful_set["spec"].get("volumeClaimTemplates"):
        spec["volumes"] = _with_claims(spec.get("volumes") or (), claims, name)
    if service := stateful_set["spec"].get("serviceName"):
        spec["subdomain"] = service
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _with_claims(volumes: Iterable[Obj], claims: Iterable[Obj], pod_name: str) -> list[Obj]:
    """A claim takes the place of the template's volume of its name."""
    added = {name_of(one): {"name": name_of(one), "persistentVolumeClaim": {
        "claimName": f"{name_of(one)}-{pod_name}"}} for one in claims}
    return [*added.values(), *(one for one in volumes if one.get("name") not in added)]


# ------------------------------------------------------------------ its state

def phase_of(pod: Obj) -> str:
    return (pod.get("status") or {}).get("phase", "")


def has_ended(pod: Obj) -> bool:
    return phase_of(pod) in ("Succeeded", "Failed")


def is_running_and_ready(pod: Obj) -> bool:
    return phase_of(pod) == "Running" and is_true(pod, "Ready")


def is_healthy(pod: Obj | None) -> bool:
    return pod is not None and is_running_and_ready(pod) and not is_deleting(pod)


def was_never_ready(pod: Obj) -> bool:
    """It waits to start, or to start again, or has not been ready since its containers first ran."""
    if phase_of(pod) == "Pending":
        return True
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    if any("waiting" in (one.get("state") or {}) for one in containers):
        return True
    began = [started for one in containers if (started := _began(one)) is not None]
    since = (condition(pod, "Ready") or {}).get("lastTransitionTime")
    return not is_true(pod, "Ready") and since is not None and bool(began) and from_time(since) <= min(began)


def _began(container: Obj) -> float | None:
    times = [state["startedAt"] for states in ("state", "lastState")
             for state in (container.get(states) or {}).values() if state.get("startedAt")]
    return min(map(from_time, times), default=None)
