"""RuntimeClasses: which container runtime a pod is run with, where a node has several.

https://kubernetes.io/docs/concepts/containers/runtime-class/
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, duplicate, required
from ..defaults import inside
from ..go_text import syntax_of_toleration
from ..objects import Obj, at
from ..tables import AGE, NAME
from ..validation.metadata import complain, immutable, validate_labels, validate_metadata, validate_metadata_update
from ..validation.pod_placement import validate_tolerations
from ..validation.pod_resources import validate_resources
from .kind import Column, Kind
from .pod_defaults import canonical_amounts
from .pod_warnings import RENAMED_LABELS


def defaults(found: Obj) -> Obj:
    return inside(found, "overhead", lambda overhead: inside(overhead, "podFixed", canonical_amounts))


def validate(found: Obj) -> list[Cause]:
    wrong = validate_metadata(found, namespaced=False)
    handler = found.get("handler") or ""
    wrong += complain("handler", handler, names.is_dns_label(handler)) if handler else [required("handler")]
    if fixed := at(found, "overhead.podFixed"):
        validate_resources({"limits": fixed}, "overhead.podFixed", (), wrong)
    if selector := at(found, "scheduling.nodeSelector"):
        validate_labels(selector, "scheduling.nodeSelector", wrong)
    tolerations = at(found, "scheduling.tolerations", [])
    validate_tolerations(tolerations, "scheduling.tolerations", wrong)
    wrong += [duplicate(f"scheduling.tolerations[{index}]", syntax_of_toleration(one))
              for index, one in enumerate(tolerations) if one in tolerations[:index]]
    return wrong


def validate_update(new: Obj, old: Obj) -> list[Cause]:
    return validate_metadata_update(new, old) + immutable(new.get("handler"), old.get("handler"), "handler")


def warnings(new: Obj, old: Obj | None) -> list[str]:
    return [f"scheduling.nodeSelector: {RENAMED_LABELS[key]}"
            for key in at(new, "scheduling.nodeSelector", ()) if key in RENAMED_LABELS]


RUNTIME_CLASS = Kind(
    group="node.k8s.io", version="v1", name="RuntimeClass", plural="runtimeclasses", singular="runtimeclass",
    namespaced=False,
    definition="io.k8s.api.node.v1.RuntimeClass",
    columns=(
        NAME,
        Column("Handler", lambda found, now: found.get("handler") or "",
               description="The name nodes know the runtime by."),
        AGE,
    ),
    generation_fields=("handler", "overhead", "scheduling"),
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
)
