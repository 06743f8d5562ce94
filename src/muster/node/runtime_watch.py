"""What a node's runtime has, kept in step: what was there at the start, what is heard since, what was not heard.

    take_stock()     everything the runtime has; what belongs to no pod of the node goes
    hear()           its events: a container has ended, an image came or went
    relist()         once in a while everything is listed and compared, so that nothing depends on having heard
"""
from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ..api.objects import uid_of
from . import life, reports
from .cri import configs
from .cri.client import RuntimeFailed

if TYPE_CHECKING:
    from .agent import Agent

log = logging.getLogger(__name__)

RELIST_S, BACK_AFTER_S = 1.0, 0.2
_EVENTS = 'topic~="^/tasks/(exit|oom)$",namespace==k8s.io', 'topic~="^/images/",namespace==k8s.io'


class RuntimeWatch:
    def __init__(self, agent: Agent):
        self._agent = agent
        self._sandboxes: dict[str, list[Any]] = {}  # found at the start: by uid of the pod
        self._containers: dict[str, list[Any]] = {}

    def found(self, uid: str) -> tuple[list[Any], list[Any]]:
        """A pod's sandboxes, the oldest first, and its containers: once."""
        sandboxes = sorted(self._sandboxes.pop(uid, ()), key=lambda one: one.metadata.attempt)
        return sandboxes, self._containers.pop(uid, [])

    async def take_stock(self) -> None:
        while True:
            try:
                await self._list_all()
                return
            except RuntimeFailed as error:
                log.info("%s: %s", self._agent.name, error)
            await asyncio.sleep(BACK_AFTER_S)

    async def _list_all(self) -> None:
        agent = self._agent
        self._sandboxes.clear()
        self._containers.clear()
        listed = await agent.runtime.call("ListPodSandbox")
        mine = {uid_of(pod) for pod in agent.pods()}
        for one in listed.items:
            if one.metadata.uid in mine:
                self._sandboxes.setdefault(one.metadata.uid, []).append(one)
            else:
                agent.spawn(agent.remove_sandbox(one.id))
        containers = await agent.runtime.call("ListContainers")
        for listed_one in containers.containers:
            uid = listed_one.labels.get(configs.POD_UID, "")
            if uid in mine:
                told = await agent.runtime.call("ContainerStatus", container_id=listed_one.id)
                self._containers.setdefault(uid, []).append(told.status)

    async def hear(self) -> None:
        agent = self._agent
        while True:
            try:
                async for topic, id_ in agent.runtime.events(*_EVENTS):
                    if topic == "/tasks/exit":
                        self._task_ended(id_)
                    elif topic.startswith("/images/"):
                        agent.spawn(agent.images.refresh())
            except RuntimeFailed as error:
                log.info("%s: %s", agent.name, error)
            await asyncio.sleep(BACK_AFTER_S)

    def _task_ended(self, id_: str) -> None:
        agent = self._agent
        found = agent.containers.get(id_)
        if found is not None:
            runner, place, attempt = found
            runner.container_ended(id_, place, attempt)
        elif id_ in agent.sandboxes:
            agent.spawn(self._look_at_sandbox(id_))

    async def _look_at_sandbox(self, id_: str) -> None:
        """Stopping a pod ends its sandbox too; only one that is still wanted is lost."""
        await asyncio.sleep(BACK_AFTER_S)
        runner = self._agent.sandboxes.get(id_)
        if runner is not None and reports.is_wanted(runner.pod, runner.life) and runner.sandbox.id == id_:
            runner.sandbox_lost()

    async def relist_for_ever(self) -> None:
        while True:
            await asyncio.sleep(RELIST_S)
            await self.relist()

    async def relist(self) -> None:
        try:
            await self._compare()
        except RuntimeFailed as error:
            log.info("%s: %s", self._agent.name, error)

    async def _compare(self) -> None:
        """What was not heard: containers that have ended, sandboxes that are gone."""
        agent = self._agent
        listed = await agent.runtime.call("ListContainers")
        states = {one.id: one.state for one in listed.containers}
        for id_, (runner, place, attempt) in list(agent.containers.items()):
            run = runner.life.runs[place] if place < len(runner.life.runs) else None
            if run is None or run.stage != life.RUNNING or run.restarts != attempt:
                continue
            if states.get(id_, 2) != 1:
                runner.container_ended(id_, place, attempt)
        sandboxes = await agent.runtime.call("ListPodSandbox")
        ready = {one.id for one in sandboxes.items if one.state == 0}
        for id_ in list(agent.sandboxes):
            if id_ not in ready:
                await self._look_at_sandbox(id_)
