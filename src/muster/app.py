"""The composition root: which parts a cluster is made of, and how they are handed to each other.

    Cluster   store, registry, mirror, controllers, scheduler, nodes: the same in real and in virtual time
    running   a Cluster at work, for as long as a block lasts

Parts get what they need as constructor arguments; nothing registers itself anywhere.  process.py serves a cluster.
"""
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING

from .api.apply import apply_patch, recorded
from .api.errors import NotFound
from .api.kinds.built_in import BUILT_IN
from .api.kinds.catalogue import Kinds
from .api.objects import Obj, with_
from .api.schema import Schema
from .client.client import Client
from .client.local import LocalClient
from .client.mirror import Mirror
from .clock import Clock
from .control.events import LONGEST_BACKLOG, Recorder
from .control.runtime import Controller, Runtime
from .controllers import (
    certificate_approval,
    certificate_cleaning,
    certificate_signing,
    cluster_role_aggregation,
    cron_job,
    deployment,
    endpoint_slice_mirroring,
    endpoint_slices,
    endpoints,
    ephemeral_volumes,
    event_expiry,
    job,
    job_orphans,
    node_pool,
    replica_set,
    service_account,
    stale_disruption,
    stateful_set,
    taint_eviction,
    token_cleaning,
    ttl_after_finished,
    volume_binding,
    volume_expansion,
    volume_node_expansion,
)
from .controllers.certificate_signing import Sign
from .controllers.daemonset import daemonset_controller
from .controllers.disruption import disruption_controller
from .controllers.garbage_collector import garbage_collector
from .controllers.horizontal_pod_autoscaler import horizontal_pod_autoscaler
from .controllers.namespace import namespace_controller
from .controllers.node_evictions import node_evictions
from .controllers.node_lifecycle import node_controller
from .controllers.pod_garbage import pod_garbage_collector
from .controllers.resource_quota import resource_quota_controller
from .controllers.root_certificate import root_certificate
from .controllers.token_secrets import token_secrets
from .first_roles import first_roles
from .node.fleet import Fleet
from .node.machines import is_simulated
from .node.meter import FleetMeter
from .node.meters import Meters
from .scheduler.controller import scheduler
from .server.registry import Registry
from .store.store import Store

if TYPE_CHECKING:
    from .server.signing_key import SigningKey

SYSTEM = "system:serviceaccount:kube-system:"
KUBELET_BACKLOG = 50_000  # events: one recorder speaks for the kubelets of all nodes


