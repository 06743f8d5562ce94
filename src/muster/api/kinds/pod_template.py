"""PodTemplates: a pod to be made, kept as an object of its own.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-template-v1/
"""
from __future__ import annotations

from ..causes import Cause
from ..defaults import inside
from ..objects import Obj, at
from ..tables import AGE, NAME
from ..validation.metadata import validate_metadata, validate_metadata_update
from ..validation.pod import validate_pod_template
from . import workload_columns
from .kind import Column, Kind
from .pod_defaults import pod_template_defaults


def defaults(obj: Obj) -> Obj:
    return inside(obj, "template", pod_template_defaults)


def validate(obj: Obj) -> list[Cause]:
    wrong = validate_metadata(obj, namespaced=True)
    validate_pod_template(obj.get("template") or {}, "template", wrong)
    return wrong


POD_TEMPLATE = Kind(
    group="", version="v1", name="PodTemplate", plural="podtemplates", singular="podtemplate", namespaced=True,
    definition="io.k8s.api.core.v1.PodTemplate",
    columns=(
        NAME,
        Column("Containers", workload_columns.containers("template.spec"), description="Names of its containers."),
        Column("Images", workload_columns.images("template.spec"), description="Images of its containers."),
        Column("Pod Labels", lambda obj, now: workload_columns.labels_text(at(obj, "template.metadata.labels")),
               description="Labels its pods get."),
        AGE,
    ),
    generation_fields=("template",),
    defaults=defaults,
    validate=validate,
    validate_update=validate_metadata_update,
)
