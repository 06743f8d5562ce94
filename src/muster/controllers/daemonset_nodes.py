"""Which nodes a DaemonSet's pods belong on.

    RUN    a pod should run here: one is started where none is
    KEEP   a pod that runs here may stay, none is started: a NoSchedule taint came after it
    LEAVE  none may run here: wrong name or labels, or a NoExecute taint that the pod does not tolerate

The scheduler decides the same for a single pod; this decides for all nodes at once, before there is a pod.
https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#how-daemon-pods-are-scheduled

An answer holds as long as the template, the node's labels and its taints are the same objects: a heartbeat
of 5,000 nodes costs 5,000 comparisons of identity.
"""
from __future__ import annotations

from enum import Enum
from typing import Any

from ..api.objects import Obj, name_of
from ..api.placement import (
    HARD_EFFECTS,
    NO_EXECUTE,
    add_tolerations,
    daemon_tolerations,
    matches_required_affinity,
    untolerated,
)
from ..api.remembered import Remembered

MOST_NODES = 65536  # answers kept for one template


class Fit(Enum):
    LEAVE = 0
    KEEP = 1
    RUN = 2


class Eligibility:
    """One template's answers."""

    def __init__(self, template: Obj):
        self._spec: Obj = template["spec"]
        self.tolerations = tolerations_of(template)
        self._known: dict[str, tuple[Any, Any, Fit]] = {}

    def __call__(self, node: Obj) -> Fit:
        name, labels = name_of(node), node["metadata"].get("labels")
        taints = (node.get("spec") or {}).get("taints")
        known = self._known.get(name)
        if known is not None and known[0] is labels and known[1] is taints:
            return known[2]
        if len(self._known) >= MOST_NODES:
            self._known.clear()
        fit = self._judge(node, taints)
        self._known[name] = (labels, taints, fit)
        return fit

    def _judge(self, node: Obj, taints: list[Obj] | None) -> Fit:
        if (wanted := self._spec.get("nodeName")) and wanted != name_of(node):
            return Fit.LEAVE
        if not matches_required_affinity(self._spec, node):
            return Fit.LEAVE
        if untolerated(self.tolerations, taints, HARD_EFFECTS) is None:
            return Fit.RUN
        return Fit.KEEP if untolerated(self.tolerations, taints, (NO_EXECUTE,)) is None else Fit.LEAVE


def _with_every_daemons(template: Obj) -> list[Obj]:
    spec = template["spec"]
    return add_tolerations(spec.get("tolerations"), daemon_tolerations(bool(spec.get("hostNetwork"))))


# What the template tolerates, and what every daemon does: trouble with its node never evicts it.  One list, which
# all pods of the template share.
tolerations_of: Remembered[list[Obj]] = Remembered(_with_every_daemons, keep=256)
eligibility: Remembered[Eligibility] = Remembered(Eligibility, keep=256)