class Cluster:
    """Everything between a store and its clients.  `run` works until it is cancelled."""

    def __init__(self, store: Store, clock: Clock, *, ca_certificate: str = "",
                 sign: Sign | None = None, signing_key: SigningKey | None = None,
                 make_fleet: Callable[..., Fleet] = Fleet, simulates: Callable[[Obj], bool] = is_simulated,
                 clients: Callable[[Registry, str], Client] = LocalClient):
        self.clock = clock
        self._clients, self._ca_certificate, self._sign = clients, ca_certificate, sign
        self._at_work: dict[str, asyncio.Task[None]] = {}  # the controllers
        self._group: asyncio.TaskGroup | None = None
        self.store = store
        self.kinds = Kinds(BUILT_IN)
        self.schema = Schema.load()
        self.registry = Registry(store, self.kinds, self.schema, clock, signing_key=signing_key)
        self.mirror = Mirror(self.client("system:muster"), [kind.resource for kind in self.kinds.stored()])
        simulated = FleetMeter(self.mirror, clock, self.kinds, simulates)
        self.meter = Meters(simulated)
        self._recorders: list[Recorder] = []
        self.runtimes = [self._runtime(controller) for controller in self._controllers()]
        self.tell_as_kubelet = self._recorder("kubelet", KUBELET_BACKLOG)
        self.fleet = make_fleet(self.client("system:node"), self.mirror, clock, tell=self.tell_as_kubelet,
                                simulates=simulates, meter=simulated)

    def client(self, user: str) -> Client:
        return self._clients(self.registry, user)

    def _controllers(self) -> Iterable[Controller]:
        yield daemonset_controller()
        yield deployment.controller
        yield replica_set.controller
        yield replica_set.replication_controller
        yield stateful_set.controller
        yield volume_binding.controller
        yield ephemeral_volumes.controller
        yield from volume_expansion.resizers
        yield volume_expansion.announcer
        yield volume_node_expansion.controller
        yield job.controller
        yield cron_job.controller
        yield job_orphans.controller
        yield ttl_after_finished.controller
        yield horizontal_pod_autoscaler(self.kinds, self.meter)
        yield endpoint_slices.controller
        yield endpoints.controller
        yield endpoint_slice_mirroring.controller
        yield scheduler()
        yield node_pool.controller
        yield node_controller(self.clock.now)
        yield node_evictions(self.clock.now)
        yield taint_eviction.controller
        yield pod_garbage_collector()
        yield disruption_controller(self.kinds)
        yield stale_disruption.controller
        yield garbage_collector(self.kinds)
        yield namespace_controller(self.kinds)
        yield resource_quota_controller(self.kinds)
        yield service_account.controller
        yield cluster_role_aggregation.controller
        yield event_expiry.controller
        if self._ca_certificate:
            yield root_certificate(self._ca_certificate)
            yield token_secrets(self._ca_certificate, self.registry.tokens.legacy)
        if self._sign is not None:
            yield certificate_approval.controller
            yield certificate_signing.certificate_signing(self._sign)
            yield certificate_cleaning.controller
            yield token_cleaning.controller

    def take_on(self, controller: Controller) -> None:
        """One more controller, before it runs."""
        self.runtimes.append(self._runtime(controller))

    def _runtime(self, controller: Controller) -> Runtime:
        client = self.client(SYSTEM + (controller.account or controller.name))
        return Runtime(controller, self.mirror, client, self.clock, self.kinds, self._recorder(controller.name))

    def _recorder(self, component: str, longest_backlog: int = LONGEST_BACKLOG) -> Recorder:
        recorder = Recorder(self.client(SYSTEM + component), self.clock, component, longest_backlog=longest_backlog)
        self._recorders.append(recorder)
        return recorder

    async def create_missing(self, objects: Iterable[Obj]) -> None:
        """One after the other: namespaces come before what is in them."""
        client = self.client("system:apiserver")
        for obj in objects:
            if self.store.get(self.kinds.key_of(obj)) is None:
                await client.create(obj)

    async def create_roles(self) -> None:
        """What callers other than the administrator may do, as far as it is not there yet."""
        client = self.client("system:apiserver")
        async with asyncio.TaskGroup() as group:
            for role in first_roles():
                if self.store.get(self.kinds.key_of(role)) is None:
                    group.create_task(client.create(role))

    async def apply(self, manifest: Obj, *, user: str = "kubernetes-admin") -> Obj:
        """Creates or changes one object as `kubectl apply` would."""
        client = self.client(user)
        kind = self.kinds.named(manifest.get("apiVersion", ""), manifest.get("kind", ""))
        if kind is None:
            raise NotFound(f'no matches for kind "{manifest.get("kind")}" in version "{manifest.get("apiVersion")}"')
        if kind.namespaced and not manifest["metadata"].get("namespace"):
            manifest = with_(manifest, "metadata.namespace", "default")
        key = self.kinds.key_of(manifest)
        try:
            current = await client.get(key)
        except NotFound:
            return await client.create(recorded(manifest))
        patch = apply_patch(current, manifest, self.schema.definition_of(kind), self.schema)
        return await client.patch(key, patch, how="strategic")

    def tallies(self) -> dict[str, dict[str, int]]:
        """What each controller has done so far, for /metrics."""
        return {runtime.controller.name: runtime.tally.counts() for runtime in self.runtimes}

    @property
    def is_ready(self) -> bool:
        return self.mirror.is_synced

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.mirror.run(), name="mirror")
            for recorder in self._recorders:
                group.create_task(recorder.run(), name="events")
            self._group = group
            for runtime in self.runtimes:
                self._set_to_work(runtime, group)
            group.create_task(self.fleet.run(), name="fleet")

    def _set_to_work(self, runtime: Runtime, group: asyncio.TaskGroup) -> None:
        name = runtime.controller.name
        self._at_work[name] = group.create_task(runtime.run(), name=name)

    def restart(self, name: str) -> None:
        """Ends one controller where it stands, in the middle of a plan too; another one begins, which knows nothing."""
        assert self._group is not None, "only what runs is restarted"
        place = next(place for place, one in enumerate(self.runtimes) if one.controller.name == name)
        controller = next(one for one in self._controllers() if one.name == name)
        self._at_work[name].cancel()
        self.runtimes[place] = self.runtimes[place].replaced_by(controller)
        self._set_to_work(self.runtimes[place], self._group)


@contextlib.asynccontextmanager
async def running(cluster: Cluster) -> AsyncIterator[Cluster]:
    """The cluster at work, its mirror filled.  A part that fails ends the block with that failure."""
    async with asyncio.TaskGroup() as group:
        work = group.create_task(cluster.run(), name="cluster")
        await cluster.mirror.synced()
        yield cluster
        work.cancel()
