"""One real node: its containerd, its pods, and what the cluster is told of it.

    Fleet (fleet.py)        looks at each pod when something changes, decides (plan.py), writes statuses
    Agent                   its hosting: starts the runtime, hears its events, hands each pod to a PodRunner
    PodRunner               carries out what one pod's life asks for

An exit is heard from containerd's events; once in a while everything the runtime has is listed and compared, so that
nothing depends on having heard.  What was there before this process is taken over: what runs goes on.
"""
from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from ..api.errors import AlreadyExists, ApiError, BadRequest, NotFound
from ..api.logs import LogOptions
from ..api.objects import Key, Obj, at, name_of, namespace_of, uid_of
from ..client.client import Client
from ..client.mirror import Mirror
from ..clock import Clock
from ..control.plan import Tell
from ..server.pipe import Duplex
from ..server.processes import Closing, Session, Wanted
from ..store.history import Change
from . import cgroups, life, logs, pod_ports, pod_runner, reports, status, volumes
from .containerd import Containerd
from .cri import configs, log_files
from .cri.attach_session import AttachSession
from .cri.client import Runtime, RuntimeFailed
from .cri.exec_session import ExecSession
from .dns_config import DnsConfig, dns_config, in_reach, parse
from .fleet import Fleet
from .machines import Machine, Resident
from .means import Reported
from .network_namespace import Fabric
from .node_images import NodeImages
from .pod_runner import PodRunner
from .reports import Found

log = logging.getLogger(__name__)

LABEL = "muster.dev/runtime"
RELIST_S, BACK_AFTER_S = 1.0, 0.2
STARTS_AT_ONCE = 4  # sandboxes and containers: as fast as thirty, and far better for each
REPORTED_DISK = "ephemeral-storage"
MOST_PODS = 110
_EVENTS = 'topic~="^/tasks/(exit|oom)$",namespace==k8s.io', 'topic~="^/images/",namespace==k8s.io'
_WATCHED = ("configmaps", "secrets")
VOLUMES = "persistentvolumes"


