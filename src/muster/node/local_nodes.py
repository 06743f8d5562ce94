"""The real nodes of this machine: made when a cluster starts, taken over where they were left, and taken away.

    <data>/nodes.json     the cluster's tag, its network and its nodes: what there is to take over or to clean; and
                          which images take the place of others, until that is said anew
    <data>/nodes/<node>   images, volumes and logs of a node                 /run/muster/<tag>/<node>   its sockets

Taking away leaves no process, namespace, bridge, rule, mount or cgroup; images and logs stay in the data directory.
"""
from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..api.errors import ApiError, BadRequest, NotFound
from ..api.logs import LogOptions
from ..api.objects import Key, Obj
from ..client.client import Client
from ..client.mirror import Mirror
from ..clock import Clock
from ..control.plan import Tell
from ..server.bodies import decode
from . import cgroups, network_namespace, node_settings
from .agent import Agent
from .containerd import Containerd, check_host, clean_up
from .network_namespace import Fabric, Unusable
from .node_settings import NodeSettings, read_settings
from .pod_groups import PodGroups

MOST_NODES = 50
STATE = Path("/run/muster")
__all__ = ["LocalNodes", "Unusable", "Wanted", "clean"]


class Wanted(NamedTuple):
    """What `muster up` was asked for."""

    nodes: int | None  # None: as many as there were, or 1
    cidr: str = ""
    archives: Sequence[Path] = ()
    replaced: Sequence[tuple[str, str]] = ()  # images: pattern, and what takes its place; empty: as before
    cluster_dns: str = ""  # whom pods ask for names
    kubelet_config: Path | None = None  # how nodes are kept; None: as the data directory says, if it does


def tag_of(data: Path) -> str:
    return hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:6]


def node_name(number: int) -> str:
    return f"node-{number}"


class LocalNodes:
    def __init__(self, fabric: Fabric, agents: list[Agent], data: Path, dropped: Sequence[str], client: Client):
        self.fabric, self.agents = fabric, {agent.name: agent for agent in agents}
        self._data, self._dropped, self._client = data, dropped, client

    async def run(self) -> None:
        for name in self._dropped:  # there were more nodes before; their pods are left to the pod garbage collector
            with contextlib.suppress(NotFound):
                await self._client.delete(Key("nodes", "", name))
        async with asyncio.TaskGroup() as group:
            for agent in self.agents.values():
                group.create_task(agent.run(), name=agent.name)

    def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
        agent = self.agents.get(pod["spec"].get("nodeName", ""))
        if agent is None:
            raise BadRequest(f"pod {pod['metadata']['name']} is on no node of this machine")
        return agent.access.logs(pod, options)

    async def take_down(self) -> None:
        await asyncio.gather(*(agent.take_down() for agent in self.agents.values()))
        await clean(self._data)


async def prepare(data: Path, wanted: Wanted, client: Client, mirror: Mirror, clock: Clock,
                  tell: Callable[[Tell], None]) -> LocalNodes:
    """Every node's runtime answers.  Raises Unusable, and leaves nothing."""
    await check_host()
    tag = tag_of(data)
    before = _record(data)
    count = wanted.nodes if wanted.nodes is not None else len(before.get("nodes", ())) or 1
    if count > MOST_NODES:
        raise Unusable(f"--nodes {count}: at most {MOST_NODES} real nodes live on one machine")
    fabric = await network_namespace.choose(tag, wanted.cidr, before.get("cidr", ""))
    numbers = {node_name(number): number for number in range(1, count + 1)}
    return await _stand(data, fabric, numbers, wanted, client, mirror, clock, tell)


async def prepare_joined(data: Path, name: str, number: int, wanted: Wanted, client: Client, mirror: Mirror,
                         clock: Clock, tell: Callable[[Tell], None]) -> LocalNodes:
    """This machine's one node of a cluster elsewhere, which says its number and network.  Raises Unusable."""
    fabric = await network_namespace.choose(tag_of(data), wanted.cidr, wanted.cidr)
    return await _stand(data, fabric, {name: number}, wanted, client, mirror, clock, tell)


