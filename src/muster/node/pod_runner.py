"""One pod on a real node: carries out what the pod's life asks for, and reports what became of it.

After every look `attend` compares the life with what is under way: a network to set up, an image to pull, a container
to start or to stop, a pod to take down.  What is missing is begun as a task; each is under way at most once, and ends
with a report (reports.py) on which the decision (plan.py) goes on.  So this holds no decisions: only the order of
calls that one step takes, and where its files are.
"""
from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import shutil
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..api.objects import Obj, at, is_deleting, name_of, namespace_of, uid_of
from . import cgroups, host_command, reports, volumes
from .cri import configs
from .cri.client import RuntimeFailed
from .environment import ConfigError, Facts, command_of, environment
from .hooks import HookFailed, run_hook
from .life import DONE, PULLING, RUNNING, STARTING, Life, Run
from .machines import Resident
from .prober import Prober
from .reports import Exit, Found
from .termination import message_of
from .volumes import VolumeError

if TYPE_CHECKING:
    from .agent import Agent

log = logging.getLogger(__name__)

FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
KEPT_RUNS = 2  # of a container: the one that runs, and the one before it, for `kubectl logs --previous`
ABANDONED_GRACE_S = 2
MESSAGES = "messages"
SURE_OF_END_S, SETTLES_S = 5.0, 0.01


