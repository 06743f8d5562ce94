"""Objects and shorthand for the tables about ReplicaSets and Deployments."""
from __future__ import annotations

from muster.api.objects import controller_reference, to_time, with_
from muster.control.plan import Create, Delete, Patch, Plan, SetStatus, Tell
from muster.controllers.deployment_sets import new_set
from muster.controllers.replica_set import new_pod

NOW = 10_000.0
APP = {"app": "web"}


def a_template(image="web:1", labels=None, **spec):
    return {"metadata": {"labels": labels or APP}, "spec": {"containers": [{"name": "main", "image": image}], **spec}}


def a_replica_set(replicas=3, *, name="web", status=None, owner=None, generation=1, **spec):
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "generation": generation}
    if owner is not None:
        metadata["ownerReferences"] = [controller_reference(owner)]
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "status": status or {},
            "spec": {"replicas": replicas, "selector": {"matchLabels": APP}, "template": a_template(), **spec}}


def a_replication_controller(replicas=3):
    made = a_replica_set(replicas)
    return {**with_(made, "spec.selector", {"app": "web"}), "apiVersion": "v1", "kind": "ReplicationController"}


def a_pod(name, owner=None, *, node="n1", phase="Running", ready_for=1000.0, age=2000.0, restarts=0, cost=None,
          going=False, orphan=False, labels=None):
    """A pod of the set; `ready_for` None: not ready."""
    pod = new_pod(owner or a_replica_set())
    metadata = {**pod["metadata"], "name": name, "uid": name, "creationTimestamp": to_time(NOW - age)}
    del metadata["generateName"]
    if orphan:
        del metadata["ownerReferences"]
    if labels is not None:
        metadata["labels"] = labels
    if cost is not None:
        metadata["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": cost}
    if going:
        metadata["deletionTimestamp"] = to_time(NOW)
    status = {"phase": phase, "containerStatuses": [{"restartCount": restarts}]}
    if ready_for is not None and phase == "Running":
        status["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": to_time(NOW - ready_for)}]
    spec = {**pod["spec"], "nodeName": node} if node else pod["spec"]
    return {**pod, "metadata": metadata, "spec": spec, "status": status}


def a_deployment(image="web:2", replicas=3, *, rolling=None, recreate=False, status=None, generation=1, annotations=None,
                 **spec):
    metadata = {"name": "web", "namespace": "shop", "uid": "uid-deploy", "generation": generation,
                "annotations": annotations or {}}
    strategy = {"type": "Recreate"} if recreate else {
        "type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%", **(rolling or {})}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "status": status or {},
            "spec": {"replicas": replicas, "selector": {"matchLabels": APP}, "template": a_template(image),
                     "strategy": strategy, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, **spec}}


def set_of(deployment, image, size, available=None, ready=None, *, revision=1, pods=None, **annotations):
    """The ReplicaSet `web-N` of the template with the image `web:N`; what is not said is available, or no more ready."""
    made = new_set(with_(deployment, "spec.template", a_template(image)), revision, size)
    available = size if available is None else available
    name = image.replace(":", "-")
    metadata = {**made["metadata"], "name": name, "uid": name, "generation": 1,
                "creationTimestamp": to_time(1000 + revision),
                "annotations": {**made["metadata"]["annotations"], **annotations}}
    status = {"replicas": size if pods is None else pods, "availableReplicas": available,
              "readyReplicas": available if ready is None else ready, "observedGeneration": 1}
    return {**made, "metadata": metadata, "status": status}


def said(conditions_holder, type_="Progressing"):
    """`True NewReplicaSetAvailable`"""
    for one in (conditions_holder or {}).get("conditions") or ():
        if one["type"] == type_:
            return f"{one['status']} {one['reason']}"
    return None


def progress(reason="ReplicaSetUpdated", status="True", since=NOW - 10):
    return {"type": "Progressing", "status": status, "reason": reason, "message": "...",
            "lastUpdateTime": to_time(since), "lastTransitionTime": to_time(since)}


def summary(plan: Plan) -> str:
    """`+2 -web-a`: what a ReplicaSet's plan would do; `+web:2=1 web-1=2`: a Deployment's."""
    words, made = [], 0
    for action in plan.actions:
        match action:
            case Create(obj) if obj["kind"] == "Pod":
                made += 1
            case Create(obj):
                words.append(f"+{obj['spec']['template']['spec']['containers'][0]['image']}={obj['spec']['replicas']}")
            case Delete(key):
                words.append(f"-{key.name}")
            case Patch(key, _, patch) if "ownerReferences" in patch.get("metadata", {}):
                references = patch["metadata"]["ownerReferences"]
                words.append(f"{'release' if '$patch' in references[0] else 'adopt'}:{key.name}")
            case Patch(key, _, patch) if key.resource.startswith("replicasets"):
                replicas = patch.get("spec", {}).get("replicas")
                words.append(f"{key.name}={replicas}" if replicas is not None else f"{key.name}*")
            case Tell() if action.reason != "ScalingReplicaSet":
                words.append(f"!{action.reason}")
    return " ".join(([f"+{made}"] if made else []) + sorted(words))


def told(plan: Plan) -> list[str]:
    return [action.message for action in plan.actions if isinstance(action, Tell)]


def status_in(plan: Plan):
    return next((action.status for action in plan.actions if isinstance(action, SetStatus)), None)


