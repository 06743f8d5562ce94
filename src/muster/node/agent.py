"""One real node: its containerd, its pods, and what the cluster is told of it.

    Fleet (fleet.py)        looks at each pod when something changes, decides (plan.py), writes statuses
    Agent                   its hosting: starts the runtime, hands each pod to a PodRunner
    PodRunner               carries out what one pod's life asks for
    RuntimeWatch            hears what the runtime tells, and looks for what was not heard
    PodAccess               logs, exec, attach, port-forward

What was there before this process is taken over: what runs goes on.
"""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from ..api.errors import ApiError
from ..api.objects import Key, Obj, at, name_of, namespace_of, uid_of
from ..client.client import Client
from ..client.mirror import Mirror
from ..clock import Clock
from ..control.plan import Tell
from ..store.history import Change
from . import host_facts, life, reports, status, volumes
from .containerd import Containerd
from .cri import configs
from .cri.client import Runtime, RuntimeFailed
from .dns_config import DnsConfig, dns_config, in_reach, parse
from .fleet import Fleet
from .housekeeping import Housekeeping
from .log_rotation import LogRotation
from .machines import Machine, Resident
from .means import Reported
from .network_namespace import Fabric, Unusable
from .node_images import NodeImages
from .node_settings import NodeSettings
from .pod_access import PodAccess
from .pod_files import unmount
from .pod_groups import PodGroups
from .pod_runner import PodRunner
from .pod_tokens import PodTokens
from .pressure_watch import PressureWatch
from .readings import Readings, Running
from .registration import node, register
from .reports import Found
from .runtime_watch import RuntimeWatch

log = logging.getLogger(__name__)

RENEW_S = 30.0  # how often it is asked whose tokens are to be renewed
STARTS_AT_ONCE = 4  # sandboxes and containers: as fast as thirty, and far better for each
_WATCHED = ("configmaps", "secrets")
VOLUMES = "persistentvolumes"


