"""Deployments: as many pods as asked for, and an orderly way from one template to the next.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""
from __future__ import annotations

from collections.abc import Callable

from ..defaults import filled, within
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
    strategy = _strategy_defaults(spec.get("strategy") or {})
    if strategy is not spec.get("strategy"):
        spec = {**spec, "strategy": strategy}
    return filled(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)


def _strategy_defaults(strategy: Obj) -> Obj:
    if not strategy.get("type"):
        strategy = {**strategy, "type": "RollingUpdate"}
    if strategy["type"] != "RollingUpdate":
        return strategy
    rolling = strategy.get("rollingUpdate") or {}
    full = filled(rolling, maxUnavailable="25%", maxSurge="25%")
    return strategy if full is rolling else {**strategy, "rollingUpdate": full}


def prepare_create(deployment: Obj) -> Obj:
    return {**deployment, "status": {}}


def prepare_update(new: Obj, old: Obj) -> Obj:
    return {**new, "status": old.get("status") or {}}


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
        Column("Ready", workload_columns.ready_of_wanted, description="Pods that are ready, of those that are wanted."),
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
    prepare_update=prepare_update,
    validate=validate_deployment,
    validate_update=validate_selector_stays,
    validate_status_update=validate_deployment_status_update,
    warnings=template_warnings,
)
