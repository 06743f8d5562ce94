"""What is kept of each pod and workload while a rehearsal is measured."""
from __future__ import annotations

from ..api.objects import Key, Obj, is_deleting, is_true, uid_of
from ..controllers.readiness import NEVER
from ..why import rollouts
from ..why.rollouts import DAEMONSETS, SHORT, Standing
from .timeline import Timeline

OVER = ("Succeeded", "Failed")


class Tracked:
    """A pod, and what of it is asked time and again: read once for each change."""

    __slots__ = ("key", "uid", "pod", "is_going", "is_ready", "phase", "has_ended",
                 "owner", "node", "step", "is_current", "available_from", "is_settled")

    def __init__(self, key: Key, pod: Obj):
        self.key, self.uid = key, uid_of(pod)
        self.read(pod)
        self.owner: Workload | None = None
        self.node = ""
        self.step = ""  # what its node is doing for it: PULLING or STARTING; "" before that
        self.is_current = False  # of today's template
        self.available_from = NEVER
        self.is_settled = True

    def read(self, pod: Obj) -> None:
        self.pod = pod
        self.is_going = is_deleting(pod)
        self.is_ready = is_true(pod, "Ready")
        self.phase: str | None = (pod.get("status") or {}).get("phase")
        self.has_ended = self.is_going or self.phase in OVER


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
