"""Who measures which node: simulated nodes are measured together, each real one by itself.

    Meters(simulated).add("node-1", readings)      then pod(pod) and node(node), as any meter has them
"""
from __future__ import annotations

from ..api.objects import Obj, name_of
from ..api.samples import Meter, NodeSample, PodSample


class Meters:
    def __init__(self, usual: Meter):
        self._usual = usual
        self._own: dict[str, Meter] = {}  # by the name of the node

    def add(self, node: str, meter: Meter) -> None:
        self._own[node] = meter

    def pod(self, pod: Obj) -> PodSample | None:
        return self._own.get(pod["spec"].get("nodeName", ""), self._usual).pod(pod)

    def node(self, node: Obj) -> NodeSample | None:
        return self._own.get(name_of(node), self._usual).node(node)
