"""Objects and shorthand for the tables about DaemonSets."""
from __future__ import annotations

from muster.api.objects import controller_reference, labels_of, name_of, to_time
from muster.control.plan import Create, Delete, Patch, Plan, SetStatus, Tell
from muster.control.revisions import HASH_LABEL, revision_of
from muster.controllers.daemonset import Observed
from muster.controllers.daemonset_pods import node_of, pod_maker

NOW = 10_000.0
APP = {"app": "agent"}


def a_template(image="agent:1", **spec):
    containers = [{"name": "agent", "image": image, "resources": {}}]
    return {"metadata": {"labels": APP}, "spec": {"containers": containers, **spec}}


OLDER, OLD, NEW = a_template("agent:0"), a_template("agent:1"), a_template("agent:2")


def a_set(template=NEW, *, rolling=None, strategy="RollingUpdate", annotations=None, status=None, generation=2,
          deleting=False, **spec):
    metadata = {"name": "agent", "namespace": "logging", "uid": "set-1", "generation": generation,
                "annotations": {"deprecated.daemonset.template.generation": str(generation), **(annotations or {})}}
    if deleting:
        metadata["deletionTimestamp"] = to_time(NOW)
    update = {"type": strategy}
    if strategy == "RollingUpdate":
        update["rollingUpdate"] = {"maxUnavailable": 1, "maxSurge": 0, **(rolling or {})}
    obj = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata,
           "spec": {"selector": {"matchLabels": APP}, "template": template, "updateStrategy": update,
                    "revisionHistoryLimit": 10, **spec}}
    return {**obj, "status": status} if status else obj


def a_node(name, labels=None, taints=None):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels or {}},
            "spec": {"taints": taints} if taints else {}}


def a_taint(key, effect, value=""):
    return {"key": key, "effect": effect, "value": value}


def a_revision(template, number, daemonset=None, name=None):
    revision = revision_of(daemonset or a_set(), template, number)
    metadata = {**revision["metadata"], "uid": f"revision-{number}"}
    if name:
        metadata["name"] = name
    return {**revision, "metadata": metadata}


def hash_of(template):
    return labels_of(revision_of(a_set(), template, 1))[HASH_LABEL]


def a_pod(node, template=NEW, *, name=None, ready_for=1000.0, age=2000.0, going=False, phase="Running",
          bound=True, orphan=False, labels=None, uid_of_owner=None, finalizer=False):
    """A pod of the set; `ready_for` None: not ready."""
    owner = a_set(template)
    pod = pod_maker(owner, hash_of(template))(node)
    name = name or f"{node}-{template['spec']['containers'][0]['image'][-1]}"
    metadata = {**pod["metadata"], "name": name, "uid": name, "creationTimestamp": to_time(NOW - age)}
    del metadata["generateName"]
    if orphan:
        del metadata["ownerReferences"]
    if uid_of_owner:
        metadata["ownerReferences"] = [{**controller_reference(owner), "uid": uid_of_owner}]
    if labels is not None:
        metadata["labels"] = labels
    if going:
        metadata["deletionTimestamp"] = to_time(NOW)
    if finalizer:
        metadata["finalizers"] = ["example.com/hold"]
    status = {"phase": phase}
    if ready_for is not None and phase == "Running":
        status["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": to_time(NOW - ready_for)}]
    spec = {**pod["spec"], "nodeName": node} if bound else pod["spec"]
    return {**pod, "metadata": metadata, "spec": spec, "status": status}


def down(node, template=NEW, **more):
    return a_pod(node, template, ready_for=None, **more)


def seen(nodes, pods=(), daemonset=None, revisions=None, **more):
    """`revisions` None: those of today's template and of every pod's are there."""
    daemonset = daemonset or a_set()
    if revisions is None:
        current = daemonset["spec"]["template"]
        past = [template for template in (OLDER, OLD, NEW) if template is not current]
        revisions = [a_revision(template, n) for n, template in enumerate([*past, current], 1)]
    found = [a_node(node) if isinstance(node, str) else node for node in nodes]
    return Observed(daemonset, list(pods), found, revisions, {name_of(one): one for one in revisions}, **more)


def summary(plan: Plan) -> str:
    """`+n1 -n2-1`: what the plan would do, short enough to sit in a table."""
    said = []
    for action in plan.actions:
        match action:
            case Create(obj) if obj["kind"] == "Pod":
                said.append(f"+{node_of(obj)}")
            case Create(obj):
                said.append(f"+revision:{obj['revision']}")
            case Delete(key):
                said.append(f"-{key.name}" if key.resource == "pods" else f"-revision:{key.name}")
            case Patch(key, _, patch):
                references = patch["metadata"].get("ownerReferences") if "metadata" in patch else None
                if references:
                    said.append(f"{'release' if '$patch' in references[0] else 'adopt'}:{key.name}")
                else:
                    said.append(f"patch:{key.resource.split('.')[0]}")
            case Tell():
                said.append(f"!{action.reason}")
            case SetStatus():
                pass
    return " ".join(sorted(said))


def status_in(plan: Plan):
    return next((action.status for action in plan.actions if isinstance(action, SetStatus)), None)
