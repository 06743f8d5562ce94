"""Deployments: as many pods as asked for, and an orderly way from one template to the next.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""
from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..defaults import filled, rolling_update, status_stays, within
from ..objects import Obj, at
from ..tables import AGE, NAME
from ..validation.deployment import validate_deployment, validate_deployment_status_update
from ..validation.replicated import validate_selector_stays
from . import workload_columns
from .kind import SCALE, STATUS, Column, Kind
from .pod_defaults import pod_template_defaults
from .pod_warnings import template_warnings


def defaults(deployment: Obj) -> Obj:
    return within(deployment, "spec", _spec_defaults)


def _spec_defaults(spec: Obj) -> Obj:
    spec = within(spec, "template", pod_template_defaults)
    spec = within(spec, "strategy", partial(rolling_update, maxUnavailable="25%", maxSurge="25%"))
    return filled(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)


def prepare_create(deployment: Obj) -> Obj:
    return {**deployment, "status": {}}


def _number(field: str) -> Callable[[Obj, float], int]:
    return lambda deployment, now: at(deployment, f"status.{field}", 0)


DEPLOYMENT = Kind(
    group="apps", version="v1", name="Deployment", plural="deployments", singular="deployment", namespaced=True,
    definition="io.k8s.api.apps.v1.Deployment",
    short_names=("deploy",),
    categories=("all",),
    subresources=(SCALE, STATUS),
    columns=(
        NAME,
        workload_columns.READY_OF_WANTED,
        Column("Up-to-date", _number("updatedReplicas"), "integer",
               description="Pods of the template as it is now."),
        Column("Available", _number("availableReplicas"), "integer",
               description="Pods that have been ready for minReadySeconds."),
        AGE,
        *workload_columns.of_template("spec.template.spec"),
        workload_columns.SELECTOR,
    ),
    # Annotations count too, as upstream: what they say goes on to the ReplicaSets.
    generation_fields=("spec", "metadata.annotations"),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=status_stays,
    validate=validate_deployment,
    validate_update=validate_selector_stays,
    validate_status_update=validate_deployment_status_update,
    warnings=template_warnings,
)
