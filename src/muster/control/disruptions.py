"""What stands on a pod that is about to be taken away, so that its owner can tell it from one that failed.

The condition DisruptionTarget is written before the deletion (`Delete.first`): a pod that ends at once would
otherwise be gone before anybody could read why.  Jobs count such pods apart (`podFailurePolicy`).
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
"""
from __future__ import annotations

from ..api.objects import Key, Obj, to_time
from .plan import Patch

DISRUPTION_TARGET = "DisruptionTarget"


def disrupted(pod: Key, uid: str, reason: str, message: str, now: float, **status: str) -> Patch:
    """Says on the pod why it ends; `status` holds what else changes there ("phase")."""
    condition: Obj = {"type": DISRUPTION_TARGET, "status": "True", "reason": reason, "message": message,
                      "lastTransitionTime": to_time(now)}
    return Patch(pod, uid, {"status": {**status, "conditions": [condition]}}, how="strategic", subresource="status")
