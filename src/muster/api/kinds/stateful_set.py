"""StatefulSets: pods with a name, a place in an order and (where they ask for it) a store of their own.

https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
"""
from __future__ import annotations

from functools import partial

from ..defaults import each, filled, rolling_update, within
from ..objects import Obj
from ..tables import AGE, NAME
from ..validation.stateful_set import (
    validate_stateful_set,
    validate_stateful_set_status_update,
    validate_stateful_set_update,
)
from . import persistent_volume_claim, workload_columns
from .kind import SCALE, STATUS, Kind
from .pod_defaults import pod_template_defaults
from .pod_warnings import template_warnings

NO_STATUS = {"replicas": 0, "availableReplicas": 0}
KEEP_CLAIMS = {"whenDeleted": "Retain", "whenScaled": "Retain"}


def defaults(stateful_set: Obj) -> Obj:
    return within(stateful_set, "spec", _spec_defaults)


def _spec_defaults(spec: Obj) -> Obj:
    spec = within(spec, "template", pod_template_defaults)
    if not spec.get("podManagementPolicy"):
        spec = {**spec, "podManagementPolicy": "OrderedReady"}
    spec = within(spec, "updateStrategy", partial(rolling_update, partition=0))
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    if not all(map(retention.get, KEEP_CLAIMS)):
        said = {field: value for field, value in retention.items() if value}
        spec = {**spec, "persistentVolumeClaimRetentionPolicy": {**KEEP_CLAIMS, **said}}
    spec = each(spec, "volumeClaimTemplates", _claim_defaults)
    return filled(spec, replicas=1, revisionHistoryLimit=10)


def _claim_defaults(claim: Obj) -> Obj:
    claim = filled(persistent_volume_claim.defaults(claim), apiVersion="v1", kind="PersistentVolumeClaim")
    return claim if claim.get("status") else {**claim, "status": {"phase": "Pending"}}


def prepare_create(stateful_set: Obj) -> Obj:
    return {**stateful_set, "status": NO_STATUS}


def prepare_update(new: Obj, old: Obj) -> Obj:
    return {**new, "status": old.get("status") or NO_STATUS}


STATEFUL_SET = Kind(
    group="apps", version="v1", name="StatefulSet", plural="statefulsets", singular="statefulset", namespaced=True,
    definition="io.k8s.api.apps.v1.StatefulSet",
    short_names=("sts",),
    categories=("all",),
    subresources=(SCALE, STATUS),
    columns=(
        NAME,
        workload_columns.READY_OF_WANTED,
        AGE,
        *workload_columns.of_template("spec.template.spec"),
    ),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate_stateful_set,
    validate_update=validate_stateful_set_update,
    validate_status_update=validate_stateful_set_status_update,
    warnings=template_warnings,
)
