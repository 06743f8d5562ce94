"""What a write to a subresource means for the object it belongs to.  Pure: the registry writes the result.

Plain ones (`status`, `finalize`, `ephemeralcontainers`, ...) carry the whole object, of which only some
fields count.  The others carry a body of their own: a Scale (any kind with `spec.replicas`), a Binding or
an Eviction (pods).

https://kubernetes.io/docs/reference/using-api/api-concepts/#subresources
"""
from __future__ import annotations

from typing import Any

from ..api.causes import Cause, not_supported, required
from ..api.causes import invalid as invalid_value
from ..api.errors import BadRequest, conflict, invalid
from ..api.kinds.kind import Column, Kind, Subresource
from ..api.objects import Obj, at, is_deleting, with_, with_condition, without_
from ..api.selectors import selector_of
from ..api.tables import AGE, NAME, path_cell

SCALE, BINDING, EVICTION = "scale", "binding", "eviction"
ACTIONS = frozenset((BINDING, EVICTION))  # created only; answered with a Status by HTTP
STATUS = "status"

SCALE_DEFINITION = "io.k8s.api.autoscaling.v1.Scale"
SCALE_ROW = Kind(  # served below others only: for what is printed of it
    group="autoscaling", version="v1", name="Scale", plural="scales", singular="scale", namespaced=True,
    definition=SCALE_DEFINITION,
    columns=(
        NAME,
        Column("Desired", path_cell("spec.replicas", 0), "integer", description="How many are asked for."),
        Column("Available", path_cell("status.replicas", 0), "integer", description="How many there are."),
        AGE,
    ),
)
BINDING_DEFINITION = "io.k8s.api.core.v1.Binding"
EVICTION_DEFINITION = "io.k8s.api.policy.v1.Eviction"

_FIELDS = {STATUS: ("status",), "finalize": ("spec.finalizers",),
           "ephemeralcontainers": ("spec.ephemeralContainers",)}
# What a status write leaves alone although it may change the rest of the metadata.
_METADATA_KEPT = {"pods": "ownerReferences", "deployments.apps": "labels"}


def fields_of(subresource: Subresource) -> tuple[str, ...]:
    return subresource.fields or _FIELDS.get(subresource.name, ())


def narrowed(kind: Kind, subresource: Subresource, new: Obj, old: Obj) -> Obj:
    """`old` with what this subresource may change taken from `new`."""
    result = old
    for field in fields_of(subresource):
        value = at(new, field)
        if value is None:
            result = without_(result, field)
        elif value is not at(old, field):
            result = with_(result, field, value)
    if subresource.name == STATUS:
        result = with_qos_class(kind, result, old)
    if subresource.name == STATUS and not kind.own_schema:
        metadata = new["metadata"]
        kept = _METADATA_KEPT.get(kind.resource)
        if kept is not None and metadata.get(kept) != old["metadata"].get(kept):
            metadata = {key: value for key, value in metadata.items() if key != kept}
            if kept in old["metadata"]:
                metadata[kept] = old["metadata"][kept]
        result = {**result, "metadata": metadata}
    return result


def with_qos_class(kind: Kind, new: Obj, old: Obj) -> Obj:
    """A pod's class is settled at its creation; a status that leaves it out keeps it."""
    if kind.resource != "pods":
        return new
    status, settled = new.get("status") or {}, (old.get("status") or {}).get("qosClass")
    return new if status.get("qosClass") or not settled else {**new, "status": {**status, "qosClass": settled}}


# ---- scale

def scale_of(obj: Obj) -> Obj:
    metadata = {key: obj["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion",
                                                      "creationTimestamp") if key in obj["metadata"]}
    status: Obj = {"replicas": at(obj, "status.replicas", 0)}
    if selector := _selector_text(obj):
        status["selector"] = selector
    replicas = at(obj, "spec.replicas", 0)
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
            "spec": {"replicas": replicas} if replicas else {}, "status": status}


def _selector_text(obj: Obj) -> str:
    return str(selector_of(obj)) if at(obj, "spec.selector") else ""


def scaled(obj: Obj, scale: Obj) -> Obj:
    """The object with the replicas that a Scale asks for.  Raises Invalid, or Conflict for another revision."""
    replicas = at(scale, "spec.replicas", 0)
    name = obj["metadata"]["name"]
    if replicas < 0:
        raise invalid("Scale", "autoscaling", name, [
            invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")])
    result = with_(obj, "spec.replicas", replicas)
    for field in ("resourceVersion", "uid"):
        if said := at(scale, f"metadata.{field}"):
            result = with_(result, f"metadata.{field}", said)
    return result


# ---- binding

def check_binding(name: str, binding: Obj) -> None:
    if at(binding, "metadata.name", "") != name:
        raise BadRequest("name in URL does not match name in Binding object")
    causes: list[Cause] = []
    target = binding.get("target") or {}
    if target.get("kind") not in (None, "", "Node"):
        causes.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        causes.append(required("target.name"))
    if causes:
        raise invalid("Binding", "", name, causes)


def bound(pod: Obj, binding: Obj, now: str) -> Obj:
    """The pod on its node.  Raises Conflict for one that is bound, leaving, or not yet to be scheduled."""
    name = pod["metadata"]["name"]
    spec = pod["spec"]
    if is_deleting(pod):
        raise conflict("pods", name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise conflict("pods", name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise conflict("pods", name, f"pod {name} has non-empty .spec.schedulingGates")
    metadata = pod["metadata"]
    if annotations := at(binding, "metadata.annotations"):
        metadata = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **annotations}}
    status = pod.get("status") or {}
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    conditions = with_condition(status.get("conditions") or (), scheduled)
    return {**pod, "metadata": metadata, "spec": {**spec, "nodeName": binding["target"]["name"]},
            "status": {**status, "conditions": conditions}}


# ---- eviction

def check_eviction(name: str, eviction: Obj) -> Any:
    """The DeleteOptions inside, as JSON."""
    if at(eviction, "metadata.name", "") != name:
        raise BadRequest("name in URL does not match name in Eviction object")
    return eviction.get("deleteOptions")
