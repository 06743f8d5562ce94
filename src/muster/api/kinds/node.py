"""Node: a machine that runs pods.  Its agent registers it and keeps its status; users label and taint it.

https://kubernetes.io/docs/concepts/architecture/nodes/
"""
from __future__ import annotations

from collections.abc import Callable

from ..defaults import filled, inside, kept
from ..objects import Obj, at, condition, labels_of
from ..tables import AGE, NAME, NONE, UNKNOWN, path_cell
from ..validation import node as rules
from .kind import Column, Kind, Subresource

ROLE_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"
RUNTIME = "muster.dev/runtime"  # label: "containers" where pods are real
MACHINE = "muster.dev/machine"  # annotation: the address of its machine, where that is another one than the server's


def defaults(node: Obj) -> Obj:
    return inside(inside(node, "spec", _spec_defaults), "status", _status_defaults)


def _spec_defaults(spec: Obj) -> Obj:
    if cidr := spec.get("podCIDR"):
        return filled(spec, podCIDRs=[cidr])
    if cidrs := spec.get("podCIDRs"):
        return filled(spec, podCIDR=cidrs[0])
    return spec


def _status_defaults(status: Obj) -> Obj:
    capacity = status.get("capacity")
    return filled(status, allocatable=capacity) if capacity else status


def prepare_create(node: Obj) -> Obj:
    return node if "spec" in node else {**node, "spec": {}}


def prepare_update(new: Obj, old: Obj) -> Obj:
    return kept(new, old, "status")


def status_text(node: Obj, now: float = 0.0) -> str:
    """Ready, NotReady or Unknown, and whether new pods are kept away."""
    ready = condition(node, "Ready")
    text = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{text},SchedulingDisabled" if at(node, "spec.unschedulable") else text


def roles_of(node: Obj) -> list[str]:
    """From `node-role.kubernetes.io/<role>` labels, sorted."""
    labels = labels_of(node)
    roles = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    roles.add(labels.get(ROLE_LABEL, ""))
    return sorted(roles - {""})


def _roles(node: Obj, now: float) -> str:
    return ",".join(roles_of(node)) or NONE


def _address(type_: str) -> Callable[[Obj, float], str]:
    def cell(node: Obj, now: float) -> str:
        return next((one["address"] for one in at(node, "status.addresses", ())
                     if one.get("type") == type_), NONE)
    return cell


def _info(field: str) -> Callable[[Obj, float], str]:
    return lambda node, now: at(node, f"status.nodeInfo.{field}") or UNKNOWN


def _unschedulable(node: Obj) -> str:
    return "true" if at(node, "spec.unschedulable") else "false"


NODE = Kind(
    group="", version="v1", name="Node", plural="nodes", singular="node", namespaced=False,
    definition="io.k8s.api.core.v1.Node", short_names=("no",),
    subresources=(Subresource("status", fields=("status",)),),
    columns=(
        NAME,
        Column("Status", status_text, description="The status of the node"),
        Column("Roles", _roles, description="The roles of the node"),
        AGE,
        Column("Version", path_cell("status.nodeInfo.kubeletVersion"),
               description="The version of the node's agent"),
        Column("Internal-IP", _address("InternalIP"), priority=1),
        Column("External-IP", _address("ExternalIP"), priority=1),
        Column("OS-Image", _info("osImage"), priority=1),
        Column("Kernel-Version", _info("kernelVersion"), priority=1),
        Column("Container-Runtime", _info("containerRuntimeVersion"), priority=1),
    ),
    selectable={"spec.unschedulable": _unschedulable},
    generation_fields=(),
    defaults=defaults, prepare_create=prepare_create, prepare_update=prepare_update,
    validate=rules.validate, validate_update=rules.validate_update,
    validate_status_update=rules.validate_status_update,
)
