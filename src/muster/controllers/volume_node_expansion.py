"""The node's part in making a volume larger: its file system, once a pod that uses it is on a node.

Nodes do this themselves in other clusters; here one decision speaks for all of them, since there is nothing to be done
on the node.
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#resizing-an-in-use-persistentvolumeclaim
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..api.objects import Key, Obj, at, is_true, name_of
from ..client.listeners import Changes
from ..client.mirror import Mirror
from ..control.plan import Plan, Tell
from ..control.runtime import Controller
from ..store.history import Change
from .volume_binding import claims_of
from .volume_expansion import ACCOUNT, CLAIMS, NODE_PENDING, VOLUMES, bound_volume, resized, stage_of


@dataclass(frozen=True, slots=True)
class Observed:
    claim: Obj
    volume: Obj
    pod: Obj  # that uses it, on a node that is there


def wakes(change: Change, mirror: Mirror) -> Iterable[Key]:
    """Claims that wait for a node, and those of them that a pod on a node uses."""
    if change.key.resource == CLAIMS:
        return (change.key,) if change.value is not None and stage_of(change.value) == NODE_PENDING else ()
    pod = change.value
    if pod is None or not _is_on_node(pod):
        return ()
    return [key for key in claims_of(pod) if stage_of(mirror.get(key) or {}) == NODE_PENDING]


def observe(mirror: Mirror, key: Key) -> Observed | None:
    claim = mirror.get(key)
    volume = bound_volume(mirror, claim)
    if claim is None or volume is None or stage_of(claim) != NODE_PENDING:
        return None
    users = [pod for pod in mirror.in_namespace("pods", key.namespace).values() if _is_on_node(pod)
             and key in claims_of(pod) and _is_there(mirror, pod["spec"]["nodeName"])]
    return Observed(claim, volume, min(users, key=name_of)) if users else None


def plan(seen: Observed, now: float) -> Plan:
    claim, pod = seen.claim, seen.pod
    node = pod["spec"]["nodeName"]
    said = f'MountVolume.NodeExpandVolume succeeded for volume "{name_of(seen.volume)}" {node}'
    return Plan([resized(claim, "", capacity=at(seen.volume, "spec.capacity", {})),
                 *(Tell(about, "Normal", "FileSystemResizeSuccessful", said, host=node) for about in (pod, claim))])


def _is_there(mirror: Mirror, node: str) -> bool:
    return is_true(mirror.get(Key("nodes", "", node)) or {}, "Ready")


def _is_on_node(pod: Obj) -> bool:
    """Its node has taken it, and it is not over."""
    status = pod.get("status") or {}
    return bool(status.get("startTime")) and status.get("phase") not in ("Succeeded", "Failed")


controller = Controller("kubelet", (
    CLAIMS, *(Changes(resource, concerning=CLAIMS) for resource in (VOLUMES, "pods", "nodes"))),
    wakes, observe, plan, account=ACCOUNT)
