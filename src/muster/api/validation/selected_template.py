"""What the kinds that make pods ask of their template: the selector must find its pods, and most want them to last.

https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#writing-a-replicaset-manifest
"""
from __future__ import annotations

from collections.abc import Mapping

from ..causes import Cause, forbidden, invalid, not_supported, required
from ..errors import BadRequest
from ..objects import Obj, at
from ..selectors import Selector, from_label_selector
from .metadata import validate_label_selector


def validate_selector(spec: Obj, wrong: list[Cause]) -> None:
    """Of a kind that must have one: it is there, well made, and finds the template."""
    selector = spec.get("selector")
    if selector is None:
        wrong.append(required("spec.selector"))
    validate_label_selector(selector, "spec.selector", wrong)
    try:
        found = from_label_selector(selector)
    except BadRequest:  # said above, with the field's path
        return
    validate_found(found, at(spec, "template.metadata.labels"), wrong)


def validate_found(selector: Selector, labels: Mapping[str, str] | None, wrong: list[Cause]) -> None:
    if not selector.matches(labels):
        wrong.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))


def validate_lasting(template: Obj, kind: str, wrong: list[Cause]) -> None:
    """Its pods are started again whenever they end."""
    pod = template.get("spec") or {}
    if pod.get("restartPolicy") != "Always":
        wrong.append(not_supported("spec.template.spec.restartPolicy", pod.get("restartPolicy") or "", ("Always",)))
    if pod.get("activeDeadlineSeconds") is not None:
        wrong.append(forbidden("spec.template.spec.activeDeadlineSeconds",
                               f"activeDeadlineSeconds in {kind} is not Supported"))
