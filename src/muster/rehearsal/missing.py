"""What a snapshot does not hold, and what is put in its place: each assumption is said.

    no ReplicaSets           those of Deployments are put together again from their pods
    no ControllerRevisions   so are those of DaemonSets and StatefulSets: pods of today's template are not replaced
    owners that are unknown  their pods stay as they are, owned by nobody: nothing replaces or deletes them
    classes and accounts     that templates name are assumed to exist
    nodes that are not ready stay silent, as they were
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..api.kinds.priority_class import SYSTEM_CLASSES
from ..api.objects import (
    Obj,
    annotations_of,
    at,
    condition,
    controller_of,
    controller_reference,
    is_true,
    labels_of,
    name_of,
    namespace_of,
    owners_of,
    uid_of,
    with_,
)
from ..control.revisions import HASH_LABEL, data_of
from ..controllers.deployment_sets import HASH_LABEL as SET_HASH
from ..controllers.deployment_sets import REVISION
from ..controllers.stateful_set_history import HASH_LABEL as STATEFUL_HASH
from ..node.machines import FAIL, is_failing
from .snapshot import Snapshot

GENERATION = "pod-template-generation"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
WANTED = {"PodDisruptionBudget": "no PodDisruptionBudgets: none are assumed to be there",
          "PriorityClass": "no PriorityClasses: those that pods name are assumed, with the priority that pods have"}


def completed(snapshot: Snapshot) -> tuple[list[Obj], list[str]]:
    """Everything that is recorded, and what has to be assumed with it; and a sentence for each assumption."""
    objects = list(snapshot.recorded)
    if not objects:
        return [], []
    kinds = Counter(one["kind"] for one in objects)
    notes = [note for kind, note in WANTED.items() if not kinds[kind]]
    if not kinds["Pod"]:
        notes.append("no pods: workloads make theirs anew")
    objects += _sets(objects, notes)
    objects += _revisions(objects, notes)
    objects = _silent_nodes(objects, notes)
    objects = _without_unknown_owners(objects, notes)
    objects += _named(objects, notes)
    return objects, notes


# ------------------------------------------------------------------ ReplicaSets and ControllerRevisions


def _sets(objects: Sequence[Obj], notes: list[str]) -> list[Obj]:
    """The ReplicaSets of Deployments, from the pods that name them."""
    there = {uid_of(one) for one in objects if one["kind"] == "ReplicaSet"}
    by_name: dict[tuple[str, str], Obj] = {
        (namespace_of(one), name_of(one)): one for one in objects if one["kind"] == "Deployment"}
    pods: dict[str, list[Obj]] = {}
    for pod in objects:
        owner = controller_of(pod) if pod["kind"] == "Pod" else None
        if owner is not None and owner["kind"] == "ReplicaSet" and owner["uid"] not in there:
            pods.setdefault(owner["uid"], []).append(pod)
    made = []
    newest = {key: _newest_set(one) for key, one in by_name.items()}
    for uid, found in pods.items():
        owner = controller_of(found[0])
        assert owner is not None, "they were found by it"
        place = namespace_of(found[0]), owner["name"].rpartition("-")[0]
        deployment = by_name.get(place)
        if deployment is not None:
            made.append(_set(deployment, owner, uid, found, owner["name"] == newest[place] or len(
                {o["name"] for o in map(controller_of, found) if o}) == len(pods) == 1))
    if made:
        notes.append(f"no ReplicaSets: {len(made)} are put together again from the pods of Deployments")
    return made


def _newest_set(deployment: Obj) -> str:
    """The name of its newest set, as its own condition tells it: ReplicaSet "web-5d4f" has successfully progressed."""
    said = condition(deployment, "Progressing") or {}
    return (said.get("message") or "").partition('ReplicaSet "')[2].partition('"')[0]


def _set(deployment: Obj, owner: Obj, uid: str, pods: list[Obj], is_newest: bool) -> Obj:
    hash = labels_of(pods[0]).get(SET_HASH) or owner["name"].rpartition("-")[2]
    template = deployment["spec"]["template"] if is_newest else _template_of(pods[0])
    labels = {**labels_of({"metadata": template.get("metadata") or {}}), SET_HASH: hash}
    template = {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}}
    selector = deployment["spec"]["selector"]
    number = annotations_of(deployment).get(REVISION, "1")
    replicas = deployment["spec"].get("replicas", 1) if is_newest else len(pods)
    ready = sum(is_true(pod, "Ready") for pod in pods)
    return {
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": owner["name"], "namespace": namespace_of(pods[0]), "uid": uid, "generation": 1,
                     "creationTimestamp": min(pod["metadata"]["creationTimestamp"] for pod in pods), "labels": labels,
                     "annotations": {REVISION: number if is_newest else "0"},
                     "ownerReferences": [controller_reference(deployment)]},
        "spec": {"replicas": replicas, "selector": {**selector, "matchLabels": {
            **(selector.get("matchLabels") or {}), SET_HASH: hash}}, "template": template},
        "status": {"observedGeneration": 1, "replicas": len(pods), "fullyLabeledReplicas": len(pods),
                   "readyReplicas": ready, "availableReplicas": ready}}


def _template_of(pod: Obj) -> Obj:
    spec = {field: value for field, value in pod["spec"].items() if field not in ("nodeName", "priority")}
    return {"metadata": {"labels": {key: value for key, value in labels_of(pod).items() if key != SET_HASH}},
            "spec": spec}


def _revisions(objects: Sequence[Obj], notes: list[str]) -> list[Obj]:
    """Today's revision of each DaemonSet and StatefulSet that has none, under the hash that its pods carry."""
    owned = {reference["uid"] for one in objects if one["kind"] == "ControllerRevision" for reference in owners_of(one)}
    pods: dict[str, list[Obj]] = {}
    for pod in objects:
        owner = controller_of(pod) if pod["kind"] == "Pod" else None
        if owner is not None:
            pods.setdefault(owner["uid"], []).append(pod)
    made = []
    for workload in objects:
        if workload["kind"] in ("DaemonSet", "StatefulSet") and uid_of(workload) not in owned:
            hash = _current_hash(workload, pods.get(uid_of(workload), []))
            if hash:
                made.append(_revision(workload, hash))
    if made:
        notes.append(f"no ControllerRevisions: today's of {len(made)} DaemonSets and StatefulSets are put together "
                     "again; pods of an older template are known by their labels alone")
    return made


