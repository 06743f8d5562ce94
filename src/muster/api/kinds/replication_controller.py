"""ReplicationControllers: what ReplicaSets were called before they had label selectors.

The selector is a plain map and, where it is left out, the labels of the template.
https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/
"""
from __future__ import annotations

from ..defaults import filled, inside
from ..objects import Obj, at
from ..tables import AGE, NAME
from ..validation.metadata import validate_metadata_update
from ..validation.replica_set import validate_replica_set_status_update
from ..validation.replication_controller import validate_replication_controller
from . import workload_columns
from .kind import SCALE, STATUS, Column, Kind
from .pod_defaults import pod_template_defaults
from .pod_warnings import template_warnings
from .replica_set import prepare_create, prepare_update


def defaults(controller: Obj) -> Obj:
    labels = at(controller, "spec.template.metadata.labels")
    if labels and not at(controller, "metadata.labels"):
        controller = {**controller, "metadata": {**controller["metadata"], "labels": labels}}
    return inside(controller, "spec", lambda spec: _spec_defaults(spec, labels))


def _spec_defaults(spec: Obj, labels: Obj | None) -> Obj:
    if labels and not spec.get("selector"):
        spec = {**spec, "selector": labels}
    return filled(inside(spec, "template", pod_template_defaults), replicas=1)


REPLICATION_CONTROLLER = Kind(
    group="", version="v1", name="ReplicationController", plural="replicationcontrollers",
    singular="replicationcontroller", namespaced=True, definition="io.k8s.api.core.v1.ReplicationController",
    short_names=("rc",),
    categories=("all",),
    subresources=(SCALE, STATUS),
    columns=(
        NAME,
        *workload_columns.REPLICAS,
        AGE,
        *workload_columns.of_template("spec.template.spec"),
        Column("Selector", workload_columns.plain_selector, priority=1, description="The pods that belong to it."),
    ),
    selectable={"status.replicas": lambda obj: str(at(obj, "status.replicas", 0))},
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate_replication_controller,
    validate_update=validate_metadata_update,
    validate_status_update=validate_replica_set_status_update,
    warnings=template_warnings,
)
