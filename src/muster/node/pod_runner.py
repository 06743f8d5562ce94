"""One pod on a real node: carries out what the pod's life asks for, and reports what became of it.

After every look `attend` compares the life with what is under way: a network to set up, an image to pull, a container
to start or to stop, a pod to take down.  What is missing is begun as a task; each is under way at most once, and ends
with a report (reports.py) on which the decision (plan.py) goes on.  So this holds no decisions: only what is under way.
The calls that a step takes are the sandbox's (pod_sandbox.py) and the containers' (pod_containers.py).
"""
from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from ..api.objects import Obj, annotations_of, is_deleting, labels_of, uid_of
from . import reports, volumes
from .cri.client import RuntimeFailed
from .environment import ConfigError, Facts
from .life import DONE, PULLING, RUNNING, STARTING, Life, Run
from .machines import Resident
from .pod_containers import PodContainers
from .pod_files import PodFiles
from .pod_sandbox import FIRST_RETRY_S, LONGEST_RETRY_S, PodSandbox
from .pod_tokens import NoToken
from .prober import Prober
from .volumes import VolumeError

if TYPE_CHECKING:
    from .agent import Agent

log = logging.getLogger(__name__)


class PodRunner:
    def __init__(self, agent: Agent, resident: Resident):
        self.agent, self.resident, self.uid = agent, resident, uid_of(resident.pod)
        self.files = PodFiles(agent.folder, agent.host_paths, agent.place, resident.pod)
        self.sandbox, self.containers = PodSandbox(self), PodContainers(self)
        self._tasks: dict[object, asyncio.Task[None]] = {}
        self._stops: dict[int, float] = {}
        self._probers: dict[int, tuple[int, Prober]] = {}
        self._names: object = None  # labels and annotations, as its volumes tell of them
        self.is_gone = False

    @property
    def pod(self) -> Obj:
        return self.resident.pod

    @property
    def life(self) -> Life:
        assert self.resident.life is not None, "a runner has a pod that was looked at"
        return self.resident.life

    @property
    def is_up(self) -> bool:
        """Does it have what its containers share?"""
        return not self.is_gone and self.resident.life is not None and bool(self.resident.life.sandbox)

    # ------------------------------------------------------------------ what the life asks for

    def attend(self, life: Life) -> None:
        if self.is_gone:
            return
        pod, containers = self.pod, self.containers
        if life.sandbox and volumes.tells_of_names(pod):
            self._follow_names()
        if not life.sandbox and reports.is_wanted(pod, life):
            self._do("network", self.sandbox.bring_up)
        running: set[int] = set()
        for place, run in enumerate(life.runs):
            if run.stage == PULLING:
                self._do(("pull", place), partial(containers.pull, place))
            elif run.stage == STARTING:
                self._do(("start", place), partial(containers.start, place))
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
                self._do("down", self.sandbox.take_down)
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
        if not self.resident.gone and self.resident.life is not None and not self.agent.is_over:
            self.attend(self.resident.life)

    def report(self, change: Callable[[Life, float], Life]) -> None:
        self.agent.fleet.report(self.resident, change)

    def tell(self, type_: Any, reason: str, message: str, place: int | None = None) -> None:
        self.agent.tell(self.pod, type_, reason, message, self.life.parts[place].path if place is not None else "")

    def facts(self) -> Facts:
        return Facts(self.agent.name, self.agent.address, self.sandbox.address, self.agent.allocatable())

    async def sources(self) -> volumes.Sources:
        """What its volumes are made of.  Raises VolumeError."""
        try:
            tokens = await self.agent.tokens.of(self.pod)
        except NoToken as error:
            raise VolumeError(str(error)) from None
        return volumes.Sources(self.agent.lookup, self.facts(), tokens)

    # ------------------------------------------------------------------ what the runtime tells

    def sandbox_lost(self) -> None:
        if self.sandbox.id:
            self._do("lost", self.sandbox.rebuild)

    def container_ended(self, id_: str, place: int, attempt: int) -> None:
        self._do(("ended", id_), lambda: self.containers.learn_end(id_, place, attempt))

    # ------------------------------------------------------------------ how it ends

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
        try:
            await self.containers.stop(place, by, hook)
        except RuntimeFailed:
            self._stops.pop(place, None)  # it is told again
            raise

    async def _take_down(self) -> None:
        await self._remove_all()
        self.is_gone = True
        self.report(lambda life, now: reports.gone(life, now))

    async def _remove_all(self) -> None:
        self._stop_probers()
        await self.sandbox.remove_all()
        self.containers.forget_all()
        await self.files.remove()
        await self.agent.groups.remove(self.pod)

    def abandon(self) -> None:
        """The pod is not in the cluster any more: whatever of it is here goes."""
        self._stop_probers()
        for task in list(self._tasks.values()):
            task.cancel()
        if not self.is_gone:
            self.is_gone = True
            self.agent.spawn(self._end_abandoned())

    async def _end_abandoned(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await self.containers.kill_abandoned()
                await self._remove_all()
                return
            except RuntimeFailed as error:
                log.info("%s: %s is not gone yet: %s", self.agent.name, self.resident.key, error)
            await asyncio.sleep(retry_s)
            retry_s = min(LONGEST_RETRY_S, 2 * retry_s)

    # ------------------------------------------------------------------ what changes while it runs

    def source_changed(self) -> None:
        """A ConfigMap or Secret of the namespace, or the time for new tokens has come."""
        self._do("volumes", self._write_volumes)

    def _follow_names(self) -> None:
        names = (labels_of(self.pod), annotations_of(self.pod))
        if names != self._names:
            self._names = names
            self.source_changed()

    async def _write_volumes(self) -> None:
        """Those made of objects again, in one step each."""
        try:
            sources = await self.sources()
        except VolumeError as error:
            self.tell("Warning", "FailedMount", str(error))
            return
        if self.is_gone or "down" in self._tasks:
            return  # its files are being removed
        for volume in self.pod["spec"].get("volumes") or ():
            if volumes.is_written(volume):
                try:
                    volumes.refresh(self.pod, volume, self.files.folder, sources)
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
        spec = self.containers.spec_of(self.life.parts[place].name)
        prober = Prober(self, place, run, spec)
        if prober.is_needed:
            self._probers[place] = (run.restarts, prober)
            prober.start()

    def _stop_probers(self) -> None:
        for _, prober in self._probers.values():
            prober.stop()
        self._probers.clear()
