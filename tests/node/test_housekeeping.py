"""What a real node throws away by itself, with a runtime and a disk that say what they are told to say."""
import asyncio
from types import SimpleNamespace

import pytest

pytest.importorskip("grpc", reason="the extra muster[containers] is not installed")

from muster.node import housekeeping  # noqa: E402
from muster.node.cri.client import RuntimeFailed  # noqa: E402
from muster.node.host_facts import Room  # noqa: E402
from muster.node.housekeeping import Housekeeping  # noqa: E402
from muster.node.image_archive import PAUSE  # noqa: E402
from muster.node.node_settings import NodeSettings  # noqa: E402
from muster.node.pod_containers import PodContainers  # noqa: E402
from muster.node.reports import Exit, Found  # noqa: E402


def image(id_, *tags, pinned=False):
    return SimpleNamespace(id=id_, repo_tags=list(tags), repo_digests=[f"{id_}@digest"], size=10, pinned=pinned)


class Node:
    """An agent, as far as housekeeping asks it."""

    def __init__(self, *images, containers=(), settings=None):
        self.name, self.there, self.told, self.removed, self.held = "node-1", list(images), [], [], set()
        self.used = [SimpleNamespace(image_ref=ref, image=SimpleNamespace(image=name)) for ref, name in containers]
        self.settings = settings or NodeSettings()
        self.time = 1000.0
        self.images = SimpleNamespace(refresh=self._refreshed)
        self.runtime, self.runners = self, {}
        self.containerd = SimpleNamespace(data="/data")

    def now(self):
        return self.time

    async def _refreshed(self):
        pass

    def tell_of_node(self, type_, reason, message):
        self.told.append((type_, reason, message))

    async def call(self, method, **fields):
        match method:
            case "ListImages":
                return SimpleNamespace(images=self.there)
            case "ListContainers":
                return SimpleNamespace(containers=self.used)
            case "RemoveImage":
                if (id_ := fields["image"].image) in self.held:
                    raise RuntimeFailed("Unknown", "it is held")
                self.removed.append(id_)
                self.there = [one for one in self.there if one.id != id_]


@pytest.fixture
def disk(monkeypatch):
    """`disk(free)`: so much of a hundred is free."""
    def free(amount, capacity=100):
        monkeypatch.setattr(housekeeping, "room", lambda folder: Room(amount, capacity, 1, 1))
    free(10)
    return free


IMAGES = (image("a", "app:1"), image("b", "app:2"), image("c", PAUSE), image("d", "pinned:1", pinned=True), image("e"))


@pytest.mark.parametrize("containers, removed", [
    pytest.param([], ["a", "b", "e"], id="neither the pause image nor what is pinned"),
    pytest.param([("sha256:1", "app:1")], ["b", "e"], id="not what a container names"),
    pytest.param([("b@digest", "app:1"), ("e", "")], [], id="nor what it has, by digest or id"),
])
def test_who_uses_it(disk, containers, removed):
    node = Node(*IMAGES, containers=containers)
    asyncio.run(Housekeeping(node).reclaim())
    assert node.removed == removed


def test_only_as_much_as_is_wanted(disk):
    node = Node(*IMAGES)
    asyncio.run(Housekeeping(node).clean_images())
    assert node.removed == ["a"] and node.told == [], "90 % are used, down to 80: one of ten bytes"


@pytest.mark.parametrize("free, removed", [(16, []), (15, ["a"])])
def test_from_when_on(disk, free, removed):
    disk(free)
    node = Node(*IMAGES)
    asyncio.run(Housekeeping(node).clean_images())
    assert node.removed == removed


def test_not_what_has_just_come(disk):
    node, young = Node(IMAGES[0]), IMAGES[1]

    async def run():
        keeping = Housekeeping(node)
        await keeping.look_at_images()
        node.there.append(young)
        await keeping.look_at_images()
        node.time += 119
        await keeping.reclaim()
        assert node.removed == ["a"]
        node.time += 1
        await keeping.reclaim()
    asyncio.run(run())
    assert node.removed == ["a", "b"]


def test_what_is_said_when_it_is_not_enough(disk):
    disk(0)
    node = Node(*IMAGES[:2])
    node.held = {"a"}
    why = ("Failed to garbage collect required amount of images. Attempted to free 20 bytes, but only found {} bytes "
           "eligible to free.")

    async def run():
        keeping = Housekeeping(node)
        await keeping.clean_images()
        assert node.told == [("Warning", "FreeDiskSpaceFailed", why.format(10))] and node.removed == ["b"]
        await keeping.clean_images()
        disk(50)
        await keeping.clean_images()
        disk(0)
        node.told.clear()
        await keeping.clean_images()
    asyncio.run(run())
    assert [reason for _, reason, _ in node.told] == ["FreeDiskSpaceFailed"], "the failures before were made good"


def test_what_is_said_when_it_fails_again(disk):
    disk(0)
    node = Node()

    async def run():
        keeping = Housekeeping(node)
        await keeping.clean_images()
        await keeping.clean_images()
    asyncio.run(run())
    assert [reason for _, reason, _ in node.told] == ["FreeDiskSpaceFailed", "FreeDiskSpaceFailed", "ImageGCFailed"]
    disk(0, capacity=0)
    asyncio.run(Housekeeping(node).clean_images())
    assert node.told[-1] == ("Warning", "InvalidDiskCapacity", "invalid capacity 0 on image filesystem")


@pytest.mark.parametrize("keep, left", [(1, [2, 3]), (0, [3])])
def test_runs_that_have_ended(keep, left):
    """Of each container the newest is kept, and whatever runs."""
    removed, forgotten = [], []

    class Runtime:
        async def call(self, method, container_id):
            assert method == "RemoveContainer"
            removed.append(container_id)

    agent = SimpleNamespace(runtime=Runtime(), containers={})
    containers = PodContainers(SimpleNamespace(agent=agent, files=SimpleNamespace(forget=lambda *run: forgotten.append(run))))
    for attempt in range(4):
        agent.containers[f"c{attempt}"] = "known"
        containers.note("app", Found(attempt, f"containerd://c{attempt}", "", "", 0.0, Exit(1, "", "", 1.0) if attempt < 3 else None))
    asyncio.run(containers.forget_ended(keep))
    assert [one.attempt for one in containers.found["app"]] == left
    gone = [n for n in range(4) if n not in left]
    assert removed == [f"c{n}" for n in gone] and forgotten == [("app", n, f"c{n}") for n in gone]
    assert set(agent.containers) == {f"c{n}" for n in left}
