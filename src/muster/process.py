"""The server's process: a Cluster on disk, behind HTTPS, until it is told to stop.

    muster up -> serve    opens the store, makes the certificates, listens, sets the cluster to work, says so
    SIGTERM, SIGINT       end it in order: what was acknowledged is on disk, and the next start goes on from there

What else was asked for stands beside it: a recording, a DNS server, real nodes.
"""
from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from . import bootstrap, interpreter
from .api.errors import ApiError, Internal, Invalid
from .api.objects import Key, Obj, name_of
from .app import Cluster, running
from .clock import Clock
from .controllers.node_networks import node_networks
from .data_directory import Unusable
from .manifests import check, located, read_manifests
from .node.far_readings import FarReadings
from .own_addresses import is_loopback, names_of
from .request import Request
from .store.memory import MemoryStore
from .store.store import Store

if TYPE_CHECKING:
    from .api.logs import LogOptions
    from .node.local_nodes import LocalNodes
    from .node.pod_access import PodAccess
    from .server.certificates import Certificates
    from .server.http import Api
    from .server.pipe import Duplex
    from .server.processes import Closing, Session
    from .server.processes import Wanted as WantedProcess
    from .server.serving import Serving


log = logging.getLogger(__name__)

DEFAULT_NODES = 3
DEFAULT_CIDR = "10.88.0.0/16"
POOLS = "nodepools.muster.dev"
RECORDED_WITHIN_S = 1.0


def serve(request: Request, ready: Callable[[str, str], None]) -> None:
    """Runs a cluster until SIGTERM or SIGINT; calls `ready(url, kubeconfig path)` once it can be used."""
    import uvloop

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    interpreter.share_fairly()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, \
            ThreadPoolExecutor(max_workers=1, thread_name_prefix="store") as executor:
        try:
            runner.run(_serve(request, ready, executor))
        except Exception as failed:
            failure = failed
            while isinstance(failure, ExceptionGroup):  # of the parts that run together
                failure = failure.exceptions[0]
            if isinstance(failure, ApiError | OSError):
                raise failure from None
            log.error("a part of the cluster failed; nothing that was acknowledged is lost", exc_info=failure)
            raise Internal(f"stopped by a failure inside Muster: {failure!r}") from None


async def _serve(request: Request, ready: Callable[[str, str], None], executor: ThreadPoolExecutor) -> None:
    from .client.kubeconfig import kubeconfig_of_cluster, write_kubeconfig
    from .server import certificates, signing_key
    from .server.health import Health
    from .server.http import Api

    data = request.data
    manifests = [one for file in request.files for one in read_manifests(file)]
    store = await _open_store(request, executor)
    clock = Clock(seed=_seed(request.seed, store))
    try:
        issued = certificates.prepare(data.certificates, clock.now(), names_of(request.host))
        cluster = Cluster(store, clock, ca_certificate=issued.ca.decode(), sign=certificates.signer(data.certificates),
                          signing_key=signing_key.prepare(data.certificates))
        for manifest in manifests:
            check(manifest, cluster.kinds, cluster.schema)
        health = Health(ready={"informer-sync": lambda: None if cluster.is_ready else "the mirror is not filled yet"})
        real = _RealNodes(cluster, request)
        api = Api(cluster.registry, clock, logs=real.logs, processes=real, meter=cluster.meter, health=health,
                  controllers=cluster.tallies)
        stopping = stop_on_signal()
        async with (_recording(store, clock, request), _front_door(api, request, issued) as front,
                    _names(cluster, request) as names, real.prepared()):
            await cluster.create_missing(bootstrap.first_objects(
                request.host, front.port, real_nodes=request.runtime == "containers"))
            await cluster.apply(bootstrap.cluster_info(kubeconfig_of_cluster(front.url, issued.ca)))
            await cluster.create_roles()
            await _set_up_pools(cluster, request)
            write_kubeconfig(data.kubeconfig, front.url, issued.ca, issued.admin, issued.admin_key)
            cluster.take_on(node_networks(real.cidr))
            if not is_loopback(request.host):
                await _serve_names(cluster)
            async with real.network(api, front, issued), running(cluster), real.running():
                for manifest in manifests:
                    try:
                        await cluster.apply(manifest.value)
                    except ApiError as error:
                        raise located(error, manifest) from None
                data.say_running(front.url, front.port, names)
                interpreter.keep_what_is_loaded()
                ready(front.url, str(data.kubeconfig))
                tidying = asyncio.create_task(interpreter.collect_when_idle(time.process_time), name="memory")
                far = asyncio.create_task(FarReadings(api.lines, cluster.meter, clock.now).run(), name="far readings")
                await stopping.wait()
                tidying.cancel()
                far.cancel()
        data.say_stopped(front.port)
    finally:
        await store.close()


