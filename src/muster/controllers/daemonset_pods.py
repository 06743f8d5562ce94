"""The pods of a DaemonSet: how one is made, and what decisions ask of one that is there.

Each pod is read once a look (`daemons_of`): its node, whether it is ready, available, of today's template.

A new pod differs from its siblings in one thing, the node that its required node affinity names; the
scheduler binds it there.  Everything else is shared with the template: containers, volumes, labels.
https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#how-daemon-pods-are-scheduled
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..api.objects import (
    Obj,
    annotations_of,
    condition,
    controller_reference,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
)
from ..api.placement import pin_to_node, pinned_node
from ..control.revisions import HASH_LABEL
from .daemonset_nodes import tolerations_of
from .readiness import NEVER, available_at

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


@dataclass(frozen=True, slots=True)
class Want:
    """What the set asks of its pods today."""

    hash: str
    generation: str | None = None
    min_ready_s: int = 0


@dataclass(frozen=True, slots=True)
class Daemon:
    """One pod of the set, read once."""

    pod: Obj
    name: str
    node: str
    is_bound: bool
    is_going: bool
    phase: str
    is_current: bool  # of today's template
    is_ready: bool
    available_at: float  # when it is, or was first, available; NEVER where it is not ready
    is_available: bool

    @property
    def is_ended(self) -> bool:
        return self.phase in ("Succeeded", "Failed")

    @property
    def age(self) -> tuple[bool, str, str]:
        """Sorts the oldest first, those that are bound before all others."""
        return not self.is_bound, self.pod["metadata"].get("creationTimestamp") or "", self.name


def daemons_of(pods: Iterable[Obj], want: Want, now: float) -> list[Daemon]:
    """The pods that are for some node.  One that ended and is being deleted is nobody's concern any more:
    only its finalizers hold it."""
    found = []
    current: dict[int, bool] = {}  # pods of one template share their labels: each set is judged once
    for pod in pods:
        metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
        bound = spec.get("nodeName")
        node = bound or pinned_node(spec)
        going, phase = metadata.get("deletionTimestamp") is not None, status.get("phase", "")
        if node is None or (going and phase in ("Succeeded", "Failed")):
            continue
        labels = id(metadata.get("labels"))
        is_of_today = current.get(labels)
        if is_of_today is None:
            is_of_today = current[labels] = is_current(pod, want.hash, want.generation)
        when = available_at(pod, want.min_ready_s)
        found.append(Daemon(pod, metadata["name"], node, bool(bound), going, phase, is_of_today, when < NEVER,
                            when, when <= now))
    return found


def says_nothing_new(before: Obj | None, after: Obj | None) -> bool:
    """Is a pod that changed still the same `Daemon` to its set, or still none?  A container that is being created says
    nothing, nor does the scheduler's binding it to the node it is for."""
    was, is_ = before is not None and not is_over(before), after is not None and not is_over(after)
    if before is None or after is None or not (was and is_):
        return not was and not is_
    old, new = before["metadata"], after["metadata"]
    return (old.get("deletionTimestamp") == new.get("deletionTimestamp")
            and old.get("labels") == new.get("labels") and old.get("ownerReferences") == new.get("ownerReferences")
            and node_of(before) == node_of(after)
            and _ended(before) == _ended(after) and _ready_since(before) == _ready_since(after))


def begins_to_go(before: Obj | None, after: Obj | None) -> bool:
    return before is not None and after is not None and is_deleting(after) and not is_deleting(before)


def is_over(pod: Obj) -> bool:
    """It ended and is being deleted: only its finalizers hold it, and it is nobody's concern any more."""
    return is_deleting(pod) and _ended(pod) is not None


def _ready_since(pod: Obj) -> str | None:
    found = condition(pod, "Ready")
    return found.get("lastTransitionTime", "") if found is not None and found.get("status") == "True" else None


def _ended(pod: Obj) -> str | None:
    phase: str | None = (pod.get("status") or {}).get("phase")
    return phase if phase in ("Succeeded", "Failed") else None


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
