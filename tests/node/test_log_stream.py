"""A log that is followed."""
from __future__ import annotations

import asyncio

from fleet_story import World, story

from muster.api.logs import LogOptions


def test_a_log_is_followed_to_its_end() -> None:
    async def tell(world: World) -> None:
        (node,) = await world.pool(1)
        script = "echo one; sleep 10; echo two; sleep 10; echo three"
        key = await world.pod("web", node["metadata"]["name"], spec={"restartPolicy": "Never"},
                              container={"command": ["sh", "-c", script]})
        await asyncio.sleep(1)
        follow = LogOptions("app", follow=True)
        pieces = [piece async for piece in world.fleet.logs(world.get(key), follow) if piece]
        assert pieces == [b"one\n", b"two\n", b"three\n"]
        whole = [piece async for piece in world.fleet.logs(world.get(key), LogOptions("app", limit_bytes=6))]
        assert b"".join(whole) == b"one\ntw"
    story(tell)
