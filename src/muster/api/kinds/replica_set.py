"""ReplicaSets: as many pods as asked for, at all times.

https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
"""
from __future__ import annotations

from ..defaults import filled, within
from ..objects import Obj
from ..tables import AGE, NAME
from ..validation.replica_set import validate_replica_set, validate_replica_set_status_update
from ..validation.replicated import validate_selector_stays
from . import workload_columns
from .kind import SCALE, STATUS, Kind
from .pod_defaults import pod_template_defaults
from .pod_warnings import template_warnings

NO_STATUS = {"replicas": 0}


def defaults(replica_set: Obj) -> Obj:
    return within(replica_set, "spec", lambda spec: filled(within(spec, "template", pod_template_defaults), replicas=1))


def prepare_create(replica_set: Obj) -> Obj:
    return {**replica_set, "status": NO_STATUS}


def prepare_update(new: Obj, old: Obj) -> Obj:
    return {**new, "status": old.get("status") or NO_STATUS}


REPLICA_SET = Kind(
    group="apps", version="v1", name="ReplicaSet", plural="replicasets", singular="replicaset", namespaced=True,
    definition="io.k8s.api.apps.v1.ReplicaSet",
    short_names=("rs",),
    categories=("all",),
    subresources=(SCALE, STATUS),
    columns=(
        NAME,
        *workload_columns.REPLICAS,
        AGE,
        *workload_columns.of_template("spec.template.spec"),
        workload_columns.SELECTOR,
    ),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate_replica_set,
    validate_update=validate_selector_stays,
    validate_status_update=validate_replica_set_status_update,
    warnings=template_warnings,
)
