"""What the containers of a real pod share: its network and namespaces, in CRI's words its sandbox.

It is made with the pod's volumes, until it works.  One whose process is gone is lost with all that ran in it, and the
next gets another number, as the runtime holds on to the names of those that failed.
"""
from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from . import reports, volumes
from .cri import configs
from .cri.client import RuntimeFailed
from .pod_files import unmount
from .pod_groups import NoGroup
from .volumes import VolumeError

if TYPE_CHECKING:
    from .pod_runner import PodRunner

FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0


class PodSandbox:
    def __init__(self, runner: PodRunner):
        self._runner, self._agent = runner, runner.agent
        self.id = ""
        self.address = ""  # of the pod
        self.attempt = 0  # of the next one

    @property
    def config(self) -> Any:
        """Of the one that is there, as the pod reads now: who comes to debug it may be allowed more than the rest."""
        pod = self._runner.pod
        return configs.sandbox(pod, self._agent.place, self._agent.dns(pod), self.attempt - 1)

    def take_over(self, found: list[Any], address: str) -> bool:
        """`found`: the runtime's, the oldest first.  Is one of them good?"""
        self.attempt = found[-1].metadata.attempt + 1 if found else 0
        ready = next((one for one in reversed(found) if one.state == 0), None)
        if ready is None:
            return False
        self.id = ready.id
        self._agent.sandboxes[self.id] = self._runner
        with contextlib.suppress(NoGroup):  # it has the one that it was made with
            self._agent.groups.make(self._runner.pod)
        self.address = self._agent.address if self._is_on_host() else address
        return True

    async def bring_up(self) -> None:
        runner, agent = self._runner, self._agent
        retry_s = FIRST_RETRY_S
        said = ""
        while reports.is_wanted(runner.pod, runner.life):
            try:
                await volumes.set_up(runner.pod, runner.files.folder, await runner.sources(), agent.host_paths)
                await self._run()
            except VolumeError as error:
                if str(error) != said:
                    said = str(error)
                    runner.tell("Warning", "FailedMount", said)
                retry_s = FIRST_RETRY_S / 2  # nothing was asked of the runtime
            except NoGroup as error:
                runner.tell("Warning", "FailedCreatePodContainer", f"unable to ensure pod container exists: {error}")
            except RuntimeFailed as error:
                runner.tell("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
                await self._clear_failed()
            else:
                return
            await asyncio.sleep(retry_s)
            retry_s = min(LONGEST_RETRY_S, 2 * retry_s)

    async def _run(self) -> None:
        pod, agent = self._runner.pod, self._agent
        agent.groups.make(pod)
        self._runner.files.logs.mkdir(mode=0o755, parents=True, exist_ok=True)
        config = configs.sandbox(pod, agent.place, agent.dns(pod), self.attempt)
        async with agent.starting:
            self.attempt += 1
            answer = await agent.runtime.call("RunPodSandbox", config=config, within_s=240.0)
        self.id = answer.pod_sandbox_id
        agent.sandboxes[self.id] = self._runner
        await self._learn_address()
        self._runner.files.write_hosts(pod, self.address, agent.domain)
        self._runner.report(lambda life, now: reports.network_up(life, self.address))

    def _is_on_host(self) -> bool:
        return bool(self._runner.pod["spec"].get("hostNetwork"))

    async def _learn_address(self) -> None:
        told = await self._agent.runtime.call("PodSandboxStatus", pod_sandbox_id=self.id)
        self.address = self._agent.address if self._is_on_host() else told.status.network.ip

    async def network_namespace(self) -> str:
        """The path of its own, or of the node's."""
        if self._is_on_host():
            return str(self._agent.containerd.namespace)
        told = await self._agent.runtime.call("PodSandboxStatus", pod_sandbox_id=self.id, verbose=True)
        spaces = json.loads(told.info["info"])["runtimeSpec"]["linux"]["namespaces"]
        return str(next(one["path"] for one in spaces if one["type"] == "network"))

    async def _clear_failed(self) -> None:
        """A failed one holds its name: it is taken away, and the next has another number."""
        listed = await self._agent.runtime.call("ListPodSandbox")
        for one in listed.items:
            if one.metadata.uid == self._runner.uid and one.id != self.id:
                self.attempt = max(self.attempt, one.metadata.attempt + 1)
                await self._remove(one.id)

    async def rebuild(self) -> None:
        """The process that held the pod's namespaces is gone: whatever runs in them is started anew."""
        lost, self.id = self.id, ""
        self._agent.sandboxes.pop(lost, None)
        self._runner.tell("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        self._runner.report(lambda life, now: reports.network_down(life))
        await self._agent.runtime.call("StopPodSandbox", pod_sandbox_id=lost)
        await self._remove(lost)

    async def take_down(self) -> None:
        """The pod has ended: its volumes go, what it said stays until it is deleted."""
        if self.id:
            await self._agent.runtime.call("StopPodSandbox", pod_sandbox_id=self.id)
        await unmount(self._runner.files.folder)
        await self._agent.groups.remove(self._runner.pod)
        self._runner.report(lambda life, now: reports.network_down(life))

    async def remove_all(self) -> None:
        """Every one that the pod has had, with its containers."""
        listed = await self._agent.runtime.call("ListPodSandbox")
        for one in listed.items:
            if one.metadata.uid == self._runner.uid:
                await self._agent.runtime.call("StopPodSandbox", pod_sandbox_id=one.id)
                await self._remove(one.id)

    async def _remove(self, id_: str) -> None:
        self._agent.sandboxes.pop(id_, None)
        await self._runner.containers.remove(lambda one: one.pod_sandbox_id == id_)
        await self._agent.runtime.call("RemovePodSandbox", pod_sandbox_id=id_)
