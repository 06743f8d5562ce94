"""NodePool (muster.dev/v1alpha1): nodes by the dozen or the thousand, made alike from one template.

The number is `spec.replicas`, so `kubectl scale nodepool gpu --replicas=20` resizes a pool.  `behaviour` says
how the simulated machines act: how long a pull, a start, getting ready and a stop take (a duration, or a range
to draw from), and which images no registry has.
"""
from __future__ import annotations

from typing import Any

from .. import names, quantities
from ..amount_ranges import parse_amount_range
from ..causes import Cause, invalid, not_supported
from ..defaults import filled, inside, kept
from ..durations import check_length
from ..objects import Obj, at
from ..tables import AGE, NAME, path_cell
from ..validation.metadata import (
    complain,
    not_negative,
    validate_annotations,
    validate_labels,
    validate_metadata,
    validate_metadata_update,
)
from ..validation.node import validate_taints
from .kind import SCALE, STATUS, Column, Kind

MOST_NODES = 20_000
DEFAULT_REPLICAS = 1
DEFAULT_CAPACITY = {"cpu": "4", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"}
DEFAULT_MACHINE_TYPE = "e2-standard-4"
DEFAULT_ZONES = ["us-central1-c"]
DEFAULT_DISK_SIZE_GB = 100
DEFAULT_VERSION = "v1.32.4"
USED = ("cpu", "memory", "ephemeral-storage")
BEHAVIOURS = ("pull", "start", "ready", "task", "stop")  # what is not said is left to node/behaviour.py
MISSING_IMAGES = ["*non-existent*", "*:404"]
POOL_LABEL = "muster.dev/pool"  # every node of a pool carries it

_DEFINITION = "dev.muster.v1alpha1.NodePool"
_SCHEMA: dict[str, dict[str, str]] = {
    _DEFINITION: {
        "apiVersion": "string -- muster.dev/v1alpha1",
        "kind": "string -- NodePool",
        "metadata": "#io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta -- Standard object's metadata.",
        "spec": f"#{_DEFINITION}Spec -- The nodes that are wanted.",
        "status": f"#{_DEFINITION}Status -- The nodes there are.",
    },
    f"{_DEFINITION}Spec": {
        "replicas": f"int32 -- How many nodes, 0 to {MOST_NODES}. Defaults to {DEFAULT_REPLICAS}.",
        "template": f"#{_DEFINITION}Template -- What each new node is made of.",
        "behaviour": f"#{_DEFINITION}Behaviour -- How the simulated nodes act. Each time is a duration such as "
                     '"500ms", or something to draw from: "1s..3s" or "lognormal(p50=30s,p95=2m)".',
    },
    f"{_DEFINITION}Template": {
        "labels": "{}string -- Labels of each node.",
        "annotations": "{}string -- Annotations of each node.",
        "taints": "[]#io.k8s.api.core.v1.Taint list=atomic -- Taints of each node.",
        "capacity": "{}quantity -- What each node has: cpu, memory, pods, ephemeral-storage and extended resources "
                    "such as nvidia.com/gpu.",
        "machineType": f"string -- What machine a node is. Defaults to {DEFAULT_MACHINE_TYPE}.",
        "zones": "[]string list=atomic -- The zones that the nodes take turns in.",
        "diskSizeGb": f"int32 -- How large its disk is. Defaults to {DEFAULT_DISK_SIZE_GB}.",
        "version": f"string -- The version its agent reports. Defaults to {DEFAULT_VERSION}.",
        "roles": "[]string list=atomic -- Roles that kubectl get nodes shows, such as control-plane.",
    },
    f"{_DEFINITION}Behaviour": {
        "pull": "string -- How long pulling an image takes that the node does not have yet.",
        "start": "string -- How long a container takes to start.",
        "ready": "string -- How long a started container takes to be ready; never for one that never is.",
        "task": "string -- How long init containers and containers of Jobs run before they end with 0, where their "
               "command does not tell; never for ones that do not end.",
        "stop": "string -- How long a container takes to end once it is told to.",
        "usage": "{}string -- What containers use: cpu, memory and ephemeral-storage, each an amount, a share of the "
                 'request such as "50%", or a range of either such as "30%..60%".',
        "missingImages": "[]string list=atomic -- Patterns (with * and ?) of images that no registry has. "
                         f"Defaults to {' and '.join(MISSING_IMAGES)}.",
    },
    f"{_DEFINITION}Status": {
        "replicas": "int32 -- How many nodes there are.",
        "readyReplicas": "int32 -- How many of them are ready.",
        "nodesMade": "int32 -- How many it has made so far: no node gets the name of one that went.",
        "selector": "string -- The label selector that finds its nodes.",
    },
}


def defaults(pool: Obj) -> Obj:
    return inside(filled(pool, spec={}), "spec", _spec_defaults)


def _spec_defaults(spec: Obj) -> Obj:
    spec = filled(spec, replicas=DEFAULT_REPLICAS, template={}, behaviour={})
    spec = inside(spec, "template", _template_defaults)
    return inside(spec, "behaviour", lambda one: filled(one, missingImages=MISSING_IMAGES))


def _template_defaults(template: Obj) -> Obj:
    template = filled(template, capacity={}, machineType=DEFAULT_MACHINE_TYPE, zones=DEFAULT_ZONES,
                      diskSizeGb=DEFAULT_DISK_SIZE_GB, version=DEFAULT_VERSION)
    return inside(template, "capacity", lambda capacity: filled(capacity, **DEFAULT_CAPACITY))


def prepare_create(pool: Obj) -> Obj:
    selector = f"{POOL_LABEL}={pool['metadata'].get('name', '')}"
    return {**pool, "status": {"replicas": 0, "readyReplicas": 0, "nodesMade": 0, "selector": selector}}


def prepare_update(new: Obj, old: Obj) -> Obj:
    return kept(new, old, "status")


def validate(pool: Obj) -> list[Cause]:
    # The name is a label value on every node, and the stem of the nodes' names.
    wrong = validate_metadata(pool, namespaced=False, name=names.is_dns_label)
    replicas = at(pool, "spec.replicas")
    wrong += not_negative(replicas, "spec.replicas")
    if replicas is not None and replicas > MOST_NODES:
        wrong.append(invalid("spec.replicas", replicas, f"must be less than or equal to {MOST_NODES}"))
    return wrong + _template(at(pool, "spec.template", {})) + _behaviour(at(pool, "spec.behaviour", {}))


def _template(template: Obj) -> list[Cause]:
    here = "spec.template"
    wrong: list[Cause] = []
    validate_labels(template.get("labels") or {}, f"{here}.labels", wrong)
    validate_annotations(template.get("annotations") or {}, f"{here}.annotations", wrong)
    wrong += validate_taints(template.get("taints") or (), f"{here}.taints")
    for resource, amount in (template.get("capacity") or {}).items():
        place = f"{here}.capacity[{resource}]"
        wrong += complain(place, resource, names.is_qualified_name(resource))
        wrong += _amount(amount, place)
    for field, check in (("machineType", names.is_label_value), ("version", _version)):
        wrong += complain(f"{here}.{field}", template.get(field), check(template.get(field) or ""))
    for field in ("zones", "roles"):
        for index, value in enumerate(template.get(field) or ()):
            check = names.is_qualified_name if field == "roles" else names.is_label_value
            wrong += complain(f"{here}.{field}[{index}]", value, check(value))
    if template.get("diskSizeGb", 1) <= 0:
        wrong.append(invalid(f"{here}.diskSizeGb", template["diskSizeGb"], "must be greater than 0"))
    return wrong


def _amount(amount: str, place: str) -> list[Cause]:
    try:
        return [invalid(place, amount, "must be greater than or equal to 0")] if quantities.parse(
            amount) < 0 else []
    except ValueError as wrong:
        return [invalid(place, amount, str(wrong))]


def _version(version: str) -> tuple[str, ...]:
    numbers = version.removeprefix("v").split("-")[0].split("+")[0].split(".")
    fine = not version or (version.startswith("v") and len(numbers) == 3 and all(map(str.isdigit, numbers)))
    return () if fine else ('must be a Kubernetes version such as "v1.32.4"',)


def _behaviour(behaviour: Obj) -> list[Cause]:
    wrong: list[Cause] = []
    for field in BEHAVIOURS:
        if (text := behaviour.get(field)) is None:
            continue
        try:
            check_length(text)
        except ValueError as error:
            wrong.append(invalid(f"spec.behaviour.{field}", text, str(error)))
    for resource, amount in (behaviour.get("usage") or {}).items():
        place = f"spec.behaviour.usage[{resource}]"
        if resource not in USED:
            wrong.append(not_supported(place, resource, USED))
            continue
        try:
            parse_amount_range(amount)
        except ValueError as error:
            wrong.append(invalid(place, amount, str(error)))
    return wrong


def _count(path: str) -> Any:
    return path_cell(path, 0)


NODE_POOL = Kind(
    group="muster.dev", version="v1alpha1", name="NodePool", plural="nodepools", singular="nodepool",
    namespaced=False, definition=_DEFINITION, short_names=("np",),
    subresources=(SCALE, STATUS),
    columns=(
        NAME,
        Column("Machine_Type", path_cell("spec.template.machineType"), description="What machines these are."),
        Column("Disk_Size_GB", path_cell("spec.template.diskSizeGb"), type="integer",
               description="How large their disks are."),
        Column("Node_Version", path_cell("spec.template.version"), description="What their agents run."),
        Column("Nodes", _count("spec.replicas"), type="integer", description="How many are wanted."),
        Column("Ready", _count("status.readyReplicas"), type="integer", description="How many are ready."),
        AGE,
    ),
    defaults=defaults, prepare_create=prepare_create, prepare_update=prepare_update,
    validate=validate, validate_update=validate_metadata_update, own_schema=_SCHEMA,
)
