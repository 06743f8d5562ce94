"""DaemonSets: a pod on every node that fits.

The template's generation lives in an annotation (it used to be a field): 1 at first, one more at every change
of `spec.template`, whatever a user writes there.  Pods carry it as a label, so that either tells old from new.

https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
"""
from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..defaults import rolling_update, within
from ..objects import Obj, with_
from ..tables import AGE, NAME
from ..validation.daemonset import (
    validate_daemonset,
    validate_daemonset_status_update,
    validate_daemonset_update,
)
from . import workload_columns
from .kind import STATUS, Column, Kind
from .pod_defaults import pod_template_defaults
from .pod_warnings import template_warnings

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
NO_STATUS = {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}


def defaults(daemonset: Obj) -> Obj:
    return within(daemonset, "spec", _spec_defaults)


def _spec_defaults(spec: Obj) -> Obj:
    spec = within(spec, "template", pod_template_defaults)
    spec = within(spec, "updateStrategy", partial(rolling_update, maxUnavailable=1, maxSurge=0))
    return spec if spec.get("revisionHistoryLimit") is not None else {**spec, "revisionHistoryLimit": 10}


def template_generation(daemonset: Obj) -> int:
    """0 where the annotation is missing or no number."""
    text = (daemonset["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION) or ""
    return int(text) if text.isascii() and text.isdigit() else 0


def prepare_create(daemonset: Obj) -> Obj:
    return {**_with_generation(daemonset, max(template_generation(daemonset), 1)), "status": NO_STATUS}


def prepare_update(new: Obj, old: Obj) -> Obj:
    generation = max(template_generation(old), 1)
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is not before and after.get("template") != before.get("template"):
        generation += 1
    return {**_with_generation(new, generation), "status": old.get("status") or NO_STATUS}


def _with_generation(daemonset: Obj, generation: int) -> Obj:
    annotations = daemonset["metadata"].get("annotations") or {}
    if annotations.get(TEMPLATE_GENERATION) == str(generation):
        return daemonset
    return with_(daemonset, ("metadata", "annotations", TEMPLATE_GENERATION), str(generation))


def _number(field: str) -> Callable[[Obj, float], int]:
    return lambda daemonset, now: (daemonset.get("status") or {}).get(field) or 0


def _node_selector(daemonset: Obj, now: float) -> str:
    pod = ((daemonset.get("spec") or {}).get("template") or {}).get("spec") or {}
    return workload_columns.labels_text(pod.get("nodeSelector"))


DAEMONSET = Kind(
    group="apps", version="v1", name="DaemonSet", plural="daemonsets", singular="daemonset", namespaced=True,
    definition="io.k8s.api.apps.v1.DaemonSet",
    short_names=("ds",),
    categories=("all",),
    subresources=(STATUS,),
    columns=(
        NAME,
        Column("Desired", _number("desiredNumberScheduled"), "integer",
               description="Nodes that should run the daemon."),
        Column("Current", _number("currentNumberScheduled"), "integer",
               description="Nodes that run at least one daemon pod and should."),
        Column("Ready", _number("numberReady"), "integer",
               description="Nodes that should run the daemon and have one that is ready."),
        Column("Up-to-date", _number("updatedNumberScheduled"), "integer",
               description="Nodes whose daemon pod comes from the template as it is now."),
        Column("Available", _number("numberAvailable"), "integer",
               description="Nodes whose daemon pod has been ready for minReadySeconds."),
        Column("Node Selector", _node_selector, description="The labels a node must carry."),
        AGE,
        *workload_columns.of_template("spec.template.spec"),
        workload_columns.SELECTOR,
    ),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate_daemonset,
    validate_update=validate_daemonset_update,
    validate_status_update=validate_daemonset_status_update,
    warnings=template_warnings,
)
