"""A machine that has joined a cluster elsewhere: its one node, until it is told to stop.

    join        a token becomes a certificate (client/joining.py), which is kept (node/membership.py) and renewed
    register    the node says on which machine it is; the cluster gives it a network for its pods
    serve       the same agent as for real nodes on the server's machine, over HTTP; services, names and routes;
                and lines by which the server reaches the pods here

A stop takes everything away that was made on this machine, but keeps the membership: the next start goes on with it.
A kill leaves the pods running; the next start takes them over.
"""
from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from . import bootstrap
from .api.errors import AlreadyExists, ApiError, BadRequest, Forbidden, Timeout, Unavailable
from .api.kinds.node import MACHINE, RUNTIME
from .api.logs import LogOptions
from .api.names import is_dns_subdomain
from .api.objects import Key, Obj, annotations_of, at, labels_of
from .client import joining
from .client.client import Client
from .client.dialed import dial
from .client.kubeconfig import Kubeconfig
from .client.mirror import Mirror
from .client.remote import RemoteClient
from .clock import Clock
from .control.events import Recorder
from .data_directory import DataDirectory, Unusable
from .node import membership
from .node.agent import Agent
from .node.far_readings import told
from .node.line import Line
from .node.local_nodes import LocalNodes
from .node.membership import Membership
from .node.node_client import NodeClient
from .own_addresses import is_loopback, outward
from .server.certificates import authority_hash
from .server.node_rights import LINE
from .server.pipe import Duplex
from .server.processes import Closing, Session
from .server.processes import Wanted as WantedProcess

log = logging.getLogger(__name__)

RESOURCES = ("pods", "nodes", "namespaces", "services", "endpointslices.discovery.k8s.io", "configmaps", "secrets",
             "persistentvolumeclaims", "persistentvolumes")
NETWORK_WITHIN_S, ASK_AGAIN_S = 30.0, 0.2
SERVER_AGAIN_S, RENEW_AGAIN_S = 2.0, 60.0
EVENTS_BACKLOG = 5_000


@dataclass(frozen=True)
class Request:
    """What `muster node join` was asked for."""

    data: DataDirectory
    server: str = ""  # "" and no token: as before
    token: str = ""
    ca_hash: str = ""
    name: str = ""  # "": the machine's
    images: tuple[Path, ...] = ()
    image_map: tuple[tuple[str, str], ...] = ()
    kubelet_config: Path | None = None


def serve(request: Request, ready: Callable[[str], None]) -> None:
    """Is a node until SIGTERM or SIGINT; calls `ready(what to say)` once pods can run."""
    import uvloop
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(request, ready))


async def _serve(request: Request, ready: Callable[[str], None]) -> None:
    from .process import stop_on_signal
    clock, stopping = Clock(), stop_on_signal()
    member = await become_member(request, clock)
    remote = RemoteClient(member.config)
    try:
        stopped = await _until(stopping, _stand(request, member, remote, clock))
        if stopped is not None:
            await _work(request, _Standing(member, remote, *stopped), clock, stopping, ready)
    finally:
        await remote.close()


async def _until(stopping: asyncio.Event, work: Awaitable[tuple[str, str]]) -> tuple[str, str] | None:
    """None where it was told to stop before."""
    doing, over = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    await asyncio.wait((doing, over), return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    if not doing.done():
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)
        return None
    return doing.result()


# ---------------------------------------------------------------------- becoming a member


async def become_member(request: Request, clock: Clock) -> Membership:
    """As whom this machine takes part: as before, or anew with the token.  Raises an ApiError with what to do."""
    there = membership.load(request.data.path)
    if there is not None and _is_meant(there, request):
        if not there.is_over(clock.now()):
            return there
        if not request.token:
            raise Unusable(f"the certificate of node {there.node} has ended; join again with a token of "
                           "`muster node token` on the server's machine")
    elif there is not None and not request.token:
        raise Unusable(f"this machine is node {there.node} of {there.config.server}; to join another cluster, leave "
                       "that one first with `muster node leave`")
    if not (request.server and request.token and request.ca_hash):
        raise BadRequest("--server, --token and --ca-hash are needed to join: `muster node token` on the server's "
                         "machine prints the whole command")
    check_server(request.server)
    name = request.name or (there.node if there is not None else own_name())
    if wrong := is_dns_subdomain(name):
        raise BadRequest(f"--name {name}: {wrong[0]}")
    server = request.server.rstrip("/")
    ca = await joining.trusted_ca(server, request.ca_hash)
    made = Membership(name, await joining.joined(server, ca, request.token, name))
    membership.keep(request.data.path, made)
    return made


