"""What ReplicaSets and Deployments have in common: a number of pods made from a template that a selector finds.

The words are upstream's, also where it calls a ReplicaSet a deployment.
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#writing-a-replicaset-manifest
"""
from __future__ import annotations

from ..causes import Cause, invalid, required
from ..errors import BadRequest
from ..objects import Obj, at
from ..selectors import from_label_selector
from .metadata import immutable, not_negative, validate_label_selector, validate_metadata_update
from .pod import validate_pod_template
from .selected_template import validate_found, validate_lasting


def validate_selector_and_template(spec: Obj, wrong: list[Cause]) -> None:
    selector = spec.get("selector")
    if selector is None:
        wrong.append(required("spec.selector"))
    else:
        validate_label_selector(selector, "spec.selector", wrong)
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            wrong.append(invalid("spec.selector", selector, "empty selector is invalid for deployment"))
    try:
        found = from_label_selector(selector)
    except BadRequest:
        wrong.append(invalid("spec.selector", selector, "invalid label selector"))
        return
    validate_found(found, at(spec, "template.metadata.labels"), wrong)
    template = spec.get("template") or {}
    validate_pod_template(template, "spec.template", wrong)
    validate_lasting(template, "ReplicaSet", wrong)


def validate_selector_stays(new: Obj, old: Obj) -> list[Cause]:
    wrong = validate_metadata_update(new, old)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is not before:
        wrong += immutable(after.get("selector"), before.get("selector"), "spec.selector")
    return wrong


def validate_counts(status: Obj, fields: tuple[str, ...], parts: tuple[str, ...]) -> list[Cause]:
    """Numbers that are not negative, and parts of `replicas` that are no more than the whole."""
    wrong: list[Cause] = []
    for field in fields:
        wrong += not_negative(status.get(field), f"status.{field}")
    for field in parts:
        part = status.get(field) or 0
        if part > (status.get("replicas") or 0):
            wrong.append(invalid(f"status.{field}", part, "cannot be greater than status.replicas"))
    if (status.get("availableReplicas") or 0) > (status.get("readyReplicas") or 0):
        wrong.append(invalid("status.availableReplicas", status["availableReplicas"],
                             "cannot be greater than readyReplicas"))
    return wrong
