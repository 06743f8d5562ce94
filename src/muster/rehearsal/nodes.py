"""The nodes that `--nodes` and `--pool` describe, as they stand once they have been there for a while.

Nothing is gained from watching five thousand nodes register: they are put together as their pool and their agent
would have left them (the same functions make them), ready and with their leases.
"""
from __future__ import annotations

from collections.abc import Sequence

from ..api.errors import invalid
from ..api.kinds.node_pool import NODE_POOL
from ..api.objects import Obj, at, name_of, to_time, with_
from ..clock import Clock
from ..controllers import node_pool
from ..node import leases, status


def described(pools: Sequence[Obj], clock: Clock, first_index: int = 0) -> list[Obj]:
    """The pools, their nodes and their leases.  Raises Invalid for a pool that can not be."""
    now, index = clock.now(), first_index
    found: list[Obj] = []
    for given in pools:
        pool = NODE_POOL.prepare_create(NODE_POOL.defaults(given))
        if causes := NODE_POOL.validate(pool):
            raise invalid(NODE_POOL.name, NODE_POOL.group, name_of(pool), causes)
        pool = identified(pool, clock, NODE_POOL.resource, generation=1)
        count = at(pool, "spec.replicas", 0)
        pool = with_(pool, "status", {**pool["status"], "replicas": count, "readyReplicas": count, "nodesMade": count})
        found.append(pool)
        for number in range(count):
            node = identified(node_pool.node_of(pool, number, index, now), clock, "nodes")
            found += standing(node, now)
            index += 1
    return found


def standing(node: Obj, now: float) -> list[Obj]:
    """The node, registered and without the taint of one that is not, and its lease."""
    taints = [one for one in at(node, "spec.taints", []) if one["key"] != "node.kubernetes.io/not-ready"]
    spec = {name: value for name, value in node["spec"].items() if name != "taints"}
    ready = {**node, "spec": {**spec, "taints": taints} if taints else spec,
             "status": status.node_status(node, status.internal_ip(node), (), now)}
    return [ready, lease_of(ready, now)]


def lease_of(node: Obj, now: float) -> Obj:
    return leases.lease(node, leases.long_renewal(now))


def identified(obj: Obj, clock: Clock, resource: str, *, generation: int = 0) -> Obj:
    """With the uid and the age that a creation would give it, where it has none."""
    metadata = {"creationTimestamp": to_time(clock.now()), **obj["metadata"]}
    metadata.setdefault("uid", clock.uid(resource))
    if generation:
        metadata.setdefault("generation", generation)
    return {**obj, "metadata": metadata}
