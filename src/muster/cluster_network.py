"""What the pods of real nodes reach by a service's address: composed of server, network and nodes.

    kubernetes.default      10.96.0.1:443       the API server, where it listens on the nodes' bridge
    kube-dns.kube-system    10.96.0.10:53       the name server, on the bridge too, on any free port
    every other service     its cluster IP      by the rules of each node (network/node_proxies.py)

The first two are written as services with EndpointSlices, so that the rules know no special cases; both are corrected
at each start, for ports and bridges change.  Whoever has a kube-dns of their own (one with a selector) keeps it.

On a machine that has joined (joined_machine.py) the server is elsewhere, and each machine answers its own pods'
questions about names: there both services lead to where these are.  Routes lead to the pods on other machines.
"""
from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

from . import bootstrap
from .api.errors import NotFound
from .api.kinds.catalogue import Kinds
from .api.objects import Key, Obj, at
from .client.client import Client
from .client.mirror import Mirror
from .data_directory import Unusable
from .network.backends import Here
from .network.directory import SLICES
from .network.dns_server import DnsServer, serve_dns
from .network.forwarding import PORT, Forwarder
from .network.machine_routes import MachineRoutes
from .network.node_proxies import Hosted, NodeProxies
from .node import network_namespace
from .node.dns_config import parse
from .node.local_nodes import LocalNodes
from .server.certificates import Certificates
from .server.http import Api
from .server.service_addresses import IP_RANGE
from .server.serving import Serving, serve

RESOLV_CONF = Path("/etc/resolv.conf")
KEPT = ("subsets", "endpoints", "ports")  # of what says where the server is
_Door = TypeVar("_Door")


@contextlib.asynccontextmanager
async def cluster_network(nodes: LocalNodes, mirror: Mirror, client: Client, kinds: Kinds, api: Api, front: Serving,
                          issued: Certificates) -> AsyncIterator[None]:
    """Enter it before the mirror runs, once the first objects are there.  Raises Unusable."""
    gateway = nodes.fabric.gateway
    proxies = NodeProxies(mirror, _hosted(nodes), str(IP_RANGE))
    routes = _routes(nodes, mirror, server="")
    async with contextlib.AsyncExitStack() as stack:
        address, listens = reached_at(front.host, gateway)
        if not listens:
            await _open(stack, serve(api, gateway, front.port, issued, nodes.fabric.bridge),
                        f"can not listen on {gateway}:{front.port} for the pods", "--port")
        names = await _open_names(stack, mirror, gateway, await _last_port(client))
        await keep(client, kinds, [*bootstrap.api_endpoints(address, front.port),
                                    *bootstrap.name_server(gateway, names.port)])
        async with _kept(proxies, routes):
            yield


@contextlib.asynccontextmanager
async def joined_network(nodes: LocalNodes, mirror: Mirror, server: str, port: int) -> AsyncIterator[None]:
    """Around the node of a machine that has joined; `server` is the address of the API server.  As above."""
    gateway = nodes.fabric.gateway
    routes = _routes(nodes, mirror, server)
    async with contextlib.AsyncExitStack() as stack:
        names = await _open_names(stack, mirror, gateway, 0)
        proxies = NodeProxies(mirror, _hosted(nodes), str(IP_RANGE), {
            ("default", "kubernetes"): (server, port), ("kube-system", "kube-dns"): (gateway, names.port)})
        async with _kept(proxies, routes):
            yield


@contextlib.asynccontextmanager
async def _kept(proxies: NodeProxies, routes: MachineRoutes) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        work = [group.create_task(proxies.run(), name="rules of services"),
                group.create_task(routes.run(), name="routes to machines")]
        yield
        for task in work:
            task.cancel()


def _routes(nodes: LocalNodes, mirror: Mirror, server: str) -> MachineRoutes:
    own = list(nodes.agents)
    return MachineRoutes(mirror, own, server, partial(network_namespace.lead, nodes.fabric, own))


def reached_at(host: str, gateway: str) -> tuple[str, bool]:
    """Where nodes find a server that listens on `host`, and whether it listens there already."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return gateway, False  # a name, which may mean any address
    if address.is_unspecified:
        return gateway, True
    if address.version == 6 or address.is_loopback:
        return gateway, False
    return host, True


def _forwarder() -> Forwarder | None:
    """To whom this machine turns for names."""
    servers = parse(RESOLV_CONF.read_text()).servers if RESOLV_CONF.exists() else []
    return Forwarder([(server, PORT) for server in servers]) if servers else None


def _hosted(nodes: LocalNodes) -> Iterable[Hosted]:
    fabric, sees = nodes.fabric, network_namespace.sees_bridged()
    for agent in nodes.agents.values():
        here = Here(agent.name, agent.address, fabric.cidr, fabric.pod_cidr(agent.number), sees_bridged=sees)
        yield Hosted(here, partial(network_namespace.load_rules, fabric, agent.name),
                     partial(network_namespace.forget_flows, fabric, agent.name))


async def _open(stack: contextlib.AsyncExitStack, door: contextlib.AbstractAsyncContextManager[_Door], what: str,
                option: str) -> _Door:
    try:
        return await stack.enter_async_context(door)
    except OSError as error:
        raise Unusable(f"{what}: {error.strerror}; choose another one with {option}") from error


async def _open_names(stack: contextlib.AsyncExitStack, mirror: Mirror, gateway: str, last: int) -> DnsServer:
    """Where it was before, if that is free: pods that outlived the last server go on asking there."""
    with contextlib.suppress(OSError):
        return await stack.enter_async_context(serve_dns(mirror, gateway, last, _forwarder()))
    return await _open(stack, serve_dns(mirror, gateway, 0, _forwarder()),
                       f"can not answer DNS on {gateway} for the pods", "--cluster-cidr")


async def _last_port(client: Client) -> int:
    try:
        slice_ = await client.get(Key(SLICES, "kube-system", "kube-dns"))
    except NotFound:
        return 0
    return next((port["port"] for port in slice_.get("ports") or () if port.get("port")), 0)


async def keep(client: Client, kinds: Kinds, objects: Iterable[Obj]) -> None:
    """Makes each, or corrects what it says of ports and endpoints.  A service with a selector is somebody else's."""
    for wanted in objects:
        key = kinds.key_of(wanted)
        try:
            there = await client.get(key)
        except NotFound:
            await client.create(wanted)
            continue
        if wanted["kind"] == "Service":
            if at(there, "spec.selector"):
                return
            continue
        if any(there.get(field) != wanted.get(field) for field in KEPT):
            await client.replace({**there, **{field: wanted[field] for field in KEPT if field in wanted}})