class PodRunner:
    def __init__(self, agent: Agent, resident: Resident):
        self.agent, self.resident, self.uid = agent, resident, uid_of(resident.pod)
        self.sandbox = ""  # its id
        self.address = ""
        self.attempt = 0  # of the sandbox
        self.found: dict[str, list[Found]] = {}  # what the runtime has, by container, the oldest first
        self._tasks: dict[object, asyncio.Task[None]] = {}
        self._stops: dict[int, float] = {}
        self._probers: dict[int, tuple[int, Prober]] = {}
        self._exits: dict[str, Exit] = {}
        self._config: Any = None
        self.is_gone = False

    @property
    def pod(self) -> Obj:
        return self.resident.pod

    @property
    def folder(self) -> Path:
        return self.agent.folder / "pods" / self.uid

    @property
    def life(self) -> Life:
        assert self.resident.life is not None, "a runner has a pod that was looked at"
        return self.resident.life

    # ------------------------------------------------------------------ what the life asks for

    def attend(self, life: Life) -> None:
        if self.is_gone:
            return
        pod = self.pod
        if not life.sandbox and reports.is_wanted(pod, life):
            self._do("network", self._bring_up)
        running: set[int] = set()
        for place, run in enumerate(life.runs):
            if run.stage == PULLING:
                self._do(("pull", place), partial(self._pull, place))
            elif run.stage == STARTING:
                self._do(("start", place), partial(self._start, place))
            elif run.stage == RUNNING:
                running.add(place)
                if run.report.stop_by < math.inf:
                    self._stop(place, run)
                self._probe(place, run)
        for place in [place for place in self._probers if place not in running]:
            self._probers.pop(place)[1].stop()
        self._stops = {place: by for place, by in self._stops.items() if place in running}
        if all(run.stage == DONE for run in life.runs) and "network" not in self._tasks:
            if is_deleting(pod) and life.stops_at is not None and life.gone_at is None:
                self._do("down", self._take_down)
            elif life.sandbox and not is_deleting(pod):
                self._do("down", self._take_network_down)
        elif is_deleting(pod) and "network" in self._tasks:
            self._tasks["network"].cancel()

    def _do(self, what: object, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if what not in self._tasks:
            self._tasks[what] = self.agent.spawn(self._carry_out(what, work))

    async def _carry_out(self, what: object, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except RuntimeFailed as error:
            log.info("%s: %s %s: %s; again soon", self.agent.name, self.resident.key, what, error)
            await asyncio.sleep(FIRST_RETRY_S)
        finally:
            self._tasks.pop(what, None)
            if not self.is_gone and self.resident.life is not None and not self.resident.gone:
                asyncio.get_running_loop().call_soon(self._attend_again)

    def _attend_again(self) -> None:
        if not self.resident.gone and self.resident.life is not None:
            self.attend(self.resident.life)

    def report(self, change: Callable[[Life, float], Life]) -> None:
        self.agent.fleet.report(self.resident, change)

    def tell(self, type_: Any, reason: str, message: str, place: int | None = None) -> None:
        self.agent.tell(self.pod, type_, reason, message, self.life.parts[place].path if place is not None else "")

    def spec_of(self, name: str) -> Obj:
        spec = self.pod["spec"]
        return next(one for field in ("containers", "initContainers", "ephemeralContainers")
                    for one in spec.get(field) or () if one["name"] == name)

    def facts(self) -> Facts:
        return Facts(self.agent.name, self.agent.address, self.address, self.agent.allocatable())

    # ------------------------------------------------------------------ its network

    async def _bring_up(self) -> None:
        retry_s = FIRST_RETRY_S
        said = ""
        while reports.is_wanted(self.pod, self.life):
            try:
                await volumes.set_up(self.pod, self.folder, self.agent.lookup, self.facts(), self.agent.host_paths)
                await self._run_sandbox()
            except VolumeError as error:
                if str(error) != said:
                    said = str(error)
                    self.tell("Warning", "FailedMount", said)
                retry_s = FIRST_RETRY_S / 2  # nothing was asked of the runtime
            except RuntimeFailed as error:
                self.tell("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
                await self._clear_failed_sandboxes()
            else:
                return
            await asyncio.sleep(retry_s)
            retry_s = min(LONGEST_RETRY_S, 2 * retry_s)

    async def _run_sandbox(self) -> None:
        pod, agent = self.pod, self.agent
        configs.log_folder(agent.place, pod).mkdir(mode=0o755, parents=True, exist_ok=True)
        config = configs.sandbox(pod, agent.place, agent.dns(pod), self.attempt)
        async with agent.starting:
            self.attempt += 1
            answer = await agent.runtime.call("RunPodSandbox", config=config, within_s=240.0)
        self._config, self.sandbox = config, answer.pod_sandbox_id
        agent.sandboxes[self.sandbox] = self
        await self._learn_address()
        self._write_hosts()
        self.report(lambda life, now: reports.network_up(life, self.address))

    async def _learn_address(self) -> None:
        told = await self.agent.runtime.call("PodSandboxStatus", pod_sandbox_id=self.sandbox)
        on_host = self.pod["spec"].get("hostNetwork")
        self.address = self.agent.address if on_host else told.status.network.ip

    async def network_namespace(self) -> str:
        """The path of its own, or of the node's."""
        if self.pod["spec"].get("hostNetwork"):
            return str(self.agent.containerd.namespace)
        told = await self.agent.runtime.call("PodSandboxStatus", pod_sandbox_id=self.sandbox, verbose=True)
        spaces = json.loads(told.info["info"])["runtimeSpec"]["linux"]["namespaces"]
        return str(next(one["path"] for one in spaces if one["type"] == "network"))

    def _write_hosts(self) -> None:
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        text = volumes.hosts_file(self.pod, self.address, configs.hostname_of(self.pod), self.agent.domain)
        (self.folder / "etc-hosts").write_text(text)

    async def _clear_failed_sandboxes(self) -> None:
        """A failed one holds its name: it is taken away, and the next has another number."""
        listed = await self.agent.runtime.call("ListPodSandbox")
        for one in listed.items:
            if one.metadata.uid == self.uid and one.id != self.sandbox:
                self.attempt = max(self.attempt, one.metadata.attempt + 1)
                await self._remove_sandbox(one.id)

    def sandbox_lost(self) -> None:
        """The process that held the pod's namespaces is gone: whatever runs in them is started anew."""
        if self.sandbox:
            self.agent.sandboxes.pop(self.sandbox, None)
            self._do("lost", self._rebuild)

    async def _rebuild(self) -> None:
        lost, self.sandbox = self.sandbox, ""
        self.tell("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        self.report(lambda life, now: reports.network_down(life))
        await self.agent.runtime.call("StopPodSandbox", pod_sandbox_id=lost)
        await self._remove_sandbox(lost)

    # ------------------------------------------------------------------ its containers

    async def _pull(self, place: int) -> None:
        part = self.life.parts[place]
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            image = await self.agent.images.pull(part.image)
        except RuntimeFailed as error:
            why = str(error)
            self.report(lambda life, now: reports.not_pulled(life, place, now, why))
            return
        took = loop.time() - began
        self.report(lambda life, now: reports.pulled(life, place, now, took, image.size, image.id))

    async def _start(self, place: int) -> None:
        life = self.life
        part, run = life.parts[place], life.runs[place]
        spec, attempt = self.spec_of(part.name), run.attempt
        try:
            config = await self._container_config(spec, attempt)
        except (ConfigError, VolumeError) as error:
            self._not_started(place, "CreateContainerConfigError", str(error))
            return
        await self._make_room(part.name, attempt)
        try:
            id_ = await self._create(part.name, attempt, config)
        except RuntimeFailed as error:
            if error.is_away:
                raise
            self._not_started(place, "CreateContainerError", error.said)
            return
        self.agent.containers[id_] = (self, place, attempt)
        try:
            async with self.agent.starting:
                await self.agent.runtime.call("StartContainer", container_id=id_)
        except RuntimeFailed as error:
            ended = await self._end_of(id_, spec, attempt)
            self._note(part.name, Found(attempt, f"containerd://{id_}", "", "", 0.0, ended))
            self._not_started(place, "RunContainerError", error.said, id_, ended)
            return
        await self._started(place, spec, attempt, id_)

    def _not_started(self, place: int, reason: str, why: str, id_: str = "", ended: Exit | None = None) -> None:
        full = f"containerd://{id_}" if id_ else ""
        self.report(lambda life, now: reports.not_started(
            life, place, now, reason, why, full, ended._replace(finished=ended.finished or now) if ended else None))

    async def _started(self, place: int, spec: Obj, attempt: int, id_: str) -> None:
        name, image = spec["name"], self.agent.images.known(spec.get("image", ""))
        self._link_log(name, attempt, id_)
        hook = at(spec, "lifecycle.postStart")
        if hook is not None:
            try:
                await run_hook(self.agent, hook, spec, id_, self.address)
            except HookFailed as error:
                await self.agent.runtime.call("StopContainer", container_id=id_, timeout=int(self._grace_s()),
                                              within_s=self._grace_s() + 60)
                ended = await self._end_of(id_, spec, attempt)
                self._not_started(place, "PostStartHookError", f"PostStartHook failed: {error}", id_, ended)
                return
        full, shown, digest = f"containerd://{id_}", self.agent.images.shown(spec.get("image", "")), image.reference
        self._note(name, Found(attempt, full, shown, digest, self.agent.now(), None))
        self.report(lambda life, now: reports.started(life, place, now, full, shown, digest))
        if id_ in self._exits:
            self._exited(place, attempt, self._exits[id_])

    async def _container_config(self, spec: Obj, attempt: int) -> Any:
        pod, agent = self.pod, self.agent
        env = environment(pod, spec, agent.lookup, self.facts(), agent.services())
        command, args = command_of(spec, env)
        image = await agent.images.look(spec.get("image", ""))
        if refusal := configs.root_refusal(pod, spec, image.uid, image.user):
            raise ConfigError(refusal)
        mounts = volumes.mounts_of(pod, spec, self.folder, dict(env), agent.lookup, agent.host_paths)
        mounts += self._own_mounts(spec, attempt, {mount.path for mount in mounts})
        target = ""
        if spec.get("targetContainerName"):
            target = self.container_id(spec["targetContainerName"]) or ""
        return configs.container(pod, spec, agent.place, image=agent.images.reference(spec.get("image", "")),
                                 attempt=attempt, command=command, args=args, env=env, mounts=mounts, target_id=target)

    def _own_mounts(self, spec: Obj, attempt: int, taken: set[str]) -> list[configs.Mounted]:
        mounts = []
        if "/etc/hosts" not in taken:
            mounts.append(configs.Mounted("/etc/hosts", str(self.folder / "etc-hosts")))
        if path := spec.get("terminationMessagePath"):
            file = self._message_file(spec["name"], attempt)
            file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            file.touch(mode=0o666)
            file.chmod(0o666)
            mounts.append(configs.Mounted(path, str(file)))
        return mounts

    def _message_file(self, name: str, attempt: int) -> Path:
        return self.folder / "containers" / name / f"{attempt}.message"

    async def _create(self, name: str, attempt: int, config: Any) -> str:
        if self._config is None:
            self._config = configs.sandbox(self.pod, self.agent.place, self.agent.dns(self.pod), self.attempt - 1)
        for last in (False, True):
            try:
                made = await self.agent.runtime.call("CreateContainer", pod_sandbox_id=self.sandbox, config=config,
                                                     sandbox_config=self._config)
                return str(made.container_id)
            except RuntimeFailed as error:
                if last or "reserve" not in error.said:
                    raise
            await self._remove_containers(lambda one: one.metadata.name == name and one.metadata.attempt == attempt)
        raise AssertionError("the second time it is made, or refused")

    async def _make_room(self, name: str, attempt: int) -> None:
        """Of a container's runs, the last one that ended is kept; of its logs, as many."""
        for one in [one for one in self.found.get(name, ()) if one.attempt <= attempt - KEPT_RUNS]:
            self.found[name].remove(one)
            id_ = one.id.removeprefix("containerd://")
            self.agent.containers.pop(id_, None)
            self._exits.pop(id_, None)
            with contextlib.suppress(RuntimeFailed):
                await self.agent.runtime.call("RemoveContainer", container_id=id_)
            (configs.log_folder(self.agent.place, self.pod) / configs.log_path(name, one.attempt)).unlink(True)
            self._message_file(name, one.attempt).unlink(True)
            self._log_link(name, id_).unlink(True)

    def _note(self, name: str, one: Found) -> None:
        self.found.setdefault(name, []).append(one)

    def container_id(self, name: str) -> str | None:
        """Of the run that is there, or was last."""
        runs = self.found.get(name)
        return runs[-1].id.removeprefix("containerd://") if runs else None

    def _log_link(self, name: str, id_: str) -> Path:
        pod = self.pod
        return self.agent.host_paths.log / "containers" / f"{name_of(pod)}_{namespace_of(pod)}_{name}-{id_}.log"

    def _link_log(self, name: str, attempt: int, id_: str) -> None:
        """Log collectors look in /var/log/containers, where each file is a link into /var/log/pods."""
        pod, link = self.pod, self._log_link(name, id_)
        link.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        link.unlink(True)
        folder = configs.log_folder(self.agent.place, pod).name
        link.symlink_to(f"/var/log/pods/{folder}/{configs.log_path(name, attempt)}")

    # ------------------------------------------------------------------ how they end

    def container_ended(self, id_: str, place: int, attempt: int) -> None:
        self._do(("ended", id_), lambda: self._learn_end(id_, place, attempt))

    async def _learn_end(self, id_: str, place: int, attempt: int) -> None:
        """The event comes before CRI knows of it: it is asked until it does."""
        name = self.life.parts[place].name
        deadline = asyncio.get_running_loop().time() + SURE_OF_END_S
        while True:
            ended = await self._end_of(id_, self.spec_of(name), attempt)
            if ended is not None or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(SETTLES_S)
        if ended is not None:
            self._exited(place, attempt, ended)

    async def _end_of(self, id_: str, spec: Obj, attempt: int) -> Exit | None:
        try:
            told = (await self.agent.runtime.call("ContainerStatus", container_id=id_)).status
        except RuntimeFailed as error:
            if error.is_absent:
                return None
            raise
        return self.end_told(told, spec, attempt)

    def end_told(self, told: Any, spec: Obj, attempt: int) -> Exit | None:
        if told.state not in (2, 3):
            return None
        message = told.message or message_of(
            self._message_file(spec["name"], attempt), spec, told.exit_code,
            configs.log_folder(self.agent.place, self.pod) / configs.log_path(spec["name"], attempt))
        reason = told.reason if told.reason not in ("", "Unknown") or told.state == 3 else ""
        return Exit(told.exit_code, reason, message, told.finished_at / 1e9)

    def _exited(self, place: int, attempt: int, ended: Exit) -> None:
        name = self.life.parts[place].name
        for index, one in enumerate(self.found.get(name, ())):
            if one.attempt == attempt:
                self.found[name][index] = one._replace(ended=ended)
        id_ = self.container_id(name)
        if id_:
            self._exits[id_] = ended
        self.report(lambda life, now: reports.exited(
            life, place, now, attempt, ended if ended.finished else ended._replace(finished=now)))

    def _grace_s(self) -> float:
        said = self.pod["spec"].get("terminationGracePeriodSeconds")
        return float(said) if said is not None else 30.0

    def _stop(self, place: int, run: Run) -> None:
        by = run.report.stop_by
        before = self._stops.get(place)
        if before is None:
            self._stops[place] = by
            self._do(("stop", place), lambda: self._stop_container(place, by, hook=True))
        elif by < before - 0.5:  # less time than it was given first
            self._stops[place] = by
            self._do(("stop", place, by), lambda: self._stop_container(place, by, hook=False))

    async def _stop_container(self, place: int, by: float, hook: bool) -> None:
        name = self.life.parts[place].name
        id_, asked = self.container_id(name), at(self.spec_of(name), "lifecycle.preStop")
        if id_ is None:
            return
        left_s = by - self.agent.now()
        if hook and asked is not None and left_s > 0:
            try:
                async with asyncio.timeout(left_s):
                    await run_hook(self.agent, asked, self.spec_of(name), id_, self.address)
            except HookFailed as error:
                self.tell("Warning", "FailedPreStopHook", f"PreStopHook failed: {error}", place)
            except TimeoutError:
                pass
            left_s = max(2.0, by - self.agent.now())  # the kubelet's least, after a hook
        timeout = max(0, math.ceil(left_s))
        try:
            await self.agent.runtime.call("StopContainer", container_id=id_, timeout=timeout, within_s=timeout + 60)
        except RuntimeFailed as error:
            if not error.is_absent:
                self._stops.pop(place, None)  # it is told again
                raise

    # ------------------------------------------------------------------ how it ends

    async def _take_network_down(self) -> None:
        """The pod has ended; what it said and left stays until it is deleted."""
        if self.sandbox:
            await self.agent.runtime.call("StopPodSandbox", pod_sandbox_id=self.sandbox)
        self.report(lambda life, now: reports.network_down(life))

    async def _take_down(self) -> None:
        await self._remove_all()
        self.is_gone = True
        self.report(lambda life, now: reports.gone(life, now))

    async def _remove_all(self) -> None:
        for prober in [prober for _, prober in self._probers.values()]:
            prober.stop()
        self._probers.clear()
        listed = await self.agent.runtime.call("ListPodSandbox")
        for one in listed.items:
            if one.metadata.uid == self.uid:
                await self.agent.runtime.call("StopPodSandbox", pod_sandbox_id=one.id)
                await self._remove_sandbox(one.id)
        for runs in self.found.values():
            for found in runs:
                self.agent.containers.pop(found.id.removeprefix("containerd://"), None)
        await self.agent.remove_pod_files(self.pod)

    async def _remove_sandbox(self, id_: str) -> None:
        self.agent.sandboxes.pop(id_, None)
        await self._remove_containers(lambda one: one.pod_sandbox_id == id_)
        await self.agent.runtime.call("RemovePodSandbox", pod_sandbox_id=id_)

    async def _remove_containers(self, which: Callable[[Any], bool]) -> None:
        listed = await self.agent.runtime.call("ListContainers")
        for one in listed.containers:
            if one.labels.get(configs.POD_UID) == self.uid and which(one):
                with contextlib.suppress(RuntimeFailed):
                    await self.agent.runtime.call("RemoveContainer", container_id=one.id)

    def abandon(self) -> None:
        """The pod is not in the cluster any more: whatever of it is here goes."""
        for prober in [prober for _, prober in self._probers.values()]:
            prober.stop()
        for task in list(self._tasks.values()):
            task.cancel()
        if not self.is_gone:
            self.is_gone = True
            self.agent.spawn(self._end_abandoned())

    async def _end_abandoned(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await asyncio.gather(*(self._kill_softly(runs[-1]) for runs in self.found.values()
                                       if runs and runs[-1].ended is None))
                await self._remove_all()
                return
            except RuntimeFailed as error:
                log.info("%s: %s is not gone yet: %s", self.agent.name, self.resident.key, error)
            await asyncio.sleep(retry_s)
            retry_s = min(LONGEST_RETRY_S, 2 * retry_s)

    async def _kill_softly(self, one: Found) -> None:
        with contextlib.suppress(RuntimeFailed):
            await self.agent.runtime.call("StopContainer", container_id=one.id.removeprefix("containerd://"),
                                          timeout=ABANDONED_GRACE_S)

    # ------------------------------------------------------------------ what changes while it runs

    def source_changed(self) -> None:
        """A ConfigMap or Secret of the namespace: the volumes made of it are written again, in one step each."""
        for volume in self.pod["spec"].get("volumes") or ():
            if volumes.is_written(volume):
                try:
                    volumes.refresh(self.pod, volume, self.folder, self.agent.lookup, self.facts())
                except (VolumeError, ConfigError) as error:
                    self.tell("Warning", "FailedMount", str(error))


    # ------------------------------------------------------------------ is it well?

    def _probe(self, place: int, run: Run) -> None:
        known = self._probers.get(place)
        if known is not None and known[0] == run.restarts:
            known[1].started = run.is_started(self.agent.now())
            return
        if known is not None:
            known[1].stop()
        spec = self.spec_of(self.life.parts[place].name)
        prober = Prober(self, place, run, spec)
        if prober.is_needed:
            self._probers[place] = (run.restarts, prober)
            prober.start()


async def unmount(pod_folder: Path) -> None:
    for path in volumes.tear_down(pod_folder):
        await host_command.attempt("umount", "--lazy", path)
    volumes.tear_down(pod_folder)


async def remove_files(pod_folder: Path, log_folder: Path, links: Path, stem: str, cgroup: str) -> None:
    """What a pod leaves on its node beside the runtime's own."""
    await unmount(pod_folder)
    shutil.rmtree(log_folder, ignore_errors=True)
    for link in links.glob(f"{stem}_*.log"):
        link.unlink(True)
    await cgroups.remove(cgroup)
