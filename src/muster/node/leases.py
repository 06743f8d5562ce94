"""A node's heartbeat: its Lease in kube-node-lease, renewed every 10 s and good for 40.

A large simulated fleet renews more slowly, so that all of it together writes about a hundred times a second; each
lease says for how long it is good.  Heartbeats that are due within half a second go out together and share one flush
of the store: a flush for each took most of an idle cluster's time.
https://kubernetes.io/docs/concepts/architecture/leases/#node-heart-beats
"""
from __future__ import annotations

from ..api.objects import Key, Obj, name_of, to_micro_time, uid_of

NAMESPACE = "kube-node-lease"
SHORTEST_S, RENEWALS_PER_S, GOOD_FOR = 10.0, 100, 4
TOGETHER_S = 0.5


def interval_s(nodes: int) -> float:
    return max(SHORTEST_S, nodes / RENEWALS_PER_S)


def together(when: float) -> float:
    """The moment nearest to `when` at which heartbeats go out."""
    return round(when / TOGETHER_S) * TOGETHER_S


def key(node_name: str) -> Key:
    return Key("leases.coordination.k8s.io", NAMESPACE, node_name)


def renewal(nodes: int, now: float) -> Obj:
    """The patch that renews a lease."""
    return {"spec": {"leaseDurationSeconds": int(GOOD_FOR * interval_s(nodes)), "renewTime": to_micro_time(now)}}


def lease(node: Obj, nodes: int, now: float) -> Obj:
    name = name_of(node)
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid_of(node)}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": name, "namespace": NAMESPACE, "ownerReferences": [owner]},
            "spec": {"holderIdentity": name, **renewal(nodes, now)["spec"]}}
