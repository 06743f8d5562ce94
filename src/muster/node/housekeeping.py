"""What a node throws away by itself: images when its disk fills up, runs of containers that nobody will ask about.

    every minute         of each container the newest run that ended is kept; files and groups of no pod go
    every five minutes   images, while the disk that they are on is too full (image_cleaning.py)
    when disk is short   all of both that is not in use: before any pod has to go (pressure_watch.py)

What can not be got back is told as events of the node, in the kubelet's words.
https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""
from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import image_cleaning
from .cri.client import RuntimeFailed, m
from .host_facts import room
from .image_archive import PAUSE
from .image_cleaning import Kept
from .pod_files import remove_strangers

if TYPE_CHECKING:
    from .agent import Agent

log = logging.getLogger(__name__)

CONTAINERS_S, IMAGES_EVERY = 60.0, 5  # images are looked at every fifth time


class NotEnough(Exception):
    """Less could be freed than was to be; the message is upstream's."""


class Housekeeping:
    def __init__(self, agent: Agent):
        self._agent = agent
        self._seen_since: dict[str, float] | None = None  # by the image's id
        self._used_last: dict[str, float] = {}
        self._failures = 0  # of image clean-ups, in a row

    async def run(self) -> None:
        turn = 0
        while True:
            try:
                await self._tidy()
                await self.look_at_images()  # also when they are not due: who was used last is learned so
                if turn % IMAGES_EVERY == 0:
                    await self.clean_images()
            except RuntimeFailed as error:
                log.info("%s: %s", self._agent.name, error)
            turn += 1
            await asyncio.sleep(CONTAINERS_S)

    async def _tidy(self) -> None:
        agent = self._agent
        for runner in list(agent.runners.values()):
            await runner.containers.forget_ended(keep=1)
        await agent.groups.remove_strangers(agent.is_here)
        await remove_strangers(agent.folder, agent.host_paths, agent.place, agent.is_here)

    async def reclaim(self) -> None:
        """Whatever of the disk can be had without ending a pod.  Raises RuntimeFailed."""
        for runner in list(self._agent.runners.values()):
            await runner.containers.forget_ended(keep=0)
        images = await self.look_at_images()
        await self._remove(image_cleaning.expendable(images, self._agent.now(), self._agent.settings), math.inf)

    # ------------------------------------------------------------------ images

    async def clean_images(self) -> None:
        """Raises RuntimeFailed."""
        try:
            await self._clean_images()
        except NotEnough as error:
            self._failures += 1
            if self._failures > 1:  # once may be an accident
                self._agent.tell_of_node("Warning", "ImageGCFailed", str(error))
        else:
            self._failures = 0

    async def _clean_images(self) -> None:
        agent = self._agent
        images = await self.look_at_images()
        now, settings = agent.now(), agent.settings
        outlived = image_cleaning.outlived(images, now, settings)
        await self._remove(outlived, math.inf)
        there = room(agent.containerd.data)
        if not there.capacity:
            why = "invalid capacity 0 on image filesystem"
            agent.tell_of_node("Warning", "InvalidDiskCapacity", why)
            raise NotEnough(why)
        wanted = image_cleaning.to_free(there.available, there.capacity, settings)
        if wanted <= 0:
            return
        left = [one for one in images if one not in outlived]
        freed = await self._remove(image_cleaning.expendable(left, now, settings), wanted)
        if freed < wanted:
            why = (f"Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only "
                   f"found {freed} bytes eligible to free.")
            agent.tell_of_node("Warning", "FreeDiskSpaceFailed", why)
            raise NotEnough(why)

    async def look_at_images(self) -> list[Kept]:
        """Which there are, since when, and which containers have (also such as have ended).  Raises RuntimeFailed."""
        runtime, now = self._agent.runtime, self._agent.now()
        listed = (await runtime.call("ListImages")).images
        ids = {name: one.id for one in listed for name in (one.id, *one.repo_tags, *one.repo_digests)}
        containers = (await runtime.call("ListContainers")).containers
        used = {ids.get(name, name) for one in containers for name in (one.image_ref, one.image.image)}
        # Those that were here before this process have been here for long.
        known, new = (self._seen_since, now) if self._seen_since is not None else ({}, 0.0)
        seen_since = self._seen_since = {one.id: known.get(one.id, new) for one in listed}
        self._used_last = {one.id: now if one.id in used else self._used_last.get(one.id, 0.0) for one in listed}
        return [Kept(one.id, one.size, one.id in used or one.pinned or PAUSE in one.repo_tags,
                     seen_since[one.id], self._used_last[one.id]) for one in listed]

    async def _remove(self, images: Iterable[Kept], wanted: float) -> int:
        """How many bytes were freed."""
        freed = 0
        for one in images:
            if freed >= wanted:
                break
            try:
                await self._agent.runtime.call("RemoveImage", image=m("ImageSpec", image=one.id))
            except RuntimeFailed as error:
                log.info("%s: image %s: %s", self._agent.name, one.id, error)
                continue
            freed += one.size
        if freed:
            await self._agent.images.refresh()
        return freed