class _RealNodes:
    """The nodes that run pods through containerd, where those were asked for (`--runtime containers`)."""

    def __init__(self, cluster: Cluster, request: Request):
        self._cluster, self._request = cluster, request
        self._nodes: LocalNodes | None = None

    @property
    def cidr(self) -> str:
        """Of all nodes and pods, also of those that join from other machines."""
        return self._nodes.fabric.cidr if self._nodes is not None else self._request.cluster_cidr or DEFAULT_CIDR

    def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
        if self._nodes is not None and pod["spec"].get("nodeName") in self._nodes.agents:
            return self._nodes.logs(pod, options)
        return self._cluster.fleet.logs(pod, options)

    def reaches(self, pod: Obj) -> bool:
        return self._nodes is not None and pod["spec"].get("nodeName") in self._nodes.agents

    async def run(self, pod: Obj, wanted: WantedProcess) -> Session:
        return await self._access(pod).run_command(pod, wanted)

    async def attach(self, pod: Obj, wanted: WantedProcess) -> Session:
        return await self._access(pod).attach(pod, wanted)

    async def connect(self, pod: Obj, port: int) -> tuple[Duplex, Closing]:
        return await self._access(pod).connect(pod, port)

    def _access(self, pod: Obj) -> PodAccess:
        assert self._nodes is not None, "asked only for what it reaches"
        return self._nodes.agents[pod["spec"]["nodeName"]].access

    @contextlib.asynccontextmanager
    async def prepared(self) -> AsyncIterator[None]:
        """Their runtimes answer; they are taken down when the server stops, not when it fails."""
        if self._request.runtime != "containers":
            yield
            return
        from .node import local_nodes
        cluster, request = self._cluster, self._request
        wanted = local_nodes.Wanted(request.node_count, request.cluster_cidr, request.images, request.image_map,
                                    bootstrap.DNS_IP, request.kubelet_config)
        try:
            self._nodes = await local_nodes.prepare(request.data.path, wanted, cluster.client("system:node"),
                                                    cluster.mirror, cluster.clock, cluster.tell_as_kubelet)
        except local_nodes.Unusable as error:
            raise Unusable(str(error)) from None
        for agent in self._nodes.agents.values():
            cluster.meter.add(agent.name, agent.readings)
        yield
        await self._nodes.take_down()

    @contextlib.asynccontextmanager
    async def network(self, api: Api, front: Serving, issued: Certificates) -> AsyncIterator[None]:
        """Their pods reach services, names and the server."""
        if self._nodes is None:
            yield
            return
        from .cluster_network import cluster_network
        cluster = self._cluster
        async with cluster_network(self._nodes, cluster.mirror, cluster.client("system:apiserver"), cluster.kinds, api,
                                   front, issued):
            yield

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        if self._nodes is None:
            yield
            return
        async with asyncio.TaskGroup() as group:
            work = group.create_task(self._nodes.run(), name="real nodes")
            yield
            work.cancel()


