"""The pods of a DaemonSet: how one is made, which node it is for, and whether it is of today's template.

A new pod differs from its siblings in one thing, the node that its required node affinity names; the
scheduler binds it there.  Everything else is shared with the template: containers, volumes, labels.
https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#how-daemon-pods-are-scheduled
"""
from __future__ import annotations

from collections.abc import Callable

from ..api.objects import Obj, annotations_of, controller_reference, labels_of, name_of, namespace_of
from ..api.placement import pin_to_node, pinned_node
from ..control.revisions import HASH_LABEL
from .daemonset_nodes import tolerations_of

GENERATION_LABEL = "pod-template-generation"
GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"


def template_of(daemonset: Obj) -> Obj:
    return daemonset["spec"]["template"]


def node_of(pod: Obj) -> str | None:
    """The node the pod runs on, or waits for."""
    return pod["spec"].get("nodeName") or pinned_node(pod["spec"])


def template_generation(daemonset: Obj) -> str | None:
    return annotations_of(daemonset).get(GENERATION_ANNOTATION)


def is_current(pod: Obj, hash: str, generation: str | None) -> bool:
    """Is the pod of today's template?

    The hash decides.  The generation counts only for a pod without one: pods that were orphaned and adopted
    by a namesake carry its generation by accident (both begin at 1) and would never be rolled.
    """
    labels = labels_of(pod)
    found = labels.get(HASH_LABEL)
    if found:
        return found == hash
    return generation is not None and labels.get(GENERATION_LABEL) == generation


def pod_maker(daemonset: Obj, hash: str) -> Callable[[str], Obj]:
    """`make("n1")`: a new pod for that node."""
    template = template_of(daemonset)
    described = template.get("metadata") or {}
    labels = {**(described.get("labels") or {}), HASH_LABEL: hash}
    if generation := template_generation(daemonset):
        labels[GENERATION_LABEL] = generation
    metadata: Obj = {
        "generateName": f"{name_of(daemonset)}-",
        "namespace": namespace_of(daemonset),
        "labels": labels,
        "ownerReferences": [controller_reference(daemonset)],
    }
    for field in ("annotations", "finalizers"):
        if described.get(field):
            metadata[field] = described[field]
    spec = {**template["spec"], "tolerations": tolerations_of(template)}

    def make(node: str) -> Obj:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pin_to_node(spec, node)}

    return make
