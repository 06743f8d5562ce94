"""How a real node makes itself known: its Node, with what its machine is and what of it pods may have.

https://kubernetes.io/docs/concepts/architecture/nodes/#self-registration-of-nodes
"""
from __future__ import annotations

from pathlib import Path

from ..api.errors import AlreadyExists
from ..api.objects import Key, Obj, at, name_of, uid_of
from ..client.client import Client
from ..client.mirror import Mirror
from . import host_facts
from .node_settings import NodeSettings

LABEL = "muster.dev/runtime"


def node(name: str, address: str, pod_cidr: str, folder: Path, settings: NodeSettings, runtime_version: str) -> Obj:
    labels = {"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
              "kubernetes.io/os": "linux", "kubernetes.io/hostname": name, LABEL: "containers"}
    capacity = host_facts.capacity(folder, settings.most_pods)
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr],
                 "taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "capacity": capacity, "allocatable": settings.allocatable(capacity),
            "nodeInfo": host_facts.node_info(runtime_version),
        },
    }


async def register(client: Client, mirror: Mirror, node: Obj) -> None:
    """Makes it, or takes over the one that is there.  One with other addresses for pods is made anew."""
    key = Key("nodes", "", name_of(node))
    there = mirror.get(key)
    if there is not None and at(there, "spec.podCIDR") != node["spec"]["podCIDR"]:
        await client.delete(key, uid=uid_of(there))
        there = None
    if there is None:
        try:
            there = await client.create(node)
        except AlreadyExists:
            there = await client.get(key)
    status = {**(there.get("status") or {}), **node["status"]}
    written = await client.set_status(key, uid_of(there), status)
    await mirror.caught_up({"nodes": int(written["metadata"]["resourceVersion"])})
