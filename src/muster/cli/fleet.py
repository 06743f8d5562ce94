"""`muster nodes` and `muster pool`: the fleet as a cloud's console shows it."""
from __future__ import annotations

import json
from collections.abc import Sequence

from ..api.errors import BadRequest, NotFound
from ..api.objects import Key, Obj, at, is_true, labels_of, name_of
from ..client.client import Client
from ..data_directory import DataDirectory
from .connection import ask
from .listing import columns

POOLS = "nodepools.muster.dev"


def list_nodes(data: DataDirectory, output: str) -> None:
    async def look(client: Client) -> Sequence[Obj]:
        return (await client.list("nodes")).items

    nodes = sorted(ask(data, look), key=name_of)
    _print(output, nodes, ("NAME", "ZONE", "MACHINE_TYPE", "PREEMPTIBLE", "INTERNAL_IP", "EXTERNAL_IP", "STATUS"),
           node_row)


def node_row(node: Obj) -> tuple[str, ...]:
    labels = labels_of(node)
    addresses = {one["type"]: one["address"] for one in at(node, "status.addresses", [])}
    return (name_of(node), labels.get("topology.kubernetes.io/zone", ""),
            labels.get("node.kubernetes.io/instance-type", ""), "", addresses.get("InternalIP", ""),
            addresses.get("ExternalIP", ""), "RUNNING" if is_true(node, "Ready") else "NOT_READY")


def list_pools(data: DataDirectory, output: str) -> None:
    async def look(client: Client) -> Sequence[Obj]:
        return (await client.list(POOLS)).items

    pools = sorted(ask(data, look), key=name_of)
    _print(output, pools, ("NAME", "MACHINE_TYPE", "DISK_SIZE_GB", "NODE_VERSION"), pool_row)


def pool_row(pool: Obj) -> tuple[str, ...]:
    template = at(pool, "spec.template", {})
    return (name_of(pool), template.get("machineType", ""), str(template.get("diskSizeGb", "")),
            template.get("version", ""))


def resize_pool(data: DataDirectory, name: str, count: int) -> None:
    async def resize(client: Client) -> None:
        await client.patch(Key(POOLS, "", name), {"spec": {"replicas": count}})

    try:
        ask(data, resize)
    except NotFound:
        raise NotFound(f"there is no pool {name!r}; see `muster pool list`") from None
    print(f"Pool [{name}] for [muster] will be resized to {count}.")


def _print(output: str, objects: Sequence[Obj], head: tuple[str, ...], row) -> None:  # type: ignore[no-untyped-def]
    if output == "table":
        print(columns(head, [row(obj) for obj in objects]))
    elif output == "json":
        print(json.dumps(list(objects), indent=2))
    elif output == "yaml":
        import yaml
        print(yaml.safe_dump_all(list(objects), sort_keys=False), end="")
    else:
        raise BadRequest(f"-o {output}: use table, json or yaml")