def _is_meant(there: Membership, request: Request) -> bool:
    """Is it the cluster, and the name, that this machine already has?"""
    return (request.server.rstrip("/") in ("", there.config.server) and request.name in ("", there.node)
            and request.ca_hash in ("", authority_hash(there.config.ca)))


def check_server(server: str) -> None:
    parts = urlsplit(server)
    if parts.scheme != "https" or not parts.hostname:
        raise BadRequest(f"--server {server}: an address like https://192.0.2.7:6443 is expected")
    if is_loopback(parts.hostname):
        raise BadRequest(f"--server {server}: pods can not reach a server there; start it with `muster up --host "
                         "ADDRESS`, an address of its machine, and make the command anew with `muster node token`")


def own_name() -> str:
    return socket.gethostname().lower()


# ---------------------------------------------------------------------- taking its place


@dataclass(frozen=True)
class _Standing:
    member: Membership
    remote: RemoteClient
    server: str  # the address that its name means
    cidr: str  # the node's pods


async def _stand(request: Request, member: Membership, remote: RemoteClient, clock: Clock) -> tuple[str, str]:
    """(the server's address, the network of the node's pods); waits for a server that is not there just now."""
    said = False
    while True:
        try:
            server = await _address_of(member.config)
            return server, await registered(remote, member.node, outward(server))
        except Unavailable as error:
            if not said:
                log.warning("%s; trying again until it is there", error.message.partition("; start it")[0])
            said = True
            await asyncio.sleep(SERVER_AGAIN_S)


async def _address_of(config: Kubeconfig) -> str:
    host = urlsplit(config.server).hostname or ""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET)
    except OSError as error:
        raise Unavailable(f"the server's name {host} can not be resolved: {error}") from None
    return str(found[0][4][0])


async def registered(client: Client, name: str, machine: str) -> str:
    """The node is in the cluster, and has a network.  Raises an ApiError."""
    key = Key("nodes", "", name)
    try:
        node = await client.create(_node(name, machine))
    except AlreadyExists:
        node = await client.get(key)
        if labels_of(node).get(RUNTIME) is None or MACHINE not in annotations_of(node):
            raise Forbidden(f"{name} is the name of a node of the server's own; choose another one with --name") \
                from None
        if annotations_of(node)[MACHINE] != machine:
            node = await client.patch(key, {"metadata": {"annotations": {MACHINE: machine}}})
    try:
        async with asyncio.timeout(NETWORK_WITHIN_S):
            while not (cidr := at(node, "spec.podCIDR")):
                await asyncio.sleep(ASK_AGAIN_S)
                node = await client.get(key)
    except TimeoutError:
        raise Timeout(f"the cluster has no network left for the pods of node {name}; see `kubectl describe node {name}`"
                      ) from None
    return str(cidr)


def _node(name: str, machine: str) -> Obj:
    labels = {"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
              "kubernetes.io/os": "linux", "kubernetes.io/hostname": name, RUNTIME: "containers"}
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": labels, "annotations": {MACHINE: machine}}, "spec": {}}


# ---------------------------------------------------------------------- at work


