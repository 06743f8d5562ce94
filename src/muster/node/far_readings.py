"""What pods on other machines use: their nodes measure it (readings.py), the server asks them after each window.

    told(readings, pods, node)    at the node: its newest samples, as JSON
    FarReadings.run()             at the server: asks each node that is connected, and keeps the answers
"""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from ..api.errors import ApiError
from ..api.objects import Obj, uid_of
from ..api.samples import Meter, NodeSample, PodSample, Used
from ..server.node_lines import NodeLines
from .meters import Meters
from .usage import WINDOW_S, window_at

log = logging.getLogger(__name__)

LATER_S = 1.0  # than a node reads its counters


def told(meter: Meter, pods: Iterable[Obj], node: Obj | None) -> Obj:
    samples = {uid_of(pod): sample for pod in pods if (sample := meter.pod(pod)) is not None}
    of_node = meter.node(node) if node is not None else None
    return {"pods": {uid: [one.at, one.window_s, {name: list(used) for name, used in one.containers.items()}]
                     for uid, one in samples.items()},
            "node": [of_node.at, of_node.window_s, list(of_node.used)] if of_node is not None else None}


class Told:
    """The last answer of one node."""

    def __init__(self, answer: Any):
        """Raises ValueError, TypeError, KeyError or AttributeError for what can not be read."""
        self._pods = {str(uid): PodSample(int(at), float(window_s), {
            str(name): Used(*map(int, used)) for name, used in containers.items()})
            for uid, (at, window_s, containers) in answer["pods"].items()}
        node = answer["node"]
        self._node = NodeSample(int(node[0]), float(node[1]), Used(*map(int, node[2]))) if node else None

    def pod(self, pod: Obj) -> PodSample | None:
        return self._pods.get(uid_of(pod))

    def node(self, node: Obj) -> NodeSample | None:
        return self._node


NOTHING_TOLD = Told({"pods": {}, "node": None})


class FarReadings:
    def __init__(self, lines: NodeLines, meters: Meters, now: Callable[[], float]):
        self._lines, self._meters, self._now = lines, meters, now
        self._known: set[str] = set()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(window_at(self._now()) + WINDOW_S + LATER_S - self._now())
            await self.ask_all()

    async def ask_all(self) -> None:
        """Who does not answer has no samples: what it used before would be taken for what it uses now."""
        nodes = self._lines.connected()
        for node in sorted(self._known - set(nodes)):
            self._meters.add(node, NOTHING_TOLD)
        self._known.update(nodes)
        await asyncio.gather(*map(self._ask, nodes))

    async def _ask(self, node: str) -> None:
        try:
            answer = Told(await self._lines.ask(node, "samples"))
        except (ApiError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.info("%s does not say what its pods use: %s", node, error)
            answer = NOTHING_TOLD
        self._meters.add(node, answer)
