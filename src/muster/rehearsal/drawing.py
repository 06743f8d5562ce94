"""Notes, as it happens, what each node or pod of a rehearsal was doing: the rows of its picture (timeline.py).

    pod_state(pod)             one pod, in the words of the picture
    daemon_state(pods)         a node: the best that a pod there does for its workload

A row is looked at again when a pod, its node or its template changed, and when a node tells of a step (pulling,
starting) before any status does.
"""
from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ..api.objects import Key, Obj, name_of, namespace_of
from ..control.plan import Tell
from ..why.containers import trouble_of
from .timeline import (
    ENDED,
    FAILING,
    NO_DAEMON,
    NODE_DOWN,
    NOT_READY,
    NOT_WANTED,
    PULLING,
    READY_NEW,
    READY_OLD,
    STARTING,
    STOPPING,
    UNSCHEDULED,
)
from .tracked import Tracked, Workload

STEPS = {"Pulling": PULLING, "Pulled": STARTING}


class Drawing:
    """`down`: the nodes that are not ready."""

    def __init__(self, nodes: Mapping[str, Obj], down: Collection[str], pods: Mapping[Key, Tracked]):
        self._nodes, self._down, self._pods = nodes, down, pods
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
            state = pod_state(tracked, is_down=tracked.node in self._down)
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
        if name in self._down:
            state = NODE_DOWN
        elif there:
            state = daemon_state(there.values())
        else:
            state = NO_DAEMON if name in one.wanted_on else NOT_WANTED
        one.timeline.note(name, at_s, state)

    def gone(self, owner: Workload, tracked: Tracked, node: str, now: float) -> None:
        if owner.is_daemonset:
            self.node(owner, node, now)
        elif self._began is not None:
            owner.timeline.end(tracked.key.name, now - self._began)


def pod_state(tracked: Tracked, *, is_down: bool = False) -> str:
    """Of a node that is down nobody knows what its pod does."""
    if tracked.is_going:
        return STOPPING
    if tracked.phase == "Failed":
        return FAILING
    if tracked.phase == "Succeeded":
        return ENDED
    if is_down:
        return NODE_DOWN
    if tracked.is_ready:
        return READY_NEW if tracked.is_current else READY_OLD
    if not tracked.pod["spec"].get("nodeName"):
        return UNSCHEDULED
    if trouble_of(tracked.pod):
        return FAILING
    if tracked.phase == "Running":
        return NOT_READY
    return tracked.step or STARTING


_BEST = {state: place for place, state in enumerate(
    (READY_NEW, READY_OLD, NOT_READY, FAILING, STARTING, PULLING, UNSCHEDULED, ENDED, STOPPING))}


def daemon_state(pods: Collection[Tracked]) -> str:
    """Of one or more."""
    return min(map(pod_state, pods), key=_BEST.__getitem__)
