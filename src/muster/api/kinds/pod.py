"""Pods: what runs, on one node, from its creation to its end.

https://kubernetes.io/docs/concepts/workloads/pods/
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
"""
from __future__ import annotations

from collections.abc import Callable

from ..defaults import status_stays
from ..objects import Obj
from ..validation.pod import validate_new_pod, validate_pod
from ..validation.pod_update import (
    validate_ephemeral_containers_update,
    validate_pod_status_update,
    validate_pod_update,
)
from .kind import Kind, Subresource
from .pod_columns import COLUMNS
from .pod_defaults import pod_defaults
from .pod_warnings import pod_warnings
from .quality_of_service import qos_class

_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
    "lastProbeTime": None,
    "lastTransitionTime": None,
}


def prepare_create(pod: Obj) -> Obj:
    """A new pod is Pending, whatever status came with it; its quality of service class is fixed here."""
    status: Obj = {"phase": "Pending", "qosClass": qos_class(pod)}
    if (pod.get("spec") or {}).get("schedulingGates"):
        status["conditions"] = [_GATED]
    return {**with_matched_label_keys(pod), "status": status}


def with_matched_label_keys(pod: Obj) -> Obj:
    """`matchLabelKeys` of pod affinity, turned into selectors with this pod's own values (KEP-3633)."""
    affinity = (pod.get("spec") or {}).get("affinity")
    if not affinity:
        return pod
    labels = pod["metadata"].get("labels") or {}
    after = {field: _terms_matched(found, labels) if field in ("podAffinity", "podAntiAffinity") and found else found
             for field, found in affinity.items()}
    return pod if after == affinity else {**pod, "spec": {**pod["spec"], "affinity": after}}


def _terms_matched(affinity: Obj, labels: Obj) -> Obj:
    after = dict(affinity)
    if terms := affinity.get("requiredDuringSchedulingIgnoredDuringExecution"):
        after["requiredDuringSchedulingIgnoredDuringExecution"] = [_term_matched(term, labels) for term in terms]
    if weighted := affinity.get("preferredDuringSchedulingIgnoredDuringExecution"):
        after["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {**one, "podAffinityTerm": _term_matched(one.get("podAffinityTerm") or {}, labels)} for one in weighted]
    return after


def _term_matched(term: Obj, labels: Obj) -> Obj:
    selector = term.get("labelSelector")
    added = [{"key": key, "operator": operator, "values": [labels[key]]}
             for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
             for key in term.get(field) or () if key in labels]
    if selector is None or not added:
        return term
    return {**term, "labelSelector": {**selector,
                                      "matchExpressions": [*(selector.get("matchExpressions") or ()), *added]}}


def grace_period_s(pod: Obj, asked: int | None) -> int:
    """At once where nothing runs (yet, or any more); else as asked for, or as the pod says itself."""
    spec, phase = pod.get("spec") or {}, (pod.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    period = asked if asked is not None else spec.get("terminationGracePeriodSeconds")
    return 0 if period is None else 1 if period < 0 else period


def _spec(field: str) -> Callable[[Obj], str]:
    return lambda pod: (pod.get("spec") or {}).get(field) or ""


def _status(field: str) -> Callable[[Obj], str]:
    return lambda pod: (pod.get("status") or {}).get(field) or ""


def _address(pod: Obj) -> str:
    status = pod.get("status") or {}
    for one in status.get("podIPs") or ():
        return one.get("ip") or ""
    return status.get("podIP") or ""


POD = Kind(
    group="", version="v1", name="Pod", plural="pods", singular="pod", namespaced=True,
    definition="io.k8s.api.core.v1.Pod",
    short_names=("po",),
    categories=("all",),
    subresources=(
        Subresource("status", fields=("status",)),
        Subresource("ephemeralcontainers", fields=("spec.ephemeralContainers",),
                    validate=validate_ephemeral_containers_update),
        Subresource("binding", verbs=("create",), kind="Binding", version="v1"),
        Subresource("eviction", verbs=("create",), kind="Eviction", group="policy", version="v1"),
        Subresource("log", verbs=("get",)),
        Subresource("exec", verbs=("create", "get"), kind="PodExecOptions", version="v1"),
        Subresource("attach", verbs=("create", "get"), kind="PodAttachOptions", version="v1"),
        Subresource("portforward", verbs=("create", "get"), kind="PodPortForwardOptions", version="v1"),
    ),
    columns=COLUMNS,
    selectable={
        "spec.nodeName": _spec("nodeName"),
        "spec.restartPolicy": _spec("restartPolicy"),
        "spec.schedulerName": _spec("schedulerName"),
        "spec.serviceAccountName": _spec("serviceAccountName"),
        "spec.hostNetwork": lambda pod: "true" if (pod.get("spec") or {}).get("hostNetwork") else "false",
        "status.phase": _status("phase"),
        "status.podIP": _address,
        "status.nominatedNodeName": _status("nominatedNodeName"),
    },
    generation_fields=(),
    defaults=pod_defaults,
    prepare_create=prepare_create,
    prepare_update=status_stays,
    validate=validate_pod,
    validate_create=validate_new_pod,
    validate_update=validate_pod_update,
    validate_status_update=validate_pod_status_update,
    grace_period_s=grace_period_s,
    warnings=pod_warnings,
)