@contextlib.asynccontextmanager
async def _front_door(api: Api, request: Request, issued: Certificates) -> AsyncIterator[Serving]:
    """Listens where it was told to, else where the last server here did (kubeconfigs stay true), else anywhere."""
    from .server.serving import serve as listen
    ports = [request.port] if request.port else [request.data.last_port(), 0]
    for port in ports:
        try:
            door = listen(api, request.host, port, issued)
            front = await door.__aenter__()
        except OSError as error:
            if port != ports[-1]:
                continue
            raise Unusable(f"can not listen on {request.host}:{port}: {error.strerror}; "
                           "choose another one with --host and --port") from error
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_exit(door)
            yield front
        return


@contextlib.asynccontextmanager
async def _recording(store: Store, clock: Clock, request: Request) -> AsyncIterator[None]:
    """Keeps the whole history in a file where that was asked for; a crash costs it the last second."""
    if request.record is None:
        yield
        return
    from .store.recorded import go_on
    recording = go_on(request.record, store.history, clock.now)
    recording.follow(store.history, seed=request.seed)

    async def write() -> None:
        while True:
            await asyncio.sleep(RECORDED_WITHIN_S)
            recording.flush()

    writing = asyncio.create_task(write(), name="recording")
    try:
        yield
    finally:
        writing.cancel()
        recording.close()


@contextlib.asynccontextmanager
async def _names(cluster: Cluster, request: Request) -> AsyncIterator[str]:
    """Answers questions about names where that was asked for; yields where: "127.0.0.1:5353", or ""."""
    if request.dns_port is None:
        yield ""
        return
    from .network.dns_server import serve_dns
    door = serve_dns(cluster.mirror, request.host, request.dns_port)
    try:
        server = await door.__aenter__()
    except OSError as error:
        raise Unusable(f"can not answer DNS on {request.host}:{request.dns_port}: {error.strerror}; "
                       "choose another one with --dns-port") from error
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_exit(door)
        yield f"{request.host}:{server.port}"


def _seed(seed: int | None, store: Store) -> int | str | None:
    """What to draw from.  A cluster that goes on must not be given the uids and names that it has given out before."""
    revision = store.history.revision
    return f"{seed} from {revision}" if seed is not None and revision else seed


async def _open_store(request: Request, executor: ThreadPoolExecutor) -> Store:
    if request.store == "memory":
        return MemoryStore()
    from .store.sqlite import SqliteStore
    from .store.store import StoreUnusable
    loop = asyncio.get_running_loop()

    def off_loop(function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        return loop.run_in_executor(executor, function, *arguments)

    try:
        return SqliteStore.open(request.data.database, off_loop=off_loop)
    except StoreUnusable as error:
        raise Unusable(str(error)) from error


async def _serve_names(cluster: Cluster) -> None:
    """The service that pods ask for names, for nodes that join; each of their machines answers by itself."""
    service = bootstrap.name_server("", 0)[0]
    with contextlib.suppress(Invalid):  # its address was given to another service, in a cluster that is older
        await cluster.create_missing([service])


async def _set_up_pools(cluster: Cluster, request: Request) -> None:
    """Makes the pools that were asked for, changes those that are there, and never leaves a new cluster bare."""
    client = cluster.client("system:apiserver")
    existing = {name_of(pool) for pool in (await client.list(POOLS)).items}
    pools = list(request.pools)
    if not existing and not pools and request.runtime != "containers":
        pools.append(bootstrap.node_pool("default-pool", DEFAULT_NODES, behaviour=request.behaviour))
    for pool in pools:
        if name_of(pool) in existing:
            await client.patch(Key(POOLS, "", name_of(pool)), {"spec": pool["spec"]})
        else:
            await client.create(pool)
    if request.behaviour is not None:
        for name in sorted(existing - {name_of(pool) for pool in pools}):
            await client.patch(Key(POOLS, "", name), {"spec": {"behaviour": request.behaviour}})


def stop_on_signal() -> asyncio.Event:
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    return stopping

