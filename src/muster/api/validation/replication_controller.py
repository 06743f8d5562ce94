"""ReplicationControllers: a number of pods, made from a template whose labels hold the selector.

https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/#writing-a-replicationcontroller-manifest
"""
from __future__ import annotations

from ..causes import Cause, forbidden, invalid, not_supported, required
from ..objects import Obj, at
from ..selectors import from_labels
from .metadata import not_negative, validate_metadata
from .pod import validate_pod_template


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
    labels = at(template, "metadata.labels")
    if selector and not from_labels(selector).matches(labels):
        wrong.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    validate_pod_template(template, "spec.template", wrong)
    pod = template.get("spec") or {}
    if pod.get("restartPolicy") != "Always":
        wrong.append(not_supported("spec.template.spec.restartPolicy", pod.get("restartPolicy") or "", ("Always",)))
    if pod.get("activeDeadlineSeconds") is not None:
        wrong.append(forbidden("spec.template.spec.activeDeadlineSeconds",
                               "activeDeadlineSeconds in ReplicationController is not Supported"))
    return wrong
