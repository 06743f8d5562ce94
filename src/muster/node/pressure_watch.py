"""Looks every ten seconds whether a real node has enough of everything left, and does what is to be done if not.

    observe    what is left: memory of the machine and of what pods may take, disk, inodes, process numbers
    reclaim    of a disk: what nobody uses (housekeeping.py), before any pod has to go
    choose     whom it ends, by what each pod uses now (pressure.py); one at a time, and it has to be gone first

So a node that is well costs a few reads of files.  Pods that break limits of their own are ended here too.
https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
"""
from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ..api import quantities
from ..api.objects import Obj, uid_of
from ..api.samples import Used
from . import disk_use, host_facts, pressure, storage_limits
from .cri.client import RuntimeFailed
from .disk_use import DiskUse, Housed
from .pressure import Outcome, Weighed
from .thresholds import DISK, Observed

if TYPE_CHECKING:
    from .agent import Agent
    from .machines import Machine

log = logging.getLogger(__name__)

GONE_WITHIN_S, GONE_POLL_S = 30.0, 0.5


class PressureWatch:
    def __init__(self, agent: Agent):
        self._agent = agent

    async def run(self) -> None:
        while True:
            await asyncio.sleep(pressure.MONITOR_S)
            try:
                await self.look()
            except RuntimeFailed as error:
                log.info("%s: %s", self._agent.name, error)

    async def look(self) -> None:
        """Raises RuntimeFailed."""
        machine = self._agent.fleet.machine(self._agent.name)
        if machine is None:
            return
        gone = await self._end_who_broke_limits(machine)
        found = self._feel(machine)
        if found.short is not None and not gone:
            if found.short.signal.condition == DISK:
                await self._agent.housekeeping.reclaim()
            if self._feel(machine).short is not None:
                found = pressure.choose(found, await self._weighed(machine, found), self._agent.now())
        self._agent.fleet.press(machine, found)
        if found.victim is not None:
            gone.append(found.victim)
        await self._until_gone(gone)

    # ------------------------------------------------------------------ what is left

    def _feel(self, machine: Machine) -> Outcome:
        agent = self._agent
        return pressure.feel(agent.name, agent.settings.hard, self._observed(), machine.pressures, agent.now(),
                             agent.settings.transition_s)

    def _observed(self) -> dict[str, Observed]:
        agent = self._agent
        capacity = host_facts.capacity(agent.folder, agent.settings.most_pods)
        for_pods = quantities.whole(agent.settings.for_pods(capacity)["memory"])
        taken = agent.groups.use_of_all()
        disk, images = host_facts.room(agent.folder), host_facts.room(agent.containerd.data)
        observed = {
            "memory.available": Observed(host_facts.free_memory(), host_facts.memory()),
            "nodefs.available": Observed(disk.available, disk.capacity),
            "nodefs.inodesFree": Observed(disk.free_inodes, disk.inodes),
            "imagefs.available": Observed(images.available, images.capacity),
            "imagefs.inodesFree": Observed(images.free_inodes, images.inodes),
            "pid.available": Observed(*host_facts.process_room()),
        }
        if taken is not None:
            observed["allocatableMemory.available"] = Observed(for_pods - taken.memory, for_pods)
        # A file system without a number of inodes has as many as are wanted.
        return {name: one for name, one in observed.items() if one.capacity}

    # ------------------------------------------------------------------ who uses it

    async def _weighed(self, machine: Machine, found: Outcome) -> list[Weighed]:
        agent = self._agent
        pods = {resident.uid: resident.pod for resident in machine.residents.values() if resident.is_live()}
        used: dict[str, dict[str, Used]] = {uid: {} for uid in pods}
        for one in agent.running():
            use = agent.groups.cgroups.use(one.group) if one.uid in pods else None
            if use is not None:
                used[one.uid][one.name] = Used(0, use.memory, 0, 0, use.processes)
        assert found.short is not None, "there is something to be got back"
        disk = await self._disk(list(pods.values())) if found.short.signal.condition == DISK else {}
        return [Weighed(pod, _with_disk(used[uid], disk.get(uid)), _volumes(disk.get(uid)))
                for uid, pod in pods.items()]

    async def _disk(self, pods: list[Obj]) -> dict[str, DiskUse]:
        there = [(pod, self._agent.runners[uid_of(pod)]) for pod in pods if uid_of(pod) in self._agent.runners]
        return await disk_use.measure(self._agent.runtime, [
            Housed(pod, runner.files, runner.containers.ids()) for pod, runner in there])

    async def _end_who_broke_limits(self, machine: Machine) -> list[Obj]:
        limited = [resident.pod for resident in machine.residents.values()
                   if resident.is_live() and storage_limits.has_any(resident.pod)]
        disk = await self._disk(limited) if limited else {}
        gone = []
        for pod in limited:
            verdict = storage_limits.broken(pod, disk[uid_of(pod)]) if uid_of(pod) in disk else None
            if verdict is not None:
                self._agent.fleet.evict(pod, verdict)
                gone.append(pod)
        return gone

    async def _until_gone(self, pods: list[Obj]) -> None:
        """What they used is not free before; who does not go is not waited for for ever."""
        for _ in range(int(GONE_WITHIN_S / GONE_POLL_S)):
            if not any(self._agent.groups.is_there(pod) for pod in pods):
                return
            await asyncio.sleep(GONE_POLL_S)


def _with_disk(used: dict[str, Used], disk: DiskUse | None) -> dict[str, Used]:
    if disk is None:
        return used
    return {name: disk_use.added([used.get(name, pressure.NOTHING), disk.containers.get(name, pressure.NOTHING)])
            for name in {**used, **disk.containers}}


def _volumes(disk: DiskUse | None) -> Used:
    return disk_use.added(disk.volumes.values()) if disk is not None else pressure.NOTHING