class Agent:
    def __init__(self, name: str, number: int, fabric: Fabric, containerd: Containerd, groups: PodGroups,
                 client: Client, mirror: Mirror, clock: Clock, tell: Callable[[Tell], None], *, folder: Path,
                 settings: NodeSettings, replaced: Sequence[tuple[str, str]] = (), cluster_dns: str = "",
                 domain: str = "cluster.local"):
        self.name, self.number, self.fabric, self.containerd = name, number, fabric, containerd
        self.groups, self.settings = groups, settings
        self.address = fabric.node_address(number)
        self.folder, self.domain, self._cluster_dns = folder, domain, cluster_dns
        self._client, self._mirror, self._clock, self._tell = client, mirror, clock, tell
        self.images = NodeImages(replaced, lambda: self.fleet.report_soon(name))
        self.host_paths = volumes.HostPaths(folder)
        self.place = configs.Place(fabric.tag, name, self.host_paths.log / "pods", host_facts.memory(),
                                   folder / "seccomp", groups.cgroups.is_unified)
        self.starting = asyncio.Semaphore(STARTS_AT_ONCE)
        self.runners: dict[str, PodRunner] = {}  # by the pod's uid
        self.containers: dict[str, tuple[PodRunner, int, int]] = {}  # id -> whose it is, its place, its attempt
        self.sandboxes: dict[str, PodRunner] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._runtime: Runtime | None = None
        self._version = ""  # of containerd
        self.is_over = False  # it begins nothing any more
        self.access = PodAccess(self, clock.fork(f"commands of {name}").getrandbits(32))
        self.watch = RuntimeWatch(self)
        self.readings = Readings(groups.cgroups, groups.node, self.running, clock.now)
        self.housekeeping, self.pressure_watch = Housekeeping(self), PressureWatch(self)
        self.tokens = PodTokens(client, clock.now, clock.fork(f"tokens of {name}"))
        self.fleet = Fleet(client, mirror, clock, tell, hosting=self)
        mirror.on_change(self._source_changed, [one for one in _WATCHED if one in mirror.resources])
        mirror.on_change(self._volume_changed, [one for one in (VOLUMES,) if one in mirror.resources])

    @property
    def runtime(self) -> Runtime:
        assert self._runtime is not None, "prepared before it runs"
        return self._runtime

    def now(self) -> float:
        return self._clock.now()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(_logged(work, self.name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def tell(self, pod: Obj, type_: Literal["Normal", "Warning"], reason: str, message: str, path: str = "") -> None:
        self._tell(Tell(pod, type_, reason, message, path, self.name))

    def tell_of_node(self, type_: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        there = self._mirror.get(Key("nodes", "", self.name))
        if there is not None:
            self._tell(Tell(there, type_, reason, message, host=self.name))

    # ------------------------------------------------------------------ its own life

    async def prepare(self, archives: Iterable[Path]) -> None:
        """The runtime answers and its images are there.  Raises Unusable."""
        try:
            self.groups.prepare(self.settings.for_pods(host_facts.capacity(self.folder, self.settings.most_pods)))
        except OSError as error:
            raise Unusable(f"the control groups of {self.name} can not be made ({error}): the file system of control "
                           "groups has to be mounted here, and to be written") from None
        self._runtime = self.images.runtime = await self.containerd.start()
        for archive in archives:
            await self.containerd.load(archive)
        await self.images.refresh()
        self._version = (await self.runtime.call("Version")).runtime_version.partition("~")[0].lstrip("v")
        for folder in (self.place.logs, self.host_paths.log / "containers", self.folder / "pods"):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)

    async def run(self) -> None:
        await self._mirror.synced()
        await register(self._client, self._mirror, node(
            self.name, self.address, self.fabric.pod_cidr(self.number), self.folder, self.settings, self._version))
        await self.watch.take_stock()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.fleet.run(), name=f"fleet of {self.name}")
                group.create_task(self.containerd.supervise(self.watch.relist), name=f"containerd of {self.name}")
                group.create_task(self.watch.hear(), name=f"events of {self.name}")
                group.create_task(self.watch.relist_for_ever(), name=f"relist of {self.name}")
                group.create_task(self.readings.read_for_ever(), name=f"readings of {self.name}")
                group.create_task(self.pressure_watch.run(), name=f"pressure on {self.name}")
                group.create_task(self.housekeeping.run(), name=f"housekeeping of {self.name}")
                group.create_task(LogRotation(self).run(), name=f"logs of {self.name}")
                group.create_task(self._renew_for_ever(), name=f"tokens of {self.name}")
        finally:
            self.is_over = True
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def take_down(self) -> None:
        """Ends all that runs on the node, and its runtime."""
        if self._runtime is None:
            return
        try:
            listed = await self.runtime.call("ListPodSandbox")
            await asyncio.gather(*(self.remove_sandbox(one.id) for one in listed.items))
        except RuntimeFailed as error:
            log.info("%s: %s; the rest is cleaned up without it", self.name, error)
        for folder in sorted((self.folder / "pods").glob("*")):
            await unmount(folder)
        await self.runtime.close()
        await self.containerd.end()

    async def remove_sandbox(self, id_: str) -> None:
        try:
            await self.runtime.call("StopPodSandbox", pod_sandbox_id=id_)
            await self.runtime.call("RemovePodSandbox", pod_sandbox_id=id_)
        except RuntimeFailed as error:
            log.info("%s: sandbox %s: %s", self.name, id_, error)

    def running(self) -> Iterator[Running]:
        for runner in self.runners.values():
            group = self.groups.of(runner.pod)
            for part, run in zip(runner.life.parts, runner.life.runs, strict=True):
                id_ = runner.containers.id_of(part.name) if run.stage == life.RUNNING else None
                if id_ is not None:
                    yield Running(runner.uid, part.name, id_, f"{group}/{id_}", run.began)

    def allocatable(self) -> dict[str, str]:
        node = self._mirror.get(Key("nodes", "", self.name))
        return dict(at(node or {}, "status.allocatable") or {})

    def dns(self, pod: Obj) -> DnsConfig:
        return dns_config(pod, self._cluster_dns, self.domain,
                          in_reach(parse(host_facts.line("/etc/resolv.conf")), self._cluster_dns))

    def lookup(self, resource: str, namespace: str, name: str) -> Obj | None:
        return self._mirror.get(Key(resource, namespace, name)) if resource in self._mirror.resources else None

    def pods(self) -> list[Obj]:
        """Those of this node."""
        return list(self._mirror.on_node(self.name).values())

    def is_here(self, uid: str) -> bool:
        """A pod, by its uid: of this node, or still on its way out."""
        return uid in self.runners or any(uid_of(pod) == uid for pod in self.pods())

    def services(self) -> Iterable[Obj]:
        return self._mirror.objects("services").values() if "services" in self._mirror.resources else ()

    # ------------------------------------------------------------------ hosting, for the fleet

    def takes(self, node: Obj) -> bool:
        return name_of(node) == self.name

    def machine(self, node: Obj, now: float) -> Machine:
        machine = Machine(node, 0, now)
        machine.images = self.images.present
        return machine

    def means(self, machine: Machine) -> Reported:
        return Reported()

    def skew_s(self, node: Obj) -> float:
        return 0.0  # this machine's clock is the one that all goes by here

    def begin(self, resident: Resident, now: float) -> life.Life:
        return self._taken_over(resident, life.begin(resident.pod, now, ""), now)

    def resume(self, resident: Resident, now: float) -> life.Life:
        return self._taken_over(resident, life.resume(resident.pod, now, ""), now)

    def _taken_over(self, resident: Resident, there: life.Life, now: float) -> life.Life:
        runner = PodRunner(self, resident)
        self.runners[runner.uid] = runner
        sandboxes, containers = self.watch.found(runner.uid)
        address = runner.sandbox.address if runner.sandbox.take_over(sandboxes, there.address) else None
        for one in containers:
            name, attempt = one.metadata.name, one.metadata.attempt
            place = reports.place_of(there, name)
            if place is None or one.state == 0:
                continue
            ended = runner.containers.end_told(one, runner.containers.spec_of(name), attempt)
            runner.containers.note(name, Found(
                attempt, f"containerd://{one.id}", self.images.shown(there.parts[place].image),
                one.image_ref, one.started_at / 1e9, ended))
            self.containers[one.id] = (runner, place, attempt)
        for runs in runner.containers.found.values():
            runs.sort(key=lambda one: one.attempt)
        return reports.taken_over(there, runner.containers.found, address, now)

    def looked(self, resident: Resident, now: float) -> None:
        runner = self.runners.get(resident.uid)
        if runner is not None and resident.life is not None:
            runner.attend(resident.life)

    def left(self, resident: Resident) -> None:
        runner = self.runners.pop(resident.uid, None)
        if runner is not None:
            runner.abandon()
            self.tokens.forget(runner.pod)

    def node_status(self, machine: Machine, now: float) -> Obj:
        told = status.node_status(machine.node, self.address, (), now, machine.pressures)
        return {**told, "allocatable": self.settings.allocatable(told["capacity"]), "images": self.images.listed()}

    def _source_changed(self, change: Change) -> None:
        """A ConfigMap or Secret: the volumes made of it follow."""
        if change.previous is None and change.value is None:
            return
        for runner in list(self.runners.values()):
            if runner.sandbox.id and namespace_of(runner.pod) == change.key.namespace:
                runner.source_changed()

    async def _renew_for_ever(self) -> None:
        while True:
            for runner in list(self.runners.values()):
                if runner.is_up and self.tokens.wants(runner.pod):
                    runner.source_changed()
            await asyncio.sleep(RENEW_S)

    def _volume_changed(self, change: Change) -> None:
        if change.value is None and change.previous is not None:
            self.spawn(volumes.discard(change.previous, self.name, self.host_paths))


async def _logged(work: Coroutine[Any, Any, None], name: str) -> None:
    try:
        await work
    except (RuntimeFailed, ApiError) as error:
        log.info("%s: %s", name, error)
    except Exception:
        log.exception("%s: a step failed", name)  # our own mistake: the others go on
