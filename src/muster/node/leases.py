"""A node's heartbeat: its Lease in kube-node-lease, renewed every 10 s and good for 40.

A large simulated fleet renews more slowly, so that all of it together writes about a hundred times a second; each
lease says for how long it is good.  Heartbeats that are due within half a second go out together and share one flush
of the store: a flush for each took most of an idle cluster's time.

Where heartbeats are spared (heartbeats.py), a lease holds for ten years.  A node that falls silent leaves the renewal
that it would have made last, had it renewed every ten seconds from a moment of its own, and says how long ago that was;
`next_renewal` is when it would have found that its lease is gone.
https://kubernetes.io/docs/concepts/architecture/leases/#node-heart-beats
"""
from __future__ import annotations

from zlib import crc32

from ..api.kinds.lease import RENEWED_AGO
from ..api.objects import Key, Obj, annotations_of, from_time, name_of, owners_of, to_micro_time, uid_of

RESOURCE, NAMESPACE = "leases.coordination.k8s.io", "kube-node-lease"
SHORTEST_S, RENEWALS_PER_S, GOOD_FOR = 10.0, 100, 4
TOGETHER_S = 0.5
TEN_YEARS_S = 315_360_000


def interval_s(nodes: int) -> float:
    return max(SHORTEST_S, nodes / RENEWALS_PER_S)


def together(when: float) -> float:
    """The moment nearest to `when` at which heartbeats go out."""
    return round(when / TOGETHER_S) * TOGETHER_S


def key(node_name: str) -> Key:
    return Key(RESOURCE, NAMESPACE, node_name)


def renewal(nodes: int, now: float) -> Obj:
    """The patch that renews a lease."""
    return {"spec": {"leaseDurationSeconds": int(GOOD_FOR * interval_s(nodes)), "renewTime": to_micro_time(now)}}


def long_renewal(now: float) -> Obj:
    return {"metadata": {"annotations": {RENEWED_AGO: None}},
            "spec": {"leaseDurationSeconds": TEN_YEARS_S, "renewTime": to_micro_time(now)}}


def holds_long(lease: Obj, node: Obj, now: float) -> bool:
    """Was it renewed so, by this node and not in an earlier life of it, and did it not fall silent since?"""
    spec = lease.get("spec") or {}
    return (spec.get("leaseDurationSeconds") == TEN_YEARS_S and bool(spec.get("renewTime"))
            and from_time(spec["renewTime"]) + TEN_YEARS_S / 2 > now and RENEWED_AGO not in annotations_of(lease)
            and any(owner.get("uid") == uid_of(node) for owner in owners_of(lease)))


def late_renewal(renewed: float, now: float, skew_s: float = 0.0) -> Obj:
    """One that should have been written before, told by the clock of the node, which is ahead of ours by `skew_s`."""
    return {"metadata": {"annotations": {RENEWED_AGO: str(round(now - renewed, 3))}}, **renewal(1, renewed + skew_s)}


def last_renewed(node_uid: str, now: float) -> float:
    """When a node that renews every SHORTEST_S did so last."""
    return now - _since_last(node_uid, now)


def next_renewal(node_uid: str, now: float) -> float:
    return now - _since_last(node_uid, now) + SHORTEST_S


def _since_last(node_uid: str, now: float) -> float:
    """Which moment of every SHORTEST_S is its own, its uid says."""
    moment = crc32(node_uid.encode()) / 2**32 * SHORTEST_S
    return (now - moment) % SHORTEST_S


def lease(node: Obj, renewal: Obj) -> Obj:
    name = name_of(node)
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": name, "namespace": NAMESPACE, "ownerReferences": [_owner(node)]},
            "spec": {"holderIdentity": name, **renewal["spec"]}}


def taken_over(node: Obj, renewal: Obj) -> Obj:
    """The patch that renews the lease of a node's earlier life, which owns it and whose end it would share."""
    return {**renewal, "metadata": {**renewal.get("metadata", {}), "ownerReferences": [_owner(node)]}}


def _owner(node: Obj) -> Obj:
    return {"apiVersion": "v1", "kind": "Node", "name": name_of(node), "uid": uid_of(node)}
