"""Why something did not happen: in the words of whoever decided it.

The scheduler's verdict stands in the pod's PodScheduled condition, the kubelet's in its status; where a DaemonSet
made no pod at all, placement is asked once more (api/placement.py: the same rules that decided).
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..api.objects import Obj, at, condition, is_deleting, is_true, name_of, with_
from ..api.placement import HARD_EFFECTS, NOT_READY, UNREACHABLE, matches_required_affinity, untolerated
from ..controllers.daemonset_nodes import tolerations_of
from .outcome import WithoutDaemon
from .timeline import trouble_of
from .workloads import DAEMONSETS, DEPLOYMENTS, Standing

NODE_IS_DOWN = "the node is down"
LONGEST_WHY = 300  # characters
_OWN_NAME = re.compile(r" (?:in )?pod[= ][a-z0-9.-]+_[a-z0-9-]+\([0-9a-f-]+\)")


def pending_why(pod: Obj, node: Obj | None = None) -> str:
    """Why a pod is not ready; "" for one that is.  `node`: where it is, if it is anywhere."""
    if is_true(pod, "Ready") and not is_deleting(pod):
        return ""
    if node is not None and not is_true(node, "Ready"):
        return NODE_IS_DOWN
    if is_deleting(pod):
        held = pod["metadata"].get("finalizers")
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


def refused_by(template: Obj, node: Obj) -> str:
    """Why a DaemonSet makes no pod for the node; "" where it does."""
    spec = template["spec"]
    if (wanted := spec.get("nodeName")) and wanted != name_of(node):
        return "node(s) didn't match the requested node name"
    if not matches_required_affinity(spec, node):
        return "node(s) didn't match Pod's node affinity/selector"
    taint = untolerated(tolerations_of(template), at(node, "spec.taints"), HARD_EFFECTS)
    if taint is not None:
        return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    return ""


def without_daemon(name: str, daemonset: Obj, nodes: Mapping[str, Obj],
                   pods_on: Mapping[str, Sequence[Obj]]) -> list[WithoutDaemon]:
    """The nodes that have no daemon that is ready, those alike in why together."""
    found: dict[tuple[bool, str], list[str]] = {}
    for node_name in sorted(nodes):
        node, pods = nodes[node_name], pods_on.get(node_name) or ()
        if any(is_true(pod, "Ready") and not is_deleting(pod) for pod in pods):
            continue
        why = refused_by(daemonset["spec"]["template"], node)
        if is_down := not is_true(node, "Ready"):
            why = refused_by(daemonset["spec"]["template"], with_(node, "spec.taints", _own_taints(node)))
        wanted = not why
        if is_down:
            why = why or NODE_IS_DOWN
        elif wanted:
            why = next((pending_why(pod) for pod in pods), "no pod was made for it")
        found.setdefault((wanted, why), []).append(node_name)
    return [WithoutDaemon(name, why, there, wanted) for (wanted, why), there in found.items()]


def _own_taints(node: Obj) -> list[Obj]:
    """Without those that say that it is down."""
    return [one for one in at(node, "spec.taints", []) if one["key"] not in (NOT_READY, UNREACHABLE)]


def stuck_why(resource: str, obj: Obj, standing: Standing, pods: Iterable[Obj], nodes: Mapping[str, Obj]) -> str:
    """Why a rollout is not complete, as far as can be told from what is there."""
    if standing.waits_for:
        return standing.waits_for
    reasons: dict[str, list[str]] = {}
    for pod in sorted(pods, key=name_of):
        if why := pending_why(pod, nodes.get(pod["spec"].get("nodeName", ""))):
            reasons.setdefault(why, []).append(name_of(pod))
    if reasons:
        why, names = max(reasons.items(), key=lambda item: len(item[1]))
        others = sum(map(len, reasons.values())) - len(names)
        more = f" ({len(names)} pods)" if len(names) > 1 else ""
        rest = f"; {others} more for other reasons" if others else ""
        return f"{names[0]}{more}: {why}{rest}{_limit(resource, obj) if standing.updated < standing.wanted else ''}"
    for type_ in ("ReplicaFailure", "Progressing"):
        said = condition(obj, type_)
        if said is not None and (said["status"] == "True") == (type_ == "ReplicaFailure"):
            return said.get("message") or said.get("reason") or type_
    missing = standing.wanted - standing.available
    return f"{missing} of {standing.wanted} pods are missing" if missing > 0 else "its controller has not finished it"


def _limit(resource: str, obj: Obj) -> str:
    field = "updateStrategy" if resource == DAEMONSETS else "strategy"
    rolling = at(obj, f"spec.{field}.rollingUpdate", {})
    if resource not in (DAEMONSETS, DEPLOYMENTS) or rolling.get("maxUnavailable") is None:
        return ""
    return f"; with maxUnavailable {rolling['maxUnavailable']} nothing else may go down for it"
