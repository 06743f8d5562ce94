"""Notes, as it happens, what each node or pod of a rehearsal was doing: the rows of its picture (timeline.py).

A row is looked at again when a pod, its node or its template changed, and when a node tells of a step (pulling,
starting) before any status does.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..api.objects import Key, Obj, name_of, namespace_of
from ..control.plan import Tell
from . import timeline
from .tracked import Tracked, Workload

STEPS = {"Pulling": timeline.PULLING, "Pulled": timeline.STARTING}


class Drawing:
    def __init__(self, nodes: Mapping[str, Obj], pods: Mapping[Key, Tracked]):
        self._nodes, self._pods = nodes, pods
        self._began: float | None = None  # None: nothing is drawn (yet)

    def begin(self, workloads: Iterable[Workload], now: float) -> None:
        self._began = now
        for one in workloads:
            for name in self._nodes if one.is_daemonset else ():
                self.node(one, name, now)
            for tracked in () if one.is_daemonset else one.pods.values():
                self.pod(tracked, now)

    def told(self, tell: Tell, now: float) -> None:
        """An event: some are about a step of a pod."""
        step = STEPS.get(tell.reason)
        if self._began is None or step is None:
            return
        about = tell.about
        tracked = self._pods.get(Key("pods", namespace_of(about), name_of(about)))
        if tracked is not None and tracked.step != step:
            tracked.step = step
            self.pod(tracked, now)

    def pod(self, tracked: Tracked, now: float) -> None:
        owner = tracked.owner
        if owner is None or self._began is None:
            return
        if owner.is_daemonset:
            self.node(owner, tracked.node, now)
        else:
            state = timeline.pod_state(tracked.seen(), self._nodes.get(tracked.node))
            owner.timeline.note(tracked.key.name, now - self._began, state)

    def node(self, one: Workload, name: str, now: float) -> None:
        """What a DaemonSet has there."""
        if self._began is None:
            return
        at_s = now - self._began
        if name not in self._nodes:
            one.timeline.end(name, at_s)
            return
        there = one.on.get(name)
        one.timeline.note(name, at_s, timeline.daemon_state(
            self._nodes[name], name in one.wanted_on, [tracked.seen() for tracked in there.values()] if there else ()))

    def gone(self, owner: Workload, tracked: Tracked, node: str, now: float) -> None:
        if owner.is_daemonset:
            self.node(owner, node, now)
        elif self._began is not None:
            owner.timeline.end(tracked.key.name, now - self._began)
