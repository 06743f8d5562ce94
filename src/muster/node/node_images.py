"""The images on a real node: which there are, pulling one (once, however many pods wait for it), and the image map.

    --image-map 'quay.io/fluentd_elasticsearch/*=localhost/busybox:1'

replaces what manifests name by what this machine has, where no registry can be reached: the pattern (* and ?) is held
against the image as it is written and against its full name.  What replaces is not pulled where it is here already.
https://kubernetes.io/docs/concepts/containers/images/
"""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ..api.objects import Obj
from .cri.client import Runtime, RuntimeFailed, m
from .images import full_name
from .pull_secrets import Credentials

PULLS_AT_ONCE = 4
PULL_WITHIN_S = 1800.0
MOST_IMAGES, MOST_NAMES = 50, 5  # of a node's status, and of an image there, as upstream


class Image(NamedTuple):
    id: str  # sha256:..., of its configuration
    reference: str  # as a container's status names it: with its digest where it has one
    size: int
    uid: int | None  # of the user it runs as, where that is a number
    user: str


UNKNOWN = Image("", "", 0, None, "")


class Present(dict[str, float]):
    """Full name -> 0.0, looked up by the name that a pod says."""

    def __init__(self, images: NodeImages):
        super().__init__()
        self._images = images

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(self._images.mapped(name), default)


class NodeImages:
    def __init__(self, replaced: Sequence[tuple[str, str]], changed: Callable[[], None] = lambda: None):
        """`changed` is called when others are listed than before."""
        self.runtime: Runtime | None = None
        self._changed = changed
        self.present = Present(self)
        self._replaced = replaced
        self._known: dict[str, Image] = {}
        self._names: list[Obj] = []
        self._pulls: dict[tuple[str, tuple[Credentials, ...]], asyncio.Task[Image]] = {}
        self._at_once = asyncio.Semaphore(PULLS_AT_ONCE)

    def mapped(self, image: str) -> str:
        """In full."""
        return full_name(self._instead(image) or image)

    def is_replaced(self, image: str) -> bool:
        """Also by itself: then the one that is here will do."""
        return self._instead(image) is not None

    def _instead(self, image: str) -> str | None:
        full = full_name(image)
        return next((instead for pattern, instead in self._replaced
                     if fnmatchcase(image, pattern) or fnmatchcase(full, pattern)), None)

    def reference(self, image: str) -> str:
        """What the runtime is asked for."""
        return self.mapped(image)

    def shown(self, image: str) -> str:
        return self.mapped(image)

    def known(self, image: str) -> Image:
        return self._known.get(self.mapped(image), UNKNOWN)

    def listed(self) -> list[Obj]:
        """For the node's status: the largest first."""
        return self._names

    async def refresh(self) -> None:
        assert self.runtime is not None, "it has started"
        answer = await self.runtime.call("ListImages")
        self._known.clear()
        names: list[Obj] = []
        for one in answer.images:
            image = Image(one.id, one.repo_digests[0] if one.repo_digests else one.id, one.size,
                          one.uid.value if one.HasField("uid") else None, one.username)
            for name in (*one.repo_tags, *one.repo_digests, one.id):
                self._known[name] = image
            if one.repo_tags or one.repo_digests:
                names.append({"names": [*one.repo_digests, *one.repo_tags][:MOST_NAMES], "sizeBytes": one.size})
        listed = sorted(names, key=lambda one: (-one["sizeBytes"], one["names"]))[:MOST_IMAGES]
        if listed != self._names:
            self._names = listed
            self._changed()
        self.present.clear()
        self.present.update(dict.fromkeys(self._known, 0.0))

    async def look(self, image: str) -> Image:
        known = self.known(image)
        if known is UNKNOWN:
            await self.refresh()
            known = self.known(image)
        return known

    async def pull(self, image: str, credentials: tuple[Credentials, ...] = ()) -> Image:
        """With the first of these that the registry lets in.  Raises RuntimeFailed."""
        name = self.mapped(image)
        if self.is_replaced(image) and (known := await self.look(image)) is not UNKNOWN:
            return known
        task = self._pulls.get((name, credentials))
        if task is None:
            task = self._pulls[name, credentials] = asyncio.ensure_future(self._pull(name, credentials))
            task.add_done_callback(lambda _: self._pulls.pop((name, credentials), None))
        return await asyncio.shield(task)

    async def _pull(self, name: str, credentials: tuple[Credentials, ...]) -> Image:
        async with self._at_once:
            await self._ask_for(name, credentials)
        await self.refresh()
        found = self._known.get(name)
        if found is None:
            raise RuntimeFailed("NotFound", f'image "{name}" is gone again')
        return found

    async def _ask_for(self, name: str, credentials: tuple[Credentials, ...]) -> None:
        assert self.runtime is not None, "it has started"
        failure: RuntimeFailed | None = None
        for one in credentials or (None,):
            auth = m("AuthConfig", username=one.username, password=one.password) if one is not None else None
            try:
                await self.runtime.call("PullImage", image=m("ImageSpec", image=name), auth=auth,
                                        within_s=PULL_WITHIN_S)
                return
            except RuntimeFailed as error:
                failure = error
        assert failure is not None, "it was asked for at least once"
        raise failure