def _current_hash(workload: Obj, pods: Sequence[Obj]) -> str:
    if workload["kind"] == "StatefulSet":
        return at(workload, "status.updateRevision", "")
    generation = annotations_of(workload).get(TEMPLATE_GENERATION)
    current = [pod for pod in pods if labels_of(pod).get(GENERATION) == generation]
    if not current and at(workload, "status.updatedNumberScheduled", 0) >= len(pods):
        current = list(pods)
    counted = Counter(labels_of(pod).get(HASH_LABEL, "") for pod in current)
    return max(sorted(counted), key=counted.__getitem__, default="")


def _revision(workload: Obj, hash: str) -> Obj:
    template = workload["spec"]["template"]
    if workload["kind"] == "StatefulSet":  # its pods carry the whole name
        name, label = hash, {STATEFUL_HASH: hash.removeprefix(f"{name_of(workload)}-")}
    else:
        name, label = f"{name_of(workload)}-{hash}", {HASH_LABEL: hash}
    labels = {**((template.get("metadata") or {}).get("labels") or {}), **label}
    return {"apiVersion": "apps/v1", "kind": "ControllerRevision",
            "metadata": {"name": name, "namespace": namespace_of(workload), "labels": labels,
                         "creationTimestamp": workload["metadata"]["creationTimestamp"],
                         "ownerReferences": [controller_reference(workload)]},
            "data": data_of(template), "revision": 1}


# ------------------------------------------------------------------ nodes, owners, names


