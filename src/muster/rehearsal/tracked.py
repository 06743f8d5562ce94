"""What is kept of each pod and workload while a rehearsal is measured."""
from __future__ import annotations

from ..api.objects import Key, Obj, uid_of
from ..controllers.readiness import NEVER
from ..why import rollouts
from ..why.rollouts import DAEMONSETS, SHORT, Standing
from .timeline import Seen, Timeline


class Tracked:
    """A pod."""

    __slots__ = ("key", "uid", "pod", "owner", "node", "step", "is_current", "available_from", "is_settled", "ended")

    def __init__(self, key: Key, pod: Obj):
        self.key, self.uid, self.pod = key, uid_of(pod), pod
        self.owner: Workload | None = None
        self.node = ""
        self.step = ""
        self.is_current = False
        self.available_from = NEVER
        self.is_settled = True
        self.ended = False  # somebody has ended it, and that was told

    def seen(self) -> Seen:
        return Seen(self.pod, self.is_current, self.step)


class Workload:
    """A DaemonSet, Deployment, ... and what was measured of it."""

    def __init__(self, key: Key, obj: Obj):
        self.key, self.uid, self.obj = key, uid_of(obj), obj
        self.name = f"{SHORT[key.resource]}/{key.namespace}/{key.name}"
        self.is_daemonset = key.resource == DAEMONSETS
        self.pods: dict[Key, Tracked] = {}
        self.on: dict[str, dict[Key, Tracked]] = {}  # by node: of a DaemonSet, and where it is drawn
        self.wanted_on: set[str] = set()  # nodes; only asked, never iterated
        self.up_on: dict[str, int] = {}  # node -> available pods there
        self.available = 0
        self.current = ""  # hash of today's template; of a Deployment: the uid of its newest set
        self.number = -1
        self.standing: Standing = rollouts.standing(key.resource, obj)
        self.record = (0, 0)  # (generation, updated and available): the best so far
        self.touched = False
        self.finished_at: float | None = None
        self.down = 0
        self.down_since = 0.0
        self.down_s = 0.0
        self.worst, self.worst_at = 0, 0.0
        self.downs: list[tuple[float, int]] = []  # how many were down, and from when on
        self.timeline = Timeline()

    @property
    def min_ready_s(self) -> int:
        return self.obj["spec"].get("minReadySeconds") or 0

    def should_be_up(self) -> int:
        if self.is_daemonset:
            return len(self.wanted_on)
        return 0 if self.key.resource == rollouts.JOBS else self.obj["spec"].get("replicas", 1)

    def are_down(self) -> int:
        if self.is_daemonset:
            return len(self.wanted_on) - self.available
        return max(0, self.should_be_up() - self.available)
