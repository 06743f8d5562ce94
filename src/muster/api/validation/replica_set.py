"""ReplicaSets: a number of pods, made from a template that the selector finds.

https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
"""
from __future__ import annotations

from ..causes import Cause
from ..objects import Obj
from .metadata import not_negative, validate_metadata, validate_metadata_update
from .replicated import validate_counts, validate_selector_and_template

STATUS_NUMBERS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
PARTS = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def validate_replica_set(replica_set: Obj) -> list[Cause]:
    wrong = validate_metadata(replica_set, namespaced=True)
    spec = replica_set.get("spec") or {}
    wrong += not_negative(spec.get("replicas"), "spec.replicas")
    wrong += not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds")
    validate_selector_and_template(spec, wrong)
    return wrong


def validate_replica_set_status_update(new: Obj, old: Obj) -> list[Cause]:
    return validate_metadata_update(new, old) + validate_counts(new.get("status") or {}, STATUS_NUMBERS, PARTS)
