"""Takes back that a pod is about to be taken away, where nobody took it away after all.

Whoever evicts a pod writes the condition DisruptionTarget first and deletes it then.  Where the deletion never came
(the writer was stopped in between), a pod that lives on would be counted as disrupted for ever: after two minutes
the condition becomes False.  What a kubelet wrote stays, since it takes its time; so does what an ended pod says.
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
"""
from __future__ import annotations

from collections.abc import Iterable

from ..api.objects import Key, Obj, at, condition, from_time, is_deleting, to_time, uid_of
from ..client.mirror import Mirror
from ..control.disruptions import DISRUPTION_TARGET
from ..control.plan import Patch, Plan
from ..control.runtime import Controller
from ..store.history import Change

STALE_AFTER_S = 120.0
BY_KUBELET = "TerminationByKubelet"


def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    if change.value is not None and is_marked(change.value):
        yield change.key


def observe(mirror: Mirror, key: Key) -> Obj | None:
    pod = mirror.get(key)
    return pod if pod is not None and is_marked(pod) else None


def is_marked(pod: Obj) -> bool:
    """Is it said to be taken away soon, by somebody who should have done so by now?"""
    said = condition(pod, DISRUPTION_TARGET)
    return (said is not None and said.get("status") == "True" and said.get("reason") != BY_KUBELET
            and not is_deleting(pod) and at(pod, "status.phase") not in ("Succeeded", "Failed"))


def plan(pod: Obj, now: float) -> Plan:
    since = (condition(pod, DISRUPTION_TARGET) or {}).get("lastTransitionTime")
    stale_at = from_time(since) + STALE_AFTER_S if since else now
    if stale_at > now:
        return Plan(wake_at=stale_at)
    metadata = pod["metadata"]
    back = {"type": DISRUPTION_TARGET, "status": "False", "reason": None, "message": None,
            "lastTransitionTime": to_time(now)}
    return Plan([Patch(Key("pods", metadata["namespace"], metadata["name"]), uid_of(pod), {
        "metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": {"conditions": [back]}},
        how="strategic", subresource="status")])


controller = Controller("stale-disruption-controller", ("pods",), wakes, observe, plan,
                        account="disruption-controller")