def _silent_nodes(objects: Sequence[Obj], notes: list[str]) -> list[Obj]:
    silent = [name_of(one) for one in objects if one["kind"] == "Node" and not is_true(one, "Ready")]
    if silent:
        shown = ", ".join(sorted(silent)[:3]) + (", ..." if len(silent) > 3 else "")
        notes.append(f"{len(silent)} nodes are not ready ({shown}): they stay so")
    return [with_(one, ("metadata", "annotations", FAIL), "true")
            if one["kind"] == "Node" and not is_true(one, "Ready") and not is_failing(one) else one for one in objects]


def _without_unknown_owners(objects: Sequence[Obj], notes: list[str]) -> list[Obj]:
    """The garbage collector would delete what belongs to an owner that is not there."""
    there = {uid_of(one) for one in objects}
    found, bare = [], Counter[str]()
    for one in objects:
        known = [reference for reference in owners_of(one) if reference["uid"] in there]
        if len(known) < len(owners_of(one)):
            if one["kind"] == "Pod":
                bare[next(each["kind"] for each in owners_of(one) if each["uid"] not in there)] += 1
            one = with_(one, "metadata.ownerReferences", known)
        found.append(one)
    for kind, count in sorted(bare.items()):
        notes.append(f"{count} pods belong to a {kind} that is not in it: they are kept as bare pods")
    return found


def _named(objects: Sequence[Obj], notes: list[str]) -> list[Obj]:
    """Namespaces, classes and accounts that are spoken of but not there."""
    there = {(one["kind"], namespace_of(one), name_of(one)) for one in objects}
    found: dict[tuple[str, str, str], Obj] = {}
    for namespace in sorted({namespace_of(one) for one in objects} - {""}):
        _assume(found, there, {"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": namespace, "labels": {"kubernetes.io/metadata.name": namespace}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
    for namespace, spec in _pod_specs(objects):
        if (name := spec.get("priorityClassName")) and name not in SYSTEM_CLASSES:
            _assume(found, there, {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {
                "name": name}, "value": spec.get("priority") or _priority(objects, name),
                "preemptionPolicy": spec.get("preemptionPolicy") or "PreemptLowerPriority"})
        account = spec.get("serviceAccountName") or "default"
        _assume(found, there, {"apiVersion": "v1", "kind": "ServiceAccount",
                               "metadata": {"name": account, "namespace": namespace}})
        if name := spec.get("runtimeClassName"):
            _assume(found, there, {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name},
                                   "handler": name})
    for one in objects:
        for claim in at(one, "spec.volumeClaimTemplates", ()) if one["kind"] == "StatefulSet" else ():
            if name := at(claim, "spec.storageClassName"):
                _assume(found, there, {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {
                    "name": name}, "provisioner": "muster.dev/simulated", "reclaimPolicy": "Delete",
                    "volumeBindingMode": "Immediate"})
    told = Counter(kind for kind, _, _ in found if kind not in ("Namespace", "ServiceAccount"))
    for kind, count in sorted(told.items()):
        names = sorted(name for other, _, name in found if other == kind)
        notes.append(f"{count} of kind {kind} are named but not in it and assumed to exist: {', '.join(names[:5])}")
    return list(found.values())


def _assume(found: dict[tuple[str, str, str], Obj], there: set[tuple[str, str, str]], obj: Obj) -> None:
    place = obj["kind"], namespace_of(obj), name_of(obj)
    if place not in there:
        found.setdefault(place, obj)


def _pod_specs(objects: Iterable[Obj]) -> Iterable[tuple[str, Obj]]:
    for one in objects:
        if one["kind"] == "Pod":
            yield namespace_of(one), one["spec"]
        elif spec := at(one, "spec.template.spec"):
            yield namespace_of(one), spec


def _priority(objects: Iterable[Obj], name: str) -> int:
    return next((one["spec"]["priority"] for one in objects if one["kind"] == "Pod"
                 and one["spec"].get("priorityClassName") == name and "priority" in one["spec"]), 0)
