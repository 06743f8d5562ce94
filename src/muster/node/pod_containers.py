"""The containers of a real pod: the calls that starting and ending one of them takes, and what the runtime has of them.

    pull, start      an image, a container made of its spec (environment, mounts, limits), started, its hook run
    learn_end        how it ended: the runtime's word, with what it left in its message file or its log
    stop             its hook, then the signal, then the kill

Each step ends with a report (reports.py).  Of a container's runs the one before the newest is kept, for `kubectl logs
--previous`.
"""
from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..api.objects import Obj, at
from . import pull_secrets, reports, volumes
from .cri import configs
from .cri.client import RuntimeFailed
from .environment import ConfigError, command_of, environment
from .hooks import HookFailed, run_hook
from .reports import Exit, Found
from .termination import message_of
from .volumes import VolumeError

if TYPE_CHECKING:
    from .pod_runner import PodRunner

KEPT_RUNS = 2  # of a container: the one that runs, and the one before it
ABANDONED_GRACE_S, LEAST_AFTER_HOOK_S = 2, 2.0
SURE_OF_END_S, SETTLES_S, SETTLES_LATEST_S = 5.0, 0.01, 0.2
SCHEME = "containerd://"


class PodContainers:
    def __init__(self, runner: PodRunner):
        self._runner, self._agent = runner, runner.agent
        self.found: dict[str, list[Found]] = {}  # what the runtime has, by container, the oldest first
        self._exits: dict[str, Exit] = {}

    def id_of(self, name: str) -> str | None:
        """Of the run that is there, or was last."""
        runs = self.found.get(name)
        return runs[-1].id.removeprefix(SCHEME) if runs else None

    def ids(self) -> dict[str, list[str]]:
        """All that are there, also such as have ended."""
        return {name: [one.id.removeprefix(SCHEME) for one in runs] for name, runs in self.found.items()}

    def written(self) -> Iterator[tuple[str, Path]]:
        """Of the runs that go on: the id, and where its log is."""
        for name, runs in self.found.items():
            if runs and runs[-1].ended is None:
                yield runs[-1].id.removeprefix(SCHEME), self._runner.files.log(name, runs[-1].attempt)

    def spec_of(self, name: str) -> Obj:
        spec = self._runner.pod["spec"]
        return next(one for field in ("containers", "initContainers", "ephemeralContainers")
                    for one in spec.get(field) or () if one["name"] == name)

    def note(self, name: str, one: Found) -> None:
        self.found.setdefault(name, []).append(one)

    # ------------------------------------------------------------------ how one starts

    async def pull(self, place: int) -> None:
        part = self._runner.life.parts[place]
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            image = await self._agent.images.pull(part.image, self._credentials(part.image))
        except RuntimeFailed as error:
            why = str(error)
            self._runner.report(lambda life, now: reports.not_pulled(life, place, now, why))
            return
        took = loop.time() - began
        self._runner.report(lambda life, now: reports.pulled(life, place, now, took, image.size, image.id))

    def _credentials(self, image: str) -> tuple[pull_secrets.Credentials, ...]:
        pod, lookup = self._runner.pod, self._agent.lookup
        if absent := pull_secrets.missing(pod, lookup):
            self._runner.tell("Warning", "FailedToRetrieveImagePullSecret",
                              f"Unable to retrieve some image pull secrets ({', '.join(absent)}); attempting to pull "
                              "the image may not succeed.")
        return pull_secrets.credentials(pod, self._agent.images.mapped(image), lookup)

    async def start(self, place: int) -> None:
        life = self._runner.life
        part, run = life.parts[place], life.runs[place]
        spec, attempt = self.spec_of(part.name), run.attempt
        try:
            config = await self._config(spec, attempt)
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
        self._agent.containers[id_] = (self._runner, place, attempt)
        try:
            async with self._agent.starting:
                await self._agent.runtime.call("StartContainer", container_id=id_)
        except RuntimeFailed as error:
            ended = await self._end_of(id_, spec, attempt)
            self.note(part.name, Found(attempt, f"{SCHEME}{id_}", "", "", 0.0, ended))
            self._not_started(place, "RunContainerError", error.said, id_, ended)
            return
        await self._started(place, spec, attempt, id_)

    def _not_started(self, place: int, reason: str, why: str, id_: str = "", ended: Exit | None = None) -> None:
        full = f"{SCHEME}{id_}" if id_ else ""
        self._runner.report(lambda life, now: reports.not_started(
            life, place, now, reason, why, full, ended._replace(finished=ended.finished or now) if ended else None))

    async def _started(self, place: int, spec: Obj, attempt: int, id_: str) -> None:
        name, agent = spec["name"], self._agent
        image = agent.images.known(spec.get("image", ""))
        self._runner.files.link_log(name, attempt, id_)
        hook = at(spec, "lifecycle.postStart")
        if hook is not None:
            try:
                await run_hook(agent, hook, spec, id_, self._runner.sandbox.address)
            except HookFailed as error:
                grace_s = self._grace_s()
                await agent.runtime.call("StopContainer", container_id=id_, timeout=int(grace_s),
                                         within_s=grace_s + 60)
                ended = await self._end_of(id_, spec, attempt)
                self._not_started(place, "PostStartHookError", f"PostStartHook failed: {error}", id_, ended)
                return
        full, shown, digest = f"{SCHEME}{id_}", agent.images.shown(spec.get("image", "")), image.reference
        self.note(name, Found(attempt, full, shown, digest, agent.now(), None))
        self._runner.report(lambda life, now: reports.started(life, place, now, full, shown, digest))
        if id_ in self._exits:
            self._exited(place, attempt, self._exits[id_])

    async def _config(self, spec: Obj, attempt: int) -> Any:
        runner, agent = self._runner, self._agent
        pod = runner.pod
        env = environment(pod, spec, agent.lookup, runner.facts(), agent.services())
        command, args = command_of(spec, env)
        image = await agent.images.look(spec.get("image", ""))
        if refusal := configs.root_refusal(pod, spec, image.uid, image.user):
            raise ConfigError(refusal)
        mounts = volumes.mounts_of(pod, spec, runner.files.folder, dict(env), agent.lookup, agent.host_paths)
        mounts += self._own_mounts(spec, attempt, {mount.path for mount in mounts})
        target = self.id_of(spec["targetContainerName"]) if spec.get("targetContainerName") else ""
        if target is None:
            raise ConfigError(f"unable to find target container {spec['targetContainerName']}")
        return configs.container(pod, spec, agent.place, image=agent.images.reference(spec.get("image", "")),
                                 attempt=attempt, command=command, args=args, env=env, mounts=mounts, target_id=target)

    def _own_mounts(self, spec: Obj, attempt: int, taken: set[str]) -> list[configs.Mounted]:
        mounts, files = [], self._runner.files
        if "/etc/hosts" not in taken:
            mounts.append(configs.Mounted("/etc/hosts", str(files.hosts)))
        if path := spec.get("terminationMessagePath"):
            mounts.append(configs.Mounted(path, str(files.make_message(spec["name"], attempt))))
        return mounts

    async def _create(self, name: str, attempt: int, config: Any) -> str:
        sandbox = self._runner.sandbox
        for last in (False, True):
            try:
                made = await self._agent.runtime.call("CreateContainer", pod_sandbox_id=sandbox.id, config=config,
                                                      sandbox_config=sandbox.config)
                return str(made.container_id)
            except RuntimeFailed as error:
                if last or "reserve" not in error.said:
                    raise
            await self.remove(lambda one: one.metadata.name == name and one.metadata.attempt == attempt)
        raise AssertionError("the second time it is made, or refused")

    async def _make_room(self, name: str, attempt: int) -> None:
        """Of a container's runs, the last one that ended is kept; of its logs, as many."""
        for one in [one for one in self.found.get(name, ()) if one.attempt <= attempt - KEPT_RUNS]:
            await self._forget(name, one)

    async def forget_ended(self, keep: int) -> None:
        """Of each container's runs that have ended, the newest are kept."""
        for name, runs in list(self.found.items()):
            for one in [one for one in runs if one.ended is not None][:-keep or None]:
                await self._forget(name, one)

    async def _forget(self, name: str, one: Found) -> None:
        """Also what it said."""
        if one not in self.found.get(name, ()):
            return  # somebody else was quicker
        self.found[name].remove(one)
        id_ = one.id.removeprefix(SCHEME)
        self._agent.containers.pop(id_, None)
        self._exits.pop(id_, None)
        with contextlib.suppress(RuntimeFailed):
            await self._agent.runtime.call("RemoveContainer", container_id=id_)
        self._runner.files.forget(name, one.attempt, id_)

    # ------------------------------------------------------------------ how one ends

    async def learn_end(self, id_: str, place: int, attempt: int) -> None:
        """The event comes before CRI knows of it: it is asked until it does, ever less often."""
        name = self._runner.life.parts[place].name
        deadline = asyncio.get_running_loop().time() + SURE_OF_END_S
        settles_s = SETTLES_S
        while True:
            ended = await self._end_of(id_, self.spec_of(name), attempt)
            if ended is not None or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(settles_s)
            settles_s = min(SETTLES_LATEST_S, 1.5 * settles_s)
        if ended is not None:
            self._exited(place, attempt, ended)

    async def _end_of(self, id_: str, spec: Obj, attempt: int) -> Exit | None:
        try:
            told = (await self._agent.runtime.call("ContainerStatus", container_id=id_)).status
        except RuntimeFailed as error:
            if error.is_absent:
                return None
            raise
        return self.end_told(told, spec, attempt)

    def end_told(self, told: Any, spec: Obj, attempt: int) -> Exit | None:
        if told.state not in (2, 3):
            return None
        files, name = self._runner.files, spec["name"]
        message = told.message or message_of(files.message(name, attempt), spec, told.exit_code,
                                             files.log(name, attempt))
        reason = told.reason if told.reason not in ("", "Unknown") or told.state == 3 else ""
        return Exit(told.exit_code, reason, message, told.finished_at / 1e9)

    def _exited(self, place: int, attempt: int, ended: Exit) -> None:
        name = self._runner.life.parts[place].name
        for index, one in enumerate(self.found.get(name, ())):
            if one.attempt == attempt:
                self.found[name][index] = one._replace(ended=ended)
        id_ = self.id_of(name)
        if id_:
            self._exits[id_] = ended
        self._runner.report(lambda life, now: reports.exited(
            life, place, now, attempt, ended if ended.finished else ended._replace(finished=now)))

    def _grace_s(self) -> float:
        said = self._runner.pod["spec"].get("terminationGracePeriodSeconds")
        return float(said) if said is not None else 30.0

    async def stop(self, place: int, by: float, hook: bool) -> None:
        """Raises RuntimeFailed where it was not told."""
        runner, agent = self._runner, self._agent
        name = runner.life.parts[place].name
        id_, asked = self.id_of(name), at(self.spec_of(name), "lifecycle.preStop")
        if id_ is None:
            return
        left_s = by - agent.now()
        if hook and asked is not None and left_s > 0:
            try:
                async with asyncio.timeout(left_s):
                    await run_hook(agent, asked, self.spec_of(name), id_, runner.sandbox.address)
            except HookFailed as error:
                runner.tell("Warning", "FailedPreStopHook", f"PreStopHook failed: {error}", place)
            except TimeoutError:
                pass
            left_s = max(LEAST_AFTER_HOOK_S, by - agent.now())  # the kubelet's least, after a hook
        timeout = max(0, math.ceil(left_s))
        try:
            await agent.runtime.call("StopContainer", container_id=id_, timeout=timeout, within_s=timeout + 60)
        except RuntimeFailed as error:
            if not error.is_absent:
                raise

    async def kill_abandoned(self) -> None:
        await asyncio.gather(*(self._kill_softly(runs[-1]) for runs in self.found.values()
                               if runs and runs[-1].ended is None))

    async def _kill_softly(self, one: Found) -> None:
        with contextlib.suppress(RuntimeFailed):
            await self._agent.runtime.call("StopContainer", container_id=one.id.removeprefix(SCHEME),
                                           timeout=ABANDONED_GRACE_S)

    # ------------------------------------------------------------------ what is taken away

    async def remove(self, which: Callable[[Any], bool]) -> None:
        """The pod's containers of which that is true."""
        listed = await self._agent.runtime.call("ListContainers")
        for one in listed.containers:
            if one.labels.get(configs.POD_UID) == self._runner.uid and which(one):
                with contextlib.suppress(RuntimeFailed):
                    await self._agent.runtime.call("RemoveContainer", container_id=one.id)

    def forget_all(self) -> None:
        for runs in self.found.values():
            for found in runs:
                self._agent.containers.pop(found.id.removeprefix(SCHEME), None)
