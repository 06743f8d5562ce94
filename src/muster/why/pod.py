"""Why a pod is not running, or since when it is: from its status where somebody has decided, else by deciding again.

    pending_why(pod, node)    in a few words, "" for one that is ready (`muster rehearse` tells these)
    pod_answer(pod, scene)    in full: what was found, and what would help

A pod that has no node is asked about in placing.py; what containers say is read in containers.py.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""
from __future__ import annotations

import re

from ..api.objects import (
    Obj,
    at,
    condition,
    controller_of,
    finalizers_of,
    from_time,
    is_deleting,
    is_true,
    name_of,
    namespace_of,
)
from ..api.placement import NO_EXECUTE, NOT_READY, UNREACHABLE, tolerates_one
from ..api.tables import age, since
from .answer import Answer
from .containers import held_up, trouble_of
from .placing import unplaced
from .scene import Scene

NODE_IS_DOWN = "the node is down"
LONGEST_WHY = 300  # characters
_OWN_NAME = re.compile(r" (?:in )?pod[= ][a-z0-9.-]+_[a-z0-9-]+\([0-9a-f-]+\)")

# ------------------------------------------------------------------ in a few words


def pending_why(pod: Obj, node: Obj | None = None) -> str:
    """Why a pod is not ready; "" for one that is.  `node`: where it is, if it is anywhere."""
    if is_true(pod, "Ready") and not is_deleting(pod):
        return ""
    if node is not None and not is_true(node, "Ready"):
        return NODE_IS_DOWN
    if is_deleting(pod):
        held = finalizers_of(pod)
        return f"it is being deleted, but held by {', '.join(held)}" if held else "it is being deleted"
    status = pod.get("status") or {}
    if status.get("phase") == "Failed":
        return _short(status.get("message") or status.get("reason") or "it failed")
    if not pod["spec"].get("nodeName"):
        said = condition(pod, "PodScheduled") or {}
        return _short(said.get("message") or "it was not scheduled yet")
    if trouble := trouble_of(pod):
        return _short(": ".join(one for one in trouble if one))
    said = condition(pod, "Ready") or {}
    return _short(said.get("message") or "it is not ready")


def _short(text: str) -> str:
    """Without the pod's own name, so that pods alike in why are seen to be."""
    text = _OWN_NAME.sub("", text)
    return text if len(text) <= LONGEST_WHY else text[:LONGEST_WHY - 3] + "..."


# ------------------------------------------------------------------ in full

def pod_answer(pod: Obj, scene: Scene) -> Answer:
    about, now = f"pod {namespace_of(pod)}/{name_of(pod)}", scene.now
    phase, bound = at(pod, "status.phase"), pod["spec"].get("nodeName", "")
    if is_deleting(pod):
        return _ending(about, pod, scene)
    if phase == "Failed":
        return _failed(about, pod)
    if phase == "Succeeded":
        return Answer(about, f"it ran on {bound} and has ended well; it is not started again", state="succeeded")
    if not bound:
        return unplaced(about, pod, scene)
    node = scene.node(bound)
    if node is None:
        return Answer(about, f"it is bound to node {bound}, which is not there", "make another: `kubectl delete pod "
                      f"-n {namespace_of(pod)} {name_of(pod)}`", state="lost")
    if is_true(pod, "Ready") and is_true(node, "Ready"):
        ready = condition(pod, "Ready") or {}
        return Answer(about, f"it runs on {bound}, ready for {since(ready.get('lastTransitionTime'), now)}",
                      state="ready")
    if not is_true(node, "Ready"):
        return _on_a_lost_node(about, pod, node, now)
    found = held_up(pod, now)
    last = scene.last_warning(pod)
    notes = [f"last warning: {last}"] if last and trouble_of(pod) is None else []
    return Answer(about, f"it is on {bound}, but {_short(found.found)}", found.change, notes=notes, state="not ready")


def _ending(about: str, pod: Obj, scene: Scene) -> Answer:
    metadata, now = pod["metadata"], scene.now
    due = from_time(metadata["deletionTimestamp"])
    held = finalizers_of(pod)
    bound = pod["spec"].get("nodeName", "")
    node = scene.node(bound)
    left = f"{age(due - now)} of its grace period are left" if due > now else \
        f"its grace period ended {age(now - due)} ago"
    space, name = namespace_of(pod), name_of(pod)
    if held and (at(pod, "status.phase") in ("Succeeded", "Failed") or not bound or due <= now):
        return Answer(about, f"it is being deleted ({left}), but held by its finalizers {', '.join(held)}",
                      "whoever set them has to take them off; by hand: `kubectl patch pod "
                      f"-n {space} {name} --type merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'`", state="ending")
    if bound and (node is None or not is_true(node, "Ready")):
        lost = "is not there" if node is None else "does not answer"
        return Answer(about, f"it is being deleted ({left}), but its node {bound} {lost}, and only it can say that the "
                      "containers have ended", f"`kubectl delete pod -n {space} {name} --force --grace-period=0`, if "
                      "you know that they have", state="ending")
    return Answer(about, f"it is being deleted: {left}", state="ending")


def _failed(about: str, pod: Obj) -> Answer:
    status = pod.get("status") or {}
    reason, message = status.get("reason") or "", status.get("message") or ""
    if not reason and (trouble := trouble_of(pod)):
        reason, message = trouble
    said = ": ".join(one for one in (reason, message) if one) or "its containers ended badly"
    where = f" on {pod['spec']['nodeName']}" if pod["spec"].get("nodeName") else ""
    owner = controller_of(pod)
    again = "it has no controller, so make it anew" if owner is None else \
        f"whether another comes is up to its {owner['kind']} {owner['name']}"
    return Answer(about, f"it failed{where}: {_short(said)}", f"a failed pod stays as it is; {again}", state="failed")


def _on_a_lost_node(about: str, pod: Obj, node: Obj, now: float) -> Answer:
    ready = condition(node, "Ready") or {}
    name = name_of(node)
    if ready.get("status") == "Unknown":
        found = (f"it is on {name}, whose agent has been silent for {since(ready.get('lastTransitionTime'), now)} "
                 f"(last heard of: {ready.get('lastHeartbeatTime', 'never')})")
    else:
        said = ready.get("message") or ready.get("reason") or "it does not say why"
        found = f"it is on {name}, which is not ready: {said}"
    return Answer(about, found, _evicted_when(pod, node, now), state="not ready")


def _evicted_when(pod: Obj, node: Obj, now: float) -> str:
    """What its tolerations of such nodes mean for it."""
    for taint in at(node, "spec.taints", ()):
        if taint.get("effect") != NO_EXECUTE or taint.get("key") not in (NOT_READY, UNREACHABLE):
            continue
        bearing = [one for one in at(pod, "spec.tolerations", ()) if tolerates_one(one, taint)]
        if not bearing:
            return "it will be evicted at once, and made again elsewhere if it has a controller"
        lengths = [one["tolerationSeconds"] for one in bearing if one.get("tolerationSeconds") is not None]
        if not lengths:
            return "it waits there until the node is back, for it tolerates that without end"
        left = from_time(taint["timeAdded"]) + min(lengths) - now if taint.get("timeAdded") else float(min(lengths))
        return (f"it tolerates that for {min(lengths)} s, and is evicted in {age(max(0.0, left))} "
                "unless the node is back by then")
    return "bring the node back"
