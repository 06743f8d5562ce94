"""PriorityClasses: names for how important pods are, which decides who is scheduled first and who is preempted.

https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""
from __future__ import annotations

from ..causes import Cause, forbidden
from ..objects import Obj, name_of
from ..tables import AGE, NAME
from ..validation.metadata import immutable, validate_metadata, validate_metadata_update
from ..validation.pod import PREEMPTION_POLICIES
from ..validation.pod_fields import validate_choice
from .kind import Column, Kind

HIGHEST_FOR_USERS = 1_000_000_000
SYSTEM_PREFIX = "system-"
SYSTEM_CLASSES = {
    "system-cluster-critical": (
        HIGHEST_FOR_USERS * 2,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."),
    "system-node-critical": (
        HIGHEST_FOR_USERS * 2 + 1000,
        "Used for system critical pods that must not be moved from their current node."),
}
PREEMPTION_POLICY = "PreemptLowerPriority"


def system_classes() -> list[Obj]:
    """The two that every cluster has from its start."""
    return [{
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        "description": description,
        "preemptionPolicy": PREEMPTION_POLICY,
    } for name, (value, description) in SYSTEM_CLASSES.items()]


def defaults(found: Obj) -> Obj:
    return found if found.get("preemptionPolicy") is not None else {**found, "preemptionPolicy": PREEMPTION_POLICY}


def validate(found: Obj) -> list[Cause]:
    wrong = validate_metadata(found, namespaced=False)
    name, value = name_of(found), found.get("value") or 0
    if name.startswith(SYSTEM_PREFIX):
        wrong += _system(found, name, value)
    elif value > HIGHEST_FOR_USERS:
        wrong.append(forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_FOR_USERS}"))
    if found.get("preemptionPolicy") is not None:
        validate_choice(found["preemptionPolicy"], PREEMPTION_POLICIES, "preemptionPolicy", wrong)
    return wrong


def _system(found: Obj, name: str, value: int) -> list[Cause]:
    if name not in SYSTEM_CLASSES:
        why = f"{name} is not a known system priority class"
    elif value != SYSTEM_CLASSES[name][0]:
        why = f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name][0]}"
    elif found.get("globalDefault"):
        why = f"globalDefault of {name} PriorityClass must be false"
    else:
        return []
    return [forbidden("metadata.name", "priority class names with 'system-' prefix are reserved for system use only. "
                      f"error: {why}")]


def validate_update(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    if (new.get("value") or 0) != (old.get("value") or 0):
        wrong.append(forbidden("value", "may not be changed in an update."))
    return wrong + immutable(new.get("preemptionPolicy"), old.get("preemptionPolicy"), "preemptionPolicy")


PRIORITY_CLASS = Kind(
    group="scheduling.k8s.io", version="v1", name="PriorityClass", plural="priorityclasses",
    singular="priorityclass", namespaced=False,
    definition="io.k8s.api.scheduling.v1.PriorityClass",
    short_names=("pc",),
    columns=(
        NAME,
        Column("Value", lambda found, now: found.get("value") or 0, "integer",
               description="The higher, the more important."),
        Column("Global-Default", lambda found, now: bool(found.get("globalDefault")), "boolean",
               description="Whether pods that name no class get this one."),
        AGE,
        Column("PreemptionPolicy", lambda found, now: found.get("preemptionPolicy") or "",
               description="Whether its pods may preempt others."),
    ),
    generation_fields=("value", "globalDefault", "description", "preemptionPolicy"),
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
)