async def _work(request: Request, here: _Standing, clock: Clock, stopping: asyncio.Event,
                ready: Callable[[str], None]) -> None:
    from .cluster_network import joined_network
    data, name = request.data, here.member.node
    client = NodeClient(here.remote, name)
    mirror = Mirror(client, RESOURCES)
    recorder = Recorder(client, clock, "kubelet", longest_backlog=EVENTS_BACKLOG)
    nodes = await _prepared(request, here, client, mirror, clock, recorder)
    calls = _Calls(nodes.agents[name], mirror)
    renewal = Renewal(here.member, data.path, here.remote, clock)
    line = Line(lambda: dial(renewal.member.config, LINE.format(name), "muster-line"), mirror.get, calls)
    port = urlsplit(here.member.config.server).port or 443
    async with joined_network(nodes, mirror, here.server, port), asyncio.TaskGroup() as group:
        parts = {"mirror": mirror.run(), "client": client.run(), "events": recorder.run(), "node": nodes.run(),
                 "lines": line.run(), "certificate": renewal.run()}
        work = [group.create_task(part, name=part_name) for part_name, part in parts.items()]
        await mirror.synced()
        data.say_running(here.member.config.server, 0)
        ready(f"this machine is node {name} of the cluster at {here.member.config.server}")
        await stopping.wait()
        for task in work:
            task.cancel()
    await nodes.take_down()
    data.say_stopped(0)


async def _prepared(request: Request, here: _Standing, client: Client, mirror: Mirror, clock: Clock,
                    recorder: Recorder) -> LocalNodes:
    from .node import local_nodes
    cidr = ".".join(here.cidr.split(".")[:2]) + ".0.0/16"
    wanted = local_nodes.Wanted(1, cidr, request.images, request.image_map, bootstrap.DNS_IP,
                                request.kubelet_config)
    try:
        return await local_nodes.prepare_joined(request.data.path, here.member.node, int(here.cidr.split(".")[2]),
                                                wanted, client, mirror, clock, recorder)
    except local_nodes.Unusable as error:
        raise Unusable(str(error).replace(f"--cluster-cidr {cidr}: ", f"the cluster's pods live in {cidr}: ").replace(
            "choose another one", "start the server with another --cluster-cidr")) from None


class Renewal:
    """The membership, renewed before it ends."""

    def __init__(self, member: Membership, folder: Path, remote: RemoteClient, clock: Clock):
        self.member, self._folder, self._remote, self._clock = member, folder, remote, clock

    async def run(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self.member.renews_at() - self._clock.now()))
            try:
                config = await joining.renewed(self.member.config, self.member.node)
            except ApiError as error:
                log.warning("the certificate can not be renewed: %s", error)
                await asyncio.sleep(RENEW_AGAIN_S)
                continue
            self.member = Membership(self.member.node, config)
            membership.keep(self._folder, self.member)
            self._remote.present(config)


class _Calls:
    """What the server asks of pods here."""

    def __init__(self, agent: Agent, mirror: Mirror):
        self._agent, self._access, self._mirror = agent, agent.access, mirror

    def reaches(self, pod: Obj) -> bool:
        return True

    def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
        return self._access.logs(pod, options)

    def samples(self) -> Obj:
        name = self._agent.name
        return told(self._agent.readings, self._mirror.on_node(name).values(), self._mirror.get(Key("nodes", "", name)))

    async def run(self, pod: Obj, wanted: WantedProcess) -> Session:
        return await self._access.run_command(pod, wanted)

    async def attach(self, pod: Obj, wanted: WantedProcess) -> Session:
        return await self._access.attach(pod, wanted)

    async def connect(self, pod: Obj, port: int) -> tuple[Duplex, Closing]:
        return await self._access.connect(pod, port)


# ---------------------------------------------------------------------- leaving


async def leave(data: DataDirectory) -> str:
    """Takes the node out of its cluster and forgets it; returns what to say.  Nothing of it runs any more."""
    from .node import local_nodes
    member = membership.load(data.path)
    await local_nodes.clean(data.path)
    (data.path / "nodes.json").unlink(missing_ok=True)
    if member is None:
        return "this machine is no node of any cluster"
    client = RemoteClient(member.config)
    said = f"this machine is no longer node {member.node} of {member.config.server}"
    try:
        with contextlib.suppress(ApiError):
            await client.delete(Key("nodes", "", member.node))
        await client.get(Key("nodes", "", member.node))
    except ApiError as error:
        if error.code != 404:
            said += f"; the server was not told ({error.message}): `kubectl delete node {member.node}`"
    finally:
        await client.close()
    membership.forget(data.path)
    return said


