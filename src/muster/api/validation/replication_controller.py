"""ReplicationControllers: a number of pods, made from a template whose labels hold the selector.

https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/#writing-a-replicationcontroller-manifest
"""
from __future__ import annotations

from ..causes import Cause, required
from ..objects import Obj, at
from ..selectors import from_labels
from .metadata import not_negative, validate_metadata
from .pod import validate_pod_template
from .selected_template import validate_found, validate_lasting


def validate_replication_controller(controller: Obj) -> list[Cause]:
    wrong = validate_metadata(controller, namespaced=True)
    spec = controller.get("spec") or {}
    wrong += not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds")
    selector, template = spec.get("selector"), spec.get("template")
    if not selector:
        wrong.append(required("spec.selector"))
    wrong += not_negative(spec.get("replicas"), "spec.replicas")
    if template is None:
        wrong.append(required("spec.template"))
        return wrong
    if selector:
        validate_found(from_labels(selector), at(template, "metadata.labels"), wrong)
    validate_pod_template(template, "spec.template", wrong)
    validate_lasting(template, "ReplicationController", wrong)
    return wrong