class Agent:
    def __init__(self, name: str, number: int, fabric: Fabric, containerd: Containerd, client: Client, mirror: Mirror,
                 clock: Clock, tell: Callable[[Tell], None], *, folder: Path,
                 replaced: Sequence[tuple[str, str]] = (), cluster_dns: str = "", domain: str = "cluster.local"):
        self.name, self.number, self.fabric, self.containerd = name, number, fabric, containerd
        self.address = fabric.node_address(number)
        self.folder, self.domain, self._cluster_dns = folder, domain, cluster_dns
        self._client, self._mirror, self._clock, self._tell = client, mirror, clock, tell
        self.images = NodeImages(replaced)
        self.host_paths = volumes.HostPaths(folder)
        self.place = configs.Place(fabric.tag, name, self.host_paths.log / "pods", _memory(), folder / "seccomp")
        self.starting = asyncio.Semaphore(STARTS_AT_ONCE)
        self.runners: dict[str, PodRunner] = {}  # by the pod's uid
        self.containers: dict[str, tuple[PodRunner, int, int]] = {}  # id -> whose it is, its place, its attempt
        self.sandboxes: dict[str, PodRunner] = {}
        self._found: dict[str, list[Any]] = {}  # at the start: the runtime's sandboxes by uid of the pod
        self._found_containers: dict[str, list[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._runtime: Runtime | None = None
        self._version = ""  # of containerd
        # No two commands are named alike, not even in two processes.
        self._commands, self._salt = 0, f"{clock.fork(f'commands of {name}').getrandbits(32):08x}"
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

    # ------------------------------------------------------------------ its own life

    async def prepare(self, archives: Iterable[Path]) -> None:
        """The runtime answers and its images are there.  Raises Unusable."""
        self._runtime = self.images.runtime = await self.containerd.start()
        for archive in archives:
            await self.containerd.load(archive)
        await self.images.refresh()
        self._version = (await self.runtime.call("Version")).runtime_version.partition("~")[0].lstrip("v")
        for folder in (self.place.logs, self.host_paths.log / "containers", self.folder / "pods"):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)

    async def run(self) -> None:
        await self._mirror.synced()
        await self._register()
        while not await self._list_at_start():
            await asyncio.sleep(BACK_AFTER_S)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.fleet.run(), name=f"fleet of {self.name}")
                group.create_task(self.containerd.supervise(self._relist), name=f"containerd of {self.name}")
                group.create_task(self._hear(), name=f"events of {self.name}")
                group.create_task(self._relist_for_ever(), name=f"relist of {self.name}")
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def take_down(self) -> None:
        """Ends all that runs on the node, and its runtime."""
        if self._runtime is None:
            return
        try:
            listed = await self.runtime.call("ListPodSandbox")
            await asyncio.gather(*(self._remove_sandbox(one.id) for one in listed.items))
        except RuntimeFailed as error:
            log.info("%s: %s; the rest is cleaned up without it", self.name, error)
        for folder in sorted((self.folder / "pods").glob("*")):
            await pod_runner.unmount(folder)
        await self.runtime.close()
        await self.containerd.end()

    async def _remove_sandbox(self, id_: str) -> None:
        try:
            await self.runtime.call("StopPodSandbox", pod_sandbox_id=id_)
            await self.runtime.call("RemovePodSandbox", pod_sandbox_id=id_)
        except RuntimeFailed as error:
            log.info("%s: sandbox %s: %s", self.name, id_, error)

    async def _register(self) -> None:
        """https://kubernetes.io/docs/concepts/architecture/nodes/#self-registration-of-nodes"""
        node = self._node()
        key = Key("nodes", "", self.name)
        there = self._mirror.get(key)
        if there is not None and at(there, "spec.podCIDR") != self.fabric.pod_cidr(self.number):
            await self._client.delete(key, uid=uid_of(there))
            there = None
        if there is None:
            try:
                there = await self._client.create(node)
            except AlreadyExists:
                there = await self._client.get(key)
        status_now = {**(there.get("status") or {}), **{
            field: node["status"][field] for field in ("addresses", "capacity", "nodeInfo")}}
        written = await self._client.set_status(key, uid_of(there), status_now)
        await self._mirror.caught_up({"nodes": int(written["metadata"]["resourceVersion"])})

    def _node(self) -> Obj:
        labels = {"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                  "kubernetes.io/os": "linux", "kubernetes.io/hostname": self.name, LABEL: "containers"}
        cidr = self.fabric.pod_cidr(self.number)
        return {
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {"podCIDR": cidr, "podCIDRs": [cidr],
                     "taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]},
            "status": {
                "addresses": [{"type": "InternalIP", "address": self.address},
                              {"type": "Hostname", "address": self.name}],
                "capacity": _capacity(self.folder),
                "nodeInfo": _node_info(self._version),
            },
        }

    def allocatable(self) -> dict[str, str]:
        node = self._mirror.get(Key("nodes", "", self.name))
        return dict(at(node or {}, "status.allocatable") or {})

    def dns(self, pod: Obj) -> DnsConfig:
        return dns_config(pod, self._cluster_dns, self.domain,
                          in_reach(parse(_line("/etc/resolv.conf")), self._cluster_dns))

    def lookup(self, resource: str, namespace: str, name: str) -> Obj | None:
        return self._mirror.get(Key(resource, namespace, name)) if resource in self._mirror.resources else None

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

    def begin(self, resident: Resident, now: float) -> life.Life:
        return self._taken_over(resident, life.begin(resident.pod, now, ""), now)

    def resume(self, resident: Resident, now: float) -> life.Life:
        return self._taken_over(resident, life.resume(resident.pod, now, ""), now)

    def _taken_over(self, resident: Resident, there: life.Life, now: float) -> life.Life:
        runner = PodRunner(self, resident)
        self.runners[runner.uid] = runner
        sandboxes = sorted(self._found.pop(runner.uid, ()), key=lambda one: one.metadata.attempt)
        runner.attempt = sandboxes[-1].metadata.attempt + 1 if sandboxes else 0
        ready = next((one for one in reversed(sandboxes) if one.state == 0), None)
        if ready is not None:
            runner.sandbox = ready.id
            self.sandboxes[ready.id] = runner
            runner.address = self.address if resident.pod["spec"].get("hostNetwork") else there.address
        for one in self._found_containers.pop(runner.uid, ()):
            name, attempt = one.metadata.name, one.metadata.attempt
            place = reports.place_of(there, name)
            if place is None or one.state == 0:
                continue
            ended = runner.end_told(one, runner.spec_of(name), attempt)
            runner.found.setdefault(name, []).append(Found(
                attempt, f"containerd://{one.id}", self.images.shown(there.parts[place].image),
                one.image_ref, one.started_at / 1e9, ended))
            self.containers[one.id] = (runner, place, attempt)
        for runs in runner.found.values():
            runs.sort(key=lambda one: one.attempt)
        return reports.taken_over(there, runner.found, runner.address if ready is not None else None, now)

    def looked(self, resident: Resident, now: float) -> None:
        runner = self.runners.get(resident.uid)
        if runner is not None and resident.life is not None:
            runner.attend(resident.life)

    def left(self, resident: Resident) -> None:
        runner = self.runners.pop(resident.uid, None)
        if runner is not None:
            runner.abandon()

    def node_status(self, machine: Machine, now: float) -> Obj:
        told = status.node_status(machine.node, self.address, (), now, machine.pressures)
        return {**told, "images": self.images.listed()}

    async def remove_pod_files(self, pod: Obj) -> None:
        folder = configs.log_folder(self.place, pod)
        cgroup = cgroups.of_pod(self.fabric.tag, self.name, configs.qos_of(pod), uid_of(pod))
        await pod_runner.remove_files(self.folder / "pods" / uid_of(pod), folder, self.host_paths.log / "containers",
                                      f"{name_of(pod)}_{namespace_of(pod)}", cgroup)

    def _source_changed(self, change: Change) -> None:
        """A ConfigMap or Secret: the volumes made of it follow."""
        if change.previous is None and change.value is None:
            return
        for runner in list(self.runners.values()):
            if runner.sandbox and namespace_of(runner.pod) == change.key.namespace:
                runner.source_changed()

    def _volume_changed(self, change: Change) -> None:
        if change.value is None and change.previous is not None:
            self.spawn(volumes.discard(change.previous, self.name, self.host_paths))

    # ------------------------------------------------------------------ what the runtime tells

    async def _list_at_start(self) -> bool:
        """All that the runtime has; what belongs to no pod of this node goes.  False where it does not answer."""
        try:
            await self._list_all()
        except RuntimeFailed as error:
            log.info("%s: %s", self.name, error)
            return False
        return True

    async def _list_all(self) -> None:
        self._found.clear()
        self._found_containers.clear()
        listed = await self.runtime.call("ListPodSandbox")
        mine = {uid_of(pod) for pod in self._mirror.on_node(self.name).values()}
        for one in listed.items:
            if one.metadata.uid in mine:
                self._found.setdefault(one.metadata.uid, []).append(one)
            else:
                self.spawn(self._remove_sandbox(one.id))
        containers = await self.runtime.call("ListContainers")
        for listed_one in containers.containers:
            uid = listed_one.labels.get(configs.POD_UID, "")
            if uid in mine:
                told = await self.runtime.call("ContainerStatus", container_id=listed_one.id)
                self._found_containers.setdefault(uid, []).append(told.status)

    async def _hear(self) -> None:
        while True:
            try:
                async for topic, id_ in self.runtime.events(*_EVENTS):
                    if topic == "/tasks/exit":
                        self._task_ended(id_)
                    elif topic.startswith("/images/"):
                        self.spawn(self.images.refresh())
            except RuntimeFailed as error:
                log.info("%s: %s", self.name, error)
            await asyncio.sleep(BACK_AFTER_S)

    def _task_ended(self, id_: str) -> None:
        found = self.containers.get(id_)
        if found is not None:
            runner, place, attempt = found
            runner.container_ended(id_, place, attempt)
        elif id_ in self.sandboxes:
            self.spawn(self._look_at_sandbox(id_))

    async def _look_at_sandbox(self, id_: str) -> None:
        """Stopping a pod ends its sandbox too; only one that is still wanted is lost."""
        await asyncio.sleep(BACK_AFTER_S)
        runner = self.sandboxes.get(id_)
        if runner is not None and reports.is_wanted(runner.pod, runner.life) and runner.sandbox == id_:
            runner.sandbox_lost()

    async def _relist_for_ever(self) -> None:
        while True:
            await asyncio.sleep(RELIST_S)
            await self._relist()

    async def _relist(self) -> None:
        try:
            await self._compare()
        except RuntimeFailed as error:
            log.info("%s: %s", self.name, error)

    async def _compare(self) -> None:
        """What was not heard: containers that have ended, sandboxes that are gone."""
        listed = await self.runtime.call("ListContainers")
        states = {one.id: one.state for one in listed.containers}
        for id_, (runner, place, attempt) in list(self.containers.items()):
            run = runner.life.runs[place] if place < len(runner.life.runs) else None
            if run is None or run.stage != life.RUNNING or run.restarts != attempt:
                continue
            if states.get(id_, 2) != 1:
                runner.container_ended(id_, place, attempt)
        sandboxes = await self.runtime.call("ListPodSandbox")
        ready = {one.id for one in sandboxes.items if one.state == 0}
        for id_ in list(self.sandboxes):
            if id_ not in ready:
                await self._look_at_sandbox(id_)

    # ------------------------------------------------------------------ what kubectl asks

    async def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
        """Raises BadRequest where there is nothing to read yet."""
        resident = self.fleet.resident(Key("pods", namespace_of(pod), name_of(pod)))
        attempt = logs.attempt_asked(pod, options)
        path = configs.log_folder(self.place, pod) / configs.log_path(options.container, attempt)

        def goes_on() -> bool:
            there = resident.life if resident is not None and not resident.gone else None
            place = reports.place_of(there, options.container) if there is not None else None
            if there is None or place is None:
                return False
            return there.runs[place].stage == life.RUNNING and there.runs[place].restarts == attempt

        try:
            async for piece in log_files.read(path, options, self.now(), goes_on):
                yield piece
        except NotFound as error:
            raise BadRequest(str(error)) from None

    async def run_command(self, pod: Obj, wanted: Wanted) -> Session:
        """Raises NotFound where the container does not run."""
        container = self._running_container(pod, wanted.container)
        self._commands += 1
        id_ = f"exec-{self._commands}-{self._salt}"
        return ExecSession(self.runtime, container, id_, self.containerd.state / "exec" / id_, wanted)

    async def attach(self, pod: Obj, wanted: Wanted) -> Session:
        return AttachSession(self.runtime, self._running_container(pod, wanted.container), wanted)

    async def connect(self, pod: Obj, port: int) -> tuple[Duplex, Closing]:
        """Raises OSError."""
        runner = self.runners.get(uid_of(pod))
        if runner is None or not runner.sandbox:
            raise OSError(f"pod {name_of(pod)} has no network")
        namespace = await runner.network_namespace()
        found = await pod_ports.connect(namespace, port)
        return found, found

    def _running_container(self, pod: Obj, name: str) -> str:
        runner = self.runners.get(uid_of(pod))
        place = reports.place_of(runner.life, name) if runner is not None else None
        if runner is None or place is None or runner.life.runs[place].stage != life.RUNNING:
            raise NotFound(f'container not found ("{name}")')
        return runner.container_id(name) or ""


async def _logged(work: Coroutine[Any, Any, None], name: str) -> None:
    try:
        await work
    except (RuntimeFailed, ApiError) as error:
        log.info("%s: %s", name, error)
    except Exception:
        log.exception("%s: a step failed", name)  # our own mistake: the others go on


# ------------------------------------------------------------------ what the machine is


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _capacity(folder: Path) -> dict[str, str]:
    disk = os.statvfs(folder)
    return {"cpu": str(os.cpu_count() or 1), "memory": f"{_memory() // 1024}Ki", "pods": str(MOST_PODS),
            REPORTED_DISK: f"{disk.f_blocks * disk.f_frsize // 1024}Ki"}


def _node_info(version: str) -> Obj:
    return {
        "architecture": "amd64", "operatingSystem": "linux",
        "bootID": _line("/proc/sys/kernel/random/boot_id"), "machineID": _line("/etc/machine-id"),
        "systemUUID": _line("/sys/class/dmi/id/product_uuid") or _line("/etc/machine-id"),
        "kernelVersion": platform.release(), "osImage": _os_name(),
        "containerRuntimeVersion": f"containerd://{version}", "kubeletVersion": status.VERSION,
        "kubeProxyVersion": status.VERSION,
    }


def _line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"