async def _stand(data: Path, fabric: Fabric, numbers: Mapping[str, int], wanted: Wanted, client: Client, mirror: Mirror,
                 clock: Clock, tell: Callable[[Tell], None]) -> LocalNodes:
    settings = _settings(wanted.kubelet_config or data / "kubelet.yaml", is_asked=wanted.kubelet_config is not None)
    before = _record(data)
    there = before.get("nodes", {})
    if before and (before.get("cidr") != fabric.cidr or not there.items() <= numbers.items()):
        await clean(data)  # what runs now is not what is wanted: the pods start anew
    dropped = sorted(set(there) - set(numbers))
    wanted = wanted._replace(replaced=wanted.replaced or before.get("replaced", ()))
    _write_record(data, fabric, numbers, wanted.replaced)
    try:
        await network_namespace.build_fabric(fabric)
        agents = []
        for name, number in numbers.items():
            await network_namespace.build_node(fabric, name, number, numbers.values())
            agents.append(_agent(data, fabric, name, number, wanted, settings, client, mirror, clock,
                                 tell))
        await asyncio.gather(*(agent.prepare(wanted.archives) for agent in agents))
    except network_namespace.CommandFailed as error:
        await clean(data)
        raise Unusable(f"the network of the nodes can not be made: {error}") from None
    except Unusable:
        await clean(data)
        raise
    return LocalNodes(fabric, agents, data, dropped, client)


def _settings(file: Path, *, is_asked: bool) -> NodeSettings:
    """Raises Unusable."""
    try:
        told, _ = decode(file.read_bytes(), "yaml")
        return read_settings(told)
    except FileNotFoundError:
        if not is_asked:
            return node_settings.USUAL
        raise Unusable(f"--kubelet-config {file}: no such file") from None
    except (OSError, ApiError, ValueError) as error:
        raise Unusable(f"{file}: {error}") from None


def _agent(data: Path, fabric: Fabric, name: str, number: int, wanted: Wanted, settings: NodeSettings, client: Client,
           mirror: Mirror, clock: Clock, tell: Callable[[Tell], None]) -> Agent:
    folder, state = data / "nodes" / name, STATE / fabric.tag / name
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    mirrors = data / "registries"
    groups = PodGroups(cgroups.here(), fabric.tag, name, settings.pod_processes)
    containerd = Containerd(name, fabric.namespace_path(name), fabric.node_address(number), fabric.pod_cidr(number),
                            folder, state, mirrors if mirrors.is_dir() else None, adopt=groups.adopt)
    return Agent(name, number, fabric, containerd, groups, client, mirror, clock, tell, folder=folder,
                 settings=settings, replaced=wanted.replaced, cluster_dns=wanted.cluster_dns)


async def clean(data: Path) -> bool:
    """Takes away what a cluster's real nodes left on this machine.  Was there anything to look for?"""
    before = _record(data)
    if not before:
        return False
    fabric = Fabric(before["tag"], before["cidr"])
    folders = [data / "nodes" / name for name in before["nodes"]]
    await clean_up(fabric.tag, STATE / fabric.tag, folders)
    for name, number in before["nodes"].items():
        await network_namespace.remove_node(fabric, name, number)
        shutil.rmtree(data / "nodes" / name / "cni" / "addresses", ignore_errors=True)
    await network_namespace.remove_fabric(fabric)
    with contextlib.suppress(OSError):
        STATE.rmdir()
    return True


def is_left(data: Path) -> bool:
    """Do nodes of a cluster that is not running any more still stand?"""
    before = _record(data)
    return bool(before) and (bool(network_namespace.left_behind(before["tag"]))
                             or (STATE / before["tag"]).exists())


def _record(data: Path) -> Obj:
    try:
        said = json.loads((data / "nodes.json").read_text())
        nodes = said["nodes"] if isinstance(said["nodes"], dict) else {  # as older versions wrote it
            name: number for number, name in enumerate(said["nodes"], 1)}
        return {"tag": str(said["tag"]), "cidr": str(said["cidr"]),
                "nodes": {str(name): int(number) for name, number in nodes.items()},
                "replaced": [(str(pattern), str(image)) for pattern, image in said.get("replaced", ())]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_record(data: Path, fabric: Fabric, nodes: Mapping[str, int], replaced: Sequence[tuple[str, str]]) -> None:
    fresh = data / "nodes.json.new"
    fresh.write_text(json.dumps({"tag": fabric.tag, "cidr": fabric.cidr, "nodes": dict(nodes),
                                 "replaced": list(replaced)}))
    os.replace(fresh, data / "nodes.json")
